//! What there may be one of: on the whole platform (scheduled work), or for each database (the schema job). Asked of the
//! whole inventory, whatever `--limit` leaves of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use reemo_model::catalogue::{Role, Single};
use reemo_model::diag::{Diagnostic, Diagnostics, Place};
use reemo_model::inventory::Cluster;
use reemo_model::template::from_json;
use reemo_model::vars::Layer;
use reemo_model::wanted::names_of;
use reemo_pki::Store;

use super::load::Loaded;
use super::render::ClusterScope;
use super::site;

/// For each cluster that shares an external database with an earlier one of the inventory: that earlier one, which runs
/// the job. A cluster whose variables cannot be read is left out; that is said elsewhere.
pub fn database_owners(loaded: &Loaded, store: &Arc<Store>) -> BTreeMap<String, String> {
    let mut first: BTreeMap<String, &str> = BTreeMap::new();
    let mut owners = BTreeMap::new();
    for cluster in loaded.platform.iter().filter(|c| matches!(c.environment.word(), "infra" | "api")) {
        let Some(db) = cluster.hosts.first().and_then(|host| site::database_of(loaded, store, host).ok()) else {
            continue;
        };
        if db["internal"] == true {
            continue;
        }
        let part = |key: &str| db[key].as_str().unwrap_or_default().to_lowercase();
        let identity = format!("{}:{}/{}", part("host"), part("port"), part("name"));
        match first.get(&identity) {
            Some(owner) => drop(owners.insert(cluster.name.clone(), (*owner).to_owned())),
            None => drop(first.insert(identity, &cluster.name)),
        }
    }
    owners
}

/// Refuses what two clusters would run at once, and says when nobody runs any of it.
pub fn check(loaded: &Loaded, store: &Arc<Store>, diagnostics: &mut Diagnostics) {
    let alone = |role: &Role| role.single == Some(Single::Platform);
    // Which clusters run which services, those with the same clusters together.
    let mut runs: BTreeMap<String, Vec<&Cluster>> = BTreeMap::new();
    let (mut candidates, mut unread) = (Vec::new(), false);
    for cluster in &loaded.platform {
        let word = cluster.environment.word();
        if !loaded.catalogue.roles.values().any(|r| alone(r) && r.environments.iter().any(|e| e == word)) {
            continue;
        }
        let Some(host) = cluster.hosts.first() else { continue };
        candidates.push(cluster);
        let shape = site::shape(loaded, store, cluster);
        let Ok(db) = site::database_of(loaded, store, host) else {
            unread = true;
            continue;
        };
        let scope = ClusterScope(site::scope(loaded, store, host).with("db", from_json(&db)));
        // What cannot be rendered is said when the cluster itself is.
        for (_, service) in names_of(&loaded.catalogue, &shape, &scope, &alone).unwrap_or_default() {
            runs.entry(service).or_default().push(cluster);
        }
    }
    let mut twice: BTreeMap<Vec<&str>, Vec<&str>> = BTreeMap::new();
    for (service, clusters) in runs.iter().filter(|(_, c)| c.len() > 1) {
        twice.entry(clusters.iter().map(|c| c.name.as_str()).collect()).or_default().push(service);
    }
    let switch = loaded.catalogue.roles.values().filter(|r| alone(r)).find_map(switch_of).unwrap_or_default();
    for (clusters, services) in twice {
        let place = |name: &str| place_of(loaded, name, &switch);
        let message = format!(
            "{} exist once on the whole platform, and {} would each run them",
            services.join(", "),
            clusters.join(" and ")
        );
        let mut error = Diagnostic::error("platform-once", message).at(clusters.last().and_then(|c| place(c)));
        for cluster in &clusters[..clusters.len() - 1] {
            error = error.related(place(cluster), format!("`{cluster}` runs them too"));
        }
        let but = clusters.first().copied().unwrap_or_default();
        diagnostics.push(error.help(format!(
            "choose the one that does this work, for example `{but}`, and set `{switch}: \"false\"` in the `vars:` of the others"
        )));
    }
    if runs.is_empty()
        && !unread
        && let Some(first) = candidates.first()
    {
        let names =
            loaded.catalogue.roles.values().filter(|r| alone(r)).map(|r| r.service.as_str()).collect::<Vec<_>>();
        diagnostics.push(
            Diagnostic::warning("platform-once", format!("no cluster runs the scheduled work ({})", names.join(", ")))
                .at(place_of(loaded, &first.name, &switch))
                .help(format!("this is right only if it runs on a platform of another inventory; else set `{switch}: \"true\"` for one cluster")),
        );
    }
}

/// The variable a role's condition begins with: what switches it off.
fn switch_of(role: &Role) -> Option<String> {
    let words = role.when.as_deref()?.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.into_iter().find(|w| w.len() > 2 && w.starts_with(|c: char| c.is_ascii_uppercase())).map(str::to_owned)
}

/// Where a cluster's switch is written; else where its group is.
fn place_of(loaded: &Loaded, cluster: &str, switch: &str) -> Option<Place> {
    let host = loaded.platform.iter().find(|c| c.name == cluster)?.hosts.first()?;
    let written = loaded.vars.find(host, switch).filter(|d| d.layer != Layer::RoleDefault);
    written.and_then(|d| d.place).or_else(|| loaded.inventory.group(cluster)?.place.clone())
}
