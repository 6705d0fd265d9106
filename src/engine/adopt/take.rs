//! Taking a platform over: our labels on its services and on the node of its database, and two records in its Swarm. The
//! specifications of copies are posted as they were found, so Swarm replaces none; that it did not is looked at.

use std::collections::BTreeMap;
use std::time::Duration;

use reemo_model::catalogue::Stage;
use reemo_model::change::Verdict;
use reemo_model::op::{DockerOp, Op};
use reemo_resource::swarm::observed::{SwarmObservation, at, number, text};
use reemo_resource::swarm::service::release_of;
use reemo_resource::swarm::{ADOPTED, DATA_NODE, INITIALISED, MANAGED, RELEASE, ROLE, SITE, node};
use serde_json::json;

use super::Report;
use crate::engine::data;
use crate::engine::fault::{Fault, FaultKind};
use crate::engine::interpret::{self, Scene};
use crate::engine::journal::{self, Of};
use crate::engine::run::Run;

/// Swarm begins to replace copies within a second. So many looks, a second apart, see none replaced.
const LOOKS: usize = 3;

/// Ids of the copies that are to run, by service.
type Copies = BTreeMap<String, Vec<String>>;

fn copies(there: &SwarmObservation) -> Copies {
    let mut all = Copies::new();
    for service in &there.services {
        let tasks = there.tasks_of(text(service, &["ID"]));
        let running = tasks.iter().filter(|t| text(t, &["DesiredState"]) == "running");
        let mut ids: Vec<String> = running.map(|t| text(t, &["ID"]).to_owned()).collect();
        ids.sort();
        all.insert(text(service, &["Spec", "Name"]).to_owned(), ids);
    }
    all
}

impl Run {
    /// Takes a cluster's platform over. The records come first: services with our labels and no record would be taken for
    /// a new platform.
    pub async fn adopt(&self, report: &Report) -> Result<(), Fault> {
        let cluster = &report.name;
        let manager = self.world.read().await.manager(&self.site, cluster).cloned();
        let manager = manager.ok_or_else(|| Fault::failed(format!("no manager of {cluster} can be asked")))?;
        let there = self.look_at(cluster).await?;
        let before = copies(&there);
        let on = Taking { run: self, cluster, host: &manager };
        if report.database.as_ref().is_some_and(|d| d.filled) && there.config(INITIALISED).is_none() {
            on.op("record of the database", Stage::Objects, &record(INITIALISED, "initialised\n"), &there).await?;
        }
        if there.config(ADOPTED).is_none() {
            on.op("record of the adoption", Stage::Objects, &record(ADOPTED, "adopted\n"), &there).await?;
        }
        on.data_node(report, &there).await?;
        for service in report.services.iter().filter(|s| s.found && !s.ours) {
            on.label(&service.name).await?;
        }
        self.unmoved(cluster, &before).await
    }

    async fn look_at(&self, cluster: &str) -> Result<SwarmObservation, Fault> {
        let mut world = self.world.write().await;
        let seen = self.fleet.look_at_swarm(&self.site, &world, cluster).await?;
        let seen = seen.ok_or_else(|| Fault::failed(format!("{cluster} has no Swarm any more")))?;
        world.swarms.insert(cluster.to_owned(), seen.clone());
        Ok(seen)
    }

    /// The copies that ran still run.
    async fn unmoved(&self, cluster: &str, before: &Copies) -> Result<(), Fault> {
        for _ in 0..LOOKS {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = copies(&self.look_at(cluster).await?);
            let moved: Vec<&str> =
                before.iter().filter(|(n, ids)| now.get(*n) != Some(ids)).map(|(n, _)| n.as_str()).collect();
            if !moved.is_empty() {
                let cause = format!("copies were replaced while the labels were written: {}", moved.join(", "));
                return Err(Fault::failed(cause).hint(
                    "only labels of services were written: look for another cause (`docker service ps --no-trunc`); the same \
                     command goes on",
                ));
            }
        }
        Ok(())
    }
}

