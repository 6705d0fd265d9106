//! `hash`, `checksum`, `md5`, `sha1`, `to_uuid`.

use std::fmt::Write;

use minijinja::{Environment, Error, Value};
use sha2::Digest;

use super::filter;
use crate::template::args::refuse;
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter(env, names, "hash", "hashtype", |value, args| {
        hash(&python::checked_text(&value)?, &args.text("hashtype")?.unwrap_or_else(|| "sha1".into())).map(Value::from)
    });
    filter(env, names, "checksum", "", |value, _| hash(&python::checked_text(&value)?, "sha1").map(Value::from));
    filter(env, names, "sha1", "", |value, _| hash(&python::checked_text(&value)?, "sha1").map(Value::from));
    filter(env, names, "md5", "", |value, _| hash(&python::checked_text(&value)?, "md5").map(Value::from));
    filter(env, names, "to_uuid", "namespace", |value, args| {
        uuid(&python::checked_text(&value)?, args.given("namespace")).map(Value::from)
    });
}

/// What `hashlib` calls them.
const KINDS: &str = "md5, sha1, sha224, sha256, sha384, sha512, sha512_256";

fn hash(text: &str, kind: &str) -> Result<String, Error> {
    let bytes = text.as_bytes();
    Ok(match kind.to_ascii_lowercase().as_str() {
        "md5" => hex(&md5::Md5::digest(bytes)),
        "sha1" => hex(&sha1::Sha1::digest(bytes)),
        "sha224" => hex(&sha2::Sha224::digest(bytes)),
        "sha256" => hex(&sha2::Sha256::digest(bytes)),
        "sha384" => hex(&sha2::Sha384::digest(bytes)),
        "sha512" => hex(&sha2::Sha512::digest(bytes)),
        "sha512_256" => hex(&sha2::Sha512_256::digest(bytes)),
        _ => return Err(refuse(format!("there is no hash `{kind}` here; there are {KINDS}"))),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// Ansible's namespace for UUIDs.
const NAMESPACE: &str = "361E6D51-FAEC-444A-9079-341386DA8E2E";

/// Version 5: of a namespace and a name.
fn uuid(name: &str, namespace: Option<&Value>) -> Result<String, Error> {
    let namespace = match namespace {
        None => NAMESPACE.to_owned(),
        Some(value) => value.as_str().ok_or_else(|| refuse("`namespace` of `to_uuid` must be a UUID"))?.to_owned(),
    };
    let bare: String =
        namespace.replace("urn:", "").replace("uuid:", "").chars().filter(|c| !"{}-".contains(*c)).collect();
    let number = u128::from_str_radix(&bare, 16).ok().filter(|_| bare.len() == 32);
    let number = number.ok_or_else(|| refuse(format!("`{namespace}` is no UUID")))?;
    let hash = sha1::Sha1::new().chain_update(number.to_be_bytes()).chain_update(name).finalize();
    let mut bytes: [u8; 16] = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    Ok(format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]))
}
