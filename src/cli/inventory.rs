//! `inventory`: read, check and print, without a connection. What it prints is what `ansible-inventory`
//! prints; role checks belong to `validate`.

use std::path::PathBuf;
use std::sync::Arc;

use reemo_model::diag::Diagnostics;
use reemo_model::inventory::list::{Format, Printer};
use reemo_model::inventory::{self, pattern};
use reemo_model::vars::{Vars, extra};

use super::args::{ConnectOptions, InventoryAction, InventoryArgs, OutputArgs};
use super::disk::Disk;
use super::prepare::{self, Exit};
use super::vault::passwords;
use super::{explain, load, output, playbook};

/// Names of this machine; Ansible has it in every inventory, in no group and in no list.
const LOCALHOST: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Runs it.
pub fn run(args: &InventoryArgs) -> Result<u8, Exit> {
    let mut printer = output::printer(&OutputArgs::default());
    if args.action == Some(InventoryAction::Validate) {
        let ready = prepare::read(&args.inventory, &ConnectOptions::default())?;
        printer.print(&ready.nothing_wrong());
        return Ok(0);
    }
    if args.inventory.inventory.is_empty() {
        return Err(Exit::usage("no inventory was given: -i inventory.yml"));
    }
    // What only runs care for is no business of a listing.
    let config = &args.inventory.config;
    let mut diagnostics: Diagnostics =
        config.diagnostics.iter().filter(|d| d.is_error() || d.code == "ansible-cfg-writable").cloned().collect();
    let playbook_dir = playbook::of_listing(&args.inventory, &mut diagnostics);
    let disk = Disk { vault: Arc::new(passwords::gather(&args.inventory.vault)?) };
    let options =
        inventory::Options { working_dir: Some(PathBuf::from(".")), ..load::reading(&args.inventory, playbook_dir) };
    let read = inventory::load(&disk, &args.inventory.inventory, &options);
    let mut texts = read.texts;
    texts.extend(config.texts.clone());
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
    let vars = Vars::new(inventory.clone()).with_merge(config.settings.merge).with_extra(extra).with_vault(disk.vault);
    let shown = Printer::new(&vars, Format { export: args.export, limit: limit.as_deref() });
    let text = if let Some(host) = &args.host {
        match inventory.host(host) {
            Some(_) => shown.host_text(host),
            None if LOCALHOST.contains(&host.as_str()) => shown.localhost_text(host),
            None => return Err(explain::no_host(&inventory, host)),
        }
    } else if let Some(group) = &args.graph {
        let graph = shown.graph(group, args.vars).map_err(|problem| {
            let mut problems = Diagnostics::from(problem);
            problems.attach(&texts);
            Exit::invalid(problems.render())
        })?;
        graph.ok_or_else(|| explain::no_group(&inventory, group))?
    } else if args.yaml {
        shown.yaml_text()
    } else if args.list {
        shown.list_text()
    } else {
        return Err(Exit::usage("say what to print: --list, --host HOST or --graph [GROUP]; or `inventory validate`"));
    };
    printer.print(&text);
    Ok(0)
}
