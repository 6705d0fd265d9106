//! Reading the sources of one run: which reader each gets, and `group_vars` beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Inventory, Sources, from_hosts, from_ini, from_script, from_yaml, vars_files};
use crate::diag::{Diagnostic, Diagnostics, Place, Texts};
use crate::yaml;

/// What is read besides the sources.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The directory whose `group_vars` and `host_vars` count as the playbook's.
    pub playbook_dir: Option<PathBuf>,
}

/// What a load gives: as much of the inventory as could be read, and everything that is wrong.
#[derive(Clone, Default)]
pub struct Loaded {
    /// The inventory.
    pub inventory: Inventory,
    /// Errors and warnings; run [`Diagnostics::attach`] with `texts` before showing them.
    pub diagnostics: Diagnostics,
    /// The text of every file that was read.
    pub texts: Texts,
}

/// Groups of ours, which the vendor's document writes directly under `all:`.
const OURS: [&str; 4] = ["infra_manager", "portal_manager", "api_manager", "relayws_manager"];

/// True for the groups this program knows: `infra_manager`, `portal_manager`, `api_manager`,
/// `relayws_manager`, and `provision…`.
pub fn is_our_group(name: &str) -> bool {
    if OURS.contains(&name) {
        return true;
    }
    let Some(rest) = name.strip_prefix("provision") else {
        return false;
    };
    let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    matches!(rest, "" | "_manager" | "_worker")
}

/// Reads every source (`-i`): a file, a directory, an executable script, or `host1,host2,`.
pub fn load(sources: &dyn Sources, specs: &[String], options: &Options) -> Loaded {
    let mut loader = Loader { sources, out: Loaded::default(), dirs: Vec::new() };
    for spec in specs.iter().filter(|spec| !spec.is_empty()) {
        loader.out.inventory.sources.push(spec.clone());
        let path = Path::new(spec);
        if spec.contains(',') && !sources.exists(path) {
            from_hosts::read(&mut loader.out.inventory, spec);
            continue;
        }
        loader.source(path, 0);
        let dir = if sources.is_dir(path) { path.to_path_buf() } else { parent(path) };
        if !loader.dirs.contains(&dir) {
            loader.dirs.push(dir);
        }
    }
    let Loaded { inventory, diagnostics, texts } = &mut loader.out;
    inventory.finish(diagnostics);
    let mut files = vars_files::Files { sources, texts, diagnostics };
    for dir in &loader.dirs {
        let found = files.read(inventory, dir);
        inventory.beside.push(found);
    }
    if let Some(dir) = &options.playbook_dir {
        let found = files.read(inventory, dir);
        inventory.playbook = Some(found);
    }
    loader.out
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if dir != Path::new("") => dir.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

struct Loader<'a> {
    sources: &'a dyn Sources,
    out: Loaded,
    dirs: Vec<PathBuf>,
}

impl Loader<'_> {
    fn source(&mut self, path: &Path, depth: usize) {
        if !self.sources.is_dir(path) {
            return self.file(path);
        }
        if depth > 20 {
            let message = "directories nested more than 20 deep (a link that points at its own directory?)";
            self.out.diagnostics.push(Diagnostic::error("inventory-directory", message).at(Place::file(path)));
            return;
        }
        match self.sources.list(path) {
            Ok(mut names) => {
                names.sort();
                for name in names.iter().filter(|name| !ignored(name)) {
                    self.source(&path.join(name), depth + 1);
                }
            }
            Err(error) => self.unreadable(path, &error.message),
        }
    }

    fn unreadable(&mut self, path: &Path, why: &str) {
        let message = format!("cannot read the inventory `{}`: {why}", path.display());
        self.out.diagnostics.push(
            Diagnostic::error("inventory-unreadable", message)
                .at(Place::file(path))
                .help("give a file, a directory, or hosts with a comma: `-i host1,`"),
        );
    }

    fn file(&mut self, path: &Path) {
        let source: Arc<Path> = Arc::from(self.sources.absolute(path));
        let file: Arc<Path> = Arc::from(path);
        let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        if self.sources.is_executable(path) && from_script::wanted(self.sources, path, &extension) {
            return from_script::read(&mut self.out, self.sources, path, &source);
        }
        let bytes = match self.sources.read(path) {
            Ok(bytes) => bytes,
            Err(error) => return self.unreadable(path, &error.message),
        };
        let Loaded { texts, diagnostics, .. } = &mut self.out;
        let Some(bytes) = vars_files::decrypted(self.sources, bytes, &file, texts, diagnostics) else { return };
        self.out.texts.add(&file, String::from_utf8_lossy(&bytes).into_owned());
        let is_yaml = matches!(extension.as_str(), "yml" | "yaml" | "json");
        if extension == "toml" {
            let message = "TOML inventories are not read here";
            self.out.diagnostics.push(
                Diagnostic::error("inventory-toml", message)
                    .at(Place::file(path))
                    .help("convert it with `ansible-inventory -i FILE --list --yaml --output inventory.yml`"),
            );
            return;
        }
        // As Ansible: YAML for its extensions and for none; INI when that fails, and for every other name.
        if is_yaml || extension.is_empty() {
            match yaml::parse(&file, &bytes) {
                Ok(document) if is_yaml || document.root.as_map().is_some() => {
                    self.out.diagnostics.extend(document.warnings.clone());
                    from_yaml::Reader {
                        inventory: &mut self.out.inventory,
                        file: &file,
                        source: &source,
                        is_ours: &is_our_group,
                        diagnostics: &mut self.out.diagnostics,
                    }
                    .read(&document);
                    return;
                }
                Err(error) if is_yaml || looks_like_yaml(&bytes) => {
                    self.out.diagnostics.push(*error);
                    return;
                }
                _ => {}
            }
        }
        from_ini::read(&mut self.out.inventory, &file, &source, &bytes, &mut self.out.diagnostics);
    }
}

/// Names in an inventory directory that Ansible passes over.
fn ignored(name: &str) -> bool {
    const ENDINGS: [&str; 12] =
        [".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst", ".orig", ".cfg", ".retry"];
    name.starts_with('.')
        || matches!(name, "host_vars" | "group_vars" | "vars_plugins")
        || ENDINGS.iter().any(|end| name.ends_with(end))
}

/// For a file without extension: whose syntax error is worth showing.
fn looks_like_yaml(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_some_and(|line| line.starts_with("---") || (line.ends_with(':') && !line.starts_with('[')))
}
