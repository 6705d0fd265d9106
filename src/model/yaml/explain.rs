//! libyaml's complaints in plain words, with what to do.

use std::path::Path;
use std::sync::Arc;

use super::scan::{Mark, Problem};
use crate::diag::{Diagnostic, Place, Span};

/// Bytes that are not text.
pub(super) fn not_utf8(file: &Arc<Path>, bytes: &[u8], at: usize) -> Diagnostic {
    let before = bytes.get(..at).unwrap_or_default();
    let line = before.iter().filter(|b| **b == b'\n').count();
    let start = before.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
    let column = String::from_utf8_lossy(&before[start..]).chars().count();
    let binary = bytes.iter().take(1024).filter(|b| **b == 0).count() > 0;
    let help = if binary {
        "this looks like a binary file; is it the right one?"
    } else {
        "save the file as UTF-8 (it may be Latin-1 or Windows-1252 now)"
    };
    Diagnostic::error("not-utf8", "the file is not UTF-8 text")
        .at(place(file, Mark { line, column }))
        .label("this byte is not valid")
        .help(help)
}

fn place(file: &Arc<Path>, mark: Mark) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX - 1).saturating_add(1);
    Span::new(number(mark.line), number(mark.column), 1).at(file)
}

/// What libyaml refused.
pub(super) fn problem(file: &Arc<Path>, text: &str, problem: &Problem) -> Diagnostic {
    let lines: Vec<&str> = text.lines().collect();
    let line = |n: usize| lines.get(n).copied().unwrap_or_default();
    // At the end of the stream libyaml points behind the last line.
    let mut at = problem.at;
    if at.line >= lines.len() && !lines.is_empty() {
        at = Mark { line: lines.len() - 1, column: line(lines.len() - 1).chars().count() };
    }
    let here = line(at.line);
    let error = |message: String| Diagnostic::error("yaml-syntax", message).at(place(file, at));
    let what = problem.what.as_str();
    let context = problem.context.as_str();

    if let Some(tab) = indentation_tab(here)
        .or_else(|| indentation_tab(line(problem.context_at.line)).filter(|_| what.contains("token")))
    {
        let mark = if indentation_tab(here).is_some() {
            Mark { line: at.line, column: tab }
        } else {
            Mark { line: problem.context_at.line, column: tab }
        };
        return Diagnostic::error("yaml-tab", "a tab is used for indentation")
            .at(place(file, mark))
            .label("tab")
            .help("YAML is indented with spaces only: replace the tab by spaces");
    }
    if what.contains("control characters") || what.contains("invalid leading UTF-8") {
        return error("a control character stands here, which YAML does not allow".into())
            .help("remove it; in double quotes it can be written as an escape such as `\\x07`");
    }
    if context.contains("quoted scalar") {
        let opened = problem.context_at;
        return Diagnostic::error("yaml-quote", "the quote that opens here is never closed, or is closed too early")
            .at(place(file, opened))
            .label("opens here")
            .related(place(file, at), format!("noticed here: {what}"))
            .help("in double quotes write `\\\"` for a quote and `\\\\` for a backslash; in single quotes write '' for a quote");
    }
    if let Some(misplaced) = mis_indented(&lines, at.line) {
        return misplaced_key(file, &misplaced);
    }
    if template_without_quotes(here) || template_without_quotes(line(problem.context_at.line)) {
        let mark = if template_without_quotes(here) { at.line } else { problem.context_at.line };
        let column = line(mark).find("{{").map_or(0, |byte| line(mark)[..byte].chars().count());
        return unquoted_template(place(file, Mark { line: mark, column }));
    }
    if what.contains("mapping values are not allowed") {
        return error("a second `: ` stands in this value, or the line is indented more than the one above".into())
            .label("this colon is not expected")
            .help("put a value that contains `: ` in quotes; give keys that belong together the same indentation");
    }
    if what.contains("cannot start any token") {
        let symbol = here.chars().nth(at.column).unwrap_or('?');
        return error(format!("a value cannot begin with `{symbol}`"))
            .label("not allowed here")
            .help("put the value in quotes");
    }
    if what.contains("could not find expected ':'") {
        let start = problem.context_at;
        return Diagnostic::error("yaml-syntax", "this line is neither `key: value` nor a `- item`")
            .at(place(file, start))
            .label("a `:` is missing (with a space after it)")
            .help("write `key: value`; a long text over several lines begins with `key: |`");
    }
    if what.contains("did not find expected ',' or") {
        return error("a list or mapping opened with `[` or `{` is not closed, or a comma is missing".into())
            .related(place(file, problem.context_at), "opened here")
            .help("separate items by commas and close it; a text that begins with `[` or `{` needs quotes");
    }
    if what.contains("did not find expected key")
        || what.contains("did not find expected '-' indicator")
        || what.contains("<document start>")
    {
        return error("this line does not fit the indentation of the lines above".into())
            .label("not expected here")
            .related(
                (problem.context_at.line != at.line).then(|| place(file, problem.context_at)),
                "the block it was read in begins here",
            )
            .help("give keys of one mapping, and the `-` of one list, the same indentation");
    }
    if what.contains("block sequence entries are not allowed") {
        return error("a `- item` cannot begin here".into())
            .label("not expected here")
            .help("begin the list on a line of its own, below its key");
    }
    let what = if what.is_empty() { "this is not YAML" } else { what };
    let context = if context.is_empty() { String::new() } else { format!(" ({context})") };
    error(format!("{what}{context}")).help("check indentation, quotes and colons around this place")
}

