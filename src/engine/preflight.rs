//! The checks before the first change of a host.

use reemo_model::change::Verdict;
use reemo_resource::host::HostFacts;
use reemo_resource::swarm::INITIALISED;

use super::data;
use super::external::Found;
use super::pairs;
use super::site::Site;
use super::storage;
use super::task::Task;
use super::world::World;

/// Free space an installation needs under the engine's storage and `/`, in bytes. The vendor asks for
/// 30 GB disks; refusing below that would stop sites that work, refusing below this saves them.
const LEAST_FREE: u64 = 2 << 30;

/// Clocks may differ by so many seconds: certificates made here begin to be valid at this machine's time.
pub(super) const MOST_SKEW_S: u64 = 60;

/// Unchanged = the host can carry what it is asked to.
pub fn verdict(site: &Site, world: &World, task: &Task) -> Verdict {
    let Some(host) = &task.host else {
        return Verdict::Unchanged;
    };
    let Some(view) = world.hosts.get(host) else {
        return Verdict::Unchanged;
    };
    let Some(seen) = &view.seen else {
        return Verdict::Unchanged;
    };
    if seen.facts.skew_s.unsigned_abs() > MOST_SKEW_S {
        let side = if seen.facts.skew_s > 0 { "ahead of" } else { "behind" };
        return Verdict::Refused {
            why: format!("{host}: its clock is {} s {side} this machine's", seen.facts.skew_s.unsigned_abs()),
            hint: "certificates and logins depend on the time: set the clock that is wrong (timedatectl set-ntp true)"
                .into(),
        };
    }
    let problems = problems(&seen.facts);
    if let Some((why, hint)) = problems.into_iter().next() {
        return Verdict::Refused { why: format!("{host}: {why}"), hint };
    }
    if let Some((why, hint)) = pairs::problems(&site.clusters[&task.cluster].wanted.services, seen).into_iter().next() {
        return Verdict::Refused { why: format!("{host}: {why}"), hint };
    }
    if let Some(Found::No { why, hint }) = world.databases.get(host) {
        return Verdict::Refused { why: why.clone(), hint: hint.clone() };
    }
    let database = data::service(&site.clusters[&task.cluster]);
    let marker = data::marker(&site.clusters[&task.cluster]);
    let runs_database = database.is_some();
    if runs_database && data::found(seen).is_none() {
        return Verdict::Refused {
            why: format!("{host}: cannot see whether {marker} is there"),
            hint: "the login needs root (become) to look after the database's directory".into(),
        };
    }
    let gluster = site.clusters[&task.cluster].settings.gluster;
    if gluster && let Some(refused) = storage::gate(site, world, &task.cluster, host, seen) {
        return refused;
    }
    let recorded = world.swarms.get(&task.cluster).is_some_and(|s| s.config(INITIALISED).is_some());
    if recorded && !gluster && database.is_some_and(|s| !s.data_node) && data::found(seen) == Some(false) {
        return Verdict::Refused {
            why: format!("{host}: {marker} is not there, though the site is said to replicate it (DB_STORAGE)"),
            hint: format!(
                "mount the replicated /opt/reemo on {host}: started here, the database would be an empty one"
            ),
        };
    }
    Verdict::Unchanged
}

/// What a host cannot do without, and what to do about it.
pub(super) fn problems(facts: &HostFacts) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if !facts.systemd {
        found.push(("systemd does not run".into(), "hosts need systemd to keep the engine running".into()));
    }
    if !facts.dev_log {
        found.push((
            "there is no /dev/log: the services log to the node's own syslog, and would not start".into(),
            "install and start rsyslog (apt-get install rsyslog, or dnf install rsyslog)".into(),
        ));
    }
    for (path, disk) in &facts.disks {
        if disk.free < LEAST_FREE {
            found.push((
                format!("only {} MB are free on {path}; {} MB are needed", disk.free >> 20, LEAST_FREE >> 20),
                "free space, or mount a larger disk there".into(),
            ));
        }
    }
    found
}
