//! Which definition of a variable counts: Ansible's precedence, with the place of every definition.

pub mod extra;
mod magic;
mod merge;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use indexmap::{IndexMap, IndexSet};

use crate::declare::{Kind, VariableDecl};
use crate::diag::Place;
use crate::inventory::{Inventory, Var, VarMap, VarsDir};
use crate::secret::Secret;
use crate::template::{Found, Lookup};
use crate::vault::{self, Vault, VaultError};
use crate::yaml::Node;

/// Where a definition comes from, lowest precedence first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// `default:` in a role file.
    RoleDefault,
    /// `vars:` of a group in an inventory file.
    Group(String),
    /// A file of `group_vars/`.
    GroupVars(String),
    /// Written at a host in an inventory file.
    Host,
    /// A file of `host_vars/`.
    HostVars,
    /// `-e`.
    Extra,
    /// Set by the program: `inventory_hostname`, `groups`, …
    Magic,
}

impl Layer {
    /// For people: `group all`, `group_vars/web`.
    pub fn describe(&self) -> String {
        match self {
            Layer::RoleDefault => "role default".into(),
            Layer::Group(name) => format!("group {name}"),
            Layer::GroupVars(name) => format!("group_vars/{name}"),
            Layer::Host => "host".into(),
            Layer::HostVars => "host_vars".into(),
            Layer::Extra => "--extra-vars".into(),
            Layer::Magic => "set by reemo-infra".into(),
        }
    }
}

/// One definition of a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    /// The value, not templated.
    pub value: Node,
    /// Where it stands.
    pub place: Option<Place>,
    /// What kind of place that is.
    pub layer: Layer,
}

impl Definition {
    /// Where a part of the value stands (an item of a list, the value of a key): the whole's place when
    /// the part was computed.
    pub fn place_of(&self, part: &Node) -> Option<Place> {
        let whole = self.place.as_ref()?;
        Some(if part.span.line == 0 { whole.clone() } else { part.span.at(&whole.file) })
    }
}

/// All variables of all hosts.
#[derive(Debug)]
pub struct Vars {
    inventory: Arc<Inventory>,
    defaults: VarMap,
    extra: VarMap,
    secrets: IndexSet<String>,
    playbook_dir: Option<PathBuf>,
    groups: OnceLock<Node>,
    vault: Arc<Vault>,
    encrypted: BTreeSet<Arc<Path>>,
    words: IndexSet<String>,
    merge: bool,
}

impl Vars {
    /// The variables of an inventory alone.
    pub fn new(inventory: Arc<Inventory>) -> Self {
        Vars {
            inventory,
            defaults: VarMap::new(),
            extra: VarMap::new(),
            secrets: IndexSet::new(),
            playbook_dir: None,
            groups: OnceLock::new(),
            vault: Arc::default(),
            encrypted: BTreeSet::new(),
            words: IndexSet::new(),
            merge: false,
        }
    }

    /// Mappings of several definitions are merged instead of replaced (`hash_behaviour = merge`).
    pub fn with_merge(mut self, merge: bool) -> Self {
        self.merge = merge;
        self
    }

    /// Sets the role defaults, and which variables are secret.
    pub fn with_declarations(mut self, declarations: &crate::declare::Declarations) -> Self {
        self.defaults = declarations.defaults();
        self.secrets = declarations.secret_names().map(str::to_owned).collect();
        let word = |decl: &&VariableDecl| !decl.secret && matches!(decl.kind, Kind::Bool | Kind::Enum | Kind::Int);
        self.words = declarations.iter().filter(word).map(|decl| decl.name.clone()).collect();
        self
    }

    /// Sets what `-e` says (see [`extra::parse`]).
    pub fn with_extra(mut self, extra: VarMap) -> Self {
        self.extra = extra;
        self
    }

    /// Sets the passwords that open inline `!vault` values.
    pub fn with_vault(mut self, vault: Arc<Vault>) -> Self {
        self.vault = vault;
        self
    }

