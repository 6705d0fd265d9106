//! What `ansible-inventory` prints: `--list`, `--host`, `--graph`, `--export`, `-y`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::{Group, Var, VarMap};
use crate::diag::{Diagnostic, Place};
use crate::template::{json as python_json, python, scope_plain, yaml_text};
use crate::vars::Vars;
use crate::yaml::{Node, Value};

/// Names `ansible-inventory` leaves out: what Ansible itself sets.
const INTERNAL: [&str; 33] = [
    "ansible_async_path",
    "ansible_collection_name",
    "ansible_config_file",
    "ansible_dependent_role_names",
    "ansible_diff_mode",
    "ansible_facts",
    "ansible_forks",
    "ansible_inventory_sources",
    "ansible_limit",
    "ansible_play_batch",
    "ansible_play_hosts",
    "ansible_play_hosts_all",
    "ansible_play_role_names",
    "ansible_playbook_python",
    "ansible_role_name",
    "ansible_role_names",
    "ansible_run_tags",
    "ansible_skip_tags",
    "ansible_verbosity",
    "ansible_version",
    "group_names",
    "groups",
    "hostvars",
    "inventory_dir",
    "inventory_file",
    "inventory_hostname",
    "inventory_hostname_short",
    "play_hosts",
    "playbook_dir",
    "role_name",
    "role_names",
    "role_path",
    "role_uuid",
];

/// How it is printed.
#[derive(Clone, Debug, Default)]
pub struct Format<'a> {
    /// `--export`: variables of groups stay with the groups.
    pub export: bool,
    /// `-l`: hosts to show; `None` for all.
    pub limit: Option<&'a [String]>,
}

/// A printer over one set of variables.
pub struct Printer<'a> {
    vars: &'a Vars,
    format: Format<'a>,
}

impl<'a> Printer<'a> {
    /// A printer.
    pub fn new(vars: &'a Vars, format: Format<'a>) -> Self {
        Printer { vars, format }
    }

    fn shows(&self, host: &str) -> bool {
        self.format.limit.is_none_or(|limit| limit.iter().any(|name| name == host))
    }

    /// `--list`, as a value.
    pub fn list(&self) -> Json {
        let mut out = Map::new();
        let mut seen = BTreeSet::new();
        let limit: Option<BTreeSet<&str>> = self.format.limit.map(|l| l.iter().map(String::as_str).collect());
        self.group_json("all", &mut out, &mut seen, limit.as_ref());
        let mut hostvars = Map::new();
        for host in self.vars.inventory().hosts_of("all") {
            if limit.as_ref().is_some_and(|l| !l.contains(host)) {
                continue;
            }
            let vars = self.host(host);
            if !vars.is_empty() {
                hostvars.insert(host.to_owned(), Json::Object(vars));
            }
        }
        out.insert("_meta".into(), json!({"hostvars": hostvars, "profile": "inventory_legacy"}));
        Json::Object(out)
    }

    /// `--list`, as the text Ansible prints.
    pub fn list_text(&self) -> String {
        text(&self.list())
    }

    /// `--host`, as the text Ansible prints.
    pub fn host_text(&self, host: &str) -> String {
        text(&Json::Object(self.host_as(host, Node::to_host_listing)))
    }

    /// `--host` for `localhost`, which is there without being written: variables of `all`, and a connection of its own.
    /// (Ansible also names the Python it runs in.)
    pub fn localhost_text(&self, name: &str) -> String {
        let mut vars = self.host(name);
        vars.insert("ansible_connection".into(), "local".into());
        text(&Json::Object(vars))
    }

    /// `--list -y`.
    pub fn yaml_text(&self) -> String {
        let mut seen_hosts = BTreeSet::new();
        let mut seen_groups = BTreeSet::new();
        let mut out = Map::new();
        if let Some(all) = self.vars.inventory().group("all") {
            out.extend(self.group_yaml(all, &mut seen_hosts, &mut seen_groups));
        }
        yaml_text::emit(&sorted(&Json::Object(out)))
    }

