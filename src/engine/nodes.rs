//! A node taken out of its Swarm, step by step, each waited for.

use std::time::{Duration, Instant};

use reemo_resource::swarm::observed::{number, text};
use reemo_transport::Docker;
use serde_json::{Value, json};

use super::fault::Fault;
use super::query::filtered;
use super::quorum::Quorum;

/// What runs on a node has its own time to stop: at most two minutes.
const EMPTY: Duration = Duration::from_secs(180);
/// The other managers are told at once.
const DEMOTED: Duration = Duration::from_secs(30);

fn said(doing: &str) -> impl Fn(bollard::errors::Error) -> Fault + use<'_> {
    move |e| Fault::docker(doing, &e)
}

/// Nothing is started there any more, and what runs there has ended. A node that is down is not waited for.
pub async fn drain(docker: &Docker, node: &str) -> Result<(), Fault> {
    change(docker, node, |spec| spec["Availability"] = json!("drain")).await?;
    let of_node = filtered("/tasks", &json!({"node": {node: true}, "desired-state": {"running": true}}));
    let deadline = Instant::now() + EMPTY;
    loop {
        let found = docker.read(&format!("/nodes/{node}")).await.map_err(said("read the node"))?;
        let tasks = docker.read(&of_node).await.map_err(said("read its tasks"))?;
        let left = tasks.as_array().map_or(0, Vec::len);
        if left == 0 || text(&found, &["Status", "State"]) != "ready" {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Fault::failed(format!(
                "{left} containers do not leave {}",
                text(&found, &["Description", "Hostname"])
            )));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// A manager becomes a worker, if the others can do without it now.
pub async fn demote(docker: &Docker, cluster: &str, node: &str) -> Result<(), Fault> {
    let nodes = docker.read("/nodes").await.map_err(said("read the nodes"))?;
    let nodes = nodes.as_array().cloned().unwrap_or_default();
    if let Some(there) = nodes.iter().find(|n| text(n, &["ID"]) == node) {
        Quorum::of(&nodes).without(cluster, text(there, &["Description", "Hostname"]), there)?;
    }
    change(docker, node, |spec| spec["Role"] = json!("worker")).await?;
    let deadline = Instant::now() + DEMOTED;
    loop {
        let found = docker.read(&format!("/nodes/{node}")).await.map_err(said("read the node"))?;
        if found.get("ManagerStatus").is_none_or(Value::is_null) {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Fault::failed(format!("{} stays a manager", text(&found, &["Description", "Hostname"]))));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn change(docker: &Docker, node: &str, edit: impl Fn(&mut Value)) -> Result<(), Fault> {
    let found = docker.read(&format!("/nodes/{node}")).await.map_err(said("read the node"))?;
    let mut spec = found["Spec"].clone();
    edit(&mut spec);
    let version = number(&found, &["Version", "Index"]).unwrap_or_default();
    let path = format!("/nodes/{node}/update?version={version}");
    docker.post(&path, &spec, None).await.map(drop).map_err(said("change the node"))
}
