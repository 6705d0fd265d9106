//! `certs`.

use clap::{Args, ValueEnum};

use super::{InventoryOptions, OutputArgs};

/// Arguments of `certs`.
#[derive(Debug, Clone, Args)]
pub struct CertsArgs {
    /// `list`: every certificate and its end. `check`: one line and an exit code, for supervision. `rotate SERVICE…`: the
    /// next apply issues others for these services.
    pub action: CertsAction,
    /// With rotate: services as `certs list` names them.
    pub services: Vec<String>,
    /// With rotate: all services.
    #[arg(long)]
    pub all: bool,
    /// Certificates that end within so many days are named; default: when they are renewed (30 days before their end, the
    /// authority's own 824).
    #[arg(long, value_name = "N")]
    pub days: Option<i64>,
    /// With check: Nagios' exit codes: 0 OK, 1 WARNING (renewal is due), 2 CRITICAL (ended), 3 UNKNOWN.
    #[arg(long)]
    pub nagios: bool,
    /// Inventory.
    #[command(flatten)]
    pub inventory: InventoryOptions,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What `certs` does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CertsAction {
    /// Every certificate and its end.
    List,
    /// One line and an exit code.
    Check,
    /// The next apply issues others.
    Rotate,
}
