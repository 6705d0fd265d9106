//! Filters that make one scalar of another.

use std::path::{Component, Path};
use std::sync::Arc;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value};

use super::{filter, tolerant};
use crate::template::args::{Args, items, number, refuse};
use crate::template::python;
use crate::template::world::World;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>, world: &Arc<dyn World>) {
    for name in ["default", "d"] {
        tolerant(env, names, name, "default_value boolean", |_, value, args| {
            let missing = value.is_undefined() || (args.flag("boolean") && !value.is_true());
            Ok(if missing { args.given("default_value").cloned().unwrap_or_else(|| Value::from("")) } else { value })
        });
    }
    tolerant(env, names, "mandatory", "msg", |state, value, args| {
        if value.is_undefined() {
            match args.text("msg")? {
                Some(message) => return Err(Error::new(ErrorKind::InvalidOperation, message)),
                None => drop(state.format(value.clone())?),
            }
        }
        Ok(value)
    });
    tolerant(env, names, "type_debug", "", |_, value, _| Ok(Value::from(type_name(&value))));
    tolerant(env, names, "ternary", "true_val false_val none_val", |state, value, args| {
        if value.is_undefined() {
            state.format(value.clone())?;
        }
        let null = args.get("none_val").filter(|_| value.is_none());
        let chosen = if value.is_true() { args.need("true_val")? } else { args.need("false_val")? };
        Ok(null.unwrap_or(chosen).clone())
    });
    for name in ["length", "count"] {
        filter(env, names, name, "", |value, _| match value.len() {
            Some(length) => Ok(Value::from(length)),
            None => Err(refuse(format!("{} has no length", type_name(&value)))),
        });
    }
    filter(env, names, "first", "", |value, _| {
        Ok(super::collections::list(&value)?.into_iter().next().unwrap_or_default())
    });
    filter(env, names, "last", "", |value, _| Ok(super::collections::list(&value)?.pop().unwrap_or_default()));
    filter(env, names, "bool", "", |value, _| Ok(Value::from(strict_truth(&value))));
    filter(env, names, "int", "default base", |value, args| int(&value, &args));
    filter(env, names, "float", "default", |value, args| {
        let found = match value.as_str() {
            Some(text) => python_float(text),
            None => number(&value),
        };
        Ok(found.map(Value::from).or_else(|| args.given("default").cloned()).unwrap_or_else(|| Value::from(0.0)))
    });
    filter(env, names, "string", "", |value, _| python::checked_text(&value).map(Value::from));
    filter(env, names, "quote", "", |value, _| {
        let text = if value.is_none() { String::new() } else { python::checked_text(&value)? };
        Ok(Value::from(quote(&text)))
    });
    filter(
        env,
        names,
        "comment",
        "style newline beginning prefix prefix_count decoration postfix postfix_count end",
        comment,
    );
    filter(env, names, "replace", "old new count", |value, args| {
        let text = python::checked_text(&value)?;
        args.need("old")?;
        args.need("new")?;
        let (old, new) = (args.text("old")?.unwrap_or_default(), args.text("new")?.unwrap_or_default());
        let count = args.int("count")?.and_then(|c| usize::try_from(c).ok()).unwrap_or(usize::MAX);
        Ok(Value::from(text.replacen(&old, &new, count)))
    });
    filter(env, names, "trim", "chars", |value, args| {
        let text = python::checked_text(&value)?;
        Ok(Value::from(match args.text("chars")? {
            Some(chars) => text.trim_matches(|c| chars.contains(c)).to_owned(),
            None => text.trim().to_owned(),
        }))
    });
    filter(env, names, "center", "width", |value, args| {
        let text = python::checked_text(&value)?;
        let width = args.count("width", 10_000)?.unwrap_or(80);
        let missing = width.saturating_sub(text.chars().count());
        let left = missing / 2 + (missing & width & 1);
        Ok(Value::from(format!("{}{text}{}", " ".repeat(left), " ".repeat(missing - left))))
    });
    for name in ["escape", "e"] {
        filter(env, names, name, "", |value, _| {
            let text = python::checked_text(&value)?.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
            Ok(Value::from(text.replace('"', "&#34;").replace('\'', "&#39;")))
        });
    }
    filter(env, names, "indent", "width first blank", |value, args| indent(&value, &args));
    filter(env, names, "wordcount", "", |value, _| {
        let text = python::checked_text(&value)?;
        Ok(Value::from(text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).count()))
    });
    filter(env, names, "truncate", "length killwords end leeway", |value, args| truncate(&value, &args));
    paths(env, names, world);
}

