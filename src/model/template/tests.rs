//! Ansible's tests: `is match`, `is version`, …

mod version;

use std::sync::Arc;

use minijinja::value::{Kwargs, Rest, ValueKind};
use minijinja::{Environment, Error, State, Value};

use super::args::{Args, items, refuse};
use super::filters::{compile, network_tests};
use super::python;
use super::world::World;

/// Adds them; `names` receives what they are called.
pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>, world: &Arc<dyn World>) {
    const REGEX: &str = "pattern ignorecase multiline match_type";
    test(env, names, "match", REGEX, |value, args| regex(&value, &args, "match"));
    test(env, names, "search", REGEX, |value, args| regex(&value, &args, "search"));
    test(env, names, "regex", REGEX, |value, args| {
        let kind = args.text("match_type")?.unwrap_or_else(|| "search".into());
        regex(&value, &args, &kind)
    });
    for name in ["version", "version_compare"] {
        test(env, names, name, "version operator strict version_type", |value, args| version::test(&value, &args));
    }
    test(env, names, "truthy", "convert_bool", |value, args| Ok(truthy(&value, &args)));
    test(env, names, "falsy", "convert_bool", |value, args| Ok(!truthy(&value, &args)));
    test(env, names, "contains", "item", |value, args| contains(&value, args.need("item")?));
    for name in ["subset", "issubset"] {
        test(env, names, name, "b", |value, args| subset(&value, args.need("b")?));
    }
    for name in ["superset", "issuperset"] {
        test(env, names, name, "b", |value, args| subset(args.need("b")?, &value));
    }
    test(env, names, "any", "", |value, _| Ok(items(&value)?.iter().any(Value::is_true)));
    test(env, names, "all", "", |value, _| Ok(items(&value)?.iter().all(Value::is_true)));
    test(env, names, "nan", "", |value, _| Ok(f64::try_from(value).is_ok_and(f64::is_nan)));
    for name in ["abs", "is_abs"] {
        test(env, names, name, "", |value, _| match value.as_str() {
            Some(path) => Ok(path.starts_with('/')),
            None => Err(refuse("a path must be a text")),
        });
    }
    test(env, names, "vault_encrypted", "", |value, _| {
        // A `!vault` value is open by the time it is tested.
        Ok(value.as_str().is_some_and(|t| t.starts_with("$ANSIBLE_VAULT;")))
    });
    for (name, kind) in [("uri", Kind::Uri), ("url", Kind::Url), ("urn", Kind::Urn)] {
        test(env, names, name, "schemes", move |value, args| uri(&python::text(&value), &args, kind));
    }
    test(env, names, "callable", "", |value, _| Ok(value.as_object().is_some() && value.kind() == ValueKind::Plain));
    test(env, names, "sequence", "", |value, _| {
        Ok(matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::String | ValueKind::Map))
    });
    test(env, names, "iterable", "", |value, _| {
        Ok(matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable | ValueKind::String | ValueKind::Map))
    });
    test(env, names, "none", "", |value, _| Ok(value.is_none()));
    test(env, names, "string", "", |value, _| Ok(value.kind() == ValueKind::String));
    test(env, names, "mapping", "", |value, _| Ok(value.kind() == ValueKind::Map));
    test(env, names, "boolean", "", |value, _| Ok(value.kind() == ValueKind::Bool));
    test(env, names, "number", "", |value, _| Ok(matches!(value.kind(), ValueKind::Number | ValueKind::Bool)));
    let around = Arc::clone(world);
    test(env, names, "exists", "", move |value, _| {
        let found = around.candidates(&python::checked_text(&value)?, None);
        Ok(found.first().is_some_and(|p| around.exists(p)))
    });
    results(env, names);
    network_tests::add(env, names);
}

