//! The roles: what the platform is made of, as data. Read from `roles/*.yml`; the format is described in
//! `docs/roles.md`. Nothing here knows any service by name.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_yaml::Value;
use thiserror::Error;

/// The stages of a rollout, in the order that binds every run, tagged ones too (seed 001:
/// "commencer par DB, puis API, tous les autres services et terminé par PORTAL").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Before anything is changed.
    Preflight,
    /// Packages, daemon.json, the unit.
    Engine,
    /// Swarm init and join.
    Swarm,
    /// Pulls on every node.
    Images,
    /// Files, directories, networks, secrets and configs.
    Objects,
    /// The internal database.
    Mysql,
    /// The schema job.
    Db,
    /// The core API.
    Api,
    /// Everything else.
    Services,
    /// The portals.
    Portal,
    /// The platform's own health tree.
    Health,
}

impl Stage {
    /// All stages, in order.
    pub const ALL: [Stage; 11] = [
        Stage::Preflight,
        Stage::Engine,
        Stage::Swarm,
        Stage::Images,
        Stage::Objects,
        Stage::Mysql,
        Stage::Db,
        Stage::Api,
        Stage::Services,
        Stage::Portal,
        Stage::Health,
    ];

    /// The word shown to people.
    pub fn word(self) -> &'static str {
        match self {
            Stage::Preflight => "preflight",
            Stage::Engine => "engine",
            Stage::Swarm => "swarm",
            Stage::Images => "images",
            Stage::Objects => "objects",
            Stage::Mysql => "mysql",
            Stage::Db => "db",
            Stage::Api => "api",
            Stage::Services => "services",
            Stage::Portal => "portal",
            Stage::Health => "health",
        }
    }
}

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
    /// Swarm secrets.
    #[serde(default)]
    pub secrets: Vec<Material>,
    /// Swarm configs.
    #[serde(default)]
    pub configs: Vec<Material>,
    /// Files on every host of the cluster.
    #[serde(default)]
    pub files: Vec<HostFile>,
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
    pub data_node: bool,
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
    /// Variables declared here.
    #[serde(default)]
    pub variables: IndexMap<String, Value>,
}

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

/// Certificate files a service gets under `/run/secrets`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tls {
    /// `tls.crt`, `tls.key`, `ca.crt`.
    Files,
    /// Also `tls.pem`: key and chain in one file.
    Bundle,
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
    /// On the node.
    pub published: u16,
    /// `host` keeps the client's address; `ingress` is Swarm's mesh.
    #[serde(default = "host_mode")]
    pub mode: String,
    /// `tcp` or `udp`.
    #[serde(default = "tcp")]
    pub protocol: String,
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
}

/// Upper bounds.
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

/// A program run inside the database's container that prints how many tables there are.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecQuery {
    /// Program and arguments, templated.
    pub argv: Vec<String>,
}

/// A length of time, in milliseconds; written `500ms`, `30s`, `10m`, `1h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub u64);

