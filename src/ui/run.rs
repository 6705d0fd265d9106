//! The thread that listens to one run.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use reemo_model::event::{Event, Sink};

use crate::aside::Aside;
use crate::clean::clean;
use crate::document::Document;
use crate::jsonl::Jsonl;
use crate::listener::Listener;
use crate::log::Log;
use crate::options::{Format, Options, Terminal};
use crate::output::{Output, Pending, Streams};
use crate::paint::Paint;
use crate::progress::Progress;
use crate::text::Text;

/// Where the time comes from; tests stop it.
pub type Clock = fn() -> Timestamp;

/// Time between two looks at the clock while bars are shown.
const TICK: Duration = Duration::from_millis(100);
/// Events handled before the screen is brought up to date.
const BATCH: usize = 500;

enum Message {
    Event(Event, Timestamp),
    End,
}

/// The UI of one run.
pub struct Ui;

/// Waits for the UI. Dropping it waits too, so that an early return loses no line.
#[must_use = "finish() writes what is still queued"]
pub struct Handle {
    queue: Sender<Message>,
    thread: Option<JoinHandle<()>>,
}

impl Ui {
    /// Starts listening, on the streams of this process. The only error is a log that cannot be
    /// opened; no run should start without one.
    pub fn start(options: &Options) -> io::Result<(Sink, Handle)> {
        Ui::start_with(options, &Terminal::detect(), Streams::of_process(), Timestamp::now)
    }

    /// The same on other streams.
    pub fn start_with(
        options: &Options,
        terminal: &Terminal,
        streams: Streams,
        clock: Clock,
    ) -> io::Result<(Sink, Handle)> {
        let listeners = listeners(options, terminal)?;
        let wants_progress = options.progress.unwrap_or(terminal.err && !terminal.dumb);
        let err = Paint(options.color.on(terminal.err, terminal));
        let progress = (wants_progress && terminal.err).then(|| Progress::new(terminal.rows.unwrap_or(24), err));
        let mut ear = Ear { listeners, progress, output: Output::new(streams), pending: Pending::default(), clock };
        let (queue, events) = channel();
        let thread = std::thread::Builder::new().name("ui".to_owned()).spawn(move || ear.listen(&events))?;
        let to_thread = queue.clone();
        // When the thread has ended there is nobody to tell; the run goes on.
        let sink = Sink::new(move |event| drop(to_thread.send(Message::Event(event, clock()))));
        Ok((sink, Handle { queue, thread: Some(thread) }))
    }
}

fn listeners(options: &Options, terminal: &Terminal) -> io::Result<Vec<Box<dyn Listener>>> {
    let out = Paint(options.color.on(terminal.out, terminal));
    let err = Paint(options.color.on(terminal.err, terminal));
    let mut listeners: Vec<Box<dyn Listener>> = Vec::new();
    // First, so that it has all of it whatever happens to the others.
    if let Some(path) = &options.log {
        let named = |cause: io::Error| {
            io::Error::new(cause.kind(), format!("cannot write the log {}: {cause}", path.display()))
        };
        listeners.push(Box::new(Log::open(path).map_err(named)?));
    }
    listeners.push(match options.format {
        Format::Text => Box::new(Text::new(out, err, terminal.banner_columns(), options)),
        Format::Json => Box::<Document>::default(),
        Format::Jsonl => Box::<Jsonl>::default(),
    });
    listeners.push(Box::new(Aside::new(err)));
    Ok(listeners)
}

impl Handle {
    /// Waits until all that was sent so far is written. What is sent later is lost.
    pub fn finish(mut self) {
        self.wait();
    }

    fn wait(&mut self) {
        let _ = self.queue.send(Message::End);
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed already and must not become one here.
            let _ = thread.join();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.wait();
    }
}

struct Ear {
    listeners: Vec<Box<dyn Listener>>,
    progress: Option<Progress>,
    output: Output,
    pending: Pending,
    clock: Clock,
}

impl Ear {
    fn listen(&mut self, queue: &Receiver<Message>) {
        let mut open = true;
        while open {
            let first = match &self.progress {
                Some(_) => queue.recv_timeout(TICK),
                None => queue.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            open = match first {
                Ok(message) => self.take(message) && queue.try_iter().take(BATCH).all(|more| self.take(more)),
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            if open {
                self.show();
            }
        }
        let pending = &mut self.pending;
        self.listeners.iter_mut().for_each(|listener| listener.end(pending));
        if let Some(mut progress) = self.progress.take() {
            progress.clear();
        }
        self.output.write(&mut self.pending);
    }

    /// False once the run has ended.
    fn take(&mut self, message: Message) -> bool {
        let Message::Event(event, at) = message else {
            return false;
        };
        let event = clean(event);
        for listener in &mut self.listeners {
            listener.hear(&event, at, &mut self.pending);
        }
        if let Some(progress) = &mut self.progress {
            progress.hear(&event, at);
        }
        true
    }

    fn show(&mut self) {
        let (output, pending) = (&mut self.output, &mut self.pending);
        match &mut self.progress {
            Some(progress) => {
                if !pending.is_empty() {
                    progress.above(|| output.write(pending));
                }
                progress.draw((self.clock)());
            }
            None => output.write(pending),
        }
    }
}
