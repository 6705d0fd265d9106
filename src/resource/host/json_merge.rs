//! Keys of a JSON file whose other keys belong to others: `daemon.json`.

use reemo_model::change::{Action, FieldDiff, Verdict};
use reemo_model::op::{Op, WriteFile};
use reemo_model::secret::{Blob, PLACEHOLDER, Secret};
use serde::Serialize as _;
use serde_json::{Map, Value};

use super::change::{refused, unseen, verdict};
use super::file::{not_a_file, parent_ops};
use super::observation::HostObservation;
use super::path;
use super::stat::{FileState, Kind};
use super::text;

/// Keys that a JSON file is to have. All its other keys, their order and its indentation stay.
///
/// Objects are merged key by key; a list gains the elements it lacks and loses none; `null` means that
/// the key is not to be there; anything else is replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonMerge {
    /// Absolute path.
    pub path: String,
    /// The keys.
    pub keys: Map<String, Value>,
    /// Permission bits of the file if it has to be made.
    pub mode: u32,
    /// `user:group` of the file if it has to be made.
    pub owner: String,
    /// The values are not to be shown (a proxy's password).
    pub secret: bool,
    /// What it was is laid beside it before it is written, so that the host can put it back.
    pub kept: bool,
}

impl JsonMerge {
    pub(super) fn diff(&self, seen: &HostObservation) -> Verdict {
        if let Some(why) = path::problem(&self.path) {
            return refused(format!("{}: {why}", self.path), "correct the path where it is declared");
        }
        let stat = match seen.files.get(&self.path) {
            Err(why) => return unseen(&self.path, why),
            Ok(FileState::Hidden) => return unseen(&self.path, "the login may not look there"),
            Ok(FileState::Absent { ancestor }) => return self.create(ancestor),
            Ok(FileState::There(stat)) => stat,
        };
        if stat.kind != Kind::File {
            return not_a_file(&self.path);
        }
        let (Some(sha), Some(content)) = (stat.sha256.as_deref(), stat.content.as_deref()) else {
            return unseen(&self.path, "it cannot be read, is larger than 64 KiB, or is changing");
        };
        let mut object = match parse(content) {
            Ok(object) => object,
            Err(why) => {
                return refused(
                    format!("{} is not valid: {why}", self.path),
                    format!("correct {} by hand: nothing in it is thrown away", self.path),
                );
            }
        };
        let mut fields = Vec::new();
        self.merge_object(&mut object, &self.keys, "", &mut fields);
        if fields.is_empty() {
            return Verdict::Unchanged;
        }
        // Owner and mode stay as the site has them, in numbers: names may be missing here.
        let op = self.write(object, &indent(content), stat.mode, stat.owner(), Some(sha));
        verdict(Action::Update, fields, self.keep().into_iter().chain([op]).collect())
    }

    fn create(&self, ancestor: &str) -> Verdict {
        let (mut object, mut fields) = (Map::new(), Vec::new());
        self.merge_object(&mut object, &self.keys, "", &mut fields);
        if fields.is_empty() {
            return Verdict::Unchanged;
        }
        let mut ops = parent_ops(&self.path, ancestor);
        ops.extend(self.keep());
        ops.push(self.write(object, "  ", self.mode, self.owner.clone(), None));
        verdict(Action::Create, fields, ops)
    }

    fn keep(&self) -> Option<Op> {
        self.kept.then(|| Op::Keep { path: self.path.clone() })
    }

    fn write(&self, object: Map<String, Value>, indent: &str, mode: u32, owner: String, was: Option<&str>) -> Op {
        let text = pretty(&Value::Object(object), indent);
        // Whatever else stands in the file may be secret too; it is never shown either way.
        let content = if self.secret { Blob::Secret(Secret::new(text)) } else { Blob::Plain(text) };
        Op::WriteFile(WriteFile { path: self.path.clone(), content, mode, owner, expect: text::expect(was) })
    }

    fn merge_object(
        &self,
        into: &mut Map<String, Value>,
        keys: &Map<String, Value>,
        at: &str,
        out: &mut Vec<FieldDiff>,
    ) {
        for (key, wanted) in keys {
            let name = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
            if wanted.is_null() {
                // `shift_remove` keeps the order of what stays.
                if let Some(was) = into.shift_remove(key) {
                    out.push(self.field(name, Some(&was), None));
                }
                continue;
            }
            match (into.get_mut(key), wanted) {
                (Some(Value::Object(inner)), Value::Object(keys)) => self.merge_object(inner, keys, &name, out),
                (Some(was @ Value::Array(_)), Value::Array(wanted)) => self.merge_list(was, wanted, name, out),
                (Some(was), wanted) if was == wanted => {}
                (was, wanted) => {
                    let wanted = without_nulls(wanted);
                    out.push(self.field(name, was.as_deref(), Some(&wanted)));
                    into.insert(key.clone(), wanted);
                }
            }
        }
    }

    fn merge_list(&self, list: &mut Value, wanted: &[Value], name: String, out: &mut Vec<FieldDiff>) {
        let Value::Array(items) = &*list else { return };
        let lacking: Vec<Value> = wanted.iter().filter(|item| !items.contains(item)).cloned().collect();
        if lacking.is_empty() {
            return;
        }
        let longer = Value::Array(items.iter().cloned().chain(lacking).collect());
        out.push(self.field(name, Some(list), Some(&longer)));
        *list = longer;
    }

    fn field(&self, name: String, was: Option<&Value>, wanted: Option<&Value>) -> FieldDiff {
        let show = |value: &Value| {
            if self.secret { PLACEHOLDER.to_owned() } else { value.to_string() }
        };
        FieldDiff::new(name, was.map(show), wanted.map(show))
    }
}

/// An empty file is an empty object, as the Docker engine has it.
fn parse(content: &[u8]) -> Result<Map<String, Value>, String> {
    if content.trim_ascii().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_slice(content) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err("there is no object in it".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A new object does not carry the keys that are not to be there.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let kept = object.iter().filter(|(_, v)| !v.is_null());
            Value::Object(kept.map(|(k, v)| (k.clone(), without_nulls(v))).collect())
        }
        other => other.clone(),
    }
}

/// The white space in front of the first indented line.
fn indent(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    let first = text.lines().find(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty());
    first.map_or_else(|| "  ".to_owned(), |line| line[..line.len() - line.trim_start().len()].to_owned())
}

fn pretty(value: &Value, indent: &str) -> Vec<u8> {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let mut serializer = serde_json::Serializer::with_formatter(&mut text, formatter);
    if value.serialize(&mut serializer).is_err() {
        // The same with two blanks, by the way that cannot fail.
        text = format!("{value:#}").into_bytes();
    }
    text.push(b'\n');
    text
}
