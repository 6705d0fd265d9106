//! `lock status` and `lock release`: who changes these clusters, and the way to take a dead one's lock.

use std::time::Duration;

use reemo_transport::Command;
use serde_json::json;

use super::args::{Format, LockAction, LockArgs};
use super::look::{Looked, look};
use super::prepare::{self, Exit};
use super::{output, state};
use crate::engine::apply::{exit, worse};
use crate::engine::fault::Fault;
use crate::engine::fleet::Fleet;
use crate::engine::lock::{Holder, Timing, files, managers, raft};
use crate::engine::owner::Owner;
use crate::engine::site::Site;
use crate::engine::world::World;

/// Runs it.
pub async fn run(args: &LockArgs) -> Result<u8, Exit> {
    let ready = prepare::read(&args.inventory, &args.connect)?;
    let looked = look(&ready.site, args.connect.forks).await?;
    let mut printer = output::printer(&args.output);
    let mut code = if looked.say_unreachable(&mut printer) { exit::UNREACHABLE } else { exit::OK };
    let Looked { fleet, world, .. } = looked;
    let mut found = Vec::new();
    for cluster in ready.site.clusters.keys() {
        let result = match args.action {
            LockAction::Status => status(&ready.site, &fleet, &world, cluster).await.map(|h| (h, exit::OK)),
            LockAction::Release => release(args, &ready.site, &fleet, &world, cluster).await,
        };
        match result {
            Ok((held, one)) => {
                code = worse(code, one);
                found.extend(held);
            }
            Err(fault) => {
                printer.error(&fault.cause, &fault.hint);
                code = worse(code, exit::FAILED);
            }
        }
    }
    if args.output.format == Format::Text {
        for (place, holder, said) in &found {
            printer.print(&format!("{place}: {}{said}", holder.in_words()));
        }
        if found.is_empty() {
            printer.print("nobody holds a lock");
        }
    } else {
        let list: Vec<_> =
            found.iter().map(|(p, h, said)| json!({"at": p, "holder": h, "said": said.trim()})).collect();
        printer.print(&json!({"schema": 1, "locks": list}).to_string());
    }
    Ok(code)
}

/// Where a lock was found, who holds it, and what became of it.
type Found = Vec<(String, Holder, String)>;

async fn status(site: &Site, fleet: &Fleet, world: &World, cluster: &str) -> Result<Found, Fault> {
    let life = |holder: &Holder| match holder.owner.is_gone() {
        Some(true) => "; that process is gone: the next run takes the lock over".to_owned(),
        Some(false) => "; that process runs".to_owned(),
        None => String::new(),
    };
    let managers = managers(site, fleet, world, cluster);
    if !managers.is_empty() {
        let held = raft::look(cluster, &managers).await?;
        return Ok(held.into_iter().map(|(h, _)| (cluster.to_owned(), h.clone(), life(&h))).collect());
    }
    let mut found = Vec::new();
    for (name, _) in site.hosts_of(cluster) {
        let Ok(host) = fleet.host(name) else { continue };
        let read = Command::new(["cat", "--", files::PATH]).timeout(Duration::from_secs(30));
        let output = host.exec(read, None).await?;
        if output.success() {
            let holder: Holder = serde_json::from_str(output.text().trim()).unwrap_or_default();
            found.push((name.clone(), holder.clone(), life(&holder)));
        }
    }
    Ok(found)
}

async fn release(
    args: &LockArgs,
    site: &Site,
    fleet: &Fleet,
    world: &World,
    cluster: &str,
) -> Result<(Found, u8), Fault> {
    let managers = managers(site, fleet, world, cluster);
    if managers.is_empty() {
        let found = status(site, fleet, world, cluster).await?;
        let alive = found.iter().any(|(_, h, _)| h.owner.is_gone() == Some(false));
        let mut said = Vec::new();
        for (name, holder, _) in found {
            if alive && !args.force {
                said.push((name, holder, ": it runs; end it first, or say --force".to_owned()));
                continue;
            }
            let remove = Command::new(["rm", "-f", "--", files::PATH]).timeout(Duration::from_secs(30));
            fleet.host(&name)?.exec(remove, None).await?;
            said.push((name, holder, ": released".to_owned()));
        }
        let code = if alive && !args.force { exit::LOCKED } else { exit::OK };
        return Ok((said, code));
    }
    let Some((holder, there)) = raft::look(cluster, &managers).await? else { return Ok((vec![], exit::OK)) };
    let one = |said: &str, holder: Holder| vec![(cluster.to_owned(), holder, said.to_owned())];
    if !args.force && holder.owner.is_gone() != Some(true) {
        // Somebody who lives gives a sign of it meanwhile.
        tokio::time::sleep(raft::watched(Timing::default().beat)).await;
        let Some((_, now)) = raft::look(cluster, &managers).await? else { return Ok((vec![], exit::OK)) };
        if now["ID"] != there["ID"] || now["Version"] != there["Version"] {
            return Ok((one(": it is alive; end it first, or say --force", holder), exit::LOCKED));
        }
    }
    let me = Owner::here(&state::run_id());
    let broken = raft::break_open(&managers, cluster, &there, &me).await?;
    let said = if broken { ": released" } else { ": it moved meanwhile and was left alone; look again" };
    Ok((one(said, holder), if broken { exit::OK } else { exit::LOCKED }))
}
