//! `runs`, `resume`, `rollback` and `lock`.

use clap::{Args, Subcommand, ValueEnum};

use super::{ConnectOptions, HandArgs, InventoryOptions, OutputArgs};

/// Arguments of `runs`.
#[derive(Debug, Clone, Args)]
pub struct RunsArgs {
    /// What to show.
    #[command(subcommand)]
    pub action: RunsAction,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What `runs` shows.
#[derive(Debug, Clone, Subcommand)]
pub enum RunsAction {
    /// All runs, oldest first.
    List,
    /// One run, step by step.
    Show {
        /// Its name, or the beginning of it; the last run where none is given.
        run: Option<String>,
    },
}

/// Arguments of `lock`.
#[derive(Debug, Clone, Args)]
pub struct LockArgs {
    /// `status`: who holds it. `release`: take it from a run that is dead.
    pub action: LockAction,
    /// With release: also from one that lives.
    #[arg(long)]
    pub force: bool,
    /// Inventory.
    #[command(flatten)]
    pub inventory: InventoryOptions,
    /// Login.
    #[command(flatten)]
    pub connect: ConnectOptions,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What `lock` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LockAction {
    /// Who holds it.
    Status,
    /// Take it from a run that is dead.
    Release,
}

/// Arguments of `resume`.
#[derive(Debug, Clone, Args)]
pub struct ResumeArgs {
    /// Name of the run, or the beginning of it; the last run where none is given.
    pub run: Option<String>,
    /// Variables that were given with -e and are not kept, because they are or may be secret.
    #[arg(short = 'e', long = "extra-vars", value_name = "VARS")]
    pub extra_vars: Vec<String>,
}

/// Arguments of `rollback`.
#[derive(Debug, Clone, Args)]
pub struct RollbackArgs {
    /// The run before which the services were as they are to be again, or the beginning of its name; default: the last
    /// that changed services, from whatever machine.
    #[arg(long, value_name = "RUN")]
    pub to: Option<String>,
    /// Put this dump back as well (`db list` names them): needed where the schema of the database has changed since.
    #[arg(long, value_name = "DUMP")]
    pub restore: Option<String>,
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Lock, inventory, login, output.
    #[command(flatten)]
    pub hand: HandArgs,
}
