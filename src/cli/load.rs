//! Reading inventory, variables and roles, and checking all of it, without a connection.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use reemo_model::catalogue::Catalogue;
use reemo_model::declare::{Declarations, check};
use reemo_model::diag::{Diagnostic, Diagnostics, Located, Place, Texts};
use reemo_model::inventory::{self, Cluster, Inventory, pattern};
use reemo_model::options;
use reemo_model::template::Engine;
use reemo_model::vars::{Vars, extra};
use reemo_model::vault;
use reemo_pki::Store;

use super::args::{ConnectOptions, InventoryOptions};
use super::disk::Disk;
use super::lookup::Outside;
use super::prepare::Exit;
use super::vault::passwords;
use super::{embed, playbook};

/// Everything that was read.
pub struct Loaded {
    /// Hosts and groups.
    pub inventory: Arc<Inventory>,
    /// Variables of all hosts.
    pub vars: Arc<Vars>,
    /// Roles.
    pub catalogue: Catalogue,
    /// The roles' variables.
    pub declarations: Declarations,
    /// All clusters of the inventory.
    pub platform: Vec<Cluster>,
    /// Clusters that have a host in the run, whole: what a cluster is does not depend on `--limit`.
    pub clusters: Vec<Cluster>,
    /// Hosts of `--limit`; `None`: all.
    pub limit: Option<Vec<String>>,
    /// Texts of the files, for messages.
    pub texts: Texts,
    /// Login flags.
    pub connect: ConnectOptions,
    /// What lookups see.
    pub outside: Arc<Outside>,
    /// The template engine of a store: made once, used for every host.
    pub(super) engine: OnceLock<(Arc<Store>, Engine)>,
}

/// What is read before anything is held against the roles.
pub struct Read {
    /// Variables of all hosts, role defaults included.
    pub vars: Arc<Vars>,
    /// Roles.
    pub catalogue: Catalogue,
    /// Their variables.
    pub declarations: Declarations,
    /// Texts of the files, for messages.
    pub texts: Texts,
    /// A source could not be read, or only a part of it.
    pub unread: bool,
}

/// Reads sources, `-e`, `ansible.cfg` and roles. Only what leaves nothing to check further is an `Err`.
pub fn read(options: &InventoryOptions, diagnostics: &mut Diagnostics) -> Result<Read, Exit> {
    if options.inventory.is_empty() {
        return Err(Exit::usage("no inventory was given: -i inventory.yml"));
    }
    let catalogue = embed::catalogue(options.roles.as_deref()).map_err(|e| Exit::invalid(e.to_string()))?;
    let declarations = Declarations::of(&catalogue).map_err(|e| Exit::invalid(e.to_string()))?;
    diagnostics.extend(options.config.diagnostics.clone());
    let playbook_dir = playbook::of_run(options, diagnostics);
    let sources = present(&options.inventory, diagnostics);
    let disk = Disk { vault: Arc::new(passwords::gather(&options.vault)?) };
    let read = inventory::load(&disk, &sources, &reading(options, playbook_dir.clone()));
    let mut texts = read.texts;
    texts.extend(catalogue.places.texts.clone());
    texts.extend(options.config.texts.clone());
    let read_badly = read.diagnostics.strict();
    let unread = read_badly.has_errors() || sources.len() < options.inventory.len();
    diagnostics.extend(read_badly);
    let extra = extra::parse(&options.extra_vars, &disk, &mut texts, diagnostics);
    texts.hide(declarations.secret_names().map(str::to_owned));
    let mut vars = Vars::new(Arc::new(read.inventory))
        .with_declarations(&declarations)
        .with_merge(options.config.settings.merge)
        .with_extra(extra)
        .with_vault(disk.vault)
        .with_encrypted(texts.encrypted_files());
    if let Some(dir) = playbook_dir {
        vars = vars.with_playbook_dir(std::path::absolute(&dir).unwrap_or(dir));
    }
    let vars = Arc::new(vars);
    vault::register(&vars, &texts);
    Ok(Read { vars, catalogue, declarations, texts, unread })
}

/// How sources are read, as `ansible.cfg` says.
pub fn reading(options: &InventoryOptions, playbook_dir: Option<PathBuf>) -> inventory::Options {
    let list = |found: &Option<Located<Vec<String>>>| found.as_ref().map(|found| found.value.clone());
    let settings = &options.config.settings;
    let patterns = list(&settings.ignore_patterns).unwrap_or_default();
    let ignore = inventory::Ignore { extensions: list(&settings.ignore_extensions), patterns };
    inventory::Options { playbook_dir, working_dir: None, ignore }
}

