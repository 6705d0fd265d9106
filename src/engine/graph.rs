//! From what is wanted to one task graph over all clusters and hosts.

mod build;
mod parts;
mod rollout;
mod show;
mod storage;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use reemo_model::catalogue::Stage;

use super::site::{ClusterSite, Site};
use super::task::Task;
use build::Builder;

/// The graph: an edge points from what comes first to what depends on it.
#[derive(Clone, Debug, Default)]
pub struct TaskGraph {
    /// Tasks and order.
    pub dag: DiGraph<Arc<Task>, ()>,
}

/// The tasks wait for each other.
#[derive(Debug)]
pub struct Cycle {
    /// Task ids along the cycle; the first is repeated at the end.
    pub path: Vec<String>,
}

impl std::fmt::Display for Cycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "these tasks wait for each other: {}", self.path.join(" -> "))
    }
}

impl TaskGraph {
    /// Dependencies of each task, by index: what the ready queue works on.
    pub fn dependencies(&self) -> Vec<Vec<usize>> {
        let of = |i: NodeIndex| {
            let mut needs: Vec<usize> =
                self.dag.neighbors_directed(i, petgraph::Incoming).map(NodeIndex::index).collect();
            needs.sort_unstable();
            needs.dedup();
            needs
        };
        self.dag.node_indices().map(of).collect()
    }

    /// The task at an index.
    pub fn task(&self, index: usize) -> &Arc<Task> {
        &self.dag[NodeIndex::new(index)]
    }

    /// All tasks, in index order.
    pub fn tasks(&self) -> impl Iterator<Item = &Arc<Task>> {
        self.dag.node_weights()
    }

    /// Without what comes after a stage.
    pub fn until(&self, last: Stage) -> TaskGraph {
        let keep = |_, task: &Arc<Task>| (task.stage <= last).then(|| task.clone());
        TaskGraph { dag: self.dag.filter_map(keep, |_, ()| Some(())) }
    }

    fn find_cycle(&self) -> Option<Cycle> {
        let knot = tarjan_scc(&self.dag)
            .into_iter()
            .find(|scc| scc.len() > 1 || self.dag.find_edge(scc[0], scc[0]).is_some())?;
        let inside: BTreeSet<NodeIndex> = knot.iter().copied().collect();
        // The shortest way from a node of the knot back to itself.
        let start = *inside.iter().next()?;
        let mut came: BTreeMap<NodeIndex, NodeIndex> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for next in self.dag.neighbors(at).filter(|n| inside.contains(n)) {
                if next == start {
                    let mut path = vec![self.dag[start].id.clone()];
                    let mut step = at;
                    while step != start {
                        path.push(self.dag[step].id.clone());
                        step = came[&step];
                    }
                    path.push(self.dag[start].id.clone());
                    path.reverse();
                    return Some(Cycle { path });
                }
                if let std::collections::btree_map::Entry::Vacant(e) = came.entry(next) {
                    e.insert(at);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

/// Compiles the graph. A cycle (a role file's `after:`) is an error that names its path.
pub fn compile(site: &Site) -> Result<TaskGraph, Cycle> {
    let mut builder = Builder {
        site,
        graph: TaskGraph::default(),
        known: BTreeMap::new(),
        apis: Vec::new(),
        records: BTreeMap::new(),
        ends: Vec::new(),
        healths: Vec::new(),
    };
    // Clusters whose api others use come first, so that their tasks are there to be depended on.
    let mut clusters: Vec<(&String, &ClusterSite)> = site.clusters.iter().collect();
    clusters.sort_by_key(|(_, c)| c.wanted.cluster.environment == "portal");
    for (name, cluster) in clusters {
        builder.cluster(name, cluster);
    }
    builder.health_last();
    let graph = builder.graph;
    match graph.find_cycle() {
        Some(cycle) => Err(cycle),
        None => Ok(graph),
    }
}
