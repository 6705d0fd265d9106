//! What a scalar means: PyYAML's implicit resolver and constructors, rule for rule.

use std::sync::Arc;

use super::node::Value;
use super::timestamp;

/// A plain scalar without a tag. An error is what PyYAML's constructor would fail with, in words.
pub(super) fn plain(text: &str) -> Result<Value, String> {
    match implicit(text) {
        Implicit::Null => Ok(Value::Null),
        Implicit::Bool => bool(text),
        Implicit::Float => float(text),
        Implicit::Int => int(text),
        Implicit::Timestamp => timestamp::construct(text),
        Implicit::Merge => Err("`<<` merges a mapping and can only be a key; put it in quotes to mean the text".into()),
        Implicit::Equals => Err("a lone `=` has a special meaning in YAML 1.1; put it in quotes".into()),
        Implicit::Str => Ok(Value::Str(Arc::from(text))),
    }
}

/// The type a plain scalar resolves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Implicit {
    Null,
    Bool,
    Int,
    Float,
    Timestamp,
    Merge,
    Equals,
    Str,
}

/// PyYAML's resolver looks at the first character, then at its expressions in this order.
pub(super) fn implicit(text: &str) -> Implicit {
    match text.as_bytes().first() {
        None => Implicit::Null,
        Some(b'~' | b'n' | b'N') if matches!(text, "~" | "null" | "Null" | "NULL") => Implicit::Null,
        Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O') if is_bool(text) => Implicit::Bool,
        Some(b'<') if text == "<<" => Implicit::Merge,
        Some(b'=') if text == "=" => Implicit::Equals,
        Some(b'-' | b'+' | b'.' | b'0'..=b'9') => {
            if is_float(text) {
                Implicit::Float
            } else if is_int(text) {
                Implicit::Int
            } else if timestamp::looks_like(text) {
                Implicit::Timestamp
            } else {
                Implicit::Str
            }
        }
        _ => Implicit::Str,
    }
}

fn is_bool(text: &str) -> bool {
    const WORDS: [&str; 6] = ["yes", "no", "true", "false", "on", "off"];
    WORDS.iter().any(|word| {
        text == *word
            || text == word.to_uppercase()
            || (text[1..] == word[1..] && text[..1] == word[..1].to_uppercase())
    })
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['-', '+']).unwrap_or(text)
}

fn digits_or_bar(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_digit() || b == b'_')
}

/// `[0-9][0-9_]*`
fn number(text: &str) -> bool {
    text.as_bytes().first().is_some_and(u8::is_ascii_digit) && digits_or_bar(text)
}

/// `(?::[0-5]?[0-9])+`, given what stands between the colons.
fn sixties<'a>(mut parts: impl Iterator<Item = &'a str>) -> bool {
    parts.all(|part| match part.as_bytes() {
        [d] => d.is_ascii_digit(),
        [t, d] => (b'0'..=b'5').contains(t) && d.is_ascii_digit(),
        _ => false,
    })
}

fn is_float(text: &str) -> bool {
    let body = unsigned(text);
    if matches!(body, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let Some((whole, fraction)) = body.split_once('.') else {
        return false;
    };
    if let Some((first, rest)) = whole.split_once(':') {
        return number(first) && sixties(rest.split(':')) && digits_or_bar(fraction);
    }
    let (fraction, exponent) = match fraction.find(['e', 'E']) {
        Some(at) => (&fraction[..at], Some(&fraction[at + 1..])),
        None => (fraction, None),
    };
    // The exponent must have a sign: `1.5e3` is text.
    let exponent_fits = exponent.is_none_or(|e| {
        e.strip_prefix(['-', '+']).is_some_and(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))
    });
    let mantissa_fits = if whole.is_empty() {
        // `.5`, but not `-.5`.
        body.len() == text.len() && number(fraction)
    } else {
        number(whole) && digits_or_bar(fraction)
    };
    mantissa_fits && exponent_fits
}

fn is_int(text: &str) -> bool {
    let body = unsigned(text);
    let all = |rest: &str, fits: fn(u8) -> bool| !rest.is_empty() && rest.bytes().all(|b| fits(b) || b == b'_');
    if let Some(rest) = body.strip_prefix("0b") {
        return all(rest, |b| b == b'0' || b == b'1');
    }
    if let Some(rest) = body.strip_prefix("0x") {
        return all(rest, |b| b.is_ascii_hexdigit());
    }
    if let Some(rest) = body.strip_prefix('0') {
        return rest.is_empty() || all(rest, |b| (b'0'..=b'7').contains(&b));
    }
    match body.split_once(':') {
        Some((first, rest)) => number(first) && sixties(rest.split(':')),
        None => number(body),
    }
}

/// `!!bool`.
pub(super) fn bool(text: &str) -> Result<Value, String> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" => Ok(Value::Bool(true)),
        "no" | "false" | "off" => Ok(Value::Bool(false)),
        _ => Err(format!("`{text}` is no boolean")),
    }
}

/// `!!int`.
pub(super) fn int(text: &str) -> Result<Value, String> {
    let wrong = || format!("`{text}` is no whole number");
    let bare = text.replace('_', "");
    let negative = bare.starts_with('-');
    let body = unsigned(&bare);
    let radix = |digits: &str, radix: u32| -> Result<Value, String> {
        if digits.is_empty() || digits.starts_with(['-', '+']) {
            return Err(wrong());
        }
        match i128::from_str_radix(digits, radix) {
            Ok(number) => Ok(from_i128(if negative { -number } else { number })),
            Err(_) if radix == 10 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                let sign = if negative { "-" } else { "" };
                Ok(Value::BigInt(Arc::from(format!("{sign}{}", digits.trim_start_matches('0')))))
            }
            Err(_) if digits.chars().all(|c| c.is_digit(radix)) => Err(format!("`{text}` is too large a number")),
            Err(_) => Err(wrong()),
        }
    };
    if body == "0" {
        Ok(Value::Int(0))
    } else if let Some(digits) = body.strip_prefix("0b") {
        radix(digits, 2)
    } else if let Some(digits) = body.strip_prefix("0x") {
        radix(digits, 16)
    } else if body.starts_with('0') {
        radix(body, 8)
    } else if body.contains(':') {
        let mut total: i128 = 0;
        for part in body.split(':') {
            let part: i128 = part.parse().map_err(|_| wrong())?;
            total = total.checked_mul(60).and_then(|t| t.checked_add(part)).ok_or_else(wrong)?;
        }
        Ok(from_i128(if negative { -total } else { total }))
    } else {
        radix(body, 10)
    }
}

fn from_i128(number: i128) -> Value {
    match i64::try_from(number) {
        Ok(small) => Value::Int(small),
        Err(_) => Value::BigInt(Arc::from(number.to_string())),
    }
}

/// `!!float`.
pub(super) fn float(text: &str) -> Result<Value, String> {
    let wrong = || format!("`{text}` is no number");
    let bare = text.replace('_', "").to_lowercase();
    let sign = if bare.starts_with('-') { -1.0 } else { 1.0 };
    let body = unsigned(&bare);
    let value = if body == ".inf" {
        f64::INFINITY
    } else if body == ".nan" {
        f64::NAN
    } else if body.contains(':') {
        let mut total = 0.0;
        let mut base = 1.0;
        for part in body.rsplit(':') {
            total += part.parse::<f64>().map_err(|_| wrong())? * base;
            base *= 60.0;
        }
        total
    } else {
        body.parse::<f64>().map_err(|_| wrong())?
    };
    Ok(Value::Float(sign * value))
}
