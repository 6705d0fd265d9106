//! `doctor`: what is around a platform and could stop it, asked at any time. It looks and changes nothing. A check is a
//! function from what was seen to its rows; the next one is one more function in [`CHECKS`].

mod clusters;
mod hosts;
mod names;
mod ways;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use reemo_resource::host::surroundings::{Surroundings, Way, probes};
use reemo_transport::Host;
use serde::Serialize;

use super::fault::Fault;
use super::fleet::Fleet;
use super::observe;
use super::site::Site;
use super::world::World;

/// What a check came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// It could not be found out.
    Unknown,
    /// It works, and may not for ever.
    Warning,
    /// The platform cannot be installed so, or does not work.
    Problem,
}

impl State {
    /// As it is printed.
    pub fn word(self) -> &'static str {
        match self {
            State::Ok => "ok",
            State::Unknown => "unknown",
            State::Warning => "warning",
            State::Problem => "problem",
        }
    }
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// What was looked at: `clock`, `ports`.
    pub check: &'static str,
    /// Host or cluster.
    pub of: String,
    /// How it is.
    pub state: State,
    /// What was found; empty for `ok`.
    pub found: String,
    /// What to do; empty for `ok`.
    pub remedy: String,
}

impl Row {
    fn ok(check: &'static str, of: &str) -> Row {
        Row { check, of: of.to_owned(), state: State::Ok, found: String::new(), remedy: String::new() }
    }

    fn new(check: &'static str, of: &str, state: State, found: impl Into<String>, remedy: impl Into<String>) -> Row {
        Row { check, of: of.to_owned(), state, found: found.into(), remedy: remedy.into() }
    }
}

/// What an engine says beside what every run asks it.
#[derive(Clone, Debug, Default)]
pub struct EngineWords {
    /// `live-restore` is on: an engine of a Swarm cannot have it.
    pub live_restore: bool,
    /// What it warns of itself.
    pub warnings: Vec<String>,
}

/// Everything there is to judge.
pub struct Seen<'a> {
    /// What is wanted.
    pub site: &'a Site,
    /// The first look.
    pub world: &'a World,
    /// Seconds since 1970.
    pub now_s: i64,
    /// The second look, by host.
    pub around: BTreeMap<String, Surroundings>,
    /// By host; those without an engine are missing.
    pub engines: BTreeMap<String, EngineWords>,
    /// Addresses of each `PORTAL_URL` as this machine finds them; empty: none.
    pub portals: BTreeMap<String, Vec<IpAddr>>,
}

type Check = fn(&Seen<'_>) -> Vec<Row>;

/// In the order they are shown.
const CHECKS: [Check; 14] = [
    hosts::basics,
    hosts::hardware,
    hosts::clock,
    hosts::kernel,
    hosts::syslog,
    hosts::upgrades,
    hosts::engine,
    hosts::certificates,
    ways::ports,
    ways::sources,
    clusters::managers,
    clusters::nodes,
    clusters::pool,
    names::portal,
];

/// What they find.
pub fn examine(seen: &Seen<'_>) -> Vec<Row> {
    CHECKS.iter().flat_map(|check| check(seen)).collect()
}

/// Takes the second look. Hosts that cannot be reached are left out: their rows say so.
pub async fn look<'a>(site: &'a Site, fleet: &Fleet, world: &'a World, now_s: i64) -> Result<Seen<'a>, Fault> {
    let ways = ways::wanted(site, world);
    let hosts = join_all(fleet.hosts().map(|(name, conn)| one(name, conn, ways.get(name).map(Vec::as_slice))));
    let (hosts, portals) = tokio::join!(hosts, names::resolved(site));
    let mut seen = Seen { site, world, now_s, around: BTreeMap::new(), engines: BTreeMap::new(), portals };
    for (name, around, engine) in hosts {
        seen.around.insert(name.clone(), around?);
        seen.engines.extend(engine.map(|words| (name, words)));
    }
    Ok(seen)
}

async fn one(
    name: &str,
    conn: &Arc<dyn Host>,
    ways: Option<&[Way]>,
) -> (String, Result<Surroundings, Fault>, Option<EngineWords>) {
    let asked = probes(ways.unwrap_or_default());
    let engine = async {
        let info = conn.docker().await.ok()?.info().await.ok()?;
        let warnings = info.warnings.unwrap_or_default();
        Some(EngineWords { live_restore: info.live_restore_enabled.unwrap_or_default(), warnings })
    };
    let (around, engine) = tokio::join!(observe::ask(conn, &asked), engine);
    (name.to_owned(), around.map(|outputs| Surroundings::parse(&outputs)), engine)
}
