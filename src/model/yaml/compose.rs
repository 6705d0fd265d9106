//! Events to nodes: anchors, merge keys, tags, duplicate keys.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;

use super::explain;
use super::node::{Entry, Mapping, Node, Value};
use super::resolve::{self, Implicit};
use super::scan::{Event, Events, Kind, Mark, Scalar};
use super::{Limits, timestamp};
use crate::diag::{Diagnostic, Diagnostics, Place, Span};

type Result<T> = std::result::Result<T, Box<Diagnostic>>;

const YAML_TAG: &str = "tag:yaml.org,2002:";

/// The first document of the text, as Ansible's loader: a second one is an error.
pub(super) fn document(file: &Arc<Path>, text: &str, limits: Limits, warnings: &mut Diagnostics) -> Result<Node> {
    let Some(events) = Events::new(text) else {
        return Err(Box::new(Diagnostic::error("yaml", "the YAML scanner could not be started")));
    };
    let mut composer = Composer { file, text, events, limits, anchors: HashMap::new(), aliased: 0, size: 0, warnings };
    let mut root = None;
    loop {
        let event = composer.next()?;
        match event.kind {
            Kind::StreamStart | Kind::DocumentEnd => {}
            Kind::DocumentStart if root.is_none() => {
                let first = composer.next()?;
                root = Some(composer.node(first, 0, false)?);
            }
            Kind::DocumentStart => {
                let place = span(event.start, event.end).at(file);
                return Err(Box::new(
                    Diagnostic::error("yaml-two-documents", "a second YAML document begins here")
                        .at(place)
                        .label("only one is expected")
                        .help("remove the `---` line, or put what follows into a file of its own"),
                ));
            }
            Kind::StreamEnd => return Ok(root.unwrap_or_else(Node::null)),
            _ => {}
        }
    }
}

struct Composer<'a> {
    file: &'a Arc<Path>,
    text: &'a str,
    events: Events<'a>,
    limits: Limits,
    /// Anchored nodes with the number of nodes under them; `None` while it is being composed.
    anchors: HashMap<String, Option<(Node, usize)>>,
    aliased: usize,
    size: usize,
    warnings: &'a mut Diagnostics,
}

fn span(start: Mark, end: Mark) -> Span {
    let column = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let len = if end.line == start.line { column(end.column.saturating_sub(start.column)) } else { 1 };
    Span::new(column(start.line + 1), column(start.column + 1), len.max(1))
}

