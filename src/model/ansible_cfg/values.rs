//! What the text of a setting means, by its type in Ansible.

use std::path::{Path, PathBuf};

use super::{Around, Raw};
use crate::inventory::without_dots;
use crate::secret::Secret;

/// Text; in the file, quotes around it are taken off.
pub(super) fn text(raw: &Raw, _: &Around) -> Result<String, String> {
    Ok(if raw.from_file { unquoted(&raw.text).to_owned() } else { raw.text.clone() })
}

/// Text that is never shown.
pub(super) fn secret(raw: &Raw, around: &Around) -> Result<Secret, String> {
    text(raw, around).map(Secret::new)
}

/// Ansible takes any other word for "no"; here it is refused.
pub(super) fn boolean(raw: &Raw, around: &Around) -> Result<bool, String> {
    match text(raw, around)?.to_lowercase().as_str() {
        "y" | "yes" | "on" | "1" | "true" | "t" | "1.0" => Ok(true),
        "n" | "no" | "off" | "0" | "false" | "f" | "0.0" => Ok(false),
        other => Err(format!("is `{other}`, expected true or false")),
    }
}

/// A whole number that fits.
pub(super) fn number<T: std::str::FromStr>(raw: &Raw, _: &Around) -> Result<T, String> {
    let text = raw.text.trim();
    text.parse().map_err(|_| format!("is `{text}`, expected a whole number"))
}

/// Words separated by commas.
pub(super) fn list(raw: &Raw, _: &Around) -> Result<Vec<String>, String> {
    Ok(raw.text.split(',').map(|word| unquoted(word.trim()).to_owned()).collect())
}

/// Regular expressions separated by commas.
pub(super) fn patterns(raw: &Raw, around: &Around) -> Result<Vec<String>, String> {
    let all = list(raw, around)?;
    for one in &all {
        regex::Regex::new(one).map_err(|_| format!("has `{one}`, which is no regular expression"))?;
    }
    Ok(all)
}

/// A path; from the file, relative to the file.
pub(super) fn path(raw: &Raw, around: &Around) -> Result<PathBuf, String> {
    Ok(resolve(&text(raw, around)?, raw, around))
}

/// Inventories separated by commas. (`host1,host2` cannot be given here: Ansible takes each for a path.)
pub(super) fn sources(raw: &Raw, around: &Around) -> Result<Vec<String>, String> {
    let words = raw.text.split(',').map(str::trim).filter(|word| !word.is_empty());
    Ok(words.map(|word| resolve(word, raw, around).to_string_lossy().into_owned()).collect())
}

/// `merge` or `replace`.
pub(super) fn hash_behaviour(raw: &Raw, around: &Around) -> Result<bool, String> {
    match text(raw, around)?.as_str() {
        "merge" => Ok(true),
        "replace" => Ok(false),
        other => Err(format!("is `{other}`, expected `replace` or `merge`")),
    }
}

fn unquoted(text: &str) -> &str {
    let inside = |quote: char| {
        let inner = text.strip_prefix(quote)?.strip_suffix(quote)?;
        (!inner.is_empty() && !inner.ends_with('\\')).then_some(inner)
    };
    inside('"').or_else(|| inside('\'')).unwrap_or(text)
}

/// `{{CWD}}`, `$NAME`, `~`, and `..` taken out by the text alone, as Ansible's `unfrackpath`.
fn resolve(text: &str, raw: &Raw, around: &Around) -> PathBuf {
    let text = text.replace("{{CWD}}", &around.cwd.to_string_lossy());
    let text = variables(&text, around);
    let path = match text.strip_prefix('~') {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => around.home.join(rest.trim_start_matches('/')),
        _ => PathBuf::from(text),
    };
    let file = around.file.as_ref().map(|(file, _)| file).filter(|_| raw.from_file);
    let base = around.cwd.join(file.and_then(|f| f.parent()).unwrap_or(Path::new("")));
    without_dots(&base.join(path))
}

/// `$NAME` and `${NAME}`; one that is not set stays as it is written.
fn variables(text: &str, around: &Around) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let braced = after.strip_prefix('{').and_then(|a| a.split_once('}'));
        let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
        let (name, tail) = braced.unwrap_or_else(|| after.split_at(end));
        match around.env.get(name) {
            Some(value) => out.push_str(value),
            None => out.push_str(&rest[before.len()..rest.len() - tail.len()]),
        }
        rest = tail;
    }
    out + rest
}
