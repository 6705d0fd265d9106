//! The shape of a run: connect, observe, plan, and for an apply: act, prove, verify, or put back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use reemo_model::change::Verdict;
use reemo_model::event::{Counts, Event, Outcome, Shown, Sink};
use reemo_resource::swarm::node::set_aside;

use super::doctor;
use super::evaluate::View;
use super::external::Found;
use super::fault::{Fault, FaultKind};
use super::finish::Finish;
use super::fleet::Fleet;
use super::graph::TaskGraph;
use super::interrupt::Signal;
use super::journal::Entry;
use super::lock::Wish;
use super::order;
use super::reach::{self, MaxFail};
use super::registry;
use super::rollback;
use super::run::{Ending, Options, Run};
use super::safety::Safety;
use super::site::Site;
use super::task::{Task, What};
use super::world::World;

pub use super::ask_hosts::probes;

/// Exit codes, in the words of `docs/exit-codes.md`. When several hold: 129, 130, 143 > 1 > 7 > 8 > 6 > 2 > 4.
pub mod exit {
    /// Everything is as wanted.
    pub const OK: u8 = 0;
    /// A task failed.
    pub const FAILED: u8 = 2;
    /// A host could not be reached.
    pub const UNREACHABLE: u8 = 4;
    /// The run failed; the old release is proven to serve.
    pub const ROLLED_BACK: u8 = 6;
    /// Another run holds the lock.
    pub const LOCKED: u8 = 7;
    /// A safety gate said no.
    pub const REFUSED: u8 = 8;
    /// `--detailed-exitcode`: changes are pending.
    pub const PENDING: u8 = 10;
    /// Stopped by SIGHUP.
    pub const HANGUP: u8 = 129;
    /// Stopped by ^C.
    pub const INTERRUPTED: u8 = 130;
    /// Stopped by SIGTERM.
    pub const TERMINATED: u8 = 143;
}

/// Looks at the verdicts of a run, and may refuse it.
pub type Review = Arc<dyn Fn(&[(Arc<Task>, Verdict)]) -> Result<(), Fault> + Send + Sync>;

/// What an operator asks of a run.
#[derive(Clone, Default)]
pub struct Ask {
    /// Tags and forks.
    pub options: Options,
    /// Compare only.
    pub check: bool,
    /// Go on without hosts that cannot be reached.
    pub skip_unreachable: bool,
    /// Go on without so many.
    pub max_fail: Option<MaxFail>,
    /// Ask the registry what each tag is now.
    pub refresh: bool,
    /// Exit 10 if a check finds changes.
    pub detailed_exitcode: bool,
    /// The command as the operator would type it again, without the program's name.
    pub again: String,
    /// What keeps it safe.
    pub safety: Safety,
    /// Asked what it thinks of the verdicts, before anything is done: a plan that is kept, or held to.
    pub review: Option<Review>,
    /// The lock that is taken before the first change; `None`: none.
    pub lock: Option<Wish>,
}

/// Runs it; returns the exit code.
pub async fn run(site: Arc<Site>, graph: TaskGraph, ask: &Ask, events: Sink) -> u8 {
    let started = Instant::now();
    let probes = probes(&site, &graph);
    let mut fleet = Fleet::connect(&site, probes, ask.options.forks).await;
    let world = look(&site, &graph, &mut fleet).await;
    run_on(site, graph, fleet, world, ask, events, started).await
}

/// What is there; and what is around hosts that are to become nodes.
pub async fn look(site: &Site, graph: &TaskGraph, fleet: &mut Fleet) -> Result<World, Fault> {
    let world = fleet.first_look(site).await?;
    let around = doctor::before(site, graph, fleet, &world, Timestamp::now().as_second()).await?;
    Ok(World { around, ..world })
}

/// The same over a fleet that is connected already. The journal's last line is written here.
pub async fn run_on(
    site: Arc<Site>,
    graph: TaskGraph,
    fleet: Fleet,
    world: Result<World, Fault>,
    ask: &Ask,
    events: Sink,
    started: Instant,
) -> u8 {
    let code = whole(site, graph, fleet, world, ask, events.clone(), started).await;
    if let Err(fault) = ask.safety.journal.note(Entry::Ended { code }).await {
        events.warn(fault.cause);
    }
    code
}

