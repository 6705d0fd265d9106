//! `graph`: the task graph, as text or DOT.

use super::args::{ConnectOptions, GraphArgs, OutputArgs};
use super::output;
use super::prepare::{self, Exit};
use crate::engine::graph;

/// Runs it.
pub fn run(args: &GraphArgs) -> Result<u8, Exit> {
    let ready = prepare::read(&args.inventory, &ConnectOptions::default())?;
    let graph = graph::compile(&ready.site).map_err(|e| Exit::invalid(e.to_string()))?;
    let text = if args.dot { graph.dot() } else { graph.text() };
    output::printer(&OutputArgs::default()).print(text.trim_end());
    Ok(0)
}
