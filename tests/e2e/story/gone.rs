//! `reset`: the hosts are what they were.

use super::Stage;
use crate::snapshot;

/// What any installation and removal of a package leaves behind: lists, databases, counters of the package manager and
/// of systemd. Logs are left out of every snapshot.
const PACKAGE_DATABASE: [&str; 9] = [
    // Copies of the package database that the distribution makes by itself.
    "/var/backups",
    "/var/lib/apt",
    "/var/lib/dpkg",
    "/var/lib/systemd",
    "/var/lib/ucf",
    "/etc/ld.so.cache",
    "/etc/group-",
    "/etc/gshadow-",
    "/etc/subgid-",
];

/// Step 16.
pub fn as_they_were(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    tool.run(&["reset"]).ends_with(8).says("--yes");
    fleet.sh(&fleet.hosts[0], "docker service inspect reemo_portal >/dev/null");

    tool.run(&["reset", "--yes", "-e", "INSTALL_DOCKER=true"]).ends_with(0).says("infra_manager3: clean");
    let kept = ["/opt/reemo"];
    fleet.each(|host| {
        let found = differences(stage, host, &kept);
        assert!(found.is_empty(), "reset left this on {}:\n{}", host.name, found.join("\n"));
    });
    let data = fleet.hosts.iter().filter(|h| fleet.try_sh(h, "test -s /opt/reemo/mysql/ibdata1", "").success()).count();
    assert_eq!(data, 1, "the database's files stay");

    tool.run(&["reset", "--yes", "--delete-data", "-e", "INSTALL_DOCKER=true"]).ends_with(0);
    fleet.each(|host| {
        let found = differences(stage, host, &[]);
        assert!(found.is_empty(), "reset --delete-data left this on {}:\n{}", host.name, found.join("\n"));
        let processes = fleet.sh(host, "ps -e -o comm= | grep -E 'docker|containerd|traefik|mariadb|haproxy' || true");
        assert_eq!(processes, "", "{}", host.name);
    });
}

fn differences(stage: &Stage, host: &crate::fleet::Host, kept: &[&str]) -> Vec<String> {
    let (bare, now) = (snapshot::kept(&stage.tool, host), snapshot::of(&stage.fleet, host));
    let below = |path: &str, roots: &[&str]| roots.iter().any(|r| path == *r || path.starts_with(&format!("{r}/")));
    snapshot::differences(&bare, &now, |path| below(path, &PACKAGE_DATABASE) || below(path, kept))
}
