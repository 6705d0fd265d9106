//! Lines for people, in words Ansible users know: `changed: [host1] install docker.io`.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use reemo_model::event::{Event, Outcome, Shown};

use crate::clean::printable;
use crate::diff::field_lines;
use crate::failure::{Gone, unreachable_table};
use crate::findings::findings;
use crate::listener::Listener;
use crate::options::Options;
use crate::output::Pending;
use crate::paint::{Paint, Tone};
use crate::plan::{PlanItem, Tally};
use crate::recap::{banner, recap, trips};
use crate::tail::Tail;
use crate::timings::Timings;

/// The text listener.
pub(crate) struct Text {
    pub out: Paint,
    pub err: Paint,
    pub columns: usize,
    pub verbosity: u8,
    pub diff: bool,
    timings: Option<Timings>,
    state: State,
}

#[derive(Default)]
struct State {
    is_plan: bool,
    /// Clusters that are in each stage now.
    stages: HashMap<String, BTreeSet<String>>,
    /// The heading printed last.
    heading: String,
    tails: HashMap<String, Tail>,
    gone: Vec<Gone>,
    tally: Tally,
}

impl Text {
    pub(crate) fn new(out: Paint, err: Paint, columns: usize, options: &Options) -> Text {
        let timings = options.timings.then(Timings::default);
        Text { out, err, columns, verbosity: options.verbosity, diff: options.diff, timings, state: State::default() }
    }

    /// A stage is announced with its first line, so that a run without changes is only a recap.
    fn heading(&mut self, stage: &str, pending: &mut Pending) {
        let clusters = self.state.stages.get(stage).map(|names| names.iter().map(String::as_str).collect::<Vec<_>>());
        let words = format!("STAGE [{stage}] {}", clusters.unwrap_or_default().join(", "));
        let words = words.trim_end();
        if self.state.heading != words {
            pending.out(&banner(words, self.columns));
            words.clone_into(&mut self.state.heading);
        }
    }

    fn finished(&mut self, item: PlanItem, stage: &str, tail: Option<Tail>, pending: &mut Pending) {
        if self.state.is_plan {
            self.state.tally.add(&item);
            if matches!(item.outcome, Outcome::Changed | Outcome::Unknown { .. }) {
                self.heading(stage, pending);
                return pending.out(&item.render(self.out));
            }
        }
        let (tone, word, why) = match &item.outcome {
            Outcome::Ok if self.verbosity > 0 => (Tone::Ok, "ok", ""),
            Outcome::Skipped { why } if self.verbosity > 0 => (Tone::Skipped, "skipping", why.as_str()),
            Outcome::Ok | Outcome::Skipped { .. } => return,
            Outcome::Changed => (Tone::Changed, "changed", ""),
            Outcome::Unknown { until } => (Tone::Skipped, "unknown", until.as_str()),
            Outcome::Failed { why } => (Tone::Failed, "failed", why.as_str()),
            Outcome::Unreachable => (Tone::Unreachable, "unreachable", ""),
        };
        self.heading(stage, pending);
        let why = if why.is_empty() { String::new() } else { format!(": {}", printable(why)) };
        let line = format!("{word}: [{}] {}{why}", item.host, printable(&item.title));
        pending.out(&self.out.paint(tone, &line));
        if let Some(Shown { fields, .. }) = item.change.as_ref().filter(|_| self.diff) {
            field_lines(fields, None, self.out).iter().for_each(|line| pending.out(line));
        }
        if matches!(item.outcome, Outcome::Failed { .. }) {
            let tail = tail.unwrap_or_default();
            tail.lines().for_each(|line| pending.out(&format!("    | {line}")));
        }
    }

    fn output(&mut self, task: &str, host: &str, line: &str, pending: &mut Pending) {
        let line = printable(line);
        self.state.tails.entry(task.to_owned()).or_default().push(&line);
        if self.verbosity > 1 {
            pending.out(&self.out.paint(Tone::Quiet, &format!("    [{host}] {line}")));
        }
    }

    fn unreachable(&mut self, pending: &mut Pending) {
        if !self.state.gone.is_empty() {
            let gone = std::mem::take(&mut self.state.gone);
            pending.out(&format!("\n{}", unreachable_table(&gone, self.out)));
        }
    }
}

impl Listener for Text {
    fn hear(&mut self, event: &Event, _at: Timestamp, pending: &mut Pending) {
        // They come one by one and are shown as one table, before anything else.
        if !matches!(event, Event::HostUnreachable { .. } | Event::Warning { .. }) {
            self.unreachable(pending);
        }
        if let Some(timings) = &mut self.timings {
            timings.hear(event);
        }
        match event {
            Event::RunStarted { run_id, command, log, .. } => {
                self.state = State { is_plan: command == "plan", ..State::default() };
                if self.verbosity > 0 {
                    pending.err(&self.err.paint(Tone::Quiet, &format!("run {run_id}, log {}", log.display())));
                }
            }
            Event::StageStarted { cluster, stage, .. } => {
                self.state.stages.entry(stage.clone()).or_default().insert(cluster.clone());
            }
            Event::StageFinished { cluster, stage, seconds } => {
                if let Some(clusters) = self.state.stages.get_mut(stage) {
                    clusters.remove(cluster);
                }
                if self.verbosity > 1 {
                    let line = format!("stage {stage} of {cluster}: {seconds:.1} s");
                    pending.err(&self.err.paint(Tone::Quiet, &line));
                }
            }
            Event::TaskStarted { title, host, stage, .. } => {
                if self.verbosity > 1 {
                    self.heading(stage, pending);
                    pending.out(&self.out.paint(Tone::Quiet, &format!("start: [{host}] {}", printable(title))));
                }
            }
            Event::TaskOutput { task, host, line } => self.output(task, host, line, pending),
            Event::TaskFinished { task, title, host, stage, outcome, change, .. } => {
                let tail = self.state.tails.remove(task);
                let (host, title, outcome) = (host.clone(), title.clone(), outcome.clone());
                self.finished(PlanItem { host, title, outcome, change: change.clone() }, stage, tail, pending);
            }
            Event::HostUnreachable { host, address, cause, hint } => self.state.gone.push(Gone {
                host: host.clone(),
                address: address.clone(),
                cause: cause.clone(),
                hint: hint.clone(),
            }),
            Event::Preflight { findings: all } => pending.out(&format!("\n{}", findings(all, self.out))),
            // Told on standard error by `Aside`, in every format.
            Event::Warning { .. } | Event::Failure { .. } => {}
            Event::PhaseFinished { .. } => {}
            Event::Recap { hosts, trips: by_host, seconds, .. } => {
                if self.state.is_plan {
                    pending.out(&format!("\n{}", self.state.tally.summary()));
                }
                if (self.verbosity > 0 || self.timings.is_some()) && !by_host.is_empty() {
                    pending.err(&format!("\n{}", trips(by_host)));
                }
                if let Some(timings) = &mut self.timings {
                    pending.err(&format!("\n{}", timings.table(*seconds)));
                }
                pending.out(&recap(hosts, self.columns, self.out));
            }
        }
    }

    fn end(&mut self, pending: &mut Pending) {
        self.unreachable(pending);
    }
}
