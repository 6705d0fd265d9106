//! Printing for commands that are not runs: tables, trees, errors.

use crate::aside::warning;
use crate::clean::printable;
use crate::options::{Color, Terminal};
use crate::output::{Output, Pending, Streams};
use crate::paint::{Paint, Tone};

/// Prints whole texts, scrubbed; a closed pipe is no error.
pub struct Printer {
    output: Output,
    /// Colours on standard output.
    pub out: Paint,
    /// Colours on standard error.
    pub err: Paint,
}

impl Printer {
    /// On the streams of this process.
    pub fn new(color: Color) -> Printer {
        Printer::with(color, &Terminal::detect(), Streams::of_process())
    }

    /// On other streams.
    pub fn with(color: Color, terminal: &Terminal, streams: Streams) -> Printer {
        Printer {
            output: Output::new(streams),
            out: Paint(color.on(terminal.out, terminal)),
            err: Paint(color.on(terminal.err, terminal)),
        }
    }

    /// Data, on standard output, as it is and with a line end after it.
    pub fn print(&mut self, text: &str) {
        self.write(|pending| pending.out(text));
    }

    /// What was asked for, byte for byte and not scrubbed, on standard output: the text of a vault. It may be
    /// the only copy, so that what cannot be written is told; a reader who went away is no error.
    pub fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.output.raw(bytes)
    }

    /// A remark for people, on standard error.
    pub fn note(&mut self, text: &str) {
        self.write(|pending| pending.err(text));
    }

    /// A warning, on standard error.
    pub fn warn(&mut self, message: &str) {
        let text = warning(message, self.err);
        self.note(&text);
    }

    /// An error with what can be done about it, on standard error.
    pub fn error(&mut self, message: &str, hint: &str) {
        let lines = |text: &str| text.lines().map(printable).collect::<Vec<_>>().join("\n");
        let mut text = self.err.paint(Tone::Failed, &format!("ERROR: {}", lines(message)));
        if !hint.is_empty() {
            text += &format!("\n  hint: {}", lines(hint));
        }
        self.note(&text);
    }

    fn write(&mut self, fill: impl FnOnce(&mut Pending)) {
        let mut pending = Pending::default();
        fill(&mut pending);
        self.output.write(&mut pending);
    }
}
