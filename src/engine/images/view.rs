//! Images as an evaluation sees them: which a host lacks, and what would bring them. Pure.

use std::sync::Arc;

use reemo_model::change::{Action, Change, FieldDiff, Verdict};
use reemo_model::op::{CarryPackages, DockerOp, Exec, LoadImage, Op};
use reemo_model::supply::Mode;
use reemo_resource::host::HostResource;
use reemo_resource::os::Os;
use reemo_resource::swarm::observed::repository;
use reemo_resource::swarm::service::{self, Carried, image_of};

use super::archive::Archive;
use super::send::FOLDER;
use crate::engine::evaluate::View;
use crate::engine::site::Supply;
use crate::engine::task::Task;

impl View<'_> {
    fn supply(&self, cluster: &str) -> &Supply {
        &self.site.clusters[cluster].settings.supply
    }

    /// An image on a node.
    pub(in crate::engine) fn image(&self, task: &Task, reference: &str) -> Verdict {
        let host = task.host.as_deref().unwrap_or_default();
        if self.supply(&task.cluster).mode == Mode::Offline {
            return self.carried_image(&task.cluster, host, reference);
        }
        let engine = self.world.hosts.get(host).and_then(|v| v.engine.as_ref());
        let has = |r: &str| engine.is_some_and(|e| e.images.contains_key(r));
        // The digest that is deployed counts: a tag alone may point elsewhere by now. An image that was
        // loaded from an archive has no digest to compare.
        let pinned = |digest: &str| format!("{}@{digest}", repository(reference));
        let refreshed = self.world.registry.get(reference).map(|d| pinned(d));
        let pull = match self.deployed_digest(task, reference) {
            _ if refreshed.is_some() => refreshed.filter(|r| !has(r)),
            Some(digest) => {
                let pinned = pinned(&digest);
                let loaded = has(reference) && engine.is_some_and(|e| e.digest(reference).is_none());
                (!has(&pinned) && !loaded).then_some(pinned)
            }
            None => (!has(reference)).then(|| reference.to_owned()),
        };
        let Some(pull) = pull else {
            return Verdict::Unchanged;
        };
        let was = engine.and_then(|e| e.digest(reference)).map(pinned);
        Verdict::Change(Change {
            action: Action::Create,
            fields: vec![FieldDiff::new("image", was, Some(pull.clone()))],
            ops: vec![self.pull(&task.cluster, pull)],
        })
    }

    /// The same of an image that nobody pulls: what Docker calls it counts, since a tag alone says nothing.
    fn carried_image(&self, cluster: &str, host: &str, reference: &str) -> Verdict {
        let engine = self.world.hosts.get(host).and_then(|v| v.engine.as_ref());
        let was = engine.and_then(|e| e.images.get(reference));
        let Some(archive) = &self.supply(cluster).bundle else {
            return match was {
                Some(_) => Verdict::Unchanged,
                None => Verdict::Refused {
                    why: format!("{reference} is not on {host}, and IMAGE_MODE `offline` pulls nothing"),
                    hint: "bring it there: reemo-infra images load --bundle FILE, or name the bundle with IMAGE_BUNDLE"
                        .into(),
                },
            };
        };
        let Some(image) = archive.bundle.image(reference) else {
            return Verdict::Refused {
                why: format!("{reference} is not in {}", archive.path.display()),
                hint: "make a bundle of this release: reemo-infra images save".into(),
            };
        };
        if was.is_some_and(|id| image.is(id)) {
            return Verdict::Unchanged;
        }
        Verdict::Change(Change {
            action: Action::Create,
            fields: vec![FieldDiff::new(
                "image",
                was.map(|id| format!("{reference} ({id})")),
                Some(format!("{reference} ({})", image.id)),
            )],
            ops: vec![load(archive, reference)],
        })
    }

    fn pull(&self, cluster: &str, reference: String) -> Op {
        let auth = self.site.clusters[cluster].settings.registry.clone();
        Op::Docker(DockerOp::PullImage { reference, auth })
    }

    /// What brings an image to a host that must have it for something else; `None`: it has it.
    pub(in crate::engine) fn bring(&self, cluster: &str, host: &str, reference: &str) -> Option<Op> {
        let supply = self.supply(cluster);
        let engine = self.world.hosts.get(host).and_then(|v| v.engine.as_ref());
        if engine.is_some_and(|e| e.images.contains_key(reference)) {
            return None;
        }
        match &supply.bundle {
            Some(archive) if supply.mode == Mode::Offline => Some(load(archive, reference)),
            _ => Some(self.pull(cluster, reference.to_owned())),
        }
    }

    /// Digest of this tag in a deployed service.
    fn deployed_digest(&self, task: &Task, reference: &str) -> Option<String> {
        let there = self.world.swarms.get(&task.cluster)?;
        there.services.iter().find_map(|s| {
            let (tagged, digest) = service::image_of(s).split_once('@')?;
            (tagged == reference).then(|| digest.to_owned())
        })
    }

    /// What a service of images that nobody pulls is pinned to: the nodes' own name for its image. Swarm asks no
    /// registry for one that is named so.
    pub(in crate::engine) fn carried(&self, cluster: &str, service: &str, reference: &str) -> Option<Carried> {
        let supply = self.supply(cluster);
        if supply.mode != Mode::Offline {
            return None;
        }
        let hosts = self.site.hosts_of(cluster).filter_map(|(n, _)| self.world.hosts.get(n)?.engine.as_ref());
        let mut ids = hosts.filter_map(|e| e.images.get(reference));
        if let Some(image) = supply.bundle.as_ref().and_then(|a| a.bundle.image(reference)) {
            let id = ids.find(|id| image.is(id)).unwrap_or(&image.id).clone();
            return Some(Carried { id, name: image.pinned() });
        }
        let id = ids.next()?.clone();
        // Where it came from is known from the run that brought it.
        let there = self.world.swarms.get(cluster).and_then(|s| s.service(service)).map(image_of);
        let known = there.filter(|t| t.split('@').next() == Some(reference));
        Some(Carried { id, name: known.unwrap_or(reference).to_owned() })
    }

    /// The engine's packages out of the bundle, in place of what would be installed from the network.
    pub(in crate::engine) fn carried_packages(
        &self,
        task: &Task,
        resource: &HostResource,
        os: &Os,
        verdict: Verdict,
    ) -> Verdict {
        let supply = self.supply(&task.cluster);
        let engine = matches!(resource, HostResource::Package(package) if package.is_engine());
        let Some(archive) = supply.bundle.as_ref().filter(|_| engine && supply.mode == Mode::Offline) else {
            return verdict;
        };
        let Verdict::Change(mut change) = verdict else { return verdict };
        let exactly = format!("{}-{}", os.release.id, os.release.major().map(|m| m.to_string()).unwrap_or_default());
        let packages = archive.bundle.packages_for(&exactly, os.family.name);
        if packages.is_empty() {
            // Installed by hand, or from a repository of the site.
            return Verdict::Change(change);
        }
        let here: Vec<String> = packages.iter().map(|p| format!("{FOLDER}/{}", p.file)).collect();
        change.ops = vec![
            Op::CarryPackages(CarryPackages {
                bundle: archive.path.display().to_string(),
                paths: packages.iter().map(|p| p.path()).collect(),
            }),
            Op::Exec(os.family.install_files(&here)),
            Op::Exec(Exec::new(["rm", "-f", "--"].into_iter().map(str::to_owned).chain(here))),
        ];
        Verdict::Change(change)
    }
}

fn load(archive: &Arc<Archive>, reference: &str) -> Op {
    Op::LoadImage(LoadImage { bundle: archive.path.display().to_string(), reference: reference.to_owned() })
}
