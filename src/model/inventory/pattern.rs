//! Host patterns, as for `-l`: `a:b:!c:&d`, commas, wildcards, `~regex`, `group[0]`, `group[0:2]`.

use std::collections::HashSet;

use indexmap::IndexSet;
use regex::Regex;

use super::{Inventory, address};

/// Why a pattern gives no hosts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is not written as a pattern is.
    #[error("`{pattern}` is no host pattern: {why}")]
    Invalid {
        /// The part that is wrong.
        pattern: String,
        /// In words.
        why: String,
    },
    /// A part of it names nothing.
    #[error("no host and no group matches `{pattern}`{}", nearest.as_ref().map(|n| format!("; did you mean `{n}`?")).unwrap_or_default())]
    NoMatch {
        /// The part.
        pattern: String,
        /// The name nearest to it.
        nearest: Option<String>,
    },
}

/// What a pattern selects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Hosts, in the order Ansible gives them.
    pub hosts: Vec<String>,
    /// Parts that match nothing: Ansible warns of each, `-l` of ours refuses.
    pub unmatched: Vec<PatternError>,
}

/// Splits a pattern: by commas, or by colons that are no part of an address or range.
pub fn split(pattern: &str) -> Vec<String> {
    let parts: Vec<String> = if pattern.contains(',') {
        pattern.split(',').map(str::to_owned).collect()
    } else if address::parse(pattern, true).is_some() {
        vec![pattern.to_owned()]
    } else {
        let mut parts = vec![String::new()];
        let mut depth = false;
        for c in pattern.chars() {
            match c {
                '[' => depth = true,
                ']' => depth = false,
                _ => {}
            }
            let separator = !depth && (c == ':' || c.is_whitespace());
            match parts.last_mut() {
                Some(part) if !separator => part.push(c),
                _ => parts.push(String::new()),
            }
        }
        parts
    };
    parts.iter().map(|p| p.trim().to_owned()).filter(|p| !p.is_empty()).collect()
}

/// The hosts a pattern selects.
pub fn select(inventory: &Inventory, pattern: &str) -> Result<Selection, PatternError> {
    select_parts(inventory, &[pattern.to_owned()])
}

/// The hosts of several patterns together (of several `-l`, or the lines of a `@file`).
pub fn select_parts(inventory: &Inventory, patterns: &[String]) -> Result<Selection, PatternError> {
    let (mut plain, mut both, mut not) = (Vec::new(), Vec::new(), Vec::new());
    let parts: Vec<String> = patterns.iter().flat_map(|pattern| split(pattern)).collect();
    for part in &parts {
        match part.as_bytes().first() {
            Some(b'!') => not.push(&part[1..]),
            Some(b'&') => both.push(&part[1..]),
            Some(_) => plain.push(part.as_str()),
            None => {}
        }
    }
    if plain.is_empty() {
        plain.push("all");
    }
    let mut out = Selection::default();
    let mut hosts: IndexSet<&str> = IndexSet::new();
    for part in plain {
        hosts.extend(one(inventory, part, &mut out.unmatched)?);
    }
    for part in both {
        let keep: HashSet<&str> = one(inventory, part, &mut out.unmatched)?.into_iter().collect();
        hosts.retain(|host| keep.contains(host));
    }
    for part in not {
        let drop: HashSet<&str> = one(inventory, part, &mut out.unmatched)?.into_iter().collect();
        hosts.retain(|host| !drop.contains(host));
    }
    out.hosts = hosts.into_iter().map(str::to_owned).collect();
    Ok(out)
}

