//! One service as it is wanted: a role, rendered for a cluster.

use crate::catalogue::{BindMount, Healthcheck, Job, Span, Stage, Tls, Update};
use crate::op::DumpWay;
use crate::secret::Blob;

/// One service, rendered.
#[derive(Clone, Debug)]
pub struct WantedService {
    /// Swarm name.
    pub name: String,
    /// Role file it comes from, without `.yml`.
    pub role: String,
    /// Stage.
    pub stage: Stage,
    /// Tags.
    pub tags: Vec<String>,
    /// Services of the same stage that come first.
    pub after: Vec<String>,
    /// `registry/prefix+suffix:tag`.
    pub image: String,
    /// The tag: what this service's release is called.
    pub version: String,
    /// Wanted copies.
    pub replicas: u64,
    /// Copies a node may have; 0 = no limit.
    pub max_per_node: u64,
    /// Placement constraints, in Docker's own words.
    pub constraints: Vec<String>,
    /// User in the container.
    pub user: Option<String>,
    /// Entrypoint.
    pub command: Vec<String>,
    /// Arguments.
    pub args: Vec<String>,
    /// Environment, sorted by name.
    pub env: Vec<(String, String)>,
    /// Certificate files.
    pub tls: Option<Tls>,
    /// Name in the certificate.
    pub tls_name: String,
    /// Folder in the container its certificate files are in; `None`: `/run/secrets`.
    pub tls_dir: Option<String>,
    /// Images every host of the cluster is given beside its own.
    pub warm_up: Vec<String>,
    /// Secrets.
    pub secrets: Vec<WantedMaterial>,
    /// Configs.
    pub configs: Vec<WantedMaterial>,
    /// Files on the hosts.
    pub files: Vec<WantedFile>,
    /// Certificates and keys that lie on the hosts already.
    pub pairs: Vec<WantedPair>,
    /// Those of its files that show users the maintenance page, whether it is asked for or not.
    pub page: Vec<WantedFile>,
    /// Directories on the hosts.
    pub dirs: Vec<WantedDir>,
    /// Bind mounts.
    pub mounts: Vec<BindMount>,
    /// tmpfs mounts.
    pub tmpfs: Vec<String>,
    /// Ports.
    pub ports: Vec<WantedPort>,
    /// Networks.
    pub networks: Vec<String>,
    /// `name:address` lines.
    pub hosts: Vec<String>,
    /// Pinned to the data node.
    pub data_node: bool,
    /// Health check.
    pub healthcheck: Option<Healthcheck>,
    /// Update policy.
    pub update: Update,
    /// SIGTERM to SIGKILL.
    pub stop_grace: Option<Span>,
    /// Syslog facility.
    pub facility: Option<String>,
    /// Memory limit in bytes.
    pub memory: Option<u64>,
    /// Processor limit in billionths.
    pub nano_cpus: Option<i64>,
    /// Memory set aside, in bytes.
    pub reserved_memory: Option<u64>,
    /// Processors set aside, in billionths.
    pub reserved_nano_cpus: Option<i64>,
    /// Job.
    pub job: Option<Job>,
    /// Query of the database.
    pub exec_query: Option<Vec<String>>,
    /// How the database is dumped before the job runs.
    pub dump: Option<WantedDump>,
}

impl WantedService {
    /// It logs in to the database.
    pub fn uses_database(&self) -> bool {
        self.env.iter().any(|(name, _)| name == "DB_HOST")
    }
}

impl WantedService {
    /// True when its containers are made anew for another certificate. A job that is done is nobody's peer, and is not
    /// begun again for one.
    pub fn has_certificates(&self) -> bool {
        self.job.is_none() && self.tls.is_some_and(|tls| tls != Tls::Hosts)
    }
}

/// How a database is dumped, rendered.
#[derive(Clone, Debug)]
pub struct WantedDump {
    /// Its name.
    pub database: String,
    /// Where its client programs are.
    pub way: DumpWay,
    /// So many dumps are kept.
    pub keep: u64,
}

/// A published port, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPort {
    /// In the container.
    pub target: u16,
    /// On the node.
    pub published: u16,
    /// `host` or `ingress`.
    pub mode: String,
    /// `tcp` or `udp`.
    pub protocol: String,
}

/// A secret or config, rendered.
#[derive(Clone, Debug)]
pub struct WantedMaterial {
    /// File name under `/run/secrets`, or absolute path.
    pub target: String,
    /// Content.
    pub data: Blob,
    /// Permission bits in the container.
    pub mode: u32,
}

/// A file on every host, rendered.
#[derive(Clone, Debug)]
pub struct WantedFile {
    /// Absolute path.
    pub path: String,
    /// Content; `None`: the file is absent.
    pub content: Option<Blob>,
    /// Permission bits.
    pub mode: u32,
    /// `user:group`.
    pub owner: String,
    /// Looked at only with one of these tags.
    pub only_tags: Vec<String>,
    /// Run in the service's container before it is written.
    pub says: Vec<String>,
}

/// A certificate and its key that lie on the hosts already, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedPair {
    /// Where the certificate lies.
    pub from_cert: String,
    /// Where the key lies.
    pub from_key: String,
    /// Where the certificate is copied to.
    pub cert: String,
    /// Where the key is copied to.
    pub key: String,
    /// Name that the certificate has to be for.
    pub host: Option<String>,
    /// Touched afterwards.
    pub touch: String,
}

/// A directory, rendered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedDir {
    /// Absolute path.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// `user:group`.
    pub owner: String,
    /// Only on the node with the data.
    pub data_node: bool,
}
