//! `apply`, `plan`, `images` and `maintenance`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reemo_model::catalogue::Stage;
use reemo_model::event::{Event, Sink};
use reemo_resource::swarm::observed::text;
use reemo_resource::swarm::{GENERATION, SITE};
use reemo_ui::Ui;

use super::args::{ApplyArgs, MaintenanceArgs, Switch};
use super::prepare::{self, Exit, Ready};
use super::{output, recipe, saved, signals, state, words};
use crate::engine::apply::{Ask, Review, exit, look, probes, refused, run_on};
use crate::engine::data;
use crate::engine::fleet::Fleet;
use crate::engine::graph::{self, TaskGraph};
use crate::engine::images::whole;
use crate::engine::interrupt::Signal;
use crate::engine::journal::{Began, Entry, Journal};
use crate::engine::lock::{Timing, Wish};
use crate::engine::owner::Owner;
use crate::engine::reach;
use crate::engine::run::Options;
use crate::engine::safety::Safety;
use crate::engine::site::Site;
use crate::engine::trust;
use crate::engine::world::{HostView, World};

/// `maintenance on|off`: the way people know it is `apply --tags maintenance -e MAINTENANCE_ENABLE=…`.
pub async fn maintenance(args: &MaintenanceArgs, argv: &[String]) -> Result<u8, Exit> {
    let mut apply = args.apply.clone();
    apply.tags = vec!["maintenance".into()];
    let on = args.state == Switch::On;
    apply.inventory.extra_vars.push(format!("MAINTENANCE_ENABLE={on}"));
    run(&apply, "maintenance", argv).await
}

/// Runs it.
pub async fn run(args: &ApplyArgs, command: &str, argv: &[String]) -> Result<u8, Exit> {
    let started = Instant::now();
    let check = args.check || command == "plan";
    let mut ready = if check {
        prepare::read(&args.inventory, &args.connect)?
    } else {
        prepare::to_write(&args.inventory, &args.connect)?
    };
    ready.prune(args.prune);
    check_tags(args, &ready)?;
    let graph = compile(&ready.site, command)?;
    if let Some(code) = lists(args, &ready, &graph) {
        return Ok(code);
    }
    if !check {
        ready.loaded.outside.save().map_err(Exit::invalid)?;
    }
    let run_id = state::run_id();
    let folder = state::folder(&run_id)?;
    let log = folder.join("run.log");
    let options = output::options(&args.output, args.diff || command == "plan", Some(log.clone()));
    let (events, ui) =
        Ui::start(&options).map_err(|e| Exit::failed(format!("cannot write the log {}: {e}", log.display())))?;
    let safety = safety(&folder, &run_id, (!check).then_some(command), argv, &ready).await?;
    signals::listen(&safety.interrupt, &events);
    events.send(Event::RunStarted {
        run_id: run_id.clone(),
        command: if check { "plan".into() } else { command.into() },
        hosts: ready.site.run_hosts().cloned().collect(),
        log,
    });
    let wish = Wish {
        owner: Owner::here(&run_id),
        reason: command.to_owned(),
        wait: Duration::from_millis(args.lock_wait.map_or(0, |s| s.0)),
        timing: Timing::default(),
        interrupt: safety.interrupt.clone(),
    };
    let ask = Ask {
        options: options_of(args),
        check,
        skip_unreachable: args.skip_unreachable,
        max_fail: args.max_fail,
        refresh: args.refresh,
        detailed_exitcode: args.detailed_exitcode,
        again: words::again(argv),
        safety: safety.clone(),
        lock: Some(wish),
        review: review(args, check, argv, &ready)?,
    };
    let result = tokio::select! {
        result = connected(args, command, &mut ready, graph, ask, &events, started) => result,
        // The journal has every step that was begun; what runs on a host runs to its end there.
        () = safety.interrupt.times(2) => {
            events.warn("left at once: `reemo-infra runs show` says what was under way");
            ui.finish();
            return Ok(safety.interrupt.signal().map_or(exit::INTERRUPTED, Signal::code));
        }
    };
    if let Err(exit) = &result {
        let _ = safety.journal.note(Entry::Ended { code: exit.code }).await;
    }
    ui.finish();
    result
}

/// The plan that is kept, or held to.
fn review(args: &ApplyArgs, check: bool, argv: &[String], ready: &Ready) -> Result<Option<Review>, Exit> {
    let plan = match (&args.plan, &args.out) {
        (Some(path), _) => Some(saved::read(path)?.hold(&ready.pki.store)),
        (None, Some(_)) if !check => return Err(Exit::usage("--out keeps a plan: reemo-infra plan --out FILE")),
        (None, Some(path)) => Some(saved::keep(path, recipe::of(argv, &ready.loaded.declarations), &ready.pki.store)?),
        (None, None) => None,
    };
    Ok(Some(whole::bundles(plan)))
}

