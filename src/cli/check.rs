//! `check`: one line and an exit code, for supervision. Says nothing that `status` does not show.

use serde_json::Value;

use super::args::{CheckArgs, OutputArgs};
use super::nagios::Nagios;
use super::prepare::{self, Exit};
use super::{look, output, status};

/// Runs it.
pub async fn run(args: &CheckArgs) -> Result<u8, Exit> {
    let seen = match look(args).await {
        Ok(seen) => seen,
        // Whoever supervises reads standard output, and every other code as an alarm.
        Err(exit) if args.nagios => Seen { unread: Some(exit.message), ..Seen::default() },
        Err(exit) => return Err(exit),
    };
    let (state, line) = judge(&seen);
    output::printer(&OutputArgs::default()).print(&line);
    Ok(match (args.nagios, state) {
        (true, state) => state as u8,
        (false, Nagios::Ok | Nagios::Warning) => 0,
        (false, _) => 2,
    })
}

/// What there is to judge.
#[derive(Default)]
struct Seen {
    /// As `status --format json`.
    document: Value,
    /// Hosts that did not answer.
    unreachable: Vec<String>,
    /// Why there is nothing to judge.
    unread: Option<String>,
}

async fn look(args: &CheckArgs) -> Result<Seen, Exit> {
    let ready = prepare::read(&args.inventory, &args.connect)?;
    let there = look::look(&ready.site, args.connect.forks).await?;
    let document = status::document(&ready.site, &there.fleet, &there.world).await;
    let unreachable: Vec<String> = there.fleet.unreachable.keys().cloned().collect();
    let unread = (there.fleet.hosts().count() == 0).then(|| format!("no host answers ({})", unreachable.join(", ")));
    Ok(Seen { document, unreachable, unread })
}

/// The state and its line: what is wrong first, then the counts that a supervision draws.
fn judge(seen: &Seen) -> (Nagios, String) {
    if let Some(why) = &seen.unread {
        return (Nagios::Unknown, format!("REEMO {} - {}", Nagios::Unknown, why.lines().next().unwrap_or_default()));
    }
    let mut found: Vec<(Nagios, String)> = Vec::new();
    let (mut nodes, mut ready, mut services, mut complete, mut asked) = (0, 0, 0, 0, 0);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let word = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    found.extend(seen.unreachable.iter().map(|h| (Nagios::Warning, format!("{h} cannot be reached"))));
    for cluster in list(&seen.document["clusters"]) {
        let name = word(&cluster, "name");
        for node in list(&cluster["nodes"]) {
            nodes += 1;
            match word(&node, "state").as_str() {
                "ready" => ready += 1,
                _ if node["reachable"] != true => {}
                other => {
                    let state = if other.is_empty() { "in no Swarm" } else { other };
                    found.push((Nagios::Warning, format!("{} is {state}", word(&node, "host"))));
                }
            }
        }
        let here = list(&cluster["services"]);
        if here.is_empty() {
            found.push((Nagios::Critical, format!("nothing runs on {name}")));
        }
        // A job that has ended is no service that is down.
        for service in here.iter().filter(|s| s["job"].is_null()) {
            services += 1;
            let count = |key: &str| service[key].as_u64().unwrap_or_default();
            let (running, wanted) = (count("running"), count("wanted"));
            if running >= wanted {
                complete += 1;
                continue;
            }
            let state = if running == 0 { Nagios::Critical } else { Nagios::Warning };
            found.push((state, format!("{} {running}/{wanted} on {name}", word(service, "name"))));
        }
        if !cluster["health"].is_null() {
            asked += 1;
            if word(&cluster["health"], "status") != "OK" {
                let broken = broken(&cluster["health"]);
                found.push((Nagios::Critical, format!("health of {name}: {}", broken.join(", "))));
            }
        }
    }
    found.sort_by_key(|(state, _)| std::cmp::Reverse(*state));
    let state = found.first().map_or(Nagios::Ok, |(s, _)| *s);
    let said = match found.is_empty() {
        true if asked == 0 => format!("{ready} nodes, {services} services (HEALTHCHECK_ENABLE is off)"),
        true => format!("{ready} nodes, {services} services, health tree"),
        false => found.iter().map(|(_, why)| why.as_str()).collect::<Vec<_>>().join("; "),
    };
    let counts = format!("nodes={ready};;;0;{nodes} services={complete};;;0;{services}");
    (state, format!("REEMO {state} - {said} | {counts}"))
}

