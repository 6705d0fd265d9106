//! What the Swarm holds, asked of an engine itself.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::fleet::{Fleet, Host};

/// `docker KIND inspect` of all objects of a kind.
pub fn all(fleet: &Fleet, host: &Host, kind: &str) -> Vec<Value> {
    let list = format!("ids=$(docker {kind} ls -q); [ -z \"$ids\" ] || docker {kind} inspect $ids");
    let text = fleet.sh(host, &list);
    serde_json::from_str(if text.trim().is_empty() { "[]" } else { &text }).expect("docker inspect prints JSON")
}

/// Name, running, wanted of every service.
pub fn replicas(fleet: &Fleet, host: &Host) -> BTreeMap<String, (u64, u64)> {
    let text = fleet.sh(host, "docker service ls --format '{{.Name}} {{.Replicas}}'");
    text.lines()
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let (running, wanted) = words[1].split_once('/').expect("1/1");
            (words[0].to_owned(), (running.parse().expect("a number"), wanted.parse().expect("a number")))
        })
        .collect()
}

/// Version of every object: kind and id, number. Any write changes one.
pub fn versions(fleet: &Fleet, host: &Host) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for kind in ["node", "service", "secret", "config"] {
        for object in all(fleet, host, kind) {
            let id = object["ID"].as_str().expect("an id");
            found.insert(format!("{kind} {id}"), object["Version"]["Index"].as_u64().expect("a version"));
        }
    }
    found
}

/// Ids of the tasks that run: a copy that was replaced has another.
pub fn running_tasks(fleet: &Fleet, host: &Host) -> Vec<String> {
    let list = "docker service ls -q | xargs docker service ps -f desired-state=running -q --no-trunc";
    let mut ids: Vec<String> = fleet.sh(host, list).lines().map(str::to_owned).collect();
    ids.sort();
    ids
}

/// A shell command for the process id of a running copy of a service on that host: `$pid`, or the script ends.
pub fn pid_of(service: &str) -> String {
    format!(
        "pid=$(docker inspect -f '{{{{.State.Pid}}}}' $(docker ps -q \
         --filter label=com.docker.swarm.service.name={service} | head -n 1)) || exit 1\n"
    )
}

/// The host that runs a copy of the service.
pub fn home_of<'a>(fleet: &'a Fleet, service: &str) -> &'a Host {
    let filter = format!("docker ps -q --filter label=com.docker.swarm.service.name={service}");
    fleet
        .hosts
        .iter()
        .find(|h| !fleet.try_sh(h, &filter, "").out.trim().is_empty())
        .unwrap_or_else(|| panic!("no host runs {service}"))
}

/// Rows of a query in the platform's own database, asked as root inside its container.
pub fn query(fleet: &Fleet, sql: &str) -> String {
    let host = home_of(fleet, "reemo_mysql");
    let script = format!(
        "docker exec -i $(docker ps -q --filter label=com.docker.swarm.service.name=reemo_mysql) \
         mysql --defaults-extra-file=/run/secrets/mysql_client.cnf -N -B -e \"{sql}\""
    );
    fleet.sh(host, &script)
}
