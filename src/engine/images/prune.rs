//! Images that are of no use any more. Of each service the last releases stay, as the Swarm's record of runs has them:
//! what a way back needs is not removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use bollard::query_parameters::RemoveImageOptions;
use reemo_model::op::{DockerOp, Op};
use reemo_resource::swarm::observed::{repository, text};
use reemo_resource::swarm::service::{image_in, image_of};
use reemo_transport::Docker;

use super::references;
use crate::engine::fault::Fault;
use crate::engine::interpret::Scene;
use crate::engine::journal::{self, Of};
use crate::engine::record::{self, Record};
use crate::engine::run::Run;

/// So many releases of each service stay, with the one that is deployed.
pub const KEPT: usize = 3;

/// An image a node has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What Docker calls it.
    pub id: String,
    /// Its tags, and its digests as `name@sha256:…`.
    pub names: Vec<String>,
    /// Its length in bytes, layers that it shares with others included.
    pub size: u64,
}

/// What is to go from a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Going {
    /// Cluster of the node.
    pub cluster: String,
    /// The node.
    pub host: String,
    /// The image.
    pub image: Found,
}

/// A service and the images it had: the one it has first, then older and older ones.
fn history(name: &str, now: Option<&str>, records: &[Record]) -> Vec<String> {
    let before = records.iter().rev().flat_map(|r| &r.services).filter(|s| s.service == name);
    let before = before.filter_map(|s| s.before.as_ref()).map(image_in);
    let mut all: Vec<String> = Vec::new();
    for image in now.into_iter().chain(before).filter(|i| !i.is_empty()) {
        if !all.iter().any(|known| known == image) {
            all.push(image.to_owned());
        }
    }
    all
}

/// What stays: what is wanted, what is deployed, and of each service the last `keep` releases.
/// `deployed`: services with their images. Records are the oldest first.
pub fn kept(wanted: &BTreeSet<&str>, deployed: &[(&str, &str)], records: &[Record], keep: usize) -> BTreeSet<String> {
    let mut all: BTreeSet<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
    let recorded = records.iter().flat_map(|r| &r.services).map(|s| s.service.as_str());
    let names: BTreeSet<&str> = deployed.iter().map(|(n, _)| *n).chain(recorded).collect();
    for name in names {
        let mut all_now = deployed.iter().filter(|(n, _)| *n == name).map(|(_, image)| *image).peekable();
        let now = all_now.peek().copied();
        all.extend(all_now.map(str::to_owned));
        all.extend(history(name, now, records).into_iter().take(keep));
    }
    all
}

/// Names of images that are the platform's, now or on record; others are none of our business.
pub fn ours(wanted: &BTreeSet<&str>, deployed: &[(&str, &str)], records: &[Record]) -> BTreeSet<String> {
    let recorded = records.iter().flat_map(|r| &r.services).filter_map(|s| s.before.as_ref()).map(image_in);
    let all = wanted.iter().copied().chain(deployed.iter().map(|(_, image)| *image)).chain(recorded);
    all.map(|image| repository(image).to_owned()).filter(|name| !name.is_empty()).collect()
}

/// The images of a node that may go. One with a name that is not ours stays, and so does one a container is made of.
pub fn going(
    found: &[Found],
    ours: &BTreeSet<String>,
    kept: &BTreeSet<String>,
    in_use: &BTreeSet<String>,
) -> Vec<Found> {
    let stays = |image: &&Found| {
        let has = |name: &str| image.names.iter().any(|n| n == name);
        kept.iter().any(|k| {
            let (tagged, digest) = k.split_once('@').map_or((k.as_str(), None), |(t, d)| (t, Some(d)));
            // A tag is enough: better one too many.
            *k == image.id || has(tagged) || digest.is_some_and(|d| has(&format!("{}@{d}", repository(tagged))))
        })
    };
    let of_ours = |image: &&Found| !image.names.is_empty() && image.names.iter().all(|n| ours.contains(repository(n)));
    found.iter().filter(of_ours).filter(|i| !in_use.contains(&i.id)).filter(|i| !stays(i)).cloned().collect()
}

