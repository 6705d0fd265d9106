//! How long the parts of a run take that are no stage: reading, connecting, looking, deciding.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reemo_model::event::{Event, Sink};

/// What has ended so far and was not told yet.
#[derive(Default)]
pub struct Phases(Mutex<Vec<Event>>);

impl Phases {
    /// Does `work` and notes how long it took. `of`: the host or cluster, or nothing.
    pub async fn timed<T>(&self, phase: &str, of: &str, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        self.note(phase, of, began.elapsed());
        done
    }

    /// Notes a phase that has ended.
    pub fn note(&self, phase: &str, of: &str, took: Duration) {
        let event = Event::PhaseFinished { phase: phase.into(), of: of.into(), seconds: took.as_secs_f64() };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(event);
    }

    /// Tells what was noted since the last time: the first phases end before anybody listens.
    pub fn tell(&self, events: &Sink) {
        let noted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        noted.into_iter().for_each(|event| events.send(event));
    }
}
