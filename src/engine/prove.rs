//! A service counts as deployed only when that is proven: the update says `completed`, every running
//! task carries the spec that was posted, and it is still so after the monitor window. A Swarm that
//! rolled back by itself is a failure, whatever its exit status says.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use reemo_model::wanted::WantedService;
use reemo_resource::swarm::fields::flatten;
use reemo_resource::swarm::observed::{number, possible, text};
use reemo_transport::Host;
use serde_json::{Value, json};

use super::bell::Bell;
use super::fault::{Fault, FaultKind};
use super::pause::Pause;
use super::query::filtered;

/// So many failed tasks of a service that has none running yet: it will not come up.
const HOPELESS: usize = 4;
/// The managers that are left elect a leader in 10 to 20 s, where they are more than half.
const ELECTION: Duration = Duration::from_secs(60);
/// Lines of a container's output shown to the operator.
const TAIL: usize = 20;

/// What a proof needs.
pub struct Witness<'a> {
    /// A manager.
    pub docker: reemo_transport::Docker,
    /// The host that runs a node, by node id: for container logs.
    pub by_node: &'a (dyn Fn(&str) -> Option<Arc<dyn Host>> + Send + Sync),
    /// Called with what is being waited for.
    pub on_line: &'a (dyn Fn(&str) + Send + Sync),
    /// Wakes when something happens to the service.
    pub bell: Arc<Bell>,
}

/// Copies made of these two templates are alike. Placement does not count: Swarm does not replace a copy that fits the
/// new one.
pub fn same_copies(one: &Value, other: &Value) -> bool {
    let parts = |template: &Value| {
        let mut fields = flatten(template, &str::to_owned);
        fields.retain(|path, _| !path.starts_with("Placement"));
        fields
    };
    parts(one) == parts(other)
}

/// A service and its tasks, at one moment.
struct Look {
    service: Value,
    tasks: Vec<Value>,
    nodes: Vec<Value>,
}

impl Look {
    fn update_state(&self) -> &str {
        text(&self.service, &["UpdateStatus", "State"])
    }

    /// The task was made from the service's present spec.
    fn is_current(&self, task: &Value) -> bool {
        let (has, wants) = (&task["Spec"], &self.service["Spec"]["TaskTemplate"]);
        let forced = |template: &Value| number(template, &["ForceUpdate"]).unwrap_or_default();
        same_copies(has, wants) && forced(has) == forced(wants)
    }

    fn current(&self) -> impl Iterator<Item = &Value> {
        self.tasks.iter().filter(|t| self.is_current(t))
    }

    /// Copies to wait for: those the nodes there are can hold.
    fn wanted(&self) -> u64 {
        possible(&self.nodes, &self.service["Spec"])
    }

    fn running(&self) -> u64 {
        self.current()
            .filter(|t| text(t, &["Status", "State"]) == "running" && text(t, &["DesiredState"]) == "running")
            .count() as u64
    }

    fn failed(&self) -> Vec<&Value> {
        let mut failed: Vec<&Value> =
            self.current().filter(|t| matches!(text(t, &["Status", "State"]), "failed" | "rejected")).collect();
        failed.sort_by(|a, b| text(b, &["Status", "Timestamp"]).cmp(text(a, &["Status", "Timestamp"])));
        failed
    }
}

