//! The roles and templates inside the binary, and the folder that may override them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use reemo_model::catalogue::{Catalogue, RoleError, RoleLayer};
use reemo_model::diag::{Diagnostic, Place};

static ROLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/roles");
static TEMPLATES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/templates");

/// The catalogue, with the files of `over` laid over the built-in ones.
pub fn catalogue(over: Option<&Path>) -> Result<Catalogue, RoleError> {
    let mut layers = vec![RoleLayer { root: PathBuf::from("roles"), files: built_in(&ROLES, "yml") }];
    let mut templates = built_in(&TEMPLATES, "");
    if let Some(dir) = over {
        let broken = |e: std::io::Error| {
            let error = Diagnostic::error("role", format!("the role files of `--roles` cannot be read: {e}"));
            RoleError(error.at(Place::file(dir)).help("give a folder of *.yml files, readable and in UTF-8").into())
        };
        layers.push(RoleLayer { root: dir.to_path_buf(), files: folder(dir, dir, "yml").map_err(broken)? });
        let inner = dir.join("templates");
        if inner.is_dir() {
            templates.extend(folder(&inner, &inner, "").map_err(broken)?);
        }
    }
    Catalogue::load(&layers, templates)
}

fn built_in(dir: &Dir<'_>, extension: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    collect(dir, extension, &mut files);
    files
}

fn collect(dir: &Dir<'_>, extension: &str, files: &mut BTreeMap<String, String>) {
    for file in dir.files() {
        if extension.is_empty() || file.path().extension().is_some_and(|e| e == extension) {
            let text = file.contents_utf8().unwrap_or_default();
            files.insert(file.path().to_string_lossy().into_owned(), text.to_owned());
        }
    }
    dir.dirs().for_each(|d| collect(d, extension, files));
}

fn folder(root: &Path, at: &Path, extension: &str) -> std::io::Result<BTreeMap<String, String>> {
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(at)? {
        let path = entry?.path();
        if path.is_dir() && extension.is_empty() {
            files.extend(folder(root, &path, extension)?);
        } else if path.is_file() && (extension.is_empty() || path.extension().is_some_and(|e| e == extension)) {
            let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
            files.insert(name, std::fs::read_to_string(&path)?);
        }
    }
    Ok(files)
}
