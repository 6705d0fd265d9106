//! A change of the engine's configuration: confirmed over a new connection, or taken back. What the host does by itself
//! is tried on real hosts.

mod support;

use reemo_infra::engine::apply::exit;
use support::platform::{Platform, changed, failure};
use support::swarm::Swarm;

const DAEMON: &str = "/etc/docker/daemon.json";
const WARN: [&str; 2] = ["INSTALL_DOCKER=true", "{\"DOCKER_DAEMON_OPTIONS\": {\"log-level\": \"warn\"}}"];
const BAD: [&str; 2] =
    ["INSTALL_DOCKER=true", "{\"DOCKER_DAEMON_OPTIONS\": {\"storage-driver\": \"refused-by-the-engine\"}}"];

/// With an engine of ours.
async fn installed() -> Platform {
    let platform = Platform::new(Swarm::bare());
    let heard = platform.apply(&["INIT_DB=true", "INSTALL_DOCKER=true"], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    platform.machine.state().restarted.clear();
    platform
}

fn daemon(platform: &Platform) -> String {
    let state = platform.machine.state();
    let content = state.files.get(DAEMON).and_then(|f| f.content.clone());
    String::from_utf8(content.unwrap_or_default()).unwrap()
}

/// Nothing goes back any more.
fn settled(platform: &Platform) -> bool {
    let state = platform.machine.state();
    !state.armed && state.files.keys().all(|f| !f.contains("reemo-before"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_works_is_confirmed_over_a_new_connection() {
    let platform = installed().await;
    let before = platform.sshd.connections();
    let heard = platform.apply(&WARN, &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert!(daemon(&platform).contains("warn") && settled(&platform));
    assert_eq!(platform.machine.state().restarted, ["docker.service"]);
    assert_eq!(platform.sshd.connections() - before, 2, "that of the run, and another one");
    assert_eq!(platform.plan(&WARN).await.exit, exit::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_engine_refuses_goes_back() {
    let platform = installed().await;
    let before = daemon(&platform);
    let heard = platform.apply(&BAD, &[]).await;
    let said = failure(&heard);
    assert_eq!(heard.exit, exit::FAILED, "{said}");
    assert!(said.contains("the old one was put back") && said.contains("unable to configure"), "{said}");
    assert!(said.contains("next: correct DOCKER_DAEMON_OPTIONS"), "{said}");
    assert_eq!(daemon(&platform), before);
    assert!(settled(&platform));
    assert_eq!(platform.plan(&["INSTALL_DOCKER=true"]).await.exit, exit::OK, "as if nothing had been");
}

/// The run was killed after the restart: the timer still runs, and whoever comes in time stops it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_run_left_is_confirmed_by_the_next_or_goes_back() {
    for in_time in [true, false] {
        let platform = installed().await;
        let before = daemon(&platform);
        assert_eq!(platform.apply(&WARN, &[]).await.exit, exit::OK);
        {
            let mut state = platform.machine.state();
            let was = support::machine::Entry { content: Some(before.clone().into()), ..state.files[DAEMON].clone() };
            state.files.insert(format!("{DAEMON}.reemo-before"), was);
            state.armed = true;
            if !in_time {
                state.goes_back(DAEMON);
            }
        }
        let planned = platform.plan(&WARN).await;
        assert!(changed(&planned).contains("restart docker"), "{:?}", changed(&planned));
        let heard = platform.apply(&WARN, &[]).await;
        assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
        assert!(daemon(&platform).contains("warn") && settled(&platform));
        assert_eq!(platform.plan(&WARN).await.exit, exit::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_timers_says_so() {
    let platform = installed().await;
    platform.machine.state().no_timers = true;
    let heard = platform.apply(&WARN, &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    let said = |e: &reemo_model::event::Event| format!("{e:?}").contains("this host has no systemd-run");
    assert!(heard.events.iter().any(said));
    assert!(settled(&platform), "what was kept is let go");
}
