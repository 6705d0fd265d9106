//! A Swarm of one node that exists in memory, behind the fake engine: what is posted is there, with ids
//! and version indexes, and runs at once. Services named in `sick` never become healthy: Swarm puts
//! their old spec back, as the real one does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::Method;
use reemo_transport::fake::{Call, Engine, Reply};
use serde_json::{Value, json};

use super::database::Database;

/// The Swarm. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Swarm {
    pub engine: Engine,
    state: Arc<Mutex<State>>,
}

/// What there is.
#[derive(Default)]
pub struct State {
    /// In a Swarm already.
    pub active: bool,
    /// By way of which the engine fetches images.
    pub proxy: String,
    pub images: BTreeSet<String>,
    /// Tags that the registry has given to another image since.
    pub moved: BTreeSet<String>,
    pub objects: BTreeMap<&'static str, Vec<Value>>,
    /// Services whose new copies never become healthy.
    pub sick: BTreeSet<String>,
    /// The leader dies with the next update: so many questions for the nodes are refused then.
    pub election: usize,
    questions_refused: usize,
    /// Jobs that end with code 1 half way.
    pub halfway: BTreeSet<String>,
    /// Services whose copies do not live on what such a job leaves.
    pub spoilt: BTreeSet<String>,
    /// Releases (`2.13.10`) whose images are gone from everywhere: copies of them do not start any more.
    pub lost: BTreeSet<String>,
    /// Called before an update is looked at: somebody else is at work as well.
    pub meddle: Option<fn(&mut Value)>,
    /// Copies are replaced with every update, of labels too.
    pub restless: bool,
    /// Other nodes of the Swarm, by id.
    pub others: BTreeMap<String, Value>,
    /// What was changed, in order: `create reemo_api`, `update reemo_api 2.13.10 max=5`.
    pub changes: Vec<String>,
    /// Names of the records of runs, in order.
    pub records: Vec<String>,
    /// Who took the lock, in order.
    pub locks: Vec<String>,
    /// What the schema job works on.
    pub database: Option<Database>,
    node_labels: Value,
    clock: u64,
}

impl Swarm {
    /// A node that is a manager already.
    pub fn ready() -> Swarm {
        let swarm = Swarm::bare();
        swarm.state().active = true;
        swarm
    }

