//! `group_vars/` and `host_vars/`: files and folders named after groups and hosts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::build::set;
use super::{Inventory, Sources, Var, VarMap, VarsDir};
use crate::diag::{Diagnostic, Diagnostics, Place, Span, Texts};
use crate::vault::{self, Vault};
use crate::yaml::{self, Value};

/// Tried in this order; the first that exists is taken. A folder has no extension.
const EXTENSIONS: [&str; 4] = ["", ".yml", ".yaml", ".json"];

/// What reading such files needs.
pub(super) struct Files<'a> {
    pub sources: &'a dyn Sources,
    pub texts: &'a mut Texts,
    pub diagnostics: &'a mut Diagnostics,
}

impl Files<'_> {
    /// Everything below `dir` that names a group or host of the inventory.
    pub fn read(&mut self, inventory: &Inventory, dir: &Path) -> VarsDir {
        let mut out = VarsDir { dir: dir.to_path_buf(), ..VarsDir::default() };
        for (folder, names, vars) in [
            ("group_vars", inventory.groups.keys().collect::<Vec<_>>(), &mut out.groups),
            ("host_vars", inventory.hosts.keys().collect::<Vec<_>>(), &mut out.hosts),
        ] {
            let folder = dir.join(folder);
            if !self.sources.is_dir(&folder) {
                if self.sources.exists(&folder) {
                    let message = format!("`{}` is not a directory", folder.display());
                    self.diagnostics.push(Diagnostic::lint("vars-not-a-directory", message).at(Place::file(&folder)));
                }
                continue;
            }
            // One listing instead of four questions per host.
            let Ok(present) = self.sources.list(&folder) else {
                continue;
            };
            let present: std::collections::HashSet<String> = present.into_iter().collect();
            for name in names {
                // A link to nothing is not there.
                let there = |f: &String| present.contains(f) && self.sources.exists(&folder.join(f));
                let Some(file) = EXTENSIONS.iter().map(|e| format!("{name}{e}")).find(there) else {
                    continue;
                };
                let mut map = VarMap::new();
                for path in self.expand(&folder.join(file), 0) {
                    self.file(&path, &mut map);
                }
                vars.insert(name.clone(), map);
            }
        }
        out
    }

    /// The file itself, or the files of a folder, sorted, folders inside it included.
    fn expand(&self, path: &Path, depth: usize) -> Vec<PathBuf> {
        if !self.sources.is_dir(path) {
            return vec![path.to_path_buf()];
        }
        let mut names = self.sources.list(path).unwrap_or_default();
        names.sort();
        let mut out = Vec::new();
        for name in names.iter().filter(|n| !n.starts_with('.') && !n.ends_with('~')) {
            let inner = path.join(name);
            let extension = extension(name);
            if self.sources.is_dir(&inner) {
                if extension.is_empty() && depth < 20 {
                    out.extend(self.expand(&inner, depth + 1));
                }
            } else if EXTENSIONS.contains(&extension) && self.sources.exists(&inner) {
                out.push(inner);
            }
        }
        out
    }

    /// Adds the variables of one file.
    pub fn file(&mut self, path: &Path, into: &mut VarMap) {
        let file: Arc<Path> = Arc::from(path);
        let bytes = match self.sources.read(path) {
            Ok(bytes) => bytes,
            Err(error) => {
                let message = format!("cannot read `{}`: {}", path.display(), error.message);
                self.diagnostics.push(Diagnostic::error("vars-unreadable", message).at(Place::file(path)));
                return;
            }
        };
        let Some(bytes) = decrypted(self.sources, bytes, &file, self.texts, self.diagnostics) else {
            return;
        };
        self.texts.add(&file, String::from_utf8_lossy(&bytes).into_owned());
        let document = match yaml::parse(&file, &bytes) {
            Ok(document) => document,
            Err(error) => return self.diagnostics.push(*error),
        };
        self.diagnostics.extend(document.warnings);
        // Ansible passes over whatever is empty.
        let empty = match &document.root.value {
            Value::Null | Value::Bool(false) | Value::Int(0) => true,
            Value::Str(text) => text.is_empty(),
            Value::Seq(items) => items.is_empty(),
            Value::Float(number) => *number == 0.0,
            _ => false,
        };
        if empty {
            return;
        }
        let Some(map) = document.root.as_map() else {
            let message = format!("a file of variables is a mapping, and this is {}", document.root.kind());
            self.diagnostics.push(
                Diagnostic::error("vars-shape", message)
                    .at(document.root.span.at(&file))
                    .help("write `NAME: value` lines"),
            );
            return;
        };
        for entry in map {
            let var =
                Var { value: entry.value.clone(), file: Arc::clone(&file), key: entry.key.span, beaten: Vec::new() };
            set(into, entry.key.key_text(), var);
        }
    }
}

/// As Python's `splitext`: a name that begins with its only dot has none.
fn extension(name: &str) -> &str {
    match name.rfind('.') {
        Some(at) if at > 0 => &name[at..],
        _ => "",
    }
}

/// The content, decrypted if the whole file is a vault; `None` when that fails (said).
pub(crate) fn decrypted(
    sources: &dyn Sources,
    bytes: Vec<u8>,
    file: &Arc<Path>,
    texts: &mut Texts,
    diagnostics: &mut Diagnostics,
) -> Option<Vec<u8>> {
    if !vault::is_vault(&bytes) {
        return Some(bytes);
    }
    texts.encrypted(file);
    let error = match sources.vault() {
        Some(vault) => vault.open(&bytes),
        None => Vault::default().open(&bytes),
    };
    match error {
        Ok(opened) => Some(opened.plain.to_vec()),
        Err(error) => {
            let (line, column) = error.damage().map_or((1, 1), |damage| (damage.line, damage.column));
            let message = match error.damage() {
                Some(damage) => format!("this file is a damaged vault: {}", damage.message),
                None => format!("this file is encrypted: {error}"),
            };
            let place = Span::new(line, column, 1).at(file);
            diagnostics.push(Diagnostic::error("vault", message).at(place).help(error.help()));
            None
        }
    }
}
