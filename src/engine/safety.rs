//! What keeps a run safe: it can be asked to stop, and writes down what it does.

use super::interrupt::Interrupt;
use super::journal::Journal;

/// Given to every run.
#[derive(Clone, Default)]
pub struct Safety {
    /// The operator's wish to stop.
    pub interrupt: Interrupt,
    /// What is about to be done, and what came of it.
    pub journal: Journal,
}
