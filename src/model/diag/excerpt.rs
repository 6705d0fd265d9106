//! One line of source for a message, with what may be a secret taken out.
//!
//! A syntax error is found before anybody knows which variable is declared secret, so names that
//! sound like one are hidden too, and so is anything that looks like a key or a licence.

use std::collections::BTreeSet;

use crate::secret::PLACEHOLDER;

/// Parts of names whose values are hidden even when nothing is declared.
const SOUNDS_SECRET: [&str; 9] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "LICENSE", "LICENCE", "TOKEN", "PRIVATE_KEY", "_PASS"];

/// Line `index` (from 0) of the text.
pub(super) fn line(text: &str, index: usize, secret_names: &BTreeSet<String>) -> Option<String> {
    let line = text.split('\n').nth(index)?.trim_end_matches('\r');
    if inside_secret_block(text, index, secret_names) {
        let indent: String = line.chars().take_while(|c| c.is_whitespace()).collect();
        return Some(format!("{indent}{PLACEHOLDER}"));
    }
    Some(hide_long_tokens(&hide_values(line, secret_names)))
}

/// True for the lines of a block scalar (or a quoted text over several lines) of a secret.
fn inside_secret_block(text: &str, index: usize, names: &BTreeSet<String>) -> bool {
    let lines: Vec<&str> = text.split('\n').take(index + 1).collect();
    let Some(here) = lines.get(index) else {
        return false;
    };
    let depth = indent(here);
    for line in lines[..index].iter().rev().take(400) {
        if line.trim().is_empty() || indent(line) >= depth {
            continue;
        }
        return match key(line) {
            Some((name, value)) => {
                let value = value.trim();
                let opens = value.starts_with(['|', '>', '!', '"', '\'', '&']);
                is_secret(name, names) && (opens || (!value.is_empty() && !here.contains(": ")))
            }
            None => false,
        };
    }
    false
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// `  - NAME: value` → the name and what follows the colon.
fn key(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once([':', '='])?;
    Some((name.trim().trim_start_matches("- ").trim().trim_matches(['"', '\'']), value))
}

fn is_secret(name: &str, names: &BTreeSet<String>) -> bool {
    names.contains(name) || sounds_secret(name)
}

/// True for a name that sounds like a secret, whether it is declared or not.
pub fn sounds_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    // A path to a secret is no secret.
    !upper.ends_with("_FILE")
        && !upper.ends_with("_LENGTH")
        && !upper.starts_with("INIT_PASSWORD_REQUIRE")
        && SOUNDS_SECRET.iter().any(|part| upper.contains(part))
}

/// Replaces what follows `NAME:` or `NAME=` of each secret name on the line.
fn hide_values(line: &str, names: &BTreeSet<String>) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find([':', '=']) {
        let (head, tail) = rest.split_at(at);
        out.push_str(head);
        let name = head.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).find(|w| !w.is_empty());
        let value = &tail[1..];
        out.push_str(&tail[..1]);
        if name.is_some_and(|n| is_secret(n, names)) && !value.trim().is_empty() {
            let gap = &value[..indent(value)];
            out.push_str(gap);
            out.push_str(PLACEHOLDER);
            // In a flow mapping or a line of k=v more may follow, but where the value ends is not sure.
            return out;
        }
        rest = value;
    }
    out.push_str(rest);
    out
}

/// Hides words that look like base64 of some length: keys, licences, certificates.
fn hide_long_tokens(line: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '=' | '/');
    let mut out = String::new();
    let mut word = String::new();
    let flush = |word: &mut String, out: &mut String| {
        let mixed = word.chars().any(|c| c.is_ascii_digit()) && word.chars().any(|c| c.is_ascii_alphabetic());
        let path = word.matches('/').count() > word.len() / 12;
        if word.len() >= 40 && mixed && !path {
            out.push_str(PLACEHOLDER);
        } else {
            out.push_str(word);
        }
        word.clear();
    };
    for c in line.chars() {
        if is_token(c) {
            word.push(c);
        } else {
            flush(&mut word, &mut out);
            out.push(c);
        }
    }
    flush(&mut word, &mut out);
    out
}