async fn whole(
    site: Arc<Site>,
    graph: TaskGraph,
    fleet: Fleet,
    world: Result<World, Fault>,
    ask: &Ask,
    events: Sink,
    started: Instant,
) -> u8 {
    let unreachable = report_unreachable(&site, &fleet, &events);
    fleet.phases.tell(&events);
    let fleet = Arc::new(fleet);
    let world = match (world, ask.refresh) {
        (Ok(world), true) => {
            let registry = registry::digests(&site, &fleet, &world).await;
            registry.map(|registry| World { registry, ..world })
        }
        (world, _) => world,
    };
    let world = match world {
        Ok(world) => world,
        Err(fault) => {
            let counts = site.run_hosts().map(|h| (h.clone(), Counts::default())).collect();
            return Finish { site: &site, fleet: &fleet, ask, events: &events, started }.failed(
                counts,
                fault,
                "as it was before: nothing was changed".into(),
                exit::FAILED,
            );
        }
    };
    for (node, word) in world.swarms.values().flat_map(set_aside) {
        events.warn(format!(
            "node {node} is set to `{word}`: nothing is started there until it is `docker node update --availability \
             active {node}`"
        ));
    }
    for found in world.databases.values() {
        if let Found::NotKnown(why) = found {
            events.warn(why);
        }
    }
    if !world.around.is_empty() {
        events.send(Event::Preflight { findings: world.around.clone() });
    }
    let run =
        Run::new(site.clone(), graph, fleet.clone(), world, events.clone(), ask.options.clone(), ask.safety.clone());
    let finish = Finish { site: &site, fleet: &fleet, ask, events: &events, started };
    if let Some(fault) = reach::stops(&site, &fleet, ask.skip_unreachable, ask.max_fail, ask.check) {
        let counts = idle(&run).await;
        return finish.failed(counts, fault, "as it was before: nothing was changed".into(), exit::UNREACHABLE);
    }
    let floor = if unreachable { exit::UNREACHABLE } else { exit::OK };
    let done = if ask.check { plan(&run, &finish).await } else { apply(&run, ask).await };
    run.unlock().await;
    match done {
        Done::Failed { counts, fault, serving, code } => finish.failed(counts, fault, serving, code),
        Done::Clean(counts, code) => finish.recap(counts, worse(code, floor)),
    }
}

/// What is still to be said.
enum Done {
    Failed { counts: BTreeMap<String, Counts>, fault: Fault, serving: String, code: u8 },
    Clean(BTreeMap<String, Counts>, u8),
}

impl Done {
    fn failed(counts: BTreeMap<String, Counts>, fault: Fault, serving: String, code: u8) -> Done {
        Done::Failed { counts, fault, serving, code }
    }
}

/// Evaluates everything, touches nothing.
async fn plan(run: &Arc<Run>, finish: &Finish<'_>) -> Done {
    let verdicts = run.fleet.phases.timed("decide", "", run.verdicts()).await;
    let mut counts = idle(run).await;
    let mut pending = false;
    let mut refused = false;
    for (task, verdict) in &verdicts {
        let host = run.counted_for(&*run.world.read().await, task);
        let line = counts.entry(host.clone()).or_default();
        let (outcome, change) = match verdict {
            Verdict::Unchanged => (Outcome::Ok, None),
            Verdict::Change(c) => (Outcome::Changed, Some(Shown { action: c.action, fields: c.fields.clone() })),
            Verdict::Unknown { until } => (Outcome::Unknown { until: until.clone() }, None),
            Verdict::Refused { why, .. } => (Outcome::Failed { why: why.clone() }, None),
        };
        match &outcome {
            Outcome::Failed { .. } => {
                refused = true;
                line.failed += 1;
            }
            Outcome::Changed => {
                pending = true;
                line.changed += 1;
                line.ok += 1;
            }
            _ => line.ok += 1,
        }
        finish.events.send(Event::TaskFinished {
            task: task.id.clone(),
            title: task.title.clone(),
            host,
            stage: task.stage.word().into(),
            outcome,
            change,
            seconds: 0.0,
        });
    }
    if let Some(fault) = guard(run, &verdicts).await {
        return Done::failed(counts, fault, String::new(), exit::REFUSED);
    }
    if let Some(fault) = reviewed(finish.ask, &verdicts) {
        let code = code_of(run, &fault);
        return Done::failed(counts, fault, String::new(), code);
    }
    let code = match (refused, pending && finish.ask.detailed_exitcode) {
        (true, _) => exit::REFUSED,
        (_, true) => exit::PENDING,
        _ => exit::OK,
    };
    Done::Clean(counts, code)
}

