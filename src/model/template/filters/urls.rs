//! Parts of addresses on the web, and their encoding.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Value};

use super::filter;
use crate::template::args::{items, refuse};
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter(env, names, "urlsplit", "query", |value, args| {
        let parts = split(&python::checked_text(&value)?)?;
        match args.text("query")?.filter(|q| !q.is_empty()) {
            None => Ok(Value::from_pairs(parts)),
            Some(wanted) => match parts.iter().find(|(name, _)| *name == wanted) {
                Some((_, part)) => Ok(part.clone()),
                None => {
                    let known: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
                    Err(refuse(format!("`urlsplit` has no part `{wanted}`; there are {}", known.join(", "))))
                }
            },
        }
    });
    filter(env, names, "urlencode", "", |value, _| encode(&value).map(Value::from));
    filter(env, names, "urldecode", "", |value, _| decode(&python::checked_text(&value)?).map(Value::from));
}

/// As Python's `urlsplit`.
fn split(url: &str) -> Result<Vec<(&'static str, Value)>, Error> {
    let url: String = url.trim_matches(|c: char| c <= ' ').chars().filter(|c| !"\t\r\n".contains(*c)).collect();
    let named = |s: &str| {
        s.starts_with(|c: char| c.is_ascii_alphabetic())
            && s.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let (scheme, rest) = match url.split_once(':') {
        Some((scheme, rest)) if named(scheme) => (scheme.to_lowercase(), rest.to_owned()),
        _ => (String::new(), url),
    };
    let (netloc, rest) = match rest.strip_prefix("//") {
        Some(after) => {
            let end = after.find(['/', '?', '#']).unwrap_or(after.len());
            (after[..end].to_owned(), after[end..].to_owned())
        }
        None => (String::new(), rest),
    };
    let (rest, fragment) = rest.split_once('#').map_or((rest.as_str(), ""), |(a, b)| (a, b));
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (login, place) = netloc.rsplit_once('@').map_or((None, netloc.as_str()), |(a, b)| (Some(a), b));
    let (user, password) = match login {
        None => (None, None),
        Some(login) => match login.split_once(':') {
            Some((user, password)) => (Some(user), Some(password)),
            None => (Some(login), None),
        },
    };
    let (host, port) = match place.strip_prefix('[').and_then(|p| p.split_once(']')) {
        Some((host, behind)) => (host, behind.strip_prefix(':')),
        None => place.split_once(':').map_or((place, None), |(h, p)| (h, Some(p))),
    };
    let port = match port.filter(|p| !p.is_empty()) {
        None => Value::from(()),
        Some(port) => match port.parse::<u16>() {
            Ok(port) => Value::from(port),
            Err(_) => return Err(refuse(format!("`{port}` is no port"))),
        },
    };
    let maybe = |part: Option<&str>| part.map_or(Value::from(()), Value::from);
    Ok(vec![
        ("fragment", Value::from(fragment)),
        ("hostname", maybe(Some(host.to_lowercase()).filter(|h| !h.is_empty()).as_deref())),
        ("netloc", Value::from(netloc.as_str())),
        ("password", maybe(password)),
        ("path", Value::from(path)),
        ("port", port),
        ("query", Value::from(query)),
        ("scheme", Value::from(scheme)),
        ("username", maybe(user)),
    ])
}

fn quoted(text: &str, safe: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "_.-~".contains(c) || (safe.contains(c) && byte < 0x80) {
            out.push(c);
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// As Jinja's: a slash stays in a text, and not in pairs.
fn encode(value: &Value) -> Result<String, Error> {
    let form = |v: &Value| -> Result<String, Error> { Ok(quoted(&python::checked_text(v)?, "").replace("%20", "+")) };
    let pairs: Vec<(Value, Value)> = match value.kind() {
        ValueKind::Map => super::collections::pairs(value)?,
        ValueKind::Seq | ValueKind::Iterable => {
            let mut out = Vec::new();
            for pair in items(value)? {
                match <[Value; 2]>::try_from(items(&pair)?) {
                    Ok([key, value]) => out.push((key, value)),
                    Err(_) => return Err(refuse("`urlencode` takes pairs")),
                }
            }
            out
        }
        _ => return Ok(quoted(&python::checked_text(value)?, "/")),
    };
    let parts =
        pairs.iter().map(|(k, v)| Ok(format!("{}={}", form(k)?, form(v)?))).collect::<Result<Vec<_>, Error>>()?;
    Ok(parts.join("&"))
}

/// As Python's `unquote_plus`.
fn decode(text: &str) -> Result<String, Error> {
    let mut out = Vec::with_capacity(text.len());
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok());
        match (bytes[at], hex.and_then(|h| u8::from_str_radix(h, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (byte, _) => out.push(byte),
        }
        at += 1;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}
