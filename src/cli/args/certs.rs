//! `certs`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use reemo_model::catalogue::Span;

use super::{ConnectOptions, InventoryOptions, OutputArgs};

/// Arguments of `certs`.
#[derive(Debug, Clone, Args)]
pub struct CertsArgs {
    /// `list`: every certificate and its end. `check`: one line and an exit code, for supervision. `rotate SERVICE…`: the
    /// next apply issues others for these services. `rotate-ca`: change over to another authority, without a failed
    /// request. `export`: the authority in one encrypted file.
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
    /// With rotate-ca: go back from a change that is under way.
    #[arg(long)]
    pub back: bool,
    /// With rotate-ca: wait so long (`30s`, `10m`) for another run on the same cluster to end.
    #[arg(long = "lock-wait", value_name = "DURATION")]
    pub lock_wait: Option<Span>,
    /// With export: the file to write.
    #[arg(long, value_name = "FILE")]
    pub to: Option<PathBuf>,
    /// Inventory.
    #[command(flatten)]
    pub inventory: InventoryOptions,
    /// With rotate-ca: login.
    #[command(flatten)]
    pub connect: ConnectOptions,
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
    /// Change over to another authority.
    RotateCa,
    /// The authority in one encrypted file.
    Export,
}
