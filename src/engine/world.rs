//! What is known at this moment: the last observation of every host and Swarm, and what has been
//! touched since. An observation counts only while nothing of ours has touched what it shows.

use std::collections::{BTreeMap, BTreeSet};

use reemo_model::catalogue::Stage;
use reemo_model::finding::Finding;
use reemo_resource::host::HostObservation;
use reemo_resource::os::Os;
use reemo_resource::swarm::node::Member;
use reemo_resource::swarm::observed::{EngineObservation, SwarmObservation};

use super::site::Site;
use super::task::Task;

/// Last observations.
#[derive(Clone, Default)]
pub struct World {
    /// By inventory name.
    pub hosts: BTreeMap<String, HostView>,
    /// By cluster; absent: no host of it is in a Swarm, or none could be asked.
    pub swarms: BTreeMap<String, SwarmObservation>,
    /// Digest of each tag in the registry; empty without `--refresh`.
    pub registry: BTreeMap<String, String>,
    /// What is not as it should be around hosts that are to become nodes.
    pub around: Vec<Finding>,
    /// What each host found of its external database, while that is a question.
    pub databases: BTreeMap<String, super::external::Found>,
}

/// What is known of one host.
#[derive(Clone, Default)]
pub struct HostView {
    /// False: not reached in this run.
    pub reachable: bool,
    /// Files, packages, units, facts.
    pub seen: Option<HostObservation>,
    /// Its distribution.
    pub os: Option<Os>,
    /// Its engine, when it answers.
    pub engine: Option<EngineObservation>,
    /// Why the engine does not answer.
    pub engine_trouble: Option<String>,
}

impl World {
    /// The host was reached in this run.
    pub fn reached(&self, host: &str) -> bool {
        self.hosts.get(host).is_some_and(|v| v.reachable)
    }

    /// What a task acts on was reached: its host, or (through any manager) its cluster.
    pub fn within_reach(&self, task: &Task) -> bool {
        task.host.as_ref().is_none_or(|h| self.reached(h))
    }

    /// The hosts of a cluster as the Swarm rules see them.
    pub fn members(&self, site: &Site, cluster: &str) -> Vec<Member> {
        site.hosts_of(cluster)
            .map(|(name, host)| {
                let view = self.hosts.get(name).cloned().unwrap_or_default();
                Member {
                    host: name.clone(),
                    advertise: self.advertise(site, name).unwrap_or_else(|| host.target.address.clone()),
                    engine: view.engine,
                    reachable: view.reachable,
                    worker: host.worker,
                }
            })
            .collect()
    }

    /// The address a host is reached at by the others: the inventory's word, else the SSH address if
    /// it is one, else what the host's default route says.
    pub fn advertise(&self, site: &Site, name: &str) -> Option<String> {
        let host = site.hosts.get(name)?;
        if let Some(said) = &host.advertise {
            return Some(said.clone());
        }
        if host.target.address.parse::<std::net::IpAddr>().is_ok_and(|a| !a.is_loopback()) {
            return Some(host.target.address.clone());
        }
        self.hosts.get(name)?.seen.as_ref()?.facts.address.map(|a| a.to_string())
    }

    /// A reachable host that is a manager of the cluster's Swarm.
    pub fn manager<'a>(&'a self, site: &'a Site, cluster: &'a str) -> Option<&'a String> {
        let engine = |n: &&String| self.hosts.get(*n).and_then(|v| v.engine.as_ref());
        let is_manager = |n: &&String| engine(n).is_some_and(|e| e.manager);
        // One that knows a leader, whoever that is. Of those that do not, the first can say so.
        let knows_leader = |n: &&String| is_manager(n) && engine(n).is_some_and(|e| !e.is_cut_off());
        let managers = || site.hosts_of(cluster).map(|(n, _)| n);
        managers().find(knows_leader).or_else(|| managers().find(is_manager))
    }

    /// The host behind a node id.
    pub fn host_of_node(&self, node: &str) -> Option<&String> {
        self.hosts
            .iter()
            .find(|(_, v)| v.engine.as_ref().is_some_and(|e| !node.is_empty() && e.node_id == node))
            .map(|(n, _)| n)
    }
}

/// What this run has touched since the last look, with the earliest stage that did: a file written beside a join does
/// not make the join any less news to what comes after it.
#[derive(Default)]
pub struct Touched {
    hosts: BTreeMap<String, Stage>,
    swarms: BTreeMap<String, Stage>,
}

impl Touched {
    /// A task of this stage changed something on a host.
    pub fn host(&mut self, host: &str, stage: Stage) {
        let at = self.hosts.entry(host.to_owned()).or_insert(stage);
        *at = (*at).min(stage);
    }

    /// A task of this stage changed something in a Swarm.
    pub fn swarm(&mut self, cluster: &str, stage: Stage) {
        let at = self.swarms.entry(cluster.to_owned()).or_insert(stage);
        *at = (*at).min(stage);
    }

    /// Takes the hosts (of those given) that were touched before this stage.
    pub fn stale_hosts<'a>(
        &mut self,
        hosts: impl Iterator<Item = &'a String>,
        before: Option<Stage>,
    ) -> BTreeSet<String> {
        let stale: BTreeSet<String> =
            hosts.filter(|h| self.hosts.get(*h).is_some_and(|s| before.is_none_or(|b| *s < b))).cloned().collect();
        stale.iter().for_each(|h| {
            self.hosts.remove(h);
        });
        stale
    }

    /// Takes the Swarm if it was touched before this stage (`None`: ever).
    pub fn stale_swarm(&mut self, cluster: &str, before: Option<Stage>) -> bool {
        let stale = self.swarms.get(cluster).is_some_and(|s| before.is_none_or(|b| *s < b));
        if stale {
            self.swarms.remove(cluster);
        }
        stale
    }

    /// True if anything was touched and not looked at again.
    pub fn any(&self) -> bool {
        !self.hosts.is_empty() || !self.swarms.is_empty()
    }
}
