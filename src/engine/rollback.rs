//! After a failed rollout: the services this run changed go back to what they were, newest first. The
//! schema does not go back, so the old release has to be proven healthy before anyone is told it serves.

use std::time::Duration;

use reemo_model::catalogue::Stage;
use reemo_model::op::{DockerOp, Op};
use reemo_model::wanted::WantedService;
use reemo_resource::swarm::observed::{SwarmObservation, number, text};
use reemo_resource::swarm::service::release_of;
use reemo_transport::Docker;
use serde_json::Value;

use super::act::widened;
use super::fault::Fault;
use super::interpret;
use super::journal::{self, Entry, Of};
use super::prove::{Witness, same_copies};
use super::record::Before;
use super::run::{Changed, Run};

/// What became of the old release.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing that served before was changed.
    Untouched,
    /// Every service that ran before runs again as it did.
    OldReleaseServes,
    /// It could not be proven.
    Unproven(Vec<String>),
}

impl Run {
    /// Puts back what this run changed.
    pub async fn roll_back(&self, rollout: &[Changed]) -> Outcome {
        let mut problems = Vec::new();
        let mut any = false;
        if rollout.iter().any(|c| c.before.is_some()) {
            // What stops here is put back all the same: that is the safer half.
            let _ = self.safety.journal.note(Entry::PuttingBack).await;
        }
        for changed in rollout.iter().rev() {
            let Some(before) = &changed.before else {
                continue;
            };
            any = true;
            if changed.service.job.is_some() {
                // The schema job is not run backwards.
                continue;
            }
            self.events.warn(format!("{}: putting back {}", changed.service.name, release(before)));
            if let Err(fault) = self.restore(changed, before).await {
                problems.push(fault.cause);
            }
        }
        if !any {
            return Outcome::Untouched;
        }
        for cluster in self.site.clusters.keys() {
            match self.look_again(cluster).await {
                Ok(Some(there)) => problems.extend(not_running(&there, rollout)),
                Ok(None) => {}
                Err(fault) => problems.push(fault.cause),
            }
        }
        if problems.is_empty() && schema_changed(rollout) {
            // The old release on a schema that is another by now: that its containers run at this moment says little.
            problems.extend(self.green().await.err().map(|fault| fault.cause));
            problems.extend(self.endured(rollout).await);
        }
        problems.dedup();
        if problems.is_empty() { Outcome::OldReleaseServes } else { Outcome::Unproven(problems) }
    }

    /// Where no health tree can be asked, whatever works with the database has to pass all its own checks once more.
    /// Returns what does not run after that.
    async fn endured(&self, rollout: &[Changed]) -> Vec<String> {
        let silent: Vec<_> = self.site.clusters.iter().filter(|(_, c)| !c.settings.health).collect();
        let users =
            silent.iter().flat_map(|(_, c)| &c.wanted.services).filter(|s| s.job.is_none() && s.uses_database());
        let Some(longest) = users.map(checks).max() else { return vec![] };
        tokio::time::sleep(longest).await;
        let mut problems = Vec::new();
        for (cluster, _) in silent {
            match self.look_again(cluster).await {
                Ok(Some(there)) => problems.extend(not_running(&there, rollout)),
                Ok(None) => {}
                Err(fault) => problems.push(fault.cause),
            }
        }
        problems
    }

    /// Gives a service the spec it had, and sees it run.
    pub(super) async fn restore(&self, changed: &Changed, before: &Value) -> Result<(), Fault> {
        self.still_ours(&changed.cluster).await?;
        let world = self.world.read().await.clone();
        let manager = world
            .manager(&self.site, &changed.cluster)
            .ok_or_else(|| Fault::failed(format!("no manager of {} can be asked", changed.cluster)))?;
        let docker = self.fleet.host(manager)?.docker().await?;
        let name = &changed.service.name;
        let said = |e: bollard::errors::Error| Fault::docker(&format!("put back {name}"), &e);
        let found = docker.read(&format!("/services/{name}")).await.map_err(said)?;
        let posted =
            if found["Spec"]["TaskTemplate"] == before["TaskTemplate"] && found["Spec"]["Mode"] == before["Mode"] {
                None
            } else {
                let op = Op::Docker(DockerOp::ServiceUpdate {
                    name: name.clone(),
                    version: number(&found, &["Version", "Index"]).unwrap_or_default(),
                    spec: before.clone(),
                    auth: self.site.clusters[&changed.cluster].settings.registry.clone(),
                });
                Some(widened(&op))
            };
        let (task, title) = (format!("{}/{name}", changed.cluster), format!("put back {name}"));
        let of = Of { task: &task, title: &title, host: manager };
        if let Some(op) = &posted
            && let Op::Docker(DockerOp::ServiceUpdate { version, spec, auth, .. }) = op
        {
            let update = interpret::update_service(&docker, name, *version, spec.clone(), auth.as_ref());
            let update = async { update.await.map_err(said) };
            self.safety.journal.step(of, journal::of_op(op), update).await?;
        }
        let witness = Witness {
            docker,
            by_node: &|node| world.host_of_node(node).and_then(|h| self.fleet.host(h).ok()),
            on_line: &|_| {},
            bell: self.fleet.bell(&self.site, &changed.cluster),
        };
        witness.steady(&changed.service).await?;
        let now = witness.docker.read(&format!("/services/{name}")).await.map_err(said)?;
        if !same_copies(&now["Spec"]["TaskTemplate"], &before["TaskTemplate"]) {
            // Swarm stopped our way back as well, and put back what we came from.
            let was = release_of(before);
            let is = release(&now["Spec"]);
            return Err(Fault::failed(format!("{is} could not be put back to {was}: Swarm stopped that update too")));
        }
        if posted.is_some() && before.pointer("/TaskTemplate/Placement/MaxReplicas").is_some() {
            self.narrow(&changed.service, &witness.docker).await?;
        }
        Ok(())
    }

