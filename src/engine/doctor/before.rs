//! The same look before the first change of a run that makes nodes: what would keep them from becoming any is said while
//! nothing has been done yet. A run on nodes alone does not look, and costs nothing.

use std::collections::BTreeSet;

use reemo_model::finding::{Finding, State};

use super::{examine, look_at};
use crate::engine::fault::Fault;
use crate::engine::fleet::Fleet;
use crate::engine::graph::TaskGraph;
use crate::engine::run::Options;
use crate::engine::site::Site;
use crate::engine::task::What;
use crate::engine::world::{HostView, World};

/// Checks whose problems keep a run from beginning. `host` and `clock` have gates of their own (`engine/preflight.rs`);
/// the others find what the run itself mends, or what works all the same.
pub const BARS: [&str; 3] = ["kernel", "ports", "sources"];

/// What is not as it should be around the clusters that are to get nodes; empty if there is none.
pub async fn before(
    site: &Site,
    graph: &TaskGraph,
    fleet: &Fleet,
    world: &World,
    now_s: i64,
) -> Result<Vec<Finding>, Fault> {
    let joins = graph.tasks().filter(|t| matches!(t.what, What::Member)).filter_map(|t| t.host.as_ref());
    let new = joins.filter(|name| world.hosts.get(*name).is_some_and(becomes_node));
    let clusters: BTreeSet<&str> = new.map(|name| site.hosts[name].cluster.as_str()).collect();
    if clusters.is_empty() {
        return Ok(Vec::new());
    }
    let meant = |name: &str| site.hosts.get(name).is_some_and(|h| clusters.contains(h.cluster.as_str()));
    let seen = look_at(site, fleet, world, now_s, meant).await?;
    let mut found = examine(&seen);
    found.retain(|f| {
        f.state > State::Unknown && (clusters.contains(f.of.as_str()) || meant(&f.of) && world.reached(&f.of))
    });
    Ok(found)
}

/// It was reached, and is not a node of a Swarm. An engine that does not answer may well be that of a node.
fn becomes_node(view: &HostView) -> bool {
    view.reachable && view.engine_trouble.is_none() && view.engine.as_ref().is_none_or(|e| !e.in_swarm())
}

/// Refuses a run that would not come far.
pub fn bar(world: &World, options: &Options) -> Option<Fault> {
    let bars = |f: &&Finding| {
        f.state == State::Problem && BARS.contains(&f.check) && !options.ignore_preflight.iter().any(|i| i == f.check)
    };
    let problems: Vec<&Finding> = world.around.iter().filter(bars).collect();
    let checks: BTreeSet<&str> = problems.iter().map(|f| f.check).collect();
    let checks: Vec<&str> = checks.into_iter().collect();
    let lines = problems.iter().map(|f| format!("{} {}: {}", f.check, f.of, f.found)).collect();
    (!problems.is_empty()).then(|| {
        let what = if problems.len() == 1 { "1 problem".to_owned() } else { format!("{} problems", problems.len()) };
        let hint = format!(
            "the table above says what to do about each; if you know better: --ignore-preflight {}",
            checks.join(",")
        );
        Fault::refused(format!("preflight: {what}; nothing was changed"), hint).lines(lines)
    })
}
