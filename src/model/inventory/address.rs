//! Host names and addresses as Ansible's `parse_address` takes them apart: name, IPv4, IPv6, each
//! possibly with ranges, and a port.

use std::sync::LazyLock;

use regex::Regex;

const HEX_RANGE: &str = r"\[(?:[0-9a-f]+:[0-9a-f]+)(?::[0-9]+)?\]";
const NUMBER_RANGE: &str = r"\[(?:[0-9]+:[0-9]+)(?::[0-9]+)?\]";

static IPV4: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let part = format!("(?:[01]?[0-9]{{1,2}}|2[0-4][0-9]|25[0-5]|{NUMBER_RANGE})");
    Regex::new(&format!(r"(?i)^(?:{part}\.){{3}}{part}$")).ok()
});

static IPV6: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let c = format!("(?:[0-9a-f]{{1,4}}|{HEX_RANGE})");
    let ways = [
        format!("(?:{c}:){{7}}{c}"),
        format!("(?:{c}:){{1,6}}:"),
        format!("(?:{c}:)(?::{c}){{1,6}}"),
        format!("(?:{c}:){{2}}(?::{c}){{1,5}}"),
        format!("(?:{c}:){{3}}(?::{c}){{1,4}}"),
        format!("(?:{c}:){{4}}(?::{c}){{1,3}}"),
        format!("(?:{c}:){{5}}(?::{c}){{1,2}}"),
        format!("(?:{c}:){{6}}(?::{c})"),
        format!(":(?::{c}){{1,6}}"),
        format!("{c}?::"),
        format!(r"(?:0:){{6}}(?:{c}\.){{3}}{c}"),
        format!(r"::(?:ffff:)?(?:{c}\.){{3}}{c}"),
        format!(r"(?:0:){{5}}ffff:(?:{c}\.){{3}}{c}"),
    ];
    Regex::new(&format!("(?i)^(?:{})$", ways.join("|"))).ok()
});

static BRACKETED: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\[(.+)\]:([0-9]+)$").ok());
static WITH_PORT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^((?:[^:\[\]]|\[[^\]]*\])*):([0-9]+)$").ok());
static RANGE: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"(?i)^\[(?:[a-z]:[a-z]|[0-9]+:[0-9]+)(?::[0-9]+)?\]").ok());

fn fits(regex: &LazyLock<Option<Regex>>, text: &str) -> bool {
    regex.as_ref().is_some_and(|r| r.is_match(text))
}

/// Host and port; `None` when it is neither a name nor an address.
pub(super) fn parse(text: &str, ranges: bool) -> Option<(String, Option<i64>)> {
    let mut host = text.to_owned();
    let mut port = None;
    for regex in [&BRACKETED, &WITH_PORT] {
        let found = regex.as_ref().and_then(|r| {
            r.captures(&host).map(|c| {
                (c.get(1).map_or("", |m| m.as_str()).to_owned(), c.get(2).map_or("", |m| m.as_str()).to_owned())
            })
        });
        if let Some((inner, number)) = found {
            // Ansible takes any number; one that no port can have fails when it is used.
            port = Some(number.parse::<i64>().ok()?);
            host = inner;
        }
    }
    let known = fits(&IPV4, &host) || fits(&IPV6, &host) || is_name(&host);
    (known && (ranges || !host.contains('['))).then_some((host, port))
}

/// True for an IPv4 or IPv6 address (no ranges).
pub(crate) fn is_ip(text: &str) -> bool {
    fits(&IPV4, text) || fits(&IPV6, text)
}

/// Labels of letters, digits, `_`, `-` and ranges; a label does not begin with `-` nor end with `-` or `_`.
fn is_name(text: &str) -> bool {
    let mut rest = text;
    let mut at_start = true;
    let mut last = '.';
    while let Some(c) = rest.chars().next() {
        if c == '[' {
            let Some(range) = RANGE.as_ref().and_then(|r| r.find(rest)) else {
                return false;
            };
            rest = &rest[range.end()..];
            last = ']';
            at_start = false;
            continue;
        }
        match c {
            '.' if at_start || matches!(last, '_' | '-') => return false,
            '.' => at_start = true,
            '-' if at_start => return false,
            c if c.is_alphanumeric() || matches!(c, '_' | '-') => at_start = false,
            _ => return false,
        }
        last = c;
        rest = &rest[c.len_utf8()..];
    }
    !at_start && !matches!(last, '_' | '-')
}
