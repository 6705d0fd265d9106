//! Hosts, groups and what is written about them, from any of Ansible's sources.

mod address;
mod build;
pub mod cluster;
mod from_hosts;
mod from_ini;
mod from_script;
mod from_yaml;
mod ignore;
pub mod list;
mod literal;
pub mod load;
pub mod pattern;
mod range;
pub mod source;
mod vars_files;

use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

pub(crate) use address::is_ip;
pub use cluster::{Cluster, Environment, clusters, farm_of};
pub use ignore::Ignore;
pub use load::{Loaded, Options, load};
pub use source::{Memory, SourceError, Sources, without_dots};
pub(crate) use vars_files::decrypted;

use crate::diag::{Place, Span};
use crate::yaml::Node;

/// A variable as it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Var {
    /// The value, not yet templated.
    pub value: Node,
    /// The file it stands in.
    pub file: Arc<Path>,
    /// Where its name stands.
    pub key: Span,
    /// What the same source wrote earlier for the same name, oldest first.
    pub beaten: Vec<Var>,
}

impl Var {
    /// Where the value stands; the name's place for a value nobody wrote.
    pub fn place(&self) -> Place {
        if self.value.span.line == 0 { self.key_place() } else { self.value.span.at(&self.file) }
    }

    /// Where the name stands.
    pub fn key_place(&self) -> Place {
        self.key.at(&self.file)
    }
}

/// Variables in the order they were written.
pub type VarMap = IndexMap<String, Var>;

/// A group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Where it is first written; nowhere for `all` and `ungrouped` unless written.
    pub place: Option<Place>,
    /// Child groups, in order.
    pub children: IndexSet<String>,
    /// Parent groups, in order.
    pub parents: IndexSet<String>,
    /// Hosts written in the group itself.
    pub hosts: IndexSet<String>,
    /// Its variables in inventory files.
    pub vars: VarMap,
    /// Longest way down from `all`.
    pub depth: usize,
    /// `ansible_group_priority`; 1 when not set.
    pub priority: i64,
}

/// A host.
#[derive(Clone, Debug)]
pub struct Host {
    /// Name in the inventory.
    pub name: String,
    /// Where it is first written.
    pub place: Place,
    /// Groups it is written in, in order.
    pub groups: IndexSet<String>,
    /// Its variables in inventory files.
    pub vars: VarMap,
    /// The source it was first found in (absolute), for `inventory_file`.
    pub source: Option<Arc<Path>>,
}

/// Variables of one entity from the files of one directory (`group_vars`, `host_vars`).
#[derive(Clone, Debug, Default)]
pub struct VarsDir {
    /// The directory they stand in.
    pub dir: PathBuf,
    /// By group name.
    pub groups: IndexMap<String, VarMap>,
    /// By host name.
    pub hosts: IndexMap<String, VarMap>,
}

/// Everything the sources say.
#[derive(Clone, Debug)]
pub struct Inventory {
    /// Groups, `all` and `ungrouped` first.
    pub groups: IndexMap<String, Group>,
    /// Hosts in the order they were found.
    pub hosts: IndexMap<String, Host>,
    /// `group_vars` and `host_vars` beside the sources, in order of the sources.
    pub beside: Vec<VarsDir>,
    /// The same beside the playbook, if a directory was given.
    pub playbook: Option<VarsDir>,
    /// True if that directory was not asked for, but is where the command runs.
    playbook_by_default: bool,
    /// The sources, as given.
    pub sources: Vec<String>,
    /// How many of the hosts ranges stood for.
    from_ranges: usize,
}

impl Inventory {
    /// The group, if there is one of this name.
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    /// The host, if there is one of this name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.get(name)
    }

    /// The playbook's variables if its directory was asked for: they are printed with groups and hosts then.
    fn asked_playbook(&self) -> Option<&VarsDir> {
        self.playbook.as_ref().filter(|_| !self.playbook_by_default)
    }

    /// Hosts of a group and of all groups below it, in inventory order by group.
    pub fn hosts_of(&self, group: &str) -> Vec<&str> {
        let mut hosts: IndexSet<&str> = IndexSet::new();
        for name in self.below(group) {
            if let Some(group) = self.groups.get(name) {
                hosts.extend(group.hosts.iter().map(String::as_str));
            }
        }
        hosts.into_iter().collect()
    }

    /// The group and every group below it, level by level.
    pub fn below<'a>(&'a self, group: &str) -> Vec<&'a str> {
        let start = self.groups.get(group);
        self.walk(start.into_iter().map(|g| g.name.as_str()), |g| &g.children)
    }

    /// All groups a host is in, parents included, `all` left out; sorted by name.
    pub fn group_names(&self, host: &str) -> Vec<&str> {
        let mut names: Vec<&str> = self.groups_of(host).into_iter().filter(|name| *name != "all").collect();
        names.sort_unstable();
        names
    }

    /// All groups a host is in, parents included, nearest first.
    pub fn groups_of(&self, host: &str) -> Vec<&str> {
        let Some(host) = self.hosts.get(host) else {
            return Vec::new();
        };
        self.walk(host.groups.iter().map(String::as_str), |g| &g.parents)
    }

    /// Groups of a host in the order their variables are merged: by depth, priority and name; `all`
    /// (always the first) left out.
    pub fn merge_order(&self, host: &str) -> Vec<&Group> {
        let mut groups: Vec<&Group> =
            self.groups_of(host).into_iter().filter(|n| *n != "all").filter_map(|n| self.groups.get(n)).collect();
        groups.sort_by(|a, b| (a.depth, a.priority, &a.name).cmp(&(b.depth, b.priority, &b.name)));
        groups
    }

    fn walk<'a>(&'a self, start: impl Iterator<Item = &'a str>, next: fn(&Group) -> &IndexSet<String>) -> Vec<&'a str> {
        let mut seen: HashSet<&str> = HashSet::new();
        let mut queue: VecDeque<&str> = VecDeque::new();
        let mut out = Vec::new();
        for name in start {
            if seen.insert(name) {
                queue.push_back(name);
            }
        }
        while let Some(name) = queue.pop_front() {
            out.push(name);
            for other in self.groups.get(name).into_iter().flat_map(next) {
                if seen.insert(other) {
                    queue.push_back(other);
                }
            }
        }
        out
    }
}
