//! What `PORTAL_URL` stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use futures_util::future::join_all;
use reemo_model::finding::{Finding, State};

use super::Seen;
use crate::engine::health::host_in;
use crate::engine::site::Site;

/// How long a name may take.
const LIMIT: Duration = Duration::from_secs(5);

/// All addresses of each portal's name, A and AAAA, as this machine finds them.
pub async fn resolved(site: &Site) -> BTreeMap<String, Vec<IpAddr>> {
    let names: BTreeSet<&String> = site.clusters.values().filter_map(|c| c.settings.portal_url.as_ref()).collect();
    let ask = |name: &String| {
        let name = name.clone();
        async move {
            let found = tokio::time::timeout(LIMIT, tokio::net::lookup_host((host_in(&name).to_owned(), 443))).await;
            let mut found: Vec<IpAddr> =
                found.ok().and_then(Result::ok).into_iter().flatten().map(|a| a.ip()).collect();
            found.sort();
            found.dedup();
            (name, found)
        }
    };
    join_all(names.into_iter().map(ask)).await.into_iter().collect()
}

/// The whole set against the nodes: an address that is none of theirs is a balancer, or a mistake.
pub fn portal(seen: &Seen<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for (cluster, wanted) in &seen.site.clusters {
        let Some(url) = &wanted.settings.portal_url else { continue };
        let found = seen.portals.get(url).map(Vec::as_slice).unwrap_or_default();
        if found.is_empty() {
            let said = format!("{} has no address on this machine", host_in(url));
            all.push(Finding::new(
                "portal",
                cluster,
                State::Warning,
                said,
                "its A and AAAA records belong to the nodes, or to a balancer before them",
            ));
            continue;
        }
        let mut nodes = BTreeMap::new();
        for (name, host) in seen.site.hosts_of(cluster) {
            let seen_at = seen.world.hosts.get(name).and_then(|v| v.seen.as_ref()).and_then(|s| s.facts.address);
            let said = [seen.world.advertise(seen.site, name), Some(host.target.address.clone())];
            let said = said.into_iter().flatten().filter_map(|a| a.parse().ok());
            nodes.insert(name, seen_at.into_iter().chain(said).collect::<BTreeSet<IpAddr>>());
        }
        let of_a_node = |address: &IpAddr| nodes.values().any(|n| n.contains(address));
        let foreign: Vec<String> = found.iter().filter(|a| !of_a_node(a)).map(ToString::to_string).collect();
        let absent: Vec<&str> = nodes
            .iter()
            .filter(|(_, own)| !own.iter().any(|a| found.contains(a)))
            .map(|(name, _)| name.as_str())
            .collect();
        let (name, foreign_list) = (host_in(url), foreign.join(", "));
        let (state, said, remedy) = match (foreign.is_empty(), absent.is_empty()) {
            (true, true) => {
                all.push(Finding::ok("portal", cluster));
                continue;
            }
            // All of it elsewhere: a balancer stands before the nodes.
            (false, false) if absent.len() == nodes.len() => (
                State::Unknown,
                format!("{name} is {foreign_list}, none of the nodes"),
                "right if that is a balancer before them; it is not asked",
            ),
            (false, _) => (
                State::Problem,
                format!("{name} is also {foreign_list}, none of the nodes"),
                "take the address out of the name, or put the node into the inventory",
            ),
            (true, false) => (
                State::Warning,
                format!("{name} does not lead to {}", absent.join(", ")),
                "add an A or AAAA record for each node that serves the portal",
            ),
        };
        all.push(Finding::new("portal", cluster, state, said, remedy));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_alone() {
        for url in ["portal.example", "portal.example:8443", "https://portal.example/", "https://portal.example:443/x"]
        {
            assert_eq!(host_in(url), "portal.example");
        }
    }
}