fn paths(env: &mut Environment<'static>, names: &mut Vec<String>, world: &Arc<dyn World>) {
    let text = |value: &Value| match value.as_str() {
        Some(text) => Ok(text.to_owned()),
        None => Err(refuse("a path must be a text")),
    };
    filter(env, names, "basename", "", move |value, _| {
        Ok(Value::from(text(&value)?.rsplit('/').next().unwrap_or_default()))
    });
    filter(env, names, "dirname", "", move |value, _| Ok(Value::from(dirname(&text(&value)?))));
    filter(env, names, "splitext", "", move |value, _| Ok(splitext(text(&value)?)));
    filter(env, names, "normpath", "", move |value, _| Ok(Value::from(normpath(&text(&value)?))));
    filter(env, names, "path_join", "", |value, _| path_join(&value).map(Value::from));
    filter(env, names, "win_basename", "", move |value, _| {
        Ok(Value::from(text(&value)?.rsplit(['\\', '/', ':']).next().unwrap_or_default()))
    });
    filter(env, names, "win_dirname", "", move |value, _| {
        let path = text(&value)?;
        let head = path.rfind(['\\', '/']).map_or("", |at| &path[..at]);
        let bare = head.trim_end_matches(['\\', '/']);
        Ok(Value::from(if bare.ends_with(':') { format!("{bare}\\") } else { bare.to_owned() }))
    });
    filter(env, names, "win_splitdrive", "", move |value, _| {
        let path = text(&value)?;
        let at = if path.as_bytes().get(1) == Some(&b':') { 2 } else { 0 };
        Ok(crate::template::methods::tuple(vec![Value::from(&path[..at]), Value::from(&path[at..])]))
    });
    filter(env, names, "commonpath", "", |value, _| commonpath(&value).map(Value::from));
    filter(env, names, "relpath", "start", move |value, args| {
        let start = args.text("start")?.ok_or_else(|| refuse("`relpath` needs a `start` here"))?;
        relpath(&text(&value)?, &start).map(Value::from)
    });
    let home = Arc::clone(world);
    filter(env, names, "expanduser", "", move |value, _| {
        let path = text(&value)?;
        let rest = path.strip_prefix('~').filter(|r| r.is_empty() || r.starts_with('/'));
        Ok(Value::from(match (rest, rest.and_then(|_| home.env("HOME"))) {
            (Some(rest), Some(home)) => format!("{}{rest}", home.trim_end_matches('/')),
            _ => path,
        }))
    });
    let around = Arc::clone(world);
    filter(env, names, "expandvars", "", move |value, _| Ok(Value::from(expandvars(&text(&value)?, &around))));
    for name in ["realpath", "fileglob"] {
        filter(env, names, name, "start", move |_, _| {
            Err(refuse(format!(
                "the filter `{name}` looks at files, and does not exist here; there are lookups for that"
            )))
        });
    }
}

/// A value as Ansible's modules read a boolean.
pub(crate) fn truth(value: &Value) -> bool {
    match value.kind() {
        ValueKind::Bool => value.is_true(),
        ValueKind::Number => value.as_i64() == Some(1) || f64::try_from(value.clone()).is_ok_and(|n| n == 1.0),
        _ => value
            .as_str()
            .is_some_and(|text| matches!(text.to_lowercase().as_str(), "yes" | "on" | "1" | "true" | "y" | "t")),
    }
}

/// As Ansible's `bool` filter since 2.19: `y` and `t` are no longer true.
fn strict_truth(value: &Value) -> bool {
    let letter = value.as_str().is_some_and(|t| t.eq_ignore_ascii_case("y") || t.eq_ignore_ascii_case("t"));
    !letter && truth(value)
}

/// As Python's `float()` of a text.
fn python_float(text: &str) -> Option<f64> {
    let bare = text.trim();
    let digits = bare.replace('_', "");
    let sound = !bare.starts_with('_') && !bare.ends_with('_') && !bare.contains("__");
    match digits.to_lowercase().as_str() {
        "infinity" | "+infinity" => Some(f64::INFINITY),
        "-infinity" => Some(f64::NEG_INFINITY),
        _ => digits.parse().ok().filter(|_| sound),
    }
}

/// As Jinja's: 0 (or the default) for what is no number.
fn int(value: &Value, args: &Args) -> Result<Value, Error> {
    let base = u32::try_from(args.int("base")?.unwrap_or(10)).unwrap_or(10);
    let found: Option<i128> = match value.kind() {
        ValueKind::Bool => Some(i128::from(value.is_true())),
        ValueKind::Number if value.is_integer() => i128::try_from(value.clone()).ok(),
        ValueKind::Number => f64::try_from(value.clone()).ok().filter(|f| f.is_finite()).map(|f| f as i128),
        _ => value.as_str().and_then(|text| {
            whole(text, base).or_else(|| python_float(text).filter(|f| f.is_finite()).map(|f| f as i128))
        }),
    };
    Ok(match found {
        Some(number) => i64::try_from(number).map_or_else(|_| Value::from(number), Value::from),
        None => args.given("default").cloned().unwrap_or_else(|| Value::from(0)),
    })
}

