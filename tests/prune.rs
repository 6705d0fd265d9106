//! Nodes that are no hosts of the inventory: named, refused, and with `--prune` taken out as far as the quorum allows.

mod support;

use std::sync::Arc;

use reemo_infra::engine::apply::exit;
use reemo_infra::engine::graph;
use serde_json::{Value, json};
use support::Heard;
use support::platform::{Platform, ask, changed, failure};

fn stranger(id: &str, address: &str, reachable: &str) -> (String, Value) {
    let node = json!({
        "ID": id, "Version": {"Index": 1}, "Spec": {"Role": "manager", "Availability": "active", "Labels": {}},
        "Description": {"Hostname": format!("host-of-{id}")}, "Status": {"State": "ready", "Addr": address},
        "ManagerStatus": {"Reachability": reachable},
    });
    (id.to_owned(), node)
}

async fn run(platform: &Platform, prune: bool, check: bool) -> Heard {
    let mut site = platform.site(&[]);
    for cluster in Arc::get_mut(&mut site).unwrap().clusters.values_mut() {
        cluster.settings.prune = prune;
    }
    let graph = graph::compile(&site).unwrap();
    let mut ask = ask(&[]);
    ask.check = check;
    support::run(&site, graph, &platform.net, &ask).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_taken_out_goes_only_when_asked_for() {
    let platform = Platform::installed().await;
    platform.changes();
    platform.swarm.state().others =
        [stranger("x1", "10.0.0.8", "reachable"), stranger("x2", "10.0.0.1", "reachable")].into();

    let heard = run(&platform, false, false).await;
    let said = failure(&heard);
    assert_eq!(heard.exit, exit::REFUSED, "{said}");
    assert!(said.contains("host-of-x1 (10.0.0.8)") && said.contains("--prune"), "{said}");
    assert!(said.contains("host-of-x2 (10.0.0.1), the node one was before it was replaced"), "{said}");
    assert_eq!(platform.changes(), Vec::<String>::new());

    let heard = run(&platform, true, true).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    assert!(changed(&heard).contains("nodes no longer wanted"), "a plan shows it: {:?}", changed(&heard));
    assert_eq!(platform.changes(), Vec::<String>::new(), "and touches nothing");

    let heard = run(&platform, true, false).await;
    assert_eq!(heard.exit, exit::OK, "{}", failure(&heard));
    let wanted =
        ["drain node x1", "demote node x1", "remove node x1", "drain node x2", "demote node x2", "remove node x2"];
    assert_eq!(platform.changes(), wanted);
    let heard = run(&platform, true, false).await;
    assert_eq!((heard.exit, platform.changes()), (exit::OK, vec![]), "nothing is left to be done");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_the_quorum_nor_the_data_goes_with_it() {
    let platform = Platform::installed().await;
    platform.changes();
    // Three managers, one of them away: the other stranger is needed.
    platform.swarm.state().others =
        [stranger("x1", "10.0.0.8", "reachable"), stranger("x2", "10.0.0.9", "unreachable")].into();
    let heard = run(&platform, true, false).await;
    let said = failure(&heard);
    assert_eq!(heard.exit, exit::REFUSED, "{said}");
    assert!(said.contains("3 managers, and 2 of them are reachable (2 are needed)"), "the sum is said: {said}");
    assert_eq!(platform.changes(), Vec::<String>::new());

    let (id, mut node) = stranger("x1", "10.0.0.8", "reachable");
    node["Spec"]["Labels"] = json!({"io.reemo.data": "true"});
    platform.swarm.state().others = [(id, node)].into();
    let heard = run(&platform, true, false).await;
    let said = failure(&heard);
    assert_eq!(heard.exit, exit::REFUSED, "{said}");
    assert!(said.contains("holds the database"), "{said}");
    assert_eq!(platform.changes(), Vec::<String>::new());
}
