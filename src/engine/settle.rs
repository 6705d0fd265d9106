//! What has to be true before a change counts as made.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reemo_transport::Host;

use super::fault::Fault;
use super::join;
use super::pause::Pause;
use super::task::What;

/// So long an engine may take until it answers again.
const PATIENCE: Duration = Duration::from_secs(60);

/// After a restart or a join: the engine answers again, and has its place in the Swarm.
/// `worker`: as one, and not as a manager.
pub async fn settled(what: &What, worker: bool, conn: &Arc<dyn Host>) -> Result<(), Fault> {
    if !matches!(what, What::RestartEngine { .. } | What::Member) {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Pause::new(Duration::from_millis(200), Duration::from_secs(2));
    loop {
        let trouble = match conn.docker().await {
            Ok(docker) => match docker.info().await {
                Ok(info) => {
                    let swarm = info.swarm.unwrap_or_default();
                    let state = swarm.local_node_state.map(|s| s.to_string()).unwrap_or_default();
                    let leads = swarm.control_available == Some(true);
                    let placed = match what {
                        What::Member => state == "active" && leads != worker,
                        _ => matches!(state.as_str(), "active" | "inactive"),
                    };
                    let counted = match what {
                        // The next one may come only when this one counts.
                        What::Member if placed && !worker => {
                            join::counts(&docker, &swarm.node_id.unwrap_or_default()).await
                        }
                        _ => Ok(()),
                    };
                    match counted {
                        Ok(()) if placed => return Ok(()),
                        Ok(()) => format!("its state in the Swarm is `{state}`"),
                        Err(trouble) => trouble,
                    }
                }
                Err(e) => e.to_string(),
            },
            Err(e) => e.message,
        };
        if Instant::now() > deadline {
            return Err(Fault::failed(format!("{}: the engine is not ready: {trouble}", conn.name())));
        }
        tokio::time::sleep(pause.take()).await;
    }
}
