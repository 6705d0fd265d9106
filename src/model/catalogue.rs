//! The roles: what the platform is made of, as data. Read from `roles/*.yml`; the format is described in
//! `docs/roles.md`. Nothing here knows any service by name.

mod parts;
mod places;
mod role;
mod stage;
mod units;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_yaml::Value;
use thiserror::Error;

pub use parts::{
    BindMount, Dump, ExecQuery, Flag, Healthcheck, HostDir, HostFile, Job, Limits, Material, On, Port, Published,
    Replicas, Resources, Single, Tls, Update,
};
pub(crate) use places::in_words;
pub use places::{Places, RoleLayer};
pub use role::Role;
pub use stage::Stage;
pub use units::{Span, parse_size};

use crate::diag::{Diagnostic, Diagnostics, Place};

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
    /// The file each of them stands in.
    pub declared_in: IndexMap<String, String>,
    /// Template text by path (`traefik/static.yml`).
    pub templates: BTreeMap<String, String>,
    /// Where everything stands in the files.
    pub places: Places,
}

/// Role files that cannot be used: everything that is wrong with them, with file, line and column.
#[derive(Debug, Error)]
#[error("{}", .0.render())]
pub struct RoleError(pub Diagnostics);

impl Catalogue {
    /// Reads role files (later layers override earlier ones key by key); `templates` maps `api/x.cfg` to its text.
    pub fn load(layers: &[RoleLayer], templates: BTreeMap<String, String>) -> Result<Catalogue, RoleError> {
        let mut out = Diagnostics::new();
        let mut catalogue = Catalogue { templates, ..Catalogue::default() };
        let mut merged: BTreeMap<String, Value> = BTreeMap::new();
        for layer in layers {
            for (file, text) in &layer.files {
                let Some(value) = catalogue.places.add(&layer.root, file, text, &mut out) else { continue };
                match merged.get_mut(file) {
                    Some(base) => overlay(base, value),
                    None => {
                        merged.insert(file.clone(), value);
                    }
                }
            }
        }
        for (file, mut value) in merged {
            drop_free_keys(&mut value);
            let name = file.trim_end_matches(".yml").to_owned();
            if name == "platform" {
                let Some(platform) = catalogue.places.shape::<Platform>(&file, value, &mut out) else { continue };
                catalogue.networks.extend(platform.networks);
                catalogue.declare(&file, platform.variables, &mut out);
            } else {
                let Some(role) = catalogue.places.shape::<Role>(&file, value, &mut out) else { continue };
                catalogue.declare(&file, role.variables.clone(), &mut out);
                catalogue.roles.insert(name, role);
            }
        }
        // What is not there because its file could not be read is no second error.
        if !out.has_errors() {
            catalogue.check(&mut out);
        }
        if !out.has_errors() {
            return Ok(catalogue);
        }
        out.attach(&catalogue.places.texts);
        Err(RoleError(out))
    }

    fn declare(&mut self, file: &str, variables: IndexMap<String, Value>, out: &mut Diagnostics) {
        for (name, declaration) in variables {
            let path = ["variables".to_owned(), name.clone()];
            if let Some(first) = self.declared_in.get(&name) {
                let message = format!("variable `{name}` is declared in another role file too");
                out.push(
                    Diagnostic::error("role", message)
                        .at(self.places.of(file, &path))
                        .related(self.places.of(first, &path), "the other one")
                        .help("keep one of them"),
                );
                continue;
            }
            self.declared_in.insert(name.clone(), file.to_owned());
            self.variables.insert(name, declaration);
        }
    }

    /// Where a variable is declared, or a key of its declaration.
    pub fn place_of(&self, variable: &str, key: &[String]) -> Option<Place> {
        let file = self.declared_in.get(variable)?;
        let mut path = vec!["variables".to_owned(), variable.to_owned()];
        path.extend(key.iter().cloned());
        self.places.of(file, &path)
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
    fn check(&self, out: &mut Diagnostics) {
        for (name, role) in &self.roles {
            let file = format!("{name}.yml");
            let mut wrong = |path: &[&str], why: String, help: String| {
                let path: Vec<String> = path.iter().map(|p| (*p).to_owned()).collect();
                out.push(Diagnostic::error("role", why).at(self.places.of(&file, &path)).help(help));
            };
            if !self.variables.contains_key(&role.version) {
                let why = format!("version variable `{}` is declared nowhere", role.version);
                wrong(&["version"], why, "declare it under `variables:`".into());
            }
            for (n, network) in role.networks.iter().enumerate() {
                if !self.networks.contains_key(network) {
                    let why = format!("network `{network}` is not in platform.yml");
                    let known: Vec<&str> = self.networks.keys().map(String::as_str).collect();
                    wrong(&["networks", &n.to_string()], why, format!("there are: {}", known.join(", ")));
                }
            }
            let named = |key: &'static str, list: &[Material]| -> Vec<_> {
                let items = list.iter().enumerate();
                items.map(|(n, m)| (key, n, m.content.clone(), m.template.clone())).collect()
            };
            let mut all = named("secrets", &role.secrets);
            all.extend(named("configs", &role.configs));
            let files = role.files.iter().enumerate();
            all.extend(files.map(|(n, f)| ("files", n, f.content.clone(), f.template.clone())));
            for (key, n, content, template) in all {
                let n = n.to_string();
                match (content, template) {
                    (Some(_), None) => {}
                    (None, Some(t)) if self.templates.contains_key(&t) => {}
                    (None, Some(t)) => {
                        let near = crate::diag::nearest(&t, self.templates.keys().map(String::as_str));
                        let help = near.map_or("add it".to_owned(), |near| format!("did you mean `{near}`?"));
                        wrong(&[key, &n, "template"], format!("there is no templates/{t}"), help);
                    }
                    _ => {
                        let why = "a file needs either `content` or `template`".to_owned();
                        wrong(&[key, &n], why, "write one of the two".into());
                    }
                }
            }
            if matches!(role.replicas, Replicas::Job(_)) != role.job.is_some() {
                let why = "`replicas: {job: true}` and `job:` belong together".to_owned();
                wrong(&["replicas"], why, "write both or neither".into());
            }
        }
    }
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
                    // One of several forms: two of them together mean nothing.
                    Some(inner) if key.as_str() == Some("replicas") => *inner = value,
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
mod tests;
