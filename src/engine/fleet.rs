//! The hosts of a run, connected; and looking at several of them at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures_util::future::join_all;
use reemo_resource::probe::Probe;
use reemo_resource::swarm::observed::{EngineObservation, SwarmObservation, at};
use reemo_resource::swarm::{INITIALISED, MANAGED};
use reemo_transport::{Connector, Host, Kind, TransportError};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::bell::Bell;
use super::external;
use super::fault::Fault;
use super::observe;
use super::phases::Phases;
use super::site::Site;
use super::world::{HostView, World};

/// Connections by inventory name, and what each host is asked.
pub struct Fleet {
    hosts: BTreeMap<String, Arc<dyn Host>>,
    probes: BTreeMap<String, Vec<Probe>>,
    /// `--forks`: hosts that are connected to or looked at, at the same time.
    slots: Semaphore,
    /// What was seen when a host was reached, until the first look takes it.
    arrived: BTreeMap<String, Result<HostView, Fault>>,
    /// What the first manager to answer said of its cluster's Swarm, likewise: the host, the Swarm's id, its lists.
    heard: BTreeMap<String, Heard>,
    /// One for each cluster in which something is waited for.
    bells: Mutex<BTreeMap<String, Weak<Bell>>>,
    /// How long connecting and looking took.
    pub phases: Phases,
    /// How a host is logged in to once more, sharing nothing with the connections there are.
    anew: Connector,
    /// Hosts that could not be reached, and why.
    pub unreachable: BTreeMap<String, TransportError>,
}

/// What a manager said of its Swarm, and the Swarm's id.
struct Heard {
    id: String,
    swarm: SwarmObservation,
}

impl Fleet {
    /// Connects to all hosts, at most `forks` at a time.
    pub async fn connect(site: &Site, probes: BTreeMap<String, Vec<Probe>>, forks: usize) -> Fleet {
        Self::connect_by(&Connector::default(), site, probes, forks).await
    }

    /// The same by a given connector. Each host is looked at as soon as it is reached, so that one that
    /// does not answer holds up no other.
    pub async fn connect_by(
        connector: &Connector,
        site: &Site,
        probes: BTreeMap<String, Vec<Probe>>,
        forks: usize,
    ) -> Fleet {
        let mut fleet =
            Fleet { slots: Semaphore::new(forks.max(1)), anew: connector.anew(), ..Fleet::of(BTreeMap::new(), probes) };
        let there = &fleet;
        // The first manager of a cluster that answers is asked for the Swarm at once: other hosts are not waited for.
        let asked: BTreeMap<&String, AtomicBool> = site.clusters.keys().map(|c| (c, AtomicBool::new(false))).collect();
        let asked = &asked;
        let all = site.hosts.iter().filter(|(_, h)| h.in_run).map(|(name, host)| async move {
            let _slot = there.slots.acquire().await;
            let connecting = there.phases.timed("connect", name, connector.connect(&host.target));
            let conn: Arc<dyn Host> = match connecting.await {
                Ok(conn) => conn,
                Err(e) => return (name.clone(), Err(e)),
            };
            let engine = async {
                let engine = there.phases.timed("engine", name, observe::engine(&conn)).await;
                let manager = engine.as_ref().ok().and_then(Option::as_ref).filter(|e| e.manager && !e.is_cut_off());
                let first = || asked.get(&host.cluster).is_some_and(|a| !a.swap(true, Ordering::Relaxed));
                let heard = match manager {
                    Some(e) if first() => {
                        let swarm = there.phases.timed("swarm", &host.cluster, observe::swarm(&conn)).await;
                        // One that cannot tell is asked again, or another is, once all hosts are known.
                        swarm.ok().map(|swarm| (host.cluster.clone(), Heard { id: e.swarm_id.clone(), swarm }))
                    }
                    _ => None,
                };
                (engine, heard)
            };
            let shell = there.phases.timed("probes", name, observe::shell(&conn, there.probes_of(name)));
            let (seen, (engine, heard)) = tokio::join!(shell, engine);
            (name.clone(), Ok((conn, observe::host(seen, engine), heard)))
        });
        for (name, reached) in join_all(all).await {
            match reached {
                Ok((host, seen, heard)) => {
                    fleet.hosts.insert(name.clone(), host);
                    fleet.arrived.insert(name, seen);
                    fleet.heard.extend(heard);
                }
                Err(e) => {
                    fleet.unreachable.insert(name, e);
                }
            }
        }
        fleet
    }

