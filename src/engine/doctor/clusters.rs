//! What the hosts of a cluster are together.

use ipnet::{IpNet, Ipv4Net};
use reemo_model::finding::{Finding, State};
use reemo_resource::swarm::observed::{at, text};
use serde_json::Value;

use super::Seen;

/// Docker takes the networks of a Swarm from 10.0.0.0/8, the first ones from here.
const FIRST_POOL: Ipv4Net = Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 0, 0, 0), 16);
/// A node's certificate is renewed by its engine long before this many days are left.
const LEAST_DAYS: i64 = 10;

/// An even number of managers survives no more losses than one less.
pub fn managers(seen: &Seen<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for cluster in seen.site.clusters.keys() {
        let wanted = seen.site.hosts_of(cluster).filter(|(_, h)| !h.worker).count();
        if wanted % 2 == 0 && wanted > 0 {
            let found = format!("{wanted} managers bear the loss of {} (as {} do)", (wanted - 1) / 2, wanted - 1);
            all.push(Finding::new("managers", cluster, State::Warning, found, "have an odd number: 1, 3 or 5"));
        } else {
            all.push(Finding::ok("managers", cluster));
        }
    }
    all
}

/// Nodes that are not what the inventory says, and certificates that are not renewed.
pub fn nodes(seen: &Seen<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for (cluster, there) in &seen.world.swarms {
        for (name, host) in seen.site.hosts_of(cluster) {
            let id = seen.world.hosts.get(name).and_then(|v| v.engine.as_ref()).map(|e| e.node_id.as_str());
            let Some(node) = there.nodes.iter().find(|n| Some(text(n, &["ID"])) == id) else { continue };
            let before = all.len();
            let mut bad =
                |state, found: String, remedy: &str| all.push(Finding::new("node", name, state, found, remedy));
            if !host.worker && text(node, &["Spec", "Role"]) == "worker" {
                bad(
                    State::Problem,
                    "it is a worker, and only managers belong here".into(),
                    "the next apply promotes it",
                );
            }
            let (state, reachable) = (text(node, &["Status", "State"]), text(node, &["ManagerStatus", "Reachability"]));
            if state != "ready" {
                bad(
                    State::Problem,
                    format!("its node is {state}"),
                    "start its engine (systemctl start docker), or see its network",
                );
            } else if reachable == "unreachable" {
                bad(
                    State::Problem,
                    "the other managers do not hear it".into(),
                    "open 2377/tcp and 7946 between the managers",
                );
            }
            if text(node, &["Spec", "Availability"]) != "active" {
                let found =
                    format!("it is set to `{}`: nothing is started there", text(node, &["Spec", "Availability"]));
                bad(State::Warning, found, "docker node update --availability active, once it may");
            }
            if let Some(days) = certificate(seen, name).filter(|days| *days < LEAST_DAYS) {
                let found = format!("its certificate as a node ends in {days} days, and its engine has not renewed it");
                bad(State::Problem, found, "docker swarm ca --rotate on a manager; see journalctl -u docker");
            }
            if all.len() == before {
                all.push(Finding::ok("node", name));
            }
        }
    }
    all
}

/// Days the certificate of a node is still valid.
fn certificate(seen: &Seen<'_>, host: &str) -> Option<i64> {
    let pem = &seen.around.get(host)?.node_certificate;
    let now = jiff::Timestamp::from_second(seen.now_s).ok()?;
    Some(reemo_pki::Expiry::of_pem("node", pem.as_bytes(), now)?.days_left)
}

/// Networks of the Swarm, or those it would make, beside networks the hosts stand in: what is meant for the one goes to
/// the other.
pub fn pool(seen: &Seen<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for name in seen.site.run_hosts() {
        let Some(around) = seen.around.get(name) else { continue };
        let there = seen.world.swarms.get(&seen.site.hosts[name].cluster);
        let overlays: Vec<(String, IpNet)> = there.iter().flat_map(|s| &s.networks).flat_map(subnets).collect();
        let mut bad = Vec::new();
        for own in &around.networks {
            for (network, _) in overlays.iter().filter(|(_, subnet)| overlap(own, subnet)) {
                bad.push((
                    State::Problem,
                    format!("it stands in {own}, and so does the network `{network}` of the Swarm"),
                ));
            }
            if there.is_none() && overlap(own, &FIRST_POOL.into()) {
                bad.push((
                    State::Warning,
                    format!("it stands in {own}, and Docker makes its networks in {FIRST_POOL} first"),
                ));
            }
        }
        if bad.is_empty() {
            all.push(Finding::ok("pool", name));
        }
        let remedy = "give the Swarm another pool when it is made: docker swarm init --default-addr-pool";
        all.extend(bad.into_iter().map(|(state, found)| Finding::new("pool", name, state, found, remedy)));
    }
    all
}

fn subnets(network: &Value) -> Vec<(String, IpNet)> {
    let overlay = text(network, &["Driver"]) == "overlay";
    let configs = at(network, &["IPAM", "Config"]).and_then(Value::as_array).into_iter().flatten().filter(|_| overlay);
    let subnet = |c: &Value| Some((text(network, &["Name"]).to_owned(), text(c, &["Subnet"]).parse().ok()?));
    configs.filter_map(subnet).collect()
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}