async fn images(docker: &Docker, host: &str) -> Result<(Vec<Found>, BTreeSet<String>), Fault> {
    let said = |e: bollard::errors::Error| Fault::docker(&format!("{host}: ask for its images"), &e);
    let (images, containers) = tokio::join!(docker.read("/images/json"), docker.read("/containers/json?all=true"));
    let (images, containers) = (images.map_err(said)?, containers.map_err(said)?);
    let names = |v: &serde_json::Value, key: &str| {
        let list = v[key].as_array().into_iter().flatten().filter_map(|n| n.as_str().map(str::to_owned));
        list.filter(|n| !n.starts_with("<none>")).collect::<Vec<_>>()
    };
    let found = images.as_array().into_iter().flatten().map(|image| Found {
        id: text(image, &["Id"]).to_owned(),
        names: names(image, "RepoTags").into_iter().chain(names(image, "RepoDigests")).collect(),
        size: image["Size"].as_u64().unwrap_or(0),
    });
    let in_use = containers.as_array().into_iter().flatten().map(|c| text(c, &["ImageID"]).to_owned()).collect();
    Ok((found.collect(), in_use))
}

/// Takes a name from an image, and the image away with its last. One that is gone is gone; one that is used stays.
pub async fn remove(docker: &Docker, host: &str, name: &str) -> Result<(), Fault> {
    use bollard::errors::Error::DockerResponseServerError as Said;
    match docker.remove_image(name, None::<RemoveImageOptions>, None).await {
        Ok(_) | Err(Said { status_code: 404 | 409, .. }) => Ok(()),
        Err(e) => Err(Fault::docker(&format!("{host}: remove the image {name}"), &e)),
    }
}

impl Run {
    /// What would be removed from every node.
    pub async fn superfluous_images(&self, keep: usize) -> Result<Vec<Going>, Fault> {
        let mut all = Vec::new();
        for (cluster, parts) in &self.site.clusters {
            let records = match self.manager_of(cluster).await? {
                Some(docker) => record::read(&docker).await?,
                None => Vec::new(),
            };
            let world = self.world.read().await;
            let services = world.swarms.get(cluster).map(|s| s.services.as_slice()).unwrap_or_default();
            let mut deployed: Vec<(&str, &str)> = Vec::new();
            for service in services {
                let name = text(service, &["Spec", "Name"]);
                deployed.push((name, image_of(service)));
                // What Swarm itself would go back to, and what the image is called there.
                deployed.push((name, image_in(&service["PreviousSpec"])));
                deployed.push((name, text(service, &["Spec", "TaskTemplate", "ContainerSpec", "Image"])));
            }
            deployed.retain(|(_, image)| !image.is_empty());
            let wanted = references(parts);
            let (kept, ours) = (kept(&wanted, &deployed, &records, keep), ours(&wanted, &deployed, &records));
            for (host, _) in self.site.hosts_of(cluster).filter(|(n, _)| world.hosts[*n].engine.is_some()) {
                let docker = self.fleet.host(host)?.docker().await?;
                let (found, in_use) = images(&docker, host).await?;
                let going = going(&found, &ours, &kept, &in_use).into_iter();
                all.extend(going.map(|image| Going { cluster: cluster.clone(), host: host.clone(), image }));
            }
        }
        Ok(all)
    }

