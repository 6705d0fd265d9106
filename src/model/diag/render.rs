//! Plain text for people: the sentence, the place, the line with a caret, what to do.

use std::fmt::Write;

use super::{Diagnostic, Place, Severity};
use crate::secret::scrub;

/// Longest line of source shown whole.
const WIDEST: usize = 140;

/// Every diagnostic, then a count.
pub(super) fn all(list: &[Diagnostic]) -> String {
    let mut out = String::new();
    for one in list {
        out.push_str(&diagnostic(one));
        out.push('\n');
    }
    let errors = list.iter().filter(|d| d.is_error()).count();
    let warnings = list.len() - errors;
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => {}
        (e, 0) => out.push_str(&format!("{}\n", count(e, "error"))),
        (0, w) => out.push_str(&format!("{}\n", count(w, "warning"))),
        (e, w) => out.push_str(&format!("{}, {}\n", count(e, "error"), count(w, "warning"))),
    }
    out
}

/// One diagnostic.
pub(super) fn diagnostic(d: &Diagnostic) -> String {
    let kind = match d.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut out = format!("{kind}[{}]: {}\n", d.code, indented(&d.message));
    let widest = d.place.iter().chain(d.related.iter().map(|r| &r.place)).map(|p| p.line).max();
    let gutter = widest.unwrap_or(0).to_string().len().max(2);
    if let Some(place) = &d.place {
        snippet(&mut out, place, d.excerpt.as_deref(), d.label.as_deref(), gutter);
    } else if let Some(label) = &d.label {
        let _ = writeln!(out, "{:gutter$} = {}", "", indented(label));
    }
    for related in &d.related {
        snippet(&mut out, &related.place, related.excerpt.as_deref(), Some(&related.label), gutter);
    }
    if let Some(help) = &d.help {
        let _ = writeln!(out, "{:gutter$} = help: {}", "", indented(help));
    }
    scrub(&out).into_owned()
}

fn snippet(out: &mut String, place: &Place, line: Option<&str>, label: Option<&str>, gutter: usize) {
    let _ = writeln!(out, "{:gutter$}--> {place}", "");
    let Some(line) = line else {
        if let Some(label) = label {
            let _ = writeln!(out, "{:gutter$} = {}", "", indented(label));
        }
        return;
    };
    // Control characters would move the cursor; a tab is as wide as one column here, so that carets fit.
    let chars: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let start = (place.column.max(1) as usize - 1).min(chars.len());
    // A long line is shown from a little before the caret.
    let from = if chars.len() > WIDEST && start > WIDEST / 2 { start - WIDEST / 2 } else { 0 };
    let to = chars.len().min(from + WIDEST);
    let shown: String = chars.get(from..to).unwrap_or_default().iter().collect();
    let (head, tail) = (if from > 0 { "…" } else { "" }, if to < chars.len() { "…" } else { "" });
    let pad = start - from.min(start) + head.chars().count();
    let room = (to + 1).saturating_sub(start).max(1);
    let carets = "^".repeat((place.len.max(1) as usize).min(room));
    let _ = writeln!(out, "{:gutter$} |", "");
    let _ = writeln!(out, "{:>gutter$} | {head}{shown}{tail}", place.line);
    let label = label.map(|l| format!(" {}", indented(l))).unwrap_or_default();
    let _ = writeln!(out, "{:gutter$} | {:pad$}{carets}{label}", "", "");
}

/// Further lines of a message stand under the first.
fn indented(text: &str) -> String {
    text.trim_end().replace('\n', "\n      ")
}
