//! Methods of Python's texts, lists and mappings that minijinja's compatibility layer has not.

use minijinja::value::{Kwargs, Rest, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

use super::args::{items, refuse};
use super::{jinja, python};

/// Called by the engine for a method it does not know.
pub(super) fn call(state: &mut State, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match value.kind() {
        ValueKind::String => text(state, value.as_str().unwrap_or_default(), method, args),
        ValueKind::Seq | ValueKind::Iterable => list(value, method, args),
        ValueKind::Map => map(value, method, args),
        ValueKind::Number => number(value, method, args),
        _ => Ok(None),
    };
    match own? {
        Some(value) => Ok(value),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args).map_err(|error| {
            if error.kind() == ErrorKind::UnknownMethod {
                refuse(format!("{} has no method `{method}` here", kind_name(value)))
            } else {
                error
            }
        }),
    }
}

fn kind_name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::String => "a text",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "a mapping",
        ValueKind::Number => "a number",
        ValueKind::None => "`none`",
        _ => "this value",
    }
}

fn text(state: &mut State, s: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let pad = |args: &[Value]| -> Result<(usize, char), Error> {
        let (width, fill): (i64, Option<String>) = from_args(args)?;
        let width = usize::try_from(width).unwrap_or(0).min(100_000);
        Ok((width.saturating_sub(s.chars().count()), fill.and_then(|f| f.chars().next()).unwrap_or(' ')))
    };
    let run = |fill: char, n: usize| std::iter::repeat_n(fill, n).collect::<String>();
    Ok(Some(match method {
        jinja::PERCENT => percent(state, s, args)?,
        "swapcase" => Value::from(
            s.chars()
                .map(|c| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() })
                .collect::<String>(),
        ),
        "casefold" => Value::from(s.to_lowercase()),
        "isdecimal" => Value::from(!s.is_empty() && s.chars().all(|c| c.is_ascii_digit())),
        "istitle" => Value::from(is_title(s)),
        "isidentifier" => Value::from(
            s.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
                && s.chars().all(|c| c.is_alphanumeric() || c == '_'),
        ),
        "isprintable" => Value::from(s.chars().all(|c| !c.is_control())),
        "rsplit" => {
            let (separator, most) = named(args, ["sep", "maxsplit"])?;
            Value::from(rsplit(s, separator.as_deref(), most)?)
        }
        "split" => {
            let (separator, most) = named(args, ["sep", "maxsplit"])?;
            Value::from(split(s, separator.as_deref(), most)?)
        }
        "index" | "rindex" => {
            let (part,): (String,) = from_args(args)?;
            let at = if method == "index" { s.find(&part) } else { s.rfind(&part) };
            let at = at.ok_or_else(|| refuse(format!("`{part}` is not in the text")))?;
            Value::from(s[..at].chars().count())
        }
        "find" | "rfind" => {
            let (part, start, end): (String, Option<i64>, Option<i64>) = from_args(args)?;
            if start.is_some() || end.is_some() {
                let chars: Vec<char> = s.chars().collect();
                let at = |n: i64| {
                    let n = if n < 0 { n + chars.len() as i64 } else { n };
                    usize::try_from(n).unwrap_or(0).min(chars.len())
                };
                let (from, to) = (at(start.unwrap_or(0)), at(end.unwrap_or(i64::MAX)));
                let piece: String = chars.get(from..to).unwrap_or_default().iter().collect();
                let found = if method == "find" { piece.find(&part) } else { piece.rfind(&part) };
                Value::from(found.map_or(-1, |at| (from + piece[..at].chars().count()) as i64))
            } else {
                let found = if method == "find" { s.find(&part) } else { s.rfind(&part) };
                Value::from(found.map_or(-1, |at| s[..at].chars().count() as i64))
            }
        }
        "removeprefix" => {
            let (part,): (String,) = from_args(args)?;
            Value::from(s.strip_prefix(part.as_str()).unwrap_or(s))
        }
        "removesuffix" => {
            let (part,): (String,) = from_args(args)?;
            Value::from(s.strip_suffix(part.as_str()).unwrap_or(s))
        }
        "zfill" => {
            let (missing, _) = pad(args)?;
            let (sign, digits) = match s.strip_prefix(['-', '+']) {
                Some(rest) => s.split_at(s.len() - rest.len()),
                None => ("", s),
            };
            Value::from(format!("{sign}{}{digits}", run('0', missing)))
        }
        "ljust" => pad(args).map(|(n, fill)| Value::from(format!("{s}{}", run(fill, n))))?,
        "rjust" => pad(args).map(|(n, fill)| Value::from(format!("{}{s}", run(fill, n))))?,
        "center" => {
            let (missing, fill) = pad(args)?;
            let width = missing + s.chars().count();
            let left = missing / 2 + (missing & width & 1);
            Value::from(format!("{}{s}{}", run(fill, left), run(fill, missing - left)))
        }
        "partition" | "rpartition" => {
            let (part,): (String,) = from_args(args)?;
            let found = if method == "partition" { s.split_once(&*part) } else { s.rsplit_once(&*part) };
            let (a, b, c) = match found {
                Some((before, after)) => (before, &*part, after),
                None if method == "partition" => (s, "", ""),
                None => ("", "", s),
            };
            tuple([a, b, c].map(Value::from).to_vec())
        }
        "expandtabs" => {
            let (size,): (Option<usize>,) = from_args(args)?;
            Value::from(expand_tabs(s, size.unwrap_or(8).min(100)))
        }
        "join" => {
            let (values,): (Value,) = from_args(args)?;
            let mut parts = Vec::new();
            for item in items(&values)? {
                let part =
                    item.as_str().ok_or_else(|| refuse("`join` of a text takes texts; map them with `string`"))?;
                parts.push(part.to_owned());
            }
            Value::from(parts.join(s))
        }
        "translate" | "maketrans" | "encode" => return Err(refuse(format!("`{method}` of texts does not exist here"))),
        _ => return Ok(None),
    }))
}

