//! `is version(…)` with every way of reading versions that Ansible has.

use std::cmp::Ordering;

use minijinja::{Error, Value};

use crate::template::args::{Args, refuse};
use crate::template::python;

pub(super) fn test(value: &Value, args: &Args) -> Result<bool, Error> {
    let operator = args.text("operator")?.unwrap_or_else(|| "eq".into());
    let kind = args.text("version_type")?;
    let strict = args.given("strict").filter(|s| !s.is_none());
    if strict.is_some() && kind.is_some() {
        return Err(refuse("give `strict` or `version_type`, not both"));
    }
    args.need("version")?;
    let (a, b) = (python::checked_text(value)?, args.text("version")?.unwrap_or_default());
    if a.is_empty() || b.is_empty() || !value.is_true() {
        return Err(refuse("a version cannot be empty"));
    }
    let kind = match kind.as_deref() {
        None if strict.is_some_and(Value::is_true) => "strict",
        None => "loose",
        Some(kind) => kind,
    };
    let wanted: fn(Ordering) -> bool = match operator.as_str() {
        "==" | "=" | "eq" => Ordering::is_eq,
        "!=" | "<>" | "ne" => Ordering::is_ne,
        "<" | "lt" => Ordering::is_lt,
        "<=" | "le" => Ordering::is_le,
        ">" | "gt" => Ordering::is_gt,
        ">=" | "ge" => Ordering::is_ge,
        other => {
            return Err(refuse(format!(
                "`{other}` is no comparison; use ==, !=, <, <=, >, >= or eq, ne, lt, le, gt, ge"
            )));
        }
    };
    let order = match kind {
        "loose" => loose(&a, &b)?,
        "strict" => read(&a, strict_version)?.cmp(&read(&b, strict_version)?),
        "semver" | "semantic" => semantic_order(&read(&a, semantic)?, &read(&b, semantic)?),
        "pep440" => read(&a, pep440)?.cmp(&read(&b, pep440)?),
        other => {
            return Err(refuse(format!("`version_type` is loose, strict, semver, semantic or pep440, not `{other}`")));
        }
    };
    Ok(wanted(order))
}

fn read<T>(text: &str, reader: fn(&str) -> Option<T>) -> Result<T, Error> {
    reader(text).ok_or_else(|| refuse(format!("`{text}` is no version of that type")))
}

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Number(u128),
    Text(String),
}

/// As Python's `LooseVersion`: runs of digits and of letters; what else stands between is a part too.
fn parts(text: &str) -> Vec<Part> {
    let mut out = Vec::new();
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let kind = |c: char| {
            if c.is_ascii_digit() {
                0
            } else if c.is_ascii_lowercase() {
                1
            } else {
                2
            }
        };
        let end = match chars[at] {
            '.' => {
                at += 1;
                continue;
            }
            first => {
                let mut end = at + 1;
                while end < chars.len() && chars[end] != '.' && kind(chars[end]) == kind(first) {
                    end += 1;
                }
                end
            }
        };
        let run: String = chars[at..end].iter().collect();
        out.push(run.parse().map_or(Part::Text(run), Part::Number));
        at = end;
    }
    out
}

fn loose(a: &str, b: &str) -> Result<Ordering, Error> {
    let (left, right) = (parts(a), parts(b));
    if left == right {
        return Ok(Ordering::Equal);
    }
    for (x, y) in left.iter().zip(&right) {
        let order = match (x, y) {
            (Part::Number(x), Part::Number(y)) => x.cmp(y),
            (Part::Text(x), Part::Text(y)) => x.cmp(y),
            // Python compares no number with a text, not even for being equal.
            _ => return Err(refuse(format!("`{a}` and `{b}` cannot be compared: a number stands against a text"))),
        };
        if order.is_ne() {
            return Ok(order);
        }
    }
    Ok(left.len().cmp(&right.len()))
}

