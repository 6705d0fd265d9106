//! `ansible.cfg`, found as Ansible finds it, and what it and the environment mean for our flags.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgMatches;
use clap::parser::ValueSource;
use reemo_model::ansible_cfg::{self, Around, Settings};
use reemo_model::diag::{Diagnostic, Diagnostics, Located, Place, Texts};

use super::args::{Cli, Command, ConnectOptions, InventoryOptions};
use super::vault::args::VaultOptions;

/// What was found, and what is wrong with it.
#[derive(Clone, Default)]
pub struct Config {
    /// The settings.
    pub settings: Settings,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
    /// The file's text.
    pub texts: Texts,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Config")
    }
}

/// Reads the file and the environment of this process.
pub fn read() -> Config {
    let env = std::env::vars_os();
    let env = env.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let cwd = std::env::current_dir().unwrap_or_default();
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let mut around = Around { file: None, env: env.collect(), cwd, home };
    let mut config = Config::default();
    if let Some(path) = find(&around, &mut config.diagnostics) {
        let file: Arc<Path> = Arc::from(path);
        match std::fs::read(&file) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes).into_owned();
                config.texts.add(&file, text.clone());
                around.file = Some((file, text));
            }
            Err(error) => config.diagnostics.push(
                Diagnostic::error("ansible-cfg", format!("cannot read it: {error}"))
                    .at(Place::file(&*file))
                    .help("correct its permissions, or name another with ANSIBLE_CONFIG"),
            ),
        }
    }
    let (settings, diagnostics) = ansible_cfg::read(&around);
    config.settings = settings;
    config.diagnostics.extend(diagnostics);
    if config.settings.host_key_checking.as_ref().is_some_and(|on| !on.value) {
        let place = config.settings.host_key_checking.as_ref().and_then(|on| on.place.clone());
        config.diagnostics.push(
            Diagnostic::warning("ansible-cfg-host-keys", "`host_key_checking` is off")
                .at(place)
                .help("keys of hosts that are not known yet are recorded; a changed key is refused all the same"),
        );
    }
    config
}

/// `ANSIBLE_CONFIG` (a file, or a folder with one), `./ansible.cfg` unless everybody may write to the folder,
/// `~/.ansible.cfg`, `/etc/ansible/ansible.cfg`: the first that can be read.
fn find(around: &Around, diagnostics: &mut Diagnostics) -> Option<PathBuf> {
    let mut candidates = Vec::new();
    if let Some(named) = around.env.get("ANSIBLE_CONFIG").filter(|name| !name.is_empty()) {
        let path = match named.strip_prefix("~/") {
            Some(rest) => around.home.join(rest),
            None => PathBuf::from(named),
        };
        let path = if path.is_dir() { path.join("ansible.cfg") } else { path };
        if !path.exists() {
            diagnostics.push(
                Diagnostic::warning("ansible-cfg", format!("`ANSIBLE_CONFIG` names `{named}`, which does not exist"))
                    .help("as Ansible does, the next place is looked at: ./ansible.cfg, ~/.ansible.cfg, /etc/ansible"),
            );
        }
        candidates.push(path);
    }
    let here = PathBuf::from("ansible.cfg");
    let everybody = std::fs::metadata(".").is_ok_and(|m| m.permissions().mode() & 0o002 != 0);
    let mut passed_over = false;
    if !everybody {
        candidates.push(here);
    } else {
        passed_over = here.exists();
    }
    candidates.push(around.home.join(".ansible.cfg"));
    candidates.push(PathBuf::from("/etc/ansible/ansible.cfg"));
    let named = around.env.contains_key("ANSIBLE_CONFIG");
    let found = candidates.iter().position(|path| std::fs::File::open(path).is_ok_and(|_| path.is_file()));
    if passed_over && !(named && found == Some(0)) {
        diagnostics.push(
            Diagnostic::warning(
                "ansible-cfg-writable",
                "this ansible.cfg is not read: everybody may write to its folder",
            )
            .at(Place::file("ansible.cfg"))
            .help("as Ansible does; take the permission away (`chmod o-w .`), or set ANSIBLE_CONFIG=ansible.cfg"),
        );
    }
    found.map(|at| candidates.swap_remove(at))
}

