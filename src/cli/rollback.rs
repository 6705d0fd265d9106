//! `rollback`: the services as they were before a run, from the record the Swarm keeps.

use std::sync::Arc;

use reemo_model::catalogue::Stage;
use reemo_resource::swarm::TRUST;
use reemo_resource::swarm::observed::text;
use reemo_resource::swarm::service::release_of;
use reemo_ui::{Cell, Table};

use super::args::RollbackArgs;
use super::by_hand::ByHand;
use super::confirm::confirm;
use super::prepare::Exit;
use super::{db, output};
use crate::engine::dump::Kept;
use crate::engine::dump::restore::Source;
use crate::engine::fault::Fault;
use crate::engine::record::{self, Before};
use crate::engine::run::Changed;
use crate::engine::trust;

/// What is to be done on one cluster.
struct Way {
    cluster: String,
    /// In the order of the rollout.
    back: Vec<Changed>,
    /// The schema job's release before, and now.
    schema: Option<(String, String)>,
    /// What is left as it is, and why.
    left: Vec<String>,
    /// A service that would have certificates, or trust, of before a change of authority.
    apart: Option<String>,
}

/// Runs it.
pub async fn run(args: &RollbackArgs, argv: &[String]) -> Result<u8, Exit> {
    let hand = ByHand::begin("rollback", &args.hand, argv, false).await?;
    let asked = asked(args, &hand).await;
    let (ways, dump) = match asked {
        Ok(asked) => asked,
        Err(exit) => return Err(hand.refuse(exit).await),
    };
    let result = go(&hand, &ways, dump).await;
    Ok(hand.end(result).await)
}

async fn asked(args: &RollbackArgs, hand: &ByHand) -> Result<(Vec<Way>, Option<(Source, Kept)>), Exit> {
    let mut records = Vec::new();
    for cluster in hand.ready.site.clusters.keys() {
        if let Some(docker) = hand.run.manager_of(cluster).await? {
            records.push((cluster.clone(), record::read(&docker).await?));
        }
    }
    let mut runs: Vec<(String, String)> =
        records.iter().flat_map(|(_, r)| r).map(|r| (r.run.clone(), format!("{} by {}", r.command, r.by))).collect();
    runs.sort();
    runs.dedup();
    let chosen = match &args.to {
        None => runs.last(),
        Some(name) => runs.iter().find(|(run, _)| run.starts_with(name.as_str())),
    };
    let Some((run, words)) = chosen else {
        let known: Vec<&str> = runs.iter().map(|(r, _)| r.as_str()).collect();
        return Err(Exit::usage(match &args.to {
            Some(name) => format!("the Swarm has no record of a run `{name}`; it has: {}", known.join(", ")),
            None => "the Swarm has no record of a run that changed services".to_owned(),
        }));
    };
    let mut ways = Vec::new();
    for (cluster, all) in &records {
        ways.push(way(hand, cluster, record::before(all, run)).await);
    }
    show(args, hand, run, words, &ways);
    if ways.iter().all(|w| w.back.is_empty()) {
        return Err(Exit::refused("every service is what it was before that run: nothing is to be put back", ""));
    }
    if let Some(service) = ways.iter().find_map(|w| w.apart.as_ref()) {
        return Err(Exit::refused(
            format!(
                "{service} had certificates of before a change of authority then: the others would not understand it"
            ),
            "an older release is had with its DOCKER_VERSION_… and `apply`; the authority is not put back by a rollback",
        ));
    }
    let crossed = ways.iter().find_map(|w| Some((w, w.schema.as_ref()?)));
    let dump = match (&args.restore, crossed) {
        (Some(name), _) => Some(db::chosen(name, hand).await?),
        (None, Some((_, (was, now)))) => {
            let fitting = db::newest_of(was, hand).await?;
            let hint = match fitting {
                Some(name) => {
                    format!("to go back with the data as well: reemo-infra rollback --to {run} --restore {name}")
                }
                None => format!("there is no dump of the schema of {was} (`reemo-infra db list`)"),
            };
            return Err(Exit::refused(
                format!(
                    "the schema of the database went from {was} to {now} since then, and does not go back by itself"
                ),
                hint,
            ));
        }
        (None, None) => None,
    };
    if let (Some((_, kept)), Some((_, (was, _)))) = (&dump, crossed)
        && kept.release != *was
    {
        return Err(Exit::refused(
            format!("{} has the schema of {}, and the services that come back want {was}", kept.name, kept.release),
            "name a dump of that schema (`reemo-infra db list`)",
        ));
    }
    confirm(args.yes, "Put these services back")?;
    Ok((ways, dump))
}

