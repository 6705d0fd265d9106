//! Adding groups, hosts and relations as a source is read, and the rules that hold afterwards.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use super::{Group, Host, Inventory, Var, VarMap};
use crate::diag::{Diagnostic, Diagnostics, Place, Span};
use crate::yaml::{Node, Value};

impl Default for Inventory {
    fn default() -> Self {
        let mut inventory = Inventory {
            groups: IndexMap::new(),
            hosts: IndexMap::new(),
            beside: Vec::new(),
            playbook: None,
            playbook_by_default: false,
            sources: Vec::new(),
            from_ranges: 0,
        };
        inventory.add_group("all", None);
        inventory.add_group("ungrouped", None);
        inventory.link("all", "ungrouped");
        inventory
    }
}

impl Inventory {
    /// Adds the group unless it is there.
    pub(super) fn add_group(&mut self, name: &str, place: Option<Place>) {
        let group = self.groups.entry(name.to_owned()).or_insert_with(|| Group {
            name: name.to_owned(),
            priority: 1,
            ..Group::default()
        });
        if group.place.is_none() {
            group.place = place;
        }
    }

    /// Makes one group a child of another; a loop is refused.
    pub(super) fn add_child(&mut self, parent: &str, child: &str, place: Option<Place>) -> Result<(), Box<Diagnostic>> {
        if self.below(child).contains(&parent) {
            let way = self.way_down(child, parent).join(" → ");
            let message = match parent == child {
                true => format!("the group `{child}` is written as a child of itself"),
                false => format!("the groups go round in a circle: {way} → {child}"),
            };
            return Err(Box::new(
                Diagnostic::error("inventory-group-loop", message)
                    .at(place)
                    .help("take the group out of one of its parents"),
            ));
        }
        self.link(parent, child);
        Ok(())
    }

    fn link(&mut self, parent: &str, child: &str) {
        if let Some(group) = self.groups.get_mut(parent) {
            group.children.insert(child.to_owned());
        }
        if let Some(group) = self.groups.get_mut(child) {
            group.parents.insert(parent.to_owned());
        }
    }

    /// One way from a group down to another, for messages.
    fn way_down(&self, from: &str, to: &str) -> Vec<String> {
        let mut way = vec![to.to_owned()];
        let mut here = to;
        while here != from && way.len() < 50 {
            let next =
                self.groups.get(here).and_then(|g| g.parents.iter().find(|p| self.below(from).contains(&p.as_str())));
            match next {
                Some(parent) => {
                    way.push(parent.clone());
                    here = parent;
                }
                None => break,
            }
        }
        way.reverse();
        way
    }

    /// Adds the host unless it is there, and puts it into the group.
    pub(super) fn add_host(&mut self, name: &str, group: &str, place: &Place, source: Option<&Arc<Path>>) {
        let host = self.hosts.entry(name.to_owned()).or_insert_with(|| Host {
            name: name.to_owned(),
            place: place.clone(),
            groups: Default::default(),
            vars: VarMap::new(),
            source: source.cloned(),
        });
        host.groups.insert(group.to_owned());
        if let Some(group) = self.groups.get_mut(group) {
            group.hosts.insert(name.to_owned());
        }
    }

    /// Sets a variable of a host. Ansible looks for a group of that name first, so the variables of a host
    /// that is named like a group (known so far) become the group's.
    pub(super) fn set_host_var(&mut self, host: &str, name: String, var: Var, diagnostics: &mut Diagnostics) {
        if self.groups.contains_key(host) {
            return self.set_group_var(host, name, var, diagnostics);
        }
        if let Some(host) = self.hosts.get_mut(host) {
            set(&mut host.vars, name, var);
        }
    }

    /// The port in a host's entry, which is the host's in any case; 0 is none.
    pub(super) fn set_port(&mut self, host: &str, port: i64, file: &Arc<Path>, key: Span) {
        let value = Node { value: Value::Int(port), span: key, raw: false };
        let var = Var { value, file: Arc::clone(file), key, beaten: Vec::new() };
        if let Some(host) = self.hosts.get_mut(host).filter(|_| port != 0) {
            set(&mut host.vars, "ansible_port".to_owned(), var);
        }
    }