fn unquoted_template(place: Place) -> Diagnostic {
    Diagnostic::error("yaml-template", "a value that begins with `{{` must stand in quotes")
        .at(place)
        .label("read as a YAML mapping")
        .help("write `NAME: \"{{ … }}\"`")
}

/// The error for a mapping used as a key, when it is the inside of `{{ … }}` without quotes.
pub(super) fn template_at(file: &Arc<Path>, text: &str, key: Span) -> Option<Diagnostic> {
    let line = text.lines().nth(key.line.checked_sub(1)? as usize)?;
    let before: String = line.chars().take(key.column as usize).collect();
    let column = before.strip_suffix("{{").map(|head| head.chars().count() as u32 + 1)?;
    Some(unquoted_template(Span::new(key.line, column, 2).at(file)))
}

fn indentation_tab(line: &str) -> Option<usize> {
    line.chars().take_while(|c| *c == ' ' || *c == '\t').position(|c| c == '\t').filter(|_| !line.trim().is_empty())
}

fn template_without_quotes(line: &str) -> bool {
    line.find("{{").is_some_and(|at| line[..at].trim_end().ends_with(':') || line[..at].trim_end().ends_with('-'))
}

/// A key of a list item that does not stand under its neighbour: the commonest mistake in inventories.
struct Misplaced {
    /// Line of the key, from 0.
    line: usize,
    /// Where it stands, and where it should stand.
    column: usize,
    wanted: usize,
    key: String,
    /// The key it should stand under, its line, and whether a `- ` opens that line.
    under: String,
    under_line: usize,
    under_dash: bool,
}

fn misplaced_key(file: &Arc<Path>, m: &Misplaced) -> Diagnostic {
    let direction = if m.column < m.wanted { "right" } else { "left" };
    let spaces = m.column.abs_diff(m.wanted);
    let item = if m.under_dash { "the list item above" } else { "the line above" };
    let span = Span::new(m.line as u32 + 1, m.column as u32 + 1, m.key.chars().count() as u32);
    Diagnostic::error("yaml-indentation", format!("`{}:` is not indented like `{}:` of {item}", m.key, m.under))
        .at(span.at(file))
        .label(format!("starts in column {}, expected column {}", m.column + 1, m.wanted + 1))
        .related(
            Span::new(m.under_line as u32 + 1, m.wanted as u32 + 1, m.under.chars().count() as u32).at(file),
            format!("`{}:` starts in column {}", m.under, m.wanted + 1),
        )
        .help(format!(
            "move `{}:` {spaces} space{} to the {direction}, so that it stands exactly under `{}:`",
            m.key,
            if spaces == 1 { "" } else { "s" },
            m.under
        ))
}

/// Looks at the line of the error: `key: …` next to a line above with another indentation.
fn mis_indented(lines: &[&str], at: usize) -> Option<Misplaced> {
    let here = lines.get(at)?;
    let (column, false, key) = key_of(here)? else {
        return None;
    };
    let above = (0..at).rev().find(|n| {
        lines.get(*n).is_some_and(|l| {
            let l = l.trim();
            !l.is_empty() && !l.starts_with('#')
        })
    })?;
    let (wanted, dash, under) = key_of(lines.get(above)?)?;
    let above_has_value = lines.get(above)?.split_once(':').is_some_and(|(_, v)| {
        let v = v.trim();
        !v.is_empty() && !v.starts_with(['#', '|', '>', '&'])
    });
    let dash_column = lines.get(above)?.find('-')?;
    let fits = if dash {
        // Under the dash, between dash and key, or right of the key that has a value already.
        column != wanted && column >= dash_column && (column < wanted || above_has_value)
    } else {
        false
    };
    fits.then(|| Misplaced {
        line: at,
        column,
        wanted,
        key: key.to_owned(),
        under: under.to_owned(),
        under_line: above,
        under_dash: dash,
    })
}

/// Column of the key, whether a `- ` stands before it, and the key.
fn key_of(line: &str) -> Option<(usize, bool, &str)> {
    let body = line.trim_start_matches(' ');
    let indent = line.len() - body.len();
    let (dash, rest) = match body.strip_prefix("- ") {
        Some(rest) => (true, rest),
        None => (false, body),
    };
    let inner = rest.trim_start_matches(' ');
    let column = indent + (body.len() - inner.len());
    let (key, after) = inner.split_once(':')?;
    let plain = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    (plain && (after.is_empty() || after.starts_with(' '))).then_some((column, dash, key))
}
