//! Filters over lists and mappings.

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, Value};

use super::{filter, refuse};
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter!(env, names, "combine", combine);
    filter!(env, names, "dict2items", dict2items);
    filter!(env, names, "items2dict", items2dict);
    filter!(env, names, "union", |a: Value, b: Value| Ok::<_, Error>(unique(list(&a)?.into_iter().chain(list(&b)?))));
    filter!(env, names, "intersect", |a: Value, b: Value| {
        let b = list(&b)?;
        Ok::<_, Error>(unique(list(&a)?.into_iter().filter(|v| b.contains(v))))
    });
    filter!(env, names, "difference", |a: Value, b: Value| {
        let b = list(&b)?;
        Ok::<_, Error>(unique(list(&a)?.into_iter().filter(|v| !b.contains(v))))
    });
    filter!(env, names, "symmetric_difference", |a: Value, b: Value| {
        let (a, b) = (list(&a)?, list(&b)?);
        let only_b: Vec<Value> = b.iter().filter(|v| !a.contains(v)).cloned().collect();
        Ok::<_, Error>(unique(a.into_iter().filter(|v| !b.contains(v)).chain(only_b)))
    });
    filter!(env, names, "flatten", flatten);
    filter!(env, names, "zip", zip);
    filter!(env, names, "product", product);
    filter!(env, names, "extract", |key: Value, from: Value| from.get_item(&key));
    filter!(env, names, "subelements", subelements);
    filter!(env, names, "join", join);
    filter!(env, names, "split", split);
    filter!(env, names, "min", |values: Value| extreme(&values, std::cmp::Ordering::Less));
    filter!(env, names, "max", |values: Value| extreme(&values, std::cmp::Ordering::Greater));
}

fn list(value: &Value) -> Result<Vec<Value>, Error> {
    value.try_iter()?.checked().collect()
}

fn unique(values: impl Iterator<Item = Value>) -> Vec<Value> {
    let mut out: Vec<Value> = Vec::new();
    for value in values {
        if !out.contains(&value) {
            out.push(value);
        }
    }
    out
}

fn pairs(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if value.kind() != ValueKind::Map {
        return Err(refuse("a mapping is needed here"));
    }
    value.try_iter()?.map(|key| Ok((key.clone(), value.get_item(&key)?))).collect()
}

fn combine(first: Value, others: Rest<Value>, options: Kwargs) -> Result<Value, Error> {
    let recursive = options.get::<Option<bool>>("recursive")?.unwrap_or(false);
    let lists = options.get::<Option<String>>("list_merge")?.unwrap_or_else(|| "replace".into());
    options.assert_all_used()?;
    let mut out = pairs(&first)?;
    for other in others.iter() {
        // A list of mappings counts as so many arguments.
        let parts = if other.kind() == ValueKind::Map { vec![other.clone()] } else { list(other)? };
        for part in parts {
            merge(&mut out, &part, recursive, &lists, 0)?;
        }
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
            let (old, new) = (list(&slot.1)?, list(&value)?);
            let keep_old = || old.iter().filter(|v| !new.contains(v)).cloned().collect::<Vec<_>>();
            slot.1 = Value::from(match lists {
                "keep" => old,
                "append" => [old, new].concat(),
                "prepend" => [new, old].concat(),
                "append_rp" => [keep_old(), new].concat(),
                "prepend_rp" => [new.clone(), keep_old()].concat(),
                other => return Err(refuse(format!("`list_merge` cannot be `{other}`"))),
            });
        } else {
            slot.1 = value;
        }
    }
    Ok(())
}

fn names_of(options: &Kwargs) -> Result<(String, String), Error> {
    let key = options.get::<Option<String>>("key_name")?.unwrap_or_else(|| "key".into());
    let value = options.get::<Option<String>>("value_name")?.unwrap_or_else(|| "value".into());
    Ok((key, value))
}

fn dict2items(value: Value, options: Kwargs) -> Result<Vec<Value>, Error> {
    let (key_name, value_name) = names_of(&options)?;
    options.assert_all_used()?;
    Ok(pairs(&value)?
        .into_iter()
        .map(|(k, v)| Value::from_pairs([(Value::from(key_name.as_str()), k), (Value::from(value_name.as_str()), v)]))
        .collect())
}

fn items2dict(value: Value, options: Kwargs) -> Result<Value, Error> {
    let (key_name, value_name) = names_of(&options)?;
    options.assert_all_used()?;
    let mut out = Vec::new();
    for item in list(&value)? {
        out.push((item.get_attr(&key_name)?, item.get_attr(&value_name)?));
    }
    Ok(Value::from_pairs(out))
}

