//! What each host is asked.

use std::collections::BTreeMap;

use reemo_resource::host::{Directory, File, HostResource, Wanted, gluster_probe, observe_plan};
use reemo_resource::os::FAMILIES;
use reemo_resource::probe::Probe;

use super::data;
use super::evaluate::repository_file;
use super::graph::TaskGraph;
use super::site::Site;
use super::storage;
use super::task::What;

/// Everything its tasks are about, and where the database's data is.
pub fn probes(site: &Site, graph: &TaskGraph) -> BTreeMap<String, Vec<Probe>> {
    let mut wanted: BTreeMap<String, Vec<HostResource>> = BTreeMap::new();
    let mut volumes = Vec::new();
    for task in graph.tasks() {
        let Some(host) = &task.host else { continue };
        let list = wanted.entry(host.clone()).or_default();
        match &task.what {
            What::Host(resource) => list.push((**resource).clone()),
            What::DataDir(dir) => list.push(HostResource::Directory(Directory {
                path: dir.path.clone(),
                mode: dir.mode,
                owner: dir.owner.clone(),
            })),
            What::Repository => {
                let settings = &site.clusters[&task.cluster].settings;
                let Some(url) = &settings.repo_url else {
                    continue;
                };
                for define in FAMILIES.iter().filter_map(|f| f.repository) {
                    let file = define(url, settings.signed());
                    list.push(HostResource::File(repository_file(file.path, file.content)));
                }
            }
            What::Preflight => {
                let path = data::marker(&site.clusters[&task.cluster]);
                list.push(HostResource::File(File { path, wanted: Wanted::Absent }));
            }
            What::StorageUnit => list.push(HostResource::File(File {
                path: format!("/etc/systemd/system/{}", storage::UNIT),
                wanted: Wanted::Present { content: "".into(), mode: 0o644, owner: "root:root".into() },
            })),
            What::Volume => volumes.push(host.clone()),
            _ => {}
        }
    }
    let mut probes: BTreeMap<_, _> =
        wanted.into_iter().map(|(host, resources)| (host, observe_plan(&resources))).collect();
    for host in volumes {
        probes.entry(host).or_default().push(gluster_probe(storage::VOLUME));
    }
    probes
}
