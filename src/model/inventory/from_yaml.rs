//! YAML (and JSON) inventory files.

use std::path::Path;
use std::sync::Arc;

use super::load::Kept;
use super::{Inventory, Var};
use crate::diag::{Diagnostic, Diagnostics, nearest_within};
use crate::yaml::{Document, Entry, Node, Value};

/// How a YAML inventory is read.
pub(super) struct Reader<'a> {
    pub inventory: &'a mut Inventory,
    pub file: &'a Arc<Path>,
    /// Absolute path of the source, for `inventory_file`.
    pub source: &'a Arc<Path>,
    /// Says whether a stray key directly under `all` names one of our groups.
    pub is_ours: &'a dyn Fn(&str) -> bool,
    /// What counts when something is wrong.
    pub kept: Kept,
    pub diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    /// Reads every group of the document.
    pub fn read(mut self, document: &Document) {
        let root = &document.root;
        let Some(groups) = root.as_map() else {
            let message = match root.is_null() {
                true => "the inventory is empty".to_owned(),
                false => format!("an inventory is a mapping of groups, and this is {}", root.kind()),
            };
            let place = root.span.at(self.file);
            // Ansible reads an empty file as no hosts.
            let found = match root.is_null() {
                true => Diagnostic::lint("inventory-shape", message),
                false => Diagnostic::error("inventory-shape", message),
            };
            self.diagnostics.push(
                found.at(place).help("begin with `all:`, and under it `children:`, the groups, and their `hosts:`"),
            );
            return;
        };
        if let Some(plugin) = groups.entry("plugin").filter(|e| e.value.as_str().is_some()) {
            self.diagnostics.push(
                Diagnostic::error(
                    "inventory-plugin",
                    "this file configures an inventory plugin, and plugins are Python",
                )
                .at(plugin.key.span.at(self.file))
                .help("write the inventory with `ansible-inventory --export --list -i FILE` and give that file here"),
            );
            return;
        }
        for entry in groups {
            self.group(entry, None);
        }
        let Reader { kept, inventory, .. } = self;
        kept.restore(inventory);
    }

    fn error(&mut self, code: &'static str, message: String, at: &Node, help: &str) {
        self.kept.stop(self.inventory);
        self.diagnostics.push(Diagnostic::error(code, message).at(at.span.at(self.file)).help(help));
    }

    fn group(&mut self, entry: &Entry, parent: Option<&str>) {
        let Some(name) = entry.key.as_str().filter(|name| !name.is_empty()) else {
            let message = format!("a group name must be text, and `{}` is {}", entry.key.key_text(), entry.key.kind());
            self.error("inventory-group-name", message, &entry.key, "put the name in quotes");
            return;
        };
        let name = name.to_owned();
        let place = entry.key.span.at(self.file);
        let sections = match &entry.value.value {
            Value::Map(map) => Some(Arc::clone(map)),
            Value::Null => None,
            _ => {
                self.diagnostics.push(
                    Diagnostic::lint(
                        "inventory-not-a-group",
                        format!("`{name}` is no group: its value is {}", entry.value.kind()),
                    )
                    .at(entry.value.span.at(self.file))
                    .label("a mapping with `hosts:`, `children:` or `vars:` is expected; Ansible skips this")
                    .help("variables stand under `vars:`"),
                );
                return;
            }
        };
        self.inventory.add_group(&name, Some(place.clone()));
        // Ansible looks at the shape of all three before it reads one.
        let shapeless =
            |e: &Entry| is_section(&e.key) && !matches!(&e.value.value, Value::Map(_) | Value::Null | Value::Str(_));
        if sections.iter().flat_map(|map| map.iter()).any(shapeless) {
            self.kept.stop(self.inventory);
        }
        for section in sections.iter().flat_map(|map| map.iter()) {
            self.section(&name, section);
        }
        if let Some(parent) = parent
            && let Err(error) = self.inventory.add_child(parent, &name, Some(place))
        {
            self.kept.stop(self.inventory);
            self.diagnostics.push(*error);
        }
    }

    fn section(&mut self, group: &str, section: &Entry) {
        let key = section.key.key_text();
        let known = matches!(key.as_str(), "vars" | "children" | "hosts");
        // `hosts: web1` stands for a mapping with one key.
        let single = section.value.as_str().filter(|_| known).map(|_| Entry {
            key: section.value.clone(),
            value: Node { value: Value::Null, span: section.value.span, raw: false },
        });
        let entries: Vec<&Entry> = match (&single, &section.value.value) {
            (Some(entry), _) => vec![entry],
            (None, Value::Map(map)) => map.iter().collect(),
            (None, Value::Null) if known => return,
            (None, _) if known => {
                let message =
                    format!("`{key}:` of the group `{group}` must be a mapping, and this is {}", section.value.kind());
                let help = match (&section.value.value, key.as_str()) {
                    (Value::Seq(_), "vars") => "write `NAME: value` lines without `-`",
                    (Value::Seq(_), _) => "write each name with a colon and without `-`: `web1:`",
                    _ => "write one `name:` per line below it",
                };
                self.error("inventory-shape", message, &section.value, help);
                return;
            }
            (None, _) => Vec::new(),
        };
        match key.as_str() {
            "vars" => {
                for entry in entries {
                    let var = self.var(entry);
                    self.inventory.set_group_var(group, entry.key.key_text(), var, self.diagnostics);
                }
            }
            "children" => {
                for entry in entries {
                    self.group(entry, Some(group));
                }
            }
            "hosts" => {
                for entry in entries {
                    self.host(group, entry);
                }
            }
            _ => self.stray(group, section),
        }
    }

    /// A key Ansible skips with a warning. The vendor's document writes our groups there.
    fn stray(&mut self, group: &str, section: &Entry) {
        let name = section.key.key_text();
        let place = section.key.span.at(self.file);
        let looks_like_group = matches!(&section.value.value, Value::Null | Value::Map(_));
        if group == "all" && (self.is_ours)(&name) && looks_like_group {
            self.diagnostics.push(
                Diagnostic::warning(
                    "inventory-stray-group",
                    format!("`{name}:` stands directly under `all:`, where Ansible ignores it"),
                )
                .at(place)
                .label("read here as a child group, as the vendor's document means it")
                .help(format!("write it under `children:`:\n  all:\n    children:\n      {name}:")),
            );
            self.group(section, Some("all"));
            return;
        }
        let near = nearest_within(&name, ["vars", "children", "hosts"], 2);
        let help = match near {
            Some(near) => format!("did you mean `{near}:`?"),
            None if looks_like_group => {
                format!("a group stands under `children:`; to make `{name}` a child of `{group}`, write it there")
            }
            None => "variables stand under `vars:`".to_owned(),
        };
        self.diagnostics.push(
            Diagnostic::lint("inventory-stray-key", format!("unexpected key `{name}` in the group `{group}`"))
                .at(place)
                .label("only `vars:`, `children:` and `hosts:` are valid here; Ansible ignores this")
                .help(help),
        );
    }

    fn host(&mut self, group: &str, entry: &Entry) {
        let Some(name) = entry.key.as_str() else {
            let message =
                format!("a host name must be text, and `{}` is read as {}", entry.key.key_text(), entry.key.kind());
            self.error("inventory-host-name", message, &entry.key, "put the name in quotes");
            return;
        };
        let (hosts, port) = match self.inventory.expand(name) {
            Ok(found) => found,
            Err(message) => {
                self.error(
                    "inventory-range",
                    message,
                    &entry.key,
                    "ranges look like `web[01:20]`, `db[a:f]` or `n[0:10:2]`",
                );
                return;
            }
        };
        if hosts.iter().any(String::is_empty) {
            self.error(
                "inventory-host-name",
                "a host name is empty".into(),
                &entry.key,
                "write a name before the colon",
            );
            return;
        }
        let vars = match &entry.value.value {
            Value::Map(map) => map.iter().collect(),
            Value::Null | Value::Bool(false) | Value::Int(0) => Vec::new(),
            Value::Str(text) if text.is_empty() => Vec::new(),
            Value::Seq(items) if items.is_empty() => Vec::new(),
            _ => {
                let message =
                    format!("the host `{name}` must have a mapping of variables, and this is {}", entry.value.kind());
                self.error(
                    "inventory-shape",
                    message,
                    &entry.value,
                    "write `ansible_host: 10.0.0.1` on a line of its own below the name",
                );
                Vec::new()
            }
        };
        let place = entry.key.span.at(self.file);
        for host in &hosts {
            let new = !self.inventory.hosts.contains_key(host);
            self.inventory.add_host(host, group, &place, Some(self.source));
            if let Some(port) = port.filter(|_| new) {
                self.inventory.set_port(host, port, self.file, entry.key.span);
            }
            for entry in &vars {
                let var = self.var(entry);
                self.inventory.set_host_var(host, entry.key.key_text(), var, self.diagnostics);
            }
        }
    }

    fn var(&self, entry: &Entry) -> Var {
        Var { value: entry.value.clone(), file: Arc::clone(self.file), key: entry.key.span, beaten: Vec::new() }
    }
}

fn is_section(key: &Node) -> bool {
    matches!(key.as_str(), Some("vars" | "children" | "hosts"))
}
