//! Values that came out of a vault are secrets: what of them enters the register.

use crate::diag::Texts;
use crate::inventory::Inventory;
use crate::secret;
use crate::vars::Vars;
use crate::yaml::{Node, Value};

/// Words that stand everywhere: hiding them would hide nothing and destroy every text.
const WORDS: [&str; 6] = ["true", "false", "none", "null", "yes", "no"];

/// Enters one decrypted text into the register.
pub fn text(value: &str) {
    if !WORDS.contains(&value.trim().to_ascii_lowercase().as_str()) {
        secret::cover(value);
    }
}

/// True for a variable by which hosts are reached: their names and addresses are not hidden, else no
/// message could be read.
pub(crate) fn is_address(name: &str) -> bool {
    name.starts_with("ansible_") && !name.contains("pass")
}

/// Enters the values of all files that are vaults as a whole into the register, except names of hosts and
/// groups. For commands that work with the values; `inventory --list` is asked to print them.
pub fn register(vars: &Vars, texts: &Texts) {
    let (inventory, extra) = (vars.inventory(), vars.extra());
    let of_groups = inventory.groups.values().map(|group| &group.vars);
    let of_hosts = inventory.hosts.values().map(|host| &host.vars);
    let dirs = inventory.beside.iter().chain(&inventory.playbook);
    let beside = dirs.flat_map(|dir| dir.groups.values().chain(dir.hosts.values()));
    for (name, var) in of_groups.chain(of_hosts).chain(beside).chain([extra]).flatten() {
        for var in std::iter::once(var).chain(&var.beaten) {
            if texts.is_encrypted(&var.file) && vars.is_hidden(name) {
                leaves(&var.value, inventory, 0);
            }
        }
    }
}

fn leaves(node: &Node, inventory: &Inventory, depth: usize) {
    match &node.value {
        Value::Seq(items) if depth < 50 => items.iter().for_each(|item| leaves(item, inventory, depth + 1)),
        Value::Map(map) if depth < 50 => map.iter().for_each(|entry| leaves(&entry.value, inventory, depth + 1)),
        // What a template gives is entered when it is evaluated.
        Value::Str(value) if value.contains("{{") => {}
        Value::Str(_) | Value::Int(_) | Value::BigInt(_) => {
            let value = node.scalar_text().unwrap_or_default();
            if inventory.host(&value).is_none() && inventory.group(&value).is_none() {
                text(&value);
            }
        }
        _ => {}
    }
}
