//! The only words the engine and the UI share. The engine sends events; text, progress bars, JSON
//! and the log listen, return nothing and never block a run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::change::{Action, FieldDiff};
use crate::finding::Finding;
use serde::Serialize;

/// Something that happened in a run.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// First event of every run.
    RunStarted {
        /// Identity of the run, sortable by time.
        run_id: String,
        /// `apply`, `plan`, …
        command: String,
        /// Inventory hosts of the run, in inventory order.
        hosts: Vec<String>,
        /// Where the full log is written.
        log: PathBuf,
    },
    /// A stage (of the list in `docs/ARCHITECTURE.md`) has begun on a cluster.
    StageStarted {
        /// Cluster.
        cluster: String,
        /// `engine`, `swarm`, `images`, …
        stage: String,
        /// How many tasks it holds.
        tasks: usize,
    },
    /// All its tasks are done.
    StageFinished {
        /// Cluster.
        cluster: String,
        /// Stage.
        stage: String,
        /// Seconds since it began.
        seconds: f64,
    },
    /// A part of the run that is no stage has ended: `read` (inventory, roles, certificates), `connect`, `probes` and
    /// `engine` of a host, `swarm` of a cluster, `decide`, `verify`. Hosts are looked at all at once, and so are a
    /// host's `probes`, its `engine` and what follows from it: their times do not add up.
    PhaseFinished {
        /// Which.
        phase: String,
        /// Host or cluster; empty for the whole run.
        of: String,
        /// Seconds it took.
        seconds: f64,
    },
    /// A task has begun to act (tasks that find nothing to do only send `TaskFinished`).
    TaskStarted {
        /// Identity of the task in the graph.
        task: String,
        /// For people: `install docker.io`.
        title: String,
        /// Host it is counted for.
        host: String,
        /// Stage.
        stage: String,
    },
    /// A line of output of what the task runs.
    TaskOutput {
        /// Identity of the task.
        task: String,
        /// Host.
        host: String,
        /// One line, scrubbed by the sink.
        line: String,
    },
    /// A task is done.
    TaskFinished {
        /// Identity of the task.
        task: String,
        /// For people.
        title: String,
        /// Host it is counted for.
        host: String,
        /// Stage.
        stage: String,
        /// How it ended.
        outcome: Outcome,
        /// What it changed, or (in a plan) would change.
        #[serde(skip_serializing_if = "Option::is_none")]
        change: Option<Shown>,
        /// Seconds it took.
        seconds: f64,
    },
    /// A host cannot be reached; sent before anything is changed anywhere.
    HostUnreachable {
        /// Host.
        host: String,
        /// `root@10.0.0.1:22`.
        address: String,
        /// Cause.
        cause: String,
        /// What to do.
        hint: String,
    },
    /// What is around hosts that are to become nodes, where it is not as it should be; sent before anything is changed.
    Preflight {
        /// All of it.
        findings: Vec<Finding>,
    },
    /// Something the operator should know; the run goes on.
    Warning {
        /// In words.
        message: String,
    },
    /// The run failed; what the operator needs, in one place.
    Failure {
        /// The first cause.
        cause: String,
        /// Last lines of that container or command.
        last_lines: Vec<String>,
        /// What still serves.
        serving: String,
        /// The next command to type.
        next: String,
    },
    /// Last event of a run.
    Recap {
        /// Counts by host.
        hosts: BTreeMap<String, Counts>,
        /// Whole run.
        seconds: f64,
        /// The code the program will exit with.
        exit: u8,
        /// Round trips by host.
        trips: BTreeMap<String, Trips>,
    },
}

/// A change as shown to people.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// Sign.
    pub action: Action,
    /// Field by field.
    pub fields: Vec<FieldDiff>,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing was to be done.
    Ok,
    /// Changed (in a plan: would change).
    Changed,
    /// Not selected, or its condition is false.
    Skipped {
        /// Why.
        why: String,
    },
    /// In a plan: cannot be known yet.
    Unknown {
        /// Until what.
        until: String,
    },
    /// Failed.
    Failed {
        /// Cause.
        why: String,
    },
    /// Host not reachable.
    Unreachable,
}

/// One line of the PLAY RECAP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Tasks that are as wanted, changed ones included (as Ansible counts).
    pub ok: u32,
    /// Tasks that changed something.
    pub changed: u32,
    /// 1 if the host could not be reached.
    pub unreachable: u32,
    /// Tasks that failed.
    pub failed: u32,
    /// Tasks skipped.
    pub skipped: u32,
    /// Always 0 here; kept because scripts grep the line.
    pub rescued: u32,
    /// Always 0 here.
    pub ignored: u32,
}

/// Round trips to one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trips {
    /// SSH handshakes.
    pub handshakes: u64,
    /// Commands run.
    pub execs: u64,
    /// Docker API calls.
    pub docker_calls: u64,
    /// Bytes received and sent.
    pub bytes: u64,
}

/// Where events go. Cheap to clone; sending never blocks and never fails a run: the listener puts the
/// event into a queue of its own.
#[derive(Clone)]
pub struct Sink(Arc<dyn Fn(Event) + Send + Sync>);

impl Sink {
    /// A sink that hands every event to `listener`.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Sink(Arc::new(listener))
    }

    /// Sends.
    pub fn send(&self, event: Event) {
        (self.0)(event);
    }

    /// Sends a warning.
    pub fn warn(&self, message: impl Into<String>) {
        self.send(Event::Warning { message: message.into() });
    }
}