impl Witness<'_> {
    async fn look(&self, name: &str) -> Result<Look, Fault> {
        let service = format!("/services/{name}");
        let tasks = filtered("/tasks", &json!({"service": {name: true}}));
        let deadline = Instant::now() + ELECTION;
        let mut pause = Pause::new(Duration::from_millis(300), Duration::from_secs(3));
        let (service, tasks, nodes) = loop {
            let answers =
                tokio::join!(self.docker.read(&service), self.docker.read(&tasks), self.docker.read("/nodes"));
            let all = [&answers.0, &answers.1, &answers.2];
            if Instant::now() > deadline || !all.iter().any(|a| a.as_ref().is_err_and(Fault::is_leaderless)) {
                break answers;
            }
            (self.on_line)("the Swarm has no leader at this moment");
            tokio::time::sleep(pause.take()).await;
        };
        let nodes = nodes.map_err(|e| Fault::docker("read the nodes", &e))?;
        let nodes = nodes.as_array().cloned().unwrap_or_default();
        let service = service.map_err(|e| Fault::docker(&format!("read {name}"), &e))?;
        let tasks = tasks.map_err(|e| Fault::docker(&format!("read the tasks of {name}"), &e))?;
        let tasks = tasks.as_array().cloned().unwrap_or_default();
        Ok(Look { service, tasks, nodes })
    }

    /// Waits until the service runs as posted; an error is the reason why it does not. `before`: its `UpdateStatus` until
    /// then. How an earlier update ended stays there until the next, and says nothing of this one.
    pub async fn service(&self, wanted: &WantedService, before: &Value) -> Result<(), Fault> {
        self.watch(wanted, Some(before)).await
    }

    /// Waits until the service runs as its spec says, whoever put that spec there: Swarm's own way back
    /// counts.
    pub async fn steady(&self, wanted: &WantedService) -> Result<(), Fault> {
        self.watch(wanted, None).await
    }

    /// `before`: as [`Self::service`] has it; without, Swarm's own way back is as good as any other.
    async fn watch(&self, wanted: &WantedService, before: Option<&Value>) -> Result<(), Fault> {
        let mut rolled_back = false;
        let mut evidence = Evidence::default();
        let monitor = Duration::from_millis(wanted.update.monitor.0);
        let limit = patience(wanted);
        let started = Instant::now();
        let mut whole_since: Option<Instant> = None;
        let mut waiter = self.bell.waiter(&wanted.name);
        loop {
            let look = self.look(&wanted.name).await?;
            let (running, want) = (look.running(), look.wanted());
            (self.on_line)(&format!("{running}/{want} running{}", waiting_for(&look)));
            self.gather(&look, &mut evidence).await;
            let ended = before.is_some_and(|before| look.service["UpdateStatus"] == *before)
                && !matches!(look.update_state(), "updating" | "rollback_started");
            let state = if ended { "" } else { look.update_state() };
            match state {
                // It ends by itself; touching the service now would only confuse the two.
                "rollback_started" => rolled_back = true,
                "rollback_completed" | "rollback_paused" | "paused" if before.is_some() => {
                    return Err(unhealthy(wanted, &look, "Swarm stopped the update", evidence));
                }
                _ => {}
            }
            if running == want && !matches!(state, "updating" | "rollback_started") {
                let since = *whole_since.get_or_insert_with(Instant::now);
                // `completed` already stands behind the monitor window.
                if state == "completed" || since.elapsed() >= monitor {
                    return Ok(());
                }
            } else {
                whole_since = None;
            }
            if running == 0 && look.failed().len() >= HOPELESS {
                return Err(unhealthy(wanted, &look, "its tasks keep failing", evidence));
            }
            if started.elapsed() > limit {
                let why = format!("not healthy after {} s ({running}/{want} running)", limit.as_secs());
                let why =
                    if rolled_back { "Swarm stopped the update, and its way back does not end".into() } else { why };
                return Err(unhealthy(wanted, &look, &why, evidence));
            }
            // The end of the monitor window is no event.
            let watched = whole_since.map(|since| monitor.saturating_sub(since.elapsed()));
            waiter.wait(watched.unwrap_or(limit)).await;
        }
    }

    /// Waits for the end of a job; its exit code and its output are both read.
    pub async fn job(&self, wanted: &WantedService) -> Result<(), Fault> {
        let Some(job) = &wanted.job else {
            return Ok(());
        };
        let limit = Duration::from_millis(job.timeout.0);
        let started = Instant::now();
        let mut waiter = self.bell.waiter(&wanted.name);
        loop {
            let look = self.look(&wanted.name).await?;
            let newest = look.current().max_by(|a, b| text(a, &["CreatedAt"]).cmp(text(b, &["CreatedAt"])));
            let state = newest.map_or("not started", |t| text(t, &["Status", "State"]));
            (self.on_line)(state);
            match (state, newest) {
                ("complete", Some(task)) => {
                    let lines = self.logs(task).await;
                    let code = task.pointer("/Status/ContainerStatus/ExitCode").and_then(Value::as_i64).unwrap_or(0);
                    let shown = job.success_log.as_ref().is_none_or(|m| lines.iter().any(|l| l.contains(m.as_str())));
                    return match (code, shown) {
                        (0, true) => Ok(()),
                        (0, false) => Err(self.job_fault(
                            wanted,
                            format!("it ended, but never said `{}`", job.success_log.as_deref().unwrap_or_default()),
                            lines,
                        )),
                        _ => Err(self.job_fault(wanted, format!("it ended with code {code}"), lines)),
                    };
                }
                ("failed" | "rejected", Some(task)) => {
                    let lines = self.logs(task).await;
                    return Err(self.job_fault(wanted, text(task, &["Status", "Err"]).to_owned(), lines));
                }
                _ if started.elapsed() > limit => {
                    let why = format!("not finished after {} s (state: {state})", limit.as_secs());
                    return Err(self.job_fault(wanted, why, vec![]));
                }
                _ => drop(waiter.wait(limit).await),
            }
        }
    }

    fn job_fault(&self, wanted: &WantedService, why: String, lines: Vec<String>) -> Fault {
        Fault::failed(format!("{} failed: {why}", wanted.name)).lines(tail(lines))
    }

    /// Keeps the words of copies that fail while we look: Swarm removes them soon after.
    async fn gather(&self, look: &Look, evidence: &mut Evidence) {
        let failed = |t: &&Value| matches!(text(t, &["Status", "State"]), "failed" | "rejected");
        let failed: Vec<&Value> = look.tasks.iter().filter(failed).collect();
        let first_look = evidence.known.is_none();
        let known = evidence.known.get_or_insert_default();
        for task in failed {
            // Copies that had failed before we came say nothing about this change.
            let current = look.is_current(task);
            if known.insert(text(task, &["ID"]).to_owned()) && (!first_look || current) {
                evidence.error = text(task, &["Status", "Err"]).to_owned();
                let lines = self.logs(task).await;
                if !lines.is_empty() {
                    evidence.lines = lines;
                }
            }
        }
        // A copy may be gone, container and all, before anyone sees that it failed: what it says while it starts is kept.
        // Not on Swarm's way back, when the copies that start are those of the old release.
        if !look.update_state().starts_with("rollback") {
            let starts = |t: &&Value| text(t, &["Status", "State"]) == "starting";
            if let Some(task) = look.current().find(starts) {
                let lines = self.logs(task).await;
                if !lines.is_empty() {
                    evidence.starting = lines;
                }
            }
        }
    }

    /// A task's output, read on its node: also there when the driver is syslog (the engine keeps a copy).
    async fn logs(&self, task: &Value) -> Vec<String> {
        let container = text(task, &["Status", "ContainerStatus", "ContainerID"]);
        let Some(host) = (self.by_node)(text(task, &["NodeID"])).filter(|_| !container.is_empty()) else {
            return vec![];
        };
        let Ok(docker) = host.docker().await else {
            return vec![];
        };
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("200").build();
        let mut stream = Box::pin(docker.logs(container, Some(options)));
        let mut lines = Vec::new();
        while let Some(Ok(chunk)) = stream.next().await {
            lines.extend(chunk.to_string().lines().map(str::to_owned));
        }
        lines
    }
}

