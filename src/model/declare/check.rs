//! Everything that can be known to be wrong before the first connection.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::{Declarations, VariableDecl, names, placement, values};
use crate::diag::{Diagnostic, Diagnostics, Place, Span};
use crate::inventory::{Cluster, Inventory, Var, VarMap, clusters};
use crate::secret::Secret;
use crate::template::{Engine, Scope, Trouble};
use crate::vars::{Layer, Vars};
use crate::yaml::{Node, Value};

/// Names that exist only while a role is rendered; a variable that uses one is checked then.
const LATER: [&str; 14] = [
    "environment",
    "cluster",
    "nodes",
    "services",
    "signals",
    "service",
    "image",
    "item",
    "db",
    "generated",
    "truthy",
    "ansible_facts",
    "hostvars",
    "lookup",
];

/// What a check finds.
#[derive(Debug)]
pub struct Checked {
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
    /// The clusters of the inventory.
    pub clusters: Vec<Cluster>,
}

/// Holds inventory and variables against the declarations.
pub fn check(vars: &Arc<Vars>, declarations: &Declarations, engine: &Engine) -> Checked {
    let inventory = Arc::clone(vars.inventory());
    let clusters = clusters(&inventory);
    let mut check = Check { vars, declarations, engine, inventory: &inventory, out: Diagnostics::new() };
    check.protect();
    placement::groups(&inventory, &clusters, &mut check.out);
    check.every_definition();
    placement::check(&inventory, declarations, &mut check.out);
    check.required(&clusters);
    check.addresses(&clusters);
    check.templated(&clusters);
    let mut diagnostics = check.out;
    diagnostics.sort();
    Checked { diagnostics, clusters }
}

struct Check<'a> {
    vars: &'a Arc<Vars>,
    declarations: &'a Declarations,
    engine: &'a Engine,
    inventory: &'a Inventory,
    out: Diagnostics,
}

impl Check<'_> {
    /// All maps of variables an operator wrote.
    fn maps(&self) -> Vec<&VarMap> {
        let inventory = self.inventory;
        let mut maps: Vec<&VarMap> = inventory.groups.values().map(|g| &g.vars).collect();
        maps.extend(inventory.hosts.values().map(|h| &h.vars));
        for dir in inventory.beside.iter().chain(&inventory.playbook) {
            maps.extend(dir.groups.values());
            maps.extend(dir.hosts.values());
        }
        maps.push(self.vars.extra());
        maps
    }

    /// Enters the secrets as they are written into the register before anything is said about them.
    fn protect(&self) {
        for map in self.maps() {
            for (name, var) in map.iter().filter(|(name, _)| self.declarations.get(name).is_some_and(|d| d.secret)) {
                let _ = name;
                hide(&var.value, 0);
            }
        }
    }

    fn every_definition(&mut self) {
        let prefixes = names::prefixes(self.declarations);
        let mut found = Vec::new();
        let mut seen: HashSet<(&str, Place)> = HashSet::new();
        for map in self.maps() {
            for (name, var) in map {
                // A range of hosts shares one line.
                if !seen.insert((name, var.key_place())) {
                    continue;
                }
                found.extend(names::check(self.declarations, &prefixes, name, var));
                if let Some(decl) = self.declarations.get(name)
                    && !has_template(&var.value, 0)
                {
                    found.extend(wrong(decl, &var.value, var));
                }
            }
        }
        found.into_iter().for_each(|d| self.out.push(d));
    }

    /// Required variables, cluster by cluster; an absence points at the group that needs it.
    fn required(&mut self, clusters: &[Cluster]) {
        for decl in self.declarations.iter().filter(|d| d.required) {
            let missing: Vec<&Cluster> = clusters
                .iter()
                .filter(|c| decl.environments.is_empty() || decl.environments.contains(&c.environment))
                .filter(|c| c.hosts.iter().any(|host| self.is_missing(host, &decl.name)))
                .collect();
            let Some((first, others)) = missing.split_first() else { continue };
            let at_all = placement::group_place(self.inventory, "all");
            let place = placement::group_place(self.inventory, &first.name);
            let mut error = Diagnostic::error("variable-missing", format!("`{}` is not set", decl.name))
                .at(place.or_else(|| at_all.clone()))
                .label(format!("`{}` needs it", first.name));
            for other in others {
                error = error.related(
                    placement::group_place(self.inventory, &other.name),
                    format!("`{}` needs it too", other.name),
                );
            }
            let section = match decl.scope {
                super::Placement::Group => format!("the `vars:` of `{}`", first.name),
                super::Placement::Host => format!("each host of `{}`", first.name),
                _ => "the `vars:` of `all`".to_owned(),
            };
            let what =
                if decl.doc.is_empty() { String::new() } else { format!(" ({})", decl.doc.trim_end_matches('.')) };
            self.out.push(error.help(format!("add `{}: …` to {section}{what}", decl.name)));
        }
    }

    fn is_missing(&self, host: &str, name: &str) -> bool {
        self.vars.find(host, name).is_none_or(|found| found.layer == Layer::RoleDefault)
    }

    /// Two hosts with one address are one machine.
    fn addresses(&mut self, clusters: &[Cluster]) {
        let mut first: BTreeMap<(String, String), &str> = BTreeMap::new();
        let mut hosts: HashSet<&str> = HashSet::new();
        for host in clusters.iter().flat_map(|c| &c.hosts).filter(|h| hosts.insert(h.as_str())) {
            let scope = Scope::new(self.engine, self.vars.of_host(host));
            let text = |name: &str| scope.get(name).ok().flatten().map(|v| crate::template::python::text(&v));
            let address = text("ansible_host").unwrap_or_else(|| host.clone()).to_lowercase();
            let port = text("ansible_port").unwrap_or_else(|| "22".into());
            let key = (address.clone(), port);
            let Some(earlier) = first.get(&key) else {
                first.insert(key, host);
                continue;
            };
            let place = |host: &str| {
                let written = self.vars.find(host, "ansible_host").and_then(|d| d.place);
                written.or_else(|| self.inventory.host(host).map(|h| h.place.clone()))
            };
            self.out.push(
                Diagnostic::error(
                    "inventory-same-address",
                    format!("`{earlier}` and `{host}` have the same address {address}"),
                )
                .at(place(host))
                .label(format!("`{host}`"))
                .related(place(earlier), format!("`{earlier}`"))
                .help("each host of a cluster is a machine of its own: correct one of the addresses"),
            );
        }
    }

    /// Values that are templates, as each host sees them.
    fn templated(&mut self, clusters: &[Cluster]) {
        let names: Vec<&VariableDecl> = self
            .declarations
            .iter()
            .filter(|decl| self.maps().iter().any(|m| m.get(&decl.name).is_some_and(|v| has_template(&v.value, 0))))
            .collect();
        if names.is_empty() {
            return;
        }
        let mut found = Vec::new();
        for host in clusters.iter().flat_map(|c| &c.hosts) {
            let scope = Scope::new(self.engine, self.vars.of_host(host));
            for decl in &names {
                let Some(definition) = self.vars.find(host, &decl.name) else { continue };
                if definition.layer == Layer::RoleDefault
                    || !has_template(&definition.value, 0)
                    || uses_later(&definition.value, 0)
                {
                    continue;
                }
                match scope.get_json(&decl.name) {
                    Ok(Some(json)) => {
                        let node = Node::from_json(&json, Span::default());
                        if let Err(why) = values::check(decl, &node) {
                            let message = format!("`{}` {} (as `{host}` sees it)", decl.name, why.message);
                            let mut error = Diagnostic::error("variable-value", message).at(definition.place);
                            error.help = why.help;
                            found.push(error);
                        }
                    }
                    Ok(None) => {}
                    Err(error)
                        if error.trouble == Trouble::Undefined
                            && LATER.iter().any(|l| error.message.contains(&format!("`{l}"))) => {}
                    Err(error) => {
                        let mut diagnostic = error.to_diagnostic();
                        diagnostic.place = diagnostic.place.or(definition.place);
                        found.push(diagnostic);
                    }
                }
            }
        }
        // The same template is wrong for every host of a group; one of them is enough.
        let mut seen: HashSet<(Option<Place>, &'static str)> = HashSet::new();
        for diagnostic in found {
            if seen.insert((diagnostic.place.clone(), diagnostic.code)) {
                self.out.push(diagnostic);
            }
        }
    }
}

