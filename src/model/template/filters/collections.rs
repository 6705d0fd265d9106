//! Filters over lists, and what others need of lists and mappings.

use minijinja::value::{Enumerator, Object, ObjectRepr, ValueKind};
use minijinja::{Environment, Error, Value};

use super::{filter, tolerant};
use crate::template::args::{Args, items, refuse};
use crate::template::methods::{split, tuple};
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter(env, names, "flatten", "levels skip_nulls", |value, args| {
        let levels = args.int("levels")?;
        let skip = args.given("skip_nulls").is_none_or(Value::is_true);
        let mut out = Vec::new();
        flat(&value, levels.unwrap_or(40), skip, &mut out)?;
        Ok(Value::from(out))
    });
    filter(env, names, "zip", "strict *", |value, args| {
        let lists = lists(&value, &args)?;
        let shortest = lists.iter().map(Vec::len).min().unwrap_or(0);
        if args.flag("strict") && lists.iter().any(|l| l.len() != shortest) {
            return Err(refuse("the lists have different lengths, and `strict` was asked for"));
        }
        Ok(rows(&lists, shortest, &Value::from(())))
    });
    filter(env, names, "zip_longest", "fillvalue *", |value, args| {
        let lists = lists(&value, &args)?;
        let longest = lists.iter().map(Vec::len).max().unwrap_or(0);
        Ok(rows(&lists, longest, &args.given("fillvalue").cloned().unwrap_or(Value::from(()))))
    });
    filter(env, names, "product", "repeat *", |value, args| product(&value, &args));
    filter(env, names, "join", "d attribute", |value, args| join(&value, &args));
    filter(env, names, "split", "sep maxsplit", |value, args| {
        let text = value.as_str().ok_or_else(|| refuse("`split` takes a text"))?;
        split(text, args.text("sep")?.as_deref(), args.int("maxsplit")?).map(Value::from)
    });
    filter(env, names, "min", "case_sensitive attribute", |value, args| {
        extreme(&value, &args, std::cmp::Ordering::Less)
    });
    filter(env, names, "max", "case_sensitive attribute", |value, args| {
        extreme(&value, &args, std::cmp::Ordering::Greater)
    });
    filter(env, names, "sort", "reverse case_sensitive attribute", |value, args| sort(&value, &args));
    filter(env, names, "dictsort", "case_sensitive by reverse", |value, args| dictsort(&value, &args));
    filter(env, names, "json_query", "expr", |_, _| {
        Err(refuse("`json_query` does not exist here; `selectattr`, `map(attribute=…)` and `dict2items` find the same"))
    });
    filter(env, names, "groupby", "attribute default case_sensitive", |value, args| groupby(&value, &args));
    tolerant(env, names, "extract", "container morekeys", |_, value, args| {
        let mut keys = vec![value];
        match args.get("morekeys") {
            Some(more) if more.kind() == ValueKind::Seq => keys.extend(items(more)?),
            Some(more) => keys.push(more.clone()),
            None => {}
        }
        let mut at = args.given("container").cloned().unwrap_or_default();
        for key in keys {
            if at.is_undefined() || key.is_undefined() {
                return Ok(Value::UNDEFINED);
            }
            at = at.get_item(&key)?;
        }
        Ok(at)
    });
}

/// Items of a list; a mapping gives its keys, a text its characters.
pub(crate) fn list(value: &Value) -> Result<Vec<Value>, Error> {
    match value.as_str() {
        Some(text) => Ok(text.chars().map(|c| Value::from(c.to_string())).collect()),
        None => items(value),
    }
}

/// Keys and values of a mapping.
pub(crate) fn pairs(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    if value.kind() != ValueKind::Map {
        return Err(refuse(format!("a mapping is needed here, not {}", super::type_name(value))));
    }
    value.try_iter()?.map(|key| Ok((key.clone(), value.get_item(&key)?))).collect()
}

/// A small mapping.
pub(crate) fn record<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Value::from_pairs(pairs.into_iter().map(|(name, value)| (Value::from(name), value)))
}

