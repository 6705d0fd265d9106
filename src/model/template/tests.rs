//! Ansible's tests: `is match`, `is version`, …

use std::cmp::Ordering;

use minijinja::value::Kwargs;
use minijinja::{Environment, Error, Value};

use super::filters::{refuse, truth};
use super::python;

/// Adds them; `names` receives what they are called.
pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    macro_rules! test {
        ($name:literal, $function:expr) => {
            env.add_test($name, $function);
            env.add_test(concat!("ansible.builtin.", $name), $function);
            names.push($name.to_owned());
        };
    }
    test!("match", |value: Value, pattern: String, options: Kwargs| regex(
        &value,
        &format!("^(?:{pattern})"),
        &options
    ));
    test!("search", |value: Value, pattern: String, options: Kwargs| regex(&value, &pattern, &options));
    test!("regex", |value: Value, pattern: String, options: Kwargs| regex(&value, &pattern, &options));
    test!("version", version);
    test!("version_compare", version);
    test!("truthy", |value: Value| value.is_true());
    test!("falsy", |value: Value| !value.is_true());
    test!("contains", |list: Value, item: Value| list.try_iter().is_ok_and(|mut i| i.any(|v| v == item)));
    test!("subset", |a: Value, b: Value| subset(&a, &b));
    test!("superset", |a: Value, b: Value| subset(&b, &a));
    test!("any", |list: Value| list.try_iter().is_ok_and(|mut i| i.any(|v| v.is_true())));
    test!("all", |list: Value| list.try_iter().is_ok_and(|mut i| i.all(|v| v.is_true())));
    test!("abs", |path: String| path.starts_with('/'));
    test!("ansible_bool", |value: Value| truth(&value));
}

fn regex(value: &Value, pattern: &str, options: &Kwargs) -> Result<bool, Error> {
    let flag = |name| options.get::<Option<bool>>(name).map(|f| f.unwrap_or(false));
    let regex = super::filters::compile(pattern, flag("ignorecase")?, flag("multiline")?)?;
    Ok(regex.is_match(&python::text(value)))
}

fn subset(a: &Value, b: &Value) -> bool {
    let Ok(items) = b.try_iter() else { return false };
    let b: Vec<Value> = items.collect();
    a.try_iter().is_ok_and(|mut i| i.all(|v| b.contains(&v)))
}

fn version(value: Value, other: Value, operator: Option<String>, options: Kwargs) -> Result<bool, Error> {
    let operator = options.get::<Option<String>>("operator")?.or(operator).unwrap_or_else(|| "==".into());
    let (a, b) = (python::text(&value), python::text(&other));
    let order = compare(&a, &b);
    Ok(match operator.as_str() {
        "==" | "=" | "eq" => order == Ordering::Equal,
        "!=" | "<>" | "ne" => order != Ordering::Equal,
        "<" | "lt" => order == Ordering::Less,
        "<=" | "le" => order != Ordering::Greater,
        ">" | "gt" => order == Ordering::Greater,
        ">=" | "ge" => order != Ordering::Less,
        other => return Err(refuse(format!("`{other}` is no comparison; use ==, !=, <, <=, >, >="))),
    })
}

/// As Python's `LooseVersion`: runs of digits are numbers, the rest is text.
pub(crate) fn compare(a: &str, b: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(bool, u128, String)> {
        let mut out: Vec<(bool, u128, String)> = Vec::new();
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '.' {
                continue;
            }
            let mut run = String::from(c);
            let digits = c.is_ascii_digit();
            while let Some(next) = chars.next_if(|n| *n != '.' && n.is_ascii_digit() == digits) {
                run.push(next);
            }
            // A number sorts before text, as a release before its suffix would in practice.
            out.push(if digits { (false, run.parse().unwrap_or(u128::MAX), String::new()) } else { (true, 0, run) });
        }
        out
    };
    parts(a).cmp(&parts(b))
}
