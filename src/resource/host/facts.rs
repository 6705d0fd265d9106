//! What is to be known of any host, whatever its resources.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::observation::Section;
use super::unit::UnitState;
use crate::os::OsRelease;
use crate::probe::Probe;

/// Units that are always asked for.
pub(super) const UNITS: [&str; 4] = ["docker.service", "firewalld.service", "ufw.service", "rsyslog.service"];

/// Whether a kernel can do something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Supported {
    /// It can.
    Yes,
    /// It cannot.
    No,
    /// The host gives no way to tell without trying (a container without the kernel's module folder).
    #[default]
    Unknown,
}

/// What SELinux does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Selinux {
    /// Not there, or switched off.
    #[default]
    Off,
    /// It warns.
    Permissive,
    /// It forbids.
    Enforcing,
}

/// Room in the file system a path is, or would be, in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskFree {
    /// Bytes in all.
    pub total: u64,
    /// Bytes free for an ordinary user.
    pub free: u64,
}

/// What a host is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Its distribution.
    pub os: OsRelease,
    /// `x86_64`, `aarch64`, …
    pub arch: String,
    /// Kernel release.
    pub kernel: String,
    /// Its own name.
    pub hostname: String,
    /// Changes with every boot.
    pub boot_id: String,
    /// Its clock, in seconds since 1970 (UTC).
    pub time_s: u64,
    /// Seconds its clock is ahead of the asker's, at least; negative: behind. Filled in by whoever asked, who knows when.
    pub skew_s: i64,
    /// Processors online.
    pub cpus: Option<u32>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Room by path: `/`, `/var/lib/docker`, `/opt`. Empty if it could not be found out in time.
    pub disks: BTreeMap<String, DiskFree>,
    /// The address it talks to the outside with, where it has a default route.
    pub address: Option<IpAddr>,
    /// The interface of that route.
    pub interface: Option<String>,
    /// Virtual IPs and the ingress mesh of Swarm need IPVS.
    pub ipvs: Supported,
    /// Overlay networks need VXLAN.
    pub vxlan: Supported,
    /// Which of the programs we look for are on the path.
    pub programs: BTreeSet<String>,
    /// A socket is at `/var/run/docker.sock`.
    pub docker_socket: bool,
    /// The Docker engine was started before its configuration was last written: it does not run with it.
    pub engine_outdated: bool,
    /// The same of what we tell it of its proxy.
    pub proxy_outdated: bool,
    /// What its configuration was before lies beside it: the host takes the new one back unless it is confirmed.
    pub engine_unconfirmed: bool,
    /// Something listens at `/dev/log`.
    pub dev_log: bool,
    /// rsyslog runs.
    pub rsyslog: bool,
    /// The first process is systemd.
    pub systemd: bool,
    /// Number of the user the probes ran as.
    pub uid: Option<u32>,
    /// Who called sudo, if it was used.
    pub sudo_user: Option<String>,
    /// SELinux.
    pub selinux: Selinux,
    /// firewalld runs.
    pub firewalld: bool,
    /// ufw is switched on.
    pub ufw: bool,
}

impl HostFacts {
    /// The host was asked and has answered at these times, by the asker's clock in seconds since 1970: what its own
    /// clock says beyond them is its error.
    pub fn asked_between(&mut self, asked_s: u64, answered_s: u64) {
        let time = self.time_s as i64;
        let (first, last) = (asked_s as i64 - 1, answered_s as i64 + 1);
        self.skew_s = if time > last { time - last } else { (time - first).min(0) };
    }

    /// True if this program is on the path. Looked for: `docker dockerd podman rsyslogd sudo systemctl
    /// iptables ip modprobe ufw firewall-cmd apt-get dnf timeout base64 sha256sum`.
    pub fn has(&self, program: &str) -> bool {
        self.programs.contains(program)
    }

    pub(super) fn add_units(&mut self, units: &Section<UnitState>) {
        let runs = |name| units.get(name).is_ok_and(UnitState::is_active);
        self.firewalld = runs("firewalld.service");
        self.rsyslog |= runs("rsyslog.service");
    }
}