/// Connects, looks, and runs.
async fn connected(
    args: &ApplyArgs,
    command: &str,
    ready: &mut Ready,
    mut graph: TaskGraph,
    ask: Ask,
    events: &Sink,
    started: Instant,
) -> Result<u8, Exit> {
    let looked = async {
        let read = started.elapsed();
        let mut fleet = Fleet::connect(&ready.site, probes(&ready.site, &graph), args.connect.forks).await;
        fleet.phases.note("read", "", read);
        let world = look(&ready.site, &graph, &mut fleet).await;
        (fleet, world)
    };
    let (fleet, mut world) = tokio::select! {
        looked = looked => looked,
        () = ask.safety.interrupt.times(1) => {
            let signal = ask.safety.interrupt.signal().unwrap_or(Signal::Interrupt);
            let hint = format!("reemo-infra {}", ask.again);
            let message = format!("stopped by {}: nothing was changed", signal.name());
            return Err(Exit { code: signal.code(), message, hint });
        }
    };
    if let Ok(world) = &world {
        same_site(ready, world)?;
        same_trust(ready, world)?;
    }
    let all_reached = reach::stops(&ready.site, &fleet, ask.skip_unreachable, ask.max_fail, ask.check).is_none();
    // Images need no certificates.
    if let Ok(world) = &mut world
        && ready.pki.store.is_provisional()
        && command != "images"
    {
        // A run that a gate will refuse makes no certificates either.
        let look_only = ask.check || !all_reached || refused(&ready.site, &graph, world, &ask.options);
        first_certificates(ready, world, look_only)?;
        if !look_only {
            // Now there is a certificate to show to a database that asks for one.
            world.databases = fleet.databases(&ready.site, world).await;
        }
        graph = compile(&ready.site, command)?;
    }
    Ok(run_on(ready.site.clone(), graph, fleet, world, &ask, events.clone(), started).await)
}

/// A journal for a run that may change something.
pub async fn safety(
    folder: &Path,
    run: &str,
    command: Option<&str>,
    argv: &[String],
    ready: &Ready,
) -> Result<Safety, Exit> {
    let Some(command) = command else { return Ok(Safety::default()) };
    let journal = Journal::create(folder)
        .map_err(|e| Exit::failed(format!("cannot write the journal in {}: {e}", folder.display())))?;
    let recipe = recipe::of(argv, &ready.loaded.declarations);
    let began = Began {
        run: run.to_owned(),
        command: command.to_owned(),
        argv: recipe.argv,
        withheld: recipe.withheld,
        cwd: std::env::current_dir().map(|d| d.display().to_string()).unwrap_or_default(),
        owner: Owner::here(run),
    };
    journal.note(Entry::Began(began)).await.map_err(|f| Exit { hint: f.hint, ..Exit::failed(f.cause) })?;
    Ok(Safety { journal, ..Safety::default() })
}

fn options_of(args: &ApplyArgs) -> Options {
    Options {
        tags: args.tags.clone(),
        skip_tags: args.skip_tags.clone(),
        forks: args.connect.forks,
        ignore_preflight: args.ignore_preflight.clone(),
        same_site: words::same_site(&args.inventory),
    }
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
    let holds = |v: &HostView| v.seen.as_ref().and_then(data::found) == Some(true) || v.engine_trouble.is_some();
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

/// A platform made with another certificates folder would have all its certificates and passwords replaced; one made with
/// newer roles would lose what they brought.
pub fn same_site(ready: &Ready, world: &World) -> Result<(), Exit> {
    for (cluster, swarm) in &world.swarms {
        let there = swarm.generation();
        if there > GENERATION {
            return Err(Exit::refused(
                format!(
                    "{cluster} was applied with newer roles (generation {there}) than this tool has ({GENERATION}): it would \
                     take back what they brought"
                ),
                "use the reemo-infra that applied it last, or a newer one (`reemo-infra --version` on the machine it was \
                 applied from)",
            ));
        }
    }
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

/// Certificates that services which run would not understand are not handed out.
fn same_trust(ready: &Ready, world: &World) -> Result<(), Exit> {
    for (name, cluster) in &ready.site.clusters {
        let Some(swarm) = world.swarms.get(name) else { continue };
        let with = cluster.wanted.services.iter().filter(|s| s.has_certificates()).map(|s| s.name.as_str()).collect();
        trust::compare(cluster.trust.as_ref(), &with, &swarm.services)
            .map_err(|apart| Exit::refused(format!("{name}: {} {}", apart.service, apart.why), apart.hint))?;
    }
    Ok(())
}

/// What the command is about: all of it, or what comes before the platform.
fn compile(site: &Arc<Site>, command: &str) -> Result<TaskGraph, Exit> {
    let whole = graph::compile(site).map_err(|e| Exit::invalid(e.to_string()))?;
    Ok(if command == "images" { whole.until(Stage::Images) } else { whole })
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
        printer.print(&ready.nothing_wrong());
    } else {
        return None;
    }
    Some(0)
}
