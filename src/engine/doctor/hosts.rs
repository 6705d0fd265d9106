//! What each host is by itself.

use reemo_model::finding::{Finding, State};
use reemo_resource::host::surroundings::Upgrades;
use reemo_resource::host::{HostFacts, Supported};

use super::Seen;
use crate::engine::hardware;
use crate::engine::pairs;
use crate::engine::preflight::{MOST_SKEW_S, problems};

/// A clock that is off by more than this, in seconds, is said; above [`MOST_SKEW_S`] nothing is installed.
const NOTICED_SKEW_S: u64 = 5;

/// Hosts that were looked at, and what they are.
fn each<'a>(seen: &'a Seen<'_>) -> impl Iterator<Item = (&'a String, &'a HostFacts)> {
    let facts = |name| seen.world.hosts.get(name)?.seen.as_ref().map(|s| &s.facts);
    seen.site.run_hosts().filter_map(move |name| Some((name, facts(name)?)))
}

/// One row a host: what `judge` finds, or that all is well.
fn rows(
    check: &'static str,
    seen: &Seen<'_>,
    judge: impl Fn(&str, &HostFacts) -> Vec<(State, String, String)>,
) -> Vec<Finding> {
    let of_one = |(name, facts): (&String, &HostFacts)| {
        let found = judge(name, facts);
        match found.is_empty() {
            true => vec![Finding::ok(check, name)],
            false => found.into_iter().map(|(s, f, r)| Finding::new(check, name, s, f, r)).collect(),
        }
    };
    each(seen).flat_map(of_one).collect()
}

/// What nothing works without.
pub fn basics(seen: &Seen<'_>) -> Vec<Finding> {
    let problem = |(found, remedy)| (State::Problem, found, remedy);
    let mut all = rows("host", seen, |_, facts| problems(facts).into_iter().map(problem).collect());
    for name in seen.site.run_hosts().filter(|n| !seen.world.reached(n)) {
        let remedy = format!("`reemo-infra exec {name} -- true` says why");
        all.push(Finding::new("host", name, State::Problem, "it cannot be reached", remedy));
    }
    all
}

/// The vendor's minimum.
pub fn hardware(seen: &Seen<'_>) -> Vec<Finding> {
    rows("hardware", seen, |name, facts| {
        let environment = &seen.site.clusters[&seen.site.hosts[name].cluster].wanted.cluster.environment;
        let short = hardware::short(environment, facts);
        let found = short.join(", ");
        let remedy = format!("the vendor's minimum for {environment}; smaller sites work, with fewer users");
        if short.is_empty() { vec![] } else { vec![(State::Warning, found, remedy)] }
    })
}

/// Against this machine's.
pub fn clock(seen: &Seen<'_>) -> Vec<Finding> {
    rows("clock", seen, |_, facts| {
        let off = facts.skew_s.unsigned_abs();
        if off <= NOTICED_SKEW_S {
            return vec![];
        }
        let state = if off > MOST_SKEW_S { State::Problem } else { State::Warning };
        let side = if facts.skew_s > 0 { "ahead of" } else { "behind" };
        let remedy = "set the clock that is wrong: timedatectl set-ntp true".to_owned();
        vec![(state, format!("{off} s {side} this machine's"), remedy)]
    })
}

/// What Swarm's networks are made of.
pub fn kernel(seen: &Seen<'_>) -> Vec<Finding> {
    rows("kernel", seen, |name, facts| {
        let services = &seen.site.clusters[&seen.site.hosts[name].cluster].wanted.services;
        let mut parts = vec![("vxlan", facts.vxlan, State::Problem, "networks between nodes need it")];
        // The vendor's services find each other by round robin and publish on their nodes: they need none.
        if services.iter().flat_map(|s| &s.ports).any(|p| p.mode == "ingress") {
            parts.push(("ip_vs", facts.ipvs, State::Problem, "ports published by the ingress network need it"));
        }
        let without = |(module, has, state, why): (&str, Supported, State, &str)| {
            let found = format!("{} has no {module}: {why}", facts.kernel);
            let remedy = format!("boot the distribution's own kernel, or install its extra modules ({module})");
            (has == Supported::No).then_some((state, found, remedy))
        };
        parts.into_iter().filter_map(without).collect()
    })
}

