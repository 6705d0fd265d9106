//! Runs one program to its end over any pair of pipes: SSH channel or local child.

use std::future::Future;
use std::time::{Duration, Instant};

use bytes::Bytes;
use reemo_model::secret::{Blob, Secret};
use tokio::sync::mpsc;

use crate::error::{Kind, TransportError};
use crate::gate::{Gate, Step};
use crate::host::{MAX_OUTPUT, OnLine, Output};
use crate::lines::Lines;
use crate::quote::KILL_AFTER;

/// Bytes handed to the other side at once.
const PIECE: usize = 32 * 1024;

/// How long sudo may take to ask or to let us through.
pub(crate) const GATE_PATIENCE: Duration = Duration::from_secs(40);

/// How long a program that has ended may leave its output open (to a child that stays behind).
const OUTPUT_LINGERS: Duration = Duration::from_secs(10);

/// What we allow on top of the limit, for the far side to end the program by itself.
const SLACK: Duration = Duration::from_secs(KILL_AFTER + 10);

/// What a running program sends.
pub(crate) enum Event {
    /// Some standard output.
    Out(Bytes),
    /// Some standard error.
    Err(Bytes),
    /// It has ended with this code.
    Exit(i32),
    /// No more will come.
    Closed,
}

/// The reading half of a running program.
pub(crate) trait Reader: Send {
    /// The next event. Must be cancel-safe.
    fn next(&mut self) -> impl Future<Output = Event> + Send;
}

/// The writing half of a running program. Errors are of no interest: a program need not read its input.
pub(crate) trait Writer: Send {
    /// Writes all of it; false when nobody reads any more.
    fn write(&mut self, bytes: &[u8]) -> impl Future<Output = bool> + Send;
    /// Says that no more will come.
    fn end(&mut self) -> impl Future<Output = ()> + Send;
}

enum Feed {
    Password(Secret),
    Input(Blob),
}

/// What is known of the program beside its pipes.
pub(crate) struct Run<'a> {
    /// The program's name, for messages.
    pub(crate) program: &'a str,
    /// The host's name, for messages.
    pub(crate) host: &'a str,
    /// Its standard input.
    pub(crate) stdin: Option<Blob>,
    /// The way through sudo, if there is one.
    pub(crate) gate: Option<Gate>,
    /// Its limit.
    pub(crate) limit: Duration,
    /// Whom to show lines to.
    pub(crate) on_line: Option<OnLine<'a>>,
}

impl Run<'_> {
    /// Feeds and reads at the same time: a program that does not read its input would otherwise block
    /// us for ever, as would one whose output nobody reads.
    pub(crate) async fn drive(
        mut self,
        reader: &mut impl Reader,
        writer: &mut impl Writer,
    ) -> Result<Output, TransportError> {
        let (feed, mut fed) = mpsc::unbounded_channel();
        let feeder = async move {
            while let Some(item) = fed.recv().await {
                let done = match &item {
                    Feed::Password(secret) => writer.write(secret.expose()).await && writer.write(b"\n").await,
                    Feed::Input(blob) => {
                        let mut done = true;
                        for piece in blob.bytes().chunks(PIECE) {
                            done = writer.write(piece).await;
                            if !done {
                                break;
                            }
                        }
                        done
                    }
                };
                if !done {
                    break;
                }
            }
            writer.end().await;
        };
        tokio::pin!(feeder);
        let mut feeding = true;
        let mut feed = Some(feed);
        if !self.gate.as_ref().is_some_and(Gate::holds_input) {
            self.feed_input(&mut feed);
        }

        let started = Instant::now();
        let end = tokio::time::sleep(self.limit + SLACK);
        tokio::pin!(end);
        let patience = tokio::time::sleep(GATE_PATIENCE);
        tokio::pin!(patience);
        let linger = tokio::time::sleep(OUTPUT_LINGERS);
        tokio::pin!(linger);

        let mut output = Output::default();
        let mut code = None;
        let (mut out_lines, mut err_lines) = (Lines::default(), Lines::default());
        loop {
            let waiting = self.gate.as_ref().is_some_and(|g| !g.is_open());
            let event = tokio::select! {
                event = reader.next() => event,
                () = &mut feeder, if feeding => { feeding = false; continue }
                () = &mut end => return Err(self.timed_out()),
                () = &mut patience, if waiting => match &self.gate {
                    Some(gate) => return Err(gate.refused()),
                    None => continue,
                },
                () = &mut linger, if code.is_some() => Event::Closed,
            };
            if code.is_some() {
                linger.as_mut().reset(tokio::time::Instant::now() + OUTPUT_LINGERS);
            }
            match event {
                Event::Out(bytes) => self.keep(&bytes, &mut output.stdout, &mut out_lines)?,
                Event::Err(bytes) => {
                    let bytes = match &mut self.gate {
                        Some(gate) if !gate.is_open() => match gate.push(&bytes)? {
                            Step::Wait => continue,
                            Step::Answer(password) => {
                                if let Some(feed) = &feed {
                                    let _ = feed.send(Feed::Password(password));
                                }
                                continue;
                            }
                            Step::Open(own) => {
                                self.feed_input(&mut feed);
                                Bytes::from(own)
                            }
                        },
                        _ => bytes,
                    };
                    self.keep(&bytes, &mut output.stderr, &mut err_lines)?;
                }
                Event::Exit(exit) => {
                    code = Some((exit, started.elapsed()));
                    linger.as_mut().reset(tokio::time::Instant::now() + OUTPUT_LINGERS);
                }
                Event::Closed => break,
            }
        }
        if let Some(show) = self.on_line {
            out_lines.end(show);
            err_lines.end(show);
        }
        let Some((code, took)) = code else {
            return Err(TransportError::new(
                Kind::Broken,
                format!("the connection to {} broke while `{}` ran", self.host, self.program),
                format!("see whether the host is up: ssh {}", self.host),
            ));
        };
        if let Some(gate) = self.gate.as_ref().filter(|g| !g.is_open()) {
            return Err(gate.refused());
        }
        // `timeout` reports 124, or 137 if it had to kill; a program may do so as well, but not by our clock.
        if matches!(code, 124 | 137) && took >= self.limit {
            return Err(self.timed_out());
        }
        output.code = code;
        Ok(output)
    }

    /// Queues the input, once, and then its end.
    fn feed_input(&mut self, feed: &mut Option<mpsc::UnboundedSender<Feed>>) {
        if let (Some(feed), Some(input)) = (feed.take(), self.stdin.take()) {
            let _ = feed.send(Feed::Input(input));
        }
    }

    fn keep(&self, bytes: &[u8], into: &mut Vec<u8>, lines: &mut Lines) -> Result<(), TransportError> {
        if into.len() + bytes.len() > MAX_OUTPUT {
            return Err(TransportError::new(
                Kind::Timeout,
                format!("`{}` on {} wrote more than {} MiB", self.program, self.host, MAX_OUTPUT >> 20),
                "the program was ended; nothing should write that much here",
            ));
        }
        into.extend_from_slice(bytes);
        if let Some(show) = self.on_line {
            lines.push(bytes, show);
        }
        Ok(())
    }

    fn timed_out(&self) -> TransportError {
        TransportError::new(
            Kind::Timeout,
            format!("`{}` on {} took longer than {} s and was ended", self.program, self.host, self.limit.as_secs()),
            "the log has its last lines",
        )
    }
}
