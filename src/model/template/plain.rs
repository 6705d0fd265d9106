//! Nodes of YAML as values of the engine, without templating.

use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Object, ObjectRepr};

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
