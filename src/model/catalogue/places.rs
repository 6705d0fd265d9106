//! Where everything stands in the role files, for messages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_yaml::Value;

use crate::diag::{Diagnostic, Diagnostics, Place, Texts, nearest};
use crate::yaml::{self, Node};

/// Role files of one folder: `api.yml` and its text.
#[derive(Clone, Debug, Default)]
pub struct RoleLayer {
    /// The folder, as it is named in messages: `roles` for the built-in ones.
    pub root: PathBuf,
    /// Text by file name.
    pub files: BTreeMap<String, String>,
}

/// The role files with positions.
#[derive(Clone, Default)]
pub struct Places {
    /// By file name; where a file is in several folders, the one that counts most is last.
    files: BTreeMap<String, Vec<(Arc<Path>, Node)>>,
    /// Texts of all of them.
    pub texts: Texts,
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places").field("files", &self.files.keys()).finish()
    }
}

impl Places {
    /// Reads one file. What is wrong as YAML is said; the value is `None` then.
    pub(super) fn add(&mut self, root: &Path, name: &str, text: &str, out: &mut Diagnostics) -> Option<Value> {
        let file: Arc<Path> = Arc::from(root.join(name));
        self.texts.add(&file, text);
        match yaml::parse(&file, text.as_bytes()) {
            Ok(document) => {
                // A key written twice: what Ansible would only warn of has no place in a role.
                out.extend(document.warnings.strict());
                self.files.entry(name.to_owned()).or_default().push((Arc::clone(&file), document.root));
            }
            Err(error) => {
                out.push(*error);
                return None;
            }
        }
        match serde_yaml::from_str(text) {
            Ok(value) => Some(value),
            // A key written twice is said already.
            Err(_) if out.has_errors() => None,
            Err(error) => {
                let at = error.location().map(|l| (l.line() as u32, l.column() as u32)).unwrap_or_default();
                let place = crate::diag::Span::new(at.0, at.1, 1).at(&file);
                out.push(Diagnostic::error("role", error.to_string()).at(place).help("docs/roles.md has the format"));
                None
            }
        }
    }

    /// The place of what a path leads to, or of the nearest thing above it that is written: the key
    /// for a mapping's entry, the item for a list's.
    pub fn of(&self, file: &str, path: &[String]) -> Option<Place> {
        let layers = self.files.get(file)?;
        let (mut best, mut depth) = (None, 0);
        for (layer, root) in layers.iter().rev() {
            let (found, place) = follow(root, path, layer);
            if best.is_none() || found > depth {
                (best, depth) = (Some(place), found);
            }
        }
        best
    }

    /// Shapes a value; what does not fit is said where it stands.
    pub(super) fn shape<T: DeserializeOwned>(&self, file: &str, value: Value, out: &mut Diagnostics) -> Option<T> {
        match serde_path_to_error::deserialize(value) {
            Ok(value) => Some(value),
            Err(error) => {
                let mut path: Vec<String> = Vec::new();
                for segment in error.path() {
                    match segment {
                        serde_path_to_error::Segment::Map { key } => path.push(key.clone()),
                        serde_path_to_error::Segment::Seq { index } => path.push(index.to_string()),
                        _ => {}
                    }
                }
                let (message, help) = in_words(&error.inner().to_string(), &mut path);
                out.push(Diagnostic::error("role", message).at(self.of(file, &path)).help(help));
                None
            }
        }
    }
}

/// serde's sentence in ours; an unknown key is added to the path, so that it is what is pointed at.
pub(crate) fn in_words(said: &str, path: &mut Vec<String>) -> (String, String) {
    let format = "docs/roles.md has the format; keys that begin with `x-` are free".to_owned();
    let quoted: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
    let Some((wrong, known)) = quoted.split_first() else {
        return (said.to_owned(), format);
    };
    let field = said.contains("unknown field");
    if !field && !said.contains("unknown variant") {
        return (said.to_owned(), format);
    }
    if field && path.last().is_none_or(|last| last != wrong) {
        path.push((*wrong).to_owned());
    }
    let message = match field {
        true => format!("unknown key `{wrong}`"),
        false => format!("`{wrong}` is not possible here (unknown variant)"),
    };
    let help = match nearest(wrong, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("expected one of: {}", known.join(", ")),
    };
    (message, help)
}

fn follow(root: &Node, path: &[String], file: &Arc<Path>) -> (usize, Place) {
    let (mut node, mut place) = (root, Place::file(file));
    for (depth, step) in path.iter().enumerate() {
        let next = match (node.as_map(), node.as_seq()) {
            (Some(map), _) => map.entry(step).map(|entry| (&entry.value, entry.key.span)),
            (None, Some(items)) => step.parse::<usize>().ok().and_then(|n| items.get(n)).map(|item| (item, item.span)),
            _ => None,
        };
        let Some((value, span)) = next else { return (depth, place) };
        (node, place) = (value, span.at(file));
    }
    (path.len(), place)
}
