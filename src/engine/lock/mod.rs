//! One run at a time on a cluster, whoever starts it and from where.
//!
//! Taken after the comparison and only if something is to be done, so that a run that changes nothing costs nothing
//! more. All clusters of the run, in the order of their Swarms' ids: two runs over the same clusters cannot wait for
//! each other.

pub mod files;
pub mod raft;

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use reemo_model::event::Sink;
use reemo_transport::Host;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use super::fault::{Fault, FaultKind};
use super::fleet::Fleet;
use super::interrupt::Interrupt;
use super::observe;
use super::owner::Owner;
use super::site::Site;
use super::world::World;
use files::FileLock;
use raft::RaftLock;

/// Name of the config.
pub const NAME: &str = "io.reemo.lock";
/// What was proven so long ago need not be proven again.
const FRESH: Duration = Duration::from_secs(1);

/// A wish to hold the lock.
#[derive(Clone)]
pub struct Wish {
    /// Who.
    pub owner: Owner,
    /// What for: the command.
    pub reason: String,
    /// How long to wait for somebody else.
    pub wait: Duration,
    /// How often, how long.
    pub timing: Timing,
    /// The operator may not want to wait any longer.
    pub interrupt: Interrupt,
}

impl Wish {
    /// Called while waiting.
    fn go_on(&self) -> Result<(), Fault> {
        match self.interrupt.signal() {
            None => Ok(()),
            Some(signal) => Err(Fault::interrupted(signal.name())),
        }
    }
}

/// Lengths of time; tests have shorter ones.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Between two signs of life.
    pub beat: Duration,
    /// Without one for so long, by the watcher's own clock, a holder is taken for dead.
    pub stale: Duration,
    /// Between two looks of one who waits.
    pub poll: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Timing { beat: Duration::from_secs(5), stale: Duration::from_secs(60), poll: Duration::from_secs(1) }
    }
}

/// Who holds a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub owner: Owner,
    /// What it does.
    pub reason: String,
    /// Its last sign of life, by its own clock; empty where that is not kept.
    #[serde(default)]
    pub at: String,
}

impl Holder {
    /// `apply, by root on control1 (process 812, run …), last sign of life 2027-01-15T12:00:00Z`.
    pub fn in_words(&self) -> String {
        let at = if self.at.is_empty() { String::new() } else { format!(", last sign of life {}", self.at) };
        format!("`{}` of {}{at}", self.reason, self.owner.in_words())
    }
}

/// Exit 7, naming the holder.
fn held(cluster: &str, holder: &Holder, wish: &Wish) -> Fault {
    let cause = format!("{cluster} is being changed by {}", holder.in_words());
    let hint = format!(
        "wait until it has ended, or let this run wait: --lock-wait 10m. One that shows no sign of life for {} s is taken \
         over by whoever waits so long; `reemo-infra lock release` does it by hand",
        wish.timing.stale.as_secs()
    );
    Fault { kind: FaultKind::Locked, ..Fault::failed(cause) }.hint(hint)
}

enum Held {
    Swarm(Box<RaftLock>),
    Files(FileLock),
}

impl Held {
    async fn prove(&self, always: bool) -> Result<(), Fault> {
        match self {
            Held::Swarm(lock) => lock.prove(always).await,
            Held::Files(lock) => lock.prove(always).await,
        }
    }

    async fn release(&self) -> Result<(), Fault> {
        match self {
            Held::Swarm(lock) => lock.release().await,
            Held::Files(lock) => {
                lock.release().await;
                Ok(())
            }
        }
    }
}

/// What is held, by cluster.
type Taken = Vec<(String, Arc<Held>)>;

/// The locks of a run.
pub struct Lease {
    held: Arc<Mutex<Taken>>,
    wish: Wish,
    /// Somebody else held one of them while we waited: what was looked at before is old.
    pub waited: bool,
    beats: JoinHandle<()>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.beats.abort();
    }
}

impl Lease {
    /// Who holds it, and what for.
    pub fn holder(&self) -> (Owner, String) {
        (self.wish.owner.clone(), self.wish.reason.clone())
    }

