//! Debian, Ubuntu and what is built on them.

use super::{Engine, Family, OsRelease, Query};

/// The family.
pub static FAMILY: Family = Family {
    name: "debian",
    ids: &["debian", "ubuntu"],
    // dpkg-query ends with 1 when a name is unknown, which is an answer, and with 2 when it cannot tell.
    query: Query {
        tool: "dpkg-query",
        sh: r#"dpkg-query -W -f='${Package}\t${db:Status-Status}\t${Version}\n' -- "$@" 2>/dev/null
[ "$?" -le 1 ] || exit 3
set -- /var/lib/apt/lists/*_Packages*
[ ! -e "$1" ] || printf 'index\t%s\n' "$(stat -c %Y /var/lib/apt/lists)"
set -- /var/lib/dpkg/updates/[0-9]*
[ ! -e "$1" ] || printf 'interrupted\n'
"#,
    },
    index: Some(&["apt-get", "-q", "update"]),
    repair: Some(&["dpkg", "--force-confdef", "--force-confold", "--configure", "-a"]),
    // A configuration file that somebody has edited stays as it is, without a question.
    install: &[
        "apt-get",
        "-q",
        "-y",
        "--no-install-recommends",
        "-o",
        "Dpkg::Options::=--force-confdef",
        "-o",
        "Dpkg::Options::=--force-confold",
        "install",
    ],
    from_files: &[],
    remove: &["apt-get", "-q", "-y", "purge"],
    // needrestart (Ubuntu) would ask, or restart services that are none of our business.
    env: &[("DEBIAN_FRONTEND", "noninteractive"), ("NEEDRESTART_MODE", "l"), ("LC_ALL", "C")],
    busy_says: &[
        "Could not get lock",
        "Unable to acquire the dpkg frontend lock",
        "Unable to lock directory",
        "dpkg frontend lock was locked by another process",
    ],
    lock_files: &[
        "/var/lib/dpkg/lock-frontend",
        "/var/lib/dpkg/lock",
        "/var/lib/apt/lists/lock",
        "/var/cache/apt/archives/lock",
    ],
    engine: Engine {
        packages: engine_packages,
        providers: &["docker.io", "docker-ce", "docker-ee", "moby-engine"],
        impostors: &["podman-docker"],
        unit: "docker.service",
        socket: "/var/run/docker.sock",
        config: "/etc/docker/daemon.json",
        data: "/var/lib/docker",
    },
    gluster: &["glusterfs-server", "glusterfs-client"],
    repository: None,
};

/// From Debian 13 on the client is a package of its own, and only recommended by the engine's.
fn engine_packages(release: &OsRelease) -> Vec<&'static str> {
    let own_client = release.id == "debian" && release.major().is_none_or(|major| major >= 13);
    let mut packages = vec!["docker.io", "iptables"];
    if own_client {
        packages.push("docker-cli");
    }
    packages
}
