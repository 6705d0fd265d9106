//! What is there: the lists of one manager, and what each engine says of itself. The Docker API's own
//! JSON, with readers for the few fields we decide on.

use std::collections::BTreeMap;

use serde_json::Value;

/// What one host's engine said.
#[derive(Clone, Debug, Default)]
pub struct EngineObservation {
    /// `20.10.24`.
    pub version: String,
    /// `active`, `inactive`, `pending`, `error`, `locked`.
    pub swarm_state: String,
    /// Its node id in its Swarm.
    pub node_id: String,
    /// Id of the Swarm it belongs to.
    pub swarm_id: String,
    /// It is a manager with a control connection.
    pub manager: bool,
    /// Image reference → id, for tags; and `name@digest` → id.
    pub images: BTreeMap<String, String>,
}

impl EngineObservation {
    /// True when the engine is part of a Swarm.
    pub fn in_swarm(&self) -> bool {
        !matches!(self.swarm_state.as_str(), "" | "inactive")
    }

    /// Digest of a tag on this node, `sha256:…`, when the image came from a registry.
    pub fn digest(&self, reference: &str) -> Option<&str> {
        let id = self.images.get(reference)?;
        let name = repository(reference);
        self.images.iter().find_map(|(r, i)| {
            let (n, digest) = r.split_once('@')?;
            (i == id && n == name).then_some(digest)
        })
    }
}

/// `registry:5000/name` of `registry:5000/name:tag`.
pub fn repository(reference: &str) -> &str {
    let reference = reference.split('@').next().unwrap_or(reference);
    match reference.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name,
        _ => reference,
    }
}

/// What a manager said of its Swarm.
#[derive(Clone, Debug, Default)]
pub struct SwarmObservation {
    /// Inventory name of the host that was asked.
    pub asked: String,
    /// Swarm id.
    pub id: String,
    /// `GET /nodes`.
    pub nodes: Vec<Value>,
    /// `GET /services`.
    pub services: Vec<Value>,
    /// `GET /tasks`.
    pub tasks: Vec<Value>,
    /// `GET /networks`.
    pub networks: Vec<Value>,
    /// `GET /secrets`.
    pub secrets: Vec<Value>,
    /// `GET /configs`, data left out.
    pub configs: Vec<Value>,
    /// What the database says: number of tables, when it could be asked.
    pub tables: Option<u64>,
}

/// Text at a path of keys; empty when it is not there.
pub fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}

/// Number at a path of keys.
pub fn number(value: &Value, path: &[&str]) -> Option<u64> {
    at(value, path).and_then(Value::as_u64)
}

/// Value at a path of keys.
pub fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |v, key| v.get(key))
}

/// See [`SwarmObservation::possible`]; `nodes` is the answer of `GET /nodes`.
pub fn possible(nodes: &[Value], wanted: u64, max_per_node: u64) -> u64 {
    let usable =
        |n: &&Value| text(n, &["Status", "State"]) == "ready" && text(n, &["Spec", "Availability"]) == "active";
    match max_per_node {
        0 => wanted,
        max => wanted.min(max * nodes.iter().filter(usable).count() as u64),
    }
}

impl SwarmObservation {
    /// A service by its exact name.
    pub fn service(&self, name: &str) -> Option<&Value> {
        self.services.iter().find(|s| text(s, &["Spec", "Name"]) == name)
    }

    /// A config by its exact name.
    pub fn config(&self, name: &str) -> Option<&Value> {
        self.configs.iter().find(|c| text(c, &["Spec", "Name"]) == name)
    }

    /// A secret by its exact name.
    pub fn secret(&self, name: &str) -> Option<&Value> {
        self.secrets.iter().find(|c| text(c, &["Spec", "Name"]) == name)
    }

    /// A network by its exact name.
    pub fn network(&self, name: &str) -> Option<&Value> {
        self.networks.iter().find(|n| text(n, &["Name"]) == name)
    }

    /// Tasks of a service, newest first.
    pub fn tasks_of(&self, service_id: &str) -> Vec<&Value> {
        let mut tasks: Vec<&Value> = self.tasks.iter().filter(|t| text(t, &["ServiceID"]) == service_id).collect();
        tasks.sort_by(|a, b| text(b, &["CreatedAt"]).cmp(text(a, &["CreatedAt"])));
        tasks
    }

    /// Running tasks of a service on nodes that are ready, over wanted tasks.
    pub fn running(&self, service_id: &str) -> u64 {
        let ready =
            |id: &str| self.nodes.iter().any(|n| text(n, &["ID"]) == id && text(n, &["Status", "State"]) == "ready");
        self.tasks_of(service_id)
            .into_iter()
            .filter(|t| {
                text(t, &["DesiredState"]) == "running"
                    && text(t, &["Status", "State"]) == "running"
                    && ready(text(t, &["NodeID"]))
            })
            .count() as u64
    }

    /// Copies of a service that the nodes there are can hold: all that are wanted, unless its limit per
    /// node stands against it while a node is away.
    pub fn possible(&self, wanted: u64, max_per_node: u64) -> u64 {
        possible(&self.nodes, wanted, max_per_node)
    }

    /// Something of ours is deployed here.
    pub fn ours(&self) -> bool {
        self.services.iter().any(|s| at(s, &["Spec", "Labels", super::MANAGED]).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories() {
        assert_eq!(repository("r.io/a:1"), "r.io/a");
        assert_eq!(repository("r.io:5000/a"), "r.io:5000/a");
        assert_eq!(repository("r.io:5000/a:1@sha256:x"), "r.io:5000/a");
    }

    #[test]
    fn a_digest_belongs_to_the_tag_of_the_same_repository() {
        let e = EngineObservation {
            images: BTreeMap::from([
                ("r.io/a:1".into(), "id1".into()),
                ("r.io/b@sha256:bb".into(), "id1".into()),
                ("r.io/a@sha256:aa".into(), "id1".into()),
            ]),
            ..Default::default()
        };
        assert_eq!(e.digest("r.io/a:1"), Some("sha256:aa"));
        assert_eq!(e.digest("r.io/a:2"), None);
    }
}
