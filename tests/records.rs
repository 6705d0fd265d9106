//! What the Swarm keeps of a run: the way back, bounded, and never read by a run with nothing to do.

mod support;

use base64::Engine as _;
use reemo_infra::engine::apply::exit;
use reemo_infra::engine::record::{self, Record};
use support::platform::{Platform, failure};

/// The records there are, read as the program reads them.
fn records(platform: &Platform) -> Vec<Record> {
    let state = platform.swarm.state();
    let configs = state.objects["configs"].iter().filter(|c| c["Spec"]["Labels"].get(record::LABEL).is_some());
    let text = |c: &serde_json::Value| {
        let data = c["Spec"]["Data"].as_str().unwrap();
        serde_json::from_slice(&base64::engine::general_purpose::STANDARD.decode(data).unwrap()).unwrap()
    };
    configs.map(text).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_for_each_stage_that_changes_services() {
    let platform = Platform::installed().await;
    let before = records(&platform).len();
    let new = ["DOCKER_VERSION_API=3.0.0", "DOCKER_VERSION_SIGNAL=3.0.0"];
    let heard = platform.apply(&new, &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    let made = records(&platform).split_off(before);
    let stages: Vec<&str> = made.iter().map(|r| r.stage.as_str()).collect();
    assert_eq!(stages, ["api", "services"]);
    let image = made[0].services[0].before.as_ref().unwrap()["TaskTemplate"]["ContainerSpec"]["Image"].clone();
    assert!(image.as_str().unwrap().contains(":2.13.10"), "what it was: {image}");
    let signals: Vec<&str> = made[1].services.iter().map(|s| s.service.as_str()).collect();
    assert_eq!(signals, ["reemo_signal1", "reemo_signal2"]);
    assert!(!format!("{made:?}").contains("not-a-real-password"));

    let calls = platform.swarm.engine.seen().len();
    let heard = platform.apply(&new, &[]).await;
    assert_eq!(heard.exit, exit::OK);
    let lists: Vec<String> =
        platform.swarm.engine.seen()[calls..].iter().filter(|c| c.starts_with("GET /configs")).cloned().collect();
    assert!(!lists.is_empty() && lists.iter().all(|c| !c.contains(record::LABEL)), "{lists:?}");
    assert_eq!(records(&platform).len(), before + 2, "nothing was done, nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_of_old_runs_go() {
    let platform = Platform::installed().await;
    for n in 0..12 {
        let heard = platform.apply(&[&format!("DOCKER_VERSION_API=3.0.{n}")], &["api"]).await;
        assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    }
    let mut runs: Vec<String> = records(&platform).into_iter().map(|r| r.run).collect();
    runs.sort();
    runs.dedup();
    assert_eq!(runs.len(), 10, "{runs:?}");
}