    /// The same for an operator who asked for it: written down first, told afterwards.
    pub async fn put_back(&self, changed: &Changed) -> Result<(), Fault> {
        let (Some(before), (cluster, service)) = (&changed.before, (&changed.cluster, &changed.service.name)) else {
            return Ok(());
        };
        let world = self.world.read().await.clone();
        let now = world.swarms.get(cluster).and_then(|s| s.service(service)).map(|s| s["Spec"].clone());
        let (job, host) = (changed.service.job.is_some(), world.manager(&self.site, cluster).cloned());
        let entry = Entry::Service { cluster: cluster.clone(), service: service.clone(), job, before: now };
        self.safety.journal.note(entry).await?;
        self.restore(changed, before).await?;
        self.told(cluster, &host.unwrap_or_default(), changed.service.stage, &format!("back to {}", release(before)));
        Ok(())
    }

    /// Writes down what these services are now, so that this can be taken back as well.
    pub async fn record_now(&self, cluster: &str, changed: &[Changed]) -> Result<(), Fault> {
        let Some(docker) = self.manager_of(cluster).await? else { return Ok(()) };
        let world = self.world.read().await.clone();
        let spec = |name: &str| Some(world.swarms.get(cluster)?.service(name)?["Spec"].clone());
        let now = |c: &Changed| Before { service: c.service.name.clone(), job: false, before: spec(&c.service.name) };
        self.record(&docker, Stage::Portal, changed.iter().map(now).collect()).await
    }

    /// A manager's engine; `None`: the cluster has no Swarm, or none of its managers was reached.
    pub async fn manager_of(&self, cluster: &str) -> Result<Option<Docker>, Fault> {
        let name = self.world.read().await.manager(&self.site, cluster).cloned();
        match name {
            Some(name) => Ok(Some(self.fleet.host(&name)?.docker().await?)),
            None => Ok(None),
        }
    }

    async fn look_again(&self, cluster: &str) -> Result<Option<SwarmObservation>, Fault> {
        let mut world = self.world.write().await;
        let seen = self.fleet.look_at_swarm(&self.site, &world, cluster).await?;
        if let Some(seen) = &seen {
            world.swarms.insert(cluster.to_owned(), seen.clone());
        }
        Ok(seen)
    }

    /// What serves now, for the operator: `reemo_api 2.13.10 (12/12), …`.
    pub async fn serving(&self) -> String {
        let mut list = Vec::new();
        for cluster in self.site.clusters.keys() {
            let Ok(Some(there)) = self.look_again(cluster).await else {
                continue;
            };
            for service in there.services.iter().filter(|s| !is_job(s)) {
                let running = there.running(text(service, &["ID"]));
                if running > 0 {
                    let release = release_of(&service["Spec"]);
                    list.push(format!(
                        "{} {release} ({running}/{})",
                        text(service, &["Spec", "Name"]),
                        wanted(service)
                    ));
                }
            }
        }
        list.sort();
        if list.is_empty() { "nothing".to_owned() } else { list.join(", ") }
    }
}

/// A schema that was there before was worked on.
pub fn schema_changed(rollout: &[Changed]) -> bool {
    rollout.iter().any(|c| c.service.job.is_some() && c.before.is_some())
}

fn release(spec: &Value) -> String {
    format!("{} {}", text(spec, &["Name"]), release_of(spec))
}

/// So long a copy that does not work any more may count as healthy: all its checks have to fail first.
fn checks(service: &WantedService) -> Duration {
    let Some(check) = &service.healthcheck else { return Duration::ZERO };
    let one = check.interval.map_or(30_000, |s| s.0) + check.timeout.map_or(30_000, |s| s.0);
    Duration::from_millis(one * check.retries.unwrap_or(3))
}

/// A service that is meant to end.
pub fn is_job(service: &Value) -> bool {
    text(service, &["Spec", "TaskTemplate", "RestartPolicy", "Condition"]) == "none"
}

/// Wanted copies of an observed service.
pub fn wanted(service: &Value) -> u64 {
    number(service, &["Spec", "Mode", "Replicated", "Replicas"]).unwrap_or_default()
}

/// Services that served before the run and do not now.
fn not_running(there: &SwarmObservation, rollout: &[Changed]) -> Vec<String> {
    let new = |name: &str| rollout.iter().any(|c| c.service.name == name && c.before.is_none());
    there
        .services
        .iter()
        .filter(|s| !is_job(s) && !new(text(s, &["Spec", "Name"])))
        .filter_map(|s| {
            let running = there.running(text(s, &["ID"]));
            let name = text(s, &["Spec", "Name"]);
            (running < there.possible(s)).then(|| format!("{name} runs {running} of {} copies", wanted(s)))
        })
        .collect()
}
