//! The command line. Flags keep Ansible's letters.

mod adopt;
mod certs;
mod db;
mod hand;
mod images;
mod runs;

use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use reemo_model::catalogue::Span;

pub use self::adopt::AdoptArgs;
pub use self::certs::{CertsAction, CertsArgs};
pub use self::db::{DbAction, DbArgs};
pub use self::hand::HandArgs;
pub use self::images::{ImagesAction, ImagesArgs};
pub use self::runs::{LockAction, LockArgs, ResumeArgs, RollbackArgs, RunsAction, RunsArgs};
use super::config::Config;
use super::vault::args::{VaultArgs, VaultOptions};
use crate::engine::doctor::BARS;
use crate::engine::reach::MaxFail;

/// Installs and runs the Reemo platform from an Ansible inventory, over SSH, without Ansible.
#[derive(Debug, Parser)]
#[command(name = "reemo-infra", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the platform what inventory and roles say: install, initialise, roll out in order.
    Apply(ApplyArgs),
    /// Show what apply would change and why; touches nothing (= apply --check --diff).
    Plan(ApplyArgs),
    /// Clusters, nodes, services, images, health.
    Status(StatusArgs),
    /// One line and an exit code for supervision: is everything there, and healthy?
    Check(CheckArgs),
    /// What is around the platform and could stop it: clocks, kernels, ports between nodes, names, registries.
    Doctor(StatusArgs),
    /// Bring hosts up to the images and start nothing; list, prune, save, load and mirror images.
    Images(Box<ImagesArgs>),
    /// Show or lift the maintenance page on the users' portal.
    Maintenance(MaintenanceArgs),
    /// What was run from this machine: list it, or show one run step by step.
    Runs(RunsArgs),
    /// The command of a run that did not end well, again.
    Resume(ResumeArgs),
    /// Who changes these clusters now; and the way to take a dead run's lock from it.
    Lock(LockArgs),
    /// When certificates end: a list, or one line and an exit code for supervision.
    Certs(CertsArgs),
    /// A platform of the Ansible role: what going on with it would mean; with --yes, take it over without a restart.
    Adopt(AdoptArgs),
    /// Put services back to what they were before a run.
    Rollback(RollbackArgs),
    /// Dump the database, list dumps, put one back.
    Db(DbArgs),
    /// Print the task graph.
    Graph(GraphArgs),
    /// Run a command on hosts: `exec PATTERN -- CMD…` (as `ansible PATTERN -m shell -a CMD`).
    Exec(ExecArgs),
    /// A service's log lines of all hosts, from their syslog.
    Logs(LogsArgs),
    /// Remove the platform from its hosts; the data stays unless asked otherwise.
    Reset(ResetArgs),
    /// Read the inventory, connect to nothing.
    Inventory(InventoryArgs),
    /// Encrypt, read and change files and values as `ansible-vault` does.
    Vault(VaultArgs),
    /// Say where the value of a host's variable comes from, and which definitions it beat.
    Explain(ExplainArgs),
    /// Print what is known about variables: for editors, for people.
    Docs(DocsArgs),
    /// Play a scripted run, to look at the output.
    #[command(hide = true)]
    UiDemo(OutputArgs),
}

/// Which inventory, and what is known beside it.
#[derive(Debug, Clone, Default, Args)]
pub struct InventoryOptions {
    /// Inventory: file, directory, or `host1,host2,`; may be given several times.
    #[arg(short = 'i', long = "inventory", value_name = "SOURCE")]
    pub inventory: Vec<String>,
    /// Variables that win over all others: k=v, JSON, YAML or @file; may be given several times.
    #[arg(short = 'e', long = "extra-vars", value_name = "VARS")]
    pub extra_vars: Vec<String>,
    /// Only these hosts (patterns: a:b:!c:&d, wildcards, ~regex, group[0]).
    #[arg(short = 'l', long = "limit", value_name = "PATTERN")]
    pub limit: Vec<String>,
    /// Let `lookup('pipe', …)` in the inventory run commands on this machine.
    #[arg(long)]
    pub allow_pipe: bool,
    /// Role files that override the built-in ones, key by key: DIR/*.yml and DIR/templates/.
    #[arg(long, value_name = "DIR")]
    pub roles: Option<PathBuf>,
    /// Folder whose group_vars/ and host_vars/ count as the playbook's; default: playbooks/.
    #[arg(long, value_name = "DIR")]
    pub playbook_dir: Option<PathBuf>,
    /// Folder of the internal certificates; default: `.reemo/<name of the inventory>` beside the inventory.
    #[arg(long, value_name = "DIR", env = "REEMO_PKI_DIR")]
    pub pki_dir: Option<PathBuf>,
    /// File with the passphrase of that folder; default: a key made in your configuration directory.
    #[arg(long, value_name = "FILE", env = "REEMO_PKI_PASSPHRASE_FILE")]
    pub pki_passphrase_file: Option<PathBuf>,
    /// Vault passwords.
    #[command(flatten)]
    pub vault: VaultOptions,
    /// `ansible.cfg` and the environment.
    #[arg(skip)]
    pub config: Arc<Config>,
}

