//! A platform that somebody else installed: refused, examined, taken over without a copy being replaced, and then updated
//! as any other.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use reemo_infra::engine::adopt::{self, First, Report, Said, State};
use reemo_infra::engine::apply::{exit, probes};
use reemo_infra::engine::fault::{Fault, FaultKind};
use reemo_infra::engine::fleet::Fleet;
use reemo_infra::engine::graph;
use reemo_infra::engine::run::{Options, Run};
use reemo_infra::engine::safety::Safety;
use reemo_infra::engine::site::Site;
use reemo_model::event::Sink;
use reemo_resource::swarm::{ADOPTED, INITIALISED};
use reemo_transport::Connector;
use serde_json::{Value, json};
use support::machine::Entry;
use support::platform::{Platform, changed, failure, owner, wish};

const INTERNAL: &str = "\
all:
  vars: {API_LICENSE: eyJsaWNlbmNlIjogImRlbW8ifQ==, REGISTRY_USERNAME: user, REGISTRY_PASSWORD: not-a-real-password}
infra_manager:
  hosts:
    one: {ansible_host: 10.0.0.1}
";

/// What the role leaves: no labels of ours, secrets with other names, passwords in the environment, no records.
async fn installed_by_the_role() -> Platform {
    let platform = Platform::installed().await;
    let mut state = platform.swarm.state();
    for service in state.objects.get_mut("services").unwrap() {
        let spec = &mut service["Spec"];
        spec["Labels"] = json!({"of": "the role"});
        let container = &mut spec["TaskTemplate"]["ContainerSpec"];
        container["Env"].as_array_mut().unwrap().push(json!("THEIR_PASSWORD=in-the-environment"));
        for secret in container["Secrets"].as_array_mut().into_iter().flatten() {
            secret["SecretName"] = json!(format!("their_{}", secret["File"]["Name"].as_str().unwrap()));
        }
    }
    // Copies are made from what their services are.
    let services = state.objects["services"].clone();
    for task in state.objects.get_mut("tasks").unwrap() {
        let of = services.iter().find(|s| s["ID"] == task["ServiceID"]).unwrap();
        task["Spec"] = of["Spec"]["TaskTemplate"].clone();
    }
    for kind in ["secrets", "configs"] {
        let objects = state.objects.get_mut(kind).unwrap();
        objects.retain(|o| !o["Spec"]["Name"].as_str().unwrap().contains("record"));
        for (n, object) in objects.iter_mut().enumerate() {
            object["Spec"]["Name"] = json!(format!("their_{kind}_{n}"));
            object["Spec"]["Labels"] = json!({});
        }
    }
    state.objects.get_mut("services").unwrap().push(json!({
        "ID": "service-of-theirs", "Version": {"Index": 1},
        "Spec": {"Name": "their_backup", "Labels": {}, "Mode": {"Replicated": {"Replicas": 1}},
            "TaskTemplate": {"ContainerSpec": {"Image": "backup:1"}}},
    }));
    state.changes.clear();
    drop(state);
    platform
}

/// Connected and looked at.
async fn looked(platform: &Platform, site: Arc<Site>) -> Arc<Run> {
    let graph = graph::compile(&site).unwrap();
    let connector = Connector::new(Arc::new(platform.net.clone()));
    let mut fleet = Fleet::connect_by(&connector, &site, probes(&site, &graph), 50).await;
    let world = fleet.first_look(&site).await.unwrap();
    let options = Options { forks: 50, ..Options::default() };
    Run::new(site, graph, Arc::new(fleet), world, Sink::new(|_| {}), options, Safety::default())
}

async fn report(run: &Run, said: Said) -> Report {
    let world = run.world.read().await.clone();
    let name = "infra_manager".to_owned();
    let docker = run.fleet.host("one").unwrap().docker().await.unwrap();
    let left = adopt::left(&docker, &world.swarms[&name], &run.site.clusters[&name]).await.unwrap();
    let (left, said) = (BTreeMap::from([(name.clone(), left)]), BTreeMap::from([(name, said)]));
    adopt::examine(&run.site, &run.graph, &world, &left, &said).remove(0)
}

