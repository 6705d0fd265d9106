//! `doctor`: what is around a platform and could stop it.

use jiff::Timestamp;
use reemo_model::finding::State;
use reemo_ui::findings;
use serde_json::json;

use super::args::{Format, StatusArgs};
use super::look::look;
use super::output;
use super::prepare::{self, Exit};
use crate::engine::apply::exit;
use crate::engine::doctor;

/// Runs it. Code 2 if something keeps a platform from working; warnings alone end with 0.
pub async fn run(args: &StatusArgs) -> Result<u8, Exit> {
    let ready = prepare::read(&args.inventory, &args.connect)?;
    let looked = look(&ready.site, args.connect.forks).await?;
    let seen = doctor::look(&ready.site, &looked.fleet, &looked.world, Timestamp::now().as_second()).await?;
    let rows = doctor::examine(&seen);
    let mut printer = output::printer(&args.output);
    match args.output.format {
        Format::Text => printer.print(&findings(&rows, printer.out)),
        _ => printer.print(&json!({"schema": 1, "rows": rows}).to_string()),
    }
    let unreachable = looked.say_unreachable(&mut printer);
    Ok(match rows.iter().map(|r| r.state).max() {
        _ if unreachable => exit::UNREACHABLE,
        Some(State::Problem) => exit::FAILED,
        _ => exit::OK,
    })
}
