//! A run: the ready queue, fed by evaluations, emptied by the interpreter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use reemo_model::catalogue::Stage;
use reemo_model::change::{Change, Verdict};
use reemo_model::event::{Counts, Event, Outcome, Shown, Sink};
use reemo_model::schedule::Schedule;
use reemo_model::wanted::WantedService;
use serde_json::Value;
use tokio::sync::{RwLock, Semaphore};
use tokio::task::JoinSet;

use super::evaluate::View;
use super::fault::{Fault, FaultKind};
use super::fleet::Fleet;
use super::graph::TaskGraph;
use super::lock::{Lease, Wish, raft};
use super::safety::Safety;
use super::site::Site;
use super::stages::Stages;
use super::task::{Task, What};
use super::world::{Touched, World};

/// What a run is asked to do.
#[derive(Clone, Default)]
pub struct Options {
    /// `--tags`.
    pub tags: Vec<String>,
    /// `--skip-tags`.
    pub skip_tags: Vec<String>,
    /// Hosts worked on at the same time.
    pub forks: usize,
    /// Checks before the first change whose problems are said and no reason to stop.
    pub ignore_preflight: Vec<String>,
    /// What a command for the same site needs, ready to be typed: ` -i inventory.yml`.
    pub same_site: String,
}

impl Options {
    /// A run with these options includes the task: selected, and within reach.
    pub fn include(&self, world: &World, task: &Task) -> bool {
        world.within_reach(task) && task.select.includes(&self.tags, &self.skip_tags)
    }
}

/// A service this run changed, with what it was before.
#[derive(Clone)]
pub struct Changed {
    /// Cluster.
    pub cluster: String,
    /// The service as wanted.
    pub service: Arc<WantedService>,
    /// The spec it had; `None`: it was not there.
    pub before: Option<Value>,
}

/// One run over one graph.
pub struct Run {
    /// What is wanted.
    pub site: Arc<Site>,
    /// The tasks.
    pub graph: TaskGraph,
    /// The hosts, connected.
    pub fleet: Arc<Fleet>,
    /// What is known.
    pub world: RwLock<World>,
    /// Listeners.
    pub events: Sink,
    /// What is asked.
    pub options: Options,
    /// What keeps it safe.
    pub safety: Safety,
    pub(super) lease: tokio::sync::RwLock<Option<Lease>>,
    pub(super) recorded: tokio::sync::Mutex<BTreeSet<(String, Stage)>>,
    pub(super) touched: Mutex<Touched>,
    pub(super) done: Mutex<BTreeSet<String>>,
    pub(super) rollout: Mutex<Vec<Changed>>,
    counts: Mutex<BTreeMap<String, Counts>>,
    stages: Stages,
    pub(super) refreshing: tokio::sync::Mutex<()>,
    /// Held by whoever touches a quorum. By cluster: the host whose engine did not take its new configuration.
    pub(super) quorum: tokio::sync::Mutex<BTreeMap<String, String>>,
    pub(super) slots: Semaphore,
}

/// How a run ended.
#[derive(Default)]
pub struct Ending {
    /// Failures in the order they happened, with the task.
    pub faults: Vec<(Arc<Task>, Fault)>,
    /// Recap lines.
    pub counts: BTreeMap<String, Counts>,
    /// Services changed, in order.
    pub rollout: Vec<Changed>,
    /// Tasks that were not begun, though nothing before them failed.
    pub left: usize,
}