/// The services log to the node's syslog, and `logs` reads what rsyslog wrote.
pub fn syslog(seen: &Seen<'_>) -> Vec<Finding> {
    rows("syslog", seen, |_, facts| {
        // Without /dev/log it is a problem, and said there.
        let missing = facts.dev_log && !facts.rsyslog;
        let found = "rsyslog does not run: what services say goes to the journal alone".to_owned();
        let remedy = "install rsyslog (apt-get install rsyslog, or dnf install rsyslog)".to_owned();
        if missing { vec![(State::Warning, found, remedy)] } else { vec![] }
    })
}

/// Engines that are restarted on all nodes in the same night take the platform with them.
pub fn upgrades(seen: &Seen<'_>) -> Vec<Finding> {
    rows("upgrades", seen, |name, facts| {
        if seen.around.get(name).is_none_or(|a| a.upgrades != Upgrades::WithEngine) {
            return vec![];
        }
        let remedy = match facts.has("apt-get") {
            true => {
                "leave the engine out: Unattended-Upgrade::Package-Blacklist { \"docker\"; \"containerd\"; \"runc\"; };"
            }
            false => "leave the engine out: excludepkgs=docker*,containerd*,runc in /etc/dnf/automatic.conf",
        };
        vec![(
            State::Warning,
            "unattended upgrades may restart the engine, here and on other nodes at once".into(),
            remedy.into(),
        )]
    })
}

/// Certificates for users that lie on the hosts. Where there are none, there is nothing to say.
pub fn certificates(seen: &Seen<'_>) -> Vec<Finding> {
    let mut all = Vec::new();
    for name in seen.site.run_hosts() {
        let services = &seen.site.clusters[&seen.site.hosts[name].cluster].wanted.services;
        let Some(host) = seen.world.hosts.get(name).and_then(|v| v.seen.as_ref()) else { continue };
        if services.iter().all(|s| s.pairs.is_empty()) {
            continue;
        }
        let before = all.len();
        for (found, remedy) in pairs::problems(services, host) {
            all.push(Finding::new("certificates", name, State::Problem, found, remedy));
        }
        for found in pairs::ending(services, host) {
            let remedy = "put another one in its place; the next apply hands it to Traefik";
            all.push(Finding::new("certificates", name, State::Warning, found, remedy));
        }
        if all.len() == before {
            all.push(Finding::ok("certificates", name));
        }
    }
    all
}

/// What the engine says of itself.
pub fn engine(seen: &Seen<'_>) -> Vec<Finding> {
    rows("engine", seen, |name, _| {
        let view = seen.world.hosts.get(name);
        if let Some(trouble) = view.and_then(|v| v.engine_trouble.as_ref()) {
            return vec![(
                State::Problem,
                trouble.clone(),
                "systemctl status docker; journalctl -u docker -n 50".into(),
            )];
        }
        let Some(words) = seen.engines.get(name) else { return vec![] };
        let mut found = Vec::new();
        if words.live_restore {
            let remedy = "the next apply switches it off in /etc/docker/daemon.json".to_owned();
            found.push((State::Problem, "live-restore is on, which no node of a Swarm can have".to_owned(), remedy));
        }
        let about =
            |w: &&String| w.contains("bridge-nf-call") || w.contains("ip_forward") || w.contains("IPv4 forwarding");
        found.extend(words.warnings.iter().filter(about).map(|w| {
            let remedy = "sysctl -w the setting it names, and keep it in /etc/sysctl.d".to_owned();
            (State::Warning, w.trim_start_matches("WARNING: ").to_owned(), remedy)
        }));
        found
    })
}
