//! `adopt`: a platform that was installed by other means. A report; with `--yes`, taking it over.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reemo_ui::{Cell, Paint, Table, Tone};
use serde_json::json;

use super::args::{AdoptArgs, Format};
use super::by_hand::ByHand;
use super::look::look;
use super::prepare::{self, Exit, Ready};
use super::{apply, output, site, words};
use crate::engine::adopt::{self, First, Left, Remark, Report, Said, State};
use crate::engine::apply::exit;
use crate::engine::fault::Fault;
use crate::engine::fleet::Fleet;
use crate::engine::graph::TaskGraph;
use crate::engine::world::World;

/// Runs it. Without `--yes` nothing is written anywhere; code 8 if it could not be adopted as it is.
pub async fn run(args: &AdoptArgs, argv: &[String]) -> Result<u8, Exit> {
    let mut ready = prepare::read(&args.hand.inventory, &args.hand.connect)?;
    let looked = look(&ready.site, args.hand.connect.forks).await?;
    apply::same_site(&ready, &looked.world)?;
    let reports = reports(&ready, &looked.graph, &looked.fleet, &looked.world).await?;
    let mut printer = output::printer(&args.hand.output);
    let goes = reports.iter().any(|r| r.state == State::Adoptable);
    let refused = reports.iter().any(|r| r.state == State::Refused);
    let unreachable = looked.say_unreachable(&mut printer);
    if !args.yes || refused || unreachable || !goes {
        match args.hand.output.format {
            Format::Text => {
                let mut text = in_text(&reports, args.hand.output.verbose > 0, printer.out);
                if goes && !refused && !unreachable && !args.yes {
                    text += &format!("\n\nnext: reemo-infra {} --yes", words::again(argv));
                }
                printer.print(&text);
            }
            _ => printer.print(&json!({"schema": 1, "clusters": reports}).to_string()),
        }
        return Ok(match (unreachable, refused) {
            (true, _) => exit::UNREACHABLE,
            (_, true) => exit::REFUSED,
            _ => exit::OK,
        });
    }
    drop(looked);
    first_certificates(&mut ready, &reports)?;
    let hand = ByHand::with("adopt", &args.hand, argv, false, ready).await?;
    let result = take(&hand).await;
    Ok(hand.end(result).await)
}

/// What is adopted belongs to a certificates folder, as everything that is applied does.
fn first_certificates(ready: &mut Ready, reports: &[Report]) -> Result<(), Exit> {
    if !ready.pki.store.is_provisional() {
        return Ok(());
    }
    if let Some(ours) = reports.iter().find(|r| r.services.iter().any(|s| s.ours)) {
        return Err(Exit::refused(
            format!(
                "{} was adopted in part, with a certificates folder that is not on this machine ({} does not exist)",
                ours.name,
                ready.pki.folder.display()
            ),
            "copy that folder from the machine where it was begun, or name it with --pki-dir",
        ));
    }
    ready.pki.create(Timestamp::now())?;
    ready.rebuild()
}

async fn take(hand: &ByHand) -> Result<(), Fault> {
    hand.lock().await?;
    // Under the lock, and as it is now.
    let world = hand.run.world.read().await.clone();
    let reports = reports(&hand.ready, &hand.run.graph, &hand.run.fleet, &world).await?;
    if let Some(Remark { why, hint }) = reports.iter().flat_map(|r| &r.in_the_way).next() {
        return Err(Fault::refused(why.clone(), hint.clone()));
    }
    for report in reports.iter().filter(|r| r.state == State::Adoptable) {
        hand.run.adopt(report).await?;
    }
    Ok(())
}

async fn reports(ready: &Ready, graph: &TaskGraph, fleet: &Fleet, world: &World) -> Result<Vec<Report>, Fault> {
    let mut left: BTreeMap<String, Left> = BTreeMap::new();
    for (name, there) in &world.swarms {
        let Some(manager) = world.manager(&ready.site, name) else { continue };
        let docker = fleet.host(manager)?.docker().await?;
        left.insert(name.clone(), adopt::left(&docker, there, &ready.site.clusters[name]).await?);
    }
    Ok(adopt::examine(&ready.site, graph, world, &left, &said(ready)))
}

