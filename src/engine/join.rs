//! How a host joins a Swarm. Managers come one after the other, and each has to count before the next is let in: a
//! Swarm of one that takes in two at once has three managers of which one answers, and can change nothing any more.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::models;
use reemo_model::secret::Secret;
use reemo_resource::swarm::observed::text;
use reemo_transport::{Docker, Host};
use serde_json::Value;

use super::fault::Fault;
use super::interpret::Scene;
use super::pause::Pause;
use super::quorum::Quorum;

/// So long those that joined before, or were restarted, may take until they count.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where managers are asked.
const PORT: u16 = 2377;

/// Joins the Swarm of the first of `ask` that is a manager of one.
pub async fn join(
    scene: &Scene<'_>,
    docker: &Docker,
    worker: bool,
    advertise: &str,
    ask: &[String],
) -> Result<(), Fault> {
    let name = scene.host.name();
    let mut tried = Vec::new();
    for asked in ask {
        let Some(other) = (scene.others)(asked) else {
            continue;
        };
        let way = match way_in(&other, worker, advertise).await {
            Ok(Some(way)) => way,
            Ok(None) => continue,
            Err(e) => {
                tried.push(e.cause);
                continue;
            }
        };
        if !worker {
            all_count(&other, name).await?;
        }
        let request = models::SwarmJoinRequest {
            listen_addr: Some(format!("0.0.0.0:{PORT}")),
            advertise_addr: Some(advertise.to_owned()),
            remote_addrs: Some(way.managers),
            join_token: way.token.expose_str().map(str::to_owned),
            ..Default::default()
        };
        let joined = docker.join_swarm(request).await;
        return joined.map_err(|e| Fault::docker(&format!("{name}: join the Swarm of {asked}"), &e));
    }
    Err(Fault::failed(format!("{name}: no live manager gave a join token")).lines(tried))
}

/// What it takes to be let in.
struct WayIn {
    token: Secret,
    managers: Vec<String>,
}

/// None where that host is no manager.
async fn way_in(other: &Arc<dyn Host>, worker: bool, advertise: &str) -> Result<Option<WayIn>, Fault> {
    let name = other.name();
    let engine = other.docker().await?;
    let swarm = engine.inspect_swarm().await.map_err(|e| Fault::docker(&format!("{name}: read the join token"), &e))?;
    let Some(token) = swarm.join_tokens.and_then(|t| if worker { t.worker } else { t.manager }) else {
        return Ok(None);
    };
    let info = engine.info().await.map_err(|e| Fault::docker(&format!("{name}: info"), &e))?;
    let own = info.swarm.and_then(|s| s.node_addr).unwrap_or_default();
    let managers = managers(&own, &nodes(&engine, name).await?, advertise);
    Ok(Some(WayIn { token: Secret::new(token), managers }))
}

/// Whom the newcomer may ask: the one that gave the token, and who else answers. An engine remembers managers that are
/// gone for good, and after `--force-new-cluster` one of them may have had the newcomer's own address.
fn managers(own: &str, nodes: &[Value], newcomer: &str) -> Vec<String> {
    let newcomer = format!("{newcomer}:{PORT}");
    let own = Some(own).filter(|own| !own.is_empty()).map(|own| format!("{own}:{PORT}"));
    let others = nodes.iter().filter(|n| text(n, &["ManagerStatus", "Reachability"]) == "reachable");
    let others = others.map(|n| text(n, &["ManagerStatus", "Addr"]).to_owned());
    let mut all: Vec<String> = Vec::new();
    for address in own.into_iter().chain(others) {
        if !address.is_empty() && address != newcomer && !all.contains(&address) {
            all.push(address);
        }
    }
    all
}

/// Waits until every manager there is counts. Where one stays away, a newcomer is let in only if the Swarm has its
/// quorum also without him.
async fn all_count(other: &Arc<dyn Host>, newcomer: &str) -> Result<(), Fault> {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Pause::new(Duration::from_millis(200), Duration::from_secs(2));
    loop {
        let quorum = Quorum::of(&nodes(&other.docker().await?, other.name()).await?);
        if quorum.reachable == quorum.managers {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return quorum.take_in(newcomer);
        }
        tokio::time::sleep(pause.take()).await;
    }
}

/// Is this manager `reachable` in the list of the leader, which any manager shows? An error says what it is instead.
pub async fn counts(docker: &Docker, node: &str) -> Result<(), String> {
    // A Swarm that has no leader for a moment says so.
    let nodes = nodes(docker, "the Swarm").await.map_err(|fault| fault.cause)?;
    let me = nodes.iter().find(|n| text(n, &["ID"]) == node);
    match me.map(|n| text(n, &["ManagerStatus", "Reachability"])) {
        Some("reachable") => Ok(()),
        None => Err("its Swarm does not list it yet".into()),
        Some("") => Err("its Swarm does not list it as a manager yet".into()),
        Some(other) => Err(format!("its Swarm says that it is {other}")),
    }
}

async fn nodes(docker: &Docker, name: &str) -> Result<Vec<Value>, Fault> {
    let nodes = docker.read("/nodes").await.map_err(|e| Fault::docker(&format!("{name}: read the nodes"), &e))?;
    Ok(nodes.as_array().cloned().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn who_is_gone_and_who_comes_are_not_asked() {
        let manager = |address: &str, state: &str| json!({"ID": address, "ManagerStatus": {"Addr": format!("{address}:2377"), "Reachability": state}});
        let nodes = [
            manager("10.0.0.1", "reachable"),
            manager("10.0.0.2", "reachable"),
            manager("10.0.0.3", "unreachable"),
            manager("10.0.0.4", "reachable"),
            json!({"ID": "a worker"}),
        ];
        assert_eq!(managers("10.0.0.2", &nodes, "10.0.0.4"), ["10.0.0.2:2377", "10.0.0.1:2377"]);
        // An engine that does not know its own address yet.
        assert_eq!(managers("", &nodes[..1], "10.0.0.4"), ["10.0.0.1:2377"]);
    }
}
