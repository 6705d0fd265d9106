//! Red Hat Enterprise Linux, Rocky, Alma, CentOS Stream, Fedora.

use super::{Engine, Family, OsRelease, Query, RepositoryFile, Signed};

/// The family.
pub static FAMILY: Family = Family {
    name: "redhat",
    ids: &["rhel", "rocky", "almalinux", "centos", "fedora", "ol"],
    // rpm's exit code counts the packages that are not there; those lines have no tab and are passed over.
    query: Query {
        tool: "rpm",
        sh: r#"rpm --version >/dev/null 2>&1 || exit 3
rpm -q --qf '%{NAME}\tinstalled\t%{VERSION}-%{RELEASE}\n' -- "$@" 2>/dev/null
"#,
    },
    // dnf refreshes what is stale, and what belongs to a new repository, by itself.
    index: None,
    repair: None,
    // By default dnf waits for a lock without end and without a word of who holds it.
    install: &["dnf", "-y", "--setopt=install_weak_deps=False", "--setopt=exit_on_lock=True", "install"],
    from_files: &["--disablerepo=*"],
    remove: &["dnf", "-y", "--setopt=exit_on_lock=True", "remove"],
    env: &[("LC_ALL", "C")],
    busy_says: &["already locked by", "Failed to obtain the transaction lock", "can't create transaction lock"],
    lock_files: &[
        "/var/cache/dnf/metadata_lock.pid",
        "/var/cache/dnf/download_lock.pid",
        "/var/lib/dnf/rpmdb_lock.pid",
        "/var/lib/rpm/.rpm.lock",
    ],
    engine: Engine {
        packages: engine_packages,
        providers: &["docker-ce", "docker-ee", "moby-engine"],
        impostors: &["podman-docker"],
        unit: "docker.service",
        socket: "/var/run/docker.sock",
        config: "/etc/docker/daemon.json",
        data: "/var/lib/docker",
    },
    // From the Storage SIG's repository; Red Hat's own products bring another.
    gluster: &["glusterfs-server", "glusterfs-fuse"],
    repository: Some(repository),
};

/// The family's own repositories have no Docker engine; these come from the repository in
/// `DOCKER_REPO_URL`.
fn engine_packages(_: &OsRelease) -> Vec<&'static str> {
    vec!["docker-ce", "docker-ce-cli", "containerd.io"]
}

/// The repository at `url`, a base address: dnf's `$releasever` and `$basearch` may stand in it.
fn repository(url: &str, signed: Signed<'_>) -> RepositoryFile {
    let signed = match signed {
        Signed::By(key) => format!("gpgcheck=1\ngpgkey={key}\n"),
        Signed::AsHostDemands => String::new(),
        Signed::NotAtAll => "gpgcheck=0\n".to_owned(),
    };
    RepositoryFile {
        path: "/etc/yum.repos.d/reemo-docker.repo".to_owned(),
        content: format!("[reemo-docker]\nname=Docker engine for Reemo\nbaseurl={url}\nenabled=1\n{signed}"),
    }
}

/// Why an address cannot stand in a repository file, in words.
pub fn repository_url_problem(url: &str) -> Option<&'static str> {
    if !["http://", "https://", "file:///"].iter().any(|scheme| url.starts_with(scheme)) {
        return Some("it must begin with https://, http:// or file:///");
    }
    if url.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Some("there is white space in it");
    }
    if url.ends_with(".repo") {
        return Some(
            "it is the address of a .repo file: give the baseurl that stands in it, and the gpgkey as the key",
        );
    }
    None
}