async fn way(hand: &ByHand, cluster: &str, before: Vec<Before>) -> Way {
    let mut way = Way { cluster: cluster.to_owned(), back: Vec::new(), schema: None, left: Vec::new(), apart: None };
    let world = hand.run.world.read().await;
    let Some(there) = world.swarms.get(cluster) else { return way };
    let site = &hand.ready.site.clusters[cluster];
    let wanted = &site.wanted.services;
    for one in before {
        let now = there.service(&one.service);
        let (Some(spec), Some(now)) = (&one.before, now) else {
            if now.is_some() {
                way.left.push(format!("{}: was not there before; it stays", one.service));
            }
            continue;
        };
        if spec["TaskTemplate"] == now["Spec"]["TaskTemplate"] && spec["Mode"] == now["Spec"]["Mode"] {
            continue;
        }
        if one.job {
            let (was, is) = (release_of(spec).to_owned(), release_of(&now["Spec"]).to_owned());
            if was != is {
                way.schema = Some((was, is));
            }
            continue;
        }
        let Some(service) = wanted.iter().find(|s| s.name == one.service) else {
            way.left.push(format!("{}: no role wants it any more; it stays as it is", one.service));
            continue;
        };
        if !one.is_whole() {
            way.left
                .push(format!("{}: its settings held a secret, which no record keeps; it stays as it is", one.service));
            continue;
        }
        let then = text(spec, &["Labels", TRUST]);
        if service.has_certificates() && !trust::allows(site.trust.as_ref(), then) {
            way.apart.get_or_insert_with(|| one.service.clone());
        }
        way.back.push(Changed { cluster: cluster.to_owned(), service: Arc::new(service.clone()), before: one.before });
    }
    way
}

fn show(args: &RollbackArgs, hand: &ByHand, run: &str, words: &str, ways: &[Way]) {
    let mut printer = output::printer(&args.hand.output);
    printer.note(&format!("back to before run {run} ({words})"));
    let mut table = Table::new(["SERVICE", "CLUSTER", "NOW", "BEFORE"]);
    let world = hand.run.world.try_read();
    for way in ways {
        let there = world.as_ref().ok().and_then(|w| w.swarms.get(&way.cluster));
        for changed in way.back.iter().rev() {
            let now = there.and_then(|t| t.service(&changed.service.name)).map(|s| release_of(&s["Spec"]));
            let (now, before) = (now.unwrap_or_default(), changed.before.as_ref().map(release_of).unwrap_or_default());
            table.row([&changed.service.name, &way.cluster, now, before].map(Cell::new));
        }
    }
    printer.note(&table.render(printer.out));
    for line in ways.iter().flat_map(|w| &w.left) {
        printer.note(line);
    }
}

async fn go(hand: &ByHand, ways: &[Way], dump: Option<(Source, Kept)>) -> Result<(), Fault> {
    hand.lock().await?;
    let run = &hand.run;
    for way in ways.iter().filter(|w| !w.back.is_empty()) {
        run.record_now(&way.cluster, &way.back).await?;
    }
    // The last of the rollout first: a portal is never newer than its api.
    let all: Vec<&Changed> = ways.iter().flat_map(|w| &w.back).collect();
    for stage in [Stage::Portal, Stage::Services, Stage::Api, Stage::Mysql] {
        for changed in all.iter().filter(|c| c.service.stage == stage) {
            let loaded = dump.is_some() && changed.service.uses_database();
            if !loaded {
                run.put_back(changed).await?;
            }
        }
    }
    match &dump {
        Some((source, kept)) => {
            let empty = run.is_empty(source).await?;
            let back: Vec<Changed> = all.into_iter().cloned().collect();
            run.restore_dump(source, kept, empty, &back).await
        }
        None => run.green().await,
    }
}