pub(super) fn tuple(values: Vec<Value>) -> Value {
    Value::from(minijinja::value::Tuple::from(values))
}

/// A separator and a count, by position or by name.
fn named(args: &[Value], names: [&'static str; 2]) -> Result<(Option<String>, Option<i64>), Error> {
    let (given, options): (Rest<Value>, Kwargs) = from_args(args)?;
    let mut given = given.0.into_iter();
    let first = match given.next() {
        Some(value) => Some(value),
        None => options.get(names[0])?,
    };
    let second = match given.next() {
        Some(value) => Some(value),
        None => options.get(names[1])?,
    };
    options.assert_all_used()?;
    let first = first.filter(|v: &Value| !v.is_none()).map(|v| python::text(&v));
    Ok((first, second.as_ref().and_then(super::args::integer)))
}

/// `format % values`.
fn percent(state: &mut State, format: &str, args: &[Value]) -> Result<Value, Error> {
    let (operand,): (Value,) = from_args(args)?;
    let printed = |value: Value| match value.kind() {
        ValueKind::String | ValueKind::Number => value,
        ValueKind::Bool if format.contains("%d") => Value::from(i64::from(value.is_true())),
        _ => Value::from(python::text(&value)),
    };
    let mut given = vec![Value::from(format)];
    if operand.is_tuple() {
        let values = items(&operand)?;
        let wanted = format.replace("%%", "").matches('%').count();
        if values.len() != wanted {
            return Err(refuse(format!("`%` has {} values for {wanted} places", values.len())));
        }
        given.extend(values.into_iter().map(printed));
    } else if operand.kind() == ValueKind::Map && format.contains("%(") {
        let mut text = String::new();
        let mut rest = format;
        while let Some((before, after)) = rest.split_once("%(") {
            let (name, behind) = after.split_once(')').ok_or_else(|| refuse("`%(` without `)`"))?;
            let value = operand.get_attr(name)?;
            if value.is_undefined() {
                return Err(refuse(format!("`%({name})` has no value")));
            }
            text.push_str(before);
            text.push('%');
            given.push(printed(value));
            rest = behind;
        }
        text.push_str(rest);
        given[0] = Value::from(text);
    } else {
        given.push(printed(operand));
    }
    state.apply_filter("format", &given)
}

fn is_title(s: &str) -> bool {
    let (mut inside, mut seen) = (false, false);
    for c in s.chars() {
        if c.is_uppercase() {
            if inside {
                return false;
            }
            (inside, seen) = (true, true);
        } else if c.is_lowercase() {
            if !inside {
                return false;
            }
        } else {
            inside = false;
        }
    }
    seen
}

/// As Python's: without a separator, runs of white space separate.
pub(super) fn split(text: &str, separator: Option<&str>, most: Option<i64>) -> Result<Vec<String>, Error> {
    let most = most.and_then(|m| usize::try_from(m).ok());
    Ok(match (separator, most) {
        (Some(""), _) => return Err(refuse("the separator of `split` is empty")),
        (None, None) => text.split_whitespace().map(str::to_owned).collect(),
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
            out
        }
        (Some(separator), None) => text.split(separator).map(str::to_owned).collect(),
        (Some(separator), Some(most)) => text.splitn(most.saturating_add(1), separator).map(str::to_owned).collect(),
    })
}

