//! The commands: one file each.

mod adopt;
pub mod apply;
pub mod args;
mod by_hand;
mod carry;
mod certs;
mod check;
pub mod config;
mod confirm;
mod db;
mod disk;
mod docs;
mod doctor;
mod embed;
mod exec;
mod explain;
mod filter;
mod graph;
mod images;
mod initial;
mod inside;
mod inventory;
mod load;
mod lock;
mod look;
mod lookup;
mod nagios;
mod once;
mod output;
pub mod pasted;
mod playbook;
mod portal_certs;
pub mod prepare;
mod recipe;
mod render;
mod reset;
mod rollback;
mod rotate_ca;
mod runs;
mod saved;
mod signals;
mod site;
mod state;
mod status;
mod supply;
mod target;
pub mod vault;
mod words;

use args::{Cli, Command, OutputArgs};
use prepare::Exit;

/// Runs a command line; returns the exit code. `argv` are the words it was read from, the program's name first.
pub async fn main(cli: Cli, argv: Vec<String>) -> u8 {
    let (cli, argv) = match &cli.command {
        Command::Resume(args) => match runs::resumed(args) {
            Ok(again) => again,
            Err(exit) => return report(&exit),
        },
        Command::Apply(args) if args.plan.is_some() => match saved::again(args, &argv) {
            Ok(again) => again,
            Err(exit) => return report(&exit),
        },
        _ => (cli, argv),
    };
    let result = match &cli.command {
        Command::Apply(args) => apply::run(args, "apply", &argv).await,
        Command::Plan(args) => apply::run(args, "plan", &argv).await,
        Command::Images(args) => images::run(args, &argv).await,
        Command::Maintenance(args) => apply::maintenance(args, &argv).await,
        Command::Db(args) => db::run(args, &argv).await,
        Command::Adopt(args) => adopt::run(args, &argv).await,
        Command::Rollback(args) => rollback::run(args, &argv).await,
        Command::Lock(args) => lock::run(args).await,
        Command::Runs(args) => runs::run(args),
        Command::Resume(_) => Err(Exit::usage("a run of `resume` is named by the run it goes on with")),
        Command::Status(args) => status::run(args).await,
        Command::Check(args) => check::run(args).await,
        Command::Doctor(args) => doctor::run(args).await,
        Command::Certs(args) => certs::run(args, &argv).await,
        Command::Graph(args) => graph::run(args),
        Command::Exec(args) => exec::run(args).await,
        Command::Logs(args) => exec::logs(args).await,
        Command::Reset(args) => reset::run(args).await,
        Command::Inventory(args) => inventory::run(args),
        Command::Vault(args) => vault::run(args).await,
        Command::Explain(args) => explain::run(args),
        Command::Docs(args) => docs::run(args),
        Command::UiDemo(args) => demo(args),
    };
    match result {
        Ok(code) => code,
        Err(exit) => report(&exit),
    }
}

/// Says why the program ends; returns the exit code.
pub fn report(exit: &Exit) -> u8 {
    output::printer(&OutputArgs::default()).error(&exit.message, &exit.hint);
    exit.code
}

fn demo(args: &OutputArgs) -> Result<u8, Exit> {
    let options = output::options(args, true, None);
    let (events, ui) = reemo_ui::Ui::start(&options).map_err(|e| Exit::failed(e.to_string()))?;
    reemo_ui::play(&events, reemo_ui::Scene::Apply, std::time::Duration::from_millis(120));
    ui.finish();
    Ok(0)
}
