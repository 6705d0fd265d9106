//! `ansible.cfg` and the `ANSIBLE_*` variables of the environment: what they say about the inventory, the login,
//! sudo and the vault. Everything else in them is named, so that nothing is ignored without a word.
//!
//! Names, types and precedence are those of ansible-core 2.19 (`ansible-config list`): the environment wins over the
//! file, and inventory variables and flags over both.

mod ini;
mod values;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diag::{Diagnostic, Diagnostics, Located, Place};
use crate::secret::Secret;

/// What Ansible would see: the file it found, and where it runs.
#[derive(Clone, Default)]
pub struct Around {
    /// The file and its text.
    pub file: Option<(Arc<Path>, String)>,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// The working directory.
    pub cwd: PathBuf,
    /// The home directory.
    pub home: PathBuf,
}

/// Settings that are honoured; absent ones have our defaults.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `inventory`: used when no `-i` is given.
    pub inventory: Option<Located<Vec<String>>>,
    /// `remote_user`.
    pub remote_user: Option<Located<String>>,
    /// `private_key_file`.
    pub private_key_file: Option<Located<PathBuf>>,
    /// `remote_port`.
    pub remote_port: Option<Located<u16>>,
    /// `host_key_checking`.
    pub host_key_checking: Option<Located<bool>>,
    /// `timeout`, in seconds.
    pub timeout: Option<Located<u64>>,
    /// `forks`.
    pub forks: Option<Located<usize>>,
    /// `transport`.
    pub transport: Option<Located<String>>,
    /// `ask_pass`.
    pub ask_pass: Option<Located<bool>>,
    /// `ssh_args`.
    pub ssh_args: Option<Located<String>>,
    /// `ssh_common_args`.
    pub ssh_common_args: Option<Located<String>>,
    /// `ssh_extra_args`.
    pub ssh_extra_args: Option<Located<String>>,
    /// `become`.
    pub r#become: Option<Located<bool>>,
    /// `become_method`.
    pub become_method: Option<Located<String>>,
    /// `become_user`.
    pub become_user: Option<Located<String>>,
    /// `become_ask_pass`.
    pub become_ask_pass: Option<Located<bool>>,
    /// The password of the sudo plugin.
    pub become_password: Option<Located<Secret>>,
    /// `vault_password_file`.
    pub vault_password_file: Option<Located<PathBuf>>,
    /// `vault_identity_list`: `id@source`, as `--vault-id`.
    pub vault_identity_list: Option<Located<Vec<String>>>,
    /// `ask_vault_pass`.
    pub ask_vault_pass: Option<Located<bool>>,
    /// `hash_behaviour = merge`.
    pub merge: bool,
    /// `inventory_ignore_extensions`.
    pub ignore_extensions: Option<Located<Vec<String>>>,
    /// `inventory_ignore_patterns`: regular expressions.
    pub ignore_patterns: Option<Located<Vec<String>>>,
    /// `playbook_dir`.
    pub playbook_dir: Option<Located<PathBuf>>,
}

/// Reads file and environment. Errors are values Ansible would refuse too, or read as something nobody means.
pub fn read(around: &Around) -> (Settings, Diagnostics) {
    let mut diagnostics = Diagnostics::new();
    let entries = match &around.file {
        Some((file, text)) => ini::read(file, text, &mut diagnostics),
        None => Vec::new(),
    };
    let mut reader = Reader { around, entries, used: HashSet::new(), used_env: HashSet::new(), out: diagnostics };
    let settings = reader.settings();
    reader.name_the_rest();
    (settings, reader.out)
}

/// Variables of the environment that `vault` reads itself.
const OF_THE_VAULT: [&str; 4] =
    ["ANSIBLE_VAULT_IDENTITY", "ANSIBLE_VAULT_ID_MATCH", "ANSIBLE_VAULT_ENCRYPT_IDENTITY", "ANSIBLE_EDITOR"];

/// Section and key.
type Key = (&'static str, &'static str);

/// A value before it is understood.
struct Raw {
    text: String,
    place: Place,
    /// From the file: relative paths start beside it, and quotes around a text are taken off.
    from_file: bool,
}

struct Reader<'a> {
    around: &'a Around,
    entries: Vec<ini::Entry>,
    used: HashSet<Key>,
    used_env: HashSet<&'static str>,
    out: Diagnostics,
}

