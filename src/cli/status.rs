//! `status`: what is there, compared with nothing.

use std::sync::Arc;

use reemo_resource::swarm::INITIALISED;
use reemo_resource::swarm::observed::{at, text};
use reemo_resource::swarm::service::{image_of, release_of};
use reemo_ui::{Cell, Paint, Table, Tone, health_tree};
use serde_json::{Value, json};

use super::args::{Format, StatusArgs};
use super::look::look;
use super::output;
use super::prepare::{self, Exit};
use crate::engine::fleet::Fleet;
use crate::engine::health;
use crate::engine::rollback::{is_job, wanted};
use crate::engine::site::Site;
use crate::engine::world::World;

/// Runs it.
pub async fn run(args: &StatusArgs) -> Result<u8, Exit> {
    let ready = prepare::read(&args.inventory, &args.connect)?;
    let looked = look(&ready.site, args.connect.forks).await?;
    let document = document(&ready.site, &looked.fleet, &looked.world).await;
    let mut printer = output::printer(&args.output);
    match args.output.format {
        Format::Text => printer.print(&in_text(&document, printer.out)),
        _ => printer.print(&document.to_string()),
    }
    Ok(if looked.say_unreachable(&mut printer) { 4 } else { 0 })
}

/// What is there, as `--format json` prints it.
pub async fn document(site: &Arc<Site>, fleet: &Fleet, world: &World) -> Value {
    let mut clusters = Vec::new();
    for name in site.clusters.keys() {
        clusters.push(cluster(site, fleet, world, name).await);
    }
    json!({"schema": 1, "clusters": clusters})
}

async fn cluster(site: &Arc<Site>, fleet: &Fleet, world: &World, name: &str) -> Value {
    let cluster = &site.clusters[name];
    let there = world.swarms.get(name);
    let nodes: Vec<Value> = site
        .hosts_of(name)
        .map(|(host, _)| {
            let view = world.hosts.get(host);
            let engine = view.and_then(|v| v.engine.as_ref());
            let node = there.and_then(|s| s.nodes.iter().find(|n| engine.is_some_and(|e| e.node_id == text(n, &["ID"]))));
            json!({
                "host": host,
                "reachable": view.is_some_and(|v| v.reachable),
                "engine": engine.map(|e| &e.version),
                "swarm": engine.map_or("no engine", |e| match e.swarm_state.as_str() {
                    _ if e.manager => "manager",
                    "active" => "worker",
                    state => state,
                }),
                "state": node.map(|n| text(n, &["Status", "State"])),
                "availability": node.map(|n| text(n, &["Spec", "Availability"])),
                "leader": node.and_then(|n| at(n, &["ManagerStatus", "Leader"])).and_then(Value::as_bool).unwrap_or(false),
            })
        })
        .collect();
    let mut services: Vec<Value> = there
        .into_iter()
        .flat_map(|s| s.services.iter().map(move |service| (s, service)))
        .map(|(s, service)| {
            let id = text(service, &["ID"]);
            let task = s.tasks_of(id).first().map(|t| text(t, &["Status", "State"]).to_owned());
            json!({
                "name": text(service, &["Spec", "Name"]),
                "running": s.running(id),
                "wanted": wanted(service),
                "release": release_of(&service["Spec"]),
                "image": image_of(service),
                "job": is_job(service).then_some(task),
            })
        })
        .collect();
    services.sort_by_key(|s| s["name"].as_str().unwrap_or_default().to_owned());
    let mut found = None;
    if cluster.settings.health && !services.is_empty() {
        for (host, _) in site.hosts_of(name).filter(|(h, _)| world.hosts.get(*h).is_some_and(|v| v.reachable)) {
            if let Ok(conn) = fleet.host(host)
                && let Ok(health) = health::ask(&conn, cluster.settings.portal_url.as_deref()).await
            {
                found = health.tree();
                break;
            }
        }
    }
    json!({
        "name": name,
        "environment": cluster.wanted.cluster.environment,
        "nodes": nodes,
        "services": services,
        "database": {
            "initialised": there.is_some_and(|s| s.config(INITIALISED).is_some()),
            "tables": there.and_then(|s| s.tables),
        },
        "health": found,
    })
}

fn in_text(document: &Value, paint: Paint) -> String {
    let mut parts = Vec::new();
    for cluster in document["clusters"].as_array().into_iter().flatten() {
        let word = |v: &Value, key: &str| v[key].as_str().unwrap_or("-").to_owned();
        parts.push(format!("{} ({})", word(cluster, "name"), word(cluster, "environment")));
        let mut nodes = Table::new(["HOST", "ENGINE", "SWARM", "STATE", "AVAILABILITY", ""]);
        for node in cluster["nodes"].as_array().into_iter().flatten() {
            let reachable = node["reachable"].as_bool().unwrap_or(false);
            let swarm =
                if reachable { Cell::new(word(node, "swarm")) } else { Cell::new("unreachable").tone(Tone::Failed) };
            let leader = if node["leader"].as_bool().unwrap_or(false) { "leader" } else { "" };
            nodes.row([
                Cell::new(word(node, "host")),
                Cell::new(word(node, "engine")),
                swarm,
                Cell::new(word(node, "state")),
                Cell::new(word(node, "availability")),
                Cell::new(leader),
            ]);
        }
        parts.push(nodes.render(paint));
        let services = cluster["services"].as_array().cloned().unwrap_or_default();
        if services.is_empty() {
            parts.push("No service is deployed.".into());
            continue;
        }
        let mut rows = Table::new(["SERVICE", "REPLICAS", "RELEASE", "IMAGE"]);
        for service in &services {
            let job = service["job"].as_str();
            let replicas = format!(
                "{}/{}{}",
                service["running"],
                service["wanted"],
                job.map(|s| format!(" ({s})")).unwrap_or_default()
            );
            let short = job.map_or(service["running"] != service["wanted"], |state| state != "complete");
            let image = word(service, "image");
            rows.row([
                Cell::new(word(service, "name")),
                Cell::new(replicas).tone(if short { Tone::Failed } else { Tone::Ok }),
                Cell::new(word(service, "release")),
                Cell::new(image.split('@').next().unwrap_or_default()),
            ]);
        }
        parts.push(rows.render(paint));
        let initialised = cluster["database"]["initialised"].as_bool().unwrap_or(false);
        parts.push(format!("database: {}", if initialised { "initialised" } else { "not initialised by this tool" }));
        if !cluster["health"].is_null() {
            parts.push(health_tree("portal", &cluster["health"], paint));
        }
    }
    parts.join("\n\n")
}
