//! `db`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::HandArgs;

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
    /// Lock, inventory, login, output.
    #[command(flatten)]
    pub hand: HandArgs,
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
