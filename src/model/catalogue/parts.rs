//! The parts of a role that have keys of their own.

use serde::Deserialize;

use super::units::Span;

/// How many copies of a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Replicas {
    /// So many on each node: wanted = n × nodes, at most n a node.
    PerNode(u64),
    /// So many in all, at most one a node.
    Total(u64),
    /// Runs to its end once and stays finished.
    Job(bool),
}

/// Within what there may be only one copy of a service, ever: no option of the inventory changes that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Single {
    /// Its cluster.
    Cluster,
    /// The database it works on: it is wanted on one of the clusters that share it.
    Database,
    /// The whole platform: two clusters that want it are refused.
    Platform,
}

/// Certificate files a service gets under `/run/secrets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// `tls.crt`, `tls.key`, `ca.crt`.
    Files,
    /// Also `tls.pem`: key and chain in one file.
    Bundle,
    /// None there: the role writes them to the hosts (`inside(service)`), where the service reads them anew by itself.
    Hosts,
}

/// Content delivered as a Swarm secret or config.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Material {
    /// File name under `/run/secrets`, or absolute path.
    pub target: String,
    /// Template text.
    #[serde(default)]
    pub content: Option<String>,
    /// Template file.
    #[serde(default)]
    pub template: Option<String>,
    /// Condition.
    #[serde(default)]
    pub when: Option<String>,
    /// Permission bits inside the container; default 0400 for secrets, 0444 for configs.
    #[serde(default)]
    pub mode: Option<String>,
}

/// A file on every host of the cluster.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFile {
    /// Absolute path.
    pub path: String,
    /// Template text.
    #[serde(default)]
    pub content: Option<String>,
    /// Template file.
    #[serde(default)]
    pub template: Option<String>,
    /// One file per item of this expression.
    #[serde(default)]
    pub for_each: Option<String>,
    /// Permission bits in octal.
    #[serde(default = "mode_0644")]
    pub mode: String,
    /// `user:group`.
    #[serde(default = "root")]
    pub owner: String,
    /// Content is never shown.
    #[serde(default)]
    pub secret: bool,
    /// False: the file is absent.
    #[serde(default)]
    pub when: Option<String>,
    /// Looked at only when one of these tags is asked for.
    #[serde(default)]
    pub only_tags: Vec<String>,
    /// Run in the service's container on that host, if it has one there, before the file is written: what the file says
    /// has been done.
    #[serde(default)]
    pub says: Vec<String>,
}

/// A certificate and its key that lie on every host of the cluster already, copied there to where the service reads them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostPair {
    /// One for each item of this expression.
    pub for_each: String,
    /// Where the certificate lies, as PEM, with its chain.
    pub from_cert: String,
    /// Where the key lies.
    pub from_key: String,
    /// Where the certificate is copied to.
    pub cert: String,
    /// Where the key is copied to.
    pub key: String,
    /// Name that the certificate has to be for; empty: any.
    #[serde(default)]
    pub host: String,
    /// A file that is touched afterwards: what makes the service read them again.
    pub touch: String,
}

/// A directory on the hosts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostDir {
    /// Absolute path.
    pub path: String,
    /// Permission bits in octal.
    #[serde(default = "mode_0755")]
    pub mode: String,
    /// `user:group`.
    #[serde(default = "root")]
    pub owner: String,
    /// On which hosts.
    #[serde(default)]
    pub on: On,
    /// Condition.
    #[serde(default)]
    pub when: Option<String>,
}

/// On which hosts of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum On {
    /// All of them.
    #[default]
    EveryNode,
    /// The one that holds the data.
    DataNode,
}

fn mode_0644() -> String {
    "0644".into()
}
fn mode_0755() -> String {
    "0755".into()
}
fn root() -> String {
    "root:root".into()
}

/// A bind mount.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindMount {
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Read-only.
    #[serde(default)]
    pub readonly: bool,
}

/// A published port.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// In the container.
    pub target: u16,
    /// On the node: a number, or an expression that comes to one.
    pub published: Published,
    /// `host` keeps the client's address; `ingress` is Swarm's mesh.
    #[serde(default = "host_mode")]
    pub mode: String,
    /// `tcp` or `udp`.
    #[serde(default = "tcp")]
    pub protocol: String,
}

/// Yes, no, or an expression over the variables.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Flag {
    /// As it stands.
    Plain(bool),
    /// Templated.
    Text(String),
}

impl Default for Flag {
    fn default() -> Self {
        Flag::Plain(false)
    }
}

/// A port of the nodes.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Published {
    /// As it stands.
    Number(u16),
    /// Templated.
    Text(String),
}

fn host_mode() -> String {
    "host".into()
}
fn tcp() -> String {
    "tcp".into()
}

/// A container health check.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Healthcheck {
    /// Docker's `Test`.
    pub test: Vec<String>,
    /// Between two checks.
    #[serde(default)]
    pub interval: Option<Span>,
    /// For one check.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// Failures before it is unhealthy.
    #[serde(default)]
    pub retries: Option<u64>,
    /// Failures in this time after the start do not count.
    #[serde(default)]
    pub start_period: Option<Span>,
}

/// Update policy.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Update {
    /// `start-first` or `stop-first`.
    #[serde(default = "stop_first")]
    pub order: String,
    /// Copies at a time.
    #[serde(default = "one")]
    pub parallelism: u64,
    /// How long a new copy is watched.
    #[serde(default = "five_seconds")]
    pub monitor: Span,
}

fn stop_first() -> String {
    "stop-first".into()
}
fn one() -> u64 {
    1
}
fn five_seconds() -> Span {
    Span(5_000)
}

impl Default for Update {
    fn default() -> Self {
        Update { order: stop_first(), parallelism: 1, monitor: five_seconds() }
    }
}

/// Limits of a container.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Upper bounds.
    #[serde(default)]
    pub limits: Limits,
    /// What is set aside for it.
    #[serde(default)]
    pub reservations: Limits,
}

/// Amounts of memory and processors.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// `512M`, `2G`, or bytes.
    #[serde(default)]
    pub memory: Option<String>,
    /// Processors, `0.5`.
    #[serde(default)]
    pub cpus: Option<f64>,
}

/// What a job must show.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Must appear in its output.
    #[serde(default)]
    pub success_log: Option<String>,
    /// Its limit.
    #[serde(default = "ten_minutes")]
    pub timeout: Span,
}

fn ten_minutes() -> Span {
    Span(600_000)
}

/// How the database of a schema job is dumped before the job runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dump {
    /// Its name, templated.
    pub database: String,
    /// True: it runs in a container of this cluster. Templated.
    pub inside: String,
    /// Service that it runs in.
    pub service: String,
    /// Options of its client programs, in that container.
    pub options: String,
    /// Image suffix of the client programs for one that runs elsewhere.
    pub image: String,
    /// Variable that holds the tag.
    pub version: String,
    /// Template file of their options.
    pub template: String,
    /// Variable: how many dumps are kept.
    pub keep: String,
}

/// A program run inside the database's container that prints how many tables there are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecQuery {
    /// Program and arguments, templated.
    pub argv: Vec<String>,
}
