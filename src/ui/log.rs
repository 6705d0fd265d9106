//! The full log: every event with its time, in a file only its owner can read.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use reemo_model::event::{Event, Outcome};
use reemo_model::secret::scrub;

use crate::clean::printable;
use crate::diff::{field_lines, sign};
use crate::listener::Listener;
use crate::output::Pending;
use crate::paint::Paint;

/// The log listener.
pub(crate) struct Log {
    path: PathBuf,
    file: Option<BufWriter<File>>,
}

impl Log {
    /// Opens the file, 0600 from birth; its folder is made with 0700.
    pub(crate) fn open(path: &Path) -> io::Result<Log> {
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Log { path: path.to_owned(), file: Some(BufWriter::new(file)) })
    }

    fn write(&mut self, at: Timestamp, lines: &[String]) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        for line in lines {
            writeln!(file, "{at:.3} {}", scrub(line))?;
        }
        // Each event at once: a log is read when the program no longer runs.
        file.flush()
    }
}

impl Listener for Log {
    fn hear(&mut self, event: &Event, at: Timestamp, pending: &mut Pending) {
        if let Err(cause) = self.write(at, &lines(event)) {
            self.file = None;
            pending.err(&format!("[WARNING]: the log {} ends here: {cause}", self.path.display()));
        }
    }
}

fn lines(event: &Event) -> Vec<String> {
    match event {
        Event::RunStarted { run_id, command, hosts, .. } => {
            vec![format!("run {run_id}: {command} on {}", hosts.join(", "))]
        }
        Event::StageStarted { cluster, stage, tasks } => vec![format!("stage {stage} of {cluster}: {tasks} tasks")],
        Event::StageFinished { cluster, stage, seconds } => {
            vec![format!("stage {stage} of {cluster}: done in {seconds:.3} s")]
        }
        Event::PhaseFinished { phase, of, seconds } => vec![format!("{phase} {of}: done in {seconds:.3} s")],
        Event::TaskStarted { task, title, host, .. } => vec![format!("start [{host}] {} <{task}>", printable(title))],
        Event::TaskOutput { task, host, line } => {
            vec![format!("  out [{host}] <{task}> {}", printable(line))]
        }
        Event::TaskFinished { task, title, host, outcome, change, seconds, .. } => {
            let (word, why) = outcome_words(outcome);
            let why = if why.is_empty() { String::new() } else { format!(": {}", printable(why)) };
            let mut lines = vec![format!("{word} [{host}] {} <{task}> {seconds:.3} s{why}", printable(title))];
            if let Some(change) = change {
                lines[0] = format!("{} {}", lines[0], sign(change.action).0);
                lines.extend(field_lines(&change.fields, Some(usize::MAX), Paint(false)));
            }
            lines
        }
        Event::HostUnreachable { host, address, cause, hint } => {
            vec![format!("unreachable [{host}] {address}: {} ({})", printable(cause), printable(hint))]
        }
        Event::Preflight { findings } => findings
            .iter()
            .map(|f| {
                let (found, remedy) = (printable(&f.found), printable(&f.remedy));
                format!("{} {} [{}] {found} ({remedy})", f.state.word(), f.check, f.of)
            })
            .collect(),
        Event::Warning { message } => vec![format!("warning: {}", printable(message))],
        Event::Failure { cause, last_lines, serving, next } => {
            let mut lines = vec![format!("FAILED: {}", printable(cause))];
            lines.extend(last_lines.iter().map(|line| format!("  | {}", printable(line))));
            lines.push(format!("  still serving: {}", printable(serving)));
            lines.push(format!("  next: {}", printable(next)));
            lines
        }
        Event::Recap { hosts, seconds, exit, trips } => {
            let mut lines = vec![format!("end: exit code {exit} after {seconds:.3} s")];
            lines.extend(hosts.iter().map(|(host, counts)| format!("  {host}: {counts:?}")));
            lines.extend(trips.iter().map(|(host, trips)| format!("  {host}: {trips:?}")));
            lines
        }
    }
}

fn outcome_words(outcome: &Outcome) -> (&'static str, &str) {
    match outcome {
        Outcome::Ok => ("ok", ""),
        Outcome::Changed => ("changed", ""),
        Outcome::Skipped { why } => ("skipped", why),
        Outcome::Unknown { until } => ("unknown", until),
        Outcome::Failed { why } => ("failed", why),
        Outcome::Unreachable => ("unreachable", ""),
    }
}