/// The parts of a health tree that are not OK, by their path; the tree itself if it names none.
fn broken(tree: &Value) -> Vec<String> {
    fn walk(path: &str, value: &Value, out: &mut Vec<String>) {
        let parts: Vec<(String, &Value)> = match &value["services"] {
            Value::Object(map) => map.iter().map(|(k, v)| (k.clone(), v)).collect(),
            _ => Vec::new(),
        };
        for (name, part) in parts {
            let path = if path.is_empty() { name } else { format!("{path}/{name}") };
            match part {
                Value::Array(items) => {
                    for item in items.iter().filter(|i| i["status"] != "OK") {
                        out.push(format!("{path}/{}", item["name"].as_str().unwrap_or("?")));
                    }
                }
                part => {
                    let before = out.len();
                    walk(&path, part, out);
                    if out.len() == before && part["status"] != "OK" {
                        out.push(path);
                    }
                }
            }
        }
    }
    let mut out = Vec::new();
    walk("", tree, &mut out);
    if out.is_empty() { vec![tree["status"].as_str().unwrap_or("not OK").to_owned()] } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn cluster(services: Value, health: Value) -> Seen {
        let nodes = json!([{"host": "one", "reachable": true, "state": "ready"}]);
        let cluster = json!({"name": "infra_manager", "nodes": nodes, "services": services, "health": health});
        Seen { document: json!({"clusters": [cluster]}), ..Seen::default() }
    }

    fn service(name: &str, running: u64, wanted: u64) -> Value {
        json!({"name": name, "running": running, "wanted": wanted, "job": null})
    }

    #[test]
    fn lines_and_codes() {
        let job = json!({"name": "reemo_db", "running": 0, "wanted": 1, "job": "complete"});
        let green = json!({"status": "OK", "services": {}});
        let (state, line) = judge(&cluster(json!([service("reemo_api", 4, 4), job]), green.clone()));
        assert_eq!(state as u8, 0);
        assert_eq!(line, "REEMO OK - 1 nodes, 1 services, health tree | nodes=1;;;0;1 services=1;;;0;1");
        let (state, line) = judge(&cluster(json!([service("reemo_api", 3, 4)]), green.clone()));
        assert!(state as u8 == 1 && line.starts_with("REEMO WARNING - reemo_api 3/4 on infra_manager | "), "{line}");
        let both = json!([service("reemo_api", 3, 4), service("reemo_portal", 0, 2)]);
        let (state, line) = judge(&cluster(both, green));
        assert!(state as u8 == 2 && line.contains("reemo_portal 0/2 on infra_manager; reemo_api 3/4"), "{line}");
        let lost = Seen { unreachable: vec!["two".into()], ..cluster(json!([service("a", 1, 1)]), Value::Null) };
        assert!(judge(&lost).1.starts_with("REEMO WARNING - two cannot be reached"));
        let nothing = Seen { unread: Some("no host answers (one)\nmore".into()), ..Seen::default() };
        assert_eq!(judge(&nothing), (Nagios::Unknown, "REEMO UNKNOWN - no host answers (one)".into()));
    }

    #[test]
    fn a_broken_link_is_named() {
        let tree = json!({"status": "KO", "services": {"signal": {"status": "OK"}, "api": {"status": "KO", "services": {
            "db": {"status": "KO"}, "container-providers": [{"name": "Paris", "status": "OK"}, {"name": "Lyon", "status": "KO"}]}}}});
        assert_eq!(broken(&tree), ["api/db", "api/container-providers/Lyon"]);
        assert_eq!(broken(&json!({"status": "KO"})), ["KO"]);
    }
}