fn wrong(decl: &VariableDecl, value: &Node, var: &Var) -> Option<Diagnostic> {
    let why = values::check(decl, value).err()?;
    let span = match (&why.part, why.within) {
        (Some(part), _) if part.span.line > 0 => part.span,
        // A quoted text begins one column after its quote; only a text on one line has such a place.
        (None, Some((offset, len))) if value.span.line > 0 && value.span.len > 1 => {
            let text = value.as_str().map_or(0, |t| t.chars().count()) as u32;
            let quote = u32::from(value.span.len == text + 2);
            Span::new(value.span.line, value.span.column + quote + offset, len)
        }
        _ => var.place().span(),
    };
    let mut error =
        Diagnostic::error("variable-value", format!("`{}` {}", decl.name, why.message)).at(span.at(&var.file));
    error.label = Some(format!(
        "expected {}",
        match decl.kind {
            super::Kind::Enum => format!("one of: {}", decl.values.join(", ")),
            kind => kind.words().to_owned(),
        }
    ));
    error.help = why.help;
    Some(error)
}

pub(super) fn has_template(node: &Node, depth: usize) -> bool {
    walk(node, depth, &|text| text.contains("{{") || text.contains("{%"))
}

fn uses_later(node: &Node, depth: usize) -> bool {
    walk(node, depth, &|text| {
        text.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| LATER.contains(&word))
    })
}

fn walk(node: &Node, depth: usize, test: &dyn Fn(&str) -> bool) -> bool {
    if depth > 50 {
        return false;
    }
    match &node.value {
        Value::Str(text) if !node.raw => test(text),
        // Its value is known once it is opened, as that of a template.
        Value::Vault(_) => test("{{"),
        Value::Seq(items) => items.iter().any(|item| walk(item, depth + 1, test)),
        Value::Map(map) => map.iter().any(|entry| walk(&entry.value, depth + 1, test)),
        _ => false,
    }
}

fn hide(node: &Node, depth: usize) {
    match &node.value {
        Value::Str(text) if !text.contains("{{") => drop(Secret::new(&**text)),
        Value::Int(_) | Value::BigInt(_) | Value::Float(_) => drop(Secret::new(node.scalar_text().unwrap_or_default())),
        Value::Seq(items) if depth < 50 => items.iter().for_each(|item| hide(item, depth + 1)),
        Value::Map(map) if depth < 50 => map.iter().for_each(|entry| hide(&entry.value, depth + 1)),
        _ => {}
    }
}
