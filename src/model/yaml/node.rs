//! A value with the place it was written at.

use std::sync::Arc;

use crate::diag::Span;

/// A node of a document. Cheap to clone: what is under an alias is shared.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it stands; `Span::default()` for a value nobody wrote.
    pub span: Span,
    /// Tagged `!unsafe`, or below such a node: never templated.
    pub raw: bool,
}

/// What a node may be, after PyYAML's YAML 1.1 rules.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing.
    Null,
    /// `yes`, `on`, `true`, …
    Bool(bool),
    /// An integer that fits.
    Int(i64),
    /// An integer that does not fit, in decimal.
    BigInt(Arc<str>),
    /// A float; also infinite or not a number.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// A date or a time, as Python's `isoformat()` prints it.
    Timestamp(Arc<str>),
    /// `!!binary`.
    Binary(Arc<[u8]>),
    /// `!vault`: the armoured text.
    Vault(Arc<str>),
    /// A list.
    Seq(Arc<Vec<Node>>),
    /// A mapping.
    Map(Arc<Mapping>),
}

/// A mapping in the order of the file; keys are unique.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Mapping {
    pub(super) entries: Vec<Entry>,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key; mostly text, but YAML allows any scalar.
    pub key: Node,
    /// The value.
    pub value: Node,
}

impl Mapping {
    /// Entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True for `{}`.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The value under a text key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Key and value under a text key.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.as_str() == Some(key))
    }
}

impl FromIterator<(Node, Node)> for Mapping {
    fn from_iter<I: IntoIterator<Item = (Node, Node)>>(pairs: I) -> Self {
        Mapping { entries: pairs.into_iter().map(|(key, value)| Entry { key, value }).collect() }
    }
}

impl<'a> IntoIterator for &'a Mapping {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl Node {
    /// A value that stands nowhere.
    pub fn new(value: Value) -> Self {
        Node { value, span: Span::default(), raw: false }
    }

    /// Null.
    pub fn null() -> Self {
        Node::new(Value::Null)
    }

    /// Text that stands nowhere.
    pub fn str(text: impl Into<Arc<str>>) -> Self {
        Node::new(Value::Str(text.into()))
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The mapping.
    pub fn as_map(&self) -> Option<&Mapping> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The list.
    pub fn as_seq(&self) -> Option<&[Node]> {
        match &self.value {
            Value::Seq(items) => Some(items),
            _ => None,
        }
    }

    /// The value under a text key, if this is a mapping.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.as_map()?.get(key)
    }

    /// True for null.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// What it is, in words: `a list`.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::BigInt(_) => "a whole number",
            Value::Float(_) => "a number",
            Value::Str(_) => "text",
            Value::Timestamp(_) => "a date",
            Value::Binary(_) => "binary data",
            Value::Vault(_) => "a vault-encrypted value",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The text of a scalar as Python's `str()` gives it; `None` for a list, a mapping or a vault value.
    pub fn scalar_text(&self) -> Option<String> {
        Some(match &self.value {
            Value::Null => "None".to_owned(),
            Value::Bool(true) => "True".to_owned(),
            Value::Bool(false) => "False".to_owned(),
            Value::Int(number) => number.to_string(),
            Value::BigInt(text) | Value::Str(text) => text.to_string(),
            Value::Float(number) => super::convert::python_float(*number),
            Value::Timestamp(text) => text.replacen('T', " ", 1),
            Value::Binary(_) | Value::Vault(_) | Value::Seq(_) | Value::Map(_) => return None,
        })
    }
}
