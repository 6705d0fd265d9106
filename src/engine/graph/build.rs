//! The tasks of one cluster: hosts, members, images, objects. The rollout of its services is in `rollout`.

use std::collections::BTreeMap;
use std::sync::Arc;

use petgraph::graph::NodeIndex;
use reemo_model::catalogue::Stage;
use reemo_model::supply::Mode;
use reemo_model::wanted::WantedService;
use reemo_resource::host::{Directory, HostResource};

use super::TaskGraph;
use super::parts::{engine_parts, host_file, proxy_files, registry_trust, tags_of};
use crate::engine::pairs;
use crate::engine::site::{ClusterSite, Site};
use crate::engine::task::{Select, Task, What};

/// Where a task belongs.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    cluster: &'a str,
    host: Option<&'a str>,
    stage: Stage,
}

impl<'a> At<'a> {
    pub(super) fn host(cluster: &'a str, host: &'a str, stage: Stage) -> Self {
        At { cluster, host: Some(host), stage }
    }

    pub(super) fn cluster(cluster: &'a str, stage: Stage) -> Self {
        At { cluster, host: None, stage }
    }
}

pub(super) struct Builder<'a> {
    pub(super) site: &'a Site,
    pub(super) graph: TaskGraph,
    pub(super) known: BTreeMap<String, NodeIndex>,
    /// Api services of all clusters so far: portals of other clusters wait for them.
    pub(super) apis: Vec<NodeIndex>,
    /// By cluster: the schema job of its database has succeeded.
    pub(super) records: BTreeMap<String, NodeIndex>,
    /// What each cluster ends with, by its name.
    pub(super) ends: Vec<(String, NodeIndex)>,
    /// The health of each portal's platform, by its cluster.
    pub(super) healths: Vec<(String, NodeIndex)>,
}