    /// Takes the locks of all clusters of the run, or none.
    pub async fn take(site: &Site, fleet: &Fleet, world: &World, wish: Wish, events: &Sink) -> Result<Lease, Fault> {
        let on_wait = |line: &str| events.warn(line);
        let mut taken: Taken = Vec::new();
        let mut waited = false;
        for cluster in in_order(site, world) {
            let one = take_one(site, fleet, world, cluster, &wish, &on_wait).await;
            match one {
                Ok((held, long)) => {
                    waited |= long;
                    taken.push((cluster.clone(), Arc::new(held)));
                }
                Err(fault) => {
                    for (_, held) in &taken {
                        let _ = held.release().await;
                    }
                    return Err(fault);
                }
            }
        }
        let held = Arc::new(Mutex::new(taken));
        let (of, every) = (held.clone(), wish.timing.beat);
        let beats = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let all: Vec<Arc<Held>> = of.lock().await.iter().map(|(_, h)| h.clone()).collect();
                for held in all {
                    // What came of it is asked before the next write.
                    let _ = held.prove(true).await;
                }
            }
        });
        Ok(Lease { held, wish, waited, beats })
    }

    /// Still ours? Asked before each write.
    pub async fn prove(&self, cluster: &str) -> Result<(), Fault> {
        let now = async || self.held.lock().await.iter().find(|(c, _)| c == cluster).map(|(_, h)| h.clone());
        let Some(held) = now().await else { return Ok(()) };
        match held.prove(false).await {
            Ok(()) => Ok(()),
            // The files were given back meanwhile, because a Swarm holds the lock now.
            Err(fault) => match now().await.filter(|other| !Arc::ptr_eq(other, &held)) {
                Some(other) => other.prove(false).await,
                None => Err(fault),
            },
        }
    }

    /// True when files are held of hosts that form a Swarm by now.
    pub async fn outdated(&self, site: &Site, fleet: &Fleet) -> bool {
        let held = self.held.lock().await;
        let by_files = held.iter().filter(|(_, held)| matches!(**held, Held::Files(_))).map(|(cluster, _)| cluster);
        let hosts = by_files.flat_map(|cluster| site.hosts_of(cluster)).filter_map(|(name, _)| fleet.host(name).ok());
        let asked = hosts.map(|host| async move { observe::engine(&host).await });
        join_all(asked).await.iter().any(|engine| matches!(engine, Ok(Some(engine)) if engine.manager))
    }

    /// There is a Swarm now: its lock takes the place of the files.
    pub async fn swarm_made(&self, cluster: &str, manager: Arc<dyn Host>) -> Result<(), Fault> {
        let wish = Wish { wait: Duration::ZERO, ..self.wish.clone() };
        let (lock, _) = RaftLock::take(cluster, vec![manager], &wish, &|_| {}).await?;
        let mut held = self.held.lock().await;
        let before = match held.iter_mut().find(|(c, _)| c == cluster) {
            Some((_, slot)) => std::mem::replace(slot, Arc::new(Held::Swarm(Box::new(lock)))),
            None => return lock.release().await,
        };
        drop(held);
        before.release().await
    }

    /// Gives all of them back; what cannot be given back is said.
    pub async fn release(&self, events: &Sink) {
        self.beats.abort();
        for (cluster, held) in self.held.lock().await.iter() {
            if let Err(fault) = held.release().await {
                events.warn(format!("{cluster}: its lock could not be given back: {}", fault.cause));
            }
        }
    }
}

/// By Swarm id; clusters that are none yet after those, by name.
fn in_order<'a>(site: &'a Site, world: &World) -> Vec<&'a String> {
    let id = |cluster: &String| {
        let manager = world.manager(site, cluster)?;
        Some(world.hosts.get(manager)?.engine.as_ref()?.swarm_id.clone())
    };
    let mut all: Vec<&String> = site.clusters.keys().collect();
    all.sort_by_key(|c| (id(c).is_none(), id(c), (*c).clone()));
    all
}

async fn take_one(
    site: &Site,
    fleet: &Fleet,
    world: &World,
    cluster: &str,
    wish: &Wish,
    on_wait: &(dyn Fn(&str) + Send + Sync),
) -> Result<(Held, bool), Fault> {
    let managers = managers(site, fleet, world, cluster);
    if managers.is_empty() {
        let all = site.hosts_of(cluster).count();
        let hosts = site.hosts_of(cluster).filter_map(|(name, _)| fleet.host(name).ok()).collect();
        let (lock, waited) = FileLock::take(cluster, hosts, all, wish, on_wait).await?;
        return Ok((Held::Files(lock), waited));
    }
    let (lock, waited) = RaftLock::take(cluster, managers, wish, on_wait).await?;
    files::sweep(site.hosts_of(cluster).filter_map(|(name, _)| fleet.host(name).ok())).await;
    Ok((Held::Swarm(Box::new(lock)), waited))
}

/// The reachable managers of a cluster.
pub fn managers(site: &Site, fleet: &Fleet, world: &World, cluster: &str) -> Vec<Arc<dyn Host>> {
    let manages = |name: &String| world.hosts.get(name).is_some_and(|v| v.engine.as_ref().is_some_and(|e| e.manager));
    site.hosts_of(cluster).filter(|(n, _)| manages(n)).filter_map(|(n, _)| fleet.host(n).ok()).collect()
}
