//! Filters over mappings.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Value};

use super::collections::{pairs, sub};
use super::filter;
use crate::template::args::{Args, items, refuse};
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter(env, names, "combine", "recursive list_merge *", |value, args| combine(&value, &args));
    filter(env, names, "dict2items", "key_name value_name", |value, args| {
        let (key, item) = names_of(&args)?;
        let one = |(k, v)| Value::from_pairs([(Value::from(key.as_str()), k), (Value::from(item.as_str()), v)]);
        Ok(Value::from(pairs(&value)?.into_iter().map(one).collect::<Vec<_>>()))
    });
    filter(env, names, "items2dict", "key_name value_name", |value, args| items2dict(&value, &args));
    filter(env, names, "rekey_on_member", "key duplicates", |value, args| rekey(&value, &args));
    filter(env, names, "subelements", "subelements skip_missing", |value, args| {
        sub(&value, args.need("subelements")?, args.flag("skip_missing")).map(Value::from)
    });
}

fn combine(first: &Value, args: &Args) -> Result<Value, Error> {
    let recursive = args.flag("recursive");
    let lists = args.text("list_merge")?.unwrap_or_else(|| "replace".into());
    const KINDS: [&str; 6] = ["replace", "keep", "append", "prepend", "append_rp", "prepend_rp"];
    if !KINDS.contains(&lists.as_str()) {
        return Err(refuse(format!("`list_merge` is one of {}, not `{lists}`", KINDS.join(", "))));
    }
    // A list of mappings counts as so many arguments.
    let mut parts: Vec<Value> = Vec::new();
    for term in std::iter::once(first).chain(&args.rest) {
        match term.kind() {
            ValueKind::Seq | ValueKind::Iterable => parts.extend(items(term)?.into_iter().filter(|i| !i.is_none())),
            ValueKind::None => {}
            ValueKind::Undefined => python::defined(term, 1)?,
            _ => parts.push(term.clone()),
        }
    }
    if let [one] = parts.as_slice() {
        return Ok(one.clone());
    }
    let mut out: Vec<(Value, Value)> = Vec::new();
    for part in parts {
        merge(&mut out, &part, recursive, &lists, 0)?;
    }
    Ok(Value::from_pairs(out))
}

fn merge(
    into: &mut Vec<(Value, Value)>,
    from: &Value,
    recursive: bool,
    lists: &str,
    depth: usize,
) -> Result<(), Error> {
    if depth > 40 {
        return Err(refuse("mappings nested too deep"));
    }
    for (key, value) in pairs(from)? {
        let Some(slot) = into.iter_mut().find(|(k, _)| *k == key) else {
            into.push((key, value));
            continue;
        };
        let both = |kind: ValueKind| slot.1.kind() == kind && value.kind() == kind;
        if recursive && both(ValueKind::Map) {
            let mut inner = pairs(&slot.1)?;
            merge(&mut inner, &value, recursive, lists, depth + 1)?;
            slot.1 = Value::from_pairs(inner);
        } else if both(ValueKind::Seq) && lists != "replace" {
            let (old, new) = (items(&slot.1)?, items(&value)?);
            let keep_old = || old.iter().filter(|v| !new.contains(v)).cloned().collect::<Vec<_>>();
            slot.1 = Value::from(match lists {
                "keep" => old,
                "append" => [old, new].concat(),
                "prepend" => [new, old].concat(),
                "append_rp" => [keep_old(), new].concat(),
                _ => [new.clone(), keep_old()].concat(),
            });
        } else {
            slot.1 = value;
        }
    }
    Ok(())
}

fn names_of(args: &Args) -> Result<(String, String), Error> {
    Ok((
        args.text("key_name")?.unwrap_or_else(|| "key".into()),
        args.text("value_name")?.unwrap_or_else(|| "value".into()),
    ))
}

fn items2dict(value: &Value, args: &Args) -> Result<Value, Error> {
    let (key_name, value_name) = names_of(args)?;
    if value.kind() != ValueKind::Seq {
        return Err(refuse("`items2dict` takes a list of mappings"));
    }
    let mut out: Vec<(Value, Value)> = Vec::new();
    for item in items(value)? {
        if item.kind() != ValueKind::Map {
            return Err(refuse("`items2dict` takes a list of mappings"));
        }
        let (key, value) = (item.get_attr(&key_name)?, item.get_attr(&value_name)?);
        if key.is_undefined() || value.is_undefined() {
            return Err(refuse(format!("every item of `items2dict` needs `{key_name}` and `{value_name}`")));
        }
        out.push((key, value));
    }
    Ok(Value::from_pairs(out))
}

fn rekey(value: &Value, args: &Args) -> Result<Value, Error> {
    let key = args.need("key")?;
    let duplicates = args.text("duplicates")?.unwrap_or_else(|| "error".into());
    if !["error", "overwrite"].contains(&duplicates.as_str()) {
        return Err(refuse(format!("`duplicates` is error or overwrite, not `{duplicates}`")));
    }
    let records = match value.kind() {
        ValueKind::Map => pairs(value)?.into_iter().map(|(_, v)| v).collect(),
        ValueKind::Seq | ValueKind::Iterable => items(value)?,
        _ => return Err(refuse("`rekey_on_member` takes a list or a mapping of mappings")),
    };
    let mut out: Vec<(Value, Value)> = Vec::new();
    for record in records {
        if record.kind() != ValueKind::Map {
            return Err(refuse("an item of `rekey_on_member` is no mapping"));
        }
        let found = record.get_item(key)?;
        if found.is_undefined() {
            return Err(refuse(format!("an item of `rekey_on_member` has no `{}`", python::text(key))));
        }
        match out.iter_mut().find(|(k, _)| *k == found) {
            Some(slot) if duplicates == "overwrite" => slot.1 = record,
            Some(_) => return Err(refuse(format!("`{}` stands twice", python::text(&found)))),
            None => out.push((found, record)),
        }
    }
    Ok(Value::from_pairs(out))
}