    /// An engine that is in no Swarm.
    pub fn bare() -> Swarm {
        let swarm = Swarm { engine: Engine::new(), state: Arc::default() };
        swarm.routes();
        swarm
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The release of a service that is deployed.
    pub fn release(&self, name: &str) -> String {
        self.state().service(name).map(|s| release(&s["Spec"])).unwrap_or_default()
    }

    fn on(&self, method: Method, pattern: &str, answer: impl Fn(&mut State, &Call) -> Reply + Send + Sync + 'static) {
        let state = self.state.clone();
        self.engine
            .on(method, pattern, move |call| answer(&mut state.lock().unwrap_or_else(PoisonError::into_inner), call));
    }

    fn routes(&self) {
        self.on(Method::GET, "/info", |s, _| Reply::json(s.info()));
        self.on(Method::GET, "/images/json", |s, _| Reply::json(s.images.iter().map(|i| image(i)).collect()));
        self.on(Method::POST, "/images/create", |s, call| {
            let (image, tag) = (&call.query["fromImage"], &call.query["tag"]);
            let separator = if tag.starts_with("sha256:") { "@" } else { ":" };
            s.images.insert(format!("{image}{separator}{tag}"));
            Reply::lines([json!({"status": "Pull complete", "id": "0123"})])
        });
        self.on(Method::GET, "/distribution/**", |s, call| {
            let reference = call.parts[0].trim_end_matches("/json");
            let tag = reference.rsplit_once(':').map(|(_, tag)| tag).unwrap_or_default();
            let digest = if s.moved.contains(reference) { "sha256:moved".into() } else { format!("sha256:{tag}") };
            Reply::json(json!({"Descriptor": {"digest": digest, "size": 1, "mediaType": ""}, "Platforms": []}))
        });
        self.on(Method::POST, "/swarm/init", |s, _| {
            s.active = true;
            s.changes.push("init".into());
            Reply::json(json!("node1"))
        });
        self.on(Method::GET, "/nodes", |s, _| {
            if s.questions_refused > 0 {
                s.questions_refused -= 1;
                return Reply::error(500, "rpc error: code = Unknown desc = The swarm does not have a leader.");
            }
            Reply::json([s.node()].into_iter().chain(s.others.values().cloned()).collect())
        });
        self.on(Method::GET, "/nodes/*", |s, call| {
            Reply::json(s.others.get(&call.parts[0]).cloned().unwrap_or_else(|| s.node()))
        });
        self.on(Method::DELETE, "/nodes/*", |s, call| {
            s.changes.push(format!("remove node {}", call.parts[0]));
            s.others.remove(&call.parts[0]);
            Reply::status(200, Value::Null)
        });
        self.on(Method::POST, "/nodes/*/update", |s, call| {
            if let Some(other) = s.others.get_mut(&call.parts[0]) {
                let (was, spec) = (other["Spec"].clone(), call.json());
                if spec["Role"] == "worker" {
                    other["ManagerStatus"] = Value::Null;
                }
                let said = if was["Role"] == spec["Role"] { "drain" } else { "demote" };
                other["Spec"] = spec;
                s.changes.push(format!("{said} node {}", call.parts[0]));
                return Reply::status(200, Value::Null);
            }
            s.node_labels = call.json()["Labels"].clone();
            Reply::status(200, Value::Null)
        });
        for kind in ["networks", "secrets", "configs", "services", "tasks"] {
            self.on(Method::GET, &format!("/{kind}"), move |s, call| Reply::json(s.list(kind, call)));
        }
        for kind in ["networks", "secrets", "configs"] {
            self.on(Method::POST, &format!("/{kind}/create"), move |s, call| s.create(kind, call.json()));
        }
        self.on(Method::GET, "/configs/*", |s, call| match s.config(&call.parts[0]) {
            Some(config) => Reply::json(config.clone()),
            None => Reply::error(404, "config not found"),
        });
        self.on(Method::POST, "/configs/*/update", |s, call| s.update_config(call));
        self.on(Method::DELETE, "/configs/*", |s, call| {
            let configs = s.objects.entry("configs").or_default();
            let before = configs.len();
            configs.retain(|c| c["ID"] != *call.parts[0]);
            let gone = configs.len() < before;
            if gone { Reply::status(204, Value::Null) } else { Reply::error(404, "config not found") }
        });
        self.on(Method::POST, "/services/create", |s, call| s.create_service(call.json()));
        self.on(Method::GET, "/services/*", |s, call| match s.service(&call.parts[0]) {
            Some(service) => Reply::json(service.clone()),
            None => Reply::error(404, "service not found"),
        });
        self.on(Method::POST, "/services/*/update", |s, call| s.update_service(call));
        // Nothing is told: whoever waits makes sure by himself.
        self.on(Method::GET, "/events", |_, _| Reply::lines([]).then_hangs());
        self.on(Method::GET, "/containers/*/logs", |_, _| {
            let text = b"database ready\n";
            let mut frame = vec![1, 0, 0, 0, 0, 0, 0, text.len() as u8];
            frame.extend_from_slice(text);
            Reply::bytes(frame)
        });
    }
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn info(&self) -> Value {
        let swarm = match self.active {
            true => {
                json!({"NodeID": "node1", "LocalNodeState": "active", "ControlAvailable": true, "Cluster": {"ID": "swarm1"}})
            }
            false => json!({"NodeID": "", "LocalNodeState": "inactive", "ControlAvailable": false}),
        };
        json!({"ServerVersion": "20.10.24", "HttpsProxy": self.proxy, "Swarm": swarm})
    }

    fn node(&self) -> Value {
        json!({
            "ID": "node1", "Version": {"Index": 1},
            "Spec": {"Role": "manager", "Availability": "active", "Labels": self.node_labels},
            "Description": {"Hostname": "host"},
            "Status": {"State": "ready"}, "ManagerStatus": {"Leader": true, "Reachability": "reachable"},
        })
    }

    fn list(&self, kind: &'static str, call: &Call) -> Value {
        let all = self.objects.get(kind).cloned().unwrap_or_default();
        let filters: Value = call.query.get("filters").and_then(|f| serde_json::from_str(f).ok()).unwrap_or_default();
        let named = filters["label"].as_array().and_then(|l| l.first()).and_then(Value::as_str);
        let named = named.or_else(|| filters["label"].as_object().and_then(|l| l.keys().next()).map(String::as_str));
        if let Some(label) = named {
            return all.into_iter().filter(|o| o["Spec"]["Labels"].get(label).is_some()).collect();
        }
        if let Some(nodes) = filters["node"].as_object() {
            return all.into_iter().filter(|t| t["NodeID"].as_str().is_some_and(|n| nodes.contains_key(n))).collect();
        }
        let Some(wanted) = filters["service"].as_object() else { return Value::Array(all) };
        let of =
            |task: &Value| wanted.keys().any(|name| self.service(name).is_some_and(|s| s["ID"] == task["ServiceID"]));
        all.into_iter().filter(of).collect()
    }

    fn add(&mut self, kind: &'static str, object: Value) {
        self.objects.entry(kind).or_default().push(object);
    }

    fn create(&mut self, kind: &'static str, spec: Value) -> Reply {
        let there = self.objects.get(kind).into_iter().flatten();
        if kind == "configs" && there.into_iter().any(|c| c["Spec"]["Name"] == spec["Name"]) {
            return Reply::error(409, "rpc error: code = AlreadyExists desc = config already exists");
        }
        let id = format!("{kind}-{}", self.tick());
        let object = match kind {
            "networks" => {
                let mut network = spec.clone();
                network["Id"] = json!(id);
                network["Scope"] = json!("swarm");
                network
            }
            _ => {
                let data = if kind == "configs" { &spec["Data"] } else { &Value::Null };
                let spec = json!({"Name": spec["Name"], "Labels": spec["Labels"], "Data": data});
                json!({"ID": id, "Version": {"Index": self.clock}, "Spec": spec})
            }
        };
        let name = spec["Name"].as_str().unwrap_or_default();
        // The lock is no change of the platform.
        match name {
            name if name.starts_with("io.reemo.run.") => self.records.push(name.to_owned()),
            "io.reemo.lock" => self.locks.push(spec["Labels"]["owner"].as_str().unwrap_or_default().to_owned()),
            _ => self.changes.push(format!("create {kind} {}", without_hash(name))),
        }
        self.add(kind, object);
        Reply::status(201, if kind == "networks" { json!({"Id": id, "Warning": ""}) } else { json!({"ID": id}) })
    }

    /// A config by name or id.
    pub fn config(&self, name: &str) -> Option<&Value> {
        self.objects.get("configs")?.iter().find(|c| c["Spec"]["Name"] == *name || c["ID"] == *name)
    }

    /// Only labels may change.
    fn update_config(&mut self, call: &Call) -> Reply {
        let (id, posted, now) = (call.parts[0].clone(), call.json(), self.tick());
        let configs = self.objects.entry("configs").or_default();
        let Some(config) = configs.iter_mut().find(|c| c["ID"] == *id) else {
            return Reply::error(404, "config not found");
        };
        if call.query["version"].parse().ok() != config["Version"]["Index"].as_u64() {
            return Reply::error(500, "rpc error: code = Unknown desc = update out of sequence");
        }
        config["Version"]["Index"] = json!(now);
        config["Spec"]["Labels"] = posted["Labels"].clone();
        Reply::status(200, Value::Null)
    }

    pub fn service(&self, name: &str) -> Option<&Value> {
        let services = self.objects.get("services")?;
        services.iter().find(|s| s["Spec"]["Name"] == *name || s["ID"] == *name)
    }

    fn put(&mut self, service: &Value) {
        let services = self.objects.entry("services").or_default();
        services.iter_mut().filter(|s| s["ID"] == service["ID"]).for_each(|s| *s = service.clone());
    }

    fn create_service(&mut self, spec: Value) -> Reply {
        let id = format!("service-{}", self.tick());
        self.changes.push(format!("create {}", said(&spec)));
        self.add("services", json!({"ID": id, "Version": {"Index": self.clock}, "Spec": spec}));
        let sick = spec["Name"].as_str().is_some_and(|name| self.sick.contains(name));
        // Swarm tries again and again.
        for _ in 0..if sick { 4 } else { 1 } {
            self.run(&id, &spec, if sick { "failed" } else { "running" });
        }
        Reply::status(201, json!({"ID": id}))
    }

    fn update_service(&mut self, call: &Call) -> Reply {
        let (name, posted) = (call.parts[0].clone(), call.json());
        let now = self.tick();
        let Some(mut service) = self.service(&name).cloned() else { return Reply::error(404, "service not found") };
        if let Some(meddle) = self.meddle.take() {
            meddle(&mut service);
            service["Version"]["Index"] = json!(now);
            self.put(&service);
        }
        if call.query["version"].parse().ok() != service["Version"]["Index"].as_u64() {
            return Reply::error(500, "rpc error: code = Unknown desc = update out of sequence");
        }
        self.changes.push(format!("update {}", said(&posted)));
        self.questions_refused = std::mem::take(&mut self.election);
        let before = service["Spec"].clone();
        let status = |state: &str, message: &str| json!({"State": state, "StartedAt": format!("2027-01-15T12:00:00.{now:09}Z"), "Message": message});
        let (was, wanted) = (without_limits(&before), without_limits(&posted));
        let id = service["ID"].as_str().unwrap_or_default().to_owned();
        service["Version"]["Index"] = json!(now);
        service["Spec"] = posted.clone();
        // Labels and limits replace no task.
        if was["TaskTemplate"] == wanted["TaskTemplate"] && !self.restless {
            service["UpdateStatus"] = status("completed", "update completed");
            self.retask(&id, &posted);
        } else if self.sick.contains(&name) || self.lost.iter().any(|tag| said(&posted).contains(&format!(" {tag} "))) {
            service["Spec"] = before.clone();
            service["UpdateStatus"] = status("rollback_completed", "update rolled back due to failure of task t9");
            self.run(&id, &posted, "failed");
        } else {
            service["UpdateStatus"] = status("completed", "update completed");
            self.objects.entry("tasks").or_default().retain(|t| t["ServiceID"] != *id);
            let halfway = self.halfway.contains(&name);
            self.run(&id, &posted, if halfway { "failed" } else { "running" });
            if halfway {
                self.spoil();
            }
        }
        self.put(&service);
        Reply::json(json!({"Warnings": null}))
    }

    /// Tasks of a spec: as many as wanted that run, or one that failed; a job's is complete.
    fn run(&mut self, id: &str, spec: &Value, state: &str) {
        let job = spec["TaskTemplate"]["RestartPolicy"]["Condition"] == "none";
        let copies = spec["Mode"]["Replicated"]["Replicas"].as_u64().unwrap_or(1);
        let (state, wanted) = match (state, job) {
            ("running", true) => ("complete", "shutdown"),
            ("running", false) => ("running", "running"),
            (other, _) => (other, "shutdown"),
        };
        if let Some(database) = self.database.as_ref().filter(|_| state == "complete") {
            database.fill();
        }
        for copy in 0..if state == "failed" { 1 } else { copies } {
            let made = format!("2027-01-15T12:00:00.{:09}Z", self.tick());
            let err = if state == "failed" { "task: non-zero exit (1): unhealthy" } else { "" };
            self.add(
                "tasks",
                json!({
                    "ID": format!("task-{}", self.clock), "ServiceID": id, "NodeID": "node1", "Slot": copy + 1,
                    "CreatedAt": made, "DesiredState": wanted, "Spec": spec["TaskTemplate"],
                    "Status": {"State": state, "Timestamp": made, "Err": err,
                        "ContainerStatus": {"ContainerID": format!("container-{}", self.clock), "ExitCode": 0}},
                }),
            );
        }
    }

    /// What does not live on half a schema: its copies fail.
    fn spoil(&mut self) {
        let spoilt = self.spoilt.iter().filter_map(|name| Some(self.service(name)?["ID"].clone()));
        let spoilt: Vec<Value> = spoilt.collect();
        for task in self.objects.entry("tasks").or_default().iter_mut().filter(|t| spoilt.contains(&t["ServiceID"])) {
            task["Status"]["State"] = json!("failed");
            task["DesiredState"] = json!("shutdown");
        }
    }

    /// Tasks that stay carry the new limits.
    fn retask(&mut self, id: &str, spec: &Value) {
        let tasks = self.objects.entry("tasks").or_default();
        tasks.iter_mut().filter(|t| t["ServiceID"] == *id).for_each(|t| t["Spec"] = spec["TaskTemplate"].clone());
    }
}

fn without_limits(spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["TaskTemplate"]["Placement"]["MaxReplicas"] = Value::Null;
    spec
}

/// `reemo_api 2.13.10 max=5`.
fn said(spec: &Value) -> String {
    let limit = spec["TaskTemplate"]["Placement"]["MaxReplicas"].as_u64().unwrap_or(0);
    format!("{} {} max={limit}", spec["Name"].as_str().unwrap_or_default(), release(spec))
}

fn release(spec: &Value) -> String {
    let image = spec["TaskTemplate"]["ContainerSpec"]["Image"].as_str().unwrap_or_default();
    let tagged = image.split('@').next().unwrap_or_default();
    tagged.rsplit(':').next().unwrap_or_default().to_owned()
}

fn without_hash(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((base, hash)) if hash.len() == 12 => base,
        _ => name,
    }
}

fn image(reference: &str) -> Value {
    let (name, digest) = match reference.split_once('@') {
        Some((name, digest)) => (name, digest.to_owned()),
        None => {
            let (name, tag) = reference.rsplit_once(':').unwrap_or((reference, ""));
            (name, format!("sha256:{tag}"))
        }
    };
    let tags = if reference.contains('@') { json!([]) } else { json!([reference]) };
    json!({
        "Id": format!("sha256:id-of-{reference}"), "ParentId": "", "RepoTags": tags, "RepoDigests": [format!("{name}@{digest}")],
        "Created": 0, "Size": 0, "SharedSize": 0, "Labels": {}, "Containers": 0,
    })
}
