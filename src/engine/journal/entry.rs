//! The lines of a journal.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::owner::Owner;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// When, by this machine's clock.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub entry: Entry,
}

/// What a run wrote down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
pub enum Entry {
    /// First line.
    Began(Began),
    /// A step is about to be done.
    Intent {
        /// Number of the step in this run.
        step: u64,
        /// Id of its task.
        task: String,
        /// The task, for people.
        title: String,
        /// Host it is done on or through.
        host: String,
        /// What is done; contents and secrets are left out.
        op: Value,
    },
    /// A step has ended.
    Result {
        /// Its number.
        step: u64,
        /// Why it failed; absent: it succeeded.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        why: Option<String>,
    },
    /// A service is about to be changed from this spec (absent: it is not there). What a way back needs.
    Service {
        /// Cluster.
        cluster: String,
        /// Its name.
        service: String,
        /// True for the schema job.
        job: bool,
        /// The spec it has.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        before: Option<Value>,
    },
    /// The services this run changed are put back.
    PuttingBack,
    /// The operator asked it to stop; nothing new is begun.
    Interrupted {
        /// `SIGINT`, `SIGTERM`, `SIGHUP`.
        signal: String,
    },
    /// Last line.
    Ended {
        /// Exit code.
        code: u8,
    },
}

/// What a run was asked to do.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Began {
    /// Identity of the run.
    pub run: String,
    /// `apply`, `maintenance`, …
    pub command: String,
    /// The command line, ready to be given again. Values of `-e` that may be secret are left out.
    pub argv: Vec<String>,
    /// Names of the `-e` variables that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub withheld: Vec<String>,
    /// Directory it was given in.
    pub cwd: String,
    /// Who ran it.
    pub owner: Owner,
}
