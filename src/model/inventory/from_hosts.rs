//! `-i host1,host2,`: hosts named on the command line.

use std::path::Path;
use std::sync::Arc;

use super::address;
use super::{Inventory, Var};
use crate::diag::{Place, Span};
use crate::yaml::{Node, Value};

/// Adds the hosts of a comma-separated list.
pub(super) fn read(inventory: &mut Inventory, list: &str) {
    let file: Arc<Path> = Arc::from(Path::new("-i"));
    for entry in list.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (host, port) = address::parse(entry, false).unwrap_or_else(|| (entry.to_owned(), None));
        if inventory.hosts.contains_key(&host) {
            continue;
        }
        let source: Arc<Path> = Arc::from(Path::new(list));
        inventory.add_host(&host, "ungrouped", &Place::file(&*file), Some(&source));
        if let Some(port) = port {
            inventory.set_host_var(&host, "ansible_port".into(), port_var(port, &file, Span::default()));
        }
    }
}

/// The variable a port in a host entry stands for.
pub(super) fn port_var(port: u16, file: &Arc<Path>, key: Span) -> Var {
    let value = Node { value: Value::Int(i64::from(port)), span: key, raw: false };
    Var { value, file: Arc::clone(file), key, beaten: Vec::new() }
}
