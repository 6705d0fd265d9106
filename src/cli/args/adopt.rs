//! `adopt`.

use clap::Args;

use super::HandArgs;

/// Arguments of `adopt`.
#[derive(Debug, Clone, Args)]
pub struct AdoptArgs {
    /// Take it over: write labels and records. Nothing is restarted. Without it, only say what that would mean.
    #[arg(long)]
    pub yes: bool,
    /// As for everything that changes something.
    #[command(flatten)]
    pub hand: HandArgs,
}
