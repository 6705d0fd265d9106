//! Dates and times of YAML 1.1, printed as Python's `isoformat()` does.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::node::Value;

/// PyYAML's implicit resolver; its constructor's expression accepts a little more, with a tag.
static IMPLICIT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{4}-[0-9][0-9]?-[0-9][0-9]?(?:[Tt]|[ \t]+)[0-9][0-9]?:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9][0-9]?(?::[0-9]{2})?))?)$",
    )
    .ok()
});

static PARTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"^([0-9]{4})-([0-9][0-9]?)-([0-9][0-9]?)(?:(?:[Tt]|[ \t]+)([0-9][0-9]?):([0-9]{2}):([0-9]{2})(?:\.([0-9]*))?(?:[ \t]*(Z|([-+])([0-9][0-9]?)(?::([0-9]{2}))?))?)?$",
    )
    .ok()
});

/// True when a plain scalar is a timestamp.
pub(super) fn looks_like(text: &str) -> bool {
    text.len() >= 8 && text.as_bytes().get(4) == Some(&b'-') && IMPLICIT.as_ref().is_some_and(|r| r.is_match(text))
}

/// The value of a timestamp.
pub(super) fn construct(text: &str) -> Result<Value, String> {
    let wrong = || format!("`{text}` looks like a date but is none; put it in quotes to mean the text");
    let parts = PARTS.as_ref().and_then(|r| r.captures(text)).ok_or_else(wrong)?;
    let part = |n: usize| parts.get(n).map(|m| m.as_str()).filter(|t| !t.is_empty());
    let number = |n: usize| part(n).and_then(|t| t.parse::<u32>().ok());
    let (year, month, day) = (number(1).ok_or_else(wrong)?, number(2).ok_or_else(wrong)?, number(3).ok_or_else(wrong)?);
    if year == 0 || !(1..=12).contains(&month) || day == 0 || day > days(year, month) {
        return Err(wrong());
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    let Some(hour) = number(4) else {
        return Ok(Value::Timestamp(Arc::from(date)));
    };
    let (minute, second) = (number(5).ok_or_else(wrong)?, number(6).ok_or_else(wrong)?);
    if hour > 23 || minute > 59 || second > 59 {
        return Err(wrong());
    }
    let mut out = format!("{date}T{hour:02}:{minute:02}:{second:02}");
    let micro: String = part(7).unwrap_or_default().chars().chain("000000".chars()).take(6).collect();
    if micro != "000000" {
        out.push('.');
        out.push_str(&micro);
    }
    if let Some(sign) = part(9) {
        let (hours, minutes) = (number(10).unwrap_or(0), number(11).unwrap_or(0));
        let total = hours * 60 + minutes;
        if total >= 24 * 60 {
            return Err(wrong());
        }
        let sign = if total == 0 { "+" } else { sign };
        out.push_str(&format!("{sign}{:02}:{:02}", total / 60, total % 60));
    } else if part(8).is_some() {
        out.push_str("+00:00");
    }
    Ok(Value::Timestamp(Arc::from(out)))
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}