    /// The variables of a host as `--list` shows them.
    pub fn host(&self, host: &str) -> Map<String, Json> {
        self.host_as(host, Node::to_listing)
    }

    fn host_as(&self, host: &str, shown: fn(&Node) -> Json) -> Map<String, Json> {
        if self.format.export {
            return self.own(host).into_iter().map(|(name, node)| (name, shown(&node))).collect();
        }
        let written = self.vars.written(host).into_iter().filter(|(name, _)| !INTERNAL.contains(name));
        written.map(|(name, node)| (name.to_owned(), shown(&node))).collect()
    }

    /// What is written for the host itself.
    fn own(&self, host: &str) -> BTreeMap<String, Node> {
        let inventory = self.vars.inventory();
        let dirs = inventory.beside.iter().chain(inventory.asked_playbook()).filter_map(|dir| dir.hosts.get(host));
        self.merged(inventory.host(host).map(|h| &h.vars).into_iter().chain(dirs))
    }

    fn merged<'m>(&self, maps: impl Iterator<Item = &'m VarMap>) -> BTreeMap<String, Node> {
        let mut all = self.vars.together(maps);
        all.retain(|name, _| !INTERNAL.contains(&name.as_str()));
        all
    }

    fn group_vars(&self, group: &Group) -> BTreeMap<String, Node> {
        let inventory = self.vars.inventory();
        let beside = inventory.beside.iter().chain(inventory.asked_playbook());
        let dirs = beside.filter_map(|dir| dir.groups.get(&group.name));
        let mut out = self.merged(std::iter::once(&group.vars).chain(dirs));
        if group.priority != 1 {
            out.insert("ansible_group_priority".into(), Node::new(Value::Int(group.priority)));
        }
        out
    }

    fn group_json(
        &self,
        name: &str,
        out: &mut Map<String, Json>,
        seen: &mut BTreeSet<String>,
        limit: Option<&BTreeSet<&str>>,
    ) {
        let Some(group) = self.vars.inventory().group(name) else { return };
        let mut entry = Map::new();
        let hosts: Vec<&String> =
            group.hosts.iter().filter(|h| name != "all" && limit.is_none_or(|l| l.contains(h.as_str()))).collect();
        if !hosts.is_empty() {
            entry.insert("hosts".into(), json!(hosts));
        }
        if !group.children.is_empty() {
            entry.insert("children".into(), json!(group.children));
        }
        for child in &group.children {
            if seen.insert(child.clone()) {
                self.group_json(child, out, seen, limit);
            }
        }
        if self.format.export {
            let vars: Map<String, Json> =
                self.group_vars(group).into_iter().map(|(k, v)| (k, v.to_listing())).collect();
            if !vars.is_empty() {
                entry.insert("vars".into(), Json::Object(vars));
            }
        }
        if !entry.is_empty() {
            out.insert(name.to_owned(), Json::Object(entry));
        }
    }

    fn group_yaml(
        &self,
        group: &Group,
        hosts: &mut BTreeSet<String>,
        groups: &mut BTreeSet<String>,
    ) -> Option<(String, Json)> {
        let mut children = Map::new();
        for child in &group.children {
            if !groups.insert(child.clone()) {
                children.insert(child.clone(), json!({}));
            } else if let Some(child) = self.vars.inventory().group(child) {
                children.extend(self.group_yaml(child, hosts, groups));
            }
        }
        let mut own = Map::new();
        for host in group.hosts.iter().filter(|h| group.name != "all" && self.shows(h)) {
            let vars = if hosts.insert(host.clone()) { self.host_as(host, Node::to_yaml_listing) } else { Map::new() };
            own.insert(host.clone(), Json::Object(vars));
        }
        let mut entry = Map::new();
        if !children.is_empty() {
            entry.insert("children".into(), Json::Object(children));
        }
        if !own.is_empty() {
            entry.insert("hosts".into(), Json::Object(own));
        }
        if self.format.export {
            let vars: Map<String, Json> =
                self.group_vars(group).into_iter().map(|(k, v)| (k, v.to_yaml_listing())).collect();
            if !vars.is_empty() {
                entry.insert("vars".into(), Json::Object(vars));
            }
        }
        (!entry.is_empty()).then(|| (group.name.clone(), Json::Object(entry)))
    }

    /// `--graph`, from a group down; `None` when there is no such group. An error is a vault value that
    /// cannot be opened: with variables, Ansible prints the plain text of those that are no part of a list
    /// or mapping, and so does this.
    pub fn graph(&self, group: &str, with_vars: bool) -> Result<Option<String>, Diagnostic> {
        let Some(group) = self.vars.inventory().group(group) else { return Ok(None) };
        let mut lines = Vec::new();
        self.graph_group(group, 0, with_vars, &mut lines)?;
        Ok(Some(lines.join("\n")))
    }

    fn graph_group(
        &self,
        group: &Group,
        depth: usize,
        with_vars: bool,
        lines: &mut Vec<String>,
    ) -> Result<(), Diagnostic> {
        lines.push(branch(&format!("@{}:", group.name), depth));
        for child in &group.children {
            if let Some(child) = self.vars.inventory().group(child) {
                self.graph_group(child, depth + 1, with_vars, lines)?;
            }
        }
        if group.name != "all" {
            for host in &group.hosts {
                lines.push(branch(host, depth + 1));
                if with_vars {
                    let vars: BTreeMap<String, Node> = match self.format.export {
                        true => self.own(host),
                        false => self
                            .vars
                            .written(host)
                            .into_iter()
                            .filter(|(n, _)| !INTERNAL.contains(n))
                            .map(|(n, v)| (n.to_owned(), v.into_owned()))
                            .collect(),
                    };
                    self.show(&vars, depth + 2, lines)?;
                }
            }
        }
        if with_vars {
            self.show(&self.group_vars(group), depth + 1, lines)?;
        }
        Ok(())
    }

    fn show(&self, vars: &BTreeMap<String, Node>, depth: usize, lines: &mut Vec<String>) -> Result<(), Diagnostic> {
        for (name, node) in vars {
            let text = match &node.value {
                Value::Vault(armoured) => {
                    let opened = self.vars.vault().text(armoured).map_err(|why| {
                        let message = format!("the vault value `{name}` cannot be opened: {why}");
                        Diagnostic::error("vault", message).at(self.place_of(node)).help(why.help())
                    })?;
                    opened.expose_str().unwrap_or_default().to_owned()
                }
                _ => python::text(&scope_plain(node)),
            };
            lines.push(branch(&format!("{{{name} = {text}}}"), depth));
        }
        Ok(())
    }

    /// Where a value of which only the node is at hand was written.
    fn place_of(&self, node: &Node) -> Option<Place> {
        let inventory = self.vars.inventory();
        let of_groups = inventory.groups.values().map(|group| &group.vars);
        let of_hosts = inventory.hosts.values().map(|host| &host.vars);
        let dirs = inventory.beside.iter().chain(&inventory.playbook);
        let beside = dirs.flat_map(|dir| dir.groups.values().chain(dir.hosts.values()));
        let mut all = of_groups.chain(of_hosts).chain(beside).chain([self.vars.extra()]).flat_map(VarMap::values);
        all.find(|var| var.value == *node).map(Var::place)
    }
}

fn branch(name: &str, depth: usize) -> String {
    if depth == 0 { name.to_owned() } else { format!("{}--{name}", "  |".repeat(depth)) }
}

fn text(value: &Json) -> String {
    python_json::dump(value, python_json::Style { indent: Some(4), sort: true, ascii: false })
}

/// Keys in order, as PyYAML writes them.
fn sorted(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let entries: BTreeMap<&String, Json> = map.iter().map(|(k, v)| (k, sorted(v))).collect();
            Json::Object(entries.into_iter().map(|(k, v)| (k.clone(), v)).collect())
        }
        Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
        other => other.clone(),
    }
}