impl Span {
    /// Nanoseconds, as Docker's API wants them.
    pub fn nanos(self) -> i64 {
        i64::try_from(self.0.saturating_mul(1_000_000)).unwrap_or(i64::MAX)
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => {
                return Err(format!("`{text}` is not a length of time: write 500ms, 30s, 10m or 1h"));
            }
        };
        let number: u64 = number.parse().map_err(|_| format!("`{text}` has no number"))?;
        Ok(Span(number.saturating_mul(factor)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// `512M`, `2G`, `64K` or a plain number, in bytes (binary units, as Docker reads them).
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.trim_end_matches(['b', 'B', 'i']).to_ascii_lowercase().as_str() {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// `roles/platform.yml`: what belongs to no single service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platform {
    /// Overlay networks.
    #[serde(default)]
    pub networks: IndexMap<String, NetworkRole>,
    /// Variables.
    #[serde(default)]
    pub variables: IndexMap<String, Value>,
}

/// An overlay network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkRole {
    /// For the docs.
    #[serde(default)]
    pub doc: String,
    /// Driver; `overlay` if not given.
    #[serde(default)]
    pub driver: Option<String>,
    /// Containers outside Swarm may join.
    #[serde(default)]
    pub attachable: bool,
    /// Driver options.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

/// All roles, networks, variable declarations and templates.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Services, by file name without `.yml`.
    pub roles: IndexMap<String, Role>,
    /// Networks.
    pub networks: IndexMap<String, NetworkRole>,
    /// Declarations, still as YAML; [`crate::declare`] reads them.
    pub variables: IndexMap<String, Value>,
    /// Template text by path (`traefik/static.yml`).
    pub templates: BTreeMap<String, String>,
}

/// A role file that cannot be used.
#[derive(Debug, Error)]
#[error("roles/{file}: {why}")]
pub struct RoleError {
    /// File name.
    pub file: String,
    /// What is wrong, with line and column where the parser knows them.
    pub why: String,
}

impl Catalogue {
    /// Reads role files. `files` maps `api.yml` to its text (later layers override earlier ones key by
    /// key), `templates` maps `api/x.cfg` to its text.
    pub fn load(
        layers: &[BTreeMap<String, String>],
        templates: BTreeMap<String, String>,
    ) -> Result<Catalogue, RoleError> {
        let mut merged: BTreeMap<String, Value> = BTreeMap::new();
        for layer in layers {
            for (file, text) in layer {
                let value: Value = serde_yaml::from_str(text).map_err(|e| wrong(file, e))?;
                match merged.get_mut(file) {
                    Some(base) => overlay(base, value),
                    None => {
                        merged.insert(file.clone(), value);
                    }
                }
            }
        }
        let mut catalogue = Catalogue { templates, ..Catalogue::default() };
        for (file, mut value) in merged {
            drop_free_keys(&mut value);
            let name = file.trim_end_matches(".yml").to_owned();
            if name == "platform" {
                let platform: Platform = serde_yaml::from_value(value).map_err(|e| wrong(&file, e))?;
                catalogue.networks.extend(platform.networks);
                declare(&mut catalogue.variables, &file, platform.variables)?;
            } else {
                let role: Role = serde_yaml::from_value(value).map_err(|e| wrong(&file, e))?;
                declare(&mut catalogue.variables, &file, role.variables.clone())?;
                catalogue.roles.insert(name, role);
            }
        }
        catalogue.check()?;
        Ok(catalogue)
    }

    /// Every tag of every role, sorted.
    pub fn tags(&self) -> Vec<String> {
        let mut tags: Vec<String> = self
            .roles
            .values()
            .flat_map(|r| r.tags.iter().chain(r.files.iter().flat_map(|f| &f.only_tags)))
            .cloned()
            .collect();
        tags.sort();
        tags.dedup();
        tags
    }

    /// What the format alone cannot say: names that must exist somewhere.
    fn check(&self) -> Result<(), RoleError> {
        for (name, role) in &self.roles {
            let file = format!("{name}.yml");
            if !self.variables.contains_key(&role.version) {
                return Err(wrong(&file, format!("version variable `{}` is declared nowhere", role.version)));
            }
            for network in &role.networks {
                if !self.networks.contains_key(network) {
                    return Err(wrong(&file, format!("network `{network}` is not in platform.yml")));
                }
            }
            let named = role.secrets.iter().chain(&role.configs).map(|m| (&m.content, &m.template));
            let named = named.chain(role.files.iter().map(|f| (&f.content, &f.template)));
            for (content, template) in named {
                match (content, template) {
                    (Some(_), None) => {}
                    (None, Some(t)) if self.templates.contains_key(t) => {}
                    (None, Some(t)) => {
                        return Err(wrong(&file, format!("there is no templates/{t}")));
                    }
                    _ => return Err(wrong(&file, "a file needs either `content` or `template`")),
                }
            }
            if matches!(role.replicas, Replicas::Job(_)) != role.job.is_some() {
                return Err(wrong(&file, "`replicas: {job: true}` and `job:` belong together"));
            }
        }
        Ok(())
    }
}

fn wrong(file: &str, why: impl ToString) -> RoleError {
    RoleError { file: file.to_owned(), why: why.to_string() }
}

fn declare(
    into: &mut IndexMap<String, Value>,
    file: &str,
    variables: IndexMap<String, Value>,
) -> Result<(), RoleError> {
    for (name, declaration) in variables {
        if into.insert(name.clone(), declaration).is_some() {
            return Err(wrong(file, format!("variable `{name}` is declared in another role file too")));
        }
    }
    Ok(())
}

/// Keys that start with `x-` are the author's own.
fn drop_free_keys(value: &mut Value) {
    if let Value::Mapping(map) = value {
        map.retain(|k, _| !k.as_str().is_some_and(|k| k.starts_with("x-")));
        for (_, inner) in map.iter_mut() {
            drop_free_keys(inner);
        }
    }
}

/// Lays one document over another: maps merge, everything else is replaced.
fn overlay(base: &mut Value, over: Value) {
    match (base, over) {
        (Value::Mapping(base), Value::Mapping(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(inner) => overlay(inner, value),
                    None => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (base, over) => *base = over,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "
service: reemo_x
doc: X
image: x
version: V
environments: [infra]
stage: services
tags: [x]
replicas: {per_node: 2}
variables: {V: {type: string, default: '1'}}
";

    fn one(text: &str) -> Result<Catalogue, RoleError> {
        Catalogue::load(&[BTreeMap::from([("x.yml".into(), text.into())])], BTreeMap::new())
    }

    #[test]
    fn reads_a_role_and_refuses_an_unknown_key() {
        assert_eq!(one(ROLE).unwrap().roles["x"].service, "reemo_x");
        let e = one(&format!("{ROLE}\nreplica: 3\n")).unwrap_err().to_string();
        assert!(e.contains("roles/x.yml") && e.contains("replica"), "{e}");
    }

    #[test]
    fn free_keys_are_free_and_layers_merge() {
        let base = BTreeMap::from([("x.yml".into(), format!("{ROLE}\nx-note: mine\n"))]);
        let over = BTreeMap::from([("x.yml".into(), "doc: Y\nenv: {A: b}\n".into())]);
        let both = Catalogue::load(&[base, over], BTreeMap::new()).unwrap();
        assert_eq!((both.roles["x"].doc.as_str(), both.roles["x"].env.len()), ("Y", 1));
    }

    #[test]
    fn spans_and_sizes() {
        assert_eq!("30s".parse::<Span>().unwrap().nanos(), 30_000_000_000);
        assert!("30".parse::<Span>().is_err());
        assert_eq!(parse_size("512M"), Some(512 << 20));
        assert_eq!(parse_size("2GiB"), Some(2 << 30));
        assert_eq!(parse_size("much"), None);
    }
}
