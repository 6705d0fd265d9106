//! Which stage of which cluster is under way, told to the listeners.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use reemo_model::catalogue::Stage;
use reemo_model::event::{Event, Sink};

use super::run::lock;
use super::task::Task;

/// How far a stage of a cluster is.
#[derive(Default)]
struct Progress {
    left: usize,
    since: Option<Instant>,
}

/// The stages of a run.
#[derive(Default)]
pub(super) struct Stages(Mutex<BTreeMap<(String, Stage), Progress>>);

impl Stages {
    /// This task is part of the run.
    pub fn count(&self, task: &Task) {
        lock(&self.0).entry((task.cluster.clone(), task.stage)).or_default().left += 1;
    }

    /// A task begins; the first one of its stage begins the stage.
    pub fn enter(&self, task: &Task, events: &Sink) {
        let mut stages = lock(&self.0);
        let Some(Progress { left, since }) = stages.get_mut(&(task.cluster.clone(), task.stage)) else { return };
        if since.is_none() {
            *since = Some(Instant::now());
            let (cluster, stage) = (task.cluster.clone(), task.stage.word().into());
            events.send(Event::StageStarted { cluster, stage, tasks: *left });
        }
    }

    /// A task ended; the last one of its stage ends the stage.
    pub fn leave(&self, task: &Task, events: &Sink) {
        let mut stages = lock(&self.0);
        let Some(Progress { left, since }) = stages.get_mut(&(task.cluster.clone(), task.stage)) else { return };
        *left = left.saturating_sub(1);
        if *left == 0 {
            let seconds = since.map_or(0.0, |s| s.elapsed().as_secs_f64());
            let (cluster, stage) = (task.cluster.clone(), task.stage.word().into());
            events.send(Event::StageFinished { cluster, stage, seconds });
        }
    }
}
