//! The roles: what the platform is made of, as data. Read from `roles/*.yml`; the format is described in
//! `docs/roles.md`. Nothing here knows any service by name.

mod parts;
mod role;
mod stage;
mod units;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Deserialize;
use serde_yaml::Value;
use thiserror::Error;

pub use parts::{
    BindMount, ExecQuery, Flag, Healthcheck, HostDir, HostFile, Job, Limits, Material, On, Port, Published, Replicas,
    Resources, Single, Tls, Update,
};
pub use role::Role;
pub use stage::Stage;
pub use units::{Span, parse_size};

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
}
