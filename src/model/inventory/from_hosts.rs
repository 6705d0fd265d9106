//! `-i host1,host2,`: hosts named on the command line.

use std::path::Path;
use std::sync::Arc;

use super::Inventory;
use super::address;
use crate::diag::{Place, Span};

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
            inventory.set_port(&host, port, &file, Span::default());
        }
    }
}
