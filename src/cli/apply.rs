//! `apply`, `plan` and `maintenance`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use reemo_model::event::Event;
use reemo_resource::swarm::SITE;
use reemo_resource::swarm::observed::text;
use reemo_ui::Ui;

use super::args::{ApplyArgs, MaintenanceArgs, Switch};
use super::output;
use super::prepare::{self, Exit, Ready};
use crate::engine::apply::{Ask, probes, refused, run_on};
use crate::engine::fleet::Fleet;
use crate::engine::graph::{self, TaskGraph};
use crate::engine::preflight::data_marker;
use crate::engine::run::Options;
use crate::engine::site::Site;
use crate::engine::world::{HostView, World};

/// `maintenance on|off`: the way people know it is `apply --tags maintenance -e MAINTENANCE_ENABLE=…`.
pub async fn maintenance(args: &MaintenanceArgs) -> Result<u8, Exit> {
    let mut apply = args.apply.clone();
    apply.tags = vec!["maintenance".into()];
    let on = args.state == Switch::On;
    apply.inventory.extra_vars.push(format!("MAINTENANCE_ENABLE={on}"));
    run(&apply, "maintenance").await
}

/// Runs it.
pub async fn run(args: &ApplyArgs, command: &str) -> Result<u8, Exit> {
    let started = Instant::now();
    let check = args.check || command == "plan";
    let mut ready = if check {
        prepare::read(&args.inventory, &args.connect)?
    } else {
        prepare::to_write(&args.inventory, &args.connect)?
    };
    check_tags(args, &ready)?;
    let mut graph = compile(&ready.site)?;
    if let Some(code) = lists(args, &ready, &graph) {
        return Ok(code);
    }
    if !check {
        ready.loaded.outside.save().map_err(Exit::invalid)?;
    }
    let run_id = run_id();
    let log = log_file(&run_id)?;
    let options = output::options(&args.output, args.diff || command == "plan", Some(log.clone()));
    let (events, ui) =
        Ui::start(&options).map_err(|e| Exit::failed(format!("cannot write the log {}: {e}", log.display())))?;
    events.send(Event::RunStarted {
        run_id,
        command: if check { "plan".into() } else { command.into() },
        hosts: ready.site.run_hosts().cloned().collect(),
        log,
    });
    let read = started.elapsed();
    let mut fleet = Fleet::connect(&ready.site, probes(&ready.site, &graph), args.connect.forks).await;
    fleet.phases.note("read", "", read);
    let world = fleet.first_look(&ready.site).await;
    if let Ok(world) = &world
        && let Err(exit) = same_site(&ready, world)
    {
        ui.finish();
        return Err(exit);
    }
    let all_reached = fleet.unreachable.is_empty() || args.skip_unreachable;
    if let Ok(world) = &world
        && ready.pki.store.is_provisional()
    {
        // A run that a gate will refuse makes no certificates either.
        let look_only = check || !all_reached || refused(&ready.site, &graph, world, &options_of(args));
        let outcome = first_certificates(&mut ready, world, look_only);
        if let Err(exit) = outcome {
            ui.finish();
            return Err(exit);
        }
        graph = compile(&ready.site)?;
    }
    let ask = Ask {
        options: options_of(args),
        check,
        skip_unreachable: args.skip_unreachable,
        detailed_exitcode: args.detailed_exitcode,
        again: again(),
    };
    let code = run_on(ready.site.clone(), graph, fleet, world, &ask, events, started).await;
    ui.finish();
    Ok(code)
}

fn options_of(args: &ApplyArgs) -> Options {
    Options { tags: args.tags.clone(), skip_tags: args.skip_tags.clone(), forks: args.connect.forks }
}

/// A control machine without the certificates of a platform that runs must not make a second authority.
fn first_certificates(ready: &mut Ready, world: &World, look_only: bool) -> Result<(), Exit> {
    if let Some((cluster, _)) = world.swarms.iter().find(|(_, s)| s.ours()) {
        return Err(Exit::refused(
            format!(
                "{cluster} runs a platform whose certificates are not on this machine ({} does not exist)",
                ready.pki.folder.display()
            ),
            "copy that folder from the machine that installed the platform, or name it with --pki-dir",
        ));
    }
    if look_only {
        return Ok(());
    }
    // Passwords and certificates of a platform come from that folder: without it its data is of no use.
    let holds = |v: &HostView| v.seen.as_ref().and_then(data_marker) == Some(true) || v.engine_trouble.is_some();
    if let Some((host, _)) = world.hosts.iter().find(|(_, v)| holds(v)) {
        return Err(Exit::refused(
            format!(
                "{host} holds a platform's data, or an engine that does not answer, and its certificates are not on \
                 this machine ({} does not exist)",
                ready.pki.folder.display()
            ),
            "copy that folder from the machine that installed the platform, or name it with --pki-dir",
        ));
    }
    ready.pki.create(Timestamp::now())?;
    ready.rebuild()
}

