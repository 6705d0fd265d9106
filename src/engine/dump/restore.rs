//! A dump in place of what the database holds: everybody who works with the database is stopped, the dump is loaded,
//! everybody is started again, and the platform's health tree must be green. Users see the maintenance page meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reemo_model::catalogue::Stage;
use reemo_model::op::{DockerOp, Dump, Op};
use reemo_model::wanted::WantedService;
use reemo_resource::swarm::JOB_DONE;
use reemo_resource::swarm::observed::{number, text};
use reemo_resource::swarm::service::release_of;
use serde_json::{Value, json};

use super::{Kept, check, list, load, take};
use crate::engine::evaluate::View;
use crate::engine::fault::Fault;
use crate::engine::interpret;
use crate::engine::journal::{self, Entry, Of};
use crate::engine::observe;
use crate::engine::query::filtered;
use crate::engine::run::{Changed, Run, lock};
use crate::engine::task::{Task, What};

/// So long the copies of a service may take to stop: their own grace is at most two minutes.
const STOPPED: Duration = Duration::from_secs(180);

/// A database that can be dumped: its cluster, the schema job that says how, and the host its client programs are on.
#[derive(Clone)]
pub struct Source {
    /// Cluster.
    pub cluster: String,
    /// The schema job.
    pub job: Arc<WantedService>,
    /// Host.
    pub host: String,
    /// How it is dumped.
    pub dump: Dump,
    /// What brings the image of its client programs to the host.
    pub pull: Option<Op>,
}

impl Run {
    /// The databases of the site, as they are now.
    pub async fn databases(&self, reason: &str) -> Result<Vec<Source>, Fault> {
        let world = self.world.read().await.clone();
        let view = View { site: &self.site, world: &world, changed: &Default::default() };
        let mut found = Vec::new();
        for task in self.graph.tasks() {
            let What::Dump(job) = &task.what else { continue };
            let Some(wanted) = &job.dump else { continue };
            let there = world.swarms.get(&task.cluster).ok_or_else(|| nothing_there(task))?;
            let host = view.dump_host(&task.cluster, &wanted.way).ok_or_else(|| {
                Fault::failed(format!("{}: the database does not run on any host that was reached", task.cluster))
                    .hint("see `reemo-infra status`; a plain apply starts what does not run")
            })?;
            let input = view.input(task, job, there);
            found.push(Source {
                cluster: task.cluster.clone(),
                job: job.clone(),
                host: host.clone(),
                dump: super::release::dump(&input, wanted, reason),
                pull: view.dump_image(&task.cluster, host, &wanted.way),
            });
        }
        match found.is_empty() {
            true => Err(Fault::failed("no cluster of this inventory has a database of its own")),
            false => Ok(found),
        }
    }

    /// Takes a dump.
    pub async fn back_up(&self, source: &Source) -> Result<Kept, Fault> {
        let host = self.fleet.host(&source.host)?;
        self.image(source).await?;
        let of = Of { task: "db", title: "dump of the database", host: &source.host };
        let op = journal::of_op(&Op::Dump(source.dump.clone()));
        self.safety.journal.step(of, op, take(&*host, &source.dump)).await
    }

    async fn image(&self, source: &Source) -> Result<(), Fault> {
        let Some(pull) = &source.pull else { return Ok(()) };
        let scene = interpret::Scene {
            host: self.fleet.host(&source.host)?,
            others: &|_| None,
            anew: &|| Box::pin(self.fleet.anew(&self.site, &source.host)),
            swarm: None,
            on_line: &|_| {},
        };
        scene.run(pull).await
    }