impl Composer<'_> {
    fn next(&mut self) -> Result<Event> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(problem)) => Err(Box::new(explain::problem(self.file, self.text, &problem))),
            None => {
                Err(Box::new(Diagnostic::error("yaml", "the YAML text ends unexpectedly").at(Place::file(self.file))))
            }
        }
    }

    fn fail(&self, code: &'static str, at: Span, message: impl Into<String>) -> Box<Diagnostic> {
        Box::new(Diagnostic::error(code, message).at(at.at(self.file)))
    }

    fn node(&mut self, event: Event, depth: usize, raw: bool) -> Result<Node> {
        let at = span(event.start, event.end);
        if depth > self.limits.depth {
            return Err(self.fail("yaml-too-deep", at, format!("nested more than {} deep", self.limits.depth)));
        }
        self.size += 1;
        let before = self.size;
        let (anchor, tag, kind) = match event.kind {
            Kind::Alias(name) => return self.alias(&name, at),
            Kind::Scalar(mut scalar) => (scalar.anchor.take(), scalar.tag.take(), Kind::Scalar(scalar)),
            Kind::SeqStart { anchor, tag } => (anchor, tag, Kind::SeqStart { anchor: None, tag: None }),
            Kind::MapStart { anchor, tag } => (anchor, tag, Kind::MapStart { anchor: None, tag: None }),
            _ => return Err(self.fail("yaml", at, "a value was expected here")),
        };
        if let Some(name) = &anchor {
            self.anchors.insert(name.clone(), None);
        }
        let raw = raw || tag.as_deref() == Some("!unsafe");
        let tag = tag.filter(|tag| tag != "!" && tag != "!unsafe");
        let value = match kind {
            Kind::Scalar(scalar) => self.scalar(&scalar, tag.as_deref(), at)?,
            Kind::SeqStart { .. } => self.sequence(tag.as_deref(), at, depth, raw)?,
            _ => self.mapping(tag.as_deref(), at, depth, raw)?,
        };
        let node = Node { value, span: at, raw };
        if let Some(name) = anchor {
            self.anchors.insert(name, Some((node.clone(), self.size - before + 1)));
        }
        Ok(node)
    }

    fn alias(&mut self, name: &str, at: Span) -> Result<Node> {
        match self.anchors.get(name) {
            Some(Some((node, size))) => {
                let (node, size) = (node.clone(), *size);
                self.aliased = self.aliased.saturating_add(size);
                self.size = self.size.saturating_add(size);
                if self.aliased > self.limits.aliased {
                    return Err(self.fail("yaml-too-large", at, "the aliases of this file expand to too many values"));
                }
                // The value is shared; an error about it points at where it was written.
                Ok(node)
            }
            Some(None) => Err(self.fail("yaml-alias", at, format!("`*{name}` refers to the value it stands in"))),
            None => {
                let known = crate::diag::nearest(name, self.anchors.keys().map(String::as_str)).map(str::to_owned);
                let mut error =
                    *self.fail("yaml-alias", at, format!("`*{name}` refers to no anchor `&{name}` above it"));
                error.help = Some(match known {
                    Some(near) => format!("did you mean `*{near}`?"),
                    None => "if the text itself begins with `*`, put it in quotes".into(),
                });
                Err(Box::new(error))
            }
        }
    }

    fn scalar(&mut self, scalar: &Scalar, tag: Option<&str>, at: Span) -> Result<Value> {
        let text = scalar.value.as_str();
        let result = match tag {
            None if scalar.plain => resolve::plain(text),
            None => Ok(Value::Str(Arc::from(text))),
            Some("!vault" | "!vault-encrypted") => Ok(Value::Vault(Arc::from(text))),
            Some(tag) => match tag.strip_prefix(YAML_TAG).unwrap_or("") {
                "str" | "python/unicode" => Ok(Value::Str(Arc::from(text))),
                "int" if text.is_empty() => Err("`!!int` needs a number".into()),
                "int" => resolve::int(text),
                "float" if text.is_empty() => Err("`!!float` needs a number".into()),
                "float" => resolve::float(text),
                "bool" => resolve::bool(text),
                "null" => Ok(Value::Null),
                "timestamp" => timestamp::construct(text),
                "binary" => binary(text),
                "map" | "seq" | "set" | "omap" | "pairs" | "python/dict" => {
                    Err(format!("`{}` cannot be text", shown(tag)))
                }
                _ => return Err(self.unknown_tag(tag, at)),
            },
        };
        result.map_err(|message| self.fail("yaml-value", at, message))
    }

    fn unknown_tag(&self, tag: &str, at: Span) -> Box<Diagnostic> {
        let mut error = *self.fail("yaml-tag", at, format!("unknown tag `{}`", shown(tag)));
        error.help = Some("tags read here: `!vault`, `!unsafe`, and YAML's own such as `!!str`; a text that begins with `!` needs quotes".into());
        Box::new(error)
    }

    fn sequence(&mut self, tag: Option<&str>, at: Span, depth: usize, raw: bool) -> Result<Value> {
        let mut items = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event.kind, Kind::SeqEnd) {
                break;
            }
            items.push(self.node(event, depth + 1, raw)?);
        }
        match tag.map(|tag| tag.strip_prefix(YAML_TAG).unwrap_or(tag)) {
            None | Some("seq") => Ok(Value::Seq(Arc::new(items))),
            Some("omap" | "pairs") => self.pairs(items, at),
            Some("str" | "int" | "float" | "bool" | "null" | "map" | "set" | "!vault" | "!vault-encrypted") => {
                Err(self.fail("yaml-value", at, format!("`{}` cannot be a list", shown(tag.unwrap_or_default()))))
            }
            Some(_) => Err(self.unknown_tag(tag.unwrap_or_default(), at)),
        }
    }

    /// `!!omap` and `!!pairs`: a list of mappings of one key becomes a list of pairs.
    fn pairs(&self, items: Vec<Node>, at: Span) -> Result<Value> {
        let mut pairs = Vec::new();
        for item in items {
            match item.as_map().map(|map| map.entries.as_slice()) {
                Some([entry]) => {
                    let pair = vec![entry.key.clone(), entry.value.clone()];
                    pairs.push(Node { value: Value::Seq(Arc::new(pair)), span: item.span, raw: item.raw });
                }
                _ => {
                    return Err(self.fail("yaml-value", at, "each item must be a mapping of one key"));
                }
            }
        }
        Ok(Value::Seq(Arc::new(pairs)))
    }

    fn mapping(&mut self, tag: Option<&str>, at: Span, depth: usize, raw: bool) -> Result<Value> {
        let mut merged: Vec<Entry> = Vec::new();
        let mut own: Vec<Entry> = Vec::new();
        loop {
            let event = self.next()?;
            if matches!(event.kind, Kind::MapEnd) {
                break;
            }
            let (is_merge, is_equals) = match &event.kind {
                Kind::Scalar(s) if s.tag.as_deref() == Some("tag:yaml.org,2002:merge") => (true, false),
                Kind::Scalar(s) if s.plain && s.tag.as_deref().is_none_or(|tag| tag == "!") => {
                    match resolve::implicit(&s.value) {
                        Implicit::Merge => (true, false),
                        Implicit::Equals => (false, true),
                        _ => (false, false),
                    }
                }
                _ => (false, false),
            };
            let key_at = span(event.start, event.end);
            let key = if is_merge || is_equals {
                self.size += 1;
                Node { value: Value::Str(Arc::from(if is_merge { "<<" } else { "=" })), span: key_at, raw }
            } else {
                self.node(event, depth + 1, raw)?
            };
            let event = self.next()?;
            let value = self.node(event, depth + 1, raw)?;
            if is_merge {
                self.merge(&value, &mut merged)?;
                continue;
            }
            own.push(Entry { key, value });
        }
        self.duplicates(&own)?;
        merged.append(&mut own);
        let mapping = self.unique(merged)?;
        match tag.map(|tag| tag.strip_prefix(YAML_TAG).unwrap_or(tag)) {
            None | Some("map" | "python/dict") => Ok(Value::Map(Arc::new(mapping))),
            Some("set") => Ok(Value::Seq(Arc::new(mapping.entries.into_iter().map(|entry| entry.key).collect()))),
            Some(
                "str" | "int" | "float" | "bool" | "null" | "seq" | "omap" | "pairs" | "!vault" | "!vault-encrypted",
            ) => Err(self.fail("yaml-value", at, format!("`{}` cannot be a mapping", shown(tag.unwrap_or_default())))),
            Some(_) => Err(self.unknown_tag(tag.unwrap_or_default(), at)),
        }
    }

    /// `<<: *a` or `<<: [*a, *b]`: in a list the earlier one wins, so it comes last.
    fn merge(&self, value: &Node, into: &mut Vec<Entry>) -> Result<()> {
        match &value.value {
            Value::Map(map) => into.extend(map.entries.iter().cloned()),
            Value::Seq(items) => {
                for item in items.iter().rev() {
                    let Value::Map(map) = &item.value else {
                        let message = format!("`<<` merges mappings, and this is {}", item.kind());
                        return Err(self.fail("yaml-merge", item.span, message));
                    };
                    into.extend(map.entries.iter().cloned());
                }
            }
            _ => {
                let message = format!("`<<` merges a mapping or a list of mappings, and this is {}", value.kind());
                return Err(self.fail("yaml-merge", value.span, message));
            }
        }
        Ok(())
    }

    /// Says which keys are written twice; Ansible warns and takes the last.
    fn duplicates(&mut self, entries: &[Entry]) -> Result<()> {
        let mut seen: HashMap<Hashed, Span> = HashMap::new();
        for entry in entries {
            let Some(hash) = hashed(&entry.key) else {
                if let Some(error) = explain::template_at(self.file, self.text, entry.key.span) {
                    return Err(Box::new(error));
                }
                return Err(self.fail("yaml-key", entry.key.span, format!("a key cannot be {}", entry.key.kind())));
            };
            if let Some(first) = seen.insert(hash, entry.key.span) {
                let name = entry.key.scalar_text().unwrap_or_default();
                self.warnings.push(twice(self.file, &name, first, entry.key.span));
            }
        }
        Ok(())
    }

    /// The last value of a key at the place of the first, as in a Python dictionary.
    fn unique(&self, entries: Vec<Entry>) -> Result<Mapping> {
        let mut at: HashMap<Hashed, usize> = HashMap::with_capacity(entries.len());
        let mut out: Vec<Entry> = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(hash) = hashed(&entry.key) else {
                continue;
            };
            match at.get(&hash).copied().and_then(|index| out.get_mut(index)) {
                Some(first) => {
                    // Python keeps the first key as it is: `{1: a, true: b}` has the key 1.
                    first.key.span = entry.key.span;
                    first.value = entry.value;
                }
                None => {
                    at.insert(hash, out.len());
                    out.push(entry);
                }
            }
        }
        Ok(Mapping { entries: out })
    }
}

