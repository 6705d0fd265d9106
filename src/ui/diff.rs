//! What differs, field by field.

use reemo_model::change::{Action, FieldDiff};
use reemo_model::secret::PLACEHOLDER;

use crate::clean::{printable, printable_lines};
use crate::paint::{Paint, Tone};
use crate::tail::short;

/// Characters shown of one value; the log has all of it.
const LONGEST: usize = 160;

/// The sign of an action, and its colour.
pub(crate) fn sign(action: Action) -> (&'static str, Tone) {
    match action {
        Action::Create => ("+", Tone::Ok),
        Action::Update => ("~", Tone::Changed),
        Action::Remove => ("-", Tone::Failed),
        Action::Run => ("!", Tone::Skipped),
    }
}

/// The lines of all fields, indented.
pub(crate) fn field_lines(fields: &[FieldDiff], longest: Option<usize>, paint: Paint) -> Vec<String> {
    fields.iter().flat_map(|field| one(field, longest.unwrap_or(LONGEST), paint)).collect()
}

fn one(diff: &FieldDiff, longest: usize, paint: Paint) -> Vec<String> {
    let name = printable(&diff.field).into_owned();
    let value = |value: &str| quoted(value, longest);
    let (action, what) = match (&diff.was, &diff.wanted) {
        (None, Some(wanted)) => (Action::Create, format!(": {}", value(wanted))),
        (Some(was), None) => (Action::Remove, format!(": {}", value(was))),
        // Two placeholders side by side would look like no change at all.
        (Some(was), Some(wanted)) if was == PLACEHOLDER && was == wanted => {
            (Action::Update, format!(": {PLACEHOLDER}, another one"))
        }
        (Some(was), Some(wanted)) => (Action::Update, format!(": {} → {}", value(was), value(wanted))),
        (None, None) => (Action::Update, String::new()),
    };
    let (sign, tone) = sign(action);
    let Some(text) = &diff.text else {
        return vec![format!("    {} {name}{what}", paint.paint(tone, sign))];
    };
    // The whole content before and after says less than the difference.
    let mut lines = vec![format!("    {} {name}:", paint.paint(tone, sign))];
    lines.extend(printable_lines(text).map(|line| format!("        {}", unified(&line, paint))));
    lines
}

/// Quoted, so that an empty value and spaces are seen; control characters are escaped.
fn quoted(value: &str, longest: usize) -> String {
    if value == PLACEHOLDER { value.to_owned() } else { format!("{:?}", short(value, longest)) }
}

/// A line of a unified diff in its colour.
fn unified(line: &str, paint: Paint) -> String {
    match line.as_bytes().first() {
        _ if line.starts_with("+++") || line.starts_with("---") => paint.paint(Tone::Strong, line),
        Some(b'+') => paint.paint(Tone::Ok, line),
        Some(b'-') => paint.paint(Tone::Failed, line),
        Some(b'@') => paint.paint(Tone::Skipped, line),
        _ => line.to_owned(),
    }
}