    /// A fleet of given connections: for tests and simulated hosts.
    pub fn of(hosts: BTreeMap<String, Arc<dyn Host>>, probes: BTreeMap<String, Vec<Probe>>) -> Fleet {
        Fleet {
            hosts,
            probes,
            slots: Semaphore::new(Semaphore::MAX_PERMITS),
            arrived: BTreeMap::new(),
            heard: BTreeMap::new(),
            bells: Mutex::default(),
            phases: Phases::default(),
            anew: Connector::default(),
            unreachable: BTreeMap::new(),
        }
    }

    fn probes_of(&self, host: &str) -> &[Probe] {
        self.probes.get(host).map(Vec::as_slice).unwrap_or_default()
    }

    /// One host.
    pub fn host(&self, name: &str) -> Result<Arc<dyn Host>, Fault> {
        self.hosts.get(name).cloned().ok_or_else(|| Fault::failed(format!("{name} is not connected")))
    }

    /// Connects to a host once more.
    pub async fn anew(&self, site: &Site, name: &str) -> Result<Arc<dyn Host>, TransportError> {
        let Some(host) = site.hosts.get(name) else {
            return Err(TransportError::new(Kind::Internal, format!("{name} is no host of this run"), ""));
        };
        Ok(self.anew.connect(&host.target).await?)
    }