/// Registers a test under its name and under `ansible.builtin.`'s.
fn test<F>(env: &mut Environment<'static>, names: &mut Vec<String>, name: &'static str, params: &'static str, f: F)
where
    F: Fn(Value, Args) -> Result<bool, Error> + Send + Sync + 'static,
{
    let f = Arc::new(f);
    for prefix in ["", "ansible.builtin."] {
        let f = Arc::clone(&f);
        env.add_test(
            format!("{prefix}{name}"),
            move |state: &mut State, value: Value, rest: Rest<Value>, named: Kwargs| {
                if value.is_undefined() {
                    state.format(value.clone())?;
                }
                f(value, Args::bind(name, params, rest, &named)?)
            },
        );
    }
    names.push(name.to_owned());
}

/// Tests of a task's result: a mapping.
fn results(env: &mut Environment<'static>, names: &mut Vec<String>) {
    let flag = |value: &Value, key: &str, name: &str| {
        if value.kind() != ValueKind::Map {
            return Err(refuse(format!("the test `{name}` is for the result of a task, a mapping")));
        }
        Ok(value.get_attr(key)?.is_true())
    };
    for (name, key, wanted) in [
        ("failed", "failed", true),
        ("failure", "failed", true),
        ("succeeded", "failed", false),
        ("success", "failed", false),
        ("successful", "failed", false),
        ("unreachable", "unreachable", true),
        ("reachable", "unreachable", false),
        ("skipped", "skipped", true),
        ("skip", "skipped", true),
        ("timedout", "timedout", true),
    ] {
        test(env, names, name, "", move |value, _| Ok(flag(&value, key, name)? == wanted));
    }
    for name in ["changed", "change"] {
        test(env, names, name, "", move |value, _| {
            if flag(&value, "changed", name)? {
                return Ok(true);
            }
            let inner = value.get_attr("results")?;
            let has_own = !value.get_attr("changed")?.is_undefined();
            Ok(!has_own
                && inner.kind() == ValueKind::Seq
                && items(&inner)?.iter().any(|r| r.get_attr("changed").is_ok_and(|c| c.is_true())))
        });
    }
    for name in ["started", "finished"] {
        test(env, names, name, "", move |value, _| {
            let there = value.kind() == ValueKind::Map && !value.get_attr(name)?.is_undefined();
            flag(&value, name, name).map(|on| on || !there)
        });
    }
}

fn regex(value: &Value, args: &Args, kind: &str) -> Result<bool, Error> {
    let pattern = args.text("pattern")?.unwrap_or_default();
    let pattern = match kind {
        "match" => format!("\\A(?:{pattern})"),
        "fullmatch" => format!("\\A(?:{pattern})\\Z"),
        "search" => pattern,
        other => return Err(refuse(format!("`match_type` is search, match or fullmatch, not `{other}`"))),
    };
    compile(&pattern, args.flag("ignorecase"), args.flag("multiline"))?.is_match(&python::checked_text(value)?)
}

fn truthy(value: &Value, args: &Args) -> bool {
    if args.flag("convert_bool")
        && let Some(text) = value.as_str()
    {
        match text.trim().to_lowercase().as_str() {
            "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => return true,
            "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => return false,
            _ => {}
        }
    }
    value.is_true()
}

fn contains(list: &Value, item: &Value) -> Result<bool, Error> {
    match (list.kind(), list.as_str()) {
        (_, Some(text)) => {
            Ok(item.as_str().ok_or_else(|| refuse("a text contains texts only")).map(|i| text.contains(i))?)
        }
        (ValueKind::Map | ValueKind::Seq | ValueKind::Iterable, _) => Ok(items(list)?.contains(item)),
        _ => Err(refuse("`contains` is for lists, mappings and texts")),
    }
}

fn subset(a: &Value, b: &Value) -> Result<bool, Error> {
    let b = super::filters::collections::list(b)?;
    Ok(super::filters::collections::list(a)?.iter().all(|v| b.contains(v)))
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Uri,
    Url,
    Urn,
}

fn uri(text: &str, args: &Args, kind: Kind) -> Result<bool, Error> {
    let schemes: Option<Vec<String>> = match args.get("schemes") {
        Some(list) => Some(items(list)?.iter().map(python::text).collect()),
        None => None,
    };
    let Some((scheme, rest)) = text.split_once(':') else { return Ok(false) };
    let sound = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let wanted = schemes.is_none_or(|s| s.contains(&scheme.to_lowercase()));
    let (netloc, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    Ok(sound
        && wanted
        && match kind {
            Kind::Uri => !netloc.is_empty() || !path.is_empty(),
            Kind::Url => !netloc.is_empty(),
            Kind::Urn => scheme == "urn" && netloc.is_empty() && !path.is_empty(),
        })
}
