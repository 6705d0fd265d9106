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
    /// A manager without a leader: it is cut off from the others, or more than half of them are gone. It does not even
    /// know the id of its Swarm.
    pub fn is_cut_off(&self) -> bool {
        self.manager && self.swarm_id.is_empty()
    }

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

/// Copies of a service (its `Spec`) that the nodes there are can hold: all that are wanted, unless its limit per node
/// stands against it while a node is away. `nodes` is the answer of `GET /nodes`.
pub fn possible(nodes: &[Value], spec: &Value) -> u64 {
    let wanted = number(spec, &["Mode", "Replicated", "Replicas"]).unwrap_or(0);
    let placement = at(spec, &["TaskTemplate", "Placement"]).unwrap_or(&Value::Null);
    let constraints: Vec<&str> =
        placement["Constraints"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let usable = |n: &&Value| {
        text(n, &["Status", "State"]) == "ready"
            && text(n, &["Spec", "Availability"]) == "active"
            && constraints.iter().all(|c| allows(c, n))
    };
    match number(placement, &["MaxReplicas"]).unwrap_or(0) {
        0 => wanted,
        max => wanted.min(max.saturating_mul(nodes.iter().filter(usable).count() as u64)),
    }
}

/// May a service with this constraint run on the node? One that is not understood is taken to allow it.
fn allows(constraint: &str, node: &Value) -> bool {
    let (key, wanted, equal) = match (constraint.split_once("=="), constraint.split_once("!=")) {
        (Some((key, value)), _) => (key.trim(), value.trim(), true),
        (_, Some((key, value))) => (key.trim(), value.trim(), false),
        _ => return true,
    };
    let is = match key {
        "node.id" => text(node, &["ID"]),
        "node.hostname" => text(node, &["Description", "Hostname"]),
        "node.role" => text(node, &["Spec", "Role"]),
        "node.platform.os" => text(node, &["Description", "Platform", "OS"]),
        "node.platform.arch" => text(node, &["Description", "Platform", "Architecture"]),
        _ => match (key.strip_prefix("node.labels."), key.strip_prefix("engine.labels.")) {
            (Some(label), _) => text(node, &["Spec", "Labels", label]),
            (_, Some(label)) => text(node, &["Description", "Engine", "Labels", label]),
            _ => return true,
        },
    };
    is.eq_ignore_ascii_case(wanted) == equal
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

    /// See [`possible`]; of a service as it is there.
    pub fn possible(&self, service: &Value) -> u64 {
        possible(&self.nodes, &service["Spec"])
    }

    /// The generation of roles that was applied last; 0: none, or by a tool that did not say so.
    pub fn generation(&self) -> u32 {
        let of = |s: &Value| text(s, &["Spec", "Labels", super::ROLES]).parse().unwrap_or(0);
        self.services.iter().map(of).max().unwrap_or(0)
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
    fn copies_that_have_a_place() {
        let node = |role: &str, zone: &str, state: &str| serde_json::json!({"Spec": {"Role": role, "Availability": "active", "Labels": {"zone": zone}}, "Status": {"State": state}});
        let nodes = [node("manager", "a", "ready"), node("manager", "b", "down"), node("worker", "a", "ready")];
        let spec = |constraints: &[&str]| {
            serde_json::json!({"Mode": {"Replicated": {"Replicas": 4}},
                "TaskTemplate": {"Placement": {"MaxReplicas": 2, "Constraints": constraints}}})
        };
        assert_eq!(possible(&nodes, &spec(&[])), 4);
        assert_eq!(possible(&nodes, &spec(&["node.role==manager"])), 2);
        assert_eq!(possible(&nodes, &spec(&["node.labels.zone != a"])), 0);
        assert_eq!(possible(&nodes, &spec(&["node.labels.zone==a", "node.role != manager"])), 2);
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