    /// Removes an image of a node by all its names. One that is used meanwhile stays: the engine itself sees to that.
    pub async fn remove_image(self: &Arc<Run>, going: &Going) -> Result<(), Fault> {
        let anew = || -> reemo_transport::BoxFuture<'_, _> { Box::pin(self.fleet.anew(&self.site, &going.host)) };
        let host = self.fleet.host(&going.host)?;
        let scene = Scene { host, others: &|_| None, anew: &anew, swarm: None, on_line: &|_| {} };
        for name in &going.image.names {
            self.still_ours(&going.cluster).await?;
            let op = Op::Docker(DockerOp::RemoveImage { name: name.clone() });
            let of = Of { task: "images", title: "images of no use", host: &going.host };
            self.safety.journal.step(of, journal::of_op(&op), scene.run(&op)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engine::record::Before;

    fn record(run: &str, services: &[(&str, &str)]) -> Record {
        let one = |(name, image): &(&str, &str)| Before {
            service: (*name).into(),
            job: false,
            before: Some(json!({"TaskTemplate": {"ContainerSpec": {"Image": image}}})),
        };
        Record { run: run.into(), services: services.iter().map(one).collect(), ..Record::default() }
    }

    fn found(id: &str, names: &[&str]) -> Found {
        Found { id: id.into(), names: names.iter().map(|n| (*n).to_owned()).collect(), size: 1 }
    }

    /// Four releases of the api were deployed, one after the other, and one of the portal.
    fn story() -> (Vec<(&'static str, &'static str)>, Vec<Record>) {
        let deployed = vec![("api", "r/api:4@sha256:44"), ("portal", "r/portal:1@sha256:99")];
        let records = vec![
            record("1", &[("api", "r/api:1@sha256:11")]),
            record("2", &[("api", "r/api:2@sha256:22")]),
            record("3", &[("api", "r/api:3@sha256:33"), ("gone", "r/gone:1@sha256:77")]),
        ];
        (deployed, records)
    }

    #[test]
    fn the_last_releases_stay() {
        let (deployed, records) = story();
        let wanted = BTreeSet::from(["r/api:5"]);
        let stays = |keep: usize| kept(&wanted, &deployed, &records, keep);
        assert!(stays(3).contains("r/api:2@sha256:22") && !stays(3).contains("r/api:1@sha256:11"));
        assert!(stays(2).contains("r/api:3@sha256:33") && !stays(2).contains("r/api:2@sha256:22"));
        // What runs and what is wanted stays, however few are to be kept.
        for image in ["r/api:4@sha256:44", "r/api:5", "r/portal:1@sha256:99"] {
            assert!(stays(0).contains(image), "{image}");
        }
        assert!(stays(1).contains("r/gone:1@sha256:77"), "a service that is gone has a way back too");
    }

    #[test]
    fn only_what_nobody_needs_goes() {
        let (deployed, records) = story();
        let wanted = BTreeSet::from(["r/api:5"]);
        let (kept, ours) = (kept(&wanted, &deployed, &records, 2), ours(&wanted, &deployed, &records));
        let images = [
            found("i1", &["r/api:1", "r/api@sha256:11"]),
            found("i2", &["r/api@sha256:22"]),
            found("i3", &["r/api@sha256:33"]),
            found("i4", &["r/api:4", "r/api@sha256:44"]),
            found("i5", &["r/api:5"]),
            found("loaded", &["r/api:3"]),
            found("foreign", &["somebody/else:1"]),
            found("shared", &["r/api:0", "somebody/else:2"]),
            found("nameless", &[]),
            found("running", &["r/api:0"]),
        ];
        let in_use = BTreeSet::from(["running".to_owned()]);
        let ids = |found: Vec<Found>| found.into_iter().map(|i| i.id).collect::<Vec<_>>();
        assert_eq!(ids(going(&images, &ours, &kept, &in_use)), ["i1", "i2"]);
        // The control: without the container it goes too.
        assert_eq!(ids(going(&images, &ours, &kept, &BTreeSet::new())), ["i1", "i2", "running"]);
    }

    #[test]
    fn one_that_is_named_by_its_id_stays() {
        let spec = json!({"Labels": {"io.reemo.image": "r/api:1@sha256:11"},
            "TaskTemplate": {"ContainerSpec": {"Image": "sha256:aa"}}});
        let before = Before { service: "api".into(), job: false, before: Some(spec) };
        let records = [Record { run: "1".into(), services: vec![before], ..Record::default() }];
        let kept = kept(&BTreeSet::new(), &[], &records, 1);
        let ours = ours(&BTreeSet::new(), &[], &records);
        assert!(going(&[found("sha256:aa", &["r/api:1"])], &ours, &kept, &BTreeSet::new()).is_empty());
        assert_eq!(going(&[found("sha256:bb", &["r/api:0"])], &ours, &kept, &BTreeSet::new()).len(), 1);
    }
}
