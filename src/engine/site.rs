//! Everything a run wants, before the first connection: the result of reading inventory and roles.

use std::sync::Arc;

use indexmap::IndexMap;
use reemo_model::op::RegistryAuth;
use reemo_model::secret::Blob;
use reemo_model::supply::{Mode, Proxy};
use reemo_model::wanted::Wanted;
use reemo_resource::os::Signed;
use reemo_resource::swarm::material::Material;
use reemo_transport::ssh::Target;
use serde_json::{Map, Value};

use super::images::archive::Archive;
use super::trust::Trusted;

/// All clusters and hosts of a run.
pub struct Site {
    /// Clusters, in the order they are rolled out.
    pub clusters: IndexMap<String, ClusterSite>,
    /// Hosts, in inventory order.
    pub hosts: IndexMap<String, HostSite>,
}

/// One host.
pub struct HostSite {
    /// Cluster it belongs to.
    pub cluster: String,
    /// How to reach it.
    pub target: Target,
    /// Address other nodes reach it at, when the inventory says.
    pub advertise: Option<String>,
    /// A worker of its Swarm; else a manager.
    pub worker: bool,
    /// Part of this run (`--limit`); the others are not connected to.
    pub in_run: bool,
}

/// One cluster.
pub struct ClusterSite {
    /// Services and networks.
    pub wanted: Wanted,
    /// Secrets and configs of all services.
    pub materials: Vec<Arc<Material>>,
    /// What its variables say about the engine.
    pub settings: Settings,
    /// Which certificates folder it belongs to.
    pub site_id: String,
    /// Which authority its services are to trust, once that was ever changed.
    pub trust: Option<Trusted>,
}

/// What a cluster's variables say beside its services.
#[derive(Clone, Default)]
pub struct Settings {
    /// `INSTALL_DOCKER`.
    pub install_docker: bool,
    /// `INIT_DB`.
    pub init_db: bool,
    /// `--prune`: nodes that are no hosts of the inventory are removed from the Swarm.
    pub prune: bool,
    /// Keys merged into `/etc/docker/daemon.json`.
    pub daemon: Map<String, Value>,
    /// `DOCKER_REPO_URL` and its key, for distributions that ship no Docker.
    pub repo_url: Option<String>,
    /// `DOCKER_REPO_KEY`: URL of the key the repository is signed with, or `none`.
    pub repo_key: Option<String>,
    /// Registry login.
    pub registry: Option<RegistryAuth>,
    /// `registry.example:5000` and the certificate of its authority.
    pub registry_ca: Option<(String, Blob)>,
    /// Where its images come from.
    pub supply: Supply,
    /// The directory of its internal database stands on a GlusterFS volume of ours (`DB_STORAGE`).
    pub gluster: bool,
    /// The external database its services use.
    pub external: Option<super::external::External>,
    /// The portal answers `/api/healthcheck`.
    pub health: bool,
    /// `PORTAL_URL`, the name the health check asks for.
    pub portal_url: Option<String>,
}

/// Where the images of a cluster come from.
#[derive(Clone, Debug, Default)]
pub struct Supply {
    /// `IMAGE_MODE`.
    pub mode: Mode,
    /// With mode `proxy`: what its engines reach the registry through.
    pub proxy: Option<Proxy>,
    /// With mode `offline`: the bundle they are in.
    pub bundle: Option<Arc<Archive>>,
}

impl Settings {
    /// How packages of `DOCKER_REPO_URL` are known to be genuine; `none` must be asked for in so many words.
    pub fn signed(&self) -> Signed<'_> {
        match self.repo_key.as_deref() {
            None => Signed::AsHostDemands,
            Some("none") => Signed::NotAtAll,
            Some(url) => Signed::By(url),
        }
    }
}

impl Site {
    /// Names of the hosts of this run, in inventory order.
    pub fn run_hosts(&self) -> impl Iterator<Item = &String> + Clone {
        self.hosts.iter().filter(|(_, h)| h.in_run).map(|(n, _)| n)
    }

    /// Hosts of a cluster, in inventory order.
    pub fn hosts_of<'a>(&'a self, cluster: &'a str) -> impl Iterator<Item = (&'a String, &'a HostSite)> + Clone {
        self.hosts.iter().filter(move |(_, h)| h.cluster == cluster)
    }
}