    /// Sets which files are vaults as a whole (see [`Texts::encrypted_files`](crate::diag::Texts)): what
    /// stands in them is secret.
    pub fn with_encrypted<'a>(mut self, files: impl IntoIterator<Item = &'a Arc<Path>>) -> Self {
        self.encrypted = files.into_iter().cloned().collect();
        self
    }

    /// The passwords that open inline `!vault` values.
    pub fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault)
    }

    /// Sets the magic variable `playbook_dir`.
    pub fn with_playbook_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.playbook_dir = Some(dir.into());
        self
    }

    /// The inventory they are of.
    pub fn inventory(&self) -> &Arc<Inventory> {
        &self.inventory
    }

    /// What `-e` says.
    pub fn extra(&self) -> &VarMap {
        &self.extra
    }

    /// True for a variable that is declared secret.
    pub fn is_secret(&self, name: &str) -> bool {
        self.secrets.contains(name)
    }

    /// True for a variable whose value is hidden when the whole file it stands in is encrypted: all but those
    /// by which hosts are reached, and those declared to be one of a few words.
    pub(crate) fn is_hidden(&self, name: &str) -> bool {
        !vault::is_address(name) && !self.words.contains(name)
    }

    /// True for a variable whose definition for this host stands in a file that is a vault as a whole.
    fn is_encrypted(&self, host: &str, name: &str) -> bool {
        let file = || self.find(host, name)?.place.map(|place| place.file);
        !self.encrypted.is_empty() && self.is_hidden(name) && file().is_some_and(|f| self.encrypted.contains(&f))
    }

    /// The maps that count for a host, lowest precedence first.
    fn layers(&self, host: &str) -> Vec<(Layer, &VarMap)> {
        let mut out = vec![(Layer::RoleDefault, &self.defaults)];
        let inventory = &*self.inventory;
        let groups = inventory.merge_order(host);
        let beside: Vec<&VarsDir> = inventory.beside.iter().chain(&inventory.playbook).collect();
        if let Some(all) = inventory.group("all") {
            out.push((Layer::Group("all".into()), &all.vars));
        }
        out.extend(groups.iter().map(|g| (Layer::Group(g.name.clone()), &g.vars)));
        let of_groups = |dir: &'_ VarsDir, name: &str| dir.groups.contains_key(name);
        for dir in &beside {
            if let Some(vars) = dir.groups.get("all") {
                out.push((Layer::GroupVars("all".into()), vars));
            }
        }
        for dir in &beside {
            for group in groups.iter().filter(|g| of_groups(dir, &g.name)) {
                if let Some(vars) = dir.groups.get(&group.name) {
                    out.push((Layer::GroupVars(group.name.clone()), vars));
                }
            }
        }
        if let Some(host) = inventory.host(host) {
            out.push((Layer::Host, &host.vars));
        }
        for dir in &beside {
            if let Some(vars) = dir.hosts.get(host) {
                out.push((Layer::HostVars, vars));
            }
        }
        out.push((Layer::Extra, &self.extra));
        out
    }

    /// The definition that counts for a host.
    pub fn find(&self, host: &str, name: &str) -> Option<Definition> {
        if let Some(value) = self.magic(host, name) {
            return Some(Definition { value, place: None, layer: Layer::Magic });
        }
        let mut found = self.layers(host).into_iter().rev().filter_map(|(l, vars)| vars.get(name).map(|v| (l, v)));
        let (layer, var) = found.next()?;
        let mut out = definition(layer, var);
        if self.merge {
            out.value = merge::own(var);
            for (_, var) in found {
                out.value = merge::over(&merge::own(var), &out.value);
            }
        }
        Some(out)
    }

    /// Every definition for a host: the one that counts first, then those it beats, highest first.
    pub fn explain(&self, host: &str, name: &str) -> Vec<Definition> {
        let mut out = Vec::new();
        if let Some(value) = self.magic(host, name) {
            out.push(Definition { value, place: None, layer: Layer::Magic });
        }
        for (layer, vars) in self.layers(host).into_iter().rev() {
            if let Some(var) = vars.get(name) {
                out.push(definition(layer.clone(), var));
                out.extend(var.beaten.iter().rev().map(|old| definition(layer.clone(), old)));
            }
        }
        // One folder may count twice: beside an inventory, and as the playbook's.
        let mut seen: Vec<(Place, Layer)> = Vec::new();
        out.retain(|found| {
            let Some(place) = found.place.clone().filter(|p| p.line > 0) else { return true };
            let here = (place, found.layer.clone());
            let new = !seen.contains(&here);
            seen.extend(new.then_some(here));
            new
        });
        out
    }

    /// What the operator wrote that counts for a host, by name: everything but role defaults and magic.
    pub fn written(&self, host: &str) -> IndexMap<&str, Cow<'_, Node>> {
        let mut out: IndexMap<&str, Cow<'_, Node>> = IndexMap::new();
        for (layer, vars) in self.layers(host) {
            if layer != Layer::RoleDefault {
                self.lay(&mut out, vars);
            }
        }
        out
    }

    /// Several maps as one, lowest precedence first.
    pub fn together<'a>(&self, maps: impl Iterator<Item = &'a VarMap>) -> BTreeMap<String, Node> {
        let mut out: IndexMap<&str, Cow<'a, Node>> = IndexMap::new();
        maps.for_each(|map| self.lay(&mut out, map));
        out.into_iter().map(|(name, node)| (name.to_owned(), node.into_owned())).collect()
    }

    fn lay<'a>(&self, out: &mut IndexMap<&'a str, Cow<'a, Node>>, map: &'a VarMap) {
        if !self.merge {
            out.extend(map.iter().map(|(name, var)| (name.as_str(), Cow::Borrowed(&var.value))));
            return;
        }
        for (name, var) in map {
            let own = merge::own(var);
            let value = out.get(name.as_str()).map_or_else(|| own.clone(), |low| merge::over(low, &own));
            out.insert(name, Cow::Owned(value));
        }
    }

    /// Names of all variables of a host, magic ones included, in order of precedence and writing.
    pub fn names(&self, host: &str) -> Vec<String> {
        let mut names: IndexSet<String> = IndexSet::new();
        for (_, vars) in self.layers(host) {
            names.extend(vars.keys().cloned());
        }
        names.extend(magic::NAMES.iter().map(|name| (*name).to_owned()));
        names.into_iter().collect()
    }

    /// The variables of one host, for a [`crate::template::Scope`].
    pub fn of_host(self: &Arc<Self>, host: &str) -> Arc<HostVars> {
        Arc::new(HostVars { vars: Arc::clone(self), host: host.to_owned() })
    }
}

