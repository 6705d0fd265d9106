//! One role file, key by key. The format is described in `docs/roles.md`.

use indexmap::IndexMap;
use serde::Deserialize;
use serde_yaml::Value;

use super::parts::{
    BindMount, Dump, ExecQuery, Flag, Healthcheck, HostDir, HostFile, HostPair, Job, Material, Port, Replicas,
    Resources, Single, Tls, Update,
};
use super::stage::Stage;
use super::units::Span;

/// One role file that describes a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Swarm service name (templated with `item`).
    pub service: String,
    /// One line for the docs.
    pub doc: String,
    /// Image suffix.
    pub image: String,
    /// Variable that holds the tag.
    pub version: String,
    /// Kinds of cluster it runs in.
    pub environments: Vec<String>,
    /// Stage it is rolled out in.
    pub stage: Stage,
    /// Tags that select it.
    pub tags: Vec<String>,
    /// Condition.
    #[serde(default)]
    pub when: Option<String>,
    /// One service per item.
    #[serde(default)]
    pub for_each: Option<String>,
    /// Services of the same stage that come first.
    #[serde(default)]
    pub after: Vec<String>,
    /// How many copies.
    #[serde(with = "serde_yaml::with::singleton_map")]
    pub replicas: Replicas,
    /// There may be only one of it, within what.
    #[serde(default)]
    pub single: Option<Single>,
    /// Placement constraints, as `docker service create --constraint` takes them.
    #[serde(default)]
    pub constraints: Vec<String>,
    /// User inside the container.
    #[serde(default)]
    pub user: Option<String>,
    /// Entrypoint.
    #[serde(default)]
    pub command: Vec<String>,
    /// Arguments.
    #[serde(default)]
    pub args: Vec<String>,
    /// Environment.
    #[serde(default)]
    pub env: IndexMap<String, String>,
    /// Prefix of variables passed through.
    #[serde(default)]
    pub extra_env: Option<String>,
    /// Certificate files it gets.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Name in its certificate; its own name if not given.
    #[serde(default)]
    pub tls_name: Option<String>,
    /// Folder in the container its certificate files are in; `/run/secrets` if not given.
    #[serde(default)]
    pub tls_dir: Option<String>,
    /// Images every host of the cluster is given beside its own: an expression, a list of references.
    #[serde(default)]
    pub warm_up: Option<String>,
    /// Swarm secrets.
    #[serde(default)]
    pub secrets: Vec<Material>,
    /// Swarm configs.
    #[serde(default)]
    pub configs: Vec<Material>,
    /// Files on every host of the cluster.
    #[serde(default)]
    pub files: Vec<HostFile>,
    /// Certificates and keys that lie on the hosts already.
    #[serde(default)]
    pub pairs: Vec<HostPair>,
    /// Directories on the hosts.
    #[serde(default)]
    pub dirs: Vec<HostDir>,
    /// Bind mounts.
    #[serde(default)]
    pub mounts: Vec<BindMount>,
    /// tmpfs mounts.
    #[serde(default)]
    pub tmpfs: Vec<String>,
    /// Published ports.
    #[serde(default)]
    pub ports: Vec<Port>,
    /// Networks it joins.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Extra `name:address` lines.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Pinned to the node that holds the data.
    #[serde(default)]
    pub data_node: Flag,
    /// Container health check.
    #[serde(default)]
    pub healthcheck: Option<Healthcheck>,
    /// Update policy.
    #[serde(default)]
    pub update: Update,
    /// Time between SIGTERM and SIGKILL.
    #[serde(default)]
    pub stop_grace_period: Option<Span>,
    /// Variable with the syslog facility.
    #[serde(default)]
    pub syslog: Option<String>,
    /// Limits.
    #[serde(default)]
    pub resources: Option<Resources>,
    /// For `replicas: {job: true}`.
    #[serde(default)]
    pub job: Option<Job>,
    /// How the database is asked whether it holds data.
    #[serde(default)]
    pub exec_query: Option<ExecQuery>,
    /// How the database is dumped before the job runs.
    #[serde(default)]
    pub dump: Option<Dump>,
    /// Variables declared here.
    #[serde(default)]
    pub variables: IndexMap<String, Value>,
}
