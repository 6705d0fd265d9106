//! What is around a host, for those who ask for it: what it can reach, which networks it stands in, who else updates it.
//! A second look, slower than the first, and never part of a run that finds nothing to do.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use reemo_model::quote::sh_quote;

use crate::probe::{Probe, ProbeOutputs};

/// TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// A connection is made and closed again.
    Tcp,
    /// A byte is sent, twice. Nothing listens there yet, so a way that is open answers "port unreachable".
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// Where a host is to try to get.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// How.
    pub protocol: Protocol,
    /// Address or name, as the host itself would write it.
    pub to: String,
    /// Port.
    pub port: u16,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Something answers, or says that nothing listens there: the way is open.
    Open,
    /// Nothing came back in time: a firewall drops it, or nobody has the address.
    Silent,
    /// A router or a firewall refuses to pass it on.
    Barred,
    /// The name means nothing to the host.
    NoName,
}

/// Whether something else than the operator restarts engines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upgrades {
    /// No.
    #[default]
    None,
    /// Packages are upgraded unattended, the engine's left out.
    WithoutEngine,
    /// Packages are upgraded unattended, the engine's among them.
    WithEngine,
}

/// What one host told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Networks it has an interface in, without the engine's own.
    pub networks: Vec<IpNet>,
    /// Unattended upgrades.
    pub upgrades: Upgrades,
    /// Its certificate as a node of its Swarm, PEM; empty: it is none.
    pub node_certificate: String,
    /// What it can reach. A way that is missing could not be tried (no bash).
    pub reached: BTreeMap<Way, Reach>,
}

/// Its networks; upgrades as apt and dnf are told of them.
const AROUND: &str = r#"ip -o -4 route show scope link 2>/dev/null | sed 's/^/route\t/'
ip -o -6 route show 2>/dev/null | grep -E '^[0-9a-f:]+/[0-9]+ dev ' | grep -v '^fe80' | sed 's/^/route\t/'
if command -v unattended-upgrade >/dev/null 2>&1; then
apt-config dump 2>/dev/null | grep -E '^(APT::Periodic::Unattended-Upgrade|Unattended-Upgrade::Package-Blacklist)' | sed 's/^/apt\t/'
fi
if command -v systemctl >/dev/null 2>&1; then
for x in dnf-automatic.timer dnf-automatic-install.timer; do
if systemctl -q is-enabled "$x" 2>/dev/null; then printf 'dnf\t%s\n' "$x"; fi
done
fi
grep -shE '^(apply_updates|excludepkgs|exclude)[ =]' /etc/dnf/automatic.conf /etc/dnf/dnf.conf | sed 's/^/conf\t/'
if [ -r /var/lib/docker/swarm/certificates/swarm-node.crt ]; then sed 's/^/cert\t/' /var/lib/docker/swarm/certificates/swarm-node.crt; fi
exit 0
"#;

/// Bash alone can open connections by itself; where it is missing nothing is said. All ways are tried at once.
const REACH: &str = r#"command -v bash >/dev/null 2>&1 || exit 0
try() {
case $1 in
udp) said=$(timeout 3 bash -c 'exec 3<>"/dev/udp/$0/$1" && printf x >&3 && sleep 0.5 && printf x >&3' "$2" "$3" 2>&1); code=$? ;;
*) said=$(timeout 3 bash -c 'exec 3<>"/dev/tcp/$0/$1"' "$2" "$3" 2>&1); code=$? ;;
esac
case $code:$1:$said in
0:udp:*) word=silent ;;
0:*|*refused*) word=open ;;
124:*) word=silent ;;
*[Nn]ame*|*resolution*|*hostname*) word=no-name ;;
*) word=barred ;;
esac
printf 'reach\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "$word"
}
while [ $# -gt 2 ]; do try "$1" "$2" "$3" & shift 3; done
wait
exit 0
"#;

/// What to ask of a host that is to try these ways.
pub fn probes<'a>(ways: impl IntoIterator<Item = &'a Way>) -> Vec<Probe> {
    let mut words = String::new();
    for Way { protocol, to, port } in ways {
        words.push_str(&format!(" {protocol} {} {port}", sh_quote(to)));
    }
    let around = Probe::new("around", AROUND);
    match words.is_empty() {
        true => vec![around],
        false => vec![around, Probe { limit_s: 30, ..Probe::new("reach", format!("set --{words}\n{REACH}")) }],
    }
}