fn one<'a>(
    inventory: &'a Inventory,
    part: &str,
    unmatched: &mut Vec<PatternError>,
) -> Result<Vec<&'a str>, PatternError> {
    if let Some(host) = inventory.host(part) {
        return Ok(vec![&host.name]);
    }
    let invalid = |why: String| PatternError::Invalid { pattern: part.to_owned(), why };
    if part.is_empty() {
        return Err(invalid("nothing follows the `!` or `&`".into()));
    }
    let (name, subscript) = subscript(part);
    let matcher = match name.strip_prefix('~') {
        Some(expression) => Regex::new(&format!("^(?:{expression})"))
            .map_err(|e| invalid(format!("the expression is not valid: {e}")))?,
        None => Regex::new(&glob(name)).map_err(|_| invalid("the wildcard is not valid".into()))?,
    };
    let groups: Vec<&str> = inventory.groups.keys().map(String::as_str).filter(|g| matcher.is_match(g)).collect();
    let mut hosts: IndexSet<&str> = IndexSet::new();
    for group in &groups {
        hosts.extend(inventory.hosts_of(group));
    }
    if groups.is_empty() || name.starts_with('~') || name.contains(['.', '?', '*', '[']) {
        hosts.extend(inventory.hosts.keys().map(String::as_str).filter(|h| matcher.is_match(h)));
    }
    if hosts.is_empty() && groups.is_empty() && part != "all" {
        let names = inventory.groups.keys().chain(inventory.hosts.keys()).map(String::as_str);
        let nearest = crate::diag::nearest(name, names).map(str::to_owned);
        unmatched.push(PatternError::NoMatch { pattern: part.to_owned(), nearest });
    }
    let hosts: Vec<&str> = hosts.into_iter().collect();
    match subscript {
        Some(wanted) if !hosts.is_empty() => {
            wanted.apply(&hosts).ok_or_else(|| invalid(format!("there are only {} hosts", hosts.len())))
        }
        _ => Ok(hosts),
    }
}

enum Subscript {
    At(i64),
    Range(usize, Option<usize>),
}

impl Subscript {
    fn apply<'a>(&self, hosts: &[&'a str]) -> Option<Vec<&'a str>> {
        let count = hosts.len();
        match *self {
            Subscript::At(index) => {
                let index = if index < 0 { index + i64::try_from(count).ok()? } else { index };
                Some(vec![hosts.get(usize::try_from(index).ok()?)?])
            }
            // As Ansible: `[2:0]` is taken as `[2]`, because an end of 0 counts as none.
            Subscript::Range(start, Some(0)) => Some(vec![hosts.get(start)?]),
            Subscript::Range(start, end) => {
                let end = end.map_or(count, |end| end.saturating_add(1)).min(count);
                Some(hosts.get(start.min(end)..end).unwrap_or_default().to_vec())
            }
        }
    }
}

/// `name[…]` taken apart.
fn subscript(part: &str) -> (&str, Option<Subscript>) {
    let none = (part, None);
    if part.starts_with('~') {
        return none;
    }
    let Some((name, inner)) = part.strip_suffix(']').and_then(|p| p.rsplit_once('[')) else {
        return none;
    };
    if name.is_empty() {
        return none;
    }
    if let Ok(index) = inner.parse::<i64>()
        && !inner.starts_with('+')
    {
        return (name, Some(Subscript::At(index)));
    }
    let Some((start, end)) = inner.split_once([':', '-']) else {
        return none;
    };
    match (start.parse::<usize>(), end.is_empty(), end.parse::<usize>()) {
        (Ok(start), true, _) => (name, Some(Subscript::Range(start, None))),
        (Ok(start), false, Ok(end)) => (name, Some(Subscript::Range(start, Some(end)))),
        _ => none,
    }
}

/// A shell wildcard as an expression, as Python's `fnmatch.translate`.
fn glob(pattern: &str) -> String {
    let mut out = String::from("(?s)^(?:");
    let chars: Vec<char> = pattern.chars().collect();
    let mut i = 0;
    while let Some(&c) = chars.get(i) {
        i += 1;
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => {
                let mut end = i;
                if chars.get(end) == Some(&'!') {
                    end += 1;
                }
                if chars.get(end) == Some(&']') {
                    end += 1;
                }
                while end < chars.len() && chars.get(end) != Some(&']') {
                    end += 1;
                }
                if end >= chars.len() {
                    out.push_str("\\[");
                    continue;
                }
                let inner: String = chars.get(i..end).unwrap_or_default().iter().collect();
                let (negated, inner) = match inner.strip_prefix('!') {
                    Some(rest) => ("^", rest.to_owned()),
                    None => ("", inner),
                };
                let escaped = inner
                    .replace('\\', "\\\\")
                    .replace('[', "\\[")
                    .replace(']', "\\]")
                    .replace('^', "\\^")
                    .replace('&', "\\&")
                    .replace('~', "\\~");
                out.push_str(&format!("[{negated}{escaped}]"));
                i = end + 1;
            }
            c => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push_str(")$");
    out
}