    /// Loads a dump that lies on the database's host. Services that were stopped for it come back as they were, or as
    /// `back` has them. What was there before is dumped first, unless there is nothing.
    pub async fn restore_dump(&self, source: &Source, kept: &Kept, empty: bool, back: &[Changed]) -> Result<(), Fault> {
        let host = self.fleet.host(&source.host)?;
        check(&*host, kept).await?;
        self.image(source).await?;
        if !empty {
            // It takes nobody's place: the one that is about to be loaded may be the oldest.
            let before = Source { dump: Dump { keep: 0, ..source.dump.clone() }, ..source.clone() };
            let taken = self.back_up(&before).await.map_err(|fault| {
                fault.hint(
                    "nothing was changed. If what is there cannot be read any more, run the same command again with \
                     --without-dump",
                )
            })?;
            self.told(&source.cluster, &source.host, Stage::Db, &format!("dump of what is there now: {}", taken.name));
        }
        let shown = self.show_page().await?;
        for (name, _) in &shown {
            self.told(&source.cluster, &source.host, Stage::Db, &format!("maintenance page on {name}"));
        }
        let stopped = self.stop_users_of(source).await?;
        let of = Of { task: "db", title: "load the dump", host: &source.host };
        let op = json!({"op": "load", "path": kept.name});
        self.still_ours(&source.cluster).await?;
        self.safety.journal.step(of, op, load(&*host, kept, &source.dump)).await.map_err(|fault| {
            let cause = format!("the dump {} could not be loaded: {}", kept.name, fault.last_word());
            Fault::failed(cause).lines(fault.last_lines).hint(
                "what works with the database is stopped, and users see the maintenance page. Correct the cause, then \
                 load it (or another) again; `reemo-infra db list` names them, the newest is what was there before",
            )
        })?;
        self.told(&source.cluster, &source.host, Stage::Db, &format!("loaded {}", kept.name));
        self.forget_job(source, kept).await?;
        for changed in stopped.iter().rev() {
            let other = back.iter().find(|b| b.cluster == changed.cluster && b.service.name == changed.service.name);
            if let Some(before) = other.map_or(&changed.before, |b| &b.before) {
                self.restore(changed, before).await?;
                self.told(&source.cluster, &source.host, Stage::Db, &format!("started {}", changed.service.name));
            }
        }
        self.green().await.map_err(|fault| {
            fault.hint(format!(
                "users see the maintenance page. The dump has the schema of release {}: if the services are of another, \
                 `reemo-infra apply` brings the schema to theirs; then `reemo-infra maintenance off`",
                if kept.release.is_empty() { "(not known)" } else { &kept.release }
            ))
        })?;
        self.lift_page(&shown).await
    }

    /// The database holds no tables: there is nothing to be dumped. One that cannot be asked is taken to hold some.
    pub async fn is_empty(&self, source: &Source) -> Result<bool, Fault> {
        let world = self.world.read().await.clone();
        let Some(there) = world.swarms.get(&source.cluster) else { return Ok(false) };
        let services = &self.site.clusters[&source.cluster].wanted.services;
        let Some((name, argv)) = services.iter().find_map(|s| Some((&s.name, s.exec_query.as_ref()?))) else {
            return Ok(false);
        };
        let by_node = |node: &str| world.host_of_node(node).and_then(|h| self.fleet.host(h).ok());
        Ok(observe::tables(there, name, argv, &by_node).await? == Some(0))
    }

    /// Services that are told where the database is have no copies while it is loaded.
    async fn stop_users_of(&self, source: &Source) -> Result<Vec<Changed>, Fault> {
        let world = self.world.read().await.clone();
        let mut stopped = Vec::new();
        for (cluster, site) in &self.site.clusters {
            let shares =
                *cluster == source.cluster || site.wanted.cluster.database_of.as_ref() == Some(&source.cluster);
            let Some(there) = world.swarms.get(cluster).filter(|_| shares) else { continue };
            let uses = |s: &&WantedService| s.job.is_none() && s.uses_database();
            for service in site.wanted.services.iter().filter(uses) {
                let Some(found) = there.service(&service.name) else { continue };
                let manager = world.manager(&self.site, cluster);
                let manager = manager.ok_or_else(|| Fault::failed(format!("no manager of {cluster} can be asked")))?;
                let mut spec = found["Spec"].clone();
                let before = Some(spec.clone());
                spec["Mode"]["Replicated"]["Replicas"] = json!(0);
                let op = Op::Docker(DockerOp::ServiceUpdate {
                    name: service.name.clone(),
                    version: number(found, &["Version", "Index"]).unwrap_or_default(),
                    spec,
                    auth: None,
                });
                let entry = Entry::Service {
                    cluster: cluster.clone(),
                    service: service.name.clone(),
                    job: false,
                    before: before.clone(),
                };
                self.safety.journal.note(entry).await?;
                self.still_ours(cluster).await?;
                let scene = interpret::Scene {
                    host: self.fleet.host(manager)?,
                    others: &|_| None,
                    anew: &|| Box::pin(self.fleet.anew(&self.site, manager)),
                    swarm: None,
                    on_line: &|_| {},
                };
                let title = format!("stop {}", service.name);
                let of = Of { task: "db", title: &title, host: manager };
                self.safety.journal.step(of, journal::of_op(&op), scene.run(&op)).await?;
                let changed = Changed { cluster: cluster.clone(), service: Arc::new(service.clone()), before };
                lock(&self.rollout).push(changed.clone());
                stopped.push(changed);
                self.told(&source.cluster, &source.host, Stage::Db, &title);
            }
        }
        let deadline = Instant::now() + STOPPED;
        for changed in &stopped {
            self.await_none(changed, deadline).await?;
        }
        Ok(stopped)
    }