async fn apply(run: &Arc<Run>, ask: &Ask) -> Done {
    // Gates that can be answered now are answered before the first change.
    let verdicts = run.fleet.phases.timed("decide", "", run.verdicts()).await;
    let busy = match &ask.lock {
        Some(wish) => run.busy(wish).await,
        None => false,
    };
    if let Some(fault) = guard(run, &verdicts).await.filter(|_| !busy) {
        return Done::failed(idle(run).await, fault, run.serving().await, exit::REFUSED);
    }
    if let Some(fault) = reviewed(ask, &verdicts) {
        return Done::failed(idle(run).await, fault, run.serving().await, exit::REFUSED);
    }
    let todo = verdicts.iter().any(|(_, v)| !v.is_unchanged());
    if let Some(wish) = ask.lock.as_ref().filter(|_| !todo) {
        run.sweep(wish).await;
    }
    if let Some(wish) = ask.lock.clone().filter(|_| todo) {
        let refused = match run.lock(wish).await {
            Ok(false) => None,
            // Somebody else was at work: what was decided before is of no worth.
            Ok(true) => {
                let verdicts = run.verdicts().await;
                guard(run, &verdicts).await.or_else(|| reviewed(ask, &verdicts))
            }
            Err(fault) => Some(fault),
        };
        if let Some(fault) = refused {
            let code = code_of(run, &fault);
            return Done::failed(idle(run).await, fault, run.serving().await, code);
        }
    }
    let ending = run.execute().await;
    if let Some(signal) = run.safety.interrupt.signal().filter(|_| ending.unfinished()) {
        return interrupted(run, ending, signal).await;
    }
    if ending.faults.is_empty() {
        return verified(run, ending).await;
    }
    let mut code = ending.faults.iter().fold(exit::OK, |code, (_, fault)| worse(code, code_of(run, fault)));
    let mut fault = pick_first(&ending);
    if code == exit::FAILED && !ending.rollout.is_empty() {
        match run.roll_back(&ending.rollout).await {
            rollback::Outcome::OldReleaseServes => code = exit::ROLLED_BACK,
            rollback::Outcome::Untouched => {}
            rollback::Outcome::Unproven(problems) => {
                fault.last_lines.extend(problems);
                if rollback::schema_changed(&ending.rollout) {
                    fault = run.schema_stays(fault).await;
                }
            }
        }
    }
    if fault.kind == FaultKind::Unhealthy
        && fault.hint.is_empty()
        && let Some(Task { what: What::Service(s), .. }) = ending.faults.first().map(|(t, _)| &**t)
    {
        fault.hint = format!(
            "see what it says: reemo-infra logs {}{}; then correct it and run the same command again",
            s.name, run.options.same_site
        );
    }
    let serving = run.serving().await;
    Done::failed(ending.counts, fault, serving, code)
}

fn reviewed(ask: &Ask, verdicts: &[(Arc<Task>, Verdict)]) -> Option<Fault> {
    ask.review.as_ref().and_then(|review| review(verdicts).err())
}

/// What runs was ended; nothing is put back, since that would be something new.
async fn interrupted(run: &Arc<Run>, ending: Ending, signal: Signal) -> Done {
    let _ = run.safety.journal.note(Entry::Interrupted { signal: signal.name().into() }).await;
    let failed: Vec<String> = ending
        .faults
        .iter()
        .filter(|(_, f)| f.kind != FaultKind::Interrupted)
        .map(|(t, f)| format!("failed: {}: {}", t.title, f.cause))
        .collect();
    let fault =
        Fault::failed(format!("stopped by {}: what was under way has ended, the rest was not begun", signal.name()));
    let serving = run.serving().await;
    Done::failed(ending.counts, fault.lines(failed), serving, signal.code())
}

async fn verified(run: &Arc<Run>, ending: Ending) -> Done {
    match run.fleet.phases.timed("verify", "", run.verify()).await {
        Ok(differs) if differs.is_empty() => Done::Clean(ending.counts, exit::OK),
        Ok(differs) => {
            let list: Vec<String> = differs.iter().map(|(t, v)| format!("{}: {}", t.id, in_words(v))).collect();
            let fault = Fault::failed("everything was done, yet a second look still finds differences").lines(list);
            Done::failed(ending.counts, fault, run.serving().await, exit::FAILED)
        }
        Err(fault) => Done::failed(ending.counts, fault, run.serving().await, exit::FAILED),
    }
}

