//! The graph as people read it: text, and Graphviz DOT.

use std::collections::BTreeSet;

use petgraph::graph::NodeIndex;
use petgraph::visit::EdgeRef;
use reemo_model::catalogue::Stage;

use super::TaskGraph;
use crate::engine::task::Task;

impl TaskGraph {
    /// Graphviz DOT, one cluster of nodes per stage.
    pub fn dot(&self) -> String {
        let mut out = String::from("digraph reemo {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n");
        for index in self.dag.node_indices() {
            let task = &self.dag[index];
            out.push_str(&format!(
                "  {} [label={:?}];\n",
                index.index(),
                format!("{}\n{}", task.id, task.stage.word())
            ));
        }
        for edge in self.dag.edge_references() {
            out.push_str(&format!("  {} -> {};\n", edge.source().index(), edge.target().index()));
        }
        out.push_str("}\n");
        out
    }

    /// Text, stage by stage, each task with what it waits for inside its own stage.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let clusters: BTreeSet<&String> = self.tasks().map(|t| &t.cluster).collect();
        for cluster in clusters {
            out.push_str(&format!("{cluster}\n"));
            for stage in Stage::ALL {
                let here: Vec<NodeIndex> = self
                    .dag
                    .node_indices()
                    .filter(|i| self.dag[*i].cluster == *cluster && self.dag[*i].stage == stage)
                    .collect();
                if here.is_empty() {
                    continue;
                }
                out.push_str(&format!("  {}\n", stage.word()));
                for index in here {
                    let task = &self.dag[index];
                    let wait: Vec<String> = self
                        .dag
                        .neighbors_directed(index, petgraph::Incoming)
                        .filter(|d| self.dag[*d].stage == stage && self.dag[*d].cluster == *cluster)
                        .map(|d| short(&self.dag[d]))
                        .collect();
                    let after = if wait.is_empty() { String::new() } else { format!("  (after {})", wait.join(", ")) };
                    out.push_str(&format!("    {}{after}\n", short(task)));
                }
            }
        }
        out
    }
}

fn short(task: &Task) -> String {
    match &task.host {
        Some(host) => format!("{host}: {}", task.title),
        None => task.title.clone(),
    }
}