fn rsplit(text: &str, separator: Option<&str>, most: Option<i64>) -> Result<Vec<String>, Error> {
    let Some(most) = most.and_then(|m| usize::try_from(m).ok()) else { return split(text, separator, None) };
    let mut out: Vec<String> = match separator {
        Some("") => return Err(refuse("the separator of `rsplit` is empty")),
        Some(separator) => text.rsplitn(most.saturating_add(1), separator).map(str::to_owned).collect(),
        None => {
            let (mut out, mut rest) = (Vec::new(), text.trim_end());
            while !rest.is_empty() {
                match rest.rfind(char::is_whitespace).filter(|_| out.len() < most) {
                    Some(at) => {
                        let space = rest[at..].chars().next().map_or(1, char::len_utf8);
                        out.push(rest[at + space..].to_owned());
                        rest = rest[..at].trim_end();
                    }
                    None => {
                        out.push(rest.trim_start().to_owned());
                        rest = "";
                    }
                }
            }
            out
        }
    };
    out.reverse();
    Ok(out)
}

fn expand_tabs(s: &str, size: usize) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for c in s.chars() {
        match c {
            '\t' => {
                let n = if size == 0 { 0 } else { size - column % size };
                out.extend(std::iter::repeat_n(' ', n));
                column += n;
            }
            '\n' | '\r' => {
                out.push(c);
                column = 0;
            }
            c => {
                out.push(c);
                column += 1;
            }
        }
    }
    out
}

fn list(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "index" => {
            let (wanted,): (Value,) = from_args(args)?;
            let at = items(value)?.iter().position(|v| *v == wanted);
            Value::from(at.ok_or_else(|| refuse("the value is not in the list"))?)
        }
        "count" => {
            let (wanted,): (Value,) = from_args(args)?;
            Value::from(items(value)?.iter().filter(|v| **v == wanted).count())
        }
        "copy" => value.clone(),
        "append" | "extend" | "insert" | "pop" | "remove" | "clear" | "sort" | "reverse" => {
            return Err(refuse(format!(
                "lists cannot be changed here by `{method}`; make a new one: `list + [value]`"
            )));
        }
        _ => return Ok(None),
    }))
}

fn map(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    let pairs = || -> Result<Vec<(Value, Value)>, Error> {
        value.try_iter()?.map(|key| value.get_item(&key).map(|item| (key, item))).collect()
    };
    Ok(Some(match method {
        "get" => {
            let (key, default): (Value, Option<Value>) = from_args(args)?;
            let item = value.get_item(&key)?;
            if item.is_undefined() { default.unwrap_or(Value::from(())) } else { item }
        }
        "items" => Value::from(pairs()?.into_iter().map(|(k, v)| tuple(vec![k, v])).collect::<Vec<_>>()),
        "values" => Value::from(pairs()?.into_iter().map(|(_, v)| v).collect::<Vec<_>>()),
        "keys" => Value::from(pairs()?.into_iter().map(|(k, _)| k).collect::<Vec<_>>()),
        "copy" => value.clone(),
        "update" | "pop" | "popitem" | "setdefault" | "clear" => {
            return Err(refuse(format!("mappings cannot be changed here by `{method}`; use `combine`")));
        }
        _ => return Ok(None),
    }))
}

fn number(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(match method {
        "bit_length" if value.is_integer() => {
            let () = from_args(args)?;
            let number = i128::try_from(value.clone()).unwrap_or_default().unsigned_abs();
            Some(Value::from(128 - number.leading_zeros()))
        }
        "is_integer" => {
            let number = f64::try_from(value.clone()).unwrap_or(f64::NAN);
            Some(Value::from(number.fract() == 0.0))
        }
        _ => None,
    })
}
