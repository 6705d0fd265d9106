//! Where variables stand: in `all`, in a group, in both, at a host; and the groups themselves.

use std::collections::BTreeMap;

use super::{Declarations, Placement};
use crate::diag::{Diagnostic, Diagnostics, Place};
use crate::inventory::{Cluster, Environment, Inventory, Var, VarsDir, farm_of};

/// A variable of ours in `all` and in a group, or in the wrong one of the two.
pub(super) fn check(inventory: &Inventory, declarations: &Declarations, out: &mut Diagnostics) {
    let mut in_all: BTreeMap<&str, Vec<&Var>> = BTreeMap::new();
    let mut in_group: BTreeMap<&str, Vec<(&str, &Var)>> = BTreeMap::new();
    let dirs: Vec<&VarsDir> = inventory.beside.iter().chain(&inventory.playbook).collect();
    let written = inventory.groups.iter().map(|(name, group)| (name, &group.vars));
    let files = dirs.iter().flat_map(|dir| dir.groups.iter());
    for (group, vars) in written.chain(files) {
        for (name, var) in vars {
            let ours = declarations.get(name).is_some() || name.starts_with("API_");
            match (ours, group.as_str()) {
                (false, _) => {}
                (true, "all") => in_all.entry(name).or_default().push(var),
                (true, group) => in_group.entry(name).or_default().push((group, var)),
            }
        }
    }
    for (name, groups) in &in_group {
        if let Some(all) = in_all.get(name).and_then(|vars| vars.last()) {
            let mut error = Diagnostic::error("variable-in-both", format!("`{name}` is set in `all` and in a group"));
            for (n, (group, var)) in groups.iter().enumerate() {
                match n {
                    0 => error = error.at(var.key_place()).label(format!("in the group `{group}`")),
                    _ => error = error.related(var.key_place(), format!("in the group `{group}`")),
                }
            }
            let belongs = match declarations.get(name).map(|d| d.scope) {
                Some(Placement::All) => "keep the one in `all`".to_owned(),
                Some(Placement::Group) => "keep the one in the group".to_owned(),
                _ => "keep one of them".to_owned(),
            };
            out.push(error.related(all.key_place(), "in `all`").help(belongs));
            continue;
        }
        let scope = declarations.get(name).map(|d| d.scope);
        for (group, var) in groups {
            match scope {
                Some(Placement::All) => {
                    out.push(misplaced(var, format!("`{name}` belongs in `all`, and is set in the group `{group}`")));
                }
                Some(Placement::Host) => out.extend(shared(name, var, &format!("the group `{group}`"))),
                _ => {}
            }
        }
    }
    for (name, vars) in in_all.iter().filter(|(name, _)| !in_group.contains_key(*name)) {
        let scope = declarations.get(name).map(|d| d.scope);
        for var in vars {
            match scope {
                Some(Placement::Group) => {
                    out.push(misplaced(var, format!("`{name}` belongs in a group, and is set in `all`")));
                }
                Some(Placement::Host) => out.extend(shared(name, var, "`all`")),
                _ => {}
            }
        }
    }
    let hosts = inventory.hosts.values().map(|host| &host.vars);
    for vars in hosts.chain(dirs.iter().flat_map(|dir| dir.hosts.values())) {
        for (name, var) in vars.iter().filter(|(n, _)| declarations.get(n).is_some_and(|d| d.scope != Placement::Host))
        {
            out.push(
                Diagnostic::warning("variable-place", format!("`{name}` is set for a single host"))
                    .at(var.key_place())
                    .help("services run on a whole cluster: set it in `all` or in the group"),
            );
        }
    }
}

fn misplaced(var: &Var, message: String) -> Diagnostic {
    Diagnostic::warning("variable-place", message)
        .at(var.key_place())
        .help("the vendor's document asks to respect where variables are set")
}

/// A value that each host must have for itself, written once for several. A template may differ from host to host.
fn shared(name: &str, var: &Var, at: &str) -> Diagnostics {
    if super::check::has_template(&var.value, 0) {
        return Diagnostics::new();
    }
    let message = format!("`{name}` belongs at each host, and is set once in {at}");
    Diagnostics::from(
        Diagnostic::warning("variable-place", message)
            .at(var.key_place())
            .label("the same value for every host")
            .help("set it at each host, below `ansible_host:`, or write a template such as \"{{ ansible_host }}\""),
    )
}

