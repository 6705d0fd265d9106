//! The hosts of a run, connected; and looking at several of them at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;
use reemo_resource::probe::Probe;
use reemo_resource::swarm::INITIALISED;
use reemo_resource::swarm::observed::SwarmObservation;
use reemo_transport::{Connector, Host, TransportError};
use tokio::sync::Semaphore;

use super::fault::Fault;
use super::observe;
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
    /// Hosts that could not be reached, and why.
    pub unreachable: BTreeMap<String, TransportError>,
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
        let mut fleet = Fleet { slots: Semaphore::new(forks.max(1)), ..Fleet::of(BTreeMap::new(), probes) };
        let there = &fleet;
        let all = site.hosts.iter().filter(|(_, h)| h.in_run).map(|(name, host)| async move {
            let _slot = there.slots.acquire().await;
            let host: Arc<dyn Host> = match connector.connect(&host.target).await {
                Ok(host) => host,
                Err(e) => return (name.clone(), Err(e)),
            };
            let seen = observe::host(&host, there.probes_of(name)).await;
            (name.clone(), Ok((host, seen)))
        });
        for (name, reached) in join_all(all).await {
            match reached {
                Ok((host, seen)) => {
                    fleet.hosts.insert(name.clone(), host);
                    fleet.arrived.insert(name, seen);
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
        let (arrived, unreachable) = (BTreeMap::new(), BTreeMap::new());
        Fleet { hosts, probes, slots: Semaphore::new(Semaphore::MAX_PERMITS), arrived, unreachable }
    }

    fn probes_of(&self, host: &str) -> &[Probe] {
        self.probes.get(host).map(Vec::as_slice).unwrap_or_default()
    }

    /// One host.
    pub fn host(&self, name: &str) -> Result<Arc<dyn Host>, Fault> {
        self.hosts.get(name).cloned().ok_or_else(|| Fault::failed(format!("{name} is not connected")))
    }

    /// All connected hosts, by name.
    pub fn hosts(&self) -> impl Iterator<Item = (&String, &Arc<dyn Host>)> {
        self.hosts.iter()
    }

    /// Looks at these hosts, as many at once as `--forks` allows.
    pub async fn look<'a>(&self, names: impl Iterator<Item = &'a String>) -> Vec<(String, Result<HostView, Fault>)> {
        join_all(names.filter_map(|n| self.hosts.get_key_value(n)).map(|(name, conn)| async move {
            let _slot = self.slots.acquire().await;
            (name.clone(), observe::host(conn, self.probes_of(name)).await)
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
        let mut seen = observe::swarm(&self.host(manager)?).await?;
        // The database is asked only while its record does not answer the question.
        let query = site.clusters[cluster].wanted.services.iter().find_map(|s| Some((&s.name, s.exec_query.as_ref()?)));
        if let Some((service, argv)) = query
            && seen.config(INITIALISED).is_none()
        {
            let by_node = |node: &str| world.host_of_node(node).and_then(|h| self.host(h).ok());
            seen.tables = observe::tables(&seen, service, argv, &by_node).await?;
        }
        Ok(Some(seen))
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
        let looks = site.clusters.keys().map(|c| async { (c.clone(), self.look_at_swarm(site, &world, c).await) });
        let looked = join_all(looks).await;
        for (cluster, seen) in looked {
            if let Some(seen) = seen? {
                world.swarms.insert(cluster, seen);
            }
        }
        Ok(world)
    }
}
