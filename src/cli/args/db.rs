//! `db`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{ConnectOptions, InventoryOptions, OutputArgs};
use reemo_model::catalogue::Span;

/// Arguments of `db`.
#[derive(Debug, Clone, Args)]
pub struct DbArgs {
    /// `backup`: take a dump now. `list`: those that are kept. `restore`: put one back.
    pub action: DbAction,
    /// With restore: name of a dump (`db list` has them), or a file that `db backup --to` wrote.
    pub dump: Option<String>,
    /// With backup: also bring it to this machine, encrypted with the key of the certificates folder.
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// With restore: do not ask.
    #[arg(long)]
    pub yes: bool,
    /// With restore: do not dump what is there first, because it cannot be read any more.
    #[arg(long)]
    pub without_dump: bool,
    /// Cluster whose database is meant, where there are several.
    #[arg(long, value_name = "GROUP")]
    pub cluster: Option<String>,
    /// Wait so long (`30s`, `10m`) for another run on the same cluster to end; without it, exit 7 at once.
    #[arg(long = "lock-wait", value_name = "DURATION")]
    pub lock_wait: Option<Span>,
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

/// What `db` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DbAction {
    /// Take a dump now.
    Backup,
    /// The dumps that are kept.
    List,
    /// Put one back.
    Restore,
}
