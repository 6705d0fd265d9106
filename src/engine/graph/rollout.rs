//! The rollout of one cluster's services: stage after stage.

use std::collections::BTreeMap;
use std::sync::Arc;

use petgraph::graph::NodeIndex;
use reemo_model::catalogue::Stage;
use reemo_model::wanted::WantedService;

use super::build::{At, Builder};
use crate::engine::site::ClusterSite;
use crate::engine::task::{Select, What};

impl Builder<'_> {
    /// The rollout: each stage after all services of the stages before it.
    pub(super) fn services(
        &mut self,
        name: &str,
        cluster: &ClusterSite,
        ready: &[NodeIndex],
        label: Option<NodeIndex>,
        needs: &mut BTreeMap<String, Vec<NodeIndex>>,
    ) {
        let other_apis = if cluster.wanted.cluster.environment == "portal" { self.apis.clone() } else { Vec::new() };
        // A database that another cluster looks after: that cluster's job comes first.
        let owner = cluster.wanted.cluster.database_of.as_ref().and_then(|o| self.records.get(o)).copied();
        let mut before: Vec<NodeIndex> = owner.into_iter().collect();
        for stage in [Stage::Mysql, Stage::Db, Stage::Api, Stage::Services, Stage::Portal] {
            let here: Vec<&WantedService> = cluster.wanted.services.iter().filter(|s| s.stage == stage).collect();
            if stage == Stage::Db && !here.is_empty() {
                let after: Vec<NodeIndex> = before.iter().chain(ready).copied().collect();
                let gate = self.put(At::cluster(name, stage), "database", Select::Always, What::Database, &after);
                before.push(gate);
            }
            let mut made: BTreeMap<&String, NodeIndex> = BTreeMap::new();
            for service in &here {
                let mut after: Vec<NodeIndex> = before.iter().chain(ready).chain(&other_apis).copied().collect();
                after.extend(needs.remove(&service.name).unwrap_or_default());
                after.extend(label.filter(|_| service.data_node));
                if service.dump.is_some() {
                    let (tags, job) = (Select::Tags(service.tags.clone()), Arc::new((*service).clone()));
                    let at = At::cluster(name, stage);
                    after.push(self.put(at, "dump of the database", tags, What::Dump(job), &after));
                }
                let what = What::Service(Arc::new((*service).clone()));
                let index =
                    self.put(At::cluster(name, stage), &service.name, Select::Tags(service.tags.clone()), what, &after);
                made.insert(&service.name, index);
            }
            for service in &here {
                for first in &service.after {
                    if let Some(index) = made.get(first) {
                        self.graph.dag.update_edge(*index, made[&service.name], ());
                    }
                }
            }
            let mut done: Vec<NodeIndex> = made.values().copied().collect();
            if stage == Stage::Db && !done.is_empty() {
                done = vec![self.put(
                    At::cluster(name, stage),
                    "record of the database",
                    Select::Tags(vec!["db".into()]),
                    What::Record,
                    &done,
                )];
                self.records.insert(name.to_owned(), done[0]);
            }
            if stage == Stage::Api {
                self.apis.extend(&done);
            }
            if !done.is_empty() {
                before = done;
            }
        }
        let select = Select::Tags(vec!["cleanup".into()]);
        let at = At::cluster(name, Stage::Portal);
        let end = self.put(at, "services no longer wanted", select, What::Surplus, &before);
        before.push(end);
        self.ends.push((name.to_owned(), end));
        if cluster.wanted.services.iter().any(|s| s.stage == Stage::Portal) {
            let at = At::cluster(name, Stage::Health);
            let health = self.put(at, "health of the platform", Select::Always, What::Health, &before);
            self.healths.push((name.to_owned(), health));
        }
    }

    /// The health tree speaks of everything the platform reaches: of the api's cluster, of farms and relays. It is asked
    /// when all of them are in place.
    pub(super) fn health_last(&mut self) {
        for (cluster, health) in &self.healths {
            for (_, end) in self.ends.iter().filter(|(other, _)| other != cluster) {
                self.graph.dag.update_edge(*end, *health, ());
            }
        }
    }
}
