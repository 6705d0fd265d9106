//! The one module that knows YAML: as Ansible reads it (libyaml's grammar, PyYAML's YAML 1.1 values),
//! with the place of every node.

mod compose;
mod convert;
mod explain;
mod json;
mod marked;
mod node;
mod resolve;
mod scan;
mod timestamp;

use std::path::Path;
use std::sync::Arc;

pub(crate) use convert::{BARE, python_float};
pub use node::{Entry, Mapping, Node, Value};

use crate::diag::{Diagnostic, Diagnostics};

/// What a document may cost; beyond it, it is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of input.
    pub bytes: usize,
    /// Depth of nesting.
    pub depth: usize,
    /// Nodes reached through aliases, counted each time.
    pub aliased: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 256 << 20, depth: 100, aliased: 2_000_000 }
    }
}

/// A document that was read.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file it stands in.
    pub file: Arc<Path>,
    /// The root; null for an empty file.
    pub root: Node,
    /// Warnings, among them duplicate keys (code `yaml-duplicate-key`, strict).
    pub warnings: Diagnostics,
}

/// Reads one document: JSON if it is that, else YAML. An error has a place and says in words what is wrong.
pub fn parse(file: &Arc<Path>, bytes: &[u8]) -> Result<Document, Box<Diagnostic>> {
    parse_with(file, bytes, Limits::default())
}

/// [`parse`] with other limits.
pub fn parse_with(file: &Arc<Path>, bytes: &[u8], limits: Limits) -> Result<Document, Box<Diagnostic>> {
    if bytes.len() > limits.bytes {
        let message = format!("the file is {} MiB long, the limit is {} MiB", bytes.len() >> 20, limits.bytes >> 20);
        return Err(Box::new(Diagnostic::error("yaml-too-large", message).at(crate::diag::Place::file(file))));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            return Err(Box::new(explain::not_utf8(file, bytes, error.valid_up_to())));
        }
    };
    let mut warnings = Diagnostics::new();
    let root = match json::parse(file, text, limits.depth, &mut warnings) {
        Some(root) if text.contains("__ansible_") => root.unmarked(),
        Some(root) => root,
        None => compose::document(file, text, limits, &mut warnings)?,
    };
    Ok(Document { file: Arc::clone(file), root, warnings })
}

/// Reads a text that stands in no file (a `-e` argument, a filter's input).
pub fn parse_str(text: &str) -> Result<Node, Box<Diagnostic>> {
    let file: Arc<Path> = Arc::from(Path::new("text"));
    parse(&file, text.as_bytes()).map(|document| document.root)
}

/// True when a plain scalar with this text is read as text, not as a number, date or boolean.
pub(crate) fn is_plain_text(text: &str) -> bool {
    resolve::implicit(text) == resolve::Implicit::Str
}