    /// Sets a variable of a group; `ansible_group_priority` is no variable but a property.
    pub(super) fn set_group_var(&mut self, group: &str, name: String, var: Var, diagnostics: &mut Diagnostics) {
        let Some(group) = self.groups.get_mut(group) else {
            return;
        };
        if name == "ansible_group_priority" {
            match priority(&var) {
                Some(priority) => group.priority = priority,
                None => diagnostics.push(
                    Diagnostic::error("inventory-priority", "`ansible_group_priority` must be a whole number")
                        .at(var.place()),
                ),
            }
            return;
        }
        set(&mut group.vars, name, var);
    }

    /// What holds for every inventory once all sources are read.
    pub(super) fn finish(&mut self, diagnostics: &mut Diagnostics) {
        let roots: Vec<String> =
            self.groups.values().filter(|g| g.parents.is_empty() && g.name != "all").map(|g| g.name.clone()).collect();
        for root in roots {
            self.link("all", &root);
        }
        let same_name: HashSet<String> = self.hosts.keys().filter(|h| self.groups.contains_key(*h)).cloned().collect();
        let mut children = Vec::new();
        for host in self.hosts.values_mut() {
            let elsewhere = host.groups.iter().any(|g| g != "all" && g != "ungrouped");
            if elsewhere {
                host.groups.shift_remove("ungrouped");
            } else if same_name.contains(&host.name) {
                // Ansible adds by name, and finds the group of that name.
                children.push(host.name.clone());
            } else if host.groups.insert("ungrouped".to_owned())
                && let Some(group) = self.groups.get_mut("ungrouped")
            {
                group.hosts.insert(host.name.clone());
            }
        }
        for child in children {
            if !self.below(&child).contains(&"ungrouped") {
                self.link("ungrouped", &child);
            }
        }
        let hosts = &self.hosts;
        if let Some(group) = self.groups.get_mut("ungrouped") {
            group.hosts.retain(|name| hosts.get(name).is_some_and(|h| h.groups.contains("ungrouped")));
        }
        self.depths();
        for name in self.groups.keys().filter(|name| self.hosts.contains_key(*name)) {
            let place = self.hosts.get(name).map(|h| h.place.clone());
            diagnostics.push(
                Diagnostic::warning("inventory-same-name", format!("`{name}` names both a host and a group"))
                    .at(place)
                    .related(self.groups.get(name).and_then(|g| g.place.clone()), "the group"),
            );
        }
    }

    /// Longest way down from `all`, by relaxing along the children; there are no loops.
    fn depths(&mut self) {
        let mut work = vec!["all".to_owned()];
        while let Some(name) = work.pop() {
            let Some(group) = self.groups.get(&name) else {
                continue;
            };
            let depth = group.depth + 1;
            for child in group.children.clone() {
                if let Some(child) = self.groups.get_mut(&child)
                    && child.depth < depth
                {
                    child.depth = depth;
                    work.push(child.name.clone());
                }
            }
        }
    }
}

fn priority(var: &Var) -> Option<i64> {
    match &var.value.value {
        crate::yaml::Value::Int(number) => Some(*number),
        crate::yaml::Value::Bool(value) => Some(i64::from(*value)),
        crate::yaml::Value::Float(number) => Some(*number as i64),
        _ => var.value.as_str()?.trim().parse().ok(),
    }
}

/// Sets a variable, keeping what it beats.
pub(super) fn set(vars: &mut VarMap, name: String, mut var: Var) {
    if let Some(old) = vars.get_mut(&name) {
        let mut beaten = std::mem::take(&mut old.beaten);
        beaten.push(old.clone());
        var.beaten = beaten;
        *old = var;
    } else {
        vars.insert(name, var);
    }
}
