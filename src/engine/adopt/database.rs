//! The database of a platform that is to be adopted: it must go on with the data it has.

use reemo_model::change::Verdict;
use reemo_resource::swarm::observed::{SwarmObservation, at, text};
use serde::Serialize;
use serde_json::Value;

use super::Remark;
use super::examine::On;
use crate::engine::data;
use crate::engine::external;
use crate::engine::site::{ClusterSite, Site};
use crate::engine::task::What;
use crate::engine::world::World;

/// What is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Database {
    /// It runs as a service of the Swarm.
    pub internal: bool,
    /// Directory of its files on the hosts; of an external one its address.
    pub place: String,
    /// Hosts that hold its files.
    pub held_by: Vec<String>,
    /// The host its service runs on.
    pub runs_on: Option<String>,
    /// It holds data, as far as can be seen.
    pub filled: bool,
}

/// The database of a cluster, what to mind of it, and what stands in the way. `None`: the cluster has none.
pub(super) fn look(on: &On<'_>) -> (Option<Database>, Vec<Remark>, Vec<Remark>) {
    let cluster = on.cluster();
    if let Some(settings) = &cluster.settings.external {
        let found = on.site.hosts_of(on.name).filter_map(|(n, _)| Some((n, on.world.databases.get(n)?)));
        let (tables, in_the_way) = match external::tables(found) {
            Ok(tables) => (tables, vec![]),
            Err(Verdict::Refused { why, hint }) => (None, vec![Remark::new(why, hint)]),
            Err(_) => (None, vec![]),
        };
        let filled = tables.is_some_and(|n| n > 0);
        let mut mind = Vec::new();
        if !filled && in_the_way.is_empty() {
            let why = format!("it could not be seen that {} holds the platform's tables", settings.host);
            mind.push(Remark::new(why, "are DB_HOST and DB_NAME those of the platform that runs?"));
        }
        let place = format!("{}:{}", settings.host, settings.port);
        let database = Database { internal: false, place, held_by: vec![], runs_on: None, filled };
        return (Some(database), mind, in_the_way);
    }
    match data::service(cluster) {
        Some(wanted) => {
            let (database, mind, in_the_way) = internal(on, &wanted.name);
            (Some(database), mind, in_the_way)
        }
        None => (None, vec![], vec![]),
    }
}

fn internal(on: &On<'_>, service: &str) -> (Database, Vec<Remark>, Vec<Remark>) {
    let cluster = on.cluster();
    let place = data::directory(cluster).to_owned();
    let held_by = holders(on.site, on.world, on.name);
    let found = on.there.service(service);
    let runs_on = found.and_then(|s| home(on.world, on.there, s));
    let (mut mind, mut in_the_way) = (Vec::new(), Vec::new());
    match found {
        None => in_the_way.push(Remark::new(
            format!("there is no service {service}, and the inventory wants an internal database"),
            "if the platform uses an external one, set all five DB_* variables; if its database has another name, it \
             cannot be adopted",
        )),
        Some(found) => in_the_way.extend(differs(cluster, found, service, &place)),
    }
    let elsewhere = !in_the_way.is_empty();
    if !elsewhere && held_by.is_empty() {
        in_the_way.push(Remark::new(
            format!("no host holds a database in {place}"),
            format!("bring its files to {place} first: started on an empty directory, it would be an empty database"),
        ));
    }
    if let Some(home) = runs_on.as_ref().filter(|home| !held_by.is_empty() && !held_by.contains(home)) {
        in_the_way.push(Remark::new(
            format!("{service} runs on {home}, and {place} with a database is on {}", held_by.join(", ")),
            "find out which of the two is the platform's data, and take the other away",
        ));
    }
    let pinned = cluster.wanted.services.iter().any(|s| s.exec_query.is_some() && s.data_node);
    if pinned && held_by.len() > 1 {
        match &runs_on {
            Some(home) => mind.push(Remark::new(
                format!("{} hold a database in {place}; it will stay on {home}, where it runs", held_by.join(", ")),
                "if the site replicates that directory, say so: DB_STORAGE: \"replicated\"",
            )),
            None => in_the_way.push(Remark::new(
                format!("{} hold a database in {place}, and {service} runs on none of them", held_by.join(", ")),
                "start it where its data is; or, if the site replicates that directory: DB_STORAGE: \"replicated\"",
            )),
        }
    }
    mind.extend(owner(on));
    let filled = !held_by.is_empty();
    (Database { internal: true, place, held_by, runs_on, filled }, mind, in_the_way)
}

