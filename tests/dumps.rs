//! A dump before every run of the schema job: when it is taken, what becomes of the run when it cannot be, and what an
//! operator is told when the job fails.

mod support;

use reemo_infra::engine::apply::exit;
use support::platform::{Platform, changed, failure};
use support::swarm::Swarm;

const NEW: [&str; 2] = ["DOCKER_VERSION_DB=3.0.0", "DOCKER_VERSION_API=3.0.0"];

/// Dumps there are, by what they were taken for.
fn dumps(platform: &Platform) -> Vec<String> {
    let state = platform.machine.state();
    let names = state.files.keys().filter(|p| p.starts_with("/opt/reemo/dumps/"));
    names.map(|p| p.split_once('-').unwrap().1.trim_end_matches(".info").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_taken_before_the_job_and_only_then() {
    let platform = Platform::new(Swarm::ready());
    let heard = platform.apply(&["INIT_DB=true"], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert_eq!(dumps(&platform), Vec::<String>::new(), "there was nothing to be dumped");

    let heard = platform.apply(&["DOCKER_VERSION_API=3.0.0"], &[]).await;
    assert_eq!((heard.exit, dumps(&platform)), (exit::OK, vec![]), "the schema was not touched");

    let planned = platform.plan(&NEW).await;
    assert!(changed(&planned).contains("dump of the database"), "{:?}", changed(&planned));
    assert_eq!(dumps(&platform), Vec::<String>::new(), "a plan takes none");

    platform.changes();
    let heard = platform.apply(&NEW, &["db"]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert_eq!(dumps(&platform), ["before-3.0.0"]);
    let text = platform.machine.state().files.iter().find(|(p, _)| p.contains("before-3.0.0")).unwrap().1.clone();
    let text = String::from_utf8(text.content.unwrap()).unwrap();
    assert!(text.contains("release 2.13.10\n") && text.contains("database reemo\n"), "{text}");
    assert_eq!(platform.plan(&NEW).await.exit, exit::OK, "the dump leaves nothing to be done");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_one_the_schema_is_not_touched() {
    let platform = Platform::installed().await;
    platform.machine.state().broken_database = Some("mysqldump: Got error: 2002\n".into());
    let heard = platform.apply(&NEW, &[]).await;
    let said = failure(&heard);
    assert_eq!(heard.exit, exit::FAILED, "{said}");
    assert!(said.contains("could not be dumped") && said.contains("Got error: 2002"), "{said}");
    assert!(said.contains("nothing was changed") && said.contains("run the same command again"), "{said}");
    assert_eq!(platform.changes(), Vec::<String>::new());
    platform.machine.state().broken_database = None;
    let heard = platform.apply(&NEW, &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_are_kept() {
    let platform = Platform::installed().await;
    for (release, wanted) in [("3.0.0", &["before-3.0.0"][..]), ("3.1.0", &["before-3.1.0"])] {
        let release = format!("DOCKER_VERSION_DB={release}");
        let heard = platform.apply(&[&release, "DB_DUMPS_KEEP=1"], &["db"]).await;
        assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
        assert_eq!(dumps(&platform), wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_schema_that_the_old_release_works_with_is_a_failed_update() {
    let platform = Platform::installed().await;
    platform.swarm.state().halfway.insert("reemo_db".into());
    let heard = platform.apply(&NEW, &[]).await;
    let said = failure(&heard);
    assert_eq!(heard.exit, exit::ROLLED_BACK, "{said}");
    assert!(said.contains("reemo_db failed"), "{said}");
    assert!(page(&platform).is_none(), "users see the portal");
    assert_eq!(platform.swarm.release("reemo_api"), "2.13.10");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_schema_that_the_old_release_does_not_work_with() {
    let platform = Platform::installed().await;
    platform.swarm.state().halfway.insert("reemo_db".into());
    platform.swarm.state().spoilt.insert("reemo_api".into());
    let heard = platform.apply(&NEW, &[]).await;
    let said = failure(&heard);
    assert_eq!(heard.exit, exit::FAILED, "{said}");
    assert!(said.contains("reemo_db failed") && said.contains("reemo_api runs 0 of 4 copies"), "{said}");
    let next = said.lines().find(|l| l.starts_with("next:")).unwrap();
    let dump = next.split("db restore ").nth(1).and_then(|d| d.split('.').next()).expect("the way back");
    assert!(dump.ends_with("-before-3"), "{next}");
    assert!(said.contains("users see the maintenance page: reemo-infra maintenance off"), "{said}");
    assert!(page(&platform).is_some(), "and it is there");
    assert_eq!(platform.swarm.release("reemo_api"), "2.13.10", "the api was not touched");
}

/// The file that shows users the maintenance page.
fn page(platform: &Platform) -> Option<String> {
    platform.machine.state().files.keys().find(|p| p.ends_with("/dynamic/maintenance.yml")).cloned()
}
