//! What each host can reach: the other nodes, and where its packages and images come from.

use std::collections::BTreeMap;

use reemo_model::finding::{Finding, State};
use reemo_model::supply::Mode;
use reemo_resource::host::surroundings::{Protocol, Reach, Way};
use reemo_resource::swarm::observed::{EngineObservation, repository};

use super::Seen;
use crate::engine::site::Site;
use crate::engine::world::World;

/// Managers listen here for those who join.
const JOIN: u16 = 2377;
/// Nodes tell each other here who is there.
const GOSSIP: u16 = 7946;
/// What containers say to each other travels here.
const OVERLAY: u16 = 4789;

/// What each host is to try.
pub fn wanted(site: &Site, world: &World) -> BTreeMap<String, Vec<Way>> {
    site.run_hosts()
        .map(|name| (name.clone(), of_nodes(site, world, name).chain(of_images(site, name)).collect()))
        .collect()
}

/// To the other nodes. UDP is tried where nothing listens yet: a Swarm that runs would take the byte for damage.
fn of_nodes<'a>(site: &'a Site, world: &'a World, name: &'a String) -> impl Iterator<Item = Way> + 'a {
    let cluster = &site.hosts[name].cluster;
    // Of one that nobody reaches it is said so already.
    site.hosts_of(cluster).filter(move |(peer, _)| *peer != name && world.reached(peer)).flat_map(
        move |(peer, host)| {
            let Some(to) = world.advertise(site, peer) else { return vec![] };
            let engine = world.hosts.get(peer).and_then(|v| v.engine.as_ref());
            let way = |protocol, port| Way { protocol, to: to.clone(), port };
            let mut ways = vec![way(Protocol::Tcp, GOSSIP)];
            if !host.worker {
                ways.push(way(Protocol::Tcp, JOIN));
            }
            if !engine.is_some_and(EngineObservation::in_swarm) {
                ways.extend([way(Protocol::Udp, GOSSIP), way(Protocol::Udp, OVERLAY)]);
            }
            ways
        },
    )
}

/// To whatever images come from, and to Docker's own packages where the site names them.
fn of_images<'a>(site: &'a Site, name: &'a String) -> impl Iterator<Item = Way> + 'a {
    let cluster = &site.clusters[&site.hosts[name].cluster];
    let supply = &cluster.settings.supply;
    let mut all: Vec<(String, u16)> = match (supply.mode, &supply.proxy) {
        // This machine brings them.
        (Mode::Offline, _) => Vec::new(),
        (_, Some(proxy)) => proxy.url.expose_str().and_then(of_url).into_iter().collect(),
        _ => cluster.wanted.services.iter().filter_map(|s| registry_of(&s.image)).collect(),
    };
    all.extend(cluster.settings.repo_url.as_deref().and_then(of_url));
    all.sort();
    all.dedup();
    all.into_iter().map(|(to, port)| Way { protocol: Protocol::Tcp, to, port })
}

/// `registry.example:5000/team/name:tag` → its host and port.
fn registry_of(image: &str) -> Option<(String, u16)> {
    let host = repository(image).split_once('/')?.0;
    let named = host.contains(['.', ':']) || host == "localhost";
    named.then(|| split(host, 443))
}

fn of_url(url: &str) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next()?;
    let usual = match scheme {
        "https" => 443,
        "socks5" => 1080,
        _ => 80,
    };
    // Never with the login before it.
    Some(split(host.rsplit('@').next()?, usual))
}

fn split(host: &str, usual: u16) -> (String, u16) {
    match host.rsplit_once(':').map(|(name, port)| (name, port.parse())) {
        Some((name, Ok(port))) => (name.to_owned(), port),
        _ => (host.to_owned(), usual),
    }
}

/// Between every pair of nodes.
pub fn ports(seen: &Seen<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for name in seen.site.run_hosts() {
        let Some(around) = seen.around.get(name) else { continue };
        let ways: Vec<Way> = of_nodes(seen.site, seen.world, name).collect();
        if ways.is_empty() {
            continue;
        }
        if !ways.iter().any(|w| around.reached.contains_key(w)) {
            let found = "the ways to the other nodes could not be tried: there is no bash";
            all.push(Finding::new("ports", name, State::Unknown, found, "install bash, or see to them by hand"));
            continue;
        }
        let shut: Vec<&Way> =
            ways.iter().filter(|w| around.reached.get(w).is_some_and(|r| *r != Reach::Open)).collect();
        if shut.is_empty() {
            all.push(Finding::ok("ports", name));
            continue;
        }
        // A byte that nobody answers may have arrived all the same.
        let state = if shut.iter().any(|w| w.protocol == Protocol::Tcp) { State::Problem } else { State::Warning };
        let list: Vec<String> = shut.iter().map(|w| format!("{} {}/{}", w.to, w.port, w.protocol)).collect();
        let found = format!("no way to {}", list.join(", "));
        all.push(Finding::new("ports", name, state, found, remedy(seen)));
    }
    all
}

