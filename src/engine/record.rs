//! What services were before a run changed them, kept by the Swarm itself: one config for each stage of a run that
//! changes services, written once, before the first of its changes. So the way back is there from every control machine,
//! and after this one died.
//!
//! They do not carry the label of the platform's own objects, by which lists of configs are asked for: a run with
//! nothing to do does not read them. Those of the last [`KEPT`] runs stay.

use base64::Engine as _;
use reemo_model::catalogue::Stage;
use reemo_model::change::Verdict;
use reemo_model::secret::PLACEHOLDER;
use reemo_resource::swarm::observed::text;
use reemo_transport::Docker;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::evaluate::View;
use super::fault::Fault;
use super::journal::scrubbed;
use super::query::filtered;
use super::run::Run;
use super::task::{Task, What};
use super::world::World;

/// Label on all of them; its value is the run.
pub const LABEL: &str = "io.reemo.run";

/// Records of so many runs stay.
const KEPT: usize = 10;

/// One stage of one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The run; names of runs sort by time.
    pub run: String,
    /// What it was: `apply`, `rollback`, …
    pub command: String,
    /// Who ran it, from where.
    pub by: String,
    /// Stage.
    pub stage: String,
    /// The services it was about to change.
    pub services: Vec<Before>,
}

/// A service before it was changed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Before {
    /// Its name.
    pub service: String,
    /// The schema job.
    pub job: bool,
    /// Its spec; `None`: it was not there.
    pub before: Option<Value>,
}

impl Before {
    /// Its spec can be given to a Swarm again: no secret was cut out of it.
    pub fn is_whole(&self) -> bool {
        self.before.as_ref().is_none_or(|spec| !spec.to_string().contains(PLACEHOLDER))
    }
}

fn said(e: bollard::errors::Error) -> Fault {
    Fault::docker("the record of this run in the Swarm", &e)
}

impl Run {
    /// Writes down what the services of a task's stage are, once for each stage. Nothing may be changed without it.
    pub(super) async fn record_stage(&self, docker: &Docker, task: &Task, world: &World) -> Result<(), Fault> {
        // Held until it is written: the others of the stage wait for it.
        let mut recorded = self.recorded.lock().await;
        if recorded.contains(&(task.cluster.clone(), task.stage)) {
            return Ok(());
        }
        let view = View { site: &self.site, world, changed: &Default::default() };
        let there = world.swarms.get(&task.cluster);
        let mut services = Vec::new();
        for other in self.graph.tasks().filter(|t| t.cluster == task.cluster && t.stage == task.stage) {
            let What::Service(wanted) = &other.what else { continue };
            let changes = matches!(view.verdict(other), Verdict::Change(c) if !c.ops.is_empty());
            if self.includes(world, other) && (changes || other.id == task.id) {
                let before = there.and_then(|s| s.service(&wanted.name)).map(|s| s["Spec"].clone());
                services.push(Before { service: wanted.name.clone(), job: wanted.job.is_some(), before });
            }
        }
        self.record(docker, task.stage, services).await?;
        recorded.insert((task.cluster.clone(), task.stage));
        Ok(())
    }

    /// Writes one record; without a lock there is no run to name it after.
    pub async fn record(&self, docker: &Docker, stage: Stage, services: Vec<Before>) -> Result<(), Fault> {
        let Some((owner, command)) = self.lease.read().await.as_ref().map(|l| l.holder()) else { return Ok(()) };
        let record =
            Record { run: owner.run.clone(), command, by: owner.in_words(), stage: stage.word().to_owned(), services };
        let value = serde_json::to_value(&record).map_err(|e| Fault::failed(e.to_string()))?;
        let text = scrubbed(value).to_string();
        let body = json!({
            "Name": format!("{LABEL}.{}.{}", owner.run.trim_end_matches('-'), stage.word()),
            "Labels": {LABEL: owner.run},
            "Data": base64::engine::general_purpose::STANDARD.encode(text),
        });
        match docker.post("/configs/create", &body, None).await {
            Ok(_) => forget(docker, &owner.run).await,
            // Written before, by a request whose answer was lost.
            Err(bollard::errors::Error::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
            Err(e) => Err(said(e)),
        }
    }
}

/// All records of a Swarm.
async fn all(docker: &Docker) -> Result<Vec<Value>, Fault> {
    let found = docker.read(&filtered("/configs", &json!({"label": {LABEL: true}}))).await.map_err(said)?;
    Ok(found.as_array().cloned().unwrap_or_default())
}

/// The records of a Swarm, oldest run first. One that cannot be read is passed over.
pub async fn read(docker: &Docker) -> Result<Vec<Record>, Fault> {
    let text_of = |config: &Value| {
        let data = base64::engine::general_purpose::STANDARD.decode(text(config, &["Spec", "Data"])).ok()?;
        serde_json::from_slice::<Record>(&data).ok()
    };
    let mut found: Vec<Record> = all(docker).await?.iter().filter_map(text_of).collect();
    found.sort_by(|a, b| a.run.cmp(&b.run));
    Ok(found)
}

/// Removes all of them; returns how many there were.
pub async fn remove_all(docker: &Docker) -> Result<usize, Fault> {
    let there = all(docker).await?;
    for config in &there {
        docker.delete_config(text(config, &["ID"])).await.map_err(said)?;
    }
    Ok(there.len())
}

/// Lets go of the records of runs that are too old.
async fn forget(docker: &Docker, now: &str) -> Result<(), Fault> {
    let there = all(docker).await?;
    let run = |config: &Value| text(config, &["Spec", "Labels", LABEL]).to_owned();
    let mut runs: Vec<String> = there.iter().map(run).filter(|r| r != now).collect();
    runs.sort();
    runs.dedup();
    let old = &runs[..(runs.len() + 1).saturating_sub(KEPT)];
    for config in there.iter().filter(|c| old.contains(&run(c))) {
        docker.delete_config(text(config, &["ID"])).await.map_err(said)?;
    }
    Ok(())
}

/// What each service was before a run and all that came after it: the earliest that is known. In the order the services
/// were rolled out.
pub fn before(records: &[Record], run: &str) -> Vec<Before> {
    let mut found: Vec<Before> = Vec::new();
    for record in records.iter().filter(|r| r.run.as_str() >= run) {
        for one in &record.services {
            if found.iter().all(|f| f.service != one.service) {
                found.push(one.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(run: &str, services: &[(&str, Option<u32>)]) -> Record {
        let services = services.iter().map(|(name, spec)| Before {
            service: (*name).into(),
            job: false,
            before: spec.map(|n| json!({"n": n})),
        });
        Record { run: run.into(), services: services.collect(), ..Record::default() }
    }

    #[test]
    fn the_earliest_since_that_run_counts() {
        let all = [
            record("1", &[("a", Some(1))]),
            record("2", &[("a", Some(2)), ("b", None)]),
            record("3", &[("a", Some(3))]),
        ];
        let specs = |run: &str| before(&all, run).into_iter().map(|b| (b.service, b.before)).collect::<Vec<_>>();
        assert_eq!(specs("3"), [("a".into(), Some(json!({"n": 3})))]);
        assert_eq!(specs("2"), [("a".into(), Some(json!({"n": 2}))), ("b".into(), None)]);
        assert_eq!(specs("1")[0], ("a".into(), Some(json!({"n": 1}))));
    }

    #[test]
    fn a_spec_that_a_secret_was_cut_out_of_is_not_whole() {
        let spec = |env: &str| Before { before: Some(json!({"Env": [env]})), ..Before::default() };
        assert!(spec("A=1").is_whole() && !spec(&format!("A={PLACEHOLDER}")).is_whole());
    }
}
