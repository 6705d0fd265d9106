//! Nodes to JSON and back.

use std::sync::Arc;

use serde_json::{Map, Number, Value as Json};

use super::node::{Mapping, Node, Value};
use crate::diag::Span;

/// Stands before a number that `serde_json` cannot hold; no text may contain it.
pub(crate) const BARE: char = '\u{10fffe}';

impl Node {
    /// As JSON: dates as text, binary as text if it is UTF-8, vault values as `{"__ansible_vault": …}`,
    /// keys as Python's `json.dumps` prints them. A number JSON does not know becomes text.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(number) => Json::from(*number),
            Value::BigInt(text) => text.parse::<u64>().map_or_else(|_| Json::from(&**text), Json::from),
            Value::Float(number) => {
                Number::from_f64(*number).map_or_else(|| Json::from(python_float(*number)), Json::Number)
            }
            Value::Str(text) | Value::Timestamp(text) => Json::from(&**text),
            Value::Binary(bytes) => Json::from(String::from_utf8_lossy(bytes)),
            Value::Vault(text) => Json::Object(Map::from_iter([("__ansible_vault".to_owned(), Json::from(&**text))])),
            Value::Seq(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(map) => {
                Json::Object(map.iter().map(|entry| (entry.key.key_text(), entry.value.to_json())).collect())
            }
        }
    }

    /// As [`Node::to_json`], but as `ansible-inventory` lists it: texts that are never templated are
    /// `{"__ansible_unsafe": …}`, and numbers JSON does not know are written bare (see [`BARE`]).
    pub(crate) fn to_listing(&self) -> Json {
        self.listing(true)
    }

    /// The same as `--host` prints it, which does not mark texts that are never templated.
    pub(crate) fn to_host_listing(&self) -> Json {
        self.listing(false)
    }

    fn listing(&self, mark: bool) -> Json {
        match &self.value {
            Value::Str(text) if self.raw && mark => {
                Json::Object(Map::from_iter([("__ansible_unsafe".to_owned(), Json::from(&**text))]))
            }
            Value::BigInt(text) => Json::from(format!("{BARE}{text}")),
            Value::Float(number) if !number.is_finite() => Json::from(match number {
                n if n.is_nan() => format!("{BARE}NaN"),
                n if *n > 0.0 => format!("{BARE}Infinity"),
                _ => format!("{BARE}-Infinity"),
            }),
            Value::Seq(items) => Json::Array(items.iter().map(|item| item.listing(mark)).collect()),
            Value::Map(map) => Json::Object(map.iter().map(|e| (e.key.key_text(), e.value.listing(mark))).collect()),
            _ => self.to_json(),
        }
    }

    /// The same for `-y`: dates and vault values keep what they are in YAML.
    pub(crate) fn to_yaml_listing(&self) -> Json {
        match &self.value {
            Value::Str(text) => Json::from(&**text),
            Value::Timestamp(text) => Json::from(format!("{BARE}{}", text.replacen('T', " ", 1))),
            Value::Vault(text) => Json::from(format!("{BARE}!vault {}", Json::from(&**text))),
            Value::Seq(items) => Json::Array(items.iter().map(Node::to_yaml_listing).collect()),
            Value::Map(map) => {
                Json::Object(map.iter().map(|e| (e.key.key_text(), e.value.to_yaml_listing())).collect())
            }
            _ => self.to_listing(),
        }
    }

    /// The text of a mapping's key as Python's `json.dumps` prints it.
    pub fn key_text(&self) -> String {
        match &self.value {
            Value::Null => "null".to_owned(),
            Value::Bool(value) => value.to_string(),
            Value::Timestamp(text) => text.to_string(),
            _ => self.scalar_text().unwrap_or_default(),
        }
    }

    /// From JSON; every node gets the same span.
    pub fn from_json(json: &Json, span: Span) -> Node {
        let value = match json {
            Json::Null => Value::Null,
            Json::Bool(value) => Value::Bool(*value),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(int), _) => Value::Int(int),
                (None, _) if number.is_u64() => Value::BigInt(Arc::from(number.to_string())),
                (None, Some(float)) => Value::Float(float),
                (None, None) => Value::Null,
            },
            Json::String(text) => Value::Str(Arc::from(text.as_str())),
            Json::Array(items) => Value::Seq(Arc::new(items.iter().map(|item| Node::from_json(item, span)).collect())),
            Json::Object(map) => {
                let pair = |(key, value): (&String, &Json)| {
                    let key = Node { value: Value::Str(Arc::from(key.as_str())), span, raw: false };
                    (key, Node::from_json(value, span))
                };
                Value::Map(Arc::new(map.iter().map(pair).collect::<Mapping>()))
            }
        };
        Node { value, span, raw: false }
    }
}

/// A float as Python's `repr` prints it.
pub(crate) fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, digits) = match exponent.strip_prefix('-') {
            Some(digits) => ('-', digits),
            None => ('+', exponent),
        };
        return format!("{mantissa}e{sign}{digits:0>2}");
    }
    if number.fract() == 0.0 { format!("{number:.1}") } else { number.to_string() }
}