fn record(name: &str, content: &str) -> Op {
    let labels = json!({MANAGED: "true"});
    Op::Docker(DockerOp::ConfigCreate { name: name.into(), labels, data: content.into() })
}

/// One cluster that is taken over.
struct Taking<'a> {
    run: &'a Run,
    cluster: &'a str,
    /// The manager it is done through.
    host: &'a str,
}

impl Taking<'_> {
    /// The node of the database carries the label: where its copy runs, else where its data is.
    async fn data_node(&self, report: &Report, there: &SwarmObservation) -> Result<(), Fault> {
        let Some(found) = report.database.as_ref().filter(|d| d.internal) else { return Ok(()) };
        let pinned = data::service(&self.run.site.clusters[self.cluster]).is_some_and(|s| s.data_node);
        let labelled = there.nodes.iter().any(|n| at(n, &["Spec", "Labels", DATA_NODE]).is_some());
        let Some(home) = found.runs_on.as_ref().or(found.held_by.first()).filter(|_| pinned && !labelled) else {
            return Ok(());
        };
        let id = {
            let world = self.run.world.read().await;
            world.hosts.get(home).and_then(|v| v.engine.as_ref()).map(|e| e.node_id.clone()).unwrap_or_default()
        };
        if let Verdict::Change(change) = node::label(there, &id, DATA_NODE, "true") {
            for op in &change.ops {
                self.op(&format!("node of the database: {home}"), Stage::Objects, op, there).await?;
            }
        }
        Ok(())
    }

    async fn op(&self, title: &str, stage: Stage, op: &Op, there: &SwarmObservation) -> Result<(), Fault> {
        let run = self.run;
        run.may_begin()?;
        run.still_ours(self.cluster).await?;
        let conn = run.fleet.host(self.host)?;
        let scene = Scene {
            host: conn.clone(),
            others: &|name| run.fleet.host(name).ok(),
            anew: &|| Box::pin(run.fleet.anew(&run.site, conn.name())),
            swarm: Some(there),
            on_line: &|_| {},
        };
        let task = format!("{}/{title}", self.cluster);
        let of = Of { task: &task, title, host: self.host };
        run.safety.journal.step(of, journal::of_op(op), scene.run(op)).await?;
        run.told(self.cluster, self.host, stage, title);
        Ok(())
    }

    /// Labels of a service, and nothing else of it. What it is at that moment is posted again.
    async fn label(&self, name: &str) -> Result<(), Fault> {
        let run = self.run;
        run.may_begin()?;
        run.still_ours(self.cluster).await?;
        let cluster = &run.site.clusters[self.cluster];
        let Some(wanted) = cluster.wanted.services.iter().find(|s| s.name == name) else { return Ok(()) };
        let docker = run.fleet.host(self.host)?.docker().await?;
        let found = docker.read(&format!("/services/{name}")).await;
        let found = found.map_err(|e| Fault::docker(&format!("read {name}"), &e))?;
        let mut spec = found["Spec"].clone();
        let release = release_of(&spec).to_owned();
        for (label, value) in [(MANAGED, "true"), (ROLE, &wanted.role), (RELEASE, &release), (SITE, &cluster.site_id)] {
            spec["Labels"][label] = json!(value);
        }
        let version = number(&found, &["Version", "Index"]).unwrap_or_default();
        let (task, title) = (format!("{}/{name}", self.cluster), format!("labels of {name}"));
        let of = Of { task: &task, title: &title, host: self.host };
        // Its specification is the role's, and may hold what nobody should read.
        let op = json!({"op": "label", "service": name, "version": version});
        let update = async {
            let done = interpret::update_service(&docker, name, version, spec, None).await;
            done.map_err(|e| match Fault::is_out_of_sequence(&e) {
                true => Fault {
                    kind: FaultKind::Moved,
                    ..Fault::failed(format!("{name} was changed by somebody else since it was looked at"))
                }
                .hint("run the same command again"),
                false => Fault::docker(&format!("label {name}"), &e),
            })
        };
        run.safety.journal.step(of, op, update).await?;
        run.told(self.cluster, self.host, wanted.stage, &title);
        Ok(())
    }
}