    async fn await_none(&self, changed: &Changed, deadline: Instant) -> Result<(), Fault> {
        let manager = self.world.read().await.manager(&self.site, &changed.cluster).cloned().unwrap_or_default();
        let docker = self.fleet.host(&manager)?.docker().await?;
        let of_service = filtered("/tasks", &json!({"service": {&changed.service.name: true}}));
        loop {
            let said = |e: bollard::errors::Error| Fault::docker(&format!("ask for {}", changed.service.name), &e);
            let tasks = docker.read(&of_service).await.map_err(said)?;
            let runs = |t: &Value| matches!(text(t, &["Status", "State"]), "running" | "starting" | "preparing");
            let left = tasks.as_array().into_iter().flatten().filter(|t| runs(t)).count();
            if left == 0 {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(Fault::failed(format!("{left} copies of {} do not stop", changed.service.name))
                    .hint("see why on their hosts (docker ps), then run the same command again"));
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// A schema of another release than the job's last: the job has work to do again.
    async fn forget_job(&self, source: &Source, kept: &Kept) -> Result<(), Fault> {
        let world = self.world.read().await.clone();
        let Some(there) = world.swarms.get(&source.cluster) else { return Ok(()) };
        let Some(found) = there.service(&source.job.name) else { return Ok(()) };
        if release_of(&found["Spec"]) == kept.release || text(found, &["Spec", "Labels", JOB_DONE]).is_empty() {
            return Ok(());
        }
        let manager = world.manager(&self.site, &source.cluster).cloned().unwrap_or_default();
        let docker = self.fleet.host(&manager)?.docker().await?;
        self.edit(&source.job.name, &docker, |spec| {
            if let Some(labels) = spec["Labels"].as_object_mut() {
                labels.remove(JOB_DONE);
            }
        })
        .await
    }

    /// After a schema job the old release does not work any more: users are told, and the operator how to go back.
    pub async fn schema_stays(&self, mut fault: Fault) -> Fault {
        match self.show_page().await {
            Ok(shown) if shown.is_empty() => {}
            Ok(_) => {
                let lifted = format!("reemo-infra maintenance off{} lifts it", self.options.same_site);
                fault.last_lines.push(format!("users see the maintenance page: {lifted}"));
            }
            Err(e) => fault.last_lines.push(format!("the maintenance page could not be shown: {}", e.cause)),
        }
        let Ok(sources) = self.databases("").await else { return fault };
        for source in sources {
            let Ok(host) = self.fleet.host(&source.host) else { continue };
            let dumps = list(&*host).await.unwrap_or_default();
            let same_site = &self.options.same_site;
            if let Some(last) = dumps.iter().rfind(|d| !d.release.is_empty()) {
                fault.hint = format!(
                    "the schema was changed, and the release before it does not work with it. Correct the cause and run \
                     the same command again; or go back: reemo-infra db restore {}{same_site}. Then: reemo-infra maintenance \
                     off{same_site}",
                    last.name
                );
            }
        }
        fault
    }
}

fn nothing_there(task: &Task) -> Fault {
    Fault::failed(format!("{}: there is no Swarm, and no database", task.cluster))
}
