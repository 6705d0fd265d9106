//! `doctor`: what is around a platform and could stop it.

use jiff::Timestamp;
use reemo_ui::{Cell, Paint, Table, Tone};
use serde_json::json;

use super::args::{Format, StatusArgs};
use super::look::look;
use super::output;
use super::prepare::{self, Exit};
use crate::engine::apply::exit;
use crate::engine::doctor::{self, Row, State};

/// Runs it. Code 2 if something keeps a platform from working; warnings alone end with 0.
pub async fn run(args: &StatusArgs) -> Result<u8, Exit> {
    let ready = prepare::read(&args.inventory, &args.connect)?;
    let looked = look(&ready.site, args.connect.forks).await?;
    let seen = doctor::look(&ready.site, &looked.fleet, &looked.world, Timestamp::now().as_second()).await?;
    let rows = doctor::examine(&seen);
    let mut printer = output::printer(&args.output);
    match args.output.format {
        Format::Text => printer.print(&in_text(&rows, printer.out)),
        _ => printer.print(&json!({"schema": 1, "rows": rows}).to_string()),
    }
    let unreachable = looked.say_unreachable(&mut printer);
    Ok(match rows.iter().map(|r| r.state).max() {
        _ if unreachable => exit::UNREACHABLE,
        Some(State::Problem) => exit::FAILED,
        _ => exit::OK,
    })
}

/// What is well in one line a check, the rest row by row with what to do.
fn in_text(rows: &[Row], paint: Paint) -> String {
    let mut checks: Vec<&'static str> = Vec::new();
    for row in rows {
        if !checks.contains(&row.check) {
            checks.push(row.check);
        }
    }
    let mut table = Table::new(["CHECK", "STATE", "OF", "FOUND"]);
    let mut remedies: Vec<&str> = Vec::new();
    for check in checks {
        let of: Vec<&Row> = rows.iter().filter(|r| r.check == check).collect();
        let well: Vec<&str> = of.iter().filter(|r| r.state == State::Ok).map(|r| r.of.as_str()).collect();
        if !well.is_empty() {
            let names = if well.len() > 4 { format!("{} of them", well.len()) } else { well.join(", ") };
            table.row([Cell::new(check), Cell::new(State::Ok.word()).tone(Tone::Ok), Cell::new(names), Cell::new("")]);
        }
        for row in of.into_iter().filter(|r| r.state != State::Ok) {
            let tone = match row.state {
                State::Problem => Tone::Failed,
                State::Warning => Tone::Warning,
                _ => Tone::Quiet,
            };
            let number = remedies.iter().position(|r| *r == row.remedy).unwrap_or_else(|| {
                remedies.push(&row.remedy);
                remedies.len() - 1
            });
            let found = format!("{} [{}]", row.found, number + 1);
            table.row([Cell::new(check), Cell::new(row.state.word()).tone(tone), Cell::new(&row.of), Cell::new(found)]);
        }
    }
    let mut parts = vec![table.render(paint)];
    let list: Vec<String> = remedies.iter().enumerate().map(|(n, r)| format!("[{}] {r}", n + 1)).collect();
    if !list.is_empty() {
        parts.push(list.join("\n"));
    }
    parts.join("\n\n")
}