/// In the words of the firewall that is there.
fn remedy(seen: &Seen<'_>) -> &'static str {
    let any = |has: fn(&reemo_resource::host::HostFacts) -> bool| {
        seen.world.hosts.values().filter_map(|v| v.seen.as_ref()).any(|s| has(&s.facts))
    };
    if any(|f| f.firewalld) {
        "between nodes: firewall-cmd --permanent --add-port={2377/tcp,7946/tcp,7946/udp,4789/udp}; firewall-cmd --reload"
    } else if any(|f| f.ufw) {
        "between nodes: ufw allow from NODE to any port 2377,7946 proto tcp; ufw allow from NODE to any port 7946,4789 proto udp"
    } else {
        "open 2377/tcp, 7946/tcp+udp and 4789/udp between all nodes, in both directions"
    }
}

/// Where packages and images come from.
pub fn sources(seen: &Seen<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for name in seen.site.run_hosts() {
        let Some(around) = seen.around.get(name) else { continue };
        let ways: Vec<Way> = of_images(seen.site, name).filter(|w| around.reached.contains_key(w)).collect();
        let bad: Vec<(&Way, Reach)> =
            ways.iter().map(|w| (w, around.reached[w])).filter(|(_, r)| *r != Reach::Open).collect();
        if bad.is_empty() && !ways.is_empty() {
            all.push(Finding::ok("sources", name));
        }
        // What is there already need not be fetched; the next release has to be.
        let state = if may_have_all(seen, name) { State::Warning } else { State::Problem };
        for (way, reach) in bad {
            let at = format!("{}:{}", way.to, way.port);
            let (found, remedy) = match reach {
                _ if seen.engines.get(name).is_some_and(|e| e.proxied) => {
                    let found =
                        format!("{at} cannot be reached directly; the engine goes by way of a proxy of its own");
                    let remedy = "right if that proxy reaches it; IMAGE_MODE: proxy has it set up by this tool";
                    all.push(Finding::new("sources", name, State::Unknown, found, remedy));
                    continue;
                }
                Reach::NoName => {
                    (format!("{} has no address here", way.to), "see /etc/resolv.conf and /etc/hosts of the host")
                }
                _ => (
                    format!("{at} cannot be reached"),
                    "let the hosts reach it, or name another (REGISTRY_URL, DOCKER_REPO_URL)",
                ),
            };
            all.push(Finding::new("sources", name, state, found, remedy));
        }
    }
    all
}

/// The engine is there, with every image of its cluster; or it is, and cannot be asked.
fn may_have_all(seen: &Seen<'_>, name: &str) -> bool {
    let Some(view) = seen.world.hosts.get(name) else { return false };
    let Some(engine) = &view.engine else { return view.seen.as_ref().is_some_and(|s| s.facts.has("dockerd")) };
    let wanted = &seen.site.clusters[&seen.site.hosts[name].cluster].wanted;
    wanted.services.iter().all(|s| engine.images.contains_key(&s.image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_and_repositories() {
        let cases = [
            ("registry.reemo.io/reemoinfraapi:1.0", Some(("registry.reemo.io", 443))),
            ("registry.example:5000/a/b:1.0@sha256:00", Some(("registry.example", 5000))),
            ("library/traefik:v3", None),
        ];
        for (image, wanted) in cases {
            let wanted = wanted.map(|(h, p): (&str, u16)| (h.to_owned(), p));
            assert_eq!(registry_of(image), wanted, "{image}");
        }
        assert_eq!(of_url("https://u:p@repo.example/docker"), Some(("repo.example".into(), 443)));
        assert_eq!(of_url("http://repo.example:8080/docker"), Some(("repo.example".into(), 8080)));
        assert_eq!(of_url("repo"), None);
    }
}
