//! `SERVICE_OPTIONS`: what the inventory changes on a service of the roles. Read with places, so that what is wrong is
//! said with file and line before the first connection.

mod read;

use std::collections::BTreeMap;

use crate::catalogue::{Catalogue, Role, Single};
use crate::diag::{Diagnostic, Diagnostics};
use crate::inventory::{Inventory, VarMap};

pub use read::{Problem, read};

/// The variable.
pub const NAME: &str = "SERVICE_OPTIONS";

/// What is said about one service. Absent: as its role has it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Added to its environment; `None` takes the role's variable away.
    pub extra_env: BTreeMap<String, Option<String>>,
    /// How many copies.
    pub copies: Option<Copies>,
    /// Copies a node may have.
    pub max_per_node: Option<u64>,
    /// Upper bound of memory, in bytes.
    pub memory: Option<u64>,
    /// Upper bound of processors, in billionths.
    pub nano_cpus: Option<i64>,
    /// Memory set aside, in bytes.
    pub reserved_memory: Option<u64>,
    /// Processors set aside, in billionths.
    pub reserved_nano_cpus: Option<i64>,
    /// Placement constraints, as `docker service create --constraint` takes them.
    pub constraints: Vec<String>,
}

/// How many copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// In all.
    Total(u64),
    /// On each node.
    PerNode(u64),
}

impl Options {
    /// The same, with what `over` says on top.
    pub fn with(mut self, over: &Options) -> Options {
        self.extra_env.extend(over.extra_env.clone());
        self.copies = over.copies.or(self.copies);
        self.max_per_node = over.max_per_node.or(self.max_per_node);
        self.memory = over.memory.or(self.memory);
        self.nano_cpus = over.nano_cpus.or(self.nano_cpus);
        self.reserved_memory = over.reserved_memory.or(self.reserved_memory);
        self.reserved_nano_cpus = over.reserved_nano_cpus.or(self.reserved_nano_cpus);
        self.constraints
            .extend(over.constraints.iter().filter(|c| !self.constraints.contains(c)).cloned().collect::<Vec<_>>());
        self
    }
}

/// What concerns one service: what is said of its role (`signal`), and over it what is said of itself
/// (`reemo_signal1`).
pub fn of(all: &BTreeMap<String, Options>, role: &str, service: &str) -> Options {
    let mut options = all.get(role).cloned().unwrap_or_default();
    if role != service
        && let Some(own) = all.get(service)
    {
        options = options.with(own);
    }
    options
}

/// The names `SERVICE_OPTIONS` may use: those of the roles and of their services, with the roles behind each.
pub struct Names<'a> {
    roles: Vec<(&'a str, &'a Role)>,
}

impl<'a> Names<'a> {
    /// Those of a catalogue.
    pub fn of(catalogue: &'a Catalogue) -> Self {
        Names { roles: catalogue.roles.iter().map(|(name, role)| (name.as_str(), role)).collect() }
    }

    /// Roles that a name means; none: nobody has that name.
    fn meant(&self, name: &str) -> Vec<&'a Role> {
        self.roles.iter().filter(|(role, r)| *role == name || is_instance(name, &r.service)).map(|(_, r)| *r).collect()
    }

    /// All of them, for a suggestion.
    fn all(&self) -> impl Iterator<Item = &'a str> {
        self.roles.iter().flat_map(|(name, role)| [*name, role.service.as_str()]).filter(|n| !n.contains('{'))
    }

    /// Why a service's copies cannot be chosen.
    fn counted(&self, name: &str) -> Option<&'static str> {
        self.meant(name).iter().find_map(|role| match role.single? {
            Single::Cluster => Some("it exists exactly once: a second copy would not know of the first"),
            Single::Database => Some("it is a job that runs once for each database"),
            Single::Platform => Some("it exists once on the whole platform: two copies would do the work twice"),
        })
    }
}

/// Could the service name of a role (`reemo_signal{{ item }}`) come to this one?
fn is_instance(name: &str, service: &str) -> bool {
    match (service.find("{{"), service.rfind("}}")) {
        (Some(begin), Some(end)) => {
            let (before, after) = (&service[..begin], &service[end + 2..]);
            // Gateways are called as the groups of their farms are, and those begin with the role's own name.
            let rest = name.strip_prefix(before).and_then(|n| n.strip_suffix(after));
            rest.is_some_and(|r| {
                r.starts_with("provision") && r.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
                    || !r.is_empty() && r.chars().all(|c| c.is_ascii_digit())
            })
        }
        _ => name == service,
    }
}

/// Holds every `SERVICE_OPTIONS` that is written against the roles.
pub fn check(inventory: &Inventory, extra: &VarMap, catalogue: &Catalogue) -> Diagnostics {
    let names = Names::of(catalogue);
    let mut out = Diagnostics::new();
    let written = inventory.groups.values().map(|g| &g.vars).chain(inventory.hosts.values().map(|h| &h.vars));
    let dirs = inventory.beside.iter().chain(&inventory.playbook);
    let beside = dirs.flat_map(|d| d.groups.values().chain(d.hosts.values()));
    for var in written.chain(beside).chain([extra]).filter_map(|vars| vars.get(NAME)) {
        // What is no mapping at all is said with the other kinds of values.
        if var.value.as_map().is_none() {
            continue;
        }
        for problem in read(&var.value, &names).1 {
            let place = if problem.span.line > 0 { problem.span.at(&var.file) } else { var.place() };
            let mut error = Diagnostic::error("service-options", format!("`{NAME}`: {}", problem.message)).at(place);
            error.help =
                Some(problem.help.unwrap_or_else(|| "remove it, or see `SERVICE_OPTIONS` in docs/variables.md".into()));
            out.push(error);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services_that_are_made_from_a_list() {
        assert!(is_instance("reemo_signal3", "reemo_signal{{ item }}"));
        assert!(!is_instance("reemo_signal", "reemo_signal{{ item }}"));
        assert!(is_instance("reemo_provision2", "reemo_{{ item[0] }}"));
        assert!(!is_instance("reemo_ap", "reemo_{{ item[0] }}"));
        assert!(is_instance("reemo_api", "reemo_api"));
    }

    #[test]
    fn a_service_is_said_over_its_role() {
        let env = |v: &str| BTreeMap::from([("A".to_owned(), Some(v.to_owned()))]);
        let role = Options { extra_env: env("role"), memory: Some(1), ..Options::default() };
        let own = Options { extra_env: env("own"), ..Options::default() };
        let all = BTreeMap::from([("signal".to_owned(), role), ("reemo_signal2".to_owned(), own)]);
        assert_eq!(of(&all, "signal", "reemo_signal1").extra_env, env("role"));
        let second = of(&all, "signal", "reemo_signal2");
        assert_eq!((second.extra_env, second.memory), (env("own"), Some(1)));
        assert_eq!(of(&all, "api", "reemo_api"), Options::default());
    }
}
