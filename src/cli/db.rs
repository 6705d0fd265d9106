//! `db backup`, `db list` and `db restore`.

use std::path::Path;

use reemo_ui::{Cell, Table};
use serde_json::json;

use super::args::{DbAction, DbArgs, Format};
use super::by_hand::ByHand;
use super::confirm::confirm;
use super::prepare::Exit;
use super::{carry, output};
use crate::engine::dump::restore::Source;
use crate::engine::dump::{self, Kept};

/// Runs it.
pub async fn run(args: &DbArgs, argv: &[String]) -> Result<u8, Exit> {
    let (command, quiet) = match args.action {
        DbAction::Backup => ("db backup", true),
        DbAction::List => ("db list", true),
        DbAction::Restore => ("db restore", false),
    };
    check(args)?;
    let hand = ByHand::begin(command, &args.hand, argv, quiet).await?;
    match args.action {
        // A dump beside a schema job would hold half a schema.
        DbAction::Backup => hand.while_locked(backup(args, &hand)).await,
        DbAction::List => list(args, &hand).await,
        DbAction::Restore => restore(args, hand).await,
    }
}

fn check(args: &DbArgs) -> Result<(), Exit> {
    match (args.action, &args.dump, &args.to) {
        (DbAction::Restore, None, _) => Err(Exit::usage(
            "db restore: which dump? `reemo-infra db list` names them; a file of `db backup --to` will do",
        )),
        (DbAction::Backup | DbAction::List, Some(name), _) => {
            Err(Exit::usage(format!("db {:?} takes no name (`{name}`)", args.action).to_lowercase()))
        }
        (DbAction::Restore | DbAction::List, _, Some(_)) => Err(Exit::usage("--to belongs to `db backup`")),
        (DbAction::Backup, _, Some(to)) if to.exists() => {
            Err(Exit::usage(format!("{} is there already: give another name", to.display())))
        }
        _ => Ok(()),
    }
}

/// The databases that are meant.
async fn sources(cluster: Option<&str>, hand: &ByHand, reason: &str) -> Result<Vec<Source>, Exit> {
    let mut found = hand.run.databases(reason).await?;
    if let Some(wanted) = cluster {
        found.retain(|s| s.cluster == wanted);
        if found.is_empty() {
            return Err(Exit::usage(format!("--cluster: `{wanted}` has no database of its own")));
        }
    }
    Ok(found)
}

async fn one(cluster: Option<&str>, hand: &ByHand, reason: &str) -> Result<Source, Exit> {
    let mut found = sources(cluster, hand, reason).await?;
    match (found.len(), found.pop()) {
        (1, Some(source)) => Ok(source),
        (_, last) => Err(Exit::usage(format!(
            "there are several databases: say which, --cluster {}",
            last.map(|s| s.cluster).unwrap_or_default()
        ))),
    }
}

async fn backup(args: &DbArgs, hand: &ByHand) -> Result<u8, Exit> {
    let wanted = match &args.to {
        Some(_) => vec![one(args.cluster.as_deref(), hand, "by hand").await?],
        None => sources(args.cluster.as_deref(), hand, "by hand").await?,
    };
    let mut taken = Vec::new();
    for source in &wanted {
        let kept = hand.run.back_up(source).await?;
        if let Some(to) = &args.to {
            let host = hand.run.fleet.host(&source.host)?;
            carry::bring(&*host, &kept, to, &hand.ready.pki.passphrase()).await?;
        }
        taken.push(kept);
    }
    show(args, &taken);
    if let (Some(to), Format::Text) = (&args.to, args.hand.output.format) {
        output::printer(&args.hand.output).print(&format!("written to {}, encrypted", to.display()));
    }
    Ok(0)
}

async fn list(args: &DbArgs, hand: &ByHand) -> Result<u8, Exit> {
    show(args, &dump::once(all(hand).await?));
    Ok(0)
}