impl Reader<'_> {
    fn settings(&mut self) -> Settings {
        const D: &str = "defaults";
        const S: &str = "ssh_connection";
        const P: &str = "privilege_escalation";
        Settings {
            inventory: self.get(&[(D, "inventory")], &["ANSIBLE_INVENTORY"], values::sources),
            remote_user: self.get(&[(D, "remote_user")], &["ANSIBLE_REMOTE_USER"], values::text),
            private_key_file: self.get(&[(D, "private_key_file")], &["ANSIBLE_PRIVATE_KEY_FILE"], values::path),
            remote_port: self.get(&[(D, "remote_port")], &["ANSIBLE_REMOTE_PORT"], values::number),
            host_key_checking: self.get(
                &[(S, "host_key_checking"), (D, "host_key_checking")],
                &["ANSIBLE_SSH_HOST_KEY_CHECKING", "ANSIBLE_HOST_KEY_CHECKING"],
                values::boolean,
            ),
            timeout: self.get(
                &[(D, "timeout"), (S, "timeout")],
                &["ANSIBLE_TIMEOUT", "ANSIBLE_SSH_TIMEOUT"],
                values::number,
            ),
            forks: self.get(&[(D, "forks")], &["ANSIBLE_FORKS"], values::number),
            transport: self.get(&[(D, "transport")], &["ANSIBLE_TRANSPORT"], values::text),
            ask_pass: self.get(&[(D, "ask_pass")], &["ANSIBLE_ASK_PASS"], values::boolean),
            ssh_args: self.get(&[(S, "ssh_args")], &["ANSIBLE_SSH_ARGS"], values::text),
            ssh_common_args: self.get(&[(S, "ssh_common_args")], &["ANSIBLE_SSH_COMMON_ARGS"], values::text),
            ssh_extra_args: self.get(&[(S, "ssh_extra_args")], &["ANSIBLE_SSH_EXTRA_ARGS"], values::text),
            r#become: self.get(&[(P, "become")], &["ANSIBLE_BECOME"], values::boolean),
            become_method: self.get(&[(P, "become_method")], &["ANSIBLE_BECOME_METHOD"], values::text),
            become_user: self.get(
                &[(P, "become_user"), ("sudo_become_plugin", "user")],
                &["ANSIBLE_BECOME_USER", "ANSIBLE_SUDO_USER"],
                values::text,
            ),
            become_ask_pass: self.get(&[(P, "become_ask_pass")], &["ANSIBLE_BECOME_ASK_PASS"], values::boolean),
            become_password: self.get(
                &[("sudo_become_plugin", "password")],
                &["ANSIBLE_SUDO_PASS", "ANSIBLE_BECOME_PASS"],
                values::secret,
            ),
            vault_password_file: self.get(
                &[(D, "vault_password_file")],
                &["ANSIBLE_VAULT_PASSWORD_FILE"],
                values::path,
            ),
            vault_identity_list: self.get(
                &[(D, "vault_identity_list")],
                &["ANSIBLE_VAULT_IDENTITY_LIST"],
                values::list,
            ),
            ask_vault_pass: self.get(&[(D, "ask_vault_pass")], &["ANSIBLE_ASK_VAULT_PASS"], values::boolean),
            merge: self
                .get(&[(D, "hash_behaviour")], &["ANSIBLE_HASH_BEHAVIOUR"], values::hash_behaviour)
                .is_some_and(|found| found.value),
            ignore_extensions: self.get(
                &[("inventory", "ignore_extensions"), (D, "inventory_ignore_extensions")],
                &["ANSIBLE_INVENTORY_IGNORE"],
                values::list,
            ),
            ignore_patterns: self.get(
                &[("inventory", "ignore_patterns"), (D, "inventory_ignore_patterns")],
                &["ANSIBLE_INVENTORY_IGNORE_REGEX"],
                values::patterns,
            ),
            playbook_dir: self.get(&[(D, "playbook_dir")], &["ANSIBLE_PLAYBOOK_DIR"], values::path),
        }
    }

    /// The first that is set: the environment, then the file. An empty value counts as not set.
    fn get<T>(
        &mut self,
        keys: &[Key],
        env: &[&'static str],
        read: fn(&Raw, &Around) -> Result<T, String>,
    ) -> Option<Located<T>> {
        self.used.extend(keys);
        self.used_env.extend(env);
        let from_env = env.iter().find_map(|name| {
            let text = self.around.env.get(*name).filter(|text| !text.is_empty())?.clone();
            Some((*name, Raw { text, place: Place::file(format!("${name}")), from_file: false }))
        });
        let (name, raw) =
            from_env.or_else(|| keys.iter().find_map(|(section, key)| Some((*key, self.entry(section, key)?))))?;
        match read(&raw, self.around) {
            Ok(value) => Some(Located::new(value, Some(raw.place))),
            Err(why) => {
                let error = Diagnostic::error("ansible-cfg", format!("`{name}` {why}")).at(raw.place);
                self.out.push(error.help("correct it, or remove it to have the default"));
                None
            }
        }
    }

    /// `[DEFAULT]` stands behind every section that is there, as Python has it.
    fn entry(&self, section: &str, key: &str) -> Option<Raw> {
        let within = |s: &str| self.entries.iter().find(|e| e.section == s && e.key == key);
        let has_section = || self.entries.iter().any(|e| e.section == section);
        let found = within(section).or_else(|| within("DEFAULT").filter(|_| has_section()))?;
        let raw = Raw { text: found.value.clone(), place: found.place.clone(), from_file: true };
        (!raw.text.is_empty()).then_some(raw)
    }

    /// One warning for all that has no meaning here.
    fn name_the_rest(&mut self) {
        let ours = |e: &ini::Entry| {
            self.used.iter().any(|(section, key)| *key == e.key && (*section == e.section || e.section == "DEFAULT"))
        };
        let rest: Vec<&ini::Entry> = self.entries.iter().filter(|e| !ours(e)).collect();
        let mut named: Vec<String> =
            rest.iter().map(|e| format!("[{}] {} (line {})", e.section, e.key, e.place.line)).collect();
        let other = |name: &str| {
            name.starts_with("ANSIBLE_")
                && name != "ANSIBLE_CONFIG"
                && !self.used_env.contains(name)
                && !OF_THE_VAULT.contains(&name)
        };
        named.extend(self.around.env.keys().filter(|name| other(name)).map(|name| format!("${name}")));
        if named.is_empty() {
            return;
        }
        let message = format!("settings of Ansible that have no effect here: {}", named.join(", "));
        let warning = Diagnostic::warning("ansible-cfg-ignored", message)
            .at(rest.first().map(|e| e.place.clone()))
            .help("read are those about inventory, login, sudo, vault and hash_behaviour: see docs/inventory.md");
        self.out.push(warning);
    }
}