/// Lays the settings below the flags: what was typed wins.
pub fn settle(cli: &mut Cli, matches: &ArgMatches, config: Config) {
    let config = Arc::new(config);
    let settings = &config.settings;
    let typed = matches.subcommand().map(|(_, sub)| sub);
    let defaulted = |name: &str| {
        typed.is_some_and(|sub| {
            sub.try_contains_id(name).is_ok() && sub.value_source(name) == Some(ValueSource::DefaultValue)
        })
    };
    let (inventory, connect) = parts(&mut cli.command);
    if let Some(options) = inventory {
        if options.inventory.is_empty() {
            options.inventory = settings.inventory.as_ref().map(|found| found.value.clone()).unwrap_or_default();
        }
        vault(&mut options.vault, settings);
        options.config = Arc::clone(&config);
    }
    let Some(connect) = connect else { return };
    fn value<T: Clone>(found: &Option<Located<T>>) -> Option<T> {
        found.as_ref().map(|found| found.value.clone())
    }
    connect.user = connect.user.take().or_else(|| value(&settings.remote_user));
    connect.private_key = connect.private_key.take().or_else(|| value(&settings.private_key_file));
    connect.ask_pass |= value(&settings.ask_pass).unwrap_or(false);
    connect.ask_become_pass |= value(&settings.become_ask_pass).unwrap_or(false);
    if defaulted("timeout") {
        connect.timeout = value(&settings.timeout).unwrap_or(connect.timeout);
    }
    if defaulted("forks") {
        connect.forks = value(&settings.forks).unwrap_or(connect.forks);
    }
    if defaulted("become_user") {
        connect.become_user = value(&settings.become_user).unwrap_or_else(|| connect.become_user.clone());
    }
    connect.config = config;
}

/// Vault passwords named in the file; those of the environment the vault finds itself.
fn vault(options: &mut VaultOptions, settings: &Settings) {
    fn in_file<T>(found: &Option<Located<T>>) -> Option<&T> {
        let from_env = |place: &Place| place.file.to_string_lossy().starts_with('$');
        found.as_ref().filter(|found| !found.place.as_ref().is_some_and(from_env)).map(|found| &found.value)
    }
    if let Some(ids) = in_file(&settings.vault_identity_list) {
        options.vault_id.splice(0..0, ids.iter().cloned());
    }
    options.vault_password_file.extend(in_file(&settings.vault_password_file).cloned());
    options.ask_vault_pass |= in_file(&settings.ask_vault_pass).copied().unwrap_or(false);
}

/// The options of a command that settings can fill.
fn parts(command: &mut Command) -> (Option<&mut InventoryOptions>, Option<&mut ConnectOptions>) {
    match command {
        Command::Apply(a) | Command::Plan(a) => (Some(&mut a.inventory), Some(&mut a.connect)),
        Command::Images(a) => (Some(&mut a.apply.inventory), Some(&mut a.apply.connect)),
        Command::Maintenance(a) => (Some(&mut a.apply.inventory), Some(&mut a.apply.connect)),
        Command::Check(a) => (Some(&mut a.inventory), Some(&mut a.connect)),
        Command::Db(a) => (Some(&mut a.hand.inventory), Some(&mut a.hand.connect)),
        Command::Adopt(a) => (Some(&mut a.hand.inventory), Some(&mut a.hand.connect)),
        Command::Rollback(a) => (Some(&mut a.hand.inventory), Some(&mut a.hand.connect)),
        Command::Lock(a) => (Some(&mut a.inventory), Some(&mut a.connect)),
        Command::Status(a) | Command::Doctor(a) => (Some(&mut a.inventory), Some(&mut a.connect)),
        Command::Certs(a) => (Some(&mut a.inventory), Some(&mut a.connect)),
        Command::Exec(a) => (Some(&mut a.inventory), Some(&mut a.connect)),
        Command::Logs(a) => (Some(&mut a.inventory), Some(&mut a.connect)),
        Command::Reset(a) => (Some(&mut a.inventory), Some(&mut a.connect)),
        Command::Graph(a) => (Some(&mut a.inventory), None),
        Command::Inventory(a) => (Some(&mut a.inventory), None),
        Command::Explain(a) => (Some(&mut a.inventory), None),
        _ => (None, None),
    }
}
