//! Where images come from, on a simulated host: the engine's proxy, and images that nobody pulls.

mod support;

use reemo_infra::engine::apply::exit;
use support::Heard;
use support::platform::{Platform, changed, failure};

const ENVIRONMENT: &str = "/etc/docker/reemo-proxy.env";
const DROP_IN: &str = "/etc/systemd/system/docker.service.d/reemo-proxy.conf";
const RESTART: &str = "restart docker";

fn titles(heard: &Heard) -> Vec<String> {
    changed(heard).into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_is_told_to_the_engine_and_taken_from_it() {
    let platform = Platform::installed().await;
    platform.machine.state().restarted.clear();
    let proxy = ["IMAGE_PROXY=http://user:of-the-pr%6fxy@proxy.example.org:3128"];

    let planned = platform.plan(&proxy).await;
    assert_eq!(planned.exit, exit::PENDING, "{}", failure(&planned));
    assert!(!platform.machine.state().files.contains_key(ENVIRONMENT), "a plan writes nothing");

    let heard = platform.apply(&proxy, &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    let wanted = [RESTART.to_owned(), format!("write {ENVIRONMENT}"), format!("write {DROP_IN}")];
    assert_eq!(titles(&heard), wanted);
    {
        let state = platform.machine.state();
        assert_eq!(state.restarted, ["docker.service"], "once");
        let (environment, drop_in) = (&state.files[ENVIRONMENT], &state.files[DROP_IN]);
        assert_eq!((environment.mode, environment.owner.as_str()), (0o600, "root:root"));
        let text = String::from_utf8(environment.content.clone().unwrap()).unwrap();
        assert!(text.contains("HTTPS_PROXY=\"http://user:of-the-pr%6fxy@proxy.example.org:3128\"\n"), "{text}");
        assert!(text.contains("NO_PROXY=\"localhost,127.0.0.0/8,::1,10.0.0.1\"\n"), "{text}");
        let text = String::from_utf8(drop_in.content.clone().unwrap()).unwrap();
        // What stands in a unit can be read by everybody on the host.
        assert!(text.contains("EnvironmentFile=") && !text.contains("proxy.example.org"), "{text}");
    }
    let said: String = [planned, heard].into_iter().map(|h| support::as_text("apply", h.events)).collect();
    for secret in ["of-the-pr%6fxy", "of-the-proxy", "user:"] {
        assert!(!said.contains(secret), "{said}");
    }
    assert!(said.contains(ENVIRONMENT), "the control: what was written is told\n{said}");

    let again = platform.apply(&proxy, &[]).await;
    assert_eq!((again.exit, titles(&again)), (exit::OK, vec![]));
    // Another password: the engine must read it.
    let other = platform.apply(&["IMAGE_PROXY=http://user:another-one@proxy.example.org:3128"], &[]).await;
    assert_eq!(titles(&other), [RESTART.to_owned(), format!("write {ENVIRONMENT}")], "{}", failure(&other));

    let without = platform.apply(&[], &[]).await;
    let gone = [format!("remove {ENVIRONMENT}"), format!("remove {DROP_IN}"), RESTART.to_owned()];
    assert_eq!((without.exit, titles(&without)), (exit::OK, gone.to_vec()), "{}", failure(&without));
    assert_eq!(platform.machine.state().restarted.len(), 3);
    let again = platform.apply(&[], &[]).await;
    assert_eq!((again.exit, titles(&again)), (exit::OK, vec![]));
}

fn images(platform: &Platform) -> Vec<(String, String, String)> {
    let state = platform.swarm.state();
    let one = |s: &serde_json::Value| {
        let text = |v: &serde_json::Value| v.as_str().unwrap_or_default().to_owned();
        let spec = &s["Spec"];
        (
            text(&spec["Name"]),
            text(&spec["TaskTemplate"]["ContainerSpec"]["Image"]),
            text(&spec["Labels"]["io.reemo.image"]),
        )
    };
    state.objects["services"].iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_services_are_pinned_to_what_the_nodes_have() {
    let platform = Platform::installed().await;
    let pulled = platform.swarm.state().images.clone();
    platform.changes();

    let heard = platform.apply(&["IMAGE_MODE=offline"], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert_eq!(platform.swarm.state().images, pulled, "nothing was pulled");
    let done = platform.changes();
    assert!(done.iter().any(|c| c.contains("reemo_api")), "{done:#?}");
    assert!(!done.iter().any(|c| c.contains("reemo_db")), "the schema job has no reason to run again: {done:#?}");
    for (service, image, name) in images(&platform).into_iter().filter(|(s, ..)| s != "reemo_db") {
        assert!(image.starts_with("sha256:id-of-registry.reemo.io/"), "{service}: {image}");
        assert!(name.starts_with("registry.reemo.io/") && name.contains("@sha256:"), "{service}: {name}");
    }
    let again = platform.apply(&["IMAGE_MODE=offline"], &[]).await;
    assert_eq!((again.exit, titles(&again)), (exit::OK, vec![]));

    // A release that is not on the nodes is not looked for elsewhere.
    let newer = ["IMAGE_MODE=offline", "DOCKER_VERSION_PORTAL=2.99.0"];
    let heard = platform.apply(&newer, &[]).await;
    let said = failure(&heard);
    assert_eq!(heard.exit, exit::REFUSED, "{said}");
    assert!(said.contains("reemoinfraportal:2.99.0 is not on one") && said.contains("images load"), "{said}");
    assert_eq!(platform.swarm.state().images, pulled);
    assert_eq!(platform.changes(), Vec::<String>::new());

    let back = platform.apply(&[], &[]).await;
    assert_eq!(back.exit, exit::OK, "{}", failure(&back));
    assert!(!platform.changes().iter().any(|c| c.contains("reemo_db")));
    for (service, image, name) in images(&platform) {
        assert!(image.starts_with("registry.reemo.io/") && image.contains("@sha256:"), "{service}: {image}");
        assert_eq!(name, "", "{service}");
    }
}
