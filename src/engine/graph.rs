//! From what is wanted to one task graph over all clusters and hosts.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use reemo_model::catalogue::Stage;
use reemo_model::secret::Blob;
use reemo_model::wanted::{WantedFile, WantedService};
use reemo_resource::host::{Directory, File, HostResource, JsonMerge, Package, PackageSet, Unit, Wanted};

use super::site::{ClusterSite, Site};
use super::task::{Select, Task, What};

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

fn short(task: &Task) -> String {
    match &task.host {
        Some(host) => format!("{host}: {}", task.title),
        None => task.title.clone(),
    }
}

/// Compiles the graph. A cycle (a role file's `after:`) is an error that names its path.
pub fn compile(site: &Site) -> Result<TaskGraph, Cycle> {
    let mut builder = Builder { site, graph: TaskGraph::default(), known: BTreeMap::new(), apis: Vec::new() };
    // Clusters whose api others use come first, so that their tasks are there to be depended on.
    let mut clusters: Vec<(&String, &ClusterSite)> = site.clusters.iter().collect();
    clusters.sort_by_key(|(_, c)| c.wanted.cluster.environment == "portal");
    for (name, cluster) in clusters {
        builder.cluster(name, cluster);
    }
    let graph = builder.graph;
    match graph.find_cycle() {
        Some(cycle) => Err(cycle),
        None => Ok(graph),
    }
}

/// Where a task belongs.
#[derive(Clone, Copy)]
struct At<'a> {
    cluster: &'a str,
    host: Option<&'a str>,
    stage: Stage,
}

impl<'a> At<'a> {
    fn host(cluster: &'a str, host: &'a str, stage: Stage) -> Self {
        At { cluster, host: Some(host), stage }
    }

    fn cluster(cluster: &'a str, stage: Stage) -> Self {
        At { cluster, host: None, stage }
    }
}

