//! `select` and its kin, as strict as Ansible, and the text filters that let undefined values through.

use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, State, Value};

use super::collections::{attribute, list};
use super::filter;
use crate::template::args::refuse;
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    let text = |value: &Value| python::checked_text(value);
    filter(env, names, "upper", "", move |value, _| Ok(Value::from(text(&value)?.to_uppercase())));
    filter(env, names, "lower", "", move |value, _| Ok(Value::from(text(&value)?.to_lowercase())));
    filter(env, names, "list", "", |value, _| list(&value).map(Value::from));
    for (name, by_attribute, wanted) in
        [("select", false, true), ("reject", false, false), ("selectattr", true, true), ("rejectattr", true, false)]
    {
        for prefix in ["", "ansible.builtin."] {
            env.add_filter(format!("{prefix}{name}"), move |state: &mut State, value: Value, args: Rest<Value>| {
                chosen(state, value, args.0, name, by_attribute, wanted)
            });
        }
        names.push(name.to_owned());
    }
}

/// The items for which a test says `wanted`; without a test, those that are true.
fn chosen(
    state: &mut State,
    value: Value,
    mut args: Vec<Value>,
    name: &str,
    by_attribute: bool,
    wanted: bool,
) -> Result<Value, Error> {
    if value.is_undefined() {
        return Ok(value);
    }
    let path = if by_attribute {
        if args.is_empty() {
            return Err(refuse(format!("`{name}` needs the name of an attribute")));
        }
        Some(python::text(&args.remove(0)))
    } else {
        None
    };
    let test = if args.is_empty() { None } else { Some(python::text(&args.remove(0))) };
    let may_miss = test.as_deref().is_some_and(|t| t.ends_with("defined"));
    let mut out = Vec::new();
    for item in list(&value)? {
        let tested = match &path {
            Some(path) => attribute(&item, path)?,
            None => item.clone(),
        };
        if tested.is_undefined() && !may_miss {
            let what = path.as_deref().map_or("an item is undefined".to_owned(), |p| format!("an item has no `{p}`"));
            return Err(Error::new(ErrorKind::UndefinedError, format!("{name}: {what}")));
        }
        let holds = match &test {
            None => tested.is_true(),
            Some(test) => {
                let all: Vec<Value> = std::iter::once(tested).chain(args.iter().cloned()).collect();
                state.perform_test(test, &all)?
            }
        };
        if holds == wanted {
            out.push(item);
        }
    }
    Ok(Value::from(out))
}
