//! The order of updates binds successive tagged commands too: a tag whose predecessors are behind is
//! refused, naming the tags that are owed (seed 001: "il est impératif de commencer par DB, puis API,
//! tous les autres services et terminé par PORTAL").

use std::collections::BTreeSet;
use std::sync::Arc;

use reemo_model::catalogue::Stage;
use reemo_model::change::{Action, Verdict};

use super::fault::Fault;
use super::task::{Task, What};

/// Refuses a tagged run that would overtake what comes before it. `all` are the verdicts of every task,
/// `selected` says which are part of the run.
pub fn check(all: &[(Arc<Task>, Verdict)], selected: &dyn Fn(&Task) -> bool) -> Result<(), Fault> {
    let latest = all.iter().filter(|(t, v)| is_service(t) && selected(t) && updates(t, v)).map(|(t, _)| t.stage).max();
    let Some(latest) = latest else { return Ok(()) };
    let mut owed: Vec<(Stage, String)> = all
        .iter()
        .filter(|(t, v)| is_service(t) && !selected(t) && t.stage < latest && t.stage >= Stage::Db && updates(t, v))
        .filter_map(|(t, _)| Some((t.stage, tag(t)?)))
        .collect();
    owed.sort();
    let mut seen = BTreeSet::new();
    owed.retain(|(_, tag)| seen.insert(tag.clone()));
    if owed.is_empty() {
        return Ok(());
    }
    let tags: Vec<&str> = owed.iter().map(|(_, t)| t.as_str()).collect();
    let cause = match tags.as_slice() {
        [one] => format!("`{one}` comes first and is not up to date"),
        many => format!("these come first and are not up to date: {}", many.join(", ")),
    };
    Err(Fault::refused(
        cause,
        format!("db, then api, then everything else, then portal: run --tags {} first, or no --tags at all", tags[0]),
    ))
}

fn is_service(task: &Task) -> bool {
    matches!(task.what, What::Service(_))
}

/// A job that has to run, or a service whose spec changes; one that is merely not running is no update.
fn updates(task: &Task, verdict: &Verdict) -> bool {
    let job = matches!(&task.what, What::Service(s) if s.job.is_some());
    matches!(verdict, Verdict::Change(c) if job || c.action != Action::Run)
}

fn tag(task: &Task) -> Option<String> {
    match &task.what {
        What::Service(s) => s.tags.first().cloned(),
        _ => None,
    }
}
