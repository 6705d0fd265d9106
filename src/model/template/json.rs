//! JSON as Python's `json.dumps` writes it.

use std::fmt::Write;

use serde_json::Value as Json;

/// How it is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Style {
    /// Spaces per level; `None` for one line.
    pub indent: Option<usize>,
    /// Keys sorted.
    pub sort: bool,
    /// Everything beyond ASCII escaped.
    pub ascii: bool,
}

/// The text.
pub(crate) fn dump(value: &Json, style: Style) -> String {
    let mut out = String::new();
    write(&mut out, value, style, 0);
    out
}

fn line(out: &mut String, style: Style, level: usize) {
    if let Some(indent) = style.indent {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', indent * level));
    }
}

fn write(out: &mut String, value: &Json, style: Style, level: usize) {
    let comma = if style.indent.is_some() { "," } else { ", " };
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Json::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => out.push_str(&crate::yaml::python_float(float)),
            _ => out.push_str(&number.to_string()),
        },
        Json::String(text) => match text.strip_prefix(crate::yaml::BARE) {
            Some(bare) if bare.parse::<f64>().is_ok() => out.push_str(bare),
            _ => string(out, text, style.ascii),
        },
        Json::Array(items) if items.is_empty() => out.push_str("[]"),
        Json::Array(items) => {
            out.push('[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    out.push_str(comma);
                }
                line(out, style, level + 1);
                write(out, item, style, level + 1);
            }
            line(out, style, level);
            out.push(']');
        }
        Json::Object(map) if map.is_empty() => out.push_str("{}"),
        Json::Object(map) => {
            let mut entries: Vec<(&String, &Json)> = map.iter().collect();
            if style.sort {
                entries.sort_by_key(|(key, _)| *key);
            }
            out.push('{');
            for (n, (key, item)) in entries.into_iter().enumerate() {
                if n > 0 {
                    out.push_str(comma);
                }
                line(out, style, level + 1);
                string(out, key, style.ascii);
                out.push_str(": ");
                write(out, item, style, level + 1);
            }
            line(out, style, level);
            out.push('}');
        }
    }
}

fn string(out: &mut String, text: &str, ascii: bool) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if (c as u32) < 0x20 || (ascii && !c.is_ascii()) || (ascii && c == '\x7f') => {
                if c == '\x7f' {
                    out.push(c);
                    continue;
                }
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
