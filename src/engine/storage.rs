//! The replicated directory of the internal database, where the site asks us for one (`DB_STORAGE: gluster`): which
//! nodes hold a copy, and what mounts it on all of them.

use reemo_model::change::Verdict;
use reemo_resource::host::{COPIES, File, HostObservation, Unit, Volume, Wanted};
use reemo_resource::swarm::INITIALISED;

use super::data;
use super::site::Site;
use super::world::World;

/// Name of the volume.
pub const VOLUME: &str = "reemo";
/// Where it is mounted.
pub const MOUNT: &str = "/opt/reemo";
/// Above a node's copy, which nobody but GlusterFS may touch.
pub const COPY: &str = "/opt/reemo-copy";
/// What mounts it.
pub const UNIT: &str = "reemo-storage.service";

/// The volume as the node behind `host` sees it. `None`: the address of one of its nodes is not known yet.
pub fn volume(site: &Site, world: &World, cluster: &str, host: &str) -> Option<Volume> {
    let users: Option<Vec<String>> = site.hosts_of(cluster).map(|(name, _)| world.advertise(site, name)).collect();
    let users = users?;
    Some(Volume {
        name: VOLUME.into(),
        here: world.advertise(site, host)?,
        holders: users.iter().take(COPIES).cloned().collect(),
        brick: format!("{COPY}/data"),
        users,
    })
}

/// Its definition. No mount unit: systemd tries those once, and after a power cut the node that is up first has nobody
/// to agree with yet. Before Docker, so that it is let go of after the containers.
pub fn unit_file(volume: &Volume) -> File {
    let (first, others) = (&volume.holders[0], volume.holders[1..].join(":"));
    let content = format!(
        "# Written by reemo-infra: {MOUNT}, the same on every server of the cluster.
[Unit]
Description=Replicated storage of the Reemo database
Wants=network-online.target
After=network-online.target glusterd.service
Before=docker.service
StartLimitIntervalSec=0

[Service]
Type=forking
ExecStartPre=/bin/mkdir -p {MOUNT}
ExecStart=/bin/sh -c 'for i in 1 2 3 4 5; do mount -t glusterfs -o backup-volfile-servers={others} {first}:/{VOLUME} {MOUNT} && exit 0; sleep 2; done; exit 1'
ExecStopPost=-/bin/umount -l {MOUNT}
# GlusterFS ends with its signal.
SuccessExitStatus=15
Restart=always
RestartSec=5
TimeoutStartSec=60

[Install]
WantedBy=multi-user.target
"
    );
    let wanted = Wanted::Present { content: content.as_str().into(), mode: 0o644, owner: "root:root".into() };
    File { path: format!("/etc/systemd/system/{UNIT}"), wanted }
}

/// It runs, now and after each boot.
pub fn unit() -> Unit {
    Unit { name: UNIT.into(), enabled: Some(true), active: Some(true) }
}

/// What stands against it on a host: data of before that it would hide, or data that should be on it and is not.
pub fn gate(site: &Site, world: &World, cluster: &str, host: &str, seen: &HostObservation) -> Option<Verdict> {
    let mounted = |seen: &HostObservation| seen.units.get(UNIT).is_ok_and(|u| u.is_active());
    let marker = data::found(seen);
    if !mounted(seen) && marker == Some(true) {
        return Some(Verdict::Refused {
            why: format!("{host}: {MOUNT} holds a database on the host's own disk, which the volume would hide"),
            hint: "storage cannot be changed under a database: dump it, `reset --delete-data`, apply with \
                   DB_STORAGE: gluster, and restore the dump; or leave DB_STORAGE as it was"
                .into(),
        });
    }
    if world.swarms.get(cluster).is_none_or(|s| s.config(INITIALISED).is_none()) {
        return None;
    }
    if mounted(seen) && marker == Some(false) {
        return Some(Verdict::Refused {
            why: format!("{host}: the database was initialised, and the volume {VOLUME} on {MOUNT} is empty"),
            hint: format!("see `gluster volume heal {VOLUME} info`; started now, the database would be an empty one"),
        });
    }
    let known = |name: &String| {
        let seen = world.hosts.get(name).and_then(|v| v.seen.as_ref());
        seen.is_some_and(|s| s.units.get(UNIT).is_ok_and(|u| u.exists()))
    };
    if site.hosts_of(cluster).any(|(name, _)| known(name)) {
        return None;
    }
    Some(Verdict::Refused {
        why: format!("{cluster}: the database was initialised, and no host has its volume {VOLUME}"),
        hint:
            "DB_STORAGE was something else when it was initialised: leave it as it was, or bring a dump of it to a new \
               platform"
                .into(),
    })
}
