//! What one task would do, given what is known: pure. A plan and a run both ask this, so a plan cannot
//! say anything else than what a run would do.

use std::collections::BTreeSet;

use reemo_model::change::{Action, Change, FieldDiff, Verdict};
use reemo_model::op::{DockerOp, Op};
use reemo_resource::host::{Directory, File, HostObservation, HostResource, Volume, Wanted};
use reemo_resource::os::FAMILIES;
use reemo_resource::swarm::observed::{at, text};
use reemo_resource::swarm::{DATA_NODE, INITIALISED, MANAGED, database, network, node, service};
use serde_json::json;

use super::data;
use super::external;
use super::fault::Fault;
use super::guard::DAEMON;
use super::preflight;
use super::prune;
use super::quorum::Quorum;
use super::schema;
use super::site::{ClusterSite, Site};
use super::storage;
use super::task::{Task, What};
use super::world::{HostView, World};

/// What an evaluation may look at.
pub struct View<'a> {
    /// What is wanted.
    pub site: &'a Site,
    /// What is known.
    pub world: &'a World,
    /// Ids of tasks that changed something in this run.
    pub changed: &'a BTreeSet<String>,
}

impl View<'_> {
    pub(super) fn cluster(&self, task: &Task) -> &ClusterSite {
        &self.site.clusters[&task.cluster]
    }

    fn host(&self, task: &Task) -> Option<&HostView> {
        self.world.hosts.get(task.host.as_ref()?)
    }

    /// The verdict of one task.
    pub fn verdict(&self, task: &Task) -> Verdict {
        match &task.what {
            What::Preflight => preflight::verdict(self.site, self.world, task),
            What::Host(resource) => self.host_resource(task, resource),
            What::Repository => self.repository(task),
            What::RestartEngine { after, daemon } => self.restart(task, after, *daemon),
            What::Engine => self.engine(task),
            What::Member => self.member(task),
            What::Prune => prune::verdict(self.site, self.world, task),
            What::DataNode => self.data_node(task),
            What::DataDir(dir) => {
                if self.data_host(task).as_ref() != task.host.as_ref() {
                    return Verdict::Unchanged;
                }
                let resource = HostResource::Directory(Directory {
                    path: dir.path.clone(),
                    mode: dir.mode,
                    owner: dir.owner.clone(),
                });
                self.host_resource(task, &resource)
            }
            What::Volume => self.storage(task, |volume, seen| volume.diff(seen)),
            What::StorageUnit => self
                .storage(task, |volume, _| self.host_resource(task, &HostResource::File(storage::unit_file(volume)))),
            What::Image { reference } => self.image(task, reference),
            What::Network { name, role } => self.in_swarm(task, |there| network::diff(name, role, there)),
            What::Material(material) => self.in_swarm(task, |there| material.diff(there)),
            What::Database => self.database(task),
            What::Dump(job) => self.dump(task, job),
            What::Record => self.record(task),
            What::Service(wanted) => self.in_swarm(task, |there| {
                let input = self.input(task, wanted, there);
                schema::gate(&input).or_else(|| data::gate(&input)).unwrap_or_else(|| input.diff())
            }),
            What::Surplus => self.surplus(task),
            What::Health => Verdict::Unchanged,
        }
    }

    fn host_resource(&self, task: &Task, resource: &HostResource) -> Verdict {
        match self.host(task) {
            Some(HostView { seen: Some(seen), os: Some(os), .. }) => {
                self.carried_packages(task, resource, os, resource.diff(seen, os))
            }
            Some(HostView { seen: Some(_), os: None, .. }) => Verdict::Refused {
                why: "this distribution is not known".into(),
                hint: format!("families supported: {}", FAMILIES.iter().map(|f| f.name).collect::<Vec<_>>().join(", ")),
            },
            _ => Verdict::Unknown { until: "the host has been looked at".into() },
        }
    }

    fn storage(&self, task: &Task, compare: impl FnOnce(&Volume, &HostObservation) -> Verdict) -> Verdict {
        let host = task.host.as_deref().unwrap_or_default();
        let Some(seen) = self.host(task).and_then(|v| v.seen.as_ref()) else {
            return Verdict::Unknown { until: "the host has been looked at".into() };
        };
        match storage::volume(self.site, self.world, &task.cluster, host) {
            Some(volume) => compare(&volume, seen),
            None => Verdict::Unknown { until: "the addresses of all servers are known".into() },
        }
    }

    fn repository(&self, task: &Task) -> Verdict {
        let settings = &self.cluster(task).settings;
        let Some(os) = self.host(task).and_then(|v| v.os.as_ref()) else {
            return Verdict::Unchanged;
        };
        match (os.family.repository, &settings.repo_url) {
            (Some(define), Some(url)) => {
                let file = define(url, settings.signed());
                self.host_resource(task, &HostResource::File(repository_file(file.path, file.content)))
            }
            _ => Verdict::Unchanged,
        }
    }

    /// The engine reads its configuration when it starts. One that this run starts has it; one that was started before
    /// it was last written, by this run or another that did not come to the restart, has not.
    fn restart(&self, task: &Task, after: &[String], daemon: bool) -> Verdict {
        let Some(view) = self.host(task).filter(|v| v.engine.is_some()) else { return Verdict::Unchanged };
        let facts = view.seen.as_ref().map(|s| &s.facts);
        let outdated = facts.is_some_and(|f| daemon && f.engine_outdated || f.proxy_outdated);
        if !outdated && !after.iter().any(|a| self.changed.contains(a)) {
            return match facts.is_some_and(|f| daemon && f.engine_unconfirmed) {
                true => confirm_engine(),
                false => Verdict::Unchanged,
            };
        }
        if let Err(fault) = self.spare(task) {
            return Verdict::Refused { why: fault.cause, hint: fault.hint };
        }
        let was = outdated.then(|| "runs since before its configuration was written".to_owned());
        Verdict::Change(Change {
            action: Action::Run,
            fields: vec![FieldDiff::new("docker.service", was, Some("restarted".into()))],
            ops: vec![Op::RestartEngine { path: DAEMON.into() }],
        })
    }

    /// May the manager on this host be away for a moment?
    fn spare(&self, task: &Task) -> Result<(), Fault> {
        let host = task.host.as_deref().unwrap_or_default();
        let Some(there) = self.world.swarms.get(&task.cluster) else { return Ok(()) };
        let id = self.host(task).and_then(|v| v.engine.as_ref()).map(|e| e.node_id.as_str()).unwrap_or_default();
        let node = there.nodes.iter().find(|n| !id.is_empty() && text(n, &["ID"]) == id);
        Quorum::of(&there.nodes).spare(&task.cluster, host, node)
    }

    fn engine(&self, task: &Task) -> Verdict {
        let Some(view) = self.host(task) else {
            return Verdict::Unchanged;
        };
        if view.engine.is_some() {
            return Verdict::Unchanged;
        }
        let host = task.host.as_deref().unwrap_or_default();
        if self.cluster(task).settings.install_docker && view.engine_trouble.is_none() {
            return Verdict::Unknown { until: "Docker is installed".into() };
        }
        match &view.engine_trouble {
            Some(why) => Verdict::Refused {
                why: format!("the Docker engine of {host} does not answer: {why}"),
                hint: format!("on {host}: systemctl status docker"),
            },
            None => Verdict::Refused {
                why: format!("there is no Docker engine on {host}"),
                hint: "add --extra-vars \"INSTALL_DOCKER=true\" to have it installed, or install it by hand".into(),
            },
        }
    }

    fn member(&self, task: &Task) -> Verdict {
        let Some(host) = &task.host else {
            return Verdict::Unchanged;
        };
        let members = self.world.members(self.site, &task.cluster);
        let diff = if self.cluster(task).settings.prune { node::diff_pruned } else { node::diff };
        let verdict = diff(host, &members, self.world.swarms.get(&task.cluster));
        let role = if self.site.hosts.get(host).is_some_and(|h| h.worker) { "worker" } else { "manager" };
        match verdict {
            Verdict::Change(_) if !self.cluster(task).settings.install_docker => Verdict::Refused {
                why: format!("{host} is not a {role} of its cluster's Swarm"),
                hint: format!(
                    "add --extra-vars \"INSTALL_DOCKER=true\" to have the Swarm made, or join it by hand as a {role}"
                ),
            },
            other => other,
        }
    }

    /// The host that holds the database: the one that has the label; else one that has data; else the first.
    fn data_host(&self, task: &Task) -> Option<String> {
        let there = self.world.swarms.get(&task.cluster);
        let labelled =
            there.into_iter().flat_map(|s| &s.nodes).find(|n| at(n, &["Spec", "Labels", DATA_NODE]).is_some());
        if let Some(node) = labelled {
            return self.world.host_of_node(text(node, &["ID"])).cloned();
        }
        let mut hosts = self.site.hosts_of(&task.cluster).map(|(n, _)| n);
        hosts.clone().find(|n| self.holds_data(n)).or_else(|| hosts.find(|n| self.world.reached(n))).cloned()
    }

    fn holds_data(&self, host: &str) -> bool {
        let marker = self.world.hosts.get(host).and_then(|v| v.seen.as_ref()).and_then(data::found);
        marker.unwrap_or(false)
    }

    fn data_node(&self, task: &Task) -> Verdict {
        let holders: Vec<&String> =
            self.site.hosts_of(&task.cluster).map(|(n, _)| n).filter(|n| self.holds_data(n)).collect();
        let labelled = self
            .world
            .swarms
            .get(&task.cluster)
            .is_some_and(|s| s.nodes.iter().any(|n| at(n, &["Spec", "Labels", DATA_NODE]).is_some()));
        if holders.len() > 1 && !labelled {
            let names = holders.iter().map(|h| h.as_str()).collect::<Vec<_>>().join(", ");
            return Verdict::Refused {
                why: format!("several hosts hold a database directory: {names}"),
                hint: format!("say which one is right: docker node update --label-add {DATA_NODE}=true NODE"),
            };
        }
        let Some(host) = self.data_host(task) else {
            return Verdict::Unchanged;
        };
        if labelled {
            return self.data_is_there(task, &host, &holders);
        }
        let id =
            self.world.hosts.get(&host).and_then(|v| v.engine.as_ref()).map(|e| e.node_id.clone()).unwrap_or_default();
        match self.world.swarms.get(&task.cluster) {
            Some(there) if !id.is_empty() => node::label(there, &id, DATA_NODE, "true"),
            _ => Verdict::Change(Change {
                action: Action::Update,
                fields: vec![FieldDiff::new(format!("label {DATA_NODE}"), None, Some(host))],
                ops: vec![],
            }),
        }
    }

    /// The database is never started on an empty directory while its data is elsewhere, or gone.
    fn data_is_there(&self, task: &Task, host: &str, holders: &[&String]) -> Verdict {
        let marker = self.world.hosts.get(host).and_then(|v| v.seen.as_ref()).and_then(data::found);
        let recorded = self.world.swarms.get(&task.cluster).is_some_and(|s| s.config(INITIALISED).is_some());
        match (marker, holders.first()) {
            (Some(false), Some(other)) => Verdict::Refused {
                why: format!("{host} has the label {DATA_NODE} and no database, {other} has one"),
                hint: format!(
                    "move the label: docker node update --label-rm {DATA_NODE} {host}, then --label-add {DATA_NODE}=true {other}"
                ),
            },
            (Some(false), None) if recorded => Verdict::Refused {
                why: format!("the database was initialised, and its directory on {host} is empty"),
                hint: format!(
                    "bring {} back (a dump, the disk it was on); started now, it would be an empty one",
                    data::directory(self.cluster(task))
                ),
            },
            _ => Verdict::Unchanged,
        }
    }

    /// A comparison with what the Swarm holds; where there is none yet, with an empty one.
    pub(super) fn in_swarm(
        &self,
        task: &Task,
        compare: impl FnOnce(&reemo_resource::swarm::observed::SwarmObservation) -> Verdict,
    ) -> Verdict {
        match self.world.swarms.get(&task.cluster) {
            Some(there) => compare(there),
            None => compare(&Default::default()),
        }
    }

    /// Everything the comparison of a service needs.
    pub fn input<'a>(
        &'a self,
        task: &Task,
        wanted: &'a reemo_model::wanted::WantedService,
        there: &'a reemo_resource::swarm::observed::SwarmObservation,
    ) -> service::Input<'a> {
        let cluster = self.cluster(task);
        let digest = self
            .site
            .hosts_of(&task.cluster)
            .find_map(|(n, _)| self.world.hosts.get(n)?.engine.as_ref()?.digest(&wanted.image).map(str::to_owned));
        service::Input {
            service: wanted,
            materials: cluster.materials.iter().filter(|m| m.service == wanted.name).map(|m| &**m).collect(),
            digest,
            refreshed: self.world.registry.get(&wanted.image).cloned(),
            carried: self.carried(&task.cluster, &wanted.name, &wanted.image),
            site: &cluster.site_id,
            trust: cluster.trust.as_ref().map(|t| t.mark.as_str()),
            auth: cluster.settings.registry.clone(),
            there,
        }
    }

    fn database(&self, task: &Task) -> Verdict {
        let there = self.world.swarms.get(&task.cluster);
        let hosts = self.site.hosts_of(&task.cluster).map(|(n, _)| self.world.hosts.get(n));
        if there.is_none() && hosts.clone().flatten().any(|v| v.engine.as_ref().is_some_and(|e| e.in_swarm())) {
            return Verdict::Unknown { until: "a manager of its Swarm can be asked".into() };
        }
        let mut held = hosts.map(|v| v?.seen.as_ref().and_then(data::found));
        // That nobody has it is known when every host has said so.
        let data_found = match held.clone().any(|h| h == Some(true)) {
            true => Some(true),
            false => held.all(|h| h.is_some()).then_some(false),
        };
        let asked = self.cluster(task).settings.init_db;
        let recorded = there.is_some_and(|s| s.config(INITIALISED).is_some());
        let internal = self.cluster(task).wanted.services.iter().any(|s| s.exec_query.is_some());
        if !internal {
            return self.external_database(task, asked, recorded);
        }
        database::gate(database::Known { asked, recorded, tables: there.and_then(|s| s.tables), data_found })
    }

    /// Where it could not be asked, the schema job itself refuses as this gate would.
    fn external_database(&self, task: &Task, asked: bool, recorded: bool) -> Verdict {
        let found = self.site.hosts_of(&task.cluster).filter_map(|(n, _)| Some((n, self.world.databases.get(n)?)));
        let tables = match external::tables(found) {
            Ok(tables) => tables,
            Err(refused) => return refused,
        };
        if tables.is_none() && !(asked && recorded) {
            return Verdict::Unchanged;
        }
        database::gate(database::Known { asked, recorded, tables, data_found: None })
    }

    /// Services that carry our label and are wanted no more: switched off, or counted down.
    fn surplus(&self, task: &Task) -> Verdict {
        let wanted = &self.cluster(task).wanted.services;
        let there = self.world.swarms.get(&task.cluster);
        let surplus: Vec<_> = there
            .into_iter()
            .flat_map(|s| &s.services)
            .filter(|s| at(s, &["Spec", "Labels", MANAGED]).is_some())
            .filter(|s| !wanted.iter().any(|w| w.name == text(s, &["Spec", "Name"])))
            .collect();
        if surplus.is_empty() {
            return Verdict::Unchanged;
        }
        let remove = |kind: &str, id: &str| Op::Docker(DockerOp::Remove { kind: kind.into(), id: id.into() });
        Verdict::Change(Change {
            action: Action::Remove,
            fields: surplus
                .iter()
                .map(|s| FieldDiff::new(text(s, &["Spec", "Name"]), Some(service::image_of(s).to_owned()), None))
                .collect(),
            ops: surplus.iter().map(|s| remove("services", text(s, &["ID"]))).collect(),
        })
    }

    fn record(&self, task: &Task) -> Verdict {
        if self.world.swarms.get(&task.cluster).is_some_and(|s| s.config(INITIALISED).is_some()) {
            return Verdict::Unchanged;
        }
        let labels = json!({reemo_resource::swarm::MANAGED: "true"});
        Verdict::Change(Change {
            action: Action::Create,
            fields: vec![FieldDiff::new("initialised", None, Some("yes".into()))],
            ops: vec![Op::Docker(DockerOp::ConfigCreate {
                name: INITIALISED.into(),
                labels,
                data: "initialised\n".into(),
            })],
        })
    }
}

/// A run restarted the engine and died before it could say that the engine works: it answers, so it does.
fn confirm_engine() -> Verdict {
    let was = Some("goes back by itself".to_owned());
    Verdict::Change(Change {
        action: Action::Run,
        fields: vec![FieldDiff::new(DAEMON, was, Some("confirmed".into()))],
        ops: vec![Op::Confirm { path: DAEMON.into() }],
    })
}

/// The repository definition as a file resource.
pub fn repository_file(path: String, content: String) -> File {
    File { path, wanted: Wanted::Present { content: content.as_str().into(), mode: 0o644, owner: "root:root".into() } }
}
