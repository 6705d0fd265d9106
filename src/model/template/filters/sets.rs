//! Lists as sets. Python's sets have no order; here the order of the first appearance is kept.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Value};

use super::collections::{attribute, list};
use super::filter;
use crate::template::args::{Args, refuse};

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter(env, names, "unique", "case_sensitive attribute", |value, args| unique(&value, &args));
    filter(env, names, "union", "b", |value, args| {
        let b = list(args.need("b")?)?;
        Ok(once(list(&value)?.into_iter().chain(b)))
    });
    filter(env, names, "intersect", "b", |value, args| {
        let b = list(args.need("b")?)?;
        Ok(once(list(&value)?.into_iter().filter(|v| b.contains(v))))
    });
    filter(env, names, "difference", "b", |value, args| {
        let b = list(args.need("b")?)?;
        Ok(once(list(&value)?.into_iter().filter(|v| !b.contains(v))))
    });
    filter(env, names, "symmetric_difference", "b", |value, args| {
        let (a, b) = (list(&value)?, list(args.need("b")?)?);
        let only_b: Vec<Value> = b.iter().filter(|v| !a.contains(v)).cloned().collect();
        Ok(once(a.into_iter().filter(|v| !b.contains(v)).chain(only_b)))
    });
}

fn once(values: impl Iterator<Item = Value>) -> Value {
    let mut out: Vec<Value> = Vec::new();
    for value in values {
        if !out.contains(&value) {
            out.push(value);
        }
    }
    Value::from(out)
}

/// Jinja's, which takes no heed of case unless told; lists and mappings it cannot compare so, and Ansible
/// then compares them whole.
fn unique(value: &Value, args: &Args) -> Result<Value, Error> {
    let path = args.text("attribute")?;
    let values = list(value)?;
    let mut keys = Vec::new();
    for item in &values {
        keys.push(match &path {
            Some(path) => attribute(item, path)?,
            None => item.clone(),
        });
    }
    let hashable = !keys.iter().any(|k| matches!(k.kind(), ValueKind::Map | ValueKind::Seq) && !k.is_tuple());
    let told = args.given("case_sensitive");
    if !hashable && (path.is_some() || told.is_some_and(|t| !t.is_true() && !t.is_none())) {
        return Err(refuse("lists and mappings cannot be compared by `attribute` or without regard to case"));
    }
    let fold = hashable && !told.is_some_and(Value::is_true);
    let (mut seen, mut out): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
    for (key, item) in keys.into_iter().zip(values) {
        let key = match key.as_str() {
            Some(text) if fold => Value::from(text.to_lowercase()),
            _ => key,
        };
        if !seen.contains(&key) {
            seen.push(key);
            out.push(item);
        }
    }
    Ok(Value::from(out))
}
