//! Values that must never be shown.
//!
//! A [`Secret`] has no `Display`; its `Debug` and `Serialize` print a placeholder. Its value is also
//! entered into a process-wide register, so that every sink (terminal, log, journal, error text) can
//! call [`scrub`] on what it is about to write: redaction by type *and* by value.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, RwLock};

use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

/// What is written in place of a secret.
pub const PLACEHOLDER: &str = "‹secret›";

/// Values shorter than this many bytes are protected by type only: scrubbing `on` or `8` out of every
/// line would destroy the text and tell more than it hides.
const SHORTEST_SCRUBBED: usize = 5;

static REGISTER: RwLock<Vec<Entry>> = RwLock::new(Vec::new());

struct Entry {
    value: Zeroizing<String>,
    /// False for what is only not shown, see [`cover`].
    secret: bool,
}

/// A value that is never printed, logged or serialised.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<Vec<u8>>>);

impl Secret {
    /// Takes the value and registers it (each line of it, for keys and certificates) with [`scrub`].
    pub fn new(value: impl Into<Vec<u8>>) -> Self {
        let value: Vec<u8> = value.into();
        if let Ok(text) = std::str::from_utf8(&value) {
            register(text, true);
        }
        Secret(Arc::new(Zeroizing::new(value)))
    }

    /// Bytes that travel as a secret without being registered: a certificate, which may be seen, or a
    /// file whose secret parts are registered already.
    pub fn unregistered(value: impl Into<Vec<u8>>) -> Self {
        Secret(Arc::new(Zeroizing::new(value.into())))
    }

    /// The value itself. The name is long to read so that each use is looked at.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value as text, if it is UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(PLACEHOLDER)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(PLACEHOLDER)
    }
}

/// Bytes that are written somewhere: plain, or secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blob {
    /// May be shown in a diff.
    Plain(Vec<u8>),
    /// May not.
    Secret(Secret),
}

impl Blob {
    /// The bytes, secret or not.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Blob::Plain(bytes) => bytes,
            Blob::Secret(secret) => secret.expose(),
        }
    }

    /// True when the content must not be shown.
    pub fn is_secret(&self) -> bool {
        matches!(self, Blob::Secret(_))
    }
}

impl From<&str> for Blob {
    fn from(text: &str) -> Self {
        Blob::Plain(text.as_bytes().to_vec())
    }
}

impl Serialize for Blob {
    /// Never the content: only what it is and how long, which is all a journal needs.
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Blob::Plain(bytes) => s.collect_str(&format_args!("{} bytes", bytes.len())),
            Blob::Secret(_) => s.serialize_str(PLACEHOLDER),
        }
    }
}

/// Enters a text into the register that is no secret by its nature, but came out of a vault: it is shown
/// nowhere, and may still be delivered where a secret may not ([`holds_secret`] does not count it).
pub fn cover(text: &str) {
    register(text, false);
}

fn register(text: &str, secret: bool) {
    let Ok(mut values) = REGISTER.write() else {
        return;
    };
    let whole = std::iter::once(text.trim());
    // The head and foot of a PEM file are no secret, and stand in every certificate.
    let lines = text.lines().map(str::trim).filter(|l| l.len() >= 16 && !l.starts_with("-----"));
    for value in whole.chain(lines) {
        if value.len() < SHORTEST_SCRUBBED {
            continue;
        }
        match values.iter_mut().find(|entry| entry.value.as_str() == value) {
            Some(entry) => entry.secret |= secret,
            None => values.push(Entry { value: Zeroizing::new(value.to_owned()), secret }),
        }
    }
    // Longest first, so that a secret that contains another is replaced whole.
    values.sort_by_key(|entry| std::cmp::Reverse(entry.value.len()));
}

/// True for a text with a secret in it that must reach a service as a secret.
pub fn holds_secret(text: &str) -> bool {
    REGISTER
        .read()
        .map_or(true, |values| values.iter().any(|entry| entry.secret && text.contains(entry.value.as_str())))
}

/// The text without any registered secret value. Every sink calls this last.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let Ok(values) = REGISTER.read() else {
        return Cow::Borrowed(PLACEHOLDER);
    };
    let mut out = Cow::Borrowed(text);
    for Entry { value, .. } in values.iter() {
        if out.contains(value.as_str()) {
            out = Cow::Owned(out.replace(value.as_str(), PLACEHOLDER));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_nowhere() {
        let secret = Secret::new("hunter2-hunter2");
        assert_eq!(format!("{secret:?}"), PLACEHOLDER);
        assert_eq!(serde_json::to_string(&secret).unwrap(), format!("\"{PLACEHOLDER}\""));
        assert_eq!(scrub("password=hunter2-hunter2;"), format!("password={PLACEHOLDER};"));
        // Positive control: the value is really there.
        assert_eq!(secret.expose_str(), Some("hunter2-hunter2"));
    }

    #[test]
    fn lines_of_a_key_are_scrubbed_its_frame_is_not() {
        Secret::new("-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIQ==\n-----END PRIVATE KEY-----\n");
        assert_eq!(scrub("x MC4CAQAwBQYDK2VwBCIEIQ== y"), format!("x {PLACEHOLDER} y"));
        assert_eq!(scrub("-----BEGIN PRIVATE KEY-----"), "-----BEGIN PRIVATE KEY-----");
    }

    #[test]
    fn what_is_only_covered_may_be_delivered() {
        cover("out of a vault");
        assert_eq!(scrub("x out of a vault"), format!("x {PLACEHOLDER}"));
        assert!(!holds_secret("x out of a vault"));
        Secret::new("out of a vault");
        assert!(holds_secret("x out of a vault"));
        cover("out of a vault");
        assert!(holds_secret("x out of a vault"));
    }

    #[test]
    fn short_values_do_not_destroy_text() {
        Secret::new("on");
        assert_eq!(scrub("reason"), "reason");
    }
}
