//! Draws the board below the lines that scroll by, on standard error.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::Timestamp;
use reemo_model::event::Event;

use crate::board::Board;
use crate::paint::Paint;

/// Redraws a second, at most.
const RATE: u8 = 12;

/// The bars on the terminal.
pub(crate) struct Progress {
    board: Board,
    rows: usize,
    paint: Paint,
    multi: MultiProgress,
    bars: Vec<ProgressBar>,
}

impl Progress {
    pub(crate) fn new(rows: usize, paint: Paint) -> Progress {
        let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
        Progress { board: Board::default(), rows, paint, multi, bars: Vec::new() }
    }

    pub(crate) fn hear(&mut self, event: &Event, at: Timestamp) {
        self.board.hear(event, at);
    }

    /// Brings the bars to what is going on now.
    pub(crate) fn draw(&mut self, now: Timestamp) {
        let lines = self.board.lines(now, self.rows, self.paint);
        while self.bars.len() > lines.len() {
            if let Some(bar) = self.bars.pop() {
                bar.finish_and_clear();
                self.multi.remove(&bar);
            }
        }
        while self.bars.len() < lines.len() {
            // Cut to the width of the terminal.
            let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            self.bars.push(self.multi.add(ProgressBar::no_length().with_style(style)));
        }
        for (bar, line) in self.bars.iter().zip(lines) {
            bar.set_message(line);
        }
    }

    /// Takes the bars away while `write` prints, and puts them back below.
    pub(crate) fn above(&self, write: impl FnOnce()) {
        self.multi.suspend(write);
    }

    pub(crate) fn clear(&mut self) {
        for bar in self.bars.drain(..) {
            bar.finish_and_clear();
        }
        // Nothing is lost if the terminal is gone.
        let _ = self.multi.clear();
    }
}
