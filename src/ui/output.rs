//! The two streams. What cannot be written is dropped: nobody is there to read it.

use std::io::Write;

use reemo_model::secret::scrub;
use serde_json::Value;

use crate::clean::clean_json;

/// Where standard output and standard error go; tests put buffers here.
pub struct Streams {
    /// Data, task lines, recap.
    pub out: Box<dyn Write + Send>,
    /// Warnings, progress, failures.
    pub err: Box<dyn Write + Send>,
}

impl Streams {
    /// Those of this process.
    pub fn of_process() -> Streams {
        Streams { out: Box::new(std::io::stdout()), err: Box::new(std::io::stderr()) }
    }
}

/// Which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Out,
    /// Standard output too, scrubbed already: a secret of digits, replaced in the finished text, would
    /// make numbers of a JSON document into nonsense.
    Json,
    Err,
}

/// Text on its way to the streams, in order.
#[derive(Default)]
pub(crate) struct Pending(Vec<(Stream, String)>);

impl Pending {
    /// A line (or several) for standard output.
    pub(crate) fn out(&mut self, text: &str) {
        self.line(Stream::Out, text);
    }

    /// A JSON document for standard output, on one line or indented.
    pub(crate) fn json(&mut self, document: Value, indented: bool) {
        let clean = clean_json(document);
        let pretty = indented.then(|| serde_json::to_string_pretty(&clean).ok()).flatten();
        self.line(Stream::Json, &pretty.unwrap_or_else(|| clean.to_string()));
    }

    /// A line (or several) for standard error.
    pub(crate) fn err(&mut self, text: &str) {
        self.line(Stream::Err, text);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn line(&mut self, stream: Stream, text: &str) {
        match self.0.last_mut().filter(|(last, _)| *last == stream) {
            Some((_, pending)) => pending.push_str(text),
            None => self.0.push((stream, text.to_owned())),
        }
        if let Some((_, pending)) = self.0.last_mut() {
            pending.push('\n');
        }
    }
}

/// The streams, each until its first error.
pub(crate) struct Output {
    out: Option<Box<dyn Write + Send>>,
    err: Option<Box<dyn Write + Send>>,
}

impl Output {
    pub(crate) fn new(streams: Streams) -> Output {
        Output { out: Some(streams.out), err: Some(streams.err) }
    }

    /// Writes bytes to standard output as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let Some(writer) = &mut self.out else { return Ok(()) };
        match writer.write_all(bytes).and_then(|()| writer.flush()) {
            Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(e),
            _ => Ok(()),
        }
    }

    /// Writes and flushes all that is pending.
    pub(crate) fn write(&mut self, pending: &mut Pending) {
        for (stream, text) in pending.0.drain(..) {
            let slot = match stream {
                Stream::Out | Stream::Json => &mut self.out,
                Stream::Err => &mut self.err,
            };
            let Some(writer) = slot else { continue };
            let text = if stream == Stream::Json { text.into() } else { scrub(&text) };
            let written = writer.write_all(text.as_bytes()).and_then(|()| writer.flush());
            // A closed pipe stays closed; a full disk is no reason to stop a rollout either.
            if written.is_err() {
                *slot = None;
            }
        }
    }
}
