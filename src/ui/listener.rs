//! What every form of output is.

use jiff::Timestamp;
use reemo_model::event::Event;

use crate::output::Pending;

/// Hears events, scrubbed already, in the order they happened.
pub(crate) trait Listener: Send {
    /// An event. What is to be shown is put into `pending`.
    fn hear(&mut self, event: &Event, at: Timestamp, pending: &mut Pending);

    /// There will be no more.
    fn end(&mut self, _pending: &mut Pending) {}
}