/// How to log in.
#[derive(Debug, Clone, Default, Args)]
pub struct ConnectOptions {
    /// Log in as this user.
    #[arg(short = 'u', long = "user", value_name = "USER")]
    pub user: Option<String>,
    /// Private key for login.
    #[arg(long = "private-key", visible_alias = "key-file", value_name = "FILE")]
    pub private_key: Option<PathBuf>,
    /// Ask for the login password.
    #[arg(short = 'k', long = "ask-pass")]
    pub ask_pass: bool,
    /// Become root by sudo (the default; kept for habit).
    #[arg(short = 'b', long = "become")]
    pub r#become: bool,
    /// Ask for sudo's password.
    #[arg(short = 'K', long = "ask-become-pass")]
    pub ask_become_pass: bool,
    /// Become this user.
    #[arg(long = "become-user", value_name = "USER", default_value = "root")]
    pub become_user: String,
    /// Limit for connecting, in seconds.
    #[arg(short = 'T', long = "timeout", value_name = "SECONDS", default_value_t = 10)]
    pub timeout: u64,
    /// Further OpenSSH options (-o …, -J …), as in ansible_ssh_common_args.
    #[arg(long = "ssh-common-args", value_name = "ARGS", allow_hyphen_values = true)]
    pub ssh_common_args: Option<String>,
    /// Record the keys of hosts that are not known yet (a changed key is always refused).
    #[arg(long = "accept-new-host-keys")]
    pub accept_new: bool,
    /// Hosts worked on at the same time.
    #[arg(short = 'f', long = "forks", value_name = "N", default_value_t = 50)]
    pub forks: usize,
    /// `ansible.cfg` and the environment.
    #[arg(skip)]
    pub config: Arc<Config>,
}

/// What is printed.
#[derive(Debug, Clone, Default, Args)]
pub struct OutputArgs {
    /// Form of the output.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Colours; NO_COLOR is honoured.
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// More: unchanged tasks, output lines.
    #[arg(short = 'v', long = "verbose", action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// At the end: round trips to each host, and how long each part of the run took.
    #[arg(long)]
    pub timings: bool,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document at the end.
    Json,
    /// One JSON line per event.
    Jsonl,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Arguments of `apply` and `plan`.
#[derive(Debug, Clone, Default, Args)]
pub struct ApplyArgs {
    /// A plan that `plan --out FILE` has kept. It brings its inventory and options; only -e and --lock-wait go with it.
    #[arg(value_name = "PLAN")]
    pub plan: Option<PathBuf>,
    /// Inventory.
    #[command(flatten)]
    pub inventory: InventoryOptions,
    /// Login.
    #[command(flatten)]
    pub connect: ConnectOptions,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
    /// Only what has one of these tags (the order db, api, others, portal is kept).
    #[arg(short = 't', long = "tags", value_name = "TAGS", value_delimiter = ',')]
    pub tags: Vec<String>,
    /// Leave out what has one of these tags.
    #[arg(long = "skip-tags", value_name = "TAGS", value_delimiter = ',')]
    pub skip_tags: Vec<String>,
    /// Show what would change, change nothing.
    #[arg(short = 'C', long = "check")]
    pub check: bool,
    /// With plan: keep the plan in a file; `apply FILE` does exactly that, or nothing.
    #[arg(long = "out", value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Show differences field by field.
    #[arg(short = 'D', long = "diff")]
    pub diff: bool,
    /// Go on without hosts that cannot be reached (the exit code is still 4).
    #[arg(long = "skip-unreachable")]
    pub skip_unreachable: bool,
    /// Go on without hosts that cannot be reached if they are at most so many: `2`, or `10%` (the exit code is still 4).
    #[arg(long = "max-fail", value_name = "N|%")]
    pub max_fail: Option<MaxFail>,
    /// Ask the registry what each tag names now; without it a tag means what is deployed.
    #[arg(long = "refresh")]
    pub refresh: bool,
    /// Wait so long (`30s`, `10m`) for another run on the same cluster to end; without it, exit 7 at once.
    #[arg(long = "lock-wait", value_name = "DURATION")]
    pub lock_wait: Option<Span>,
    /// Drain, demote and remove nodes of the Swarm that are no hosts of the inventory, as far as the quorum allows.
    #[arg(long = "prune")]
    pub prune: bool,
    /// Go on though these checks of the hosts' surroundings (`kernel`, `ports`, `sources`) found a problem.
    #[arg(long = "ignore-preflight", value_name = "CHECKS", value_delimiter = ',', value_parser = PossibleValuesParser::new(BARS))]
    pub ignore_preflight: Vec<String>,
    /// Exit 10 if a check finds changes.
    #[arg(long = "detailed-exitcode")]
    pub detailed_exitcode: bool,
    /// Print the hosts of this run and stop.
    #[arg(long = "list-hosts")]
    pub list_hosts: bool,
    /// Print the tasks of this run and stop.
    #[arg(long = "list-tasks")]
    pub list_tasks: bool,
    /// Print all tags and stop.
    #[arg(long = "list-tags")]
    pub list_tags: bool,
    /// Read and check everything that can be checked without connecting, and stop.
    #[arg(long = "syntax-check")]
    pub syntax_check: bool,
}

/// `check`.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CheckArgs {
    /// Inventory.
    #[command(flatten)]
    pub inventory: InventoryOptions,
    /// Login.
    #[command(flatten)]
    pub connect: ConnectOptions,
    /// Nagios' line and exit codes: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    #[arg(long)]
    pub nagios: bool,
}

