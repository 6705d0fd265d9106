//! The journal of a run: what is about to be done, and what came of it, each line on the disk before the next step.
//!
//! It is a record for people and for the way back, not a state file: what is there is read from hosts and Swarms each
//! time, so a run that died is finished by running again, with or without its journal.

mod entry;
mod file;
mod read;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use reemo_model::op::Op;
use reemo_model::secret::scrub;
use serde_json::{Value, json};

use super::fault::Fault;
use super::task::Task;

pub use entry::{Began, Entry, Line};
pub use file::FILE;
pub use read::{Open, Record};

/// Where lines are kept. A line is kept when the future says so, and not before.
pub trait Keep: Send + Sync {
    /// Keeps one line (without its end).
    fn keep(&self, line: String) -> BoxFuture<'_, std::io::Result<()>>;
}

/// What a step belongs to.
#[derive(Clone, Copy)]
pub struct Of<'a> {
    /// Id of the task.
    pub task: &'a str,
    /// The task, for people.
    pub title: &'a str,
    /// Host it is done on or through.
    pub host: &'a str,
}

impl<'a> Of<'a> {
    /// A task, on or through this host.
    pub fn task(task: &'a Task, host: &'a str) -> Self {
        Of { task: &task.id, title: &task.title, host }
    }
}

/// The journal of one run. Cheap to clone; clones write the same.
#[derive(Clone, Default)]
pub struct Journal {
    keep: Option<Arc<dyn Keep>>,
    steps: Arc<AtomicU64>,
}

impl Journal {
    /// One that keeps nothing: for commands that change nothing.
    pub fn none() -> Journal {
        Journal::default()
    }

    /// A journal in a run's folder. The file is readable by its owner only, from birth.
    pub fn create(folder: &std::path::Path) -> std::io::Result<Journal> {
        Ok(Journal::kept_by(Arc::new(file::Writer::create(folder)?)))
    }

    /// One that is kept elsewhere.
    pub fn kept_by(keep: Arc<dyn Keep>) -> Journal {
        Journal { keep: Some(keep), steps: Arc::default() }
    }

    /// Writes an entry. Nothing may be done that could not be written down: an error stops the step.
    pub async fn note(&self, entry: Entry) -> Result<(), Fault> {
        let Some(keep) = &self.keep else { return Ok(()) };
        let line = Line { at: jiff::Timestamp::now(), entry };
        let value = serde_json::to_value(&line).map_err(|e| cannot(&e.to_string()))?;
        keep.keep(scrubbed(value).to_string()).await.map_err(|e| cannot(&e.to_string()))
    }

    /// A step of a task: written down, done, written down.
    pub async fn step<T>(
        &self,
        of: Of<'_>,
        op: Value,
        doing: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let step = self.steps.fetch_add(1, Ordering::Relaxed) + 1;
        let [task, title, host] = [of.task, of.title, of.host].map(str::to_owned);
        self.note(Entry::Intent { step, task, title, host, op }).await?;
        let result = doing.await;
        let why = result.as_ref().err().map(|fault| fault.cause.clone());
        let noted = self.note(Entry::Result { step, why }).await;
        let value = result?;
        noted.map(|()| value)
    }
}

fn cannot(why: &str) -> Fault {
    Fault::failed(format!("cannot write the journal of this run: {why}"))
        .hint("make room in the state directory (~/.local/state/reemo-infra), then run the same command again")
}

/// An op as the journal has it: what and where, never the content of a file or secret.
pub fn of_op(op: &Op) -> Value {
    serde_json::to_value(op).unwrap_or_else(|_| json!({"op": "unknown"}))
}

/// Redaction by value, of every text by itself: in the finished line, quotes and line ends are escaped and would hide
/// a secret from the search.
pub fn scrubbed(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(scrub(&text).into_owned()),
        Value::Array(items) => items.into_iter().map(scrubbed).collect(),
        Value::Object(map) => map.into_iter().map(|(k, v)| (scrub(&k).into_owned(), scrubbed(v))).collect(),
        other => other,
    }
}
