//! A run: the ready queue, fed by evaluations, emptied by the interpreter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use futures_util::future::try_join_all;
use reemo_model::catalogue::Stage;
use reemo_model::change::{Change, Verdict};
use reemo_model::event::{Counts, Event, Outcome, Shown, Sink};
use reemo_model::op::{DockerOp, Op};
use reemo_model::schedule::Schedule;
use reemo_model::wanted::WantedService;
use reemo_resource::swarm::observed::number;
use reemo_transport::Host;
use serde_json::{Value, json};
use tokio::sync::{RwLock, Semaphore};
use tokio::task::JoinSet;

use super::evaluate::View;
use super::fault::{Fault, FaultKind};
use super::fleet::Fleet;
use super::graph::TaskGraph;
use super::health;
use super::interpret::{self, Scene};
use super::prove::Witness;
use super::settle;
use super::site::Site;
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
    touched: Mutex<Touched>,
    done: Mutex<BTreeSet<String>>,
    rollout: Mutex<Vec<Changed>>,
    counts: Mutex<BTreeMap<String, Counts>>,
    stages: Mutex<BTreeMap<(String, Stage), Progress>>,
    refreshing: tokio::sync::Mutex<()>,
    quorum: tokio::sync::Mutex<()>,
    slots: Semaphore,
}

