//! Variables nobody writes: `inventory_hostname`, `groups`, …

use std::sync::Arc;

use super::Vars;
use crate::inventory::Inventory;
use crate::yaml::{Mapping, Node, Value};

/// Their names; `hostvars` is made by the template engine.
pub(super) const NAMES: [&str; 7] = [
    "inventory_hostname",
    "inventory_hostname_short",
    "group_names",
    "groups",
    "inventory_dir",
    "inventory_file",
    "playbook_dir",
];

impl Vars {
    pub(super) fn magic(&self, host: &str, name: &str) -> Option<Node> {
        Some(match name {
            "inventory_hostname" => Node::str(host),
            "inventory_hostname_short" if crate::inventory::is_ip(host) => Node::str(host),
            "inventory_hostname_short" => Node::str(host.split('.').next().unwrap_or(host)),
            "group_names" => list(self.inventory.group_names(host)),
            "groups" => self.groups.get_or_init(|| groups(&self.inventory)).clone(),
            // The source the host was first found in.
            "inventory_file" | "inventory_dir" => {
                let source = self.inventory.host(host)?.source.as_ref()?;
                let path = if name == "inventory_dir" { source.parent()? } else { &**source };
                Node::str(path.to_string_lossy())
            }
            "playbook_dir" => Node::str(self.playbook_dir.as_ref()?.to_string_lossy()),
            _ => return None,
        })
    }
}

fn list(names: Vec<&str>) -> Node {
    Node::new(Value::Seq(Arc::new(names.into_iter().map(Node::str).collect())))
}

fn groups(inventory: &Inventory) -> Node {
    let pairs = inventory.groups.keys().map(|name| (Node::str(name.as_str()), list(inventory.hosts_of(name))));
    Node::new(Value::Map(Arc::new(pairs.collect::<Mapping>())))
}