/// Hosts that hold its files, where we look for them.
pub(super) fn holders(site: &Site, world: &World, cluster: &str) -> Vec<String> {
    let holds = |host: &String| world.hosts.get(host).and_then(|v| v.seen.as_ref()).and_then(data::found) == Some(true);
    site.hosts_of(cluster).map(|(n, _)| n).filter(|n| holds(n)).cloned().collect()
}

/// The host that a service's running copy is on.
pub(super) fn home(world: &World, there: &SwarmObservation, service: &Value) -> Option<String> {
    let tasks = there.tasks_of(text(service, &["ID"]));
    let task = tasks.into_iter().find(|t| text(t, &["Status", "State"]) == "running")?;
    world.host_of_node(text(task, &["NodeID"])).cloned()
}

/// Another directory, another name, another user: with any of them it would be another database.
fn differs(cluster: &ClusterSite, found: &Value, service: &str, place: &str) -> Vec<Remark> {
    let mut problems = Vec::new();
    match data::directory_of(found) {
        Some(dir) if dir.trim_end_matches('/') != place.trim_end_matches('/') => problems.push(Remark::new(
            format!("{service} has its data in {dir}, and would be started on {place}"),
            format!("say where its data is: DB_DATA_DIR: \"{dir}\""),
        )),
        Some(_) => {}
        None => problems.push(Remark::new(
            format!("{service} has no directory of its host at /var/lib/mysql: where its data is cannot be seen"),
            "a volume of Docker's: stop the platform, copy what is in it to a directory, and have the service mount that",
        )),
    }
    let wanted = data::service(cluster).map(|s| s.env.as_slice()).unwrap_or_default();
    let env = at(found, &["Spec", "TaskTemplate", "ContainerSpec", "Env"]).and_then(Value::as_array);
    for (key, variable) in [("DB_NAME", "DB_INTERNAL_NAME"), ("DB_USER", "DB_INTERNAL_USER")] {
        let prefix = format!("{key}=");
        let is = env.into_iter().flatten().filter_map(Value::as_str).find_map(|e| e.strip_prefix(&prefix));
        let wants = wanted.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        if let (Some(is), Some(wants)) = (is, wants)
            && is != wants
        {
            problems.push(Remark::new(
                format!("{key} of {service} is `{is}`, and would be `{wants}`: another database"),
                format!("{variable}: \"{is}\""),
            ));
        }
    }
    problems
}

/// Whose its directory is, where that would change: the database runs as that user.
fn owner(on: &On<'_>) -> Vec<Remark> {
    let place = data::directory(on.cluster());
    let tasks = on.tasks().filter(|t| matches!(&t.what, What::DataDir(dir) if dir.path == place));
    let mut found = Vec::new();
    for task in tasks {
        let Verdict::Change(change) = on.view().verdict(task) else { continue };
        for field in change.fields.iter().filter(|f| f.field == "owner") {
            let (was, wanted) = (field.was.as_deref().unwrap_or("-"), field.wanted.as_deref().unwrap_or("-"));
            let host = task.host.as_deref().unwrap_or_default();
            found.push(Remark::new(
                format!("{} of {host} is of {was}, and the first apply makes it {wanted}", task.title),
                "that is the database's user in the image; if it is another in yours, correct `dirs` of roles/mysql.yml \
                 with --roles",
            ));
        }
    }
    found
}
