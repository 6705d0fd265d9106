//! `regex_*`, with Python's notation for groups in replacements.

use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, Value};
use regex::{Regex, RegexBuilder};

use super::{filter, refuse};
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter!(env, names, "regex_replace", replace);
    filter!(env, names, "regex_search", search);
    filter!(env, names, "regex_findall", findall);
    filter!(env, names, "regex_escape", |text: String| escape(&text));
}

/// A Python expression; look-around and back references inside an expression do not exist here.
pub(crate) fn compile(pattern: &str, ignorecase: bool, multiline: bool) -> Result<Regex, Error> {
    // Python knows `\Z` as the very end, and names groups `(?P<…>`, which is the same here.
    RegexBuilder::new(&pattern.replace("\\Z", "\\z"))
        .case_insensitive(ignorecase)
        .multi_line(multiline)
        .size_limit(4 << 20)
        .build()
        .map_err(|error| {
            let why = error.to_string();
            let last = why.lines().last().unwrap_or_default();
            refuse(format!("the expression `{pattern}` cannot be used: {last}"))
        })
}

fn flags(options: &Kwargs) -> Result<(bool, bool), Error> {
    let flag = |name| options.get::<Option<bool>>(name).map(|f| f.unwrap_or(false));
    Ok((flag("ignorecase")?, flag("multiline")?))
}

fn replace(value: Value, pattern: String, replacement: Option<String>, options: Kwargs) -> Result<String, Error> {
    let (ignorecase, multiline) = flags(&options)?;
    let count = options.get::<Option<usize>>("count")?.unwrap_or(0);
    let _ = options.get::<Option<bool>>("mandatory_count")?;
    options.assert_all_used()?;
    let regex = compile(&pattern, ignorecase, multiline)?;
    let replacement = python_replacement(&replacement.unwrap_or_default());
    Ok(regex.replacen(&python::text(&value), count, replacement.as_str()).into_owned())
}

/// `\1` and `\g<name>` → `${1}` and `${name}`.
fn python_replacement(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '$' => out.push_str("$$"),
            '\\' => match chars.next() {
                Some('g') if chars.peek() == Some(&'<') => {
                    chars.next();
                    let name: String = chars.by_ref().take_while(|c| *c != '>').collect();
                    out.push_str(&format!("${{{name}}}"));
                }
                Some(digit) if digit.is_ascii_digit() => {
                    let mut number = digit.to_string();
                    if let Some(second) = chars.next_if(char::is_ascii_digit) {
                        number.push(second);
                    }
                    out.push_str(&format!("${{{number}}}"));
                }
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some('\\') => out.push('\\'),
                Some(other) => out.extend(['\\', other]),
                None => out.push('\\'),
            },
            c => out.push(c),
        }
    }
    out
}

fn search(value: Value, pattern: String, groups: Rest<String>, options: Kwargs) -> Result<Value, Error> {
    let (ignorecase, multiline) = flags(&options)?;
    options.assert_all_used()?;
    let regex = compile(&pattern, ignorecase, multiline)?;
    let text = python::text(&value);
    let Some(found) = regex.captures(&text) else { return Ok(Value::from(())) };
    if groups.is_empty() {
        return Ok(Value::from(found.get(0).map_or("", |m| m.as_str())));
    }
    let mut out = Vec::new();
    for group in groups.iter() {
        let item = match group.strip_prefix("\\g<").and_then(|g| g.strip_suffix('>')) {
            Some(name) => found.name(name),
            None => {
                let number: usize =
                    group.trim_start_matches('\\').parse().map_err(|_| refuse(format!("`{group}` is no group")))?;
                found.get(number)
            }
        };
        out.push(item.map_or(Value::from(()), |m| Value::from(m.as_str())));
    }
    Ok(Value::from(out))
}

fn findall(value: Value, pattern: String, options: Kwargs) -> Result<Vec<Value>, Error> {
    let (ignorecase, multiline) = flags(&options)?;
    options.assert_all_used()?;
    let regex = compile(&pattern, ignorecase, multiline)?;
    let text = python::text(&value);
    let one = |found: regex::Captures<'_>| {
        let part = |n: usize| Value::from(found.get(n).map_or("", |m| m.as_str()));
        match found.len() {
            1 => part(0),
            2 => part(1),
            count => Value::from((1..count).map(part).collect::<Vec<_>>()),
        }
    };
    Ok(regex.captures_iter(&text).map(one).collect())
}

/// As Python's `re.escape`.
fn escape(text: &str) -> String {
    let special = |c: char| "()[]{}?*+-|^$\\.&~# \t\n\r\x0b\x0c".contains(c);
    text.chars().flat_map(|c| special(c).then_some('\\').into_iter().chain([c])).collect()
}