/// The sources that are there; the others are said.
fn present(sources: &[String], diagnostics: &mut Diagnostics) -> Vec<String> {
    let mut there = Vec::new();
    for source in sources {
        match std::fs::metadata(Path::new(source)) {
            Err(e) if !source.contains(',') => diagnostics.push(
                Diagnostic::error("inventory-unreadable", format!("cannot read the inventory `{source}`: {e}"))
                    .at(Place::file(source))
                    .help("give a file, a directory, or hosts with a comma: `-i host1,`"),
            ),
            _ => there.push(source.clone()),
        }
    }
    there
}

/// Reads and holds it against the roles; what is wrong goes to `diagnostics`.
pub fn load(
    options: &InventoryOptions,
    connect: &ConnectOptions,
    diagnostics: &mut Diagnostics,
) -> Result<Loaded, Exit> {
    let Read { vars, catalogue, declarations, texts, unread } = read(options, diagnostics)?;
    let inventory = Arc::clone(vars.inventory());
    let outside = Arc::new(Outside::new(&options.inventory, options.allow_pipe, vars.vault()));
    let checked = check(&vars, &declarations, &Engine::in_world(outside.clone(), |_| {}));
    // A file that cannot be read is why there are no hosts: that is said already.
    let known = |d: &Diagnostic| d.code == "inventory-empty" && unread;
    diagnostics.extend(checked.diagnostics.into_iter().filter(|d| !known(d)).collect());
    diagnostics.extend(options::check(&inventory, vars.extra(), &catalogue));
    without_effect(&inventory, diagnostics);
    let platform = checked.clusters;
    let mut clusters = platform.clone();
    let limit = match limit(&inventory, &options.limit) {
        Ok(limit) => limit,
        // What is wrong with the inventory comes first: it may be why the pattern fits nothing.
        Err(_) if diagnostics.has_errors() => None,
        Err(exit) => return Err(exit),
    };
    if let Some(chosen) = &limit {
        clusters.retain(|c| c.hosts.iter().any(|h| chosen.contains(h)));
        if clusters.is_empty() && !diagnostics.has_errors() {
            return Err(Exit::usage("--limit leaves no host of a manager group"));
        }
    }
    Ok(Loaded {
        inventory,
        vars,
        catalogue,
        declarations,
        platform,
        clusters,
        limit,
        texts,
        connect: connect.clone(),
        outside,
        engine: OnceLock::new(),
    })
}

/// Variables of the vendor's later role that are read for the inventory's sake and do nothing: nothing is silently
/// ignored. What to do instead.
pub const WITHOUT_EFFECT: [(&str, &str); 3] = [
    ("LOAD_IMAGE", "IMAGE_MODE says where images come from"),
    ("LOCAL_PATH", "a bundle of `images save` is named with IMAGE_BUNDLE"),
    ("REGISTRY_TLS_VERIFY", "a registry's certificate is always checked: name its authority with REGISTRY_CA_FILE"),
];

fn without_effect(inventory: &Inventory, diagnostics: &mut Diagnostics) {
    for vars in inventory.groups.values().map(|g| &g.vars).chain(inventory.hosts.values().map(|h| &h.vars)) {
        for (name, instead) in WITHOUT_EFFECT {
            let Some(var) = vars.get(name) else { continue };
            // Asked for what is done anyway.
            let said = var.value.scalar_text().unwrap_or_default().to_lowercase();
            if name == "REGISTRY_TLS_VERIFY" && matches!(said.as_str(), "true" | "yes") {
                continue;
            }
            let problem = Diagnostic::warning("variable-without-effect", format!("`{name}` has no effect"));
            diagnostics.push(problem.at(var.key_place()).help(instead));
        }
    }
}

/// The hosts that `--limit` selects.
fn limit(inventory: &Inventory, parts: &[String]) -> Result<Option<Vec<String>>, Exit> {
    if parts.is_empty() {
        return Ok(None);
    }
    let chosen = pattern::select_parts(inventory, &words(parts)?).map_err(|e| Exit::usage(e.to_string()))?;
    match chosen.unmatched.first() {
        Some(part) => Err(Exit::usage(format!("--limit: {part}"))),
        None => Ok(Some(chosen.hosts)),
    }
}

/// The patterns of every `--limit`: what stands there, and the lines of the files named with `@`.
pub fn words(parts: &[String]) -> Result<Vec<String>, Exit> {
    let mut words = Vec::new();
    for part in parts {
        match part.strip_prefix('@') {
            Some(file) => {
                let text = std::fs::read_to_string(file).map_err(|e| Exit::usage(format!("--limit {part}: {e}")))?;
                words.extend(text.lines().map(str::trim).filter(|l| !l.is_empty()).map(str::to_owned));
            }
            None => words.push(part.clone()),
        }
    }
    Ok(words)
}