    /// All connected hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = (&String, &Arc<dyn Host>)> {
        self.hosts.iter()
    }

    /// Looks at these hosts, as many at once as `--forks` allows.
    pub async fn look<'a>(&self, names: impl Iterator<Item = &'a String>) -> Vec<(String, Result<HostView, Fault>)> {
        join_all(names.filter_map(|n| self.hosts.get_key_value(n)).map(|(name, conn)| async move {
            let _slot = self.slot().await;
            let (seen, engine) = tokio::join!(observe::shell(conn, self.probes_of(name)), observe::engine(conn));
            (name.clone(), observe::host(seen, engine))
        }))
        .await
    }

    /// Looks at a cluster's Swarm through one of its managers; `None`: there is none yet.
    pub async fn look_at_swarm(
        &self,
        site: &Site,
        world: &World,
        cluster: &str,
    ) -> Result<Option<SwarmObservation>, Fault> {
        let Some(manager) = world.manager(site, cluster) else {
            return Ok(None);
        };
        if world.hosts.get(manager).and_then(|v| v.engine.as_ref()).is_some_and(EngineObservation::is_cut_off) {
            return Err(no_leader(site, world, cluster));
        }
        let seen = observe::swarm(&self.host(manager)?).await?;
        self.with_tables(site, world, cluster, seen).await.map(Some)
    }

    async fn with_tables(
        &self,
        site: &Site,
        world: &World,
        cluster: &str,
        mut seen: SwarmObservation,
    ) -> Result<SwarmObservation, Fault> {
        // The database is asked only while its record does not answer the question. One that somebody else installed has
        // other logins.
        let query = site.clusters[cluster].wanted.services.iter().find_map(|s| Some((&s.name, s.exec_query.as_ref()?)));
        if let Some((service, argv)) = query
            && seen.config(INITIALISED).is_none()
            && seen.service(service).is_some_and(|s| at(s, &["Spec", "Labels", MANAGED]).is_some())
        {
            let by_node = |node: &str| world.host_of_node(node).and_then(|h| self.host(h).ok());
            seen.tables = observe::tables(&seen, service, argv, &by_node).await?;
        }
        Ok(seen)
    }

    /// What wakes those who wait for a service of this cluster; listens as long as somebody holds it.
    pub fn bell(&self, site: &Site, cluster: &str) -> Arc<Bell> {
        let mut bells = self.bells.lock().unwrap_or_else(PoisonError::into_inner);
        let bell = bells.entry(cluster.to_owned()).or_default();
        if let Some(there) = bell.upgrade() {
            return there;
        }
        let made = Bell::listen(site.hosts_of(cluster).filter_map(|(name, _)| self.hosts.get(name).cloned()));
        *bell = Arc::downgrade(&made);
        made
    }

    /// The first look at everything. Hosts that fail here count as unreachable.
    pub async fn first_look(&mut self, site: &Site) -> Result<World, Fault> {
        let mut world = World::default();
        for name in site.hosts.keys() {
            world.hosts.insert(name.clone(), HostView::default());
        }
        let arrived = std::mem::take(&mut self.arrived);
        let others: Vec<String> = self.hosts.keys().filter(|h| !arrived.contains_key(*h)).cloned().collect();
        let others = self.look(others.iter()).await;
        for (name, seen) in arrived.into_iter().chain(others) {
            match seen {
                Ok(view) => {
                    world.hosts.insert(name, view);
                }
                Err(e) if e.kind == super::fault::FaultKind::Unreachable => {
                    self.hosts.remove(&name);
                    let error = TransportError::new(reemo_transport::Kind::Become, e.cause, e.hint);
                    self.unreachable.insert(name, error);
                }
                Err(e) => return Err(e),
            }
        }
        let mut heard = std::mem::take(&mut self.heard);
        let looks = site.clusters.keys().map(|c| (c, heard.remove(c))).collect::<Vec<_>>();
        let (there, world_now) = (&*self, &world);
        let looked = join_all(looks.into_iter().map(|(cluster, heard)| async move {
            // It speaks for the cluster if it is of the Swarm that the first manager in the inventory's order is of.
            let of = world_now.manager(site, cluster).and_then(|m| world_now.hosts.get(m)?.engine.as_ref());
            let seen = match heard.filter(|h| of.is_some_and(|e| e.swarm_id == h.id)) {
                Some(heard) => there.with_tables(site, world_now, cluster, heard.swarm).await.map(Some),
                None => there.look_at_swarm(site, world_now, cluster).await,
            };
            (cluster.clone(), seen)
        }))
        .await;
        for (cluster, seen) in looked {
            if let Some(seen) = seen? {
                world.swarms.insert(cluster, seen);
            }
        }
        world.databases = self.databases(site, &world).await;
        Ok(world)
    }

    /// A place among those that are worked on at the same time (`--forks`).
    pub(super) async fn slot(&self) -> Option<SemaphorePermit<'_>> {
        self.slots.acquire().await.ok()
    }

    /// What the hosts find of their external databases, where that is a question.
    pub async fn databases(&self, site: &Site, world: &World) -> BTreeMap<String, external::Found> {
        let asks = self.hosts.iter().filter_map(|(name, conn)| {
            let cluster = &site.hosts.get(name)?.cluster;
            let parts = site.clusters.get(cluster)?;
            let db = parts.settings.external.as_ref()?;
            let owner = parts.wanted.cluster.database_of.as_ref().unwrap_or(cluster);
            let asked = external::is_a_question(parts, world.swarms.get(owner), world.swarms.get(cluster));
            asked.then_some(async move {
                let _slot = self.slot().await;
                (name.clone(), self.phases.timed("database", name, external::ask(conn, db)).await)
            })
        });
        join_all(asks).await.into_iter().collect()
    }
}

/// Nobody leads: what runs goes on, and nothing can be changed.
fn no_leader(site: &Site, world: &World, cluster: &str) -> Fault {
    let all = site.hosts_of(cluster).filter(|(_, h)| !h.worker).count();
    let engine = |name: &String| world.hosts.get(name).and_then(|v| v.engine.as_ref()).is_some_and(|e| e.manager);
    let up: Vec<&str> = site.hosts_of(cluster).filter(|(n, _)| engine(n)).map(|(n, _)| n.as_str()).collect();
    Fault::refused(
        format!(
            "the Swarm of {cluster} has no leader: {} of its {all} managers answer ({}), and they need {} that reach each other",
            up.len(),
            up.join(", "),
            all / 2 + 1
        ),
        "start the others' engines, or mend the network between the nodes (TCP 2377 and 7946, UDP 7946 and 4789); what runs \
         goes on meanwhile. For managers that are lost for good see docs/recovery.md",
    )
}