fn in_words(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Change(c) => c
            .fields
            .iter()
            .map(|f| {
                format!(
                    "{} is {}, wanted {}",
                    f.field,
                    f.was.as_deref().unwrap_or("absent"),
                    f.wanted.as_deref().unwrap_or("absent")
                )
            })
            .collect::<Vec<_>>()
            .join("; "),
        Verdict::Refused { why, .. } => why.clone(),
        Verdict::Unknown { until } => format!("unknown until {until}"),
        Verdict::Unchanged => String::new(),
    }
}

/// True if a gate says no to what is known now. Asked before anything is written on the control machine.
pub fn refused(site: &Site, graph: &TaskGraph, world: &World, options: &Options) -> bool {
    if doctor::bar(world, options).is_some() {
        return true;
    }
    let view = View { site, world, changed: &BTreeSet::new() };
    let included = |t: &&Arc<Task>| options.include(world, t);
    graph.tasks().filter(included).any(|t| matches!(view.verdict(t), Verdict::Refused { .. }))
}

/// The first refusal among what can be known before the first change.
async fn guard(run: &Arc<Run>, verdicts: &[(Arc<Task>, Verdict)]) -> Option<Fault> {
    if let Some(fault) = doctor::bar(&*run.world.read().await, &run.options) {
        return Some(fault);
    }
    for (_, verdict) in verdicts {
        if let Verdict::Refused { why, hint } = verdict {
            return Some(Fault::refused(why, hint));
        }
    }
    if run.options.tags.is_empty() && run.options.skip_tags.is_empty() {
        return None;
    }
    let all = run.every_verdict().await;
    let world = run.world.read().await;
    let unready = all
        .iter()
        .find(|(t, v)| matches!(t.what, What::Engine | What::Member | What::Network { .. }) && !v.is_unchanged());
    if let Some((task, _)) = unready {
        return Some(Fault::refused(
            format!("the cluster is not ready for a run with --tags: {} ({})", task.title, task.id),
            "run the same command without --tags first",
        ));
    }
    order::check(&all, &|t| run.includes(&world, t)).err()
}

fn pick_first(ending: &Ending) -> Fault {
    let Some((task, fault)) = ending.faults.first() else {
        return Fault::failed("nothing failed");
    };
    let place = task.host.as_ref().map_or_else(|| task.cluster.clone(), Clone::clone);
    let mut cause = format!("{} on {place}: {}", task.title, fault.cause);
    if ending.faults.len() > 1 {
        cause.push_str(&format!(" (and {} more failures, in the log)", ending.faults.len() - 1));
    }
    Fault { kind: fault.kind, cause, last_lines: fault.last_lines.clone(), hint: fault.hint.clone() }
}

/// The exit code of a run that ends with this.
pub fn code_of(run: &Run, fault: &Fault) -> u8 {
    match fault.kind {
        FaultKind::Refused => exit::REFUSED,
        FaultKind::Unreachable => exit::UNREACHABLE,
        FaultKind::Locked => exit::LOCKED,
        FaultKind::Interrupted => run.safety.interrupt.signal().map_or(exit::INTERRUPTED, Signal::code),
        FaultKind::Failed | FaultKind::Unhealthy | FaultKind::Moved => exit::FAILED,
    }
}

/// The worse of two exit codes.
pub fn worse(a: u8, b: u8) -> u8 {
    const ORDER: [u8; 11] = [130, 143, 129, 1, 7, 8, 6, 2, 4, 10, 0];
    let rank = |c: u8| ORDER.iter().position(|o| *o == c).unwrap_or(3);
    if rank(a) <= rank(b) { a } else { b }
}

async fn idle(run: &Arc<Run>) -> BTreeMap<String, Counts> {
    let world = run.world.read().await;
    run.site
        .run_hosts()
        .map(|h| (h.clone(), Counts { unreachable: u32::from(!world.reached(h)), ..Counts::default() }))
        .collect()
}

/// The table of hosts that cannot be reached, before anything is changed anywhere.
fn report_unreachable(site: &Site, fleet: &Fleet, events: &Sink) -> bool {
    for (name, error) in &fleet.unreachable {
        let address = site.hosts.get(name).map(|h| format!("{}@{}:{}", h.target.user, h.target.address, h.target.port));
        events.send(Event::HostUnreachable {
            host: name.clone(),
            address: address.unwrap_or_default(),
            cause: error.message.clone(),
            hint: error.hint.clone(),
        });
    }
    !fleet.unreachable.is_empty()
}
