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
    /// WebSocket relays.
    Relayws,
    /// A farm of session containers.
    Provision,
}

impl Environment {
    /// All of them, in the order of a rollout: what the platform drives, the api side, the portals.
    pub const ALL: [Environment; 5] =
        [Environment::Infra, Environment::Api, Environment::Relayws, Environment::Provision, Environment::Portal];

    /// The group of the vendor's documents. A farm has two, named after it; this is the managers' of the first.
    pub fn group(self) -> &'static str {
        match self {
            Environment::Infra => "infra_manager",
            Environment::Portal => "portal_manager",
            Environment::Api => "api_manager",
            Environment::Relayws => "relayws_manager",
            Environment::Provision => "provision_manager",
        }
    }

    /// `infra`, `portal`, `api`, `relayws`, `provision`.
    pub fn word(self) -> &'static str {
        match self {
            Environment::Infra => "infra",
            Environment::Portal => "portal",
            Environment::Api => "api",
            Environment::Relayws => "relayws",
            Environment::Provision => "provision",
        }
    }

    /// The platform proper, and not a place it drives.
    pub fn is_platform(self) -> bool {
        matches!(self, Environment::Infra | Environment::Api | Environment::Portal)
    }
}

/// The hosts of one leaf manager group: one Swarm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Name of the leaf group; of a farm `provision`, `provision2`: its groups' name without `_manager`.
    pub name: String,
    /// What runs there.
    pub environment: Environment,
    /// Its hosts, in inventory order, managers first.
    pub hosts: Vec<String>,
    /// Those of them that are workers of the Swarm.
    pub workers: Vec<String>,
}

/// The clusters of an inventory: `infra_manager`, `relayws_manager`, each leaf group below `api_manager` and
/// `portal_manager` (or the group itself), and each farm. Hosts written in a group that also has children form a
/// cluster of their own, unless a child has them too. Groups without hosts form none.
pub fn clusters(inventory: &Inventory) -> Vec<Cluster> {
    let mut out: Vec<Cluster> = Vec::new();
    for environment in Environment::ALL {
        if environment == Environment::Provision {
            out.extend(farms(inventory));
            continue;
        }
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

/// The name of the farm a group belongs to, and whether it is the workers' group: `provision2_worker` → `provision2`.
pub fn farm_of(group: &str) -> Option<(&str, bool)> {
    let (farm, worker) = match (group.strip_suffix("_manager"), group.strip_suffix("_worker")) {
        (Some(farm), _) => (farm, false),
        (_, Some(farm)) => (farm, true),
        _ => return None,
    };
    let rest = farm.strip_prefix("provision")?;
    rest.chars().all(|c| c.is_ascii_alphanumeric()).then_some((farm, worker))
}

/// Each pair of groups `provision…_manager` and `provision…_worker` is one Swarm; it may do without workers.
fn farms(inventory: &Inventory) -> Vec<Cluster> {
    let managers = inventory.groups.keys().filter_map(|g| farm_of(g).filter(|(_, worker)| !worker));
    let cluster = |(farm, _): (&str, bool)| {
        let hosts = |kind: &str| -> Vec<String> {
            inventory.hosts_of(&format!("{farm}_{kind}")).into_iter().map(str::to_owned).collect()
        };
        let managers = hosts("manager");
        let workers: Vec<String> = hosts("worker").into_iter().filter(|w| !managers.contains(w)).collect();
        let hosts = managers.iter().chain(&workers).cloned().collect();
        (!managers.is_empty()).then(|| Cluster {
            name: farm.to_owned(),
            environment: Environment::Provision,
            hosts,
            workers,
        })
    };
    let mut farms: Vec<Cluster> = managers.filter_map(cluster).collect();
    farms.sort_by(|a, b| a.name.len().cmp(&b.name.len()).then_with(|| a.name.cmp(&b.name)));
    farms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_farms() {
        assert_eq!(farm_of("provision_manager"), Some(("provision", false)));
        assert_eq!(farm_of("provision2_worker"), Some(("provision2", true)));
        assert_eq!(farm_of("provision"), None);
        assert_eq!(farm_of("portal_manager"), None);
    }
}