/// A platform made with another certificates folder would have all its certificates and passwords replaced.
fn same_site(ready: &Ready, world: &World) -> Result<(), Exit> {
    if ready.pki.store.is_provisional() {
        return Ok(());
    }
    let ours = ready.pki.store.site_id();
    for (cluster, swarm) in &world.swarms {
        let other =
            swarm.services.iter().map(|s| text(s, &["Spec", "Labels", SITE])).find(|s| !s.is_empty() && *s != ours);
        if let Some(other) = other {
            return Err(Exit::refused(
                format!(
                    "{cluster} was made with another certificates folder (site {other}) than {} (site {ours})",
                    ready.pki.folder.display()
                ),
                "name the right folder with --pki-dir",
            ));
        }
    }
    Ok(())
}

fn compile(site: &Arc<Site>) -> Result<TaskGraph, Exit> {
    graph::compile(site).map_err(|e| Exit::invalid(e.to_string()))
}

/// Ansible's special words are always right.
const SPECIAL: [&str; 5] = ["all", "always", "never", "tagged", "untagged"];

/// Tags of the roles, and those of what belongs to no role: the engine, pulls, services no longer wanted.
fn known_tags(ready: &Ready) -> Vec<String> {
    let mut known = ready.loaded.catalogue.tags();
    known.extend(["cleanup", "docker", "images"].map(str::to_owned));
    known.sort();
    known
}

fn check_tags(args: &ApplyArgs, ready: &Ready) -> Result<(), Exit> {
    let known = known_tags(ready);
    for tag in args.tags.iter().chain(&args.skip_tags) {
        if known.contains(tag) || SPECIAL.contains(&tag.as_str()) {
            continue;
        }
        let near = reemo_model::diag::nearest(tag, known.iter().map(String::as_str));
        let near = near.map(|n| format!("; did you mean `{n}`?")).unwrap_or_default();
        return Err(Exit::usage(format!("there is no tag `{tag}`{near}\n  tags: {}", known.join(", "))));
    }
    Ok(())
}

/// `--list-hosts`, `--list-tasks`, `--list-tags`, `--syntax-check`: print and stop.
fn lists(args: &ApplyArgs, ready: &Ready, graph: &TaskGraph) -> Option<u8> {
    let mut printer = output::printer(&args.output);
    if args.list_hosts {
        let names: Vec<String> = ready.site.run_hosts().map(|h| format!("  {h}")).collect();
        printer.print(&format!("hosts ({}):\n{}", names.len(), names.join("\n")));
    } else if args.list_tasks {
        let names: Vec<String> = graph
            .tasks()
            .filter(|t| t.select.includes(&args.tags, &args.skip_tags))
            .map(|t| format!("  {:<9} {}", t.stage.word(), t.id))
            .collect();
        printer.print(&names.join("\n"));
    } else if args.list_tags {
        printer.print(&known_tags(ready).join(", "));
    } else if args.syntax_check {
        printer.print(&format!(
            "{} hosts in {} clusters: nothing wrong found",
            ready.site.hosts.len(),
            ready.site.clusters.len()
        ));
    } else {
        return None;
    }
    Some(0)
}

/// Sortable by time, unique on this machine.
fn run_id() -> String {
    let now = Timestamp::now().to_string();
    let stamp: String = now.chars().filter(|c| c.is_ascii_alphanumeric()).take(15).collect();
    format!("{stamp}-{:04x}", rand::random::<u16>())
}

fn log_file(run_id: &str) -> Result<PathBuf, Exit> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let dir = state.unwrap_or_else(|| home().join(".local/state")).join("reemo-infra/runs").join(run_id);
    std::fs::create_dir_all(&dir).map_err(|e| Exit::failed(format!("cannot make {}: {e}", dir.display())))?;
    Ok(dir.join("run.log"))
}

/// The command as it was typed; secrets in it are scrubbed by whoever prints it.
fn again() -> String {
    std::env::args().skip(1).map(|word| reemo_model::quote::sh_quote(&word).into_owned()).collect::<Vec<_>>().join(" ")
}