/// The warning about a key that is written twice; strict, because Ansible takes the second silently.
pub(super) fn twice(file: &Arc<Path>, name: &str, first: Span, second: Span) -> Diagnostic {
    Diagnostic::lint("yaml-duplicate-key", format!("the key `{name}` is written twice"))
        .at(second.at(file))
        .label("second time; Ansible would take this one")
        .related(first.at(file), "first time")
        .help("remove one of the two")
}

/// A key as Python compares it: `1`, `1.0` and `true` are one key.
#[derive(PartialEq, Eq, Hash)]
enum Hashed {
    Null,
    Number(i64),
    Other(u8, Arc<str>),
    Float(u64),
}

fn hashed(key: &Node) -> Option<Hashed> {
    Some(match &key.value {
        Value::Null => Hashed::Null,
        Value::Bool(value) => Hashed::Number(i64::from(*value)),
        Value::Int(number) => Hashed::Number(*number),
        Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => Hashed::Number(*number as i64),
        Value::Float(number) => Hashed::Float(number.to_bits()),
        Value::Str(text) => Hashed::Other(0, Arc::clone(text)),
        Value::BigInt(text) => Hashed::Other(1, Arc::clone(text)),
        Value::Timestamp(text) => Hashed::Other(2, Arc::clone(text)),
        Value::Vault(text) => Hashed::Other(3, Arc::clone(text)),
        Value::Binary(bytes) => Hashed::Other(4, Arc::from(base64::engine::general_purpose::STANDARD.encode(bytes))),
        Value::Seq(_) | Value::Map(_) => return None,
    })
}

fn shown(tag: &str) -> String {
    match tag.strip_prefix(YAML_TAG) {
        Some(short) => format!("!!{short}"),
        None => tag.to_owned(),
    }
}

fn binary(text: &str) -> std::result::Result<Value, String> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    base64::engine::general_purpose::STANDARD
        .decode(bare)
        .map(|bytes| Value::Binary(Arc::from(bytes)))
        .map_err(|error| format!("`!!binary` is not valid base64: {error}"))
}
