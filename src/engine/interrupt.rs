//! The operator's wish that a run should stop. The first asks for an orderly end, the second for one at once.

use std::sync::Arc;

use tokio::sync::watch;

/// A signal that ends a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The terminal was closed.
    Hangup,
    /// ^C.
    Interrupt,
    /// `kill`, or the machine goes down.
    Terminate,
}

impl Signal {
    /// `SIGINT`.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Hangup => "SIGHUP",
            Signal::Interrupt => "SIGINT",
            Signal::Terminate => "SIGTERM",
        }
    }

    /// What a shell reports of a program that such a signal ended: 128 and its number.
    pub fn code(self) -> u8 {
        match self {
            Signal::Hangup => 129,
            Signal::Interrupt => 130,
            Signal::Terminate => 143,
        }
    }
}

/// Whether a run was asked to stop. Cheap to clone; clones know the same.
#[derive(Clone)]
pub struct Interrupt(Arc<watch::Sender<(u32, Option<Signal>)>>);

impl Default for Interrupt {
    fn default() -> Self {
        Interrupt(Arc::new(watch::Sender::new((0, None))))
    }
}

impl Interrupt {
    /// Asks. The first signal gives the exit code; every further one means: at once.
    pub fn ask(&self, signal: Signal) {
        self.0.send_modify(|(times, first)| {
            *times += 1;
            first.get_or_insert(signal);
        });
    }

    /// It was asked to stop: nothing new may be begun.
    pub fn asked(&self) -> bool {
        self.signal().is_some()
    }

    /// The signal that asked first.
    pub fn signal(&self) -> Option<Signal> {
        self.0.borrow().1
    }

    /// Waits until it was asked so many times.
    pub async fn times(&self, wanted: u32) {
        let mut seen = self.0.subscribe();
        // The sender is ours, so there is always one.
        let _ = seen.wait_for(|(times, _)| *times >= wanted).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_signal_gives_the_code_the_second_the_haste() {
        let interrupt = Interrupt::default();
        let other = interrupt.clone();
        assert!(!interrupt.asked());
        other.ask(Signal::Terminate);
        interrupt.times(1).await;
        let twice = interrupt.times(2);
        tokio::pin!(twice);
        assert!(futures_util::poll!(&mut twice).is_pending());
        other.ask(Signal::Interrupt);
        twice.await;
        assert_eq!(interrupt.signal().map(Signal::code), Some(143));
    }
}