/// How far a stage of a cluster is.
#[derive(Default)]
struct Progress {
    left: usize,
    since: Option<Instant>,
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
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
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
            touched: Mutex::default(),
            done: Mutex::default(),
            rollout: Mutex::default(),
            counts: Mutex::new(counts),
            stages: Mutex::default(),
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
        let changed = BTreeSet::new();
        let view = View { site: &self.site, world: &world, changed: &changed };
        self.graph.tasks().filter(|t| self.includes(&world, t)).map(|t| (t.clone(), view.verdict(t))).collect()
    }

    /// Verdicts of all tasks on hosts that were reached, those outside `--tags` too.
    pub async fn every_verdict(&self) -> Vec<(Arc<Task>, Verdict)> {
        let world = self.world.read().await;
        let changed = BTreeSet::new();
        let view = View { site: &self.site, world: &world, changed: &changed };
        self.graph.tasks().filter(|t| world.within_reach(t)).map(|t| (t.clone(), view.verdict(t))).collect()
    }

    /// Runs everything that is to be done.
    pub async fn execute(self: &Arc<Run>) -> Ending {
        let mut schedule = Schedule::new(&self.graph.dependencies());
        let mut running: JoinSet<(usize, Result<(), Fault>)> = JoinSet::new();
        let mut ending = Ending::default();
        self.count_stages().await;
        loop {
            // Draining to a fixed point: tasks that have nothing to do free others at once.
            loop {
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
        ending.counts = lock(&self.counts).clone();
        ending.rollout = lock(&self.rollout).clone();
        ending
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
        self.enter(task);
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
        self.leave(task);
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

    async fn change(self: &Arc<Run>, task: &Arc<Task>, change: &Change) -> Result<(), Fault> {
        // Hosts are bounded by --forks; a wait for a service is no work on a host.
        let _slot = if task.is_cluster_wide() { None } else { self.slots.acquire().await.ok() };
        // One manager at a time for whatever touches the quorum.
        let one_at_a_time = matches!(task.what, What::Member | What::RestartEngine { .. });
        let _quorum = if one_at_a_time { Some(self.quorum.lock().await) } else { None };
        let world = self.world.read().await.clone();
        let host = match &task.host {
            Some(host) => host.clone(),
            None => world
                .manager(&self.site, &task.cluster)
                .cloned()
                .ok_or_else(|| Fault::failed(format!("no manager of {} can be asked", task.cluster)))?,
        };
        let conn = self.fleet.host(&host)?;
        self.events.send(Event::TaskStarted {
            task: task.id.clone(),
            title: task.title.clone(),
            host: host.clone(),
            stage: task.stage.word().into(),
        });
        let last = Mutex::new(String::new());
        let on_line = |line: &str| {
            // What is being waited for is asked again and again; said once.
            let mut last = lock(&last);
            if *last == line {
                return;
            }
            line.clone_into(&mut last);
            self.events.send(Event::TaskOutput { task: task.id.clone(), host: host.clone(), line: line.to_owned() });
        };
        let scene = Scene {
            host: conn.clone(),
            others: &|name| self.fleet.host(name).ok(),
            swarm: world.swarms.get(&task.cluster),
            on_line: &on_line,
        };
        let result = match &task.what {
            What::Service(wanted) => self.service(task, wanted, change, &scene, &world).await,
            _ => self.ops(task, change, &scene).await,
        };
        // Also after a failure: who knows how far it came.
        self.touch(task);
        result
    }

    async fn ops(&self, task: &Task, change: &Change, scene: &Scene<'_>) -> Result<(), Fault> {
        for op in &change.ops {
            scene.run(op).await?;
        }
        let worker = task.host.as_ref().and_then(|h| self.site.hosts.get(h)).is_some_and(|h| h.worker);
        settle::settled(&task.what, worker, &scene.host).await
    }

    async fn service(
        &self,
        task: &Task,
        wanted: &Arc<WantedService>,
        change: &Change,
        scene: &Scene<'_>,
        world: &World,
    ) -> Result<(), Fault> {
        let before = world.swarms.get(&task.cluster).and_then(|s| s.service(&wanted.name)).map(|s| s["Spec"].clone());
        if !change.ops.is_empty() {
            lock(&self.rollout).push(Changed { cluster: task.cluster.clone(), service: wanted.clone(), before });
        }
        for op in &change.ops {
            if let Err(fault) = scene.run(&widened(op)).await {
                if fault.kind == FaultKind::Moved {
                    // What is there now is somebody else's: not ours to put back.
                    lock(&self.rollout).retain(|c| c.cluster != task.cluster || c.service.name != wanted.name);
                }
                return Err(fault);
            }
        }
        let witness = Witness {
            docker: scene.host.docker().await?,
            by_node: &|node| world.host_of_node(node).and_then(|h| self.fleet.host(h).ok()),
            on_line: scene.on_line,
            bell: self.fleet.bell(&self.site, &task.cluster),
        };
        if wanted.job.is_some() {
            witness.job(wanted).await?;
            return self.job_done(task, wanted, &witness.docker, world).await;
        }
        witness.service(wanted).await?;
        if change.ops.iter().any(|op| widened(op) != *op) {
            self.narrow(wanted, &witness.docker).await?;
        }
        Ok(())
    }

    /// Takes back the room that a start-first update was given.
    pub(super) async fn narrow(&self, wanted: &WantedService, docker: &reemo_transport::Docker) -> Result<(), Fault> {
        self.edit(&wanted.name, docker, |spec| {
            spec["TaskTemplate"]["Placement"]["MaxReplicas"] = json!(wanted.max_per_node);
        })
        .await
    }

    /// Writes on the job that this very run of it succeeded. Labels of a service restart nothing.
    async fn job_done(
        &self,
        task: &Task,
        wanted: &WantedService,
        docker: &reemo_transport::Docker,
        world: &World,
    ) -> Result<(), Fault> {
        let view = View { site: &self.site, world, changed: &BTreeSet::new() };
        let empty = Default::default();
        let there = world.swarms.get(&task.cluster).unwrap_or(&empty);
        let input = view.input(task, wanted, there);
        let fingerprint = input.fingerprint(&input.spec());
        self.edit(&wanted.name, docker, |spec| {
            spec["Labels"][reemo_resource::swarm::JOB_DONE] = json!(fingerprint);
        })
        .await
    }

    async fn edit(&self, name: &str, docker: &reemo_transport::Docker, edit: impl Fn(&mut Value)) -> Result<(), Fault> {
        let said = |e: bollard::errors::Error| Fault::docker(&format!("update {name}"), &e);
        let found = docker.read(&format!("/services/{name}")).await.map_err(said)?;
        let mut spec = found["Spec"].clone();
        edit(&mut spec);
        let version = number(&found, &["Version", "Index"]).unwrap_or_default();
        interpret::update_service(docker, name, version, spec, None).await.map_err(said)
    }

    async fn health(&self, task: &Task) -> Result<(), Fault> {
        let cluster = &self.site.clusters[&task.cluster];
        if !cluster.settings.health || lock(&self.rollout).is_empty() {
            return Ok(());
        }
        let asked = self.entrances(task).await?;
        let url = cluster.settings.portal_url.as_deref();
        let answers = try_join_all(asked.iter().map(|host| health::settled(host, url))).await?;
        for (host, _) in asked.iter().zip(answers).filter(|(_, found)| *found == health::Health::NotLetIn) {
            self.events.warn(format!(
                "{}: the portal's address filter does not let {} in, so its health tree was not asked there",
                task.cluster,
                host.name()
            ));
        }
        Ok(())
    }

    /// The hosts of a task's cluster that take users' requests: connected, and active in the Swarm.
    async fn entrances(&self, task: &Task) -> Result<Vec<Arc<dyn Host>>, Fault> {
        let world = self.world.read().await;
        let nodes = world.swarms.get(&task.cluster).map(|s| s.nodes.as_slice()).unwrap_or_default();
        let active = nodes.iter().filter(|n| n["Spec"]["Availability"] == "active" && n["Status"]["State"] == "ready");
        let names = active.filter_map(|n| world.host_of_node(n["ID"].as_str()?)).filter(|n| world.reached(n));
        let hosts = names.map(|n| self.fleet.host(n)).collect::<Result<Vec<_>, _>>()?;
        if hosts.is_empty() {
            return Ok(vec![self.fleet.host(&self.counted_for(&world, task))?]);
        }
        Ok(hosts)
    }

    fn touch(&self, task: &Task) {
        let mut touched = lock(&self.touched);
        match &task.host {
            Some(host) => {
                touched.host(host, task.stage);
                // A new member is news for the whole Swarm.
                if task.stage == Stage::Swarm {
                    touched.swarm(&task.cluster, task.stage);
                }
            }
            None => touched.swarm(&task.cluster, task.stage),
        }
    }

    /// Looks again at what was touched in earlier stages than this one (`None`: in any): one host, or
    /// for `None` all of the cluster and its Swarm.
    async fn refresh(&self, cluster: &str, host: Option<&str>, stage: Option<Stage>) -> Result<(), Fault> {
        let _one = self.refreshing.lock().await;
        let (hosts, swarm) = {
            let mut touched = lock(&self.touched);
            let hosts = match host {
                Some(host) => {
                    touched.stale_hosts(self.site.hosts.get_key_value(host).map(|(n, _)| n).into_iter(), stage)
                }
                None => touched.stale_hosts(self.site.hosts_of(cluster).map(|(n, _)| n), stage),
            };
            (hosts, host.is_none() && touched.stale_swarm(cluster, stage))
        };
        if hosts.is_empty() && !swarm {
            return Ok(());
        }
        let seen = self.fleet.look(hosts.iter()).await;
        let mut world = self.world.write().await;
        for (name, view) in seen {
            world.hosts.insert(name, view?);
        }
        if swarm || host.is_none() && !world.swarms.contains_key(cluster) {
            let asked = self.fleet.look_at_swarm(&self.site, &world, cluster).await?;
            if let Some(asked) = asked {
                world.swarms.insert(cluster.to_owned(), asked);
            }
        }
        Ok(())
    }

    async fn count_stages(&self) {
        let world = self.world.read().await;
        let mut stages = lock(&self.stages);
        for task in self.graph.tasks().filter(|t| self.includes(&world, t)) {
            stages.entry((task.cluster.clone(), task.stage)).or_default().left += 1;
        }
    }

    fn enter(&self, task: &Task) {
        let mut stages = lock(&self.stages);
        let Some(Progress { left, since }) = stages.get_mut(&(task.cluster.clone(), task.stage)) else {
            return;
        };
        if since.is_none() {
            *since = Some(Instant::now());
            self.events.send(Event::StageStarted {
                cluster: task.cluster.clone(),
                stage: task.stage.word().into(),
                tasks: *left,
            });
        }
    }

    fn leave(&self, task: &Task) {
        let mut stages = lock(&self.stages);
        let Some(Progress { left, since }) = stages.get_mut(&(task.cluster.clone(), task.stage)) else {
            return;
        };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.events.send(Event::StageFinished {
                cluster: task.cluster.clone(),
                stage: task.stage.word().into(),
                seconds: since.map_or(0.0, |s| s.elapsed().as_secs_f64()),
            });
        }
    }
}

/// A start-first update needs room for one more copy per node than the service may keep: Swarm counts
/// the old copies too. The limit goes back once the update is proven; Swarm replaces no task for it.
pub(super) fn widened(op: &Op) -> Op {
    let mut op = op.clone();
    if let Op::Docker(DockerOp::ServiceUpdate { spec, .. }) = &mut op {
        let limit = spec.pointer("/TaskTemplate/Placement/MaxReplicas").and_then(Value::as_u64).unwrap_or(0);
        if limit > 0 && spec.pointer("/UpdateConfig/Order") == Some(&json!("start-first")) {
            spec["TaskTemplate"]["Placement"]["MaxReplicas"] = json!(limit + 1);
        }
    }
    op
}