impl Builder<'_> {
    /// Adds a task. What two services need alike (a directory) is one task, run for either.
    fn add(&mut self, task: Task, after: &[NodeIndex]) -> NodeIndex {
        if let Some(&known) = self.known.get(&task.id) {
            let merged = self.graph.dag[known].select.or(&task.select);
            Arc::make_mut(&mut self.graph.dag[known]).select = merged;
            return known;
        }
        let id = task.id.clone();
        let index = self.graph.dag.add_node(Arc::new(task));
        self.known.insert(id, index);
        for before in after {
            self.graph.dag.update_edge(*before, index, ());
        }
        index
    }

    pub(super) fn cluster(&mut self, name: &str, cluster: &ClusterSite) {
        let hosts: Vec<String> = self.site.hosts_of(name).map(|(h, _)| h.clone()).collect();
        let mut engines = Vec::new();
        let mut preflights = Vec::new();
        for host in &hosts {
            let (preflight, engine) = self.host_engine(name, cluster, host);
            preflights.push(preflight);
            engines.push(engine);
        }
        let prune =
            self.put(At::cluster(name, Stage::Swarm), "nodes no longer wanted", Select::Always, What::Prune, &engines);
        let members = self.members(name, &hosts, &engines, prune);
        let mut ready = members.clone();
        for (network, role) in &cluster.wanted.networks {
            let what = What::Network { name: network.clone(), role: role.clone() };
            ready.push(self.put(
                At::cluster(name, Stage::Objects),
                &format!("network {network}"),
                Select::Always,
                what,
                &members,
            ));
        }
        let mut needs: BTreeMap<String, Vec<NodeIndex>> = BTreeMap::new();
        self.images(name, cluster, &hosts, &engines, &mut needs);
        self.materials(name, cluster, &members, &mut needs);
        let storage = self.storage(name, cluster, &hosts, &engines);
        self.host_objects(name, cluster, &hosts, &storage, &mut needs);
        let label = if cluster.wanted.services.iter().any(|s| s.data_node) {
            let node = self.put(
                At::cluster(name, Stage::Objects),
                "node of the database",
                Select::Always,
                What::DataNode,
                &members,
            );
            self.data_dirs(name, cluster, &hosts, node, &mut needs);
            Some(node)
        } else {
            None
        };
        self.services(name, cluster, &ready, label, &mut needs);
    }

    pub(super) fn put(
        &mut self,
        at: At<'_>,
        title: &str,
        select: Select,
        what: What,
        after: &[NodeIndex],
    ) -> NodeIndex {
        let id = match at.host {
            Some(host) => format!("{}/{host}/{title}", at.cluster),
            None => format!("{}/{title}", at.cluster),
        };
        let task = Task {
            id,
            title: title.to_owned(),
            cluster: at.cluster.to_owned(),
            host: at.host.map(str::to_owned),
            stage: at.stage,
            select,
            what,
        };
        self.add(task, after)
    }

    /// Preflight, then the engine's packages and configuration, then: it answers.
    fn host_engine(&mut self, name: &str, cluster: &ClusterSite, host: &str) -> (NodeIndex, NodeIndex) {
        let preflight =
            self.put(At::host(name, host, Stage::Preflight), "preflight", Select::Always, What::Preflight, &[]);
        let mut last = preflight;
        let tags = Select::Tags(vec!["docker".into()]);
        // Before the engine is installed: it then starts with it.
        let mut restart_after = Vec::new();
        for resource in proxy_files(&cluster.settings.supply) {
            let title = resource.title();
            let what = What::Host(Box::new(resource));
            last = self.put(At::host(name, host, Stage::Engine), &title, tags.clone(), what, &[last]);
            restart_after.push(self.graph.dag[last].id.clone());
        }
        if cluster.settings.install_docker {
            for (title, what) in engine_parts(cluster) {
                let merges = matches!(&what, What::Host(r) if matches!(**r, HostResource::JsonMerge(_)));
                last = self.put(At::host(name, host, Stage::Engine), &title, tags.clone(), what, &[last]);
                if merges {
                    restart_after.push(self.graph.dag[last].id.clone());
                }
            }
        }
        let what = What::RestartEngine { after: restart_after, daemon: cluster.settings.install_docker };
        last = self.put(At::host(name, host, Stage::Engine), "restart docker", tags.clone(), what, &[last]);
        if let Some((registry, ca)) = &cluster.settings.registry_ca {
            for resource in registry_trust(registry, ca) {
                let title = resource.title();
                let index = self.put(
                    At::host(name, host, Stage::Engine),
                    &title,
                    tags.clone(),
                    What::Host(Box::new(resource)),
                    &[last],
                );
                // /etc/docker may be a task of the installation already: going on from there would overtake the rest
                // of it. What was added later comes later.
                last = last.max(index);
            }
        }
        let engine =
            self.put(At::host(name, host, Stage::Engine), "docker engine", Select::Always, What::Engine, &[last]);
        (preflight, engine)
    }

    /// The first manager initialises; the others join it. Hosts stand managers first.
    fn members(&mut self, name: &str, hosts: &[String], engines: &[NodeIndex], prune: NodeIndex) -> Vec<NodeIndex> {
        let mut members: Vec<NodeIndex> = Vec::new();
        for (host, engine) in hosts.iter().zip(engines) {
            let after: Vec<NodeIndex> = [*engine, prune].into_iter().chain(members.first().copied()).collect();
            let title = if self.site.hosts[host].worker { "swarm worker" } else { "swarm manager" };
            members.push(self.put(At::host(name, host, Stage::Swarm), title, Select::Always, What::Member, &after));
        }
        members
    }

    /// Images of services on every node that may run them, and what a role wants to have at hand on all.
    fn images(
        &mut self,
        name: &str,
        cluster: &ClusterSite,
        hosts: &[String],
        engines: &[NodeIndex],
        needs: &mut BTreeMap<String, Vec<NodeIndex>>,
    ) {
        let mut users: BTreeMap<&String, Vec<(&WantedService, bool)>> = BTreeMap::new();
        for service in &cluster.wanted.services {
            users.entry(&service.image).or_default().push((service, true));
            for image in &service.warm_up {
                users.entry(image).or_default().push((service, false));
            }
        }
        // Out of a bundle one after the other: what the first brought, the next need not.
        let in_turn = cluster.settings.supply.mode == Mode::Offline;
        let mut before: BTreeMap<&String, NodeIndex> = BTreeMap::new();
        for (reference, services) in users {
            let all: Vec<&WantedService> = services.iter().map(|(s, _)| *s).collect();
            let select = Select::Tags(tags_of(&all));
            for (host, engine) in hosts.iter().zip(engines) {
                let node = cluster.wanted.cluster.nodes.iter().find(|n| n.name == *host);
                let here = |(service, runs): &&(&WantedService, bool)| {
                    !runs || node.is_none_or(|n| n.fits(&service.constraints))
                };
                let here: Vec<_> = services.iter().filter(here).collect();
                if here.is_empty() {
                    continue;
                }
                let what = What::Image { reference: reference.clone() };
                let title = format!("image {reference}");
                let after: Vec<NodeIndex> = [*engine].into_iter().chain(before.get(host).copied()).collect();
                let index = self.put(At::host(name, host, Stage::Images), &title, select.clone(), what, &after);
                if in_turn {
                    before.insert(host, index);
                }
                for (service, _) in here.iter().filter(|(_, runs)| *runs) {
                    needs.entry(service.name.clone()).or_default().push(index);
                }
            }
        }
    }

    fn materials(
        &mut self,
        name: &str,
        cluster: &ClusterSite,
        members: &[NodeIndex],
        needs: &mut BTreeMap<String, Vec<NodeIndex>>,
    ) {
        for material in &cluster.materials {
            let Some(service) = cluster.wanted.services.iter().find(|s| s.name == material.service) else {
                continue;
            };
            let select = Select::Tags(service.tags.clone());
            let what = What::Material(material.clone());
            let index = self.put(At::cluster(name, Stage::Objects), &material.title(), select, what, members);
            needs.entry(service.name.clone()).or_default().push(index);
        }
    }

    /// Directories and files of services, on every host.
    fn host_objects(
        &mut self,
        name: &str,
        cluster: &ClusterSite,
        hosts: &[String],
        after: &[NodeIndex],
        needs: &mut BTreeMap<String, Vec<NodeIndex>>,
    ) {
        for (host, after) in hosts.iter().zip(after) {
            for service in &cluster.wanted.services {
                let mut last = *after;
                for dir in service.dirs.iter().filter(|d| !d.data_node) {
                    let resource = HostResource::Directory(Directory {
                        path: dir.path.clone(),
                        mode: dir.mode,
                        owner: dir.owner.clone(),
                    });
                    let title = resource.title();
                    last = self.put(
                        At::host(name, host, Stage::Objects),
                        &title,
                        Select::Tags(service.tags.clone()),
                        What::Host(Box::new(resource)),
                        &[last],
                    );
                    needs.entry(service.name.clone()).or_default().push(last);
                }
                for pair in &service.pairs {
                    let resource = HostResource::Pair(pairs::resource(pair));
                    let title = resource.title();
                    let select = Select::Tags(service.tags.clone());
                    let what = What::Host(Box::new(resource));
                    last = self.put(At::host(name, host, Stage::Objects), &title, select, what, &[last]);
                    needs.entry(service.name.clone()).or_default().push(last);
                }
                for file in &service.files {
                    let select = if file.only_tags.is_empty() {
                        Select::Tags(service.tags.clone())
                    } else {
                        Select::OnlyTags(file.only_tags.clone())
                    };
                    let resource = host_file(&service.name, file);
                    let title = resource.title();
                    // In the role's order: whoever watches for the last one finds the others in place.
                    last = self.put(
                        At::host(name, host, Stage::Objects),
                        &title,
                        select,
                        What::Host(Box::new(resource)),
                        &[last],
                    );
                    needs.entry(service.name.clone()).or_default().push(last);
                }
            }
        }
    }

    /// Directories that exist on the data node only: which one that is, is known once the label is.
    fn data_dirs(
        &mut self,
        name: &str,
        cluster: &ClusterSite,
        hosts: &[String],
        label: NodeIndex,
        needs: &mut BTreeMap<String, Vec<NodeIndex>>,
    ) {
        for service in &cluster.wanted.services {
            for host in hosts {
                let mut last = label;
                for dir in service.dirs.iter().filter(|d| d.data_node) {
                    let title = format!("directory {}", dir.path);
                    let what = What::DataDir(dir.clone());
                    last = self.put(
                        At::host(name, host, Stage::Mysql),
                        &title,
                        Select::Tags(service.tags.clone()),
                        what,
                        &[last],
                    );
                    needs.entry(service.name.clone()).or_default().push(last);
                }
            }
        }
    }
}