/// As Python's `int(text, base)`.
fn whole(text: &str, base: u32) -> Option<i128> {
    let bare = text.trim();
    let (negative, digits) = match bare.strip_prefix(['-', '+']) {
        Some(rest) => (bare.starts_with('-'), rest),
        None => (false, bare),
    };
    let lower = digits.to_lowercase();
    let marks = [("0x", 16), ("0o", 8), ("0b", 2)];
    let marked = marks.iter().find(|(mark, b)| lower.starts_with(mark) && (base == *b || base == 0));
    let (digits, base) = match marked {
        Some((mark, base)) => (&lower[mark.len()..], *base),
        None if base == 0 => (lower.as_str(), 10),
        None => (lower.as_str(), base),
    };
    let sound =
        !digits.starts_with('_') && !digits.ends_with('_') && !digits.contains("__") && !digits.starts_with('+');
    if !(2..=36).contains(&base) || !sound {
        return None;
    }
    let number = i128::from_str_radix(&digits.replace('_', ""), base).ok()?;
    Some(if negative { -number } else { number })
}

/// As Python's `shlex.quote`.
fn quote(text: &str) -> String {
    let safe = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./-_".contains(c);
    if !text.is_empty() && text.chars().all(safe) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\"'\"'"))
}

fn comment(value: Value, args: Args) -> Result<Value, Error> {
    let style = args.text("style")?.unwrap_or_else(|| "plain".into());
    let (beginning, decoration, end) = match style.as_str() {
        "plain" => ("", "# ", ""),
        "erlang" => ("", "% ", ""),
        "c" => ("", "// ", ""),
        "cblock" => ("/*", " * ", " */"),
        "xml" => ("<!--", " - ", "-->"),
        other => return Err(refuse(format!("`{other}` is no style; there are plain, erlang, c, cblock, xml"))),
    };
    let or = |name: &str, default: &str| args.text(name).map(|t| t.unwrap_or_else(|| default.to_owned()));
    let (newline, decoration) = (or("newline", "\n")?, or("decoration", decoration)?);
    let bare = decoration.trim_end().to_owned();
    let (beginning, end) = (or("beginning", beginning)?, or("end", end)?);
    let (prefix, postfix) = (or("prefix", &bare)?, or("postfix", &bare)?);
    let before = args.count("prefix_count", 1000)?.unwrap_or(1);
    let after = args.count("postfix_count", 1000)?.unwrap_or(1);
    let text = python::checked_text(&value)?;
    let mut out = String::new();
    if !beginning.is_empty() {
        out.push_str(&format!("{beginning}{newline}"));
    }
    if !prefix.is_empty() {
        let one = if prefix == newline { newline.clone() } else { format!("{prefix}{newline}") };
        out.push_str(&one.repeat(before));
    }
    let body = format!("{decoration}{}", text.replace(&newline, &format!("{newline}{decoration}")));
    out.push_str(&body.replace(&format!("{decoration}{newline}"), &format!("{bare}{newline}")));
    out.push_str(&format!("{newline}{postfix}").repeat(after));
    if !end.is_empty() {
        out.push_str(&format!("{newline}{end}"));
    }
    Ok(Value::from(out))
}

fn indent(value: &Value, args: &Args) -> Result<Value, Error> {
    let text = python::checked_text(value)?;
    let pad = match args.get("width") {
        Some(width) if width.as_str().is_some() => python::text(width),
        _ => " ".repeat(args.count("width", 1000)?.unwrap_or(4)),
    };
    let mut out = String::new();
    for (n, line) in text.split('\n').enumerate() {
        let skipped = n == 0 && !args.flag("first") || n > 0 && line.is_empty() && !args.flag("blank");
        out.push_str(if n > 0 { "\n" } else { "" });
        out.push_str(if skipped { "" } else { &pad });
        out.push_str(line);
    }
    Ok(Value::from(out))
}

