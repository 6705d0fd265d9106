//! `--refresh`: what the registry holds under each tag now. Without it no run asks a registry for anything but what it
//! has to pull, and a tag means what is deployed.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join_all, try_join_all};
use reemo_model::supply::Mode;

use super::fault::Fault;
use super::fleet::Fleet;
use super::interpret::credentials;
use super::site::{ClusterSite, Site};
use super::world::World;

/// Asks, through one engine of each cluster, which digest every wanted tag has. A cluster without an engine has nothing
/// that could be old: what it pulls later is what the registry holds then.
pub async fn digests(site: &Site, fleet: &Fleet, world: &World) -> Result<BTreeMap<String, String>, Fault> {
    // Where nobody pulls there is nobody to ask.
    let pulls = site.clusters.iter().filter(|(_, c)| c.settings.supply.mode != Mode::Offline);
    let asked = pulls.map(|(name, cluster)| async move {
        let answers = |host: &&String| world.hosts.get(*host).is_some_and(|v| v.engine.is_some());
        match site.hosts_of(name).map(|(host, _)| host).find(answers) {
            Some(host) => fleet.phases.timed("registry", name, of_cluster(fleet, host, cluster)).await,
            None => Ok(Vec::new()),
        }
    });
    let mut found = BTreeMap::new();
    for answers in join_all(asked).await {
        found.extend(answers?);
    }
    Ok(found)
}

async fn of_cluster(fleet: &Fleet, host: &str, cluster: &ClusterSite) -> Result<Vec<(String, String)>, Fault> {
    let docker = &fleet.host(host)?.docker().await?;
    let tags: BTreeSet<&str> = cluster.wanted.services.iter().map(|s| s.image.as_str()).collect();
    let auth = cluster.settings.registry.as_ref();
    try_join_all(tags.into_iter().map(|tag| async move {
        let doing = || format!("{host}: ask the registry for {tag}");
        let said = docker.inspect_registry_image(tag, auth.map(credentials)).await;
        let digest = said.map_err(|e| Fault::docker(&doing(), &e))?.descriptor.digest;
        let digest = digest.ok_or_else(|| Fault::failed(format!("{}: it names no digest", doing())))?;
        Ok((tag.to_owned(), digest))
    }))
    .await
}
