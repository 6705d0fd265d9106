//! Events without secrets, and text without anything a terminal would obey.

use std::borrow::Cow;

use reemo_model::change::FieldDiff;
use reemo_model::event::{Event, Outcome, Shown};
use reemo_model::finding::Finding;
use reemo_model::secret::scrub;
use serde_json::Value;

/// The event with every text scrubbed. Done before anything is cut, padded or escaped, which would
/// hide a secret from a later search for it.
pub(crate) fn clean(event: Event) -> Event {
    match event {
        Event::TaskStarted { task, title, host, stage } => {
            Event::TaskStarted { task: text(task), title: text(title), host, stage }
        }
        Event::TaskOutput { task, host, line } => Event::TaskOutput { task: text(task), host, line: text(line) },
        Event::TaskFinished { task, title, host, stage, outcome, change, seconds } => Event::TaskFinished {
            task: text(task),
            title: text(title),
            host,
            stage,
            outcome: clean_outcome(outcome),
            change: change.map(clean_change),
            seconds,
        },
        Event::HostUnreachable { host, address, cause, hint } => {
            Event::HostUnreachable { host, address: text(address), cause: text(cause), hint: text(hint) }
        }
        Event::Preflight { findings } => Event::Preflight {
            findings: findings
                .into_iter()
                .map(|f| Finding { found: text(f.found), remedy: text(f.remedy), ..f })
                .collect(),
        },
        Event::Warning { message } => Event::Warning { message: text(message) },
        Event::Failure { cause, last_lines, serving, next } => Event::Failure {
            cause: text(cause),
            last_lines: last_lines.into_iter().map(text).collect(),
            serving: text(serving),
            next: text(next),
        },
        // Names of hosts, clusters and stages, and numbers.
        other @ (Event::RunStarted { .. }
        | Event::StageStarted { .. }
        | Event::StageFinished { .. }
        | Event::PhaseFinished { .. }
        | Event::Recap { .. }) => other,
    }
}

/// A JSON document with every text in it scrubbed, names of fields included.
pub(crate) fn clean_json(document: Value) -> Value {
    match document {
        Value::String(plain) => Value::String(text(plain)),
        Value::Array(items) => items.into_iter().map(clean_json).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (text(name), clean_json(value))).collect(),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_)) => other,
    }
}

fn text(text: String) -> String {
    match scrub(&text) {
        Cow::Owned(scrubbed) => scrubbed,
        Cow::Borrowed(_) => text,
    }
}

fn clean_outcome(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Skipped { why } => Outcome::Skipped { why: text(why) },
        Outcome::Unknown { until } => Outcome::Unknown { until: text(until) },
        Outcome::Failed { why } => Outcome::Failed { why: text(why) },
        other @ (Outcome::Ok | Outcome::Changed | Outcome::Unreachable) => other,
    }
}

fn clean_change(change: Shown) -> Shown {
    let fields = change.fields.into_iter().map(|field| FieldDiff {
        field: text(field.field),
        was: field.was.map(text),
        wanted: field.wanted.map(text),
        text: field.text.map(text),
    });
    Shown { action: change.action, fields: fields.collect() }
}

/// One line without control characters: what a host prints must not move our cursor, colour our
/// lines or forge another line of the log.
pub(crate) fn printable(line: &str) -> Cow<'_, str> {
    let plain = console::strip_ansi_codes(line);
    // A progress meter redraws its line after a carriage return: the last state is what counts.
    let end = plain.trim_end();
    let from = end.rfind('\r').map_or(0, |at| at + 1);
    if from == 0 && end.len() == plain.len() && !end.contains(char::is_control) {
        return plain;
    }
    Cow::Owned(end[from..].chars().map(visible).collect())
}

/// The same for text of several lines, such as a diff.
pub(crate) fn printable_lines(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.lines().map(printable)
}

fn visible(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{b7}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_obey_nothing() {
        assert_eq!(printable("\x1b[31mred\x1b[0m\x07"), "red\u{b7}");
        assert_eq!(printable("10%\r50%\r100%\r"), "100%");
        assert_eq!(printable("a\tb\n"), "a b");
        assert!(matches!(printable("plain ✓"), Cow::Borrowed("plain ✓")));
    }
}
