//! What Jinja2 takes and minijinja does not, rewritten before it is parsed: `a.b.c | default(…)` and
//! `a.b.c is defined` where `a.b` is already missing, and `'%s' % value`.

use std::borrow::Cow;

/// The function that walks a path of which every part may be missing.
pub(super) const PATH: &str = "__path";
/// The method of texts behind `%`.
pub(super) const PERCENT: &str = "__mod__";

/// The rewritten text; line breaks stay where they are.
pub(super) fn rewrite(text: &str) -> Cow<'_, str> {
    if !needed(text) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 32);
    let mut rest = text;
    while let Some(at) = opening(rest) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("{#") {
            let end = comment.find("#}").map_or(rest.len(), |e| e + 4);
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let (open, body) = rest.split_at(2);
        let end = body_end(body, if open == "{{" { "}}" } else { "%}" });
        let word = body[..end].trim_start_matches(['-', '+', ' ']);
        out.push_str(open);
        if open == "{%" && word.starts_with("raw") {
            // Up to the end of the raw block nothing is an expression.
            let close = body.find("endraw").unwrap_or(body.len());
            out.push_str(&body[..close]);
            rest = &body[close..];
            continue;
        }
        out.push_str(&code(&body[..end]));
        rest = &body[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The same for an expression without braces.
pub(super) fn rewrite_expression(text: &str) -> Cow<'_, str> {
    if needed(text) { Cow::Owned(code(text)) } else { Cow::Borrowed(text) }
}

fn needed(text: &str) -> bool {
    let asks = ["default", "defined", "| d(", "|d("].iter().any(|word| text.contains(word));
    asks || text.contains(['\'', '"']) && text.replace("{%", "").replace("%}", "").contains('%')
}

/// The next `{{`, `{%` or `{#`.
fn opening(text: &str) -> Option<usize> {
    text.match_indices('{').map(|(at, _)| at).find(|at| matches!(text.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')))
}

fn body_end(body: &str, close: &str) -> usize {
    let mut at = 0;
    let mut depth = 0_usize;
    while at < body.len() {
        let c = body.as_bytes()[at];
        if depth == 0 && body[at..].starts_with(close) {
            return at;
        }
        match c {
            b'"' | b'\'' => {
                at = string_end(body, at);
                continue;
            }
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += body[at..].chars().next().map_or(1, char::len_utf8);
    }
    body.len()
}

/// Behind the text constant that starts at `at`.
fn string_end(code: &str, at: usize) -> usize {
    let bytes = code.as_bytes();
    let quote = bytes[at];
    let mut end = at + 1;
    while end < bytes.len() {
        match bytes[end] {
            b'\\' => end += 2,
            c if c == quote => return end + 1,
            _ => end += 1,
        }
    }
    code.len()
}

fn is_name(c: u8) -> bool {
    c.is_ascii_alphanumeric() || c == b'_' || c >= 0x80
}

fn name_end(code: &str, at: usize) -> usize {
    at + code.as_bytes()[at..].iter().take_while(|c| is_name(**c)).count()
}

fn spaces(code: &str, at: usize) -> usize {
    at + code.as_bytes()[at..].iter().take_while(|c| c.is_ascii_whitespace()).count()
}

/// Behind the bracket that opens at `at`; `None` when it never closes.
fn bracket_end(code: &str, at: usize) -> Option<usize> {
    let bytes = code.as_bytes();
    let (mut depth, mut at) = (0_usize, at);
    while at < bytes.len() {
        match bytes[at] {
            b'"' | b'\'' => {
                at = string_end(code, at);
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// One expression or statement.
fn code(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len() + 32);
    let mut at = 0;
    let mut previous = b' ';
    while at < bytes.len() {
        let c = bytes[at];
        if c == b'"' || c == b'\'' {
            let end = string_end(text, at).min(text.len());
            let constant = &text[at..end];
            let behind = spaces(text, end);
            let formats = bytes.get(behind) == Some(&b'%') && bytes.get(behind + 1) != Some(&b'}');
            let operand = if formats { operand_end(text, spaces(text, behind + 1)) } else { None };
            if let Some(stop) = operand {
                let from = spaces(text, behind + 1);
                out.push_str(&format!("{constant}.{PERCENT}({})", code(&text[from..stop])));
                at = stop;
            } else {
                out.push_str(constant);
                at = end;
            }
            previous = b'"';
            continue;
        }
        let starts = is_name(c) && !c.is_ascii_digit() && !is_name(previous) && previous != b'.' && previous != b'|';
        if starts && let Some((rewritten, end)) = path(text, at) {
            out.push_str(&rewritten);
            at = end;
            previous = b')';
            continue;
        }
        if is_name(c) {
            let end = name_end(text, at).max(at + 1);
            out.push_str(&text[at..end]);
            at = end;
            previous = c;
            continue;
        }
        out.push(char::from(c));
        if !c.is_ascii_whitespace() || !matches!(previous, b'.' | b'|') {
            previous = c;
        }
        at += 1;
    }
    out
}

/// `name.part[…].part` that is asked whether it is there, as a call.
fn path(text: &str, at: usize) -> Option<(String, usize)> {
    let bytes = text.as_bytes();
    let end = name_end(text, at);
    let base = &text[at..end];
    let mut parts = Vec::new();
    let mut stop = end;
    loop {
        match bytes.get(stop) {
            Some(b'.') => {
                let part = name_end(text, stop + 1);
                if part == stop + 1 {
                    return None;
                }
                let name = &text[stop + 1..part];
                let number = name.bytes().all(|b| b.is_ascii_digit());
                parts.push(if number { name.to_owned() } else { format!("'{name}'") });
                stop = part;
            }
            Some(b'[') => {
                let close = bracket_end(text, stop)?;
                let inner = &text[stop + 1..close - 1];
                if inner.contains(':') && !inner.contains(['\'', '"', '{']) {
                    return None;
                }
                parts.push(code(inner));
                stop = close;
            }
            _ => break,
        }
    }
    if parts.is_empty() || !asks(&text[stop..]) {
        return None;
    }
    Some((format!("{PATH}({base}, {})", parts.join(", ")), stop))
}

/// `| default`, `| d(`, `is defined`, `is not defined`, `is undefined`; a closing bracket between is passed.
fn asks(behind: &str) -> bool {
    let behind = behind.trim_start_matches([' ', '\t', '\n', ')']);
    let word = |text: &str| text.bytes().take_while(|c| is_name(*c)).count();
    if let Some(filter) = behind.strip_prefix('|') {
        let filter = filter.trim_start();
        return matches!(&filter[..word(filter)], "default" | "d");
    }
    let Some(test) = behind.strip_prefix("is").filter(|t| t.starts_with([' ', '\t', '\n'])) else { return false };
    let test = test.trim_start();
    let test = test.strip_prefix("not").filter(|t| t.starts_with([' ', '\t', '\n'])).unwrap_or(test).trim_start();
    matches!(&test[..word(test)], "defined" | "undefined")
}

/// Behind the operand of `%`: a constant, a name or a bracket, with what hangs on it.
fn operand_end(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = match bytes.get(at)? {
        b'-' => at + 1,
        _ => at,
    };
    at = match bytes.get(at)? {
        b'"' | b'\'' => string_end(text, at),
        b'(' | b'[' | b'{' => bracket_end(text, at)?,
        c if is_name(*c) => name_end(text, at),
        _ => return None,
    };
    loop {
        match bytes.get(at) {
            Some(b'.') => at = name_end(text, at + 1),
            Some(b'[' | b'(') => at = bracket_end(text, at)?,
            _ => {
                let filter = spaces(text, at);
                if bytes.get(filter) != Some(&b'|') {
                    return Some(at);
                }
                at = name_end(text, spaces(text, filter + 1));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::rewrite;

    #[test]
    fn only_what_must_be() {
        for (from, to) in [
            ("{{ a.b.c | default('x') }}", "{{ __path(a, 'b', 'c') | default('x') }}"),
            ("{{ a['k'][0].b is not defined }}", "{{ __path(a, 'k', 0, 'b') is not defined }}"),
            ("{{ (a.b.c).d | default(e.f | d(1)) }}", "{{ (a.b.c).d | default(__path(e, 'f') | d(1)) }}"),
            ("{{ '%s-%s' % (a, b) }} %", "{{ '%s-%s'.__mod__((a, b)) }} %"),
            ("{{ '%d' % n | int }}", "{{ '%d'.__mod__(n | int) }}"),
            ("{{ a.b | upper }} default", "{{ a.b | upper }} default"),
            ("{{ 'a.b | default(1)' }} {# a.b | default #}", "{{ 'a.b | default(1)' }} {# a.b | default #}"),
            ("{% raw %}{{ a.b | default(1) }}{% endraw %}", "{% raw %}{{ a.b | default(1) }}{% endraw %}"),
            ("{{ x[a.b | default(1)] }}", "{{ x[__path(a, 'b') | default(1)] }}"),
            ("{{ 7 % 3 }}'", "{{ 7 % 3 }}'"),
            ("{{ a.b('x').c | default(1) }}", "{{ a.b('x').c | default(1) }}"),
            ("é{{ é.b | default('é') }}", "é{{ __path(é, 'b') | default('é') }}"),
        ] {
            assert_eq!(rewrite(from), to, "{from}");
        }
    }
}
