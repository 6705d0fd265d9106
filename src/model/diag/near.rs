//! The right name for a wrong one.

use std::borrow::Cow;

/// The name nearest to `wanted`, at most two letters away (one for names of four letters or fewer).
pub fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = if wanted.chars().count() <= 4 { 1 } else { 2 };
    nearest_within(wanted, names, limit)
}

/// The name nearest to `wanted`, at most `limit` letters away.
pub fn nearest_within<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>, limit: usize) -> Option<&'a str> {
    names
        .into_iter()
        .filter(|name| name.len().abs_diff(wanted.len()) <= limit * 4)
        .map(|name| (strsim::osa_distance(wanted, name), name))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, name)| (*distance, *name))
        .map(|(_, name)| name)
}

/// A text cut to a length fit for a message.
pub fn shorten(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        None => Cow::Borrowed(text),
        Some((at, _)) => Cow::Owned(format!("{}…", &text[..at])),
    }
}
