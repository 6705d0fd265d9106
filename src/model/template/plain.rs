//! Nodes of YAML as values of the engine, without templating.

use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Object, ObjectRepr, ValueKind};
use serde_json::Value as Json;

use super::python::quoted;
use crate::yaml::{self, Node};

/// A mapping's key.
pub(super) fn key(node: &Node) -> Value {
    match &node.value {
        yaml::Value::Int(number) => Value::from(*number),
        yaml::Value::Bool(value) => Value::from(*value),
        yaml::Value::Str(text) => Value::from(&**text),
        _ => Value::from(node.key_text()),
    }
}

/// A vault value nobody opened, printed as Ansible prints it.
#[derive(Debug)]
struct Closed(String);

impl Object for Closed {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EncryptedString(ciphertext={})", quoted(&self.0))
    }
}

/// A node without templates.
pub(crate) fn plain(node: &Node) -> Value {
    match &node.value {
        yaml::Value::Null => Value::from(()),
        yaml::Value::Bool(value) => Value::from(*value),
        yaml::Value::Int(number) => Value::from(*number),
        yaml::Value::BigInt(text) => text.parse::<i128>().map_or_else(|_| Value::from(&**text), Value::from),
        yaml::Value::Float(number) => Value::from(*number),
        yaml::Value::Str(text) => Value::from(&**text),
        yaml::Value::Timestamp(_) => Value::from(node.scalar_text().unwrap_or_default()),
        yaml::Value::Binary(bytes) => Value::from(String::from_utf8_lossy(bytes).into_owned()),
        yaml::Value::Vault(armoured) => Value::from_object(Closed(armoured.to_string())),
        yaml::Value::Seq(items) => Value::from(items.iter().map(plain).collect::<Vec<_>>()),
        yaml::Value::Map(map) => Value::from_pairs(map.iter().map(|entry| (key(&entry.key), plain(&entry.value)))),
    }
}

/// A value as JSON; a number too large for it becomes a text that starts with [`yaml::BARE`], as does the
/// key of a mapping that is no text where `bare_keys` asks for that.
pub(super) fn json(value: &Value, bare_keys: bool, depth: usize) -> Json {
    let inner = |value: &Value| json(value, bare_keys, depth + 1);
    match value.kind() {
        _ if depth > 100 => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number if value.is_integer() => match i128::try_from(value.clone()) {
            Ok(number) => match (i64::try_from(number), u64::try_from(number)) {
                (Ok(number), _) => number.into(),
                (_, Ok(number)) => number.into(),
                _ => Json::String(format!("{}{number}", yaml::BARE)),
            },
            Err(_) => Json::String(format!("{}{value}", yaml::BARE)),
        },
        ValueKind::Number => {
            let number = f64::try_from(value.clone()).unwrap_or_default();
            serde_json::Number::from_f64(number).map_or_else(|| Json::String(bare_float(number)), Json::Number)
        }
        ValueKind::String => Json::String(value.as_str().unwrap_or_default().to_owned()),
        ValueKind::Seq | ValueKind::Iterable => {
            Json::Array(value.try_iter().into_iter().flatten().map(|item| inner(&item)).collect())
        }
        ValueKind::Map => {
            let entry = |key: Value| {
                let item = value.get_item(&key).unwrap_or_default();
                let name = match (key.as_str(), inner(&key)) {
                    (Some(text), _) => text.to_owned(),
                    (None, Json::String(bare)) => bare,
                    (None, plain) if bare_keys => format!("{}{plain}", yaml::BARE),
                    (None, plain) => plain.to_string(),
                };
                (name, inner(&item))
            };
            Json::Object(value.try_iter().into_iter().flatten().map(entry).collect())
        }
        ValueKind::Bytes => Json::String(String::from_utf8_lossy(value.as_bytes().unwrap_or_default()).into_owned()),
        ValueKind::Plain => Json::String(value.to_string()),
        _ => Json::Null,
    }
}

fn bare_float(number: f64) -> String {
    let name = if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    format!("{}{name}", yaml::BARE)
}
