//! A manager is let into a Swarm only when those before it count, by scripted engines.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use http::Method;
use reemo_infra::engine::fault::Fault;
use reemo_infra::engine::interpret::Scene;
use reemo_model::op::{DockerOp, Op};
use reemo_transport::fake::{Call, Engine, Reply, ScriptedHost};
use reemo_transport::{Host, Kind, TransportError};
use serde_json::{Value, json};

fn manager(address: &str, state: &str) -> Value {
    json!({"ID": address, "ManagerStatus": {"Addr": format!("{address}:2377"), "Reachability": state}})
}

/// An engine that leads a Swarm; its list of nodes is asked for by number of the question.
fn leader(nodes: impl Fn(usize) -> Vec<Value> + Send + Sync + 'static) -> Engine {
    let (engine, asked) = (Engine::new(), AtomicUsize::new(0));
    engine.get("/swarm", json!({"ID": "swarm1", "JoinTokens": {"Manager": "SWMTKN-m", "Worker": "SWMTKN-w"}}));
    engine.get("/info", json!({"Swarm": {"NodeID": "10.0.0.1", "NodeAddr": "10.0.0.1", "LocalNodeState": "active"}}));
    engine.on(Method::GET, "/nodes", move |_| Reply::json(nodes(asked.fetch_add(1, Ordering::SeqCst)).into()));
    engine
}

/// Has the second host join; what it asked its engine for.
async fn join(leader: Engine, worker: bool) -> (Result<(), Fault>, Vec<Value>) {
    let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (into, newcomer) = (asked.clone(), Engine::new());
    newcomer.on(Method::POST, "/swarm/join", move |call: &Call| {
        into.lock().unwrap().push(call.json());
        Reply::status(200, Value::Null)
    });
    let first: Arc<dyn Host> = Arc::new(ScriptedHost::new("first").engine(leader));
    let scene = Scene {
        host: Arc::new(ScriptedHost::new("second").engine(newcomer)),
        anew: &|| Box::pin(async { Err(TransportError::new(Kind::Internal, "nobody logs in once more", "")) }),
        others: &|name| (name == "first").then(|| first.clone()),
        swarm: None,
        on_line: &|_| {},
    };
    let op = DockerOp::SwarmJoin { worker, advertise: "10.0.0.2".into(), ask: vec!["first".into()] };
    let done = scene.run(&Op::Docker(op)).await;
    let asked = asked.lock().unwrap().clone();
    (done, asked)
}

#[tokio::test]
async fn a_manager_waits_until_the_one_before_it_counts() {
    let nodes = |question| {
        let third = if question < 3 { "unreachable" } else { "reachable" };
        vec![manager("10.0.0.1", "reachable"), manager("10.0.0.3", third)]
    };
    let counted = leader(nodes);
    let (done, asked) = join(counted.clone(), false).await;
    assert_eq!(done, Ok(()));
    let lists = counted.seen().iter().filter(|call| call.contains("/nodes")).count();
    assert_eq!(lists, 4, "asked until all were reachable");
    assert_eq!((asked.len(), &asked[0]["JoinToken"]), (1, &json!("SWMTKN-m")));
    assert_eq!(asked[0]["RemoteAddrs"], json!(["10.0.0.1:2377"]), "whoever was away is not asked");
}

#[tokio::test]
async fn a_worker_waits_for_nobody() {
    let (done, asked) =
        join(leader(|_| vec![manager("10.0.0.1", "reachable"), manager("10.0.0.3", "unreachable")]), true).await;
    assert_eq!((done, &asked[0]["JoinToken"]), (Ok(()), &json!("SWMTKN-w")));
}
