//! Filters by address that let more in than they seem to.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use reemo_model::diag::Diagnostic;
use reemo_model::inventory::Cluster;
use serde_json::Value;

use super::load::Loaded;

/// The node's end of `docker_gwbridge`, where nobody chose another network for it: to a container without IPv6, every
/// client that comes over IPv6 has this address.
const BRIDGE: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 18, 0, 1));

/// A warning for each filter of a cluster that lets the bridge's address in, and with it all of IPv6.
pub fn covers_bridge(loaded: &Loaded, cluster: &Cluster, value: &dyn Fn(&str) -> Option<Value>) -> Vec<Diagnostic> {
    let Some(host) = cluster.hosts.first() else { return Vec::new() };
    let one = |name: &str| {
        let entries = match value(name)? {
            Value::String(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
            Value::Array(items) => items.iter().filter_map(|i| Some(i.as_str()?.trim().to_owned())).collect(),
            _ => Vec::<String>::new(),
        };
        let entry = entries.into_iter().find(|entry| covers(entry))?;
        let problem = Diagnostic::warning(
            "filter-lets-ipv6-in",
            format!("`{name}` holds `{entry}`, and so lets in everybody who comes over IPv6"),
        );
        let place = loaded.vars.find(host, name).and_then(|d| d.place);
        Some(problem.at(place).help(format!(
            "Docker passes IPv6 on from its own bridge, mostly {BRIDGE}: name smaller networks, or give the portal's \
             name IPv4 addresses only and close its ports to IPv6"
        )))
    };
    ["PORTAL_URL_RESTRICT_IP", "PORTALADMIN_URL_RESTRICT_IP"].into_iter().filter_map(one).collect()
}

fn covers(entry: &str) -> bool {
    entry.parse::<IpNet>().map_or_else(|_| entry.parse() == Ok(BRIDGE), |net| net.contains(&BRIDGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_the_bridge() {
        for entry in ["172.18.0.1", "172.18.0.0/16", "172.16.0.0/12", "0.0.0.0/0"] {
            assert!(covers(entry), "{entry}");
        }
        for entry in ["172.18.0.2", "172.31.0.0/16", "10.0.0.0/8", "::/0", "2001:db8::1"] {
            assert!(!covers(entry), "{entry}");
        }
    }
}
