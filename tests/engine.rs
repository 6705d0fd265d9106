//! The engine's decisions, from compiling to putting back, against one simulated host with a Swarm in
//! memory. The client, the HTTP and the order are the real ones.

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use reemo_infra::engine::apply::{Ask, Review, exit};
use reemo_infra::engine::fault::Fault;
use reemo_infra::engine::graph::{self, TaskGraph};
use reemo_infra::engine::task::Task;
use reemo_model::event::{Event, Outcome};
use reemo_transport::fake::Net;
use support::counts;
use support::platform::{Platform, ask, changed, failure, outcome};
use support::swarm::Swarm;

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_goes_in_order_and_ends() {
    let platform = Platform::new(Swarm::bare());
    let extra = ["INIT_DB=true", "INSTALL_DOCKER=true"];
    let unit = "enable and start docker.service";
    let planned = platform.plan(&extra).await;
    assert!(matches!(outcome(&planned, unit), Outcome::Unknown { .. }), "its package is not there yet");
    let heard = platform.apply(&extra, &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert_eq!(outcome(&heard, unit), Outcome::Ok, "looked at again, and the package has done it");
    let changes = platform.changes();
    let at = |what: &str| {
        let found = changes.iter().position(|c| c.starts_with(what));
        found.unwrap_or_else(|| panic!("no `{what}` in {changes:#?}"))
    };
    let order = [
        "init",
        "create networks reemo",
        "create reemo_db",
        "create reemo_api ",
        "create traefik",
        "create reemo_portal",
    ];
    for pair in order.windows(2) {
        assert!(at(pair[0]) < at(pair[1]), "{} before {}: {changes:#?}", pair[0], pair[1]);
    }
    let portal = at("create reemo_portal");
    assert!(changes[portal..].iter().all(|c| !c.starts_with("create reemo_api")), "the portal is last");
    assert!(at("create configs reemo.record.initialised") > at("create reemo_db"), "{changes:#?}");

    let heard = platform.plan(&["INSTALL_DOCKER=true"]).await;
    assert_eq!((heard.exit, changed(&heard)), (exit::OK, BTreeSet::new()), "a plan says no changes");
    let heard = platform.apply(&["INSTALL_DOCKER=true"], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert!(counts(&heard.events).values().all(|c| c.changed == 0 && c.failed == 0));
    assert_eq!(platform.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_what_was_not_asked_for_it_explains() {
    let platform = Platform::new(Swarm::bare());
    let heard = platform.apply(&["INIT_DB=true"], &[]).await;
    assert_eq!(heard.exit, exit::REFUSED);
    assert!(failure(&heard).contains("INSTALL_DOCKER=true"), "{}", failure(&heard));
    assert_eq!(platform.changes(), Vec::<String>::new());
    assert!(platform.machine.state().commands.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_init_db_is_refused() {
    let platform = Platform::installed().await;
    let heard = platform.apply(&["INIT_DB=true"], &[]).await;
    assert_eq!(heard.exit, exit::REFUSED, "{}", failure(&heard));
    assert_eq!(platform.changes(), Vec::<String>::new());
}

const NEW: [&str; 3] = ["DOCKER_VERSION_API=3.0.0", "DOCKER_VERSION_DB=3.0.0", "DOCKER_VERSION_PORTAL=3.0.0"];

#[tokio::test(flavor = "multi_thread")]
async fn tags_do_not_overtake() {
    let platform = Platform::installed().await;
    let heard = platform.apply(&NEW, &["portal"]).await;
    assert_eq!(heard.exit, exit::REFUSED);
    let said = failure(&heard);
    assert!(said.contains("db, api") && said.contains("--tags db"), "{said}");
    assert_eq!(platform.changes(), Vec::<String>::new());

    let heard = platform.apply(&NEW, &["api"]).await;
    assert_eq!(heard.exit, exit::REFUSED, "db comes first");
    for (tag, touched) in [("db", "reemo_db"), ("api", "reemo_api"), ("portal", "reemo_portal")] {
        let heard = platform.apply(&NEW, &[tag]).await;
        assert_eq!(heard.exit, exit::OK, "{tag}: {}", failure(&heard));
        let changes = platform.changes();
        assert!(!changes.is_empty() && changes.iter().all(|c| c.contains(touched)), "{tag}: {changes:?}");
    }
    assert_eq!(platform.plan(&NEW).await.exit, exit::OK, "nothing is owed any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_first_update_gets_room_and_gives_it_back() {
    let platform = Platform::installed().await;
    let heard = platform.apply(&["DOCKER_VERSION_API=3.0.0"], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert_eq!(platform.changes(), ["update reemo_api 3.0.0 max=5", "update reemo_api 3.0.0 max=4"]);
    assert_eq!(platform.plan(&["DOCKER_VERSION_API=3.0.0"]).await.exit, exit::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_takes_the_others_back_in_reverse_order() {
    let platform = Platform::installed().await;
    let old = (platform.swarm.release("reemo_api"), platform.swarm.release("reemo_portal"));
    platform.swarm.state().sick.insert("reemo_portal".into());
    let new = ["DOCKER_VERSION_API=3.0.0", "DOCKER_VERSION_SIGNAL=3.0.0", "DOCKER_VERSION_PORTAL=3.0.0"];
    let heard = platform.apply(&new, &[]).await;
    assert_eq!(heard.exit, exit::ROLLED_BACK, "{}", failure(&heard));
    let said = failure(&heard);
    assert!(said.contains("reemo_portal") && said.contains("Swarm stopped the update"), "{said}");
    assert!(said.contains(&format!("reemo_portal {}", old.1)), "what still serves: {said}");
    assert_eq!((platform.swarm.release("reemo_api"), platform.swarm.release("reemo_portal")), old);
    let updates: Vec<String> = platform.changes().into_iter().filter(|c| !c.contains("max=0")).collect();
    let first = |what: &str| updates.iter().position(|c| c.starts_with(what)).unwrap_or(usize::MAX);
    let last = |what: &str| updates.iter().rposition(|c| c.starts_with(what)).unwrap_or(usize::MAX);
    assert!(first("update reemo_api 3.0.0") < first("update reemo_signal1 3.0.0"), "{updates:#?}");
    assert!(first("update reemo_signal2 3.0.0") < first("update reemo_portal 3.0.0"), "{updates:#?}");
    let back = format!("update reemo_api {}", old.0);
    assert!(last("update reemo_signal1 2") < first(&back), "newest first: {updates:#?}");
    assert!(last("update reemo_signal2 2") < last("update reemo_signal1 2"), "newest first: {updates:#?}");
    // Nothing is left to be put back, and the old release is what the old inventory wants.
    assert_eq!(platform.plan(&[]).await.exit, exit::OK);
}

/// How an update of long ago ended stands on the service until the next one: it is none of this run's.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_is_waited_for_whatever_became_of_an_earlier_update() {
    let platform = Platform::installed().await;
    platform.swarm.state().sick.insert("reemo_apicronlog".into());
    let heard = platform.apply(&["DOCKER_VERSION_APICRONLOG=3.0.0"], &[]).await;
    assert_eq!(heard.exit, exit::ROLLED_BACK, "{}", failure(&heard));
    platform.changes();
    let state = |word: &'static str| {
        let mut swarm = platform.swarm.state();
        let id = swarm.service("reemo_apicronlog").expect("it is there")["ID"].clone();
        let tasks = swarm.objects.get_mut("tasks").into_iter().flatten();
        tasks
            .filter(|t| t["ServiceID"] == id && t["DesiredState"] == "running")
            .for_each(|t| t["Status"]["State"] = word.into());
    };
    state("starting");
    let (heard, ()) = tokio::join!(platform.apply(&[], &[]), async {
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        state("running");
    });
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert!(changed(&heard).iter().any(|c| c.contains("reemo_apicronlog")), "it was waited for: {:?}", changed(&heard));
    assert_eq!(platform.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_election_is_waited_for() {
    let platform = Platform::installed().await;
    platform.swarm.state().election = 3;
    let heard = platform.apply(&["DOCKER_VERSION_API=3.0.0"], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    let said = |e: &Event| matches!(e, Event::TaskOutput { line, .. } if line.contains("no leader at this moment"));
    assert!(heard.events.iter().any(said));
}

/// Swarm stops the way back as it would any update, and puts back what the way back came from: the new release.
#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_fails_is_no_old_release() {
    let platform = Platform::installed().await;
    let old = platform.swarm.release("reemo_api");
    platform.swarm.state().sick.insert("reemo_portal".into());
    platform.swarm.state().lost.insert(old.clone());
    let heard = platform.apply(&["DOCKER_VERSION_API=3.0.0", "DOCKER_VERSION_PORTAL=3.0.0"], &[]).await;
    assert_eq!(platform.swarm.release("reemo_api"), "3.0.0", "the way back failed");
    assert_eq!(heard.exit, exit::FAILED, "{}", failure(&heard));
    let said = failure(&heard);
    assert!(said.contains(&format!("reemo_api 3.0.0 could not be put back to {old}")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_changed_meanwhile_is_reported() {
    let platform = Platform::installed().await;
    platform.swarm.state().meddle = Some(|service| service["Spec"]["Labels"]["of"] = "somebody else".into());
    let heard = platform.apply(&["DOCKER_VERSION_API=3.0.0"], &[]).await;
    assert_eq!(heard.exit, exit::FAILED, "{}", failure(&heard));
    let said = failure(&heard);
    assert!(said.contains("reemo_api was changed by somebody else"), "{said}");
    assert!(said.contains("run the same command again"), "{said}");
    assert_eq!(platform.changes(), Vec::<String>::new(), "nothing is put back over it");
    let state = platform.swarm.state();
    let api = state.objects["services"].iter().find(|s| s["Spec"]["Name"] == "reemo_api").unwrap();
    assert_eq!(api["Spec"]["Labels"]["of"], "somebody else");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_behind_a_failure_is_begun() {
    let platform = Platform::installed().await;
    platform.swarm.state().sick.insert("reemo_api".into());
    let heard = platform.apply(&NEW, &[]).await;
    assert_eq!(heard.exit, exit::ROLLED_BACK, "{}", failure(&heard));
    let changes = platform.changes();
    assert!(changes.iter().any(|c| c.starts_with("update reemo_db 3.0.0")), "{changes:?}");
    assert!(changes.iter().all(|c| !c.contains("reemo_portal")), "{changes:?}");

    // A first installation has nothing to go back to.
    let platform = Platform::new(Swarm::ready());
    platform.swarm.state().sick.insert("reemo_db".into());
    let heard = platform.apply(&["INIT_DB=true"], &[]).await;
    assert_eq!(heard.exit, exit::FAILED, "{}", failure(&heard));
    assert!(failure(&heard).contains("reemo_db failed"), "{}", failure(&heard));
    let changes = platform.changes();
    assert!(changes.iter().all(|c| !c.starts_with("create reemo_api")), "{changes:?}");
    assert!(changes.iter().all(|c| !c.contains("record")), "not recorded as initialised: {changes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn services_take_turns_only_where_somebody_uses_them() {
    let begun = |changes: Vec<String>| changes.iter().any(|c| c.contains("reemo_signal2"));
    let platform = Platform::new(Swarm::ready());
    platform.swarm.state().sick.insert("reemo_signal1".into());
    assert_eq!(platform.apply(&["INIT_DB=true"], &[]).await.exit, exit::FAILED);
    assert!(begun(platform.changes()), "there is none of them yet: neither waits for the other");

    let platform = Platform::installed().await;
    platform.swarm.state().sick.insert("reemo_signal1".into());
    assert_eq!(platform.apply(&["DOCKER_VERSION_SIGNAL=3.0.0"], &[]).await.exit, exit::ROLLED_BACK);
    assert!(!begun(platform.changes()), "the first does not come up: the second goes on serving");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_of_somebody_else_is_not_taken_over() {
    let platform = Platform::installed().await;
    for service in platform.swarm.state().objects.get_mut("services").unwrap() {
        if service["Spec"]["Name"] == "reemo_api" {
            service["Spec"]["Labels"] = serde_json::json!({});
        }
    }
    let heard = platform.apply(&NEW, &[]).await;
    assert_eq!(heard.exit, exit::REFUSED);
    assert!(failure(&heard).contains("reemo_api"), "{}", failure(&heard));
    assert_eq!(platform.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_asks_and_never_posts() {
    let platform = Platform::new(Swarm::bare());
    let extra = ["INIT_DB=true", "INSTALL_DOCKER=true"];
    assert_eq!(platform.plan(&extra).await.exit, exit::PENDING);
    let installed = Platform::installed().await;
    let before = installed.swarm.engine.seen().len();
    assert_eq!(installed.plan(&NEW).await.exit, exit::PENDING);
    for call in platform.swarm.engine.seen().iter().chain(&installed.swarm.engine.seen()[before..]) {
        assert!(call.starts_with("GET "), "{call}");
    }
    assert!(platform.machine.state().commands.is_empty());
    assert_eq!(platform.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_is_as_wanted_costs_one_command_and_nine_calls() {
    let platform = Platform::installed().await;
    let heard = platform.apply(&[], &[]).await;
    assert_eq!((heard.exit, changed(&heard)), (exit::OK, BTreeSet::new()));
    let Some(Event::Recap { trips, .. }) = heard.events.last() else { panic!("no recap") };
    let trips = &trips["one"];
    // Version, info, images; nodes, services, tasks, networks, secrets, configs.
    assert_eq!((trips.handshakes, trips.execs, trips.docker_calls), (1, 1, 9));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_is_asked_with_refresh_alone() {
    let platform = Platform::installed().await;
    let tag = platform.swarm.state().images.iter().find(|i| i.contains("apicron:")).cloned().expect("it was pulled");
    let lookups = || platform.swarm.engine.seen().iter().filter(|c| c.starts_with("GET /distribution/")).count();
    let refresh = || Ask { refresh: true, check: true, detailed_exitcode: true, ..ask(&[]) };

    // Nothing has moved: it is asked for every tag, and there is nothing to do.
    assert_eq!(lookups(), 0);
    let heard = platform.run(&[], refresh()).await;
    assert_eq!((heard.exit, changed(&heard)), (exit::OK, BTreeSet::new()));
    let asked = lookups();
    assert!(asked > 5, "{asked}");

    platform.swarm.state().moved.insert(tag.clone());
    assert_eq!(platform.plan(&[]).await.exit, exit::OK, "what is deployed is what a tag means");
    assert_eq!(lookups(), asked);
    let moved = BTreeSet::from([format!("image {tag}"), "reemo_apicron".to_owned()]);
    let heard = platform.run(&[], refresh()).await;
    assert_eq!((heard.exit, changed(&heard)), (exit::PENDING, moved.clone()));

    let heard = platform.run(&[], Ask { refresh: true, ..ask(&[]) }).await;
    assert_eq!((heard.exit, changed(&heard)), (exit::OK, moved), "{}", failure(&heard));
    assert_eq!(platform.run(&[], refresh()).await.exit, exit::OK);
    assert_eq!(platform.plan(&[]).await.exit, exit::OK, "and without asking it stays so");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_said() {
    let platform = Platform::new(Swarm::ready());
    platform.swarm.state().sick.insert("reemo_portal".into());
    let heard = platform.apply(&["INIT_DB=true"], &[]).await;
    assert_eq!(heard.exit, exit::FAILED, "a failure says more than a success");
    let state = platform.swarm.state();
    assert!(state.changes.iter().any(|c| c.contains("api_license")), "they were used");
    drop(state);
    let said = support::as_text("apply", heard.events);
    for secret in ["eyJsaWNlbmNlIjogImRlbW8ifQ==", "not-a-real-password", "of-the-database", "PRIVATE KEY"] {
        assert!(!said.contains(secret), "{secret} is said");
    }
    assert!(said.contains("reemo_portal"), "something is said");
}

#[test]
fn a_cycle_names_its_path() {
    let platform = Platform::new(Swarm::ready());
    let mut site = platform.site(&[]);
    let cluster = &mut Arc::get_mut(&mut site).unwrap().clusters["infra_manager"];
    for (service, after) in [("reemo_apicron", "reemo_apicronlog"), ("reemo_apicronlog", "reemo_apicron")] {
        let found = cluster.wanted.services.iter_mut().find(|s| s.name == service).unwrap();
        found.after = vec![after.into()];
    }
    let cycle = graph::compile(&site).unwrap_err();
    assert_eq!(cycle.path.first(), cycle.path.last());
    let said = cycle.to_string();
    let way = "infra_manager/reemo_apicron -> infra_manager/reemo_apicronlog";
    let back = "infra_manager/reemo_apicronlog -> infra_manager/reemo_apicron";
    assert!(said.contains(way) || said.contains(back), "{said}");
}

/// Everything a task waits for, however far away.
fn before(graph: &TaskGraph, id: &str) -> BTreeSet<String> {
    let needs = graph.dependencies();
    let start = graph.tasks().position(|t| t.id == id).unwrap_or_else(|| panic!("no task {id}"));
    let (mut seen, mut queue) = (BTreeSet::new(), vec![start]);
    while let Some(at) = queue.pop() {
        for need in &needs[at] {
            if seen.insert(graph.task(*need).id.clone()) {
                queue.push(*need);
            }
        }
    }
    seen
}

#[test]
fn the_portals_wait_for_the_api_of_the_other_cluster() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories/split.yml");
    let site = support::site(&path, &[], &Net::new());
    let graph = graph::compile(&site).unwrap();
    for cluster in ["portaluser_manager", "portaladmin_manager"] {
        let waits = before(&graph, &format!("{cluster}/reemo_portal"));
        for first in ["api_manager/reemo_db", "api_manager/record of the database", "api_manager/reemo_api"] {
            assert!(waits.contains(first), "{cluster}: reemo_portal does not wait for {first}");
        }
        let others: Vec<_> = waits.iter().filter(|id| id.starts_with("portal") && !id.starts_with(cluster)).collect();
        assert!(others.is_empty(), "portals do not wait for each other: {others:?}");
    }
    let waits = before(&graph, "api_manager/reemo_api");
    assert!(waits.iter().all(|id| id.starts_with("api_manager/")), "the api waits for no portal");
    let stages: Vec<_> = graph.tasks().filter(|t| t.cluster == "api_manager").map(|t| t.stage).collect();
    assert!(!stages.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_does_not_go_back() {
    let platform = Platform::installed().await;
    let heard = platform.apply(&NEW, &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    platform.changes();
    // The old inventory wants the old release of everything.
    let heard = platform.apply(&[], &[]).await;
    assert_eq!(heard.exit, exit::REFUSED, "{}", failure(&heard));
    let said = failure(&heard);
    assert!(said.contains("is older than 3.0.0") && said.contains("keep reemo_db at 3.0.0"), "{said}");
    assert_eq!(platform.changes(), Vec::<String>::new());
    // The others may.
    let heard = platform.apply(&["DOCKER_VERSION_DB=3.0.0"], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert_eq!(platform.plan(&["DOCKER_VERSION_DB=3.0.0"]).await.exit, exit::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_wrong_is_refused() {
    let platform = Platform::installed().await;
    platform.machine.state().clock_ahead_s = 3600;
    let heard = platform.apply(&NEW, &[]).await;
    assert_eq!(heard.exit, exit::REFUSED);
    assert!(failure(&heard).contains("s ahead of this machine's"), "{}", failure(&heard));
    assert_eq!(platform.changes(), Vec::<String>::new());
    platform.machine.state().clock_ahead_s = 20;
    assert_eq!(platform.apply(&NEW, &[]).await.exit, exit::OK);
}

/// What `apply FILE` does with a plan that was kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_review_is_asked_before_anything_is_done() {
    let platform = Platform::installed().await;
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let with = |refuse: bool, check: bool| {
        let asked = asked.clone();
        let review: Review = Arc::new(move |verdicts| {
            let changes = verdicts.iter().filter(|(_, v)| !v.is_unchanged()).map(|(t, _)| t.title.clone());
            asked.lock().unwrap().push(changes.collect::<BTreeSet<_>>());
            if refuse { Err(Fault::refused("the plan does not hold any more", "")) } else { Ok(()) }
        });
        Ask { review: Some(review), check, ..ask(&[]) }
    };
    let planned = platform.run(&NEW, with(false, true)).await;
    assert_eq!(planned.exit, exit::OK);
    let heard = platform.run(&NEW, with(true, false)).await;
    assert_eq!(heard.exit, exit::REFUSED, "{}", failure(&heard));
    assert!(failure(&heard).contains("does not hold any more"));
    assert_eq!((platform.changes(), platform.swarm.state().locks.len()), (vec![], 1), "no lock was taken");
    assert_eq!(platform.run(&NEW, with(false, false)).await.exit, exit::OK);
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 3);
    assert!(
        asked[0].contains("reemo_api") && asked.iter().all(|a| *a == asked[0]),
        "plan and apply are asked the same"
    );
}

/// Traefik reads a certificate when a file it watches names it: it must not be told before the certificate is there.
#[test]
fn files_of_a_service_are_written_in_the_roles_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("inventories/three.yml");
    let site = support::site(&path, &[], &Net::new());
    let graph = graph::compile(&site).unwrap();
    let task = |path: &str| {
        let its = |t: &&Arc<Task>| t.host.as_deref() == Some("infra_manager1") && t.title.ends_with(path);
        graph.tasks().find(its).unwrap_or_else(|| panic!("no task for {path}")).id.clone()
    };
    let mut pairs = 0;
    for service in &site.clusters["infra_manager"].wanted.services {
        for pair in service.files.windows(2) {
            let waits = before(&graph, &task(&pair[1].path));
            assert!(waits.contains(&task(&pair[0].path)), "{} does not wait for {}", pair[1].path, pair[0].path);
            pairs += 1;
        }
    }
    assert!(pairs >= 3, "{pairs}");
}
