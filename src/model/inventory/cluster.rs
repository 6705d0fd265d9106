//! Which hosts form one Swarm.

use serde::{Deserialize, Serialize};

use super::Inventory;

/// What runs on a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    /// Everything.
    Infra,
    /// The front: portal, signal, traefik.
    Portal,
    /// The api side: api, its crons, database.
    Api,
}

impl Environment {
    /// All of them, in the order of a rollout: the api side before the portals.
    pub const ALL: [Environment; 3] = [Environment::Infra, Environment::Api, Environment::Portal];

    /// The group of the vendor's document.
    pub fn group(self) -> &'static str {
        match self {
            Environment::Infra => "infra_manager",
            Environment::Portal => "portal_manager",
            Environment::Api => "api_manager",
        }
    }

    /// `infra`, `portal`, `api`.
    pub fn word(self) -> &'static str {
        match self {
            Environment::Infra => "infra",
            Environment::Portal => "portal",
            Environment::Api => "api",
        }
    }
}

/// The hosts of one leaf manager group: one Swarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Name of the leaf group.
    pub name: String,
    /// What runs there.
    pub environment: Environment,
    /// Its hosts, in inventory order, managers first.
    pub hosts: Vec<String>,
    /// Those of them that are workers of the Swarm.
    pub workers: Vec<String>,
}

/// The clusters of an inventory: `infra_manager`, and each leaf group below `api_manager` and
/// `portal_manager` (or the group itself). Hosts written in a group that also has children form a
/// cluster of their own, unless a child has them too. Groups without hosts form none.
pub fn clusters(inventory: &Inventory) -> Vec<Cluster> {
    let mut out: Vec<Cluster> = Vec::new();
    for environment in Environment::ALL {
        for name in inventory.below(environment.group()) {
            let Some(group) = inventory.group(name) else {
                continue;
            };
            let below: Vec<&str> = group.children.iter().flat_map(|child| inventory.hosts_of(child)).collect();
            let hosts: Vec<String> =
                group.hosts.iter().filter(|host| !below.contains(&host.as_str())).cloned().collect();
            if !hosts.is_empty() && !out.iter().any(|c| c.name == name) {
                out.push(Cluster { name: name.to_owned(), environment, hosts, workers: Vec::new() });
            }
        }
    }
    out
}
