//! Looking at a text before the engine does.

use std::borrow::Cow;

/// True when a text needs the engine at all.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%") || text.contains("{#")
}

/// Backslashes of text constants inside `{{ }}` doubled, as Ansible does before it parses a variable, so
/// that `regex_replace('(a)', '\1')` means a group.
pub(super) fn double_backslashes(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') || !text.contains("{{") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut inside = false;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        match (quote, c) {
            // The next character belongs to this one, a quote among them stays a part of the text.
            (Some(q), '\\') => {
                out.push('\\');
                match chars.next() {
                    Some('\\') => out.push_str("\\\\"),
                    Some(next) if next == q => out.extend(['\\', next]),
                    next => out.extend(next),
                }
            }
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') if inside => quote = Some(c),
            (None, '{') if chars.peek() == Some(&'{') => inside = true,
            (None, '}') if chars.peek() == Some(&'}') => inside = false,
            _ => {}
        }
    }
    Cow::Owned(out)
}

/// The inside of a text that is one `{{ … }}` and nothing else.
pub(super) fn lone_expression(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("{{")?.strip_suffix("}}")?;
    let inner = inner.strip_prefix(['-', '+']).unwrap_or(inner);
    Some(inner.strip_suffix(['-', '+']).unwrap_or(inner))
}
