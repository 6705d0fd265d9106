//! What one cluster is to run: the roles, rendered with that cluster's variables. Still pure, still
//! without certificates (they come from the PKI) and digests (they come from the nodes).

mod role;
mod service;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::catalogue::{Catalogue, NetworkRole, Role};
use crate::diag::Span;
use crate::options::{self, Options};
use crate::yaml;
use role::RoleRenderer;
pub use service::{WantedDir, WantedDump, WantedFile, WantedMaterial, WantedPair, WantedPort, WantedService};

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
    /// In inventory order; managers before workers.
    pub nodes: Vec<Node>,
    /// Another cluster works on the same database, and runs what there may be one of for each.
    pub database_of: Option<String>,
}

/// A host of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Inventory name.
    pub name: String,
    /// Address.
    pub address: String,
    /// It does not take part in the Swarm's decisions.
    pub worker: bool,
}

impl ClusterShape {
    /// How many nodes these constraints leave.
    pub fn nodes_for(&self, constraints: &[String]) -> u64 {
        self.nodes.iter().filter(|n| n.fits(constraints)).count() as u64
    }
}

impl Node {
    /// May a service with these constraints run here? As far as they speak of managers and workers: labels and the like
    /// are known only when the Swarm is looked at.
    pub fn fits(&self, constraints: &[String]) -> bool {
        let role = if self.worker { "worker" } else { "manager" };
        constraints.iter().all(|c| match (c.strip_prefix("node.role=="), c.strip_prefix("node.role!=")) {
            (Some(wanted), _) => wanted == role,
            (_, Some(other)) => other != role,
            _ => true,
        })
    }
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

/// Renders all roles for one cluster. Errors name the role file and the key; all are reported.
pub fn render(catalogue: &Catalogue, cluster: &ClusterShape, with: &dyn Render) -> Result<Wanted, Vec<String>> {
    let mut base = base_context(cluster);
    let mut errors = Vec::new();
    let options = options(catalogue, with)?;
    match names(catalogue, cluster, with, &base) {
        Ok((services, signals)) => {
            base.insert("services".into(), json!(services));
            base.insert("signals".into(), json!(signals));
        }
        Err(e) => return Err(e),
    }
    let mut services = Vec::new();
    for (role_name, role) in catalogue.roles.iter().filter(|(_, r)| r.environments.contains(&cluster.environment)) {
        let renderer = RoleRenderer { catalogue, cluster, with, role_name, role, options: &options };
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

/// `SERVICE_OPTIONS`, with the values this cluster's variables give it.
fn options(catalogue: &Catalogue, with: &dyn Render) -> Result<BTreeMap<String, Options>, Vec<String>> {
    let Some(value) = with.variable(options::NAME).map_err(|e| vec![format!("`{}`: {e}", options::NAME)])? else {
        return Ok(BTreeMap::new());
    };
    let node = yaml::Node::from_json(&value, Span::default());
    let (options, problems) = options::read(&node, &options::Names::of(catalogue));
    match problems.is_empty() {
        true => Ok(options),
        false => Err(problems.into_iter().map(|p| format!("`{}`: {}", options::NAME, p.message)).collect()),
    }
}

/// Names of the services that these roles would make on a cluster, and the role of each.
pub fn names_of<'a>(
    catalogue: &'a Catalogue,
    cluster: &ClusterShape,
    with: &dyn Render,
    roles: &dyn Fn(&Role) -> bool,
) -> Result<Vec<(&'a str, String)>, String> {
    let base = base_context(cluster);
    let none = BTreeMap::new();
    let mut found = Vec::new();
    let here = |role: &Role| role.environments.contains(&cluster.environment) && roles(role);
    for (role_name, role) in catalogue.roles.iter().filter(|(_, r)| here(r)) {
        let renderer = RoleRenderer { catalogue, cluster, with, role_name, role, options: &none };
        found.extend(renderer.instances(&base)?.into_iter().map(|(name, _)| (role_name.as_str(), name)));
    }
    Ok(found)
}

fn base_context(cluster: &ClusterShape) -> Context {
    let nodes: Vec<Value> =
        cluster.nodes.iter().map(|n| json!({"name": n.name, "address": n.address, "manager": !n.worker})).collect();
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
        let none = BTreeMap::new();
        let renderer = RoleRenderer { catalogue, cluster, with, role_name, role, options: &none };
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
