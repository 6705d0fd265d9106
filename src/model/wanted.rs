//! What one cluster is to run: the roles, rendered with that cluster's variables. Still pure, still
//! without certificates (they come from the PKI) and digests (they come from the nodes).

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::catalogue::{
    BindMount, Catalogue, Healthcheck, HostFile, Job, Material, NetworkRole, On, Port, Replicas, Role, Span, Stage,
    Tls, Update, parse_size,
};
use crate::secret::{Blob, Secret};

/// Extra names a template sees, over the cluster's variables.
pub type Context = BTreeMap<String, Value>;

/// Renders templates with a cluster's variables. Implemented over [`crate::template`]; tests bring
/// their own.
pub trait Render {
    /// Renders text; undefined names are errors.
    fn text(&self, template: &str, extra: &Context) -> Result<String, String>;
    /// Renders a template file; undefined names are errors.
    fn file(&self, name: &str, source: &str, extra: &Context) -> Result<String, String>;
    /// Evaluates `{{ expression }}` to its native value.
    fn value(&self, expression: &str, extra: &Context) -> Result<Value, String>;
    /// The variable's value, if it has one.
    fn variable(&self, name: &str) -> Result<Option<Value>, String>;
    /// Names and values of all variables that start with `prefix`, sorted.
    fn with_prefix(&self, prefix: &str) -> Result<Vec<(String, Value)>, String>;
}

/// A cluster: the hosts of one leaf manager group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterShape {
    /// The group's name.
    pub name: String,
    /// `infra`, `portal`, `api`, …
    pub environment: String,
    /// `(inventory name, address)` in inventory order.
    pub nodes: Vec<(String, String)>,
}

/// Everything one cluster is to run.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which cluster.
    pub cluster: ClusterShape,
    /// Services, in rollout order.
    pub services: Vec<WantedService>,
    /// Overlay networks by name.
    pub networks: Vec<(String, NetworkRole)>,
}

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
    /// Secrets.
    pub secrets: Vec<WantedMaterial>,
    /// Configs.
    pub configs: Vec<WantedMaterial>,
    /// Files on the hosts.
    pub files: Vec<WantedFile>,
    /// Directories on the hosts.
    pub dirs: Vec<WantedDir>,
    /// Bind mounts.
    pub mounts: Vec<BindMount>,
    /// tmpfs mounts.
    pub tmpfs: Vec<String>,
    /// Ports.
    pub ports: Vec<Port>,
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
    /// Job.
    pub job: Option<Job>,
    /// Query of the database.
    pub exec_query: Option<Vec<String>>,
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