/// Dumps of all hosts: the database may have lived on another before.
async fn all(hand: &ByHand) -> Result<Vec<Kept>, Exit> {
    let mut found = Vec::new();
    for (_, host) in hand.run.fleet.hosts() {
        found.extend(dump::list(&**host).await?);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn show(args: &DbArgs, dumps: &[Kept]) {
    let mut printer = output::printer(&args.hand.output);
    if args.hand.output.format != Format::Text {
        return printer.print(&json!({"schema": 1, "dumps": dumps}).to_string());
    }
    if dumps.is_empty() {
        return printer.print(&format!("no dump is kept (in {} of the hosts)", dump::FOLDER));
    }
    let mut table = Table::new(["DUMP", "HOST", "DATABASE", "SCHEMA", "TABLES", "BYTES"]);
    for d in dumps {
        let release = if d.release.is_empty() { "?" } else { &d.release };
        let cells = [&d.name, &d.host, &d.database, release, &d.tables.to_string(), &d.bytes.to_string()];
        table.row(cells.map(Cell::new));
    }
    printer.print(&table.render(printer.out));
}

async fn restore(args: &DbArgs, hand: ByHand) -> Result<u8, Exit> {
    let asked = async {
        let source = one(args.cluster.as_deref(), &hand, "before restore").await?;
        let name = args.dump.as_deref().unwrap_or_default();
        let file = Path::new(name).is_file().then(|| Path::new(name));
        let carried = file.map(|f| carry::open(f, &hand.ready.pki.passphrase())).transpose()?;
        let kept = match &carried {
            Some(carried) => carried.kept.clone(),
            None => find(name, &source, &all(&hand).await?)?,
        };
        if kept.database != source.dump.database {
            return Err(Exit::refused(
                format!(
                    "{} is a dump of `{}`, and the database here is `{}`",
                    kept.name, kept.database, source.dump.database
                ),
                "set DB_NAME to the name it had, or give another dump",
            ));
        }
        let has = |release: &str| if release.is_empty() { "not known".to_owned() } else { release.to_owned() };
        let now = has(source.dump.release.as_deref().unwrap_or_default());
        confirm(
            args.yes,
            &format!(
                "Replace the database `{}` of {} by the dump of {} ({}; {} tables; schema of {}, now: {now})",
                kept.database,
                source.cluster,
                kept.taken,
                kept.reason,
                kept.tables,
                has(&kept.release)
            ),
        )?;
        Ok((source, carried, kept))
    };
    let (source, carried, kept) = match asked.await {
        Ok(asked) => asked,
        Err(exit) => return Err(hand.refuse(exit).await),
    };
    let done = async {
        hand.lock().await?;
        let host = hand.run.fleet.host(&source.host)?;
        let kept = match carried {
            Some(carried) => carried.send(&*host).await?,
            None => kept,
        };
        let empty = args.without_dump || hand.run.is_empty(&source).await?;
        hand.run.restore_dump(&source, &kept, empty, &[]).await
    };
    let result = done.await;
    Ok(hand.end(result).await)
}

/// A dump by its name or the beginning of it. It must lie where the database is.
fn find(name: &str, source: &Source, all: &[Kept]) -> Result<Kept, Exit> {
    let mut found: Vec<&Kept> = all.iter().filter(|d| d.name == name).collect();
    if found.is_empty() {
        found = all.iter().filter(|d| d.name.starts_with(name)).collect();
    }
    let here: Vec<&&Kept> = found.iter().filter(|d| d.host == source.host).collect();
    match (here.len(), found.len()) {
        (1, _) => Ok((*here[0]).clone()),
        (0, 0) => Err(Exit::usage(format!("there is no dump `{name}`; `reemo-infra db list` names them"))),
        (0, _) => Err(Exit::usage(format!(
            "{} lies on {}, and the database is on {}: copy both files of that name to {} there",
            found[0].name,
            found[0].host,
            source.host,
            dump::FOLDER
        ))),
        (n, _) => Err(Exit::usage(format!("{n} dumps begin with `{name}`: say more of it"))),
    }
}

/// A dump for a rollback: on the database's host, and whole.
pub async fn chosen(name: &str, hand: &ByHand) -> Result<(Source, Kept), Exit> {
    let source = one(None, hand, "before rollback").await?;
    let kept = find(name, &source, &all(hand).await?)?;
    Ok((source, kept))
}

/// The newest dump whose schema is of this release.
pub async fn newest_of(release: &str, hand: &ByHand) -> Result<Option<String>, Exit> {
    Ok(all(hand).await?.into_iter().rfind(|d| d.release == release).map(|d| d.name))
}
