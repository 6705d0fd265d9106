//! Connected and looked at: for commands that work with what is there, and not through the task graph.

use reemo_ui::Printer;

use super::prepare::Exit;
use crate::engine::apply::probes;
use crate::engine::fleet::Fleet;
use crate::engine::graph::{self, TaskGraph};
use crate::engine::site::Site;
use crate::engine::world::World;

/// What was found.
pub struct Looked {
    /// What an apply would be about.
    pub graph: TaskGraph,
    /// The hosts, connected.
    pub fleet: Fleet,
    /// What is there.
    pub world: World,
}

/// Connects to all hosts, at most `forks` at a time, and looks at them.
pub async fn look(site: &Site, forks: usize) -> Result<Looked, Exit> {
    let graph = graph::compile(site).map_err(|e| Exit::invalid(e.to_string()))?;
    let mut fleet = Fleet::connect(site, probes(site, &graph), forks).await;
    let world = fleet.first_look(site).await?;
    Ok(Looked { graph, fleet, world })
}

impl Looked {
    /// Says which hosts could not be reached; true if there is one.
    pub fn say_unreachable(&self, printer: &mut Printer) -> bool {
        for (host, error) in &self.fleet.unreachable {
            printer.error(&format!("{host}: {}", error.message), &error.hint);
        }
        !self.fleet.unreachable.is_empty()
    }
}
