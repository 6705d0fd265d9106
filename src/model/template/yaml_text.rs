//! JSON values written as YAML, so that YAML 1.1 reads the same back.

use serde_json::Value as Json;

/// Spaces a level.
const INDENT: usize = 2;

/// The text, ending with a line break.
pub(crate) fn emit(value: &Json) -> String {
    let mut out = String::new();
    match value {
        Json::Array(_) | Json::Object(_) if !inline(value) => block(&mut out, value, 0),
        _ => {
            out.push_str(&one_line(value));
            out.push('\n');
        }
    }
    out
}

fn inline(value: &Json) -> bool {
    match value {
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
        _ => true,
    }
}

fn pad(out: &mut String, spaces: usize) {
    out.extend(std::iter::repeat_n(' ', spaces));
}

fn block(out: &mut String, value: &Json, level: usize) {
    match value {
        Json::Array(items) => {
            for item in items {
                pad(out, level);
                out.push('-');
                if inline(item) {
                    out.push(' ');
                    out.push_str(&one_line(item));
                    out.push('\n');
                } else {
                    // The first key stands on the line of the dash.
                    let mut inner = String::new();
                    block(&mut inner, item, level + INDENT);
                    pad(out, INDENT - 1);
                    out.push_str(inner.trim_start_matches(' '));
                }
            }
        }
        Json::Object(map) => {
            for (key, item) in map {
                pad(out, level);
                out.push_str(&scalar(key));
                out.push(':');
                if inline(item) {
                    out.push(' ');
                    out.push_str(&one_line(item));
                    out.push('\n');
                } else {
                    out.push('\n');
                    // As PyYAML: the dashes of a list stand under its key.
                    let deeper = if item.is_array() { level } else { level + INDENT };
                    block(out, item, deeper);
                }
            }
        }
        other => {
            pad(out, level);
            out.push_str(&one_line(other));
            out.push('\n');
        }
    }
}

fn one_line(value: &Json) -> String {
    match value {
        Json::Null => "null".into(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => crate::yaml::python_float(float),
            _ => number.to_string(),
        },
        Json::String(text) => match text.strip_prefix(crate::yaml::BARE) {
            Some("Infinity") => ".inf".into(),
            Some("-Infinity") => "-.inf".into(),
            Some("NaN") => ".nan".into(),
            Some(bare) => bare.to_owned(),
            None => scalar(text),
        },
        Json::Array(items) => format!("[{}]", items.iter().map(one_line).collect::<Vec<_>>().join(", ")),
        Json::Object(map) => {
            let inner: Vec<String> = map.iter().map(|(k, v)| format!("{}: {}", scalar(k), one_line(v))).collect();
            format!("{{{}}}", inner.join(", "))
        }
    }
}

/// Plain where it reads back as the same text, quoted otherwise.
fn scalar(text: &str) -> String {
    let safe_first = text
        .chars()
        .next()
        .is_some_and(|c| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '+' | '$' | '(' | ';' | '<' | '^' | '~'));
    let safe = safe_first
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !text.contains(['[', ']', '{', '}', ',', '\n', '\t', '\r', '"', '\''])
        && text.chars().all(|c| !c.is_control() && c != '\u{feff}')
        && crate::yaml::is_plain_text(text);
    if safe {
        return text.to_owned();
    }
    if text.chars().all(|c| !c.is_control()) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    super::json::dump(&Json::from(text), super::json::Style::default())
}
