//! `doctor`: what is around a platform and could stop it, asked at any time. It looks and changes nothing. A check is a
//! function from what was seen to its rows; the next one is one more function in [`CHECKS`].

mod before;
mod clusters;
mod hosts;
mod names;
mod ways;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::join_all;
use reemo_model::finding::Finding;
use reemo_resource::host::surroundings::{Surroundings, Way, probes};
use reemo_transport::Host;

use super::fault::Fault;
use super::fleet::Fleet;
use super::observe;
use super::site::Site;
use super::world::World;

/// What an engine says beside what every run asks it.
#[derive(Clone, Debug, Default)]
pub struct EngineWords {
    /// `live-restore` is on: an engine of a Swarm cannot have it.
    pub live_restore: bool,
    /// It fetches images by way of a proxy of its own.
    pub proxied: bool,
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

pub use before::{BARS, bar, before};

type Check = fn(&Seen<'_>) -> Vec<Finding>;

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
pub fn examine(seen: &Seen<'_>) -> Vec<Finding> {
    CHECKS.iter().flat_map(|check| check(seen)).collect()
}

/// Takes the second look. Hosts that cannot be reached are left out: their rows say so.
pub async fn look<'a>(site: &'a Site, fleet: &Fleet, world: &'a World, now_s: i64) -> Result<Seen<'a>, Fault> {
    look_at(site, fleet, world, now_s, |_| true).await
}

async fn look_at<'a>(
    site: &'a Site,
    fleet: &Fleet,
    world: &'a World,
    now_s: i64,
    meant: impl Fn(&str) -> bool,
) -> Result<Seen<'a>, Fault> {
    let ways = ways::wanted(site, world);
    let hosts = fleet.hosts().filter(|(name, _)| meant(name));
    let hosts = join_all(hosts.map(|(name, conn)| async {
        let _slot = fleet.slot().await;
        one(name, conn, ways.get(name).map(Vec::as_slice)).await
    }));
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
        let proxied = [info.http_proxy, info.https_proxy].into_iter().flatten().any(|proxy| !proxy.is_empty());
        Some(EngineWords { live_restore: info.live_restore_enabled.unwrap_or_default(), proxied, warnings })
    };
    let (around, engine) = tokio::join!(observe::ask(conn, &asked), engine);
    (name.to_owned(), around.map(|outputs| Surroundings::parse(&outputs)), engine)
}
