//! `/etc/os-release`: what a distribution says of itself.

use serde::{Deserialize, Serialize};

/// The fields that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OsRelease {
    /// `debian`, `ubuntu`, `rocky`, …
    pub id: String,
    /// What it resembles, nearest first.
    pub id_like: Vec<String>,
    /// `12`, `24.04`, `9.4`; empty on rolling distributions.
    pub version_id: String,
    /// For people: `Debian GNU/Linux 12 (bookworm)`.
    pub pretty_name: String,
}

impl OsRelease {
    /// Reads the file's text. Lines it does not know are passed over, as the format demands.
    pub fn parse(text: &str) -> OsRelease {
        let mut release = OsRelease::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once('=') else {
                continue;
            };
            let value = unquote(value.trim());
            match key.trim() {
                "ID" => release.id = value.to_lowercase(),
                "ID_LIKE" => release.id_like = value.split_whitespace().map(str::to_lowercase).collect(),
                "VERSION_ID" => release.version_id = value,
                "PRETTY_NAME" => release.pretty_name = value,
                _ => {}
            }
        }
        release
    }

    /// The number before the first dot of the version, if there is one.
    pub fn major(&self) -> Option<u32> {
        self.version_id.split('.').next()?.parse().ok()
    }
}

/// Takes the shell's quotes off, and the backslashes inside double quotes.
fn unquote(value: &str) -> String {
    if let Some(inner) = value.strip_prefix('\'').and_then(|v| v.strip_suffix('\'')) {
        return inner.to_owned();
    }
    let inner = value.strip_prefix('"').and_then(|v| v.strip_suffix('"')).unwrap_or(value);
    let mut out = String::new();
    let mut escaped = false;
    for c in inner.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_unknown_lines() {
        let text = "# a comment\nNAME=\"Rocky Linux\"\nID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\nVERSION_ID='9.4'\n\
                    PRETTY_NAME=\"say \\\"hi\\\"\"\nbroken\n";
        let release = OsRelease::parse(text);
        assert_eq!((release.id.as_str(), release.version_id.as_str(), release.major()), ("rocky", "9.4", Some(9)));
        assert_eq!(release.id_like, ["rhel", "centos", "fedora"]);
        assert_eq!(release.pretty_name, "say \"hi\"");
    }

    #[test]
    fn any_text_is_read_without_panic() {
        for text in ["", "=", "ID=", "ID=\"", "ID='", "ID=\"\\", "VERSION_ID=.", "\u{0}=\u{0}"] {
            let _ = OsRelease::parse(text).major();
        }
    }
}
