//! What people are told beside the data, whatever its format: warnings, and why the run failed.

use std::path::PathBuf;

use jiff::Timestamp;
use reemo_model::event::Event;

use crate::clean::printable;
use crate::failure::Failure;
use crate::listener::Listener;
use crate::output::Pending;
use crate::paint::{Paint, Tone};

/// The listener for standard error.
#[derive(Default)]
pub(crate) struct Aside {
    paint: Paint,
    log: Option<PathBuf>,
}

impl Aside {
    pub(crate) fn new(paint: Paint) -> Aside {
        Aside { paint, log: None }
    }
}

/// A warning as Ansible words it.
pub(crate) fn warning(message: &str, paint: Paint) -> String {
    paint.paint(Tone::Warning, &format!("[WARNING]: {}", printable(message)))
}

impl Listener for Aside {
    fn hear(&mut self, event: &Event, _at: Timestamp, pending: &mut Pending) {
        match event {
            Event::RunStarted { log, .. } => self.log = Some(log.clone()),
            Event::Warning { message } => pending.err(&warning(message, self.paint)),
            Event::Failure { cause, last_lines, serving, next } => {
                let failure = Failure { cause, last_lines, serving, next, log: self.log.as_deref() };
                pending.err(&failure.render(self.paint));
            }
            _ => {}
        }
    }
}