/// One process answers for many files (`grep`), the shell itself for the rest. A fact is a line
/// `name TAB value`; a line of a file is `path:line`. A kernel module is looked for as a file first:
/// `modprobe` costs as much as all the rest of the kernel's part.
const FACTS: &str = r#"printf 'uname\t'; uname -nrm
printf 'time\t'; date +%s
printf 'route\t'; ip -4 route get 192.0.2.1 2>/dev/null || ip -6 route get 2001:db8::1 2>/dev/null
printf '\n'
grep -sE '^(ID|ID_LIKE|VERSION_ID|PRETTY_NAME|ENABLED)=|^(MemTotal|Uid):|^[0-9a-f,-]+$' /dev/null /usr/lib/os-release /etc/os-release /proc/meminfo /proc/self/status /proc/sys/kernel/random/boot_id /sys/devices/system/cpu/online /sys/fs/selinux/enforce /etc/ufw/ufw.conf
for x in docker dockerd podman rsyslogd sudo systemctl iptables ip modprobe ufw firewall-cmd apt-get dnf timeout base64 sha256sum; do
if command -v "$x" >/dev/null 2>&1; then printf 'has\t%s\n' "$x"; fi
done
if [ -S /var/run/docker.sock ]; then printf 'is\tdocker-socket\n'; fi
if [ -e /run/docker.pid ] && [ /etc/docker/daemon.json -nt /run/docker.pid ]; then printf 'is\tengine-outdated\n'; fi
for x in /etc/docker/reemo-proxy.env /etc/systemd/system/docker.service.d/reemo-proxy.conf; do
if [ -e /run/docker.pid ] && [ "$x" -nt /run/docker.pid ]; then printf 'is\tproxy-outdated\n'; fi
done
if [ -e /etc/docker/daemon.json.reemo-before ] || [ -e /etc/docker/daemon.json.reemo-absent ]; then printf 'is\tengine-unconfirmed\n'; fi
if [ -S /dev/log ]; then printf 'is\tdev-log\n'; fi
if [ -d /run/systemd/system ]; then printf 'is\tsystemd\n'; fi
if [ -r /run/rsyslogd.pid ] && read -r x </run/rsyslogd.pid && [ -d "/proc/$x" ]; then printf 'is\trsyslog\n'; fi
if [ -n "${SUDO_USER:-}" ]; then printf 'sudo\t%s\n' "$SUDO_USER"; fi
read -r r </proc/sys/kernel/osrelease
unclear=
kernel() {
if [ -d "/sys/module/$1" ]; then printf 'kernel\t%s\tyes\n' "$1"; return; fi
if [ ! -e "/lib/modules/$r/modules.dep" ]; then unclear=1; return; fi
for x in "/lib/modules/$r/kernel/$2/$1.ko"* "/lib/modules/$r/kernel/${2%/*}/$1.ko"*; do
if [ -e "$x" ]; then printf 'kernel\t%s\tyes\n' "$1"; return; fi
done
if ! command -v modprobe >/dev/null 2>&1; then unclear=1
elif modprobe -n -q "$1" >/dev/null 2>&1; then printf 'kernel\t%s\tyes\n' "$1"
else printf 'kernel\t%s\tno\n' "$1"
fi
}
kernel ip_vs net/netfilter/ipvs
kernel vxlan drivers/net/vxlan
if [ -n "$unclear" ]; then
if [ -r /proc/config.gz ]; then printf 'config\tread\n'; gzip -dc </proc/config.gz | grep -E '^CONFIG_(IP_VS|VXLAN)='
elif [ -r "/boot/config-$r" ]; then printf 'config\tread\n'; grep -E '^CONFIG_(IP_VS|VXLAN)=' "/boot/config-$r"
fi
fi
exit 0
"#;

pub(super) fn probe() -> Probe {
    Probe::new("facts", FACTS)
}