fn truncate(value: &Value, args: &Args) -> Result<Value, Error> {
    let text = python::checked_text(value)?;
    let length = args.count("length", 1_000_000)?.unwrap_or(255);
    let end = args.text("end")?.unwrap_or_else(|| "...".into());
    let leeway = args.count("leeway", 1_000_000)?.unwrap_or(5);
    let chars: Vec<char> = text.chars().collect();
    let tail = end.chars().count();
    if length < tail {
        return Err(refuse(format!("`length` of `truncate` must be at least {tail}")));
    }
    if chars.len() <= length + leeway {
        return Ok(Value::from(text));
    }
    let cut: String = chars[..length - tail].iter().collect();
    let kept =
        if args.flag("killwords") { cut.as_str() } else { cut.rsplit_once(' ').map_or(cut.as_str(), |(a, _)| a) };
    Ok(Value::from(format!("{kept}{end}")))
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

fn splitext(path: String) -> Value {
    let name = path.rfind('/').map_or(0, |at| at + 1);
    let leading = path[name..].chars().take_while(|c| *c == '.').count();
    let (root, extension) = match path.rfind('.') {
        Some(at) if at >= name + leading.max(1) => path.split_at(at),
        _ => (path.as_str(), ""),
    };
    crate::template::methods::tuple(vec![Value::from(root), Value::from(extension)])
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
    // POSIX keeps exactly two slashes at the start.
    let root = if path.starts_with("//") && !path.starts_with("///") { "//" } else { "/" };
    match (absolute, parts.is_empty()) {
        (true, _) => format!("{root}{}", parts.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => parts.join("/"),
    }
}

fn path_join(parts: &Value) -> Result<String, Error> {
    if let Some(one) = parts.as_str() {
        return Ok(one.to_owned());
    }
    if parts.kind() != ValueKind::Seq || parts.len() == Some(0) {
        return Err(refuse("`path_join` takes a text or a list of some"));
    }
    let mut out = String::new();
    for (n, part) in items(parts)?.into_iter().enumerate() {
        let part = part.as_str().ok_or_else(|| refuse("`path_join` takes texts"))?.to_owned();
        if part.starts_with('/') || n == 0 {
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

fn commonpath(value: &Value) -> Result<String, Error> {
    if value.kind() != ValueKind::Seq {
        return Err(refuse("`commonpath` takes a list"));
    }
    let paths = items(value)?.iter().map(python::text).collect::<Vec<_>>();
    let absolute = paths.first().ok_or_else(|| refuse("the list is empty"))?.starts_with('/');
    if paths.iter().any(|p| p.starts_with('/') != absolute) {
        return Err(refuse("`commonpath` cannot mix absolute and relative paths"));
    }
    let parts: Vec<Vec<&str>> =
        paths.iter().map(|p| p.split('/').filter(|c| !c.is_empty() && *c != ".").collect()).collect();
    let same = |n: &usize| parts.iter().all(|p| p.get(*n).is_some() && p.get(*n) == parts[0].get(*n));
    let count = (0..parts[0].len()).take_while(same).count();
    Ok(format!("{}{}", if absolute { "/" } else { "" }, parts[0][..count].join("/")))
}

fn relpath(path: &str, start: &str) -> Result<String, Error> {
    if !path.starts_with('/') || !start.starts_with('/') {
        return Err(refuse("`relpath` takes absolute paths here"));
    }
    let (path, start) = (normpath(path), normpath(start));
    let split = |p: &str| p.split('/').filter(|c| !c.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let (path, start) = (split(&path), split(&start));
    let same = path.iter().zip(&start).take_while(|(a, b)| a == b).count();
    let up = std::iter::repeat_n("..".to_owned(), start.len() - same);
    let all: Vec<String> = up.chain(path[same..].iter().cloned()).collect();
    Ok(if all.is_empty() { ".".into() } else { all.join("/") })
}

fn expandvars(text: &str, world: &Arc<dyn World>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let behind = &rest[at + 1..];
        let (name, length) = match behind.strip_prefix('{').and_then(|b| b.split_once('}')) {
            Some((name, _)) => (name, name.len() + 2),
            None => {
                let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(behind.len());
                (&behind[..end], end)
            }
        };
        match world.env(name).filter(|_| !name.is_empty()) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&rest[at..at + 1 + length]),
        }
        rest = &behind[length..];
    }
    out.push_str(rest);
    out
}

/// As Python names the type.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value.kind() {
        ValueKind::Bool => "bool",
        ValueKind::Number if value.is_integer() => "int",
        ValueKind::Number => "float",
        ValueKind::String => "str",
        ValueKind::Seq if value.is_tuple() => "tuple",
        ValueKind::Seq | ValueKind::Iterable => "list",
        ValueKind::Map => "dict",
        ValueKind::None => "NoneType",
        ValueKind::Undefined => "UndefinedMarker",
        _ => "object",
    }
}
