//! `images list`.

use std::collections::BTreeMap;

use reemo_ui::{Cell, Table, Tone};
use serde_json::json;

use crate::cli::args::{ApplyArgs, Format};
use crate::cli::look::look;
use crate::cli::output;
use crate::cli::prepare::{self, Exit};
use crate::engine::apply::exit;
use crate::engine::images::inventory::{Row, rows};

/// Runs it.
pub async fn run(args: &ApplyArgs) -> Result<u8, Exit> {
    let ready = prepare::read(&args.inventory, &args.connect)?;
    let looked = look(&ready.site, args.connect.forks).await?;
    let rows: Vec<Row> = rows(&ready.site, &looked.graph, &looked.world)
        .into_iter()
        .filter(|r| ready.site.hosts.get(&r.host).is_some_and(|h| h.in_run))
        .collect();
    show(args, &rows);
    let mut printer = output::printer(&args.output);
    let unreachable = looked.say_unreachable(&mut printer);
    let missing = rows.iter().any(|r| r.present == Some(false));
    Ok(match (unreachable, missing && args.detailed_exitcode) {
        (true, _) => exit::UNREACHABLE,
        (false, true) => exit::PENDING,
        (false, false) => exit::OK,
    })
}

fn show(args: &ApplyArgs, rows: &[Row]) {
    let mut printer = output::printer(&args.output);
    let mut nodes: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows {
        nodes.entry((&row.cluster, &row.host)).or_default().push(row);
    }
    let names = |rows: &[&Row], state: Option<bool>| -> Vec<String> {
        rows.iter().filter(|r| r.present == state).map(|r| r.reference.clone()).collect()
    };
    if args.output.format != Format::Text {
        let all: Vec<_> = nodes
            .iter()
            .map(|((cluster, host), rows)| {
                json!({
                    "cluster": cluster, "host": host, "reached": rows.iter().all(|r| r.present.is_some()),
                    "present": names(rows, Some(true)), "missing": names(rows, Some(false)),
                })
            })
            .collect();
        return printer.print(&json!({"schema": 1, "nodes": all}).to_string());
    }
    let mut table = Table::new(["HOST", "CLUSTER", "WANTED", "PRESENT", "MISSING"]);
    for ((cluster, host), rows) in &nodes {
        let count = |state| names(rows, state).len();
        let (present, missing) = match count(None) {
            0 => (Cell::new(count(Some(true))), Cell::new(count(Some(false)))),
            _ => (Cell::new("?"), Cell::new("?")),
        };
        let tone = if count(Some(true)) == rows.len() { Tone::Ok } else { Tone::Failed };
        table.row([Cell::new(host), Cell::new(cluster), Cell::new(rows.len()), present, missing.tone(tone)]);
    }
    let mut text = table.render(printer.out);
    let each = rows.iter().filter(|r| args.output.verbose > 0 || r.present == Some(false));
    let mut table = Table::new(["IMAGE", "HOST", "STATE"]);
    for row in each {
        let (state, tone) = match row.present {
            Some(true) => ("present", Tone::Ok),
            Some(false) => ("missing", Tone::Failed),
            None => ("?", Tone::Failed),
        };
        table.row([Cell::new(&row.reference), Cell::new(&row.host), Cell::new(state).tone(tone)]);
    }
    if !table.is_empty() {
        text = format!("{text}\n\n{}", table.render(printer.out));
    }
    printer.print(&text);
}