fn flat(value: &Value, levels: i64, skip_nulls: bool, out: &mut Vec<Value>) -> Result<(), Error> {
    for item in list(value)? {
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

fn lists(first: &Value, args: &Args) -> Result<Vec<Vec<Value>>, Error> {
    let mut lists = vec![list(first)?];
    for other in &args.rest {
        lists.push(list(other)?);
    }
    Ok(lists)
}

fn rows(lists: &[Vec<Value>], count: usize, fill: &Value) -> Value {
    let row = |n: usize| tuple(lists.iter().map(|l| l.get(n).unwrap_or(fill).clone()).collect());
    Value::from((0..count).map(row).collect::<Vec<_>>())
}

fn product(first: &Value, args: &Args) -> Result<Value, Error> {
    let mut all = lists(first, args)?;
    let once = all.clone();
    for _ in 1..args.count("repeat", 20)?.unwrap_or(1) {
        all.extend(once.iter().cloned());
    }
    let mut rows: Vec<Vec<Value>> = vec![Vec::new()];
    for list in &all {
        if rows.len().saturating_mul(list.len()) > 100_000 {
            return Err(refuse("the product is too large"));
        }
        rows = rows.iter().flat_map(|row| list.iter().map(move |v| [row.clone(), vec![v.clone()]].concat())).collect();
    }
    Ok(Value::from(rows.into_iter().map(tuple).collect::<Vec<_>>()))
}

/// `a.b.0` of a value.
pub(super) fn attribute(value: &Value, path: &str) -> Result<Value, Error> {
    let mut at = value.clone();
    for part in path.split('.') {
        at = match part.parse::<usize>() {
            Ok(number) if at.kind() == ValueKind::Seq => at.get_item(&Value::from(number))?,
            _ => at.get_attr(part)?,
        };
    }
    Ok(at)
}

fn join(value: &Value, args: &Args) -> Result<Value, Error> {
    let separator = args.text("d")?.unwrap_or_default();
    let path = args.text("attribute")?;
    let mut out = Vec::new();
    for item in list(value)? {
        let item = match &path {
            Some(path) => attribute(&item, path)?,
            None => item,
        };
        if item.is_undefined() {
            return Err(refuse("an item to be joined is undefined"));
        }
        out.push(python::checked_text(&item)?);
    }
    Ok(Value::from(out.join(&separator)))
}

/// For comparing without regard to case.
fn folded(value: &Value, case_sensitive: bool) -> Value {
    match value.as_str() {
        Some(text) if !case_sensitive => Value::from(text.to_lowercase()),
        _ => value.clone(),
    }
}

/// Python compares only what is of one kind.
fn comparable(values: &[Value]) -> Result<(), Error> {
    let kind = |v: &Value| match v.kind() {
        ValueKind::Bool => ValueKind::Number,
        kind => kind,
    };
    let mut kinds = values.iter().map(kind);
    let first = kinds.next();
    match kinds.find(|k| Some(*k) != first) {
        Some(other) if values.len() > 1 => {
            Err(refuse(format!("a {} and a {other} cannot be compared", first.unwrap_or(ValueKind::None))))
        }
        _ => Ok(()),
    }
}

fn extreme(values: &Value, args: &Args, wanted: std::cmp::Ordering) -> Result<Value, Error> {
    let path = args.text("attribute")?;
    let mut keys = Vec::new();
    let values = list(values)?;
    for value in &values {
        let key = match &path {
            Some(path) => attribute(value, path)?,
            None => value.clone(),
        };
        keys.push(folded(&key, args.flag("case_sensitive")));
    }
    comparable(&keys)?;
    let mut best: Option<usize> = None;
    for (n, key) in keys.iter().enumerate() {
        if best.is_none_or(|b| key.cmp(&keys[b]) == wanted) {
            best = Some(n);
        }
    }
    best.map(|n| values[n].clone()).ok_or_else(|| refuse("the list is empty"))
}

fn sort(value: &Value, args: &Args) -> Result<Value, Error> {
    let paths = args.text("attribute")?;
    let mut keyed = Vec::new();
    for item in list(value)? {
        let mut keys = Vec::new();
        match &paths {
            None => keys.push(folded(&item, args.flag("case_sensitive"))),
            Some(paths) => {
                for path in paths.split(',') {
                    let key = attribute(&item, path.trim())?;
                    python::defined(&key, 0)?;
                    keys.push(folded(&key, args.flag("case_sensitive")));
                }
            }
        }
        keyed.push((keys, item));
    }
    for n in 0..keyed.first().map_or(0, |(keys, _)| keys.len()) {
        comparable(&keyed.iter().map(|(keys, _)| keys[n].clone()).collect::<Vec<_>>())?;
    }
    keyed.sort_by(|a, b| if args.flag("reverse") { b.0.cmp(&a.0) } else { a.0.cmp(&b.0) });
    Ok(Value::from(keyed.into_iter().map(|(_, item)| item).collect::<Vec<_>>()))
}

fn dictsort(value: &Value, args: &Args) -> Result<Value, Error> {
    let by_value = match args.text("by")?.as_deref() {
        None | Some("key") => false,
        Some("value") => true,
        Some(other) => return Err(refuse(format!("`by` of `dictsort` is key or value, not `{other}`"))),
    };
    let key = |pair: &(Value, Value)| folded(if by_value { &pair.1 } else { &pair.0 }, args.flag("case_sensitive"));
    let mut pairs = pairs(value)?;
    comparable(&pairs.iter().map(key).collect::<Vec<_>>())?;
    pairs.sort_by(|a, b| if args.flag("reverse") { key(b).cmp(&key(a)) } else { key(a).cmp(&key(b)) });
    Ok(Value::from(pairs.into_iter().map(|(k, v)| tuple(vec![k, v])).collect::<Vec<_>>()))
}

/// A group of `groupby`: a pair whose parts also have names.
#[derive(Debug)]
struct Group(Value, Value);

impl Object for Group {
    fn repr(self: &std::sync::Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &std::sync::Arc<Self>, key: &Value) -> Option<Value> {
        match (key.as_str(), key.as_usize()) {
            (Some("grouper"), _) | (_, Some(0)) => Some(self.0.clone()),
            (Some("list"), _) | (_, Some(1)) => Some(self.1.clone()),
            _ => None,
        }
    }

    fn enumerate(self: &std::sync::Arc<Self>) -> Enumerator {
        Enumerator::Seq(2)
    }
}

fn groupby(value: &Value, args: &Args) -> Result<Value, Error> {
    let path = match args.need("attribute")? {
        name if name.as_str().is_some() || name.is_integer() => python::text(name),
        _ => return Err(refuse("`attribute` of `groupby` is a name")),
    };
    let sensitive = args.flag("case_sensitive");
    let mut keyed: Vec<(Value, Value, Value)> = Vec::new();
    for item in list(value)? {
        let mut key = attribute(&item, &path)?;
        if key.is_undefined() {
            key = args.given("default").cloned().ok_or_else(|| {
                Error::new(minijinja::ErrorKind::UndefinedError, format!("an item of `groupby` has no `{path}`"))
            })?;
        }
        keyed.push((folded(&key, sensitive), key, item));
    }
    comparable(&keyed.iter().map(|(f, ..)| f.clone()).collect::<Vec<_>>())?;
    keyed.sort_by(|a, b| a.0.cmp(&b.0));
    let mut groups: Vec<(Value, Value, Vec<Value>)> = Vec::new();
    for (folded, key, item) in keyed {
        match groups.last_mut().filter(|g| g.0 == folded) {
            Some(group) => group.2.push(item),
            None => groups.push((folded, key, vec![item])),
        }
    }
    Ok(Value::from(
        groups
            .into_iter()
            .map(|(_, key, items)| Value::from_object(Group(key, Value::from(items))))
            .collect::<Vec<_>>(),
    ))
}

/// Every item with every item of a list inside it.
pub(crate) fn sub(value: &Value, path: &Value, skip_missing: bool) -> Result<Vec<Value>, Error> {
    let records: Vec<Value> = match value.kind() {
        ValueKind::Map => pairs(value)?.into_iter().map(|(_, v)| v).collect(),
        ValueKind::Seq => items(value)?,
        _ => return Err(refuse("`subelements` takes a list of mappings or a mapping of them")),
    };
    let keys: Vec<Value> = match path.as_str() {
        Some(text) => text.split('.').map(Value::from).collect(),
        None if path.kind() == ValueKind::Seq => items(path)?,
        None => return Err(refuse("the second argument of `subelements` is a name or a list of names")),
    };
    let mut out = Vec::new();
    for record in records {
        let mut inner = record.clone();
        for key in &keys {
            let name = python::text(key);
            if inner.kind() != ValueKind::Map {
                return Err(refuse(format!("`{name}` should be in a mapping, and is in {}", super::type_name(&inner))));
            }
            inner = inner.get_item(key)?;
            if inner.is_undefined() {
                if skip_missing {
                    break;
                }
                return Err(refuse(format!("an item has no `{name}`")));
            }
        }
        if inner.is_undefined() {
            continue;
        }
        if inner.kind() != ValueKind::Seq {
            return Err(refuse(format!("`{}` should be a list", python::text(path))));
        }
        out.extend(items(&inner)?.into_iter().map(|item| tuple(vec![record.clone(), item])));
    }
    Ok(out)
}
