//! A task: one resource on one host or cluster, as the graph holds it. Plain data.

use reemo_model::catalogue::{NetworkRole, Stage};
use reemo_model::wanted::{WantedDir, WantedService};
use reemo_resource::host::HostResource;
use reemo_resource::swarm::material::Material;
use std::sync::Arc;

/// One node of the task graph.
#[derive(Clone, Debug)]
pub struct Task {
    /// Unique: `infra_manager/host1/package docker.io`.
    pub id: String,
    /// For people.
    pub title: String,
    /// Cluster it belongs to.
    pub cluster: String,
    /// Host it acts on; `None`: the cluster, through one of its managers.
    pub host: Option<String>,
    /// Stage.
    pub stage: Stage,
    /// When it runs.
    pub select: Select,
    /// What it is about.
    pub what: What,
}

/// Which runs a task belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Select {
    /// Every run: a guard.
    Always,
    /// A run without tags, or with one of these.
    Tags(Vec<String>),
    /// Only a run that asks for one of these.
    OnlyTags(Vec<String>),
}

impl Select {
    /// Runs that include either.
    pub fn or(&self, other: &Select) -> Select {
        match (self, other) {
            (Select::Tags(a), Select::Tags(b)) => {
                let mut tags: Vec<String> = a.iter().chain(b).cloned().collect();
                tags.sort();
                tags.dedup();
                Select::Tags(tags)
            }
            (Select::Always, _) | (_, Select::Always) => Select::Always,
            (Select::OnlyTags(_), wider) | (wider, Select::OnlyTags(_)) => wider.clone(),
        }
    }

    /// Does a run with these `--tags` and `--skip-tags` include the task? Ansible's special words are
    /// `all`, `always`, `never`, `tagged`, `untagged`.
    pub fn includes(&self, tags: &[String], skip: &[String]) -> bool {
        let mine: &[String] = match self {
            Select::Always => return true,
            Select::Tags(mine) | Select::OnlyTags(mine) => mine,
        };
        let only = matches!(self, Select::OnlyTags(_));
        let named = tags.iter().any(|t| mine.contains(t));
        let swept = !only && (tags.is_empty() || tags.iter().any(|t| t == "all" || t == "tagged"));
        (named || swept) && !skip.iter().any(|t| mine.contains(t) || t == "all" || t == "tagged")
    }
}

/// What a task is about: a closed list.
#[derive(Clone, Debug)]
pub enum What {
    /// The host can carry what it is asked to.
    Preflight,
    /// A package, file, directory, JSON key or unit.
    Host(Box<HostResource>),
    /// The repository Docker comes from, where the distribution ships none.
    Repository,
    /// The engine is restarted if its configuration was changed by this run while it was running.
    RestartEngine {
        /// Tasks whose change makes it necessary.
        after: Vec<String>,
        /// `daemon.json` is ours to write in this run.
        daemon: bool,
    },
    /// An engine answers.
    Engine,
    /// The host is a manager of the cluster's Swarm.
    Member,
    /// Nodes of the Swarm that are no hosts of the inventory, removed with `--prune`.
    Prune,
    /// The node that holds the internal database carries the label.
    DataNode,
    /// A directory on the data node only.
    DataDir(WantedDir),
    /// The replicated volume of the database, made through this host.
    Volume,
    /// The definition of what mounts it on the host.
    StorageUnit,
    /// An image is on the node.
    Image {
        /// `registry/name:tag`.
        reference: String,
    },
    /// An overlay network.
    Network {
        /// Name.
        name: String,
        /// Settings.
        role: NetworkRole,
    },
    /// A secret or config.
    Material(Arc<Material>),
    /// The gate before the schema job.
    Database,
    /// A dump of the database, before this service (its schema job) is started.
    Dump(Arc<WantedService>),
    /// The record that the database was initialised.
    Record,
    /// A service.
    Service(Arc<WantedService>),
    /// Services of ours that nobody wants any more.
    Surplus,
    /// The platform's own health tree.
    Health,
}

impl Task {
    /// True when what it does concerns the whole cluster.
    pub fn is_cluster_wide(&self) -> bool {
        self.host.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s(words: &[&str]) -> Vec<String> {
        words.iter().map(|w| (*w).to_owned()).collect()
    }

    #[test]
    fn selection_as_in_ansible() {
        let api = Select::Tags(s(&["api"]));
        assert!(api.includes(&[], &[]) && api.includes(&s(&["api"]), &[]) && api.includes(&s(&["all"]), &[]));
        assert!(!api.includes(&s(&["portal"]), &[]) && !api.includes(&[], &s(&["api"])));
        let page = Select::OnlyTags(s(&["maintenance"]));
        assert!(
            !page.includes(&[], &[]) && !page.includes(&s(&["all"]), &[]) && page.includes(&s(&["maintenance"]), &[])
        );
        assert!(Select::Always.includes(&s(&["portal"]), &s(&["all"])));
    }
}
