//! What one task does: its ops one by one, each written down before and after, then what proves them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use reemo_model::change::Change;
use reemo_model::event::Event;
use reemo_model::op::{DockerOp, Op};
use reemo_model::wanted::WantedService;
use reemo_resource::swarm::observed::{number, text};
use reemo_transport::{Docker, Host};
use serde_json::{Value, json};

use super::evaluate::View;
use super::fault::{Fault, FaultKind};
use super::guard;
use super::health;
use super::interpret::{self, Scene};
use super::journal::{self, Entry, Of};
use super::prove::Witness;
use super::quorum::Quorum;
use super::run::{Changed, Run, lock};
use super::settle;
use super::task::{Task, What};
use super::world::World;

/// How long an engine may take to come back after a restart or a join.
const ENGINE_BACK: Duration = Duration::from_secs(60);

impl Run {
    pub(super) async fn change(self: &Arc<Run>, task: &Arc<Task>, change: &Change) -> Result<(), Fault> {
        // Hosts are bounded by --forks; a wait for a service is no work on a host.
        let _slot = if task.is_cluster_wide() { None } else { self.slots.acquire().await.ok() };
        // One manager at a time for whatever touches the quorum.
        let one_at_a_time = matches!(task.what, What::Member | What::Prune | What::RestartEngine { .. });
        let mut quorum = if one_at_a_time { Some(self.quorum.lock().await) } else { None };
        self.may_begin()?;
        let restarts = matches!(change.ops[..], [Op::RestartEngine { .. }]);
        if restarts {
            self.await_spare(task).await?;
        }
        let world = self.world.read().await.clone();
        let view = View { site: &self.site, world: &world, changed: &BTreeSet::new() };
        let at = match &task.what {
            What::Dump(job) => job.dump.as_ref().and_then(|d| view.dump_host(&task.cluster, &d.way)),
            _ => task.host.as_ref(),
        };
        let host = match at {
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
            anew: &|| Box::pin(self.fleet.anew(&self.site, conn.name())),
            swarm: world.swarms.get(&task.cluster),
            on_line: &on_line,
        };
        let refused = quorum.as_ref().filter(|_| restarts).and_then(|q| q.get(&task.cluster));
        let result = match &task.what {
            _ if refused.is_some() => self.untried(task, &scene, refused.map_or("", |r| r)).await,
            What::Service(wanted) => self.service(task, wanted, change, &scene, &world).await,
            _ => self.ops(task, change, &scene).await,
        };
        // Also after a failure: who knows how far it came.
        self.touch(task);
        if let (Some(quorum), true, true) = (&mut quorum, restarts, result.is_err()) {
            quorum.entry(task.cluster.clone()).or_insert(host);
        }
        result
    }

    /// What the engine of another host did not take is not tried on this one as well.
    async fn untried(&self, task: &Task, scene: &Scene<'_>, other: &str) -> Result<(), Fault> {
        let (host, path) = (&*scene.host, guard::DAEMON);
        self.still_ours(&task.cluster).await?;
        let op = json!({"op": "put_back", "path": path});
        self.safety.journal.step(Of::task(task, host.name()), op, guard::put_back(host, path)).await?;
        let cause = format!("{}: its engine was not restarted, since that of {other} does not work", host.name());
        Err(Fault::failed(format!("{cause} with the new {path}; the old one was put back")))
    }

    /// Others were restarted a moment ago, and are counted only once they are back. Asked of whoever manages now.
    async fn await_spare(&self, task: &Task) -> Result<(), Fault> {
        let deadline = Instant::now() + ENGINE_BACK;
        loop {
            let world = self.world.read().await.clone();
            let host = task.host.as_deref().unwrap_or_default();
            let engine = world.hosts.get(host).and_then(|v| v.engine.as_ref());
            let Some(engine) = engine.filter(|e| e.manager) else { return Ok(()) };
            let docker = self.fleet.host(host)?.docker().await?;
            let said = |e: bollard::errors::Error| Fault::docker("read the nodes", &e);
            let nodes = docker.read("/nodes").await.map_err(said)?;
            let nodes = nodes.as_array().cloned().unwrap_or_default();
            let node = nodes.iter().find(|n| text(n, &["ID"]) == engine.node_id);
            match Quorum::of(&nodes).spare(&task.cluster, host, node) {
                Err(_) if Instant::now() < deadline => tokio::time::sleep(Duration::from_secs(1)).await,
                decided => return decided,
            }
        }
    }

    /// After the operator's ^C nothing new is begun.
    pub(super) fn may_begin(&self) -> Result<(), Fault> {
        match self.safety.interrupt.signal() {
            None => Ok(()),
            Some(signal) => Err(Fault::interrupted(signal.name())),
        }
    }

