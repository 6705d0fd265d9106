//! The Docker service spec of a wanted service.

use reemo_model::wanted::WantedService;
use serde_json::{Map, Value, json};

use super::material::Material;
use super::{DATA_NODE, GENERATION, IMAGE, MANAGED, RELEASE, ROLE, ROLES, SITE};

/// Which image of a name is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin<'a> {
    /// Whatever its tag names.
    Tag,
    /// The one with this digest.
    Digest(&'a str),
    /// The one the nodes have under this id, and where it is from. Swarm asks no registry for it.
    Id {
        /// `sha256:…`.
        id: &'a str,
        /// `registry/name:tag@sha256:…`.
        name: &'a str,
    },
}

/// The spec to post. `materials` are this service's secrets and configs; `pin` says which
/// image of that name; `site` says which certificates folder it belongs to; names of secrets, configs and networks are resolved to ids by whoever posts it.
pub fn spec(service: &WantedService, materials: &[&Material], pin: Pin<'_>, site: &str) -> Value {
    let mut labels = json!({MANAGED: "true", ROLE: service.role, RELEASE: service.version, SITE: site});
    labels[ROLES] = json!(GENERATION.to_string());
    let image = match pin {
        Pin::Tag => service.image.clone(),
        Pin::Digest(digest) => format!("{}@{digest}", service.image),
        Pin::Id { id, name } => {
            labels[IMAGE] = json!(name);
            id.to_owned()
        }
    };
    let mut container = Map::new();
    let mut put = |key: &str, value: Value| {
        container.insert(key.to_owned(), value);
    };
    put("Image", json!(image));
    put("Command", json!(service.command));
    put("Args", json!(service.args));
    put("Env", json!(service.env.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>()));
    put("Mounts", Value::Array(mounts(service)));
    put("Secrets", files(materials, true));
    put("Configs", files(materials, false));
    if let Some(user) = &service.user {
        put("User", json!(user));
    }
    if let Some(grace) = service.stop_grace {
        put("StopGracePeriod", json!(grace.nanos()));
    }
    if !service.hosts.is_empty() {
        let line = |h: &String| h.split_once(':').map_or_else(|| h.clone(), |(name, ip)| format!("{ip} {name}"));
        put("Hosts", json!(service.hosts.iter().map(line).collect::<Vec<_>>()));
    }
    if let Some(check) = &service.healthcheck {
        put(
            "Healthcheck",
            json!({
                "Test": check.test,
                "Interval": check.interval.map_or(0, |s| s.nanos()),
                "Timeout": check.timeout.map_or(0, |s| s.nanos()),
                "StartPeriod": check.start_period.map_or(0, |s| s.nanos()),
                "Retries": check.retries.unwrap_or(0),
            }),
        );
    }
    let mut task = json!({
        "ContainerSpec": container,
        "Networks": service.networks.iter().map(|n| json!({"Target": n})).collect::<Vec<_>>(),
        // Swarm's own default delay, said so that its tasks carry it too.
        "RestartPolicy": {"Condition": if service.job.is_some() { "none" } else { "any" }, "Delay": 5_000_000_000_u64},
        "Placement": {"MaxReplicas": service.max_per_node},
    });
    let pinned = service.data_node.then(|| format!("node.labels.{DATA_NODE}==true"));
    let constraints: Vec<String> = pinned.into_iter().chain(service.constraints.iter().cloned()).collect();
    if !constraints.is_empty() {
        task["Placement"]["Constraints"] = json!(constraints);
    }
    let amounts = |memory: Option<u64>, cpus: Option<i64>| {
        (memory.is_some() || cpus.is_some())
            .then(|| json!({"MemoryBytes": memory.unwrap_or(0), "NanoCPUs": cpus.unwrap_or(0)}))
    };
    if let Some(limits) = amounts(service.memory, service.nano_cpus) {
        task["Resources"]["Limits"] = limits;
    }
    if let Some(reserved) = amounts(service.reserved_memory, service.reserved_nano_cpus) {
        task["Resources"]["Reservations"] = reserved;
    }
    if let Some(facility) = &service.facility {
        // No address: the node's own syslog. The tag is what the seed's grep commands look for.
        task["LogDriver"] =
            json!({"Name": "syslog", "Options": {"syslog-facility": facility, "tag": tag(&service.name)}});
    }
    let ports: Vec<Value> = service
        .ports
        .iter()
        .map(|p| json!({"Protocol": p.protocol, "TargetPort": p.target, "PublishedPort": p.published, "PublishMode": p.mode}))
        .collect();
    let mode = if service.ports.iter().any(|p| p.mode == "ingress") { "vip" } else { "dnsrr" };
    json!({
        "Name": service.name,
        "Labels": labels,
        "TaskTemplate": task,
        "Mode": {"Replicated": {"Replicas": service.replicas}},
        "UpdateConfig": {
            "Parallelism": service.update.parallelism,
            "Order": service.update.order,
            "Monitor": service.update.monitor.nanos(),
            "FailureAction": if service.job.is_some() { "pause" } else { "rollback" },
        },
        // stop-first: the failing copy makes room, so a full node can go back.
        "RollbackConfig": {"Parallelism": 1, "Order": "stop-first", "Monitor": service.update.monitor.nanos(), "FailureAction": "pause"},
        "EndpointSpec": {"Mode": mode, "Ports": ports},
    })
}

/// `<prefix>_<service>`: seed 001 greps the syslog for `_traefik`.
pub fn tag(service: &str) -> String {
    if service.contains('_') { service.to_owned() } else { format!("reemo_{service}") }
}

fn mounts(service: &WantedService) -> Vec<Value> {
    let binds = service
        .mounts
        .iter()
        .map(|m| json!({"Type": "bind", "Source": m.source, "Target": m.target, "ReadOnly": m.readonly}));
    let tmpfs = service.tmpfs.iter().map(|t| json!({"Type": "tmpfs", "Target": t}));
    binds.chain(tmpfs).collect()
}

fn files(materials: &[&Material], secret: bool) -> Value {
    let (name_key, kind) = if secret { ("SecretName", true) } else { ("ConfigName", false) };
    let list = materials
        .iter()
        .filter(|m| m.is_secret() == kind)
        .map(|m| json!({"File": {"Name": m.target, "UID": "0", "GID": "0", "Mode": m.mode}, name_key: m.name}));
    Value::Array(list.collect())
}
