//! Which images each node has of those it should have.

use std::collections::BTreeSet;

use reemo_model::change::Verdict;

use crate::engine::evaluate::View;
use crate::engine::graph::TaskGraph;
use crate::engine::site::Site;
use crate::engine::task::What;
use crate::engine::world::World;

/// An image on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Cluster of the node.
    pub cluster: String,
    /// The node, by its name in the inventory.
    pub host: String,
    /// `registry/name:tag`.
    pub reference: String,
    /// Is it there, and is it the one that is wanted? `None`: the node was not reached.
    pub present: Option<bool>,
}

/// Every image of every node that is to have it: what a plan would say of them.
pub fn rows(site: &Site, graph: &TaskGraph, world: &World) -> Vec<Row> {
    let view = View { site, world, changed: &BTreeSet::new() };
    let mut rows = Vec::new();
    for task in graph.tasks() {
        let (What::Image { reference }, Some(host)) = (&task.what, &task.host) else { continue };
        let present = world.reached(host).then(|| matches!(view.verdict(task), Verdict::Unchanged));
        rows.push(Row { cluster: task.cluster.clone(), host: host.clone(), reference: reference.clone(), present });
    }
    rows.sort_by(|a, b| (&a.cluster, &a.host, &a.reference).cmp(&(&b.cluster, &b.host, &b.reference)));
    rows
}