fn definition(layer: Layer, var: &Var) -> Definition {
    let place = match layer {
        // Declared in a test, or computed: it stands nowhere.
        Layer::RoleDefault => Some(var.place()).filter(|place| place.line > 0),
        _ => Some(var.place()),
    };
    Definition { value: var.value.clone(), place, layer }
}

/// The variables of one host.
#[derive(Debug)]
pub struct HostVars {
    vars: Arc<Vars>,
    host: String,
}

impl HostVars {
    /// The host.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// All hosts' variables.
    pub fn all(&self) -> &Arc<Vars> {
        &self.vars
    }
}

impl Lookup for HostVars {
    fn find(&self, name: &str) -> Option<Found> {
        let found = self.vars.find(&self.host, name)?;
        Some(Found { value: found.value, place: found.place, raw: found.layer == Layer::Magic })
    }

    fn names(&self) -> Vec<String> {
        self.vars.names(&self.host)
    }

    fn is_secret(&self, name: &str) -> bool {
        self.vars.is_secret(name)
    }

    fn is_vaulted(&self, name: &str) -> bool {
        self.vars.is_encrypted(&self.host, name)
    }

    fn label(&self) -> String {
        self.host.clone()
    }

    fn host(&self, name: &str) -> Option<Arc<dyn Lookup>> {
        self.vars.inventory.host(name)?;
        Some(self.vars.of_host(name))
    }

    fn decrypt(&self, vault: &str) -> Result<Secret, VaultError> {
        self.vars.vault.text(vault)
    }

    fn hosts(&self) -> Vec<String> {
        self.vars.inventory.hosts.keys().cloned().collect()
    }
}