fn flatten(value: Value, levels: Option<i64>, options: Kwargs) -> Result<Vec<Value>, Error> {
    let levels = options.get::<Option<i64>>("levels")?.or(levels);
    let skip_nulls = options.get::<Option<bool>>("skip_nulls")?.unwrap_or(true);
    options.assert_all_used()?;
    let mut out = Vec::new();
    flat(&value, levels.unwrap_or(40), skip_nulls, &mut out)?;
    Ok(out)
}

fn flat(value: &Value, levels: i64, skip_nulls: bool, out: &mut Vec<Value>) -> Result<(), Error> {
    for item in value.try_iter()?.checked() {
        let item = item?;
        let null = item.is_none() || item.as_str().is_some_and(|t| t == "None" || t == "null");
        if null && skip_nulls {
            continue;
        }
        if item.kind() == ValueKind::Seq && levels > 0 {
            flat(&item, levels - 1, skip_nulls, out)?;
        } else {
            out.push(item);
        }
    }
    Ok(())
}

fn zip(first: Value, others: Rest<Value>) -> Result<Vec<Value>, Error> {
    let mut lists = vec![list(&first)?];
    for other in others.iter() {
        lists.push(list(other)?);
    }
    let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
    Ok((0..shortest).map(|i| Value::from(lists.iter().filter_map(|l| l.get(i).cloned()).collect::<Vec<_>>())).collect())
}

fn product(first: Value, others: Rest<Value>) -> Result<Vec<Value>, Error> {
    let mut rows: Vec<Vec<Value>> = list(&first)?.into_iter().map(|v| vec![v]).collect();
    for other in others.iter() {
        let other = list(other)?;
        if rows.len().saturating_mul(other.len()) > 100_000 {
            return Err(refuse("the product is too large"));
        }
        rows = rows.iter().flat_map(|row| other.iter().map(move |v| [row.clone(), vec![v.clone()]].concat())).collect();
    }
    Ok(rows.into_iter().map(Value::from).collect())
}

fn subelements(value: Value, path: String) -> Result<Vec<Value>, Error> {
    let mut out = Vec::new();
    for item in value.try_iter()?.checked() {
        let item = item?;
        let mut inner = item.clone();
        for part in path.split('.') {
            inner = inner.get_attr(part)?;
        }
        for sub in list(&inner)? {
            out.push(Value::from(vec![item.clone(), sub]));
        }
    }
    Ok(out)
}

fn join(value: Value, separator: Option<String>, attribute: Option<String>, options: Kwargs) -> Result<String, Error> {
    let attribute = options.get::<Option<String>>("attribute")?.or(attribute);
    let separator = options.get::<Option<String>>("d")?.or(separator).unwrap_or_default();
    options.assert_all_used()?;
    if let Some(text) = value.as_str() {
        return Ok(text.chars().map(String::from).collect::<Vec<_>>().join(&separator));
    }
    let mut out = Vec::new();
    for item in value.try_iter()?.checked() {
        let item = item?;
        let item = match &attribute {
            Some(name) => item.get_attr(name)?,
            None => item,
        };
        if item.is_undefined() {
            return Err(refuse("an item to be joined is undefined"));
        }
        out.push(python::text(&item));
    }
    Ok(out.join(&separator))
}

/// As Python's: without a separator, runs of white space separate.
fn split(text: String, separator: Option<String>, most: Option<i64>) -> Result<Vec<String>, Error> {
    let most = most.and_then(|m| usize::try_from(m).ok());
    match (separator.as_deref(), most) {
        (Some(""), _) => Err(refuse("the separator of `split` is empty")),
        (None, None) => Ok(text.split_whitespace().map(str::to_owned).collect()),
        (None, Some(most)) => {
            let mut out: Vec<String> = Vec::new();
            let mut rest = text.trim_start();
            while !rest.is_empty() {
                match rest.find(char::is_whitespace).filter(|_| out.len() < most) {
                    Some(at) => {
                        out.push(rest[..at].to_owned());
                        rest = rest[at..].trim_start();
                    }
                    None => {
                        out.push(rest.trim_end().to_owned());
                        rest = "";
                    }
                }
            }
            Ok(out)
        }
        (Some(separator), None) => Ok(text.split(separator).map(str::to_owned).collect()),
        (Some(separator), Some(most)) => {
            Ok(text.splitn(most.saturating_add(1), separator).map(str::to_owned).collect())
        }
    }
}

fn extreme(values: &Value, wanted: std::cmp::Ordering) -> Result<Value, Error> {
    let mut best: Option<Value> = None;
    for value in list(values)? {
        if best.as_ref().is_none_or(|b| value.cmp(b) == wanted) {
            best = Some(value);
        }
    }
    best.ok_or_else(|| refuse("the list is empty"))
}
