//! Filters to and from JSON, YAML, base64 and hashes.

use std::fmt::Write;

use base64::Engine;
use minijinja::value::Kwargs;
use minijinja::{Environment, Error, Value};
use sha2::Digest;

use super::{filter, refuse};
use crate::template::{json, python, yaml_text};
use crate::yaml;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter!(env, names, "to_json", to_json);
    filter!(env, names, "to_nice_json", to_nice_json);
    filter!(env, names, "from_json", from_json);
    filter!(env, names, "to_yaml", |value: Value, _o: Kwargs| yaml_text::emit(
        &crate::template::to_json(&value),
        2,
        true
    ));
    filter!(env, names, "to_nice_yaml", to_nice_yaml);
    filter!(env, names, "from_yaml", from_yaml);
    filter!(env, names, "b64encode", |value: Value| base64::engine::general_purpose::STANDARD
        .encode(python::text(&value)));
    filter!(env, names, "b64decode", b64decode);
    filter!(env, names, "hash", |value: Value, kind: Option<String>| hash(
        &python::text(&value),
        kind.as_deref().unwrap_or("sha1")
    ));
    filter!(env, names, "checksum", |value: Value| hash(&python::text(&value), "sha1"));
    filter!(env, names, "sha1", |value: Value| hash(&python::text(&value), "sha1"));
}

fn to_json(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent = options.get::<Option<usize>>("indent")?;
    let sort = options.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let ascii = options.get::<Option<bool>>("ensure_ascii")?.unwrap_or(true);
    Ok(json::dump(&crate::template::to_json(&value), json::Style { indent: indent.map(|n| n.min(16)), sort, ascii }))
}

fn to_nice_json(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent = options.get::<Option<usize>>("indent")?.unwrap_or(4).min(16);
    let sort = options.get::<Option<bool>>("sort_keys")?.unwrap_or(true);
    Ok(json::dump(&crate::template::to_json(&value), json::Style { indent: Some(indent), sort, ascii: true }))
}

fn from_json(text: String) -> Result<Value, Error> {
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| refuse(format!("this is no JSON: {e}")))?;
    Ok(crate::template::from_json(&value))
}

fn to_nice_yaml(value: Value, options: Kwargs) -> Result<String, Error> {
    let indent = options.get::<Option<usize>>("indent")?.unwrap_or(4).clamp(1, 10);
    Ok(yaml_text::emit(&crate::template::to_json(&value), indent, false))
}

fn from_yaml(text: String) -> Result<Value, Error> {
    let node = yaml::parse_str(&text).map_err(|e| refuse(format!("this is no YAML: {}", e.message)))?;
    Ok(crate::template::scope_plain(&node))
}

fn b64decode(text: String) -> Result<String, Error> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes =
        base64::engine::general_purpose::STANDARD.decode(bare).map_err(|_| refuse("this is no valid base64"))?;
    String::from_utf8(bytes).map_err(|_| refuse("the decoded bytes are no UTF-8 text"))
}

fn hash(text: &str, kind: &str) -> Result<String, Error> {
    let bytes = text.as_bytes();
    Ok(match kind {
        "sha224" => hex(&sha2::Sha224::digest(bytes)),
        "sha256" => hex(&sha2::Sha256::digest(bytes)),
        "sha384" => hex(&sha2::Sha384::digest(bytes)),
        "sha512" => hex(&sha2::Sha512::digest(bytes)),
        "sha1" => hex(&sha1(bytes)),
        other => {
            return Err(refuse(format!(
                "there is no hash `{other}` here; there are sha1, sha224, sha256, sha384, sha512"
            )));
        }
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// SHA-1, which Ansible's `hash` and `checksum` take by default; for file names and comparisons, never
/// for anything that must be safe.
fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut state: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let mut message = bytes.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    message.extend_from_slice(&(bytes.len() as u64).wrapping_mul(8).to_be_bytes());
    for block in message.chunks_exact(64) {
        let mut words = [0_u32; 80];
        for (word, four) in words.iter_mut().zip(block.chunks_exact(4)) {
            *word = four.iter().fold(0, |w, b| (w << 8) | u32::from(*b));
        }
        for i in 16..80 {
            words[i] = (words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, word) in words.iter().enumerate() {
            let (f, k) = match i {
                0..20 => ((b & c) | (!b & d), 0x5A82_7999),
                20..40 => (b ^ c ^ d, 0x6ED9_EBA1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
                _ => (b ^ c ^ d, 0xCA62_C1D6_u32),
            };
            let next = a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (slot, value) in state.iter_mut().zip([a, b, c, d, e]) {
            *slot = slot.wrapping_add(value);
        }
    }
    let mut out = [0; 20];
    for (four, word) in out.chunks_exact_mut(4).zip(state) {
        four.copy_from_slice(&word.to_be_bytes());
    }
    out
}
