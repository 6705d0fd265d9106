//! Which directory counts as the playbook's: Ansible reads `group_vars/` and `host_vars/` there too, and they win
//! over those beside the inventory.

use std::path::{Path, PathBuf};

use reemo_model::diag::{Diagnostic, Diagnostics, Place};

use super::args::InventoryOptions;

/// For what installs: `--playbook-dir`, `playbook_dir` of `ansible.cfg`, else `playbooks/` in the working directory or
/// beside the inventory (where the vendor's document puts the playbook), else the working directory.
pub fn of_run(options: &InventoryOptions, diagnostics: &mut Diagnostics) -> Option<PathBuf> {
    if let Some(dir) = named(options, diagnostics) {
        return Some(dir);
    }
    let mut folders = vec![PathBuf::from("playbooks")];
    folders.extend(beside(options).into_iter().map(|dir| dir.join("playbooks")));
    let mut there: Vec<PathBuf> = Vec::new();
    for folder in folders.into_iter().filter(|f| f.is_dir()) {
        if !there.iter().any(|known| same(known, &folder)) {
            there.push(folder);
        }
    }
    let Some(dir) = there.first().cloned() else {
        return has_vars(Path::new(".")).then(|| PathBuf::from("."));
    };
    let here = PathBuf::from(".");
    let inventories = beside(options);
    for other in there.iter().skip(1).chain([&here]) {
        if !inventories.iter().any(|inventory| same(inventory, other)) {
            unread(other, &dir, diagnostics);
        }
    }
    Some(dir)
}

/// For what `ansible-inventory` prints: `--playbook-dir` or `playbook_dir` of `ansible.cfg`. Without either the working
/// directory counts, which is for the caller to say: `--export` makes a difference between the two.
pub fn of_listing(options: &InventoryOptions, diagnostics: &mut Diagnostics) -> Option<PathBuf> {
    if let Some(dir) = named(options, diagnostics) {
        return Some(dir);
    }
    for folder in beside(options).into_iter().map(|dir| dir.join("playbooks")).chain(["playbooks".into()]) {
        if has_vars(&folder) {
            let message = format!("the variables in `{}` are not in this listing", folder.display());
            diagnostics.push(
                Diagnostic::warning("playbook-dir", message)
                    .at(Place::file(&folder))
                    .help("`plan` and `apply` read them; ansible-inventory does not, unless told `--playbook-dir`"),
            );
        }
    }
    None
}

fn named(options: &InventoryOptions, diagnostics: &mut Diagnostics) -> Option<PathBuf> {
    let from_cfg = options.config.settings.playbook_dir.as_ref();
    let dir = options.playbook_dir.clone().or_else(|| from_cfg.map(|found| found.value.clone()))?;
    if !dir.is_dir() {
        let place = match &options.playbook_dir {
            Some(_) => Some(Place::file("--playbook-dir")),
            None => from_cfg.and_then(|found| found.place.clone()),
        };
        let message = format!("the playbook directory `{}` is no directory", dir.display());
        diagnostics.push(
            Diagnostic::error("playbook-dir", message).at(place).help("name the folder that holds `group_vars/`"),
        );
    }
    Some(dir)
}

/// The folders whose `group_vars` are read with the inventory.
fn beside(options: &InventoryOptions) -> Vec<PathBuf> {
    let files = options.inventory.iter().map(Path::new).filter(|path| path.exists());
    files.map(|path| if path.is_dir() { path.into() } else { parent(path) }).collect()
}

fn parent(path: &Path) -> PathBuf {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
}

fn same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn has_vars(dir: &Path) -> bool {
    dir.join("group_vars").is_dir() || dir.join("host_vars").is_dir()
}

fn unread(other: &Path, dir: &Path, diagnostics: &mut Diagnostics) {
    for folder in ["group_vars", "host_vars"].map(|name| other.join(name)).iter().filter(|f| f.is_dir()) {
        let message = format!("`{}` is not read", folder.display());
        diagnostics.push(Diagnostic::warning("playbook-dir", message).at(Place::file(folder)).help(format!(
            "as in Ansible, variables count beside the inventory and beside the playbook, which is `{}`; \
                     `--playbook-dir {}` takes these instead",
            dir.display(),
            other.display()
        )));
    }
}
