//! Filters that make one scalar of another.

use std::path::{Component, Path};

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, Value};

use super::{filter, refuse};
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter!(env, names, "bool", |value: Value| truth(&value));
    filter!(env, names, "int", int);
    filter!(env, names, "float", float);
    filter!(env, names, "string", |value: Value| python::checked_text(&value));
    filter!(env, names, "mandatory", mandatory);
    filter!(env, names, "ternary", ternary);
    filter!(env, names, "quote", |value: Value| quote(&python::text(&value)));
    filter!(env, names, "basename", |path: String| path.rsplit('/').next().unwrap_or_default().to_owned());
    filter!(env, names, "dirname", |path: String| dirname(&path));
    filter!(env, names, "splitext", splitext);
    filter!(env, names, "normpath", |path: String| normpath(&path));
    filter!(env, names, "expanduser", |path: String| path);
    filter!(env, names, "path_join", path_join);
    filter!(env, names, "comment", |text: String| text
        .lines()
        .map(|l| format!("# {l}").trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n"));
    filter!(env, names, "type_debug", |value: Value| type_name(&value));
}

/// A value as Ansible's `bool` filter reads it.
pub(crate) fn truth(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Bool => value.is_true(),
        ValueKind::Number => value.as_i64() == Some(1) || f64::try_from(value.clone()).is_ok_and(|n| n == 1.0),
        _ => value
            .as_str()
            .is_some_and(|text| matches!(text.to_lowercase().as_str(), "yes" | "on" | "1" | "true" | "y" | "t")),
    }
}

/// As Jinja's: 0 (or the default) for what is no number.
fn int(value: Value, default: Option<i64>, options: Kwargs) -> Result<i64, Error> {
    let default = options.get::<Option<i64>>("default")?.or(default).unwrap_or(0);
    let base = options.get::<Option<u32>>("base")?.unwrap_or(10);
    options.assert_all_used()?;
    let number = match value.kind() {
        ValueKind::Bool => Some(i64::from(value.is_true())),
        ValueKind::Number => value.as_i64().or_else(|| f64::try_from(value.clone()).ok().map(|f| f as i64)),
        _ => value.as_str().and_then(|text| {
            let bare = text.trim().replace('_', "");
            if (2..=36).contains(&base) && base != 10 {
                let digits = bare.trim_start_matches("0x").trim_start_matches("0o").trim_start_matches("0b");
                return i64::from_str_radix(digits, base).ok();
            }
            bare.parse::<i64>().ok().or_else(|| bare.parse::<f64>().ok().filter(|f| f.is_finite()).map(|f| f as i64))
        }),
    };
    Ok(number.unwrap_or(default))
}

fn float(value: Value, default: Option<f64>) -> f64 {
    let default = default.unwrap_or(0.0);
    match value.as_str() {
        Some(text) => text.trim().parse().unwrap_or(default),
        None if value.kind() == ValueKind::Bool => f64::from(u8::from(value.is_true())),
        None => f64::try_from(value).unwrap_or(default),
    }
}

fn mandatory(value: Value, message: Option<String>) -> Result<Value, Error> {
    if value.is_undefined() {
        return Err(refuse(message.unwrap_or_else(|| "a mandatory variable is not defined".into())));
    }
    Ok(value)
}

fn ternary(value: Value, yes: Value, no: Value, null: Option<Value>) -> Value {
    match null {
        Some(null) if value.is_none() => null,
        _ if value.is_true() => yes,
        _ => no,
    }
}

/// As Python's `shlex.quote`.
fn quote(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn dirname(path: &str) -> String {
    match path.rfind('/') {
        None => String::new(),
        Some(at) => {
            let head = &path[..=at];
            let trimmed = head.trim_end_matches('/');
            if trimmed.is_empty() { head.to_owned() } else { trimmed.to_owned() }
        }
    }
}

fn splitext(path: String) -> Vec<String> {
    let name = path.rfind('/').map_or(0, |at| at + 1);
    let leading = path[name..].chars().take_while(|c| *c == '.').count();
    match path.rfind('.') {
        Some(at) if at >= name + leading.max(1) => vec![path[..at].to_owned(), path[at..].to_owned()],
        _ => vec![path, String::new()],
    }
}

fn normpath(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let absolute = path.starts_with('/');
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir if parts.last().is_some_and(|p| *p != "..") => {
                parts.pop();
            }
            Component::ParentDir if absolute => {}
            Component::ParentDir => parts.push(".."),
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            _ => {}
        }
    }
    match (absolute, parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

fn path_join(parts: Value) -> Result<String, Error> {
    if let Some(one) = parts.as_str() {
        return Ok(one.to_owned());
    }
    let mut out = String::new();
    for part in parts.try_iter()?.checked() {
        let part = python::text(&part?);
        if part.starts_with('/') {
            out = part;
        } else {
            if !out.is_empty() && !out.ends_with('/') {
                out.push('/');
            }
            out.push_str(&part);
        }
    }
    Ok(out)
}

fn type_name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Seq | ValueKind::Iterable => "list",
        ValueKind::Map => "dict",
        ValueKind::None => "NoneType",
        _ => "object",
    }
}
