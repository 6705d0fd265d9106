//! Signals become the operator's wish to stop.

use reemo_model::event::Sink;
use tokio::signal::unix::{SignalKind, signal};

use crate::engine::interrupt::{Interrupt, Signal};

/// Listens from now on. The first signal is announced; what to do about it is the run's business.
pub fn listen(interrupt: &Interrupt, events: &Sink) {
    for (kind, meant) in [
        (SignalKind::hangup(), Signal::Hangup),
        (SignalKind::interrupt(), Signal::Interrupt),
        (SignalKind::terminate(), Signal::Terminate),
    ] {
        // Where a signal cannot be listened to it ends the program, as it always did.
        let Ok(mut heard) = signal(kind) else { continue };
        let (interrupt, events) = (interrupt.clone(), events.clone());
        tokio::spawn(async move {
            while heard.recv().await.is_some() {
                if !interrupt.asked() {
                    events.warn(format!(
                        "{}: nothing new is begun; what is under way is ended first. Once more leaves at once",
                        meant.name()
                    ));
                }
                interrupt.ask(meant);
            }
        });
    }
}
