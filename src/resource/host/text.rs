//! The content of a file, as shown in a plan.

use reemo_model::change::FieldDiff;
use reemo_model::op::Expect;
use reemo_model::secret::{Blob, PLACEHOLDER};
use sha2::{Digest, Sha256};
use similar::TextDiff;

/// Files up to this size, in bytes, are shown line by line.
pub(super) const SHOWN: usize = 64 * 1024;
/// Above this many pairs of lines a comparison takes longer than anybody would wait for it.
const COMPARED: usize = 25_000_000;

/// Lower-case hexadecimal SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

/// A precondition on what was seen.
pub(super) fn expect(seen: Option<&str>) -> Expect {
    match seen {
        None => Expect::Absent,
        Some(sha) => Expect::Sha256(sha.to_owned()),
    }
}

/// The `content` field of a file. `was` is its checksum, size, and content as far as it was sent.
pub(super) fn content_field(path: &str, was: Option<Seen<'_>>, wanted: &Blob) -> FieldDiff {
    if wanted.is_secret() {
        // Not even the checksum: that of a short password can be guessed.
        let was = was.map(|_| PLACEHOLDER.to_owned());
        return FieldDiff::new("content", was, Some(PLACEHOLDER.to_owned()));
    }
    let old = match was {
        None => Some(&[][..]),
        Some(seen) => seen.content,
    };
    let text = old.and_then(|old| unified(path, was.is_none(), old, wanted.bytes()));
    let was = was.map(|seen| summary(seen.size, seen.sha256));
    let mut field = FieldDiff::new("content", was, Some(summary(wanted.bytes().len() as u64, &sha256(wanted.bytes()))));
    field.text = text;
    field
}

/// What was seen of a file's content.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub size: u64,
    pub sha256: &'a str,
    pub content: Option<&'a [u8]>,
}

fn summary(size: u64, sha256: &str) -> String {
    format!("{size} bytes, sha256 {}", &sha256[..sha256.len().min(12)])
}

/// A unified diff, if both sides are text of a size that can be shown.
fn unified(path: &str, new: bool, was: &[u8], wanted: &[u8]) -> Option<String> {
    let was = shown(was)?;
    let wanted = shown(wanted)?;
    if was.lines().count().saturating_mul(wanted.lines().count()) > COMPARED {
        return None;
    }
    let from = if new { "/dev/null" } else { path };
    Some(TextDiff::from_lines(&was, &wanted).unified_diff().header(from, path).to_string())
}

/// The bytes as text that does nothing to a terminal.
fn shown(bytes: &[u8]) -> Option<String> {
    if bytes.len() > SHOWN {
        return None;
    }
    let text = std::str::from_utf8(bytes).ok()?;
    if text.contains('\0') {
        return None;
    }
    Some(text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { '\u{fffd}' } else { c }).collect())
}
