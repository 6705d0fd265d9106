//! `inventory`: read, check and print, without a connection. What it prints is what `ansible-inventory`
//! prints; role checks belong to `validate`.

use std::sync::Arc;

use reemo_model::diag::Diagnostics;
use reemo_model::inventory::list::{Format, Printer};
use reemo_model::inventory::{self, pattern};
use reemo_model::vars::{Vars, extra};

use super::args::{ConnectOptions, InventoryAction, InventoryArgs, OutputArgs};
use super::disk::Disk;
use super::prepare::{self, Exit};
use super::vault::passwords;
use super::{load, output};

/// Runs it.
pub fn run(args: &InventoryArgs) -> Result<u8, Exit> {
    let mut printer = output::printer(&OutputArgs::default());
    if args.action == Some(InventoryAction::Validate) {
        let ready = prepare::read(&args.inventory, &ConnectOptions::default())?;
        printer.print(&format!(
            "{} hosts in {} clusters: nothing wrong found",
            ready.site.hosts.len(),
            ready.site.clusters.len()
        ));
        return Ok(0);
    }
    if args.inventory.inventory.is_empty() {
        return Err(Exit::usage("no inventory was given: -i inventory.yml"));
    }
    let disk = Disk { vault: Arc::new(passwords::gather(&args.inventory.vault)?) };
    let read = inventory::load(&disk, &args.inventory.inventory, &Default::default());
    let (mut texts, mut diagnostics) = (read.texts, Diagnostics::new());
    diagnostics.extend(read.diagnostics);
    let extra = extra::parse(&args.inventory.extra_vars, &disk, &mut texts, &mut diagnostics);
    diagnostics.attach(&texts);
    if diagnostics.has_errors() {
        return Err(Exit::invalid(diagnostics.render()));
    }
    for warning in diagnostics.warnings() {
        printer.note(&warning.render());
    }
    let inventory = Arc::new(read.inventory);
    let limit = match args.inventory.limit.as_slice() {
        [] => None,
        parts => {
            let chosen =
                pattern::select_parts(&inventory, &load::words(parts)?).map_err(|e| Exit::usage(e.to_string()))?;
            Some(chosen.hosts)
        }
    };
    let vars = Vars::new(inventory.clone()).with_extra(extra).with_vault(disk.vault);
    let shown = Printer::new(&vars, Format { export: args.export, limit: limit.as_deref() });
    let text = if let Some(host) = &args.host {
        if inventory.host(host).is_none() {
            return Err(Exit::usage(format!("there is no host `{host}` in this inventory")));
        }
        shown.host_text(host)
    } else if args.graph {
        let graph = shown.graph("all", args.vars).map_err(|problem| {
            let mut problems = Diagnostics::from(problem);
            problems.attach(&texts);
            Exit::invalid(problems.render())
        })?;
        graph.unwrap_or_default()
    } else if args.yaml {
        shown.yaml_text()
    } else if args.list {
        shown.list_text()
    } else {
        return Err(Exit::usage("say what to print: --list, --host HOST or --graph; or `inventory validate`"));
    };
    printer.print(&text);
    Ok(0)
}