/// Renders all roles for one cluster. Errors name the role file and the key; all are reported.
pub fn render(catalogue: &Catalogue, cluster: &ClusterShape, with: &dyn Render) -> Result<Wanted, Vec<String>> {
    let mut base = base_context(cluster);
    let mut errors = Vec::new();
    match names(catalogue, cluster, with, &base) {
        Ok((services, signals)) => {
            base.insert("services".into(), json!(services));
            base.insert("signals".into(), json!(signals));
        }
        Err(e) => return Err(e),
    }
    let mut services = Vec::new();
    for (role_name, role) in catalogue.roles.iter().filter(|(_, r)| r.environments.contains(&cluster.environment)) {
        let renderer = RoleRenderer { catalogue, cluster, with, role_name, role };
        match renderer.services(&base) {
            Ok(more) => services.extend(more),
            Err(e) => errors.push(e),
        }
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    services.sort_by(|a, b| a.stage.cmp(&b.stage).then_with(|| a.name.cmp(&b.name)));
    let used = |name: &String| services.iter().any(|s: &WantedService| s.networks.contains(name));
    let networks =
        catalogue.networks.iter().filter(|(n, _)| used(n)).map(|(n, role)| (n.clone(), role.clone())).collect();
    Ok(Wanted { cluster: cluster.clone(), services, networks })
}

fn base_context(cluster: &ClusterShape) -> Context {
    let nodes: Vec<Value> =
        cluster.nodes.iter().map(|(name, address)| json!({"name": name, "address": address})).collect();
    Context::from([
        ("environment".into(), json!(cluster.environment)),
        ("cluster".into(), json!(cluster.name)),
        ("nodes".into(), Value::Array(nodes)),
    ])
}

/// Names of all services of the cluster, and of the signal services among them.
fn names(
    catalogue: &Catalogue,
    cluster: &ClusterShape,
    with: &dyn Render,
    base: &Context,
) -> Result<(Vec<String>, Vec<String>), Vec<String>> {
    let (mut services, mut signals, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for (role_name, role) in catalogue.roles.iter().filter(|(_, r)| r.environments.contains(&cluster.environment)) {
        let renderer = RoleRenderer { catalogue, cluster, with, role_name, role };
        match renderer.instances(base) {
            Ok(found) => {
                for (name, _) in found {
                    if role_name == "signal" {
                        signals.push(name.clone());
                    }
                    services.push(name);
                }
            }
            Err(e) => errors.push(e),
        }
    }
    if errors.is_empty() { Ok((services, signals)) } else { Err(errors) }
}

struct RoleRenderer<'a> {
    catalogue: &'a Catalogue,
    cluster: &'a ClusterShape,
    with: &'a dyn Render,
    role_name: &'a str,
    role: &'a Role,
}

impl RoleRenderer<'_> {
    fn fail(&self, key: &str, why: impl std::fmt::Display) -> String {
        format!("roles/{}.yml: `{key}`: {why}", self.role_name)
    }

    fn text(&self, key: &str, template: &str, ctx: &Context) -> Result<String, String> {
        self.with.text(template, ctx).map_err(|e| self.fail(key, e))
    }

    fn holds(&self, key: &str, condition: Option<&str>, ctx: &Context) -> Result<bool, String> {
        match condition {
            None => Ok(true),
            Some(condition) => Ok(truthy(&self.with.value(condition, ctx).map_err(|e| self.fail(key, e))?)),
        }
    }

    fn items(&self, expression: &str, ctx: &Context) -> Result<Vec<Value>, String> {
        match self.with.value(expression, ctx).map_err(|e| self.fail("for_each", e))? {
            Value::Array(items) => Ok(items),
            other => Err(self.fail("for_each", format!("a list is needed, not `{other}`"))),
        }
    }

    /// Name and context of each service this role makes here.
    fn instances(&self, base: &Context) -> Result<Vec<(String, Context)>, String> {
        if !self.holds("when", self.role.when.as_deref(), base)? {
            return Ok(Vec::new());
        }
        let items = match &self.role.for_each {
            Some(expression) => self.items(expression, base)?.into_iter().map(Some).collect(),
            None => vec![None],
        };
        let mut found = Vec::new();
        for item in items {
            let mut ctx = base.clone();
            if let Some(item) = item {
                ctx.insert("item".into(), item);
            }
            let name = self.text("service", &self.role.service, &ctx)?;
            ctx.insert("service".into(), json!(name));
            found.push((name, ctx));
        }
        Ok(found)
    }

    fn services(&self, base: &Context) -> Result<Vec<WantedService>, String> {
        self.instances(base)?.into_iter().map(|(name, ctx)| self.service(name, ctx)).collect()
    }

    fn service(&self, name: String, mut ctx: Context) -> Result<WantedService, String> {
        let role = self.role;
        let version = self.variable_text(&role.version)?.unwrap_or_default();
        let image = format!(
            "{}/{}{}:{version}",
            self.variable_text("REGISTRY_URL")?.unwrap_or_default(),
            self.variable_text("REGISTRY_ENV")?.unwrap_or_default(),
            role.image
        );
        ctx.insert("image".into(), json!(image));
        let nodes = self.cluster.nodes.len() as u64;
        let (replicas, max_per_node) = match role.replicas {
            Replicas::PerNode(n) => (n * nodes, n),
            Replicas::Total(n) => (n, n.div_ceil(nodes.max(1)).max(1)),
            Replicas::Job(_) => (1, 1),
        };
        let list = |key: &str, from: &[String]| -> Result<Vec<String>, String> {
            from.iter().map(|t| self.text(key, t, &ctx)).collect()
        };
        let limits = role.resources.clone().unwrap_or_default().limits;
        let memory = match &limits.memory {
            None => None,
            Some(text) => {
                let text = self.text("resources", text, &ctx)?;
                Some(parse_size(&text).ok_or_else(|| self.fail("resources", format!("`{text}` is not a size")))?)
            }
        };
        Ok(WantedService {
            role: self.role_name.to_owned(),
            stage: role.stage,
            tags: role.tags.clone(),
            after: list("after", &role.after)?.into_iter().filter(|a| !a.is_empty()).collect(),
            replicas,
            max_per_node,
            user: role.user.clone(),
            command: list("command", &role.command)?,
            args: list("args", &role.args)?,
            env: self.env(&ctx)?,
            tls: role.tls,
            secrets: self.materials("secrets", &role.secrets, 0o400, &ctx)?,
            configs: self.materials("configs", &role.configs, 0o444, &ctx)?,
            files: self.files(&ctx)?,
            dirs: self.dirs(&ctx)?,
            mounts: role.mounts.clone(),
            tmpfs: role.tmpfs.clone(),
            ports: role.ports.clone(),
            networks: role.networks.clone(),
            hosts: list("hosts", &role.hosts)?,
            data_node: role.data_node,
            healthcheck: role.healthcheck.clone(),
            update: role.update.clone(),
            stop_grace: role.stop_grace_period,
            facility: match &role.syslog {
                Some(variable) => self.variable_text(variable)?,
                None => None,
            },
            memory,
            nano_cpus: limits.cpus.map(|c| (c * 1e9) as i64),
            job: role.job.clone(),
            exec_query: match &role.exec_query {
                Some(query) => Some(list("exec_query", &query.argv)?),
                None => None,
            },
            name,
            image,
            version,
        })
    }

    fn variable_text(&self, name: &str) -> Result<Option<String>, String> {
        let value = self.with.variable(name).map_err(|e| self.fail(name, e))?;
        Ok(value.filter(|v| !v.is_null()).map(|v| plain(&v)))
    }

    fn env(&self, ctx: &Context) -> Result<Vec<(String, String)>, String> {
        let mut env = BTreeMap::new();
        if let Some(prefix) = &self.role.extra_env {
            for (name, value) in self.with.with_prefix(prefix).map_err(|e| self.fail("extra_env", e))? {
                env.insert(name, plain(&value));
            }
        }
        for (name, template) in &self.role.env {
            let value = self.text(&format!("env.{name}"), template, ctx)?;
            if value.is_empty() {
                env.remove(name);
            } else {
                env.insert(name.clone(), value);
            }
        }
        // A secret in the environment would be readable by anyone who may inspect the service.
        if let Some(name) = env.iter().find(|(_, v)| crate::secret::scrub(v) != v.as_str()).map(|(n, _)| n) {
            return Err(self.fail(&format!("env.{name}"), "holds a secret; deliver it under `secrets:` instead"));
        }
        Ok(env.into_iter().collect())
    }

    fn content(
        &self,
        key: &str,
        content: &Option<String>,
        template: &Option<String>,
        ctx: &Context,
    ) -> Result<String, String> {
        match (content, template) {
            (Some(text), _) => self.text(key, text, ctx),
            (None, Some(path)) => {
                let source = self.catalogue.templates.get(path).map_or("", String::as_str);
                self.with.file(path, source, ctx).map_err(|e| self.fail(key, e))
            }
            (None, None) => Ok(String::new()),
        }
    }

    fn materials(&self, key: &str, from: &[Material], mode: u32, ctx: &Context) -> Result<Vec<WantedMaterial>, String> {
        let mut made = Vec::new();
        for material in from {
            let key = format!("{key}.{}", material.target);
            if !self.holds(&key, material.when.as_deref(), ctx)? {
                continue;
            }
            let text = self.content(&key, &material.content, &material.template, ctx)?;
            let secret = key.starts_with("secrets.");
            if !secret && crate::secret::scrub(&text) != text.as_str() {
                return Err(self.fail(&key, "holds a secret; deliver it under `secrets:` instead"));
            }
            made.push(WantedMaterial {
                target: material.target.clone(),
                data: if secret { Blob::Secret(Secret::new(text)) } else { Blob::Plain(text.into_bytes()) },
                mode: match &material.mode {
                    Some(text) => self.mode(&key, text)?,
                    None => mode,
                },
            });
        }
        Ok(made)
    }

    fn mode(&self, key: &str, text: &str) -> Result<u32, String> {
        u32::from_str_radix(text, 8).map_err(|_| self.fail(key, format!("mode `{text}` is not octal")))
    }

    fn files(&self, ctx: &Context) -> Result<Vec<WantedFile>, String> {
        let mut made = Vec::new();
        for file in &self.role.files {
            let items = match &file.for_each {
                Some(expression) => self.items(expression, ctx)?.into_iter().map(Some).collect(),
                None => vec![None],
            };
            for item in items {
                let mut ctx = ctx.clone();
                if let Some(item) = item {
                    ctx.insert("item".into(), item);
                }
                made.push(self.file(file, &ctx)?);
            }
        }
        Ok(made)
    }

    fn file(&self, file: &HostFile, ctx: &Context) -> Result<WantedFile, String> {
        let path = self.text("files.path", &file.path, ctx)?;
        let key = format!("files.{path}");
        let content = if self.holds(&key, file.when.as_deref(), ctx)? {
            let text = self.content(&key, &file.content, &file.template, ctx)?;
            let hidden = file.secret || crate::secret::scrub(&text) != text.as_str();
            Some(if hidden { Blob::Secret(Secret::new(text)) } else { Blob::Plain(text.into_bytes()) })
        } else {
            None
        };
        let mode = self.mode(&key, &file.mode)?;
        Ok(WantedFile { path, content, mode, owner: file.owner.clone(), only_tags: file.only_tags.clone() })
    }

    fn dirs(&self, ctx: &Context) -> Result<Vec<WantedDir>, String> {
        let mut made = Vec::new();
        for dir in &self.role.dirs {
            if self.holds("dirs", dir.when.as_deref(), ctx)? {
                made.push(WantedDir {
                    path: dir.path.clone(),
                    mode: self.mode("dirs.mode", &dir.mode)?,
                    owner: dir.owner.clone(),
                    data_node: dir.on == On::DataNode,
                });
            }
        }
        Ok(made)
    }
}

/// Reads a value as Ansible's `bool` filter does.
pub fn truthy(value: &Value) -> bool {
    match value {
        Value::Bool(b) => *b,
        Value::Number(n) => n.as_f64() == Some(1.0),
        Value::String(s) => matches!(s.trim().to_ascii_lowercase().as_str(), "yes" | "on" | "1" | "true" | "y" | "t"),
        _ => false,
    }
}

/// A value as the text an environment variable gets: strings bare, the rest as JSON.
pub fn plain(value: &Value) -> String {
    match value {
        Value::String(s) => s.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