impl Ending {
    /// There is something left that was not begun because it was asked to stop.
    pub fn unfinished(&self) -> bool {
        self.left > 0 || self.faults.iter().any(|(_, f)| f.kind == FaultKind::Interrupted)
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Run {
    /// A run that starts from an observation.
    pub fn new(
        site: Arc<Site>,
        graph: TaskGraph,
        fleet: Arc<Fleet>,
        world: World,
        events: Sink,
        options: Options,
        safety: Safety,
    ) -> Arc<Run> {
        let slots = Semaphore::new(options.forks.max(1));
        let mut counts: BTreeMap<String, Counts> = BTreeMap::new();
        for host in site.run_hosts() {
            let unreachable = u32::from(!world.reached(host));
            counts.insert(host.clone(), Counts { unreachable, ..Counts::default() });
        }
        Arc::new(Run {
            site,
            graph,
            fleet,
            world: RwLock::new(world),
            events,
            options,
            safety,
            lease: tokio::sync::RwLock::default(),
            recorded: tokio::sync::Mutex::default(),
            touched: Mutex::default(),
            done: Mutex::default(),
            rollout: Mutex::default(),
            counts: Mutex::new(counts),
            stages: Stages::default(),
            refreshing: tokio::sync::Mutex::default(),
            quorum: tokio::sync::Mutex::default(),
            slots,
        })
    }

    /// The host a task is counted for: its own, or the cluster's first reachable one.
    pub fn counted_for(&self, world: &World, task: &Task) -> String {
        if let Some(host) = &task.host {
            return host.clone();
        }
        self.site.hosts_of(&task.cluster).map(|(n, _)| n).find(|n| world.reached(n)).cloned().unwrap_or_default()
    }

    /// Tasks of this run: selected, and on hosts that were reached.
    pub fn includes(&self, world: &World, task: &Task) -> bool {
        self.options.include(world, task)
    }

    /// Verdicts of all tasks of this run on what is known now, in graph order.
    pub async fn verdicts(&self) -> Vec<(Arc<Task>, Verdict)> {
        let world = self.world.read().await;
        self.judged(&world, |t| self.includes(&world, t))
    }

    /// Verdicts of all tasks on hosts that were reached, those outside `--tags` too.
    pub async fn every_verdict(&self) -> Vec<(Arc<Task>, Verdict)> {
        let world = self.world.read().await;
        self.judged(&world, |t| world.within_reach(t))
    }

    /// What a change makes necessary (a restart) comes later in the graph, and knows of it.
    fn judged(&self, world: &World, included: impl Fn(&Task) -> bool) -> Vec<(Arc<Task>, Verdict)> {
        let mut changed = BTreeSet::new();
        let mut all = Vec::new();
        for task in self.graph.tasks().filter(|t| included(t)) {
            let verdict = View { site: &self.site, world, changed: &changed }.verdict(task);
            if matches!(verdict, Verdict::Change(_)) {
                changed.insert(task.id.clone());
            }
            all.push((task.clone(), verdict));
        }
        all
    }

    /// A step of a run by hand is done: told, and counted for that host.
    pub fn told(&self, cluster: &str, host: &str, stage: Stage, title: &str) {
        let mut counts = lock(&self.counts);
        let line = counts.entry(host.to_owned()).or_default();
        line.ok += 1;
        line.changed += 1;
        self.events.send(Event::TaskFinished {
            task: format!("{cluster}/{title}"),
            title: title.to_owned(),
            host: host.to_owned(),
            stage: stage.word().into(),
            outcome: Outcome::Changed,
            change: None,
            seconds: 0.0,
        });
    }

    /// The recap so far.
    pub fn tally(&self) -> BTreeMap<String, Counts> {
        lock(&self.counts).clone()
    }

    /// Takes the locks. True: somebody else was at work meanwhile, and everything was looked at again.
    pub async fn lock(&self, wish: Wish) -> Result<bool, Fault> {
        let mut waited = self.busy(&wish).await;
        let take = async || {
            let world = self.world.read().await.clone();
            Lease::take(&self.site, &self.fleet, &world, wish.clone(), &self.events).await
        };
        let mut lease = take().await?;
        waited |= lease.waited;
        // Somebody made a Swarm between our look and his giving back of the files: its lock is the one that counts.
        if lease.outdated(&self.site, &self.fleet).await {
            lease.release(&self.events).await;
            self.look_at_everything().await?;
            lease = take().await?;
            waited = true;
        }
        *self.lease.write().await = Some(lease);
        if waited {
            self.look_at_everything().await?;
        }
        Ok(waited)
    }

    /// Removes the locks of dead runs of this machine that were seen by the way: a run with nothing to do takes none, and
    /// would leave them for ever.
    pub async fn sweep(&self, wish: &Wish) {
        let world = self.world.read().await;
        for (cluster, there) in &world.swarms {
            if let Some(orphan) = raft::orphan(&there.configs) {
                let managers = super::lock::managers(&self.site, &self.fleet, &world, cluster);
                // It is in nobody's way: the next run that needs it takes it over.
                let _ = raft::break_open(&managers, cluster, orphan, &wish.owner).await;
            }
        }
    }

    /// Somebody else was seen at work: what was looked at is half of something, and no gate should judge it.
    pub async fn busy(&self, wish: &Wish) -> bool {
        self.world.read().await.swarms.values().any(|there| raft::foreign(&there.configs, &wish.owner))
    }

    /// Gives the locks back.
    pub async fn unlock(&self) {
        if let Some(lease) = self.lease.write().await.take() {
            lease.release(&self.events).await;
        }
    }

    /// The lock of a cluster is still ours: asked before each write.
    pub(super) async fn still_ours(&self, cluster: &str) -> Result<(), Fault> {
        match &*self.lease.read().await {
            Some(lease) => lease.prove(cluster).await,
            None => Ok(()),
        }
    }

    /// Runs everything that is to be done.
    pub async fn execute(self: &Arc<Run>) -> Ending {
        let mut schedule = Schedule::new(&self.dependencies().await);
        let mut running: JoinSet<(usize, Result<(), Fault>)> = JoinSet::new();
        let mut ending = Ending::default();
        for task in self.graph.tasks() {
            if self.includes(&*self.world.read().await, task) {
                self.stages.count(task);
            }
        }
        loop {
            // Draining to a fixed point: tasks that have nothing to do free others at once.
            while !self.safety.interrupt.asked() {
                let ready = schedule.take_ready();
                if ready.is_empty() {
                    break;
                }
                for index in ready {
                    let task = self.graph.task(index).clone();
                    if !self.includes(&*self.world.read().await, &task) {
                        schedule.succeed(index);
                        continue;
                    }
                    let run = self.clone();
                    running.spawn(async move { (index, run.one(&task).await) });
                }
            }
            match running.join_next().await {
                None => break,
                Some(Ok((index, Ok(())))) => schedule.succeed(index),
                Some(Ok((index, Err(fault)))) => {
                    schedule.fail(index);
                    ending.faults.push((self.graph.task(index).clone(), fault));
                }
                Some(Err(e)) => {
                    // A panic in a task: ours. Nothing behind it may start.
                    let task = self.graph.task(0).clone();
                    ending.faults.push((task, Fault::failed(format!("internal error: {e}"))));
                    break;
                }
            }
        }
        ending.left = schedule.left();
        ending.counts = lock(&self.counts).clone();
        ending.rollout = lock(&self.rollout).clone();
        ending
    }

    /// What each task waits for. Services take turns (`after:`) for the sake of those who use them: where neither of two
    /// is there yet, nobody does.
    async fn dependencies(&self) -> Vec<Vec<usize>> {
        let world = self.world.read().await;
        let there =
            |task: &Task, name: &str| world.swarms.get(&task.cluster).is_some_and(|s| s.service(name).is_some());
        let mut all = self.graph.dependencies();
        for (index, needs) in all.iter_mut().enumerate() {
            let task = self.graph.task(index);
            let What::Service(second) = &task.what else { continue };
            needs.retain(|before| match &self.graph.task(*before).what {
                What::Service(first) if second.after.contains(&first.name) => {
                    there(task, &first.name) || there(task, &second.name)
                }
                _ => true,
            });
        }
        all
    }

    /// Looks again at everything this run touched; returns what still differs.
    pub async fn verify(&self) -> Result<Vec<(Arc<Task>, Verdict)>, Fault> {
        if !lock(&self.touched).any() {
            return Ok(Vec::new());
        }
        for cluster in self.site.clusters.keys() {
            self.refresh(cluster, None, None).await?;
        }
        Ok(self.verdicts().await.into_iter().filter(|(_, v)| !v.is_unchanged()).collect())
    }

    /// One task, from evaluation to proof.
    async fn one(self: &Arc<Run>, task: &Arc<Task>) -> Result<(), Fault> {
        let started = Instant::now();
        self.stages.enter(task, &self.events);
        let result = match self.refresh(&task.cluster, task.host.as_deref(), Some(task.stage)).await {
            Ok(()) => self.act(task).await,
            Err(e) => Err(e),
        };
        let world = self.world.read().await;
        let host = self.counted_for(&world, task);
        drop(world);
        let (outcome, change) = match &result {
            Ok(None) => (Outcome::Ok, None),
            Ok(Some(change)) => {
                (Outcome::Changed, Some(Shown { action: change.action, fields: change.fields.clone() }))
            }
            Err(fault) if fault.kind == FaultKind::Unreachable => (Outcome::Unreachable, None),
            Err(fault) if fault.kind == FaultKind::Interrupted => (Outcome::Skipped { why: fault.cause.clone() }, None),
            Err(fault) => (Outcome::Failed { why: fault.cause.clone() }, None),
        };
        {
            let mut counts = lock(&self.counts);
            let line = counts.entry(host.clone()).or_default();
            match &outcome {
                Outcome::Ok => line.ok += 1,
                Outcome::Changed => {
                    line.ok += 1;
                    line.changed += 1;
                }
                Outcome::Unreachable => line.unreachable = 1,
                Outcome::Skipped { .. } => line.skipped += 1,
                _ => line.failed += 1,
            }
        }
        self.events.send(Event::TaskFinished {
            task: task.id.clone(),
            title: task.title.clone(),
            host,
            stage: task.stage.word().into(),
            outcome,
            change,
            seconds: started.elapsed().as_secs_f64(),
        });
        self.stages.leave(task, &self.events);
        result.map(drop)
    }

    async fn act(self: &Arc<Run>, task: &Arc<Task>) -> Result<Option<Change>, Fault> {
        let mut verdict = self.verdict(task).await;
        if matches!(verdict, Verdict::Unknown { .. }) {
            // What it waited for happened in this very stage.
            self.refresh(&task.cluster, task.host.as_deref(), None).await?;
            verdict = self.verdict(task).await;
        }
        match verdict {
            Verdict::Unchanged if matches!(task.what, What::Health) => self.health(task).await.map(|()| None),
            Verdict::Unchanged => Ok(None),
            Verdict::Refused { why, hint } => Err(Fault::refused(why, hint)),
            Verdict::Unknown { until } => Err(Fault::failed(format!("{}: cannot go on before {until}", task.title))),
            Verdict::Change(change) => {
                self.change(task, &change).await?;
                lock(&self.done).insert(task.id.clone());
                Ok(Some(change))
            }
        }
    }

    async fn verdict(&self, task: &Task) -> Verdict {
        let done = lock(&self.done).clone();
        let world = self.world.read().await;
        View { site: &self.site, world: &world, changed: &done }.verdict(task)
    }
}