/// `df` waits for a file server that is gone: a probe of its own. A path that is not there yet is
/// answered for by the directory it will be in.
const DISK: &str = r#"set --
for p in / /var/lib/docker /opt; do
d=$p
while [ ! -d "$d" ]; do d=${d%/*}; d=${d:-/}; done
printf 'path\t%s\n' "$p"
set -- "$@" "$d"
done
df -Pk -- "$@"
"#;

pub(super) fn disk_probe() -> Probe {
    Probe { limit_s: 5, ..Probe::new("disk", DISK) }
}

pub(super) fn parse(text: &str) -> Result<HostFacts, String> {
    let mut facts = HostFacts::default();
    let mut os = [String::new(), String::new()];
    let mut config = None;
    for line in text.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["uname", names] => {
                let mut words = names.split_whitespace().map(str::to_owned);
                facts.hostname = words.next().unwrap_or_default();
                facts.kernel = words.next().unwrap_or_default();
                facts.arch = words.next().unwrap_or_default();
            }
            ["time", seconds] => facts.time_s = seconds.trim().parse().unwrap_or(0),
            ["route", route] => {
                let word_after = |name| route.split_whitespace().skip_while(|w| *w != name).nth(1);
                facts.address = word_after("src").and_then(|a| a.parse().ok());
                facts.interface = word_after("dev").map(str::to_owned);
            }
            ["has", program] => {
                facts.programs.insert(program.to_owned());
            }
            ["is", "docker-socket"] => facts.docker_socket = true,
            ["is", "engine-outdated"] => facts.engine_outdated = true,
            ["is", "proxy-outdated"] => facts.proxy_outdated = true,
            ["is", "engine-unconfirmed"] => facts.engine_unconfirmed = true,
            ["is", "dev-log"] => facts.dev_log = true,
            ["is", "systemd"] => facts.systemd = true,
            ["is", "rsyslog"] => facts.rsyslog = true,
            ["sudo", user] => facts.sudo_user = Some(user.to_owned()),
            ["kernel", "ip_vs", answer] => facts.ipvs = supported(answer),
            ["kernel", "vxlan", answer] => facts.vxlan = supported(answer),
            ["config", "read"] => config = Some(String::new()),
            _ => match (config.as_mut(), line.split_once(':')) {
                (Some(config), _) => {
                    config.push_str(line);
                    config.push('\n');
                }
                (None, Some((path, line))) => facts.add_file_line(&mut os, path, line),
                (None, None) => {}
            },
        }
    }
    if let Some(config) = config {
        facts.add_config(&config);
    }
    let [vendor, local] = os;
    facts.os = OsRelease::parse(if local.is_empty() { &vendor } else { &local });
    if facts.arch.is_empty() || facts.time_s == 0 {
        return Err("neither `uname` nor `date` answered".to_owned());
    }
    Ok(facts)
}

fn supported(answer: &str) -> Supported {
    match answer {
        "yes" => Supported::Yes,
        "no" => Supported::No,
        _ => Supported::Unknown,
    }
}

impl HostFacts {
    fn add_file_line(&mut self, os: &mut [String; 2], path: &str, line: &str) {
        let number = |of: &str| line.strip_prefix(of)?.split_whitespace().next()?.parse::<u64>().ok();
        match path {
            "/usr/lib/os-release" => os[0].extend([line, "\n"]),
            "/etc/os-release" => os[1].extend([line, "\n"]),
            "/proc/meminfo" => self.memory = number("MemTotal:").map(|kib| kib.saturating_mul(1024)).or(self.memory),
            "/proc/self/status" => self.uid = number("Uid:").and_then(|n| n.try_into().ok()).or(self.uid),
            "/proc/sys/kernel/random/boot_id" => self.boot_id = line.to_owned(),
            "/sys/devices/system/cpu/online" => self.cpus = count(line),
            "/sys/fs/selinux/enforce" => {
                self.selinux = if line == "1" { Selinux::Enforcing } else { Selinux::Permissive };
            }
            "/etc/ufw/ufw.conf" => self.ufw |= line == "ENABLED=yes",
            _ => {}
        }
    }

    /// What the kernel was built with decides where nothing else did. A module (`=m`) that is neither
    /// loaded nor to be found here stays unknown: the host outside the container may load it.
    fn add_config(&mut self, config: &str) {
        for (option, fact) in [("CONFIG_IP_VS", &mut self.ipvs), ("CONFIG_VXLAN", &mut self.vxlan)] {
            if *fact != Supported::Unknown {
                continue;
            }
            let value = config.lines().find_map(|line| line.strip_prefix(option)?.strip_prefix('='));
            *fact = match value {
                Some("y") => Supported::Yes,
                Some(_) => Supported::Unknown,
                None => Supported::No,
            };
        }
    }
}

/// How many numbers a list like `0-3,6` holds.
fn count(list: &str) -> Option<u32> {
    list.split(',').try_fold(0u32, |sum, part| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        sum.checked_add(to.checked_sub(from)?.checked_add(1)?)
    })
}

pub(super) fn parse_disk(text: &str) -> Result<BTreeMap<String, DiskFree>, String> {
    let mut lines = text.lines().peekable();
    let mut paths = Vec::new();
    while let Some(path) = lines.next_if(|line| line.starts_with("path\t")) {
        paths.push(path["path\t".len()..].to_owned());
    }
    // One heading, then one line for each path, in order.
    let answers: Vec<_> = lines.skip(1).collect();
    if answers.len() != paths.len() {
        return Err("df did not answer for every path".to_owned());
    }
    Ok(paths.into_iter().zip(answers).filter_map(|(path, line)| Some((path, disk(line)?))).collect())
}

/// Counts from the `NN%` column back, since the first column may hold blanks.
fn disk(line: &str) -> Option<DiskFree> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let percent = words.iter().position(|w| w.strip_suffix('%').is_some_and(|n| n.parse::<u32>().is_ok()))?;
    let kib = |back: usize| words.get(percent.checked_sub(back)?)?.parse::<u64>().ok()?.checked_mul(1024);
    Some(DiskFree { total: kib(3)?, free: kib(1)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors() {
        assert_eq!((count("0-1"), count("0"), count("0-3,6,8-9")), (Some(2), Some(1), Some(7)));
        assert_eq!((count(""), count("3-1"), count("0-4294967295")), (None, None, None));
    }

    #[test]
    fn a_clock_is_wrong_only_beyond_the_time_the_asking_took() {
        let skew = |time_s, asked, answered| {
            let mut facts = HostFacts { time_s, ..HostFacts::default() };
            facts.asked_between(asked, answered);
            facts.skew_s
        };
        assert_eq!((skew(1000, 1000, 1000), skew(1030, 1000, 1040), skew(999, 1000, 1040)), (0, 0, 0));
        assert_eq!((skew(1141, 1000, 1040), skew(899, 1000, 1040), skew(0, 1000, 1040)), (100, -100, -999));
    }

    #[test]
    fn blanks_in_the_name_of_a_file_system() {
        assert_eq!(disk("a b 100 40 60 40% /mnt"), Some(DiskFree { total: 102_400, free: 61_440 }));
        assert_eq!((disk("x 1 2 - - /"), disk("40%"), disk("")), (None, None, None));
    }
}