/// What failed copies said.
#[derive(Default)]
struct Evidence {
    /// Ids of tasks seen to have failed.
    known: Option<BTreeSet<String>>,
    /// What Swarm says of the newest.
    error: String,
    /// Its last output.
    lines: Vec<String>,
    /// The output of the newest copy that was starting.
    starting: Vec<String>,
}

fn unhealthy(wanted: &WantedService, look: &Look, why: &str, evidence: Evidence) -> Fault {
    let message = text(&look.service, &["UpdateStatus", "Message"]);
    let stuck = look.tasks.iter().find(|t| text(t, &["Status", "State"]) == "pending");
    let reason = [evidence.error.as_str(), stuck.map_or("", |t| text(t, &["Status", "Err"])), message];
    let reason = reason.into_iter().find(|r| !r.is_empty()).map(|r| format!(": {r}")).unwrap_or_default();
    let cause = format!("{}: {why}{reason}", wanted.name);
    let lines = if evidence.lines.is_empty() { evidence.starting } else { evidence.lines };
    Fault { kind: FaultKind::Unhealthy, cause, last_lines: tail(lines), hint: String::new() }
}

fn tail(mut lines: Vec<String>) -> Vec<String> {
    lines.drain(..lines.len().saturating_sub(TAIL));
    lines
}

/// What the first task that is not running says of itself.
fn waiting_for(look: &Look) -> String {
    let waiting =
        look.current().find(|t| text(t, &["DesiredState"]) == "running" && text(t, &["Status", "State"]) != "running");
    waiting.map_or_else(String::new, |t| {
        let (state, err) = (text(t, &["Status", "State"]), text(t, &["Status", "Err"]));
        if err.is_empty() { format!(", one is {state}") } else { format!(", one is {state}: {err}") }
    })
}

/// How long a service may take: each copy starts, is checked, is watched; then as much again.
fn patience(wanted: &WantedService) -> Duration {
    let check = wanted.healthcheck.as_ref();
    let start = check.and_then(|c| c.start_period).map_or(10_000, |s| s.0);
    let checks = check.map_or(0, |c| c.interval.map_or(1_000, |s| s.0) * c.retries.unwrap_or(3));
    let grace = wanted.stop_grace.map_or(10_000, |s| s.0);
    let copy = start + checks + grace + wanted.update.monitor.0;
    let rounds = wanted.replicas.div_ceil(wanted.update.parallelism.max(1)).max(1);
    Duration::from_millis(30_000 + 2 * copy * rounds)
}