/// Arguments of `status`.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
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

/// Arguments of `maintenance`.
#[derive(Debug, Clone, Args)]
pub struct MaintenanceArgs {
    /// Show the page, or lift it.
    pub state: Switch,
    /// As for apply.
    #[command(flatten)]
    pub apply: ApplyArgs,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Users see the maintenance page.
    On,
    /// Users see the portal.
    Off,
}

/// Arguments of `graph`.
#[derive(Debug, Clone, Args)]
pub struct GraphArgs {
    /// Inventory.
    #[command(flatten)]
    pub inventory: InventoryOptions,
    /// Graphviz instead of text.
    #[arg(long)]
    pub dot: bool,
}

/// Arguments of `exec`.
#[derive(Debug, Clone, Args)]
pub struct ExecArgs {
    /// Hosts.
    pub pattern: String,
    /// The command; one argument is given to a shell, several are run as they are.
    #[arg(last = true, required = true)]
    pub command: Vec<String>,
    /// Inventory.
    #[command(flatten)]
    pub inventory: InventoryOptions,
    /// Login.
    #[command(flatten)]
    pub connect: ConnectOptions,
}

/// Arguments of `logs`.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    /// Service, with or without `reemo_`.
    pub service: String,
    /// Lines per host.
    #[arg(short = 'n', long = "lines", default_value_t = 50)]
    pub lines: u32,
    /// Inventory.
    #[command(flatten)]
    pub inventory: InventoryOptions,
    /// Login.
    #[command(flatten)]
    pub connect: ConnectOptions,
}

/// Arguments of `reset`.
#[derive(Debug, Clone, Args)]
pub struct ResetArgs {
    /// Do not ask.
    #[arg(long)]
    pub yes: bool,
    /// Also remove /opt/reemo and the volumes: the platform's data.
    #[arg(long)]
    pub delete_data: bool,
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

/// Arguments of `inventory`.
#[derive(Debug, Clone, Args)]
pub struct InventoryArgs {
    /// `validate`: check instead of print.
    pub action: Option<InventoryAction>,
    /// Inventory.
    #[command(flatten)]
    pub inventory: InventoryOptions,
    /// All hosts and variables, as `ansible-inventory --list`.
    #[arg(long)]
    pub list: bool,
    /// The variables of one host.
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// The groups as a tree, from GROUP down.
    #[arg(long, value_name = "GROUP", num_args = 0..=1, default_missing_value = "all")]
    pub graph: Option<String>,
    /// With --graph: variables too.
    #[arg(long)]
    pub vars: bool,
    /// YAML instead of JSON.
    #[arg(short = 'y', long = "yaml")]
    pub yaml: bool,
    /// As `ansible-inventory --export`.
    #[arg(long)]
    pub export: bool,
}

/// What `inventory` does instead of printing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InventoryAction {
    /// Check everything the roles know, without connecting.
    Validate,
}

/// Arguments of `explain`.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// A host of the inventory.
    pub host: String,
    /// A variable.
    pub variable: String,
    /// Inventory.
    #[command(flatten)]
    pub inventory: InventoryOptions,
    /// Output.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Arguments of `docs`.
#[derive(Debug, Clone, Args)]
pub struct DocsArgs {
    /// What to print.
    pub what: Docs,
    /// Role files that override the built-in ones.
    #[arg(long, value_name = "DIR")]
    pub roles: Option<PathBuf>,
}

/// What `docs` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Docs {
    /// A JSON Schema of inventories, for editors.
    Schema,
    /// The page of all variables, in Markdown.
    Variables,
}