/// `1.2`, `1.2.3`, `1.2a1`.
fn strict_version(text: &str) -> Option<([u64; 3], (bool, char, u64))> {
    let number = text.find(['a', 'b']);
    let (release, suffix) = text.split_at(number.unwrap_or(text.len()));
    let parts: Vec<u64> = release.split('.').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let release = [parts[0], parts[1], parts.get(2).copied().unwrap_or(0)];
    match suffix.chars().next() {
        None => Some((release, (true, ' ', 0))),
        Some(letter) => Some((release, (false, letter, suffix[1..].parse().ok()?))),
    }
}

type Semantic = ([u64; 3], Vec<String>);

fn semantic(text: &str) -> Option<Semantic> {
    let (text, build) = text.split_once('+').map_or((text, None), |(a, b)| (a, Some(b)));
    let (release, pre) = text.split_once('-').map_or((text, None), |(a, b)| (a, Some(b)));
    let number = |p: &str| p.parse().ok().filter(|_| p == "0" || !p.starts_with(['0', '+']));
    let parts: Vec<u64> = release.split('.').map(number).collect::<Option<_>>()?;
    let word = |p: &str| !p.is_empty() && p.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if build.is_some_and(|b| !b.split('.').all(word)) {
        return None;
    }
    let pre: Vec<String> = pre.map(|p| p.split('.').map(str::to_owned).collect()).unwrap_or_default();
    if !pre.iter().all(|p| word(p)) {
        return None;
    }
    Some((<[u64; 3]>::try_from(parts).ok()?, pre))
}

fn semantic_order(a: &Semantic, b: &Semantic) -> Ordering {
    a.0.cmp(&b.0).then_with(|| match (a.1.is_empty(), b.1.is_empty()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        (false, false) => {
            for (x, y) in a.1.iter().zip(&b.1) {
                let order = match (x.parse::<u64>(), y.parse::<u64>()) {
                    (Ok(x), Ok(y)) => x.cmp(&y),
                    (Ok(_), Err(_)) => Ordering::Less,
                    (Err(_), Ok(_)) => Ordering::Greater,
                    (Err(_), Err(_)) => x.cmp(y),
                };
                if order.is_ne() {
                    return order;
                }
            }
            a.1.len().cmp(&b.1.len())
        }
    })
}

/// Epoch, release, and where before or after it the version stands.
type Pep440 = (u64, Vec<u64>, (i8, u64), (bool, u64), (i8, u64), Vec<(bool, u64, String)>);

fn pep440(text: &str) -> Option<Pep440> {
    let regex = regex::Regex::new(
        r"^\s*v?(?:(\d+)!)?(\d+(?:\.\d+)*)(?:[-_.]?(alpha|a|beta|b|preview|pre|c|rc)[-_.]?(\d+)?)?(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d+)?)?(?:[-_.]?(dev)[-_.]?(\d+)?)?(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?\s*$",
    )
    .ok()?;
    let lower = text.to_lowercase();
    let found = regex.captures(&lower)?;
    let number = |at: usize| found.get(at).map_or(Some(0), |m| m.as_str().parse::<u64>().ok());
    let mut release: Vec<u64> = found.get(2)?.as_str().split('.').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    while release.len() > 1 && release.last() == Some(&0) {
        release.pop();
    }
    let post = match (found.get(5), found.get(6)) {
        (Some(_), _) => Some(number(5)?),
        (_, Some(_)) => Some(number(7)?),
        _ => None,
    };
    let dev = found.get(8).is_some().then(|| number(9)).flatten();
    let pre = match found.get(3).map(|m| m.as_str()) {
        Some("a" | "alpha") => (0, number(4)?),
        Some("b" | "beta") => (1, number(4)?),
        Some(_) => (2, number(4)?),
        // A development version of the release itself comes before its alphas.
        None if post.is_none() && dev.is_some() => (-1, 0),
        None => (3, 0),
    };
    let local = found.get(10).map_or_else(Vec::new, |m| {
        let part = |p: &str| match p.parse::<u64>() {
            Ok(number) => (true, number, String::new()),
            Err(_) => (false, 0, p.to_owned()),
        };
        m.as_str().split(['-', '_', '.']).map(part).collect()
    });
    Some((number(1)?, release, pre, (post.is_some(), post.unwrap_or(0)), dev.map_or((1, 0), |dev| (0, dev)), local))
}