impl Surroundings {
    /// What the answers say. A probe that failed has nothing to say.
    pub fn parse(outputs: &ProbeOutputs) -> Surroundings {
        let mut found = Surroundings::default();
        let (mut apt, mut kept_back, mut dnf, mut applies) = (false, false, false, false);
        let text = |id: &str| outputs.get(id).and_then(|o| o.text().ok()).unwrap_or_default();
        for line in text("around").lines().chain(text("reach").lines()) {
            let Some((kind, rest)) = line.split_once('\t') else { continue };
            match kind {
                "route" => found.networks.extend(network(rest)),
                "apt" if rest.starts_with("APT::Periodic::Unattended-Upgrade ") => apt = !rest.contains("\"0\""),
                "apt" | "conf" if names_engine(rest) => kept_back = true,
                "conf" if rest.starts_with("apply_updates") => applies = rest.contains("yes"),
                "dnf" => dnf = true,
                "cert" => found.node_certificate.extend([rest, "\n"]),
                "reach" => found.reached.extend(tried(rest)),
                _ => {}
            }
        }
        found.upgrades = match (apt || dnf && applies, kept_back) {
            (false, _) => Upgrades::None,
            (true, true) => Upgrades::WithoutEngine,
            (true, false) => Upgrades::WithEngine,
        };
        found
    }
}

fn names_engine(line: &str) -> bool {
    ["docker", "containerd", "runc"].iter().any(|name| line.contains(name))
}

/// `10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.5`; those of the engine and of containers are its own.
fn network(route: &str) -> Option<IpNet> {
    let mut words = route.split_whitespace();
    let network = words.next()?;
    let device = words.skip_while(|w| *w != "dev").nth(1)?;
    let own = ["docker", "br-", "veth", "lo"].iter().any(|prefix| device.starts_with(prefix));
    // A single address is written without a length.
    let parsed = network.parse().ok().or_else(|| network.parse::<IpAddr>().ok().map(IpNet::from));
    parsed.filter(|_| !own)
}

fn tried(line: &str) -> Option<(Way, Reach)> {
    let [protocol, to, port, word] = line.split('\t').collect::<Vec<_>>()[..] else { return None };
    let protocol = if protocol == "udp" { Protocol::Udp } else { Protocol::Tcp };
    let reach = match word {
        "open" => Reach::Open,
        "silent" => Reach::Silent,
        "no-name" => Reach::NoName,
        _ => Reach::Barred,
    };
    Some((Way { protocol, to: to.to_owned(), port: port.parse().ok()? }, reach))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::ProbeOutput;

    fn told(around: &str, reach: &str) -> Surroundings {
        let output = |text: &str| ProbeOutput { code: Some(0), out: text.as_bytes().to_vec() };
        Surroundings::parse(&[("around".into(), output(around)), ("reach".into(), output(reach))].into())
    }

    #[test]
    fn networks_of_its_own_and_not_the_engines() {
        let found = told(
            "route\t10.1.0.0/24 dev eth0 proto kernel scope link src 10.1.0.5 \n\
             route\t172.17.0.0/16 dev docker0 proto kernel scope link src 172.17.0.1 linkdown \n\
             route\t172.18.0.0/16 dev br-5d1 scope link\nroute\tfd00::/64 dev ens3 proto kernel metric 256\n\
             route\t169.254.169.254 dev ens3 scope link\n",
            "",
        );
        let text: Vec<String> = found.networks.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["10.1.0.0/24", "fd00::/64", "169.254.169.254/32"]);
    }

    #[test]
    fn who_upgrades_the_engine() {
        let on = "apt\tAPT::Periodic::Unattended-Upgrade \"1\";\n";
        let cases = [
            ("", Upgrades::None),
            ("apt\tAPT::Periodic::Unattended-Upgrade \"0\";\n", Upgrades::None),
            (on, Upgrades::WithEngine),
            ("dnf\tdnf-automatic.timer\nconf\tapply_updates = no\n", Upgrades::None),
            ("dnf\tdnf-automatic.timer\nconf\tapply_updates = yes\n", Upgrades::WithEngine),
            (
                "dnf\tdnf-automatic.timer\nconf\tapply_updates = yes\nconf\texcludepkgs=docker-ce*\n",
                Upgrades::WithoutEngine,
            ),
        ];
        for (text, upgrades) in cases {
            assert_eq!(told(text, "").upgrades, upgrades, "{text}");
        }
        let kept = format!("{on}apt\tUnattended-Upgrade::Package-Blacklist:: \"docker\";\n");
        assert_eq!(told(&kept, "").upgrades, Upgrades::WithoutEngine);
    }

    #[test]
    fn what_was_tried() {
        let found = told(
            "",
            "reach\ttcp\t10.0.0.2\t2377\topen\nreach\tudp\t10.0.0.2\t4789\tsilent\nreach\ttcp\tno.example\t443\tno-name\n",
        );
        let reach: Vec<Reach> = found.reached.values().copied().collect();
        assert_eq!(reach, [Reach::Open, Reach::NoName, Reach::Silent]);
    }

    #[test]
    fn names_are_quoted() {
        let way = Way { protocol: Protocol::Tcp, to: "a; reboot".into(), port: 1 };
        let probe = probes([&way]).pop().expect("two probes");
        assert!(probe.sh.starts_with("set -- tcp 'a; reboot' 1\n"), "{}", probe.sh);
    }
}