async fn take(platform: &Platform) -> Result<(), Fault> {
    let run = looked(platform, platform.site(&[])).await;
    let report = report(&run, Said::default()).await;
    assert_eq!(report.state, State::Adoptable, "{report:#?}");
    run.lock(wish(owner())).await.unwrap();
    let taken = run.adopt(&report).await;
    run.unlock().await;
    taken
}

/// Ids and specifications of all copies.
fn copies(platform: &Platform) -> BTreeMap<String, Value> {
    let state = platform.swarm.state();
    state.objects["tasks"].iter().map(|t| (t["ID"].as_str().unwrap().to_owned(), t["Spec"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_refuses_it_and_names_the_way() {
    let platform = installed_by_the_role().await;
    let heard = platform.apply(&[], &[]).await;
    assert_eq!(heard.exit, exit::REFUSED);
    let said = failure(&heard);
    assert!(said.contains("that this tool did not make") && said.contains("`reemo-infra adopt`"), "{said}");
    assert_eq!(platform.changes(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_says_what_differs_and_changes_nothing() {
    let platform = installed_by_the_role().await;
    platform.swarm.state().objects.get_mut("services").unwrap().retain(|s| s["Spec"]["Name"] != "reemo_maintenance");
    let before = platform.swarm.state().objects.clone();
    let run = looked(&platform, platform.site(&[])).await;
    let unset = vec!["DB_INTERNAL_USER_PASSWORD", "HMACSECRET"];
    let report = report(&run, Said { certificates: String::new(), unset }).await;
    assert_eq!(platform.swarm.state().objects, before);
    assert_eq!(report.state, State::Adoptable, "{report:#?}");
    let of = |name: &str| report.services.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("{name}"));
    for (name, first) in [
        ("reemo_api", First::Replaced),
        ("traefik", First::Stopped),
        ("reemo_maintenance", First::Created),
        ("reemo_db", First::Runs),
    ] {
        assert_eq!(of(name).first_apply, first, "{name}");
    }
    let fields: BTreeSet<&str> = of("reemo_api").differs.iter().map(|f| f.field.as_str()).collect();
    assert!(fields.contains("Env.THEIR_PASSWORD") && fields.contains("Labels.of"), "{fields:?}");
    assert!(fields.iter().any(|f| f.starts_with("Secrets.tls.key.")), "{fields:?}");
    assert!(!fields.iter().any(|f| f.contains("Image") || f.contains("io.reemo")), "{fields:?}");
    assert!(of("reemo_api").differs.iter().all(|f| !f.field.contains("io.reemo")));
    assert_eq!(report.left.services, ["their_backup"]);
    assert!(report.left.secrets.contains(&"their_secrets_0".to_owned()), "{:?}", report.left);
    assert!(report.left.configs.contains(&"their_configs_0".to_owned()), "{:?}", report.left);
    let mind: Vec<&str> = report.mind.iter().map(|r| r.why.as_str()).collect();
    assert!(mind.iter().any(|w| w.contains("refuse each other")), "{mind:?}");
    assert!(mind.iter().any(|w| w.contains("stops these before") && w.contains("traefik")), "{mind:?}");
    let hints: Vec<&str> = report.mind.iter().map(|r| r.hint.as_str()).collect();
    assert!(hints.iter().any(|h| h.contains("HMACSECRET")), "{hints:?}");
    assert!(!hints.iter().any(|h| h.contains("DB_INTERNAL")), "its database is external: {hints:?}");
    // Whatever prints it scrubs what it prints.
    let printed = serde_json::to_string(&report).unwrap();
    assert!(
        printed.contains("in-the-environment") && !reemo_model::secret::scrub(&printed).contains("in-the-environment")
    );
    let given = self::report(&run, Said { certificates: "external-ca".into(), unset: vec![] }).await;
    assert!(!given.mind.iter().any(|r| r.why.contains("refuse each other")), "{:?}", given.mind);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_copy_is_replaced_and_then_it_is_a_platform_as_any_other() {
    let platform = installed_by_the_role().await;
    let before = copies(&platform);
    take(&platform).await.unwrap();
    assert_eq!(copies(&platform), before);
    let changes = platform.changes();
    let (records, labels) = changes.split_at(2);
    assert_eq!(records, [format!("create configs {INITIALISED}"), format!("create configs {ADOPTED}")]);
    assert!(labels.iter().all(|c| c.starts_with("update ")), "{labels:?}");
    let site = platform.site(&[]);
    assert_eq!(labels.len(), site.clusters["infra_manager"].wanted.services.len());
    {
        let state = platform.swarm.state();
        let api = &state.service("reemo_api").unwrap()["Spec"]["Labels"];
        assert_eq!(api["io.reemo.site"], json!(site.clusters["infra_manager"].site_id));
        assert_eq!((&api["io.reemo.managed"], &api["io.reemo.release"]), (&json!("true"), &json!("2.13.10")));
        assert_eq!(api["of"], "the role", "what is there stays");
        assert!(state.service("their_backup").unwrap()["Spec"]["Labels"].get("io.reemo.managed").is_none());
    }
    let run = looked(&platform, platform.site(&[])).await;
    assert_eq!(report(&run, Said::default()).await.state, State::Ours);

    let heard = platform.apply(&["INIT_DB=true"], &[]).await;
    assert_eq!(heard.exit, exit::REFUSED, "{}", failure(&heard));
    assert!(failure(&heard).contains("was initialised before"), "{}", failure(&heard));
    let planned = platform.plan(&[]).await;
    assert_eq!(planned.exit, exit::PENDING, "{}", failure(&planned));
    assert!(changed(&planned).contains("reemo_api"), "{:?}", changed(&planned));
    assert_eq!(platform.changes(), Vec::<String>::new());
    let heard = platform.apply(&[], &[]).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    let updates: Vec<String> = platform.changes().into_iter().filter(|c| c.starts_with("update reemo_")).collect();
    let at =
        |part: &str| updates.iter().position(|c| c.starts_with(part)).unwrap_or_else(|| panic!("{part} {updates:?}"));
    assert!(at("update reemo_db") < at("update reemo_api") && at("update reemo_api") < at("update reemo_portal"));
    assert!(platform.swarm.state().service("their_backup").is_some());
    let heard = platform.plan(&[]).await;
    assert_eq!(heard.exit, exit::OK, "{:?}", changed(&heard));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_are_replaced_all_the_same_are_noticed() {
    let platform = installed_by_the_role().await;
    platform.swarm.state().restless = true;
    let fault = take(&platform).await.unwrap_err();
    assert!(fault.cause.contains("copies were replaced") && fault.cause.contains("reemo_api"), "{}", fault.cause);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_changes_meanwhile_is_not_overwritten_and_the_same_again_goes_on() {
    let platform = installed_by_the_role().await;
    platform.swarm.state().meddle = Some(|service| service["Spec"]["Labels"]["by"] = json!("hand"));
    let fault = take(&platform).await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Moved, "{}", fault.cause);
    assert!(fault.hint.contains("again"), "{}", fault.hint);
    take(&platform).await.unwrap();
    let run = looked(&platform, platform.site(&[])).await;
    assert_eq!(report(&run, Said::default()).await.state, State::Ours);
    let state = platform.swarm.state();
    let by_hand = state.objects["services"].iter().filter(|s| s["Spec"]["Labels"]["by"] == "hand").count();
    assert_eq!(by_hand, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_being_updated_is_waited_for_by_its_operator() {
    let platform = installed_by_the_role().await;
    platform.swarm.state().objects.get_mut("services").unwrap()[0]["UpdateStatus"] = json!({"State": "updating"});
    let run = looked(&platform, platform.site(&[])).await;
    let report = report(&run, Said::default()).await;
    assert_eq!(report.state, State::Refused);
    assert!(report.in_the_way[0].why.ends_with("is being updated"), "{:?}", report.in_the_way);
}

/// A service of an internal database, its directory and what is in it.
fn with_database(platform: &Platform, source: Value, env: &[&str], data: &[&str]) {
    let mut state = platform.swarm.state();
    let id = "service-mysql";
    let task =
        json!({"ContainerSpec": {"Image": "registry.reemo.io/reemoinframysql:8", "Env": env, "Mounts": [source]}});
    let objects = &mut state.objects;
    objects.get_mut("services").unwrap().retain(|s| s["ID"] != id);
    objects.get_mut("services").unwrap().push(json!({"ID": id, "Version": {"Index": 1},
        "Spec": {"Name": "reemo_mysql", "Labels": {}, "Mode": {"Replicated": {"Replicas": 1}}, "TaskTemplate": task}}));
    objects.get_mut("tasks").unwrap().retain(|t| t["ServiceID"] != id);
    objects
        .get_mut("tasks")
        .unwrap()
        .push(json!({"ID": "task-mysql", "ServiceID": id, "NodeID": "node1", "Spec": task,
        "DesiredState": "running", "Status": {"State": "running"}}));
    drop(state);
    let mut machine = platform.machine.state();
    machine.files.retain(|path, _| !path.starts_with("/opt/"));
    for path in data {
        let entry = |content| Entry { mode: 0o755, owner: "999:999".into(), content };
        for (at, _) in path.match_indices('/').skip(1) {
            machine.files.insert(path[..at].to_owned(), entry(None));
        }
        machine.files.insert((*path).to_owned(), entry(Some(b"data".to_vec())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_goes_on_with_its_data_or_not_at_all() {
    let platform = installed_by_the_role().await;
    std::fs::write(platform.folder.path().join("internal.yml"), INTERNAL).unwrap();
    let bind = |dir: &str| json!({"Type": "bind", "Source": dir, "Target": "/var/lib/mysql"});
    let volume = json!({"Type": "volume", "Source": "mysql", "Target": "/var/lib/mysql"});
    let theirs = ["DB_NAME=theirs", "DB_USER=reemo"];
    let ours = ["DB_NAME=reemo", "DB_USER=reemo"];
    let usual = "/opt/reemo/mysql/ibdata1";
    for (mount, env, data, extra, in_the_way) in [
        (bind("/opt/reemo/mysql"), &ours, &[usual][..], &[][..], None),
        (bind("/opt/reemo/mysql"), &ours, &[], &[], Some("no host holds a database in /opt/reemo/mysql")),
        (bind("/opt/reemo"), &ours, &["/opt/reemo/ibdata1"], &[], Some("DB_DATA_DIR: \"/opt/reemo\"")),
        (bind("/opt/reemo"), &ours, &["/opt/reemo/ibdata1"], &["DB_DATA_DIR=/opt/reemo"], None),
        (volume, &ours, &[usual], &[], Some("no directory of its host")),
        (bind("/opt/reemo/mysql"), &theirs, &[usual], &[], Some("DB_INTERNAL_NAME: \"theirs\"")),
        (bind("/opt/reemo/mysql"), &theirs, &[usual], &["DB_INTERNAL_NAME=theirs"], None),
    ] {
        with_database(&platform, mount.clone(), env, data);
        let extra: Vec<String> = extra.iter().map(|e| (*e).to_owned()).collect();
        let pki = (platform.folder.path().join("pki"), platform.folder.path().join("passphrase"));
        let inventory = platform.folder.path().join("internal.yml");
        let run = looked(&platform, support::site_with(&inventory, &extra, &platform.net, Some(pki))).await;
        let unset = vec!["DB_INTERNAL_USER_PASSWORD", "DB_INTERNAL_ROOT_PASSWORD"];
        let report = report(&run, Said { certificates: "provided".into(), unset }).await;
        let said = format!("{:?}", report.in_the_way);
        match in_the_way {
            None => {
                assert_eq!((report.state, said.as_str()), (State::Adoptable, "[]"), "{mount} {extra:?}");
                let database = report.database.unwrap();
                assert_eq!((database.filled, database.runs_on.as_deref()), (true, Some("one")));
                let hints: String = report.mind.iter().map(|r| r.hint.as_str()).collect();
                assert!(hints.contains("DB_INTERNAL_USER_PASSWORD and DB_INTERNAL_ROOT_PASSWORD"), "{hints}");
            }
            Some(part) => {
                assert_eq!(report.state, State::Refused, "{mount} {extra:?}");
                assert!(said.replace("\\\"", "\"").contains(part), "{said}");
            }
        }
    }
}