/// What the inventory says of certificates and passwords.
fn said(ready: &Ready) -> BTreeMap<String, Said> {
    let of = |host: &String| {
        let scope = site::scope(&ready.loaded, &ready.pki.store, host);
        let set = |name: &str| scope.get_json(name).ok().flatten().filter(|v| !v.is_null());
        let wanted = ["DB_INTERNAL_USER_PASSWORD", "DB_INTERNAL_ROOT_PASSWORD", "HMACSECRET"];
        Said {
            certificates: set("CERT_MODE").and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default(),
            unset: wanted.into_iter().filter(|name| set(name).is_none()).collect(),
        }
    };
    let clusters = ready.loaded.clusters.iter();
    clusters.filter_map(|c| Some((c.name.clone(), of(c.hosts.first()?)))).collect()
}

fn in_text(reports: &[Report], all: bool, paint: Paint) -> String {
    reports.iter().map(|report| one(report, all, paint)).collect::<Vec<_>>().join("\n\n")
}

fn one(report: &Report, all: bool, paint: Paint) -> String {
    let mut parts = vec![format!("{} ({}): {}", report.name, report.environment, report.state.word())];
    if matches!(report.state, State::Nothing | State::Ours) {
        return parts.remove(0);
    }
    let mut services = Table::new(["SERVICE", "THERE", "FIRST APPLY", "DIFFERS IN"]);
    for service in &report.services {
        let there = match (service.found, service.ours) {
            (false, _) => Cell::new("no"),
            (true, false) => Cell::new(format!("{} running", service.running)),
            (true, true) => Cell::new("adopted").tone(Tone::Ok),
        };
        let tone = if service.first_apply == First::Stopped { Tone::Warning } else { Tone::Quiet };
        services.row([
            Cell::new(&service.name),
            there,
            Cell::new(service.first_apply.word()).tone(tone),
            Cell::new(kinds(service.differs.iter().map(|f| f.field.as_str()))),
        ]);
    }
    parts.push(services.render(paint));
    if all {
        parts.extend(report.services.iter().filter_map(sides));
    }
    let mut facts = Table::new(["FOUND", "", ""]);
    let mut fact = |what: &str, name: &str, found: &str| {
        facts.row([what, name, found].map(Cell::new));
    };
    for host in &report.hosts {
        fact("host", &host.name, &host.found);
    }
    for network in &report.networks {
        fact("network", &network.name, &network.found);
    }
    if let Some(database) = &report.database {
        fact("database", &database.place, &of_database(database));
    }
    if !report.certificates.is_empty() {
        fact("certificates", "inside", &format!("CERT_MODE: {}", report.certificates));
    }
    parts.push(facts.render(paint));
    let left =
        [("services", &report.left.services), ("secrets", &report.left.secrets), ("configs", &report.left.configs)];
    let left: Vec<String> = left
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(kind, names)| format!("  {kind}: {}", names.join(", ")))
        .collect();
    if !left.is_empty() {
        parts.push(format!("left as they are, whoever needs them:\n{}", left.join("\n")));
    }
    parts.extend(remarks("before the first apply:", &report.mind));
    parts.extend(remarks("in the way:", &report.in_the_way));
    parts.join("\n\n")
}

fn of_database(database: &adopt::Database) -> String {
    match (&database.runs_on, database.internal) {
        (_, false) if database.filled => "external, holds tables".into(),
        (_, false) => "external, not seen to hold tables".into(),
        (runs_on, true) => {
            let held = match database.held_by.as_slice() {
                [] => "on no host".to_owned(),
                hosts => format!("data on {}", hosts.join(", ")),
            };
            format!("{held}; runs on {}", runs_on.as_deref().unwrap_or("no host"))
        }
    }
}

/// `Env 3, Image, Secrets 6`: the kinds of fields, and how many of each.
fn kinds<'a>(fields: impl Iterator<Item = &'a str>) -> String {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    for field in fields {
        *found.entry(field.split('.').next().unwrap_or(field)).or_default() += 1;
    }
    let words = found.into_iter().map(|(kind, n)| if n == 1 { kind.to_owned() } else { format!("{kind} {n}") });
    words.collect::<Vec<_>>().join(", ")
}

/// Both sides of each field.
fn sides(service: &adopt::Service) -> Option<String> {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
    let lines: Vec<String> =
        service.differs.iter().map(|f| format!("  {}: {} -> {}", f.field, side(&f.was), side(&f.wanted))).collect();
    (!lines.is_empty()).then(|| format!("{}\n{}", service.name, lines.join("\n")))
}

fn remarks(title: &str, remarks: &[Remark]) -> Option<String> {
    let lines: Vec<String> = remarks.iter().map(|r| format!("- {}\n  {}", r.why, r.hint)).collect();
    (!lines.is_empty()).then(|| format!("{title}\n{}", lines.join("\n")))
}
