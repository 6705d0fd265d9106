//! Reading the sources of one run: which reader each gets, and `group_vars` beside them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ignore::Ignore;
use super::{Inventory, Sources, from_hosts, from_ini, from_script, from_yaml, vars_files};
use crate::diag::{Diagnostic, Diagnostics, Place, Severity, Texts};
use crate::yaml;

/// What is read besides the sources.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The directory whose `group_vars` and `host_vars` count as the playbook's.
    pub playbook_dir: Option<PathBuf>,
    /// Without that: where the command runs, which Ansible takes for it.
    pub working_dir: Option<PathBuf>,
    /// What is passed over in a directory.
    pub ignore: Ignore,
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
    let ignored = options.ignore.rule();
    let mut loader = Loader {
        sources,
        out: Loaded::default(),
        dirs: Vec::new(),
        failed: Vec::new(),
        parsed: false,
        ignored: &ignored,
    };
    for spec in specs.iter().filter(|spec| !spec.is_empty()) {
        loader.out.inventory.sources.push(spec.clone());
        let path = Path::new(spec);
        if spec.contains(',') && !sources.exists(path) {
            from_hosts::read(&mut loader.out.inventory, spec);
            continue;
        }
        loader.parsed = false;
        loader.source(path, 0);
        let parsed = loader.parsed;
        for found in std::mem::take(&mut loader.failed) {
            // Without any other there is no inventory at all.
            loader.out.diagnostics.extend(if parsed { passed_over(&found) } else { found });
        }
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
    if let Some(dir) = options.playbook_dir.as_ref().or(options.working_dir.as_ref()) {
        // It is often the inventory's own.
        let same = loader.dirs.iter().position(|d| sources.absolute(d) == sources.absolute(dir));
        let found = match same.and_then(|at| inventory.beside.get(at)).cloned() {
            Some(found) => found,
            None => files.read(inventory, dir),
        };
        inventory.playbook = Some(found);
        inventory.playbook_by_default = options.playbook_dir.is_none();
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
    /// What is wrong with the files of a directory, and whether one of them could be read.
    failed: Vec<Diagnostics>,
    parsed: bool,
    ignored: &'a dyn Fn(&str) -> bool,
}

impl Loader<'_> {
    fn source(&mut self, path: &Path, depth: usize) {
        if !self.sources.is_dir(path) {
            return self.file(path, depth > 0);
        }
        if depth > 20 {
            let message = "directories nested more than 20 deep (a link that points at its own directory?)";
            self.out.diagnostics.push(Diagnostic::error("inventory-directory", message).at(Place::file(path)));
            return;
        }
        match self.sources.list(path) {
            Ok(mut names) => {
                names.sort();
                for name in names.iter().filter(|name| !(self.ignored)(name)) {
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

    /// Reads one file. Inside a directory, one that is no inventory (a README, a playbook) is passed over with
    /// a warning, as in Ansible; where a warning is not enough, it is strict.
    fn file(&mut self, path: &Path, inside: bool) {
        let source: Arc<Path> = Arc::from(self.sources.absolute(path));
        let file: Arc<Path> = Arc::from(path);
        let bytes = match self.sources.read(path) {
            Ok(bytes) => bytes,
            Err(error) => return self.unreadable(path, &error.message),
        };
        if self.sources.is_executable(path) && from_script::wanted(&bytes) {
            self.parsed = true;
            return from_script::read(&mut self.out, self.sources, path, &source);
        }
        let Loaded { texts, diagnostics, .. } = &mut self.out;
        let Some(bytes) = vars_files::decrypted(self.sources, bytes, &file, texts, diagnostics) else { return };
        self.out.texts.add(&file, String::from_utf8_lossy(&bytes).into_owned());
        if extension(path) == ".toml" {
            let message = "TOML inventories are not read here";
            self.out.diagnostics.push(
                Diagnostic::error("inventory-toml", message)
                    .at(Place::file(path))
                    .help("convert it with `ansible-inventory -i FILE --list --yaml --output inventory.yml`"),
            );
            return;
        }
        let text = Text { file: &file, source: &source, bytes: &bytes };
        let found = text.read(&mut self.out.inventory, inside);
        if inside && found.has_errors() && !found.iter().any(|d| d.code == PLUGIN) {
            return self.failed.push(found);
        }
        self.parsed |= !found.has_errors();
        self.out.diagnostics.extend(found);
    }
}

/// The code of the error about a file that configures a plugin: passing it over would lose hosts.
const PLUGIN: &str = "inventory-plugin";

/// The errors of a file in a directory as strict warnings.
fn passed_over(found: &Diagnostics) -> Diagnostics {
    let mut out = Diagnostics::new();
    for error in found.errors() {
        let message = format!("this file is no inventory and is passed over: {}", error.message);
        out.push(Diagnostic { message, strict: true, severity: Severity::Warning, ..error.clone() });
    }
    out
}

/// As Python's `splitext`, letters as they are: `.YML` is no extension of YAML to Ansible.
fn extension(path: &Path) -> &str {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let stem = name.trim_start_matches('.');
    stem.rfind('.').map_or("", |at| &stem[at..])
}

/// The inventory as it was at the first error of a file, where that is what counts.
pub(super) struct Kept {
    wanted: bool,
    inventory: Option<Inventory>,
}

impl Kept {
    fn new(wanted: bool) -> Self {
        Kept { wanted, inventory: None }
    }

    /// Something is wrong: what is read from here on counts only for further messages.
    pub fn stop(&mut self, inventory: &Inventory) {
        if self.wanted && self.inventory.is_none() {
            self.inventory = Some(inventory.clone());
        }
    }

    /// Puts back what counts.
    pub fn restore(self, inventory: &mut Inventory) {
        if let Some(kept) = self.inventory {
            *inventory = kept;
        }
    }
}

/// The text of one inventory file.
struct Text<'a> {
    file: &'a Arc<Path>,
    source: &'a Arc<Path>,
    bytes: &'a [u8],
}

impl Text<'_> {
    /// As Ansible: YAML for its extensions and for none; INI when that fails, and for every other name.
    /// `partly`: of what fails, the part before the first error is kept, as Ansible keeps it.
    fn read(&self, inventory: &mut Inventory, partly: bool) -> Diagnostics {
        let mut found = Diagnostics::new();
        let extension = extension(self.file);
        let is_yaml = matches!(extension, ".yml" | ".yaml" | ".json");
        if is_yaml || extension.is_empty() {
            match yaml::parse(self.file, self.bytes) {
                Ok(document) if is_yaml || document.root.as_map().is_some() => {
                    found.extend(document.warnings.clone());
                    let (file, source, is_ours, diagnostics) = (self.file, self.source, &is_our_group, &mut found);
                    let kept = Kept::new(partly);
                    from_yaml::Reader { inventory, file, source, is_ours, kept, diagnostics }.read(&document);
                    self.then_ini(inventory, partly && found.has_errors());
                    return found;
                }
                Err(error) if is_yaml && self.is_ini() => {
                    let message = "this file has the name of YAML and is written as INI";
                    found.push(
                        Diagnostic::warning("inventory-ini-named-yaml", message)
                            .at(Place::file(self.file))
                            .related(error.place.clone(), "as YAML it fails here")
                            .help("name it `.ini`"),
                    );
                }
                Err(error) if is_yaml || looks_like_yaml(self.bytes) => {
                    found.push(*error);
                    self.then_ini(inventory, partly);
                    return found;
                }
                _ => {}
            }
        }
        from_ini::read(inventory, self.file, self.source, self.bytes, Kept::new(partly), &mut found);
        found
    }

    /// Ansible tries INI on what it could not read as YAML, and keeps what comes before the first error.
    fn then_ini(&self, inventory: &mut Inventory, wanted: bool) {
        if wanted {
            from_ini::read(inventory, self.file, self.source, self.bytes, Kept::new(true), &mut Diagnostics::new());
        }
    }

    /// True when it can be read as INI without an error.
    fn is_ini(&self) -> bool {
        let mut found = Diagnostics::new();
        from_ini::read(&mut Inventory::default(), self.file, self.source, self.bytes, Kept::new(false), &mut found);
        !found.has_errors()
    }
}

/// For a file without extension: whose syntax error is worth showing.
fn looks_like_yaml(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with(['#', ';']));
    first.is_some_and(|line| line.starts_with("---") || (line.ends_with(':') && !line.starts_with('[')))
}