struct Builder<'a> {
    site: &'a Site,
    graph: TaskGraph,
    known: BTreeMap<String, NodeIndex>,
    /// Api services of all clusters so far: portals of other clusters wait for them.
    apis: Vec<NodeIndex>,
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

    fn cluster(&mut self, name: &str, cluster: &ClusterSite) {
        let hosts: Vec<String> = self.site.hosts_of(name).map(|(h, _)| h.clone()).collect();
        let mut engines = Vec::new();
        let mut preflights = Vec::new();
        for host in &hosts {
            let (preflight, engine) = self.host_engine(name, cluster, host);
            preflights.push(preflight);
            engines.push(engine);
        }
        let members = self.members(name, &hosts, &engines);
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
        self.host_objects(name, cluster, &hosts, &engines, &mut needs);
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

    fn put(&mut self, at: At<'_>, title: &str, select: Select, what: What, after: &[NodeIndex]) -> NodeIndex {
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
        if cluster.settings.install_docker {
            let mut restart_after = None;
            for (title, what) in engine_parts(cluster) {
                let merges = matches!(&what, What::Host(r) if matches!(**r, HostResource::JsonMerge(_)));
                last = self.put(At::host(name, host, Stage::Engine), &title, tags.clone(), what, &[last]);
                if merges {
                    restart_after = Some(self.graph.dag[last].id.clone());
                }
            }
            if let Some(after) = restart_after {
                let what = What::RestartEngine { after };
                last = self.put(At::host(name, host, Stage::Engine), "restart docker", tags.clone(), what, &[last]);
            }
        }
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

    /// The first host initialises; the others join it.
    fn members(&mut self, name: &str, hosts: &[String], engines: &[NodeIndex]) -> Vec<NodeIndex> {
        let mut members: Vec<NodeIndex> = Vec::new();
        for (host, engine) in hosts.iter().zip(engines) {
            let after: Vec<NodeIndex> = [*engine].into_iter().chain(members.first().copied()).collect();
            members.push(self.put(
                At::host(name, host, Stage::Swarm),
                "swarm manager",
                Select::Always,
                What::Member,
                &after,
            ));
        }
        members
    }

    fn images(
        &mut self,
        name: &str,
        cluster: &ClusterSite,
        hosts: &[String],
        engines: &[NodeIndex],
        needs: &mut BTreeMap<String, Vec<NodeIndex>>,
    ) {
        let mut users: BTreeMap<&String, Vec<&WantedService>> = BTreeMap::new();
        for service in &cluster.wanted.services {
            users.entry(&service.image).or_default().push(service);
        }
        for (reference, services) in users {
            let select = Select::Tags(tags_of(&services));
            for (host, engine) in hosts.iter().zip(engines) {
                let what = What::Image { reference: reference.clone() };
                let index = self.put(
                    At::host(name, host, Stage::Images),
                    &format!("image {reference}"),
                    select.clone(),
                    what,
                    &[*engine],
                );
                for service in &services {
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
        engines: &[NodeIndex],
        needs: &mut BTreeMap<String, Vec<NodeIndex>>,
    ) {
        for (host, engine) in hosts.iter().zip(engines) {
            for service in &cluster.wanted.services {
                let mut last = *engine;
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
                for file in &service.files {
                    let select = if file.only_tags.is_empty() {
                        Select::Tags(service.tags.clone())
                    } else {
                        Select::OnlyTags(file.only_tags.clone())
                    };
                    let resource = host_file(file);
                    let title = resource.title();
                    let index = self.put(
                        At::host(name, host, Stage::Objects),
                        &title,
                        select,
                        What::Host(Box::new(resource)),
                        &[last],
                    );
                    needs.entry(service.name.clone()).or_default().push(index);
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

    /// The rollout: each stage after all services of the stages before it.
    fn services(
        &mut self,
        name: &str,
        cluster: &ClusterSite,
        ready: &[NodeIndex],
        label: Option<NodeIndex>,
        needs: &mut BTreeMap<String, Vec<NodeIndex>>,
    ) {
        let other_apis = if cluster.wanted.cluster.environment == "portal" { self.apis.clone() } else { Vec::new() };
        let mut before: Vec<NodeIndex> = Vec::new();
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
            }
            if stage == Stage::Api {
                self.apis.extend(&done);
            }
            if !done.is_empty() {
                before = done;
            }
        }
        let select = Select::Tags(vec!["cleanup".into()]);
        before.push(self.put(
            At::cluster(name, Stage::Portal),
            "services no longer wanted",
            select,
            What::Surplus,
            &before,
        ));
        if cluster.wanted.services.iter().any(|s| s.stage == Stage::Portal) {
            self.put(At::cluster(name, Stage::Health), "health of the platform", Select::Always, What::Health, &before);
        }
    }
}

fn tags_of(services: &[&WantedService]) -> Vec<String> {
    let mut tags: Vec<String> = services.iter().flat_map(|s| s.tags.iter().cloned()).collect();
    tags.push("images".into());
    tags.sort();
    tags.dedup();
    tags
}

/// What makes a Docker engine of a bare host, in order: configuration first, so that it starts with it.
fn engine_parts(cluster: &ClusterSite) -> Vec<(String, What)> {
    let mut list = Vec::new();
    let mut push = |resource: HostResource| list.push((resource.title(), What::Host(Box::new(resource))));
    if !cluster.settings.daemon.is_empty() {
        push(directory("/etc/docker"));
        push(HostResource::JsonMerge(JsonMerge {
            path: "/etc/docker/daemon.json".into(),
            keys: cluster.settings.daemon.clone(),
            mode: 0o644,
            owner: ROOT.into(),
            secret: false,
            notify: vec!["restart docker".into()],
        }));
    }
    if cluster.settings.repo_url.is_some() {
        list.push(("package repository of docker".into(), What::Repository));
    }
    let mut push = |resource: HostResource| list.push((resource.title(), What::Host(Box::new(resource))));
    push(HostResource::Package(Package { set: PackageSet::DockerEngine, present: true }));
    push(HostResource::Unit(Unit { name: "docker.service".into(), enabled: Some(true), active: Some(true) }));
    list
}

const ROOT: &str = "root:root";

fn directory(path: &str) -> HostResource {
    HostResource::Directory(Directory { path: path.into(), mode: 0o755, owner: ROOT.into() })
}

/// The engine reads these at each pull: no restart.
fn registry_trust(registry: &str, ca: &Blob) -> Vec<HostResource> {
    let folder = format!("/etc/docker/certs.d/{registry}");
    vec![
        directory("/etc/docker"),
        directory("/etc/docker/certs.d"),
        directory(&folder),
        HostResource::File(File {
            path: format!("{folder}/ca.crt"),
            wanted: Wanted::Present { content: ca.clone(), mode: 0o644, owner: ROOT.into() },
            notify: vec![],
        }),
    ]
}

fn host_file(file: &WantedFile) -> HostResource {
    let wanted = match &file.content {
        Some(content) => Wanted::Present { content: content.clone(), mode: file.mode, owner: file.owner.clone() },
        None => Wanted::Absent,
    };
    HostResource::File(File { path: file.path.clone(), wanted, notify: vec![] })
}
