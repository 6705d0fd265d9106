//! What every command that changes something and is no `apply` takes.

use clap::Args;
use reemo_model::catalogue::Span;

use super::{ConnectOptions, InventoryOptions, OutputArgs};

/// Lock, inventory, login, output.
#[derive(Debug, Clone, Args)]
pub struct HandArgs {
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
