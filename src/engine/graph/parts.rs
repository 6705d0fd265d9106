//! The parts of a host: what an engine is made of, what a registry's authority needs, a service's files.

use reemo_model::secret::Blob;
use reemo_model::supply;
use reemo_model::wanted::{WantedFile, WantedService};
use reemo_resource::host::{Directory, File, HostResource, JsonMerge, Package, PackageSet, Told, Unit, Wanted};

use crate::engine::guard::DAEMON;
use crate::engine::site::{ClusterSite, Supply};
use crate::engine::task::What;

pub(super) fn tags_of(services: &[&WantedService]) -> Vec<String> {
    let mut tags: Vec<String> = services.iter().flat_map(|s| s.tags.iter().cloned()).collect();
    tags.push("images".into());
    tags.sort();
    tags.dedup();
    tags
}

/// What makes a Docker engine of a bare host, in order: configuration first, so that it starts with it.
pub(super) fn engine_parts(cluster: &ClusterSite) -> Vec<(String, What)> {
    let mut list = Vec::new();
    let mut push = |resource: HostResource| list.push((resource.title(), What::Host(Box::new(resource))));
    if !cluster.settings.daemon.is_empty() {
        push(directory("/etc/docker"));
        push(HostResource::JsonMerge(JsonMerge {
            path: DAEMON.into(),
            keys: cluster.settings.daemon.clone(),
            mode: 0o644,
            owner: ROOT.into(),
            secret: false,
            kept: true,
        }));
    }
    if cluster.settings.repo_url.is_some() {
        list.push(("package repository of docker".into(), What::Repository));
    }
    let mut push = |resource: HostResource| list.push((resource.title(), What::Host(Box::new(resource))));
    push(HostResource::Package(Package { set: PackageSet::DockerEngine, present: true }));
    push(HostResource::Unit(Unit { name: "docker.service".into(), enabled: Some(true), active: Some(true) }));
    list
}

const ROOT: &str = "root:root";

fn directory(path: &str) -> HostResource {
    HostResource::Directory(Directory { path: path.into(), mode: 0o755, owner: ROOT.into() })
}

/// What tells the engine of its proxy, beside the unit of the package. A unit's own environment can be read by everybody
/// on the host; a file it is read from has a mode, and a login may be in it. Without a proxy of ours neither is there.
pub(super) fn proxy_files(supply: &Supply) -> [HostResource; 2] {
    const DROP_IN: &str = "[Service]\nEnvironmentFile=-/etc/docker/reemo-proxy.env\n";
    let file = |path: &str, content: Option<Blob>, mode: u32| {
        let present = |content| Wanted::Present { content, mode, owner: ROOT.into() };
        HostResource::File(File { path: path.into(), wanted: content.map_or(Wanted::Absent, present) })
    };
    let environment = supply.proxy.as_ref().map(|p| Blob::Secret(supply::environment(p)));
    let drop_in = supply.proxy.as_ref().map(|_| Blob::from(DROP_IN));
    [
        file("/etc/docker/reemo-proxy.env", environment, 0o600),
        file("/etc/systemd/system/docker.service.d/reemo-proxy.conf", drop_in, 0o644),
    ]
}

/// The engine reads these at each pull: no restart.
pub(super) fn registry_trust(registry: &str, ca: &Blob) -> Vec<HostResource> {
    let folder = format!("/etc/docker/certs.d/{registry}");
    vec![
        directory("/etc/docker"),
        directory("/etc/docker/certs.d"),
        directory(&folder),
        HostResource::File(File {
            path: format!("{folder}/ca.crt"),
            wanted: Wanted::Present { content: ca.clone(), mode: 0o644, owner: ROOT.into() },
        }),
    ]
}

pub(super) fn host_file(service: &str, file: &WantedFile) -> HostResource {
    let wanted = match &file.content {
        Some(content) => Wanted::Present { content: content.clone(), mode: file.mode, owner: file.owner.clone() },
        None => Wanted::Absent,
    };
    let (resource, argv) = (File { path: file.path.clone(), wanted }, file.says.clone());
    if argv.is_empty() {
        return HostResource::File(resource);
    }
    HostResource::Told(Told { file: resource, service: service.to_owned(), argv })
}