    async fn ops(&self, task: &Task, change: &Change, scene: &Scene<'_>) -> Result<(), Fault> {
        for op in &change.ops {
            self.may_begin()?;
            self.step(task, scene, op).await?;
        }
        let worker = task.host.as_ref().and_then(|h| self.site.hosts.get(h)).is_some_and(|h| h.worker);
        settle::settled(&task.what, worker, &scene.host).await?;
        let made = |op: &Op| matches!(op, Op::Docker(DockerOp::SwarmInit { .. }));
        match &*self.lease.read().await {
            Some(lease) if change.ops.iter().any(made) => lease.swarm_made(&task.cluster, scene.host.clone()).await,
            _ => Ok(()),
        }
    }

    async fn step(&self, task: &Task, scene: &Scene<'_>, op: &Op) -> Result<(), Fault> {
        self.still_ours(&task.cluster).await?;
        self.safety.journal.step(Of::task(task, scene.host.name()), journal::of_op(op), scene.run(op)).await
    }

    /// A service that is being changed is followed to its proof, whoever asks to stop meanwhile.
    async fn service(
        &self,
        task: &Task,
        wanted: &Arc<WantedService>,
        change: &Change,
        scene: &Scene<'_>,
        world: &World,
    ) -> Result<(), Fault> {
        let there = world.swarms.get(&task.cluster).and_then(|s| s.service(&wanted.name));
        let (before, status) =
            (there.map(|s| s["Spec"].clone()), there.map_or(Value::Null, |s| s["UpdateStatus"].clone()));
        if !change.ops.is_empty() {
            self.record_stage(&scene.host.docker().await?, task, world).await?;
            let (cluster, service, job) = (task.cluster.clone(), wanted.name.clone(), wanted.job.is_some());
            self.safety.journal.note(Entry::Service { cluster, service, job, before: before.clone() }).await?;
            lock(&self.rollout).push(Changed { cluster: task.cluster.clone(), service: wanted.clone(), before });
        }
        for op in &change.ops {
            if let Err(fault) = self.step(task, scene, &widened(op)).await {
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
        let proof = json!({"op": "prove", "service": wanted.name});
        let of = Of::task(task, scene.host.name());
        if wanted.job.is_some() {
            self.safety.journal.step(of, proof, witness.job(wanted)).await?;
            return self.job_done(task, wanted, &witness.docker, world).await;
        }
        self.safety.journal.step(of, proof, witness.service(wanted, &status)).await?;
        if change.ops.iter().any(|op| widened(op) != *op) {
            self.still_ours(&task.cluster).await?;
            let narrow = json!({"op": "narrow", "service": wanted.name});
            self.safety.journal.step(of, narrow, self.narrow(wanted, &witness.docker)).await?;
        }
        Ok(())
    }

    /// Takes back the room that a start-first update was given.
    pub(super) async fn narrow(&self, wanted: &WantedService, docker: &Docker) -> Result<(), Fault> {
        self.edit(&wanted.name, docker, |spec| {
            spec["TaskTemplate"]["Placement"]["MaxReplicas"] = json!(wanted.max_per_node);
        })
        .await
    }

    /// Writes on the job that this very run of it succeeded. Labels of a service restart nothing.
    async fn job_done(&self, task: &Task, wanted: &WantedService, docker: &Docker, world: &World) -> Result<(), Fault> {
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

    pub(super) async fn edit(&self, name: &str, docker: &Docker, edit: impl Fn(&mut Value)) -> Result<(), Fault> {
        let said = |e: bollard::errors::Error| Fault::docker(&format!("update {name}"), &e);
        let found = docker.read(&format!("/services/{name}")).await.map_err(said)?;
        let mut spec = found["Spec"].clone();
        edit(&mut spec);
        let version = number(&found, &["Version", "Index"]).unwrap_or_default();
        interpret::update_service(docker, name, version, spec, None).await.map_err(said)
    }

    pub(super) async fn health(&self, task: &Task) -> Result<(), Fault> {
        if lock(&self.rollout).is_empty() {
            return Ok(());
        }
        self.tree(task).await
    }

    /// The health trees of all portals of the run are green.
    pub async fn green(&self) -> Result<(), Fault> {
        for task in self.graph.tasks().filter(|t| matches!(t.what, What::Health)) {
            self.tree(task).await?;
        }
        Ok(())
    }

    async fn tree(&self, task: &Task) -> Result<(), Fault> {
        let cluster = &self.site.clusters[&task.cluster];
        if !cluster.settings.health {
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