/// Where a group is written.
pub(super) fn group_place(inventory: &Inventory, name: &str) -> Option<Place> {
    inventory.group(name).and_then(|g| g.place.clone())
}

/// Which groups there are, and which hosts are in them.
pub(super) fn groups(inventory: &Inventory, clusters: &[Cluster], out: &mut Diagnostics) {
    let sources = inventory.sources.join(", ");
    if inventory.hosts.is_empty() {
        let written = Environment::ALL.iter().find_map(|e| group_place(inventory, e.group()));
        out.push(
            Diagnostic::error("inventory-empty", format!("the inventory has no host ({sources})"))
                .at(written)
                .help("write hosts under `infra_manager:` (or `portal_manager:` and `api_manager:`), below `hosts:`"),
        );
        return;
    }
    if clusters.is_empty() {
        let known = Environment::ALL.map(Environment::group);
        let mut error = Diagnostic::error("inventory-no-group", "no host is in a group of the platform");
        let near =
            inventory.groups.values().find_map(|g| crate::diag::nearest_within(&g.name, known, 3).map(|k| (g, k)));
        error.help = Some(match near {
            Some((group, known)) => {
                error.place.clone_from(&group.place);
                format!("did you mean `{known}` instead of `{}`?", group.name)
            }
            None => {
                error.place = inventory.hosts.values().next().map(|h| h.place.clone());
                "put the hosts into `infra_manager`, or into `portal_manager` and `api_manager`".to_owned()
            }
        });
        out.push(error);
        return;
    }
    let infra = clusters.iter().find(|c| c.environment == Environment::Infra);
    let other = clusters.iter().find(|c| c.environment.is_platform() && c.environment != Environment::Infra);
    if let (Some(infra), Some(other)) = (infra, other) {
        let message =
            format!("`infra_manager` installs everything, and cannot be mixed with `{}`", other.environment.group());
        out.push(
            Diagnostic::error("inventory-mixed", message)
                .at(group_place(inventory, &infra.name))
                .label("everything on one Swarm")
                .related(group_place(inventory, &other.name), "a part of the platform on a Swarm of its own")
                .help("keep `infra_manager` alone, or split it into `portal_manager` and `api_manager`"),
        );
    }
    for group in inventory.groups.values() {
        let Some((farm, worker)) = farm_of(&group.name) else { continue };
        let managers = format!("{farm}_manager");
        let hosts = inventory.hosts_of(&group.name);
        if worker && !hosts.is_empty() && inventory.hosts_of(&managers).is_empty() {
            out.push(
                Diagnostic::error(
                    "inventory-no-manager",
                    format!("`{}` has workers and nobody leads them", group.name),
                )
                .at(group.place.clone())
                .help(format!("write at least one host in `{managers}`, beside it")),
            );
        }
        if let Some(both) = hosts.iter().find(|h| worker && inventory.hosts_of(&managers).contains(*h)) {
            out.push(
                Diagnostic::error(
                    "inventory-two-roles",
                    format!("`{both}` is in `{}` and in `{managers}`", group.name),
                )
                .at(inventory.host(both).map(|h| h.place.clone()))
                .help("a host is a manager of its Swarm or a worker: take it out of one of the groups"),
            );
        }
    }
    if let Some(group) = inventory.groups.values().find(|g| is_farm(&g.name) && !g.hosts.is_empty()) {
        out.push(
            Diagnostic::error("inventory-farm", format!("`{}` has hosts of its own", group.name))
                .at(group.place.clone())
                .help(format!("write them in `{0}_manager` or `{0}_worker`, as children of `{0}`", group.name)),
        );
    }
    let mut first: BTreeMap<&str, &Cluster> = BTreeMap::new();
    for cluster in clusters {
        for host in &cluster.hosts {
            let Some(earlier) = first.insert(host, cluster) else { continue };
            let message =
                format!("the host `{host}` is in `{}` and in `{}`, which are two Swarms", earlier.name, cluster.name);
            out.push(
                Diagnostic::error("inventory-two-clusters", message)
                    .at(inventory.host(host).map(|h| h.place.clone()))
                    .related(group_place(inventory, &earlier.name), "the first group")
                    .related(group_place(inventory, &cluster.name), "the second group")
                    .help("a host can be a node of one Swarm only: take it out of one of the groups"),
            );
        }
    }
}

/// The group above a farm's two.
fn is_farm(group: &str) -> bool {
    farm_of(&format!("{group}_manager")).is_some()
}
