//! The tasks of replicated storage: GlusterFS on the nodes that hold a copy, the volume, and its mount on all.

use petgraph::graph::NodeIndex;
use reemo_model::catalogue::Stage;
use reemo_resource::host::{COPIES, Directory, HostResource, Package, PackageSet, Unit};

use super::build::{At, Builder};
use crate::engine::site::ClusterSite;
use crate::engine::storage;
use crate::engine::task::{Select, What};

impl Builder<'_> {
    /// What directories of services wait for on each host: its mount, or just the engine.
    pub(super) fn storage(
        &mut self,
        name: &str,
        cluster: &ClusterSite,
        hosts: &[String],
        engines: &[NodeIndex],
    ) -> Vec<NodeIndex> {
        if !cluster.settings.gluster {
            return engines.to_vec();
        }
        let database = cluster.wanted.services.iter().find(|s| s.exec_query.is_some());
        let select = Select::Tags(database.map(|s| s.tags.clone()).unwrap_or_default());
        let at = |host| At::host(name, host, Stage::Engine);
        let mut installed = Vec::new();
        for (number, (host, engine)) in hosts.iter().zip(engines).enumerate() {
            let mut parts = vec![HostResource::Package(Package { set: PackageSet::Gluster, present: true })];
            if number < COPIES {
                parts.push(HostResource::Unit(Unit {
                    name: "glusterd.service".into(),
                    enabled: Some(true),
                    active: Some(true),
                }));
                let (path, owner) = (storage::COPY.to_owned(), "root:root".to_owned());
                parts.push(HostResource::Directory(Directory { path, mode: 0o700, owner }));
            }
            let mut last = *engine;
            for part in parts {
                let title = part.title();
                last = self.put(at(host), &title, select.clone(), What::Host(Box::new(part)), &[last]);
            }
            installed.push(last);
        }
        let Some(first) = hosts.first() else { return installed };
        let title = format!("volume {}", storage::VOLUME);
        let volume = self.put(at(first), &title, select.clone(), What::Volume, &installed);
        let mounts = hosts.iter().zip(installed).map(|(host, last)| {
            let file = self.put(
                at(host),
                &format!("file of {}", storage::UNIT),
                select.clone(),
                What::StorageUnit,
                &[volume, last],
            );
            let unit = HostResource::Unit(storage::unit());
            self.put(at(host), &unit.title(), select.clone(), What::Host(Box::new(unit)), &[file])
        });
        mounts.collect()
    }
}
