//! Values as Python prints them, since that is what Ansible's templates print.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, Value};

/// `str(value)`.
pub(crate) fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => repr(value, 0, &mut None),
    }
}

/// [`text`], failing when something inside could not be evaluated.
pub(crate) fn checked_text(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    let mut failure = None;
    let text = repr(value, 0, &mut failure);
    failure.map_or(Ok(text), Err)
}

/// The error an invalid value carries; iteration is the one way minijinja offers to it.
pub(super) fn error_of(value: &Value) -> Option<Error> {
    Value::from(vec![value.clone()]).try_iter().ok()?.checked().find_map(Result::err)
}

/// Fails when something inside is undefined or could not be evaluated.
pub(super) fn defined(value: &Value, depth: usize) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Invalid => Err(error_of(value).unwrap_or_else(|| super::args::refuse("a value is invalid"))),
        ValueKind::Undefined => Err(Error::new(minijinja::ErrorKind::UndefinedError, "a value inside it is undefined")),
        ValueKind::Map if depth < 60 => {
            for key in value.try_iter()? {
                defined(&value.get_item(&key)?, depth + 1)?;
            }
            Ok(())
        }
        ValueKind::Seq | ValueKind::Iterable if depth < 60 => {
            value.try_iter()?.checked().try_for_each(|item| defined(&item?, depth + 1))
        }
        _ => Ok(()),
    }
}

/// `repr(value)`.
fn repr(value: &Value, depth: usize, failure: &mut Option<Error>) -> String {
    if depth > 40 {
        return "...".into();
    }
    match value.kind() {
        ValueKind::Invalid => {
            *failure = failure.take().or_else(|| error_of(value));
            String::new()
        }
        ValueKind::Undefined => {
            let missing = || Error::new(minijinja::ErrorKind::UndefinedError, "a value inside it is undefined");
            *failure = failure.take().or_else(|| Some(missing()));
            String::new()
        }
        ValueKind::None => "None".into(),
        ValueKind::Bool => if value.is_true() { "True" } else { "False" }.into(),
        ValueKind::Number if !value.is_integer() => {
            f64::try_from(value.clone()).map_or_else(|_| value.to_string(), crate::yaml::python_float)
        }
        ValueKind::String => quoted(value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            let items: Vec<String> =
                value.try_iter().into_iter().flatten().map(|v| repr(&v, depth + 1, failure)).collect();
            match (value.is_tuple(), items.len()) {
                (true, 1) => format!("({},)", items[0]),
                (true, _) => format!("({})", items.join(", ")),
                _ => format!("[{}]", items.join(", ")),
            }
        }
        ValueKind::Map => {
            let mut out = String::from("{");
            for (n, key) in value.try_iter().into_iter().flatten().enumerate() {
                let item = value.get_item(&key).unwrap_or_default();
                let comma = if n > 0 { ", " } else { "" };
                let _ = write!(out, "{comma}{}: {}", repr(&key, depth + 1, failure), repr(&item, depth + 1, failure));
            }
            out.push('}');
            out
        }
        _ => value.to_string(),
    }
}

/// `repr` of a text.
pub(super) fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}
