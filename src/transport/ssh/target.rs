//! One host to connect to, everything decided.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use reemo_model::secret::Secret;

use crate::gate::Become;

/// Asks for the passphrase of a key file. Called only once a server has said it would take that key.
pub type AskPassphrase = Arc<dyn Fn(&Path) -> Option<Secret> + Send + Sync>;

/// What to do with a host key nobody has recorded. A changed key is always refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HostKeyChecking {
    /// Refuse it.
    #[default]
    Strict,
    /// Record it and go on.
    AcceptNew,
}

/// A host, and how to log in to it.
#[derive(Clone)]
pub struct Target {
    /// The inventory name; used in messages only.
    pub name: String,
    /// Where to connect to.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The name its key is recorded under, if that is not the address.
    pub host_key_alias: Option<String>,
    /// Whom to log in as.
    pub user: String,
    /// Key files named for this host, in order.
    pub keys: Vec<PathBuf>,
    /// Key files tried because they are usual; missing ones are no error.
    pub default_keys: Vec<PathBuf>,
    /// Offer nothing of the agent's but the keys named here.
    pub identities_only: bool,
    /// Asks for passphrases; without it an encrypted key is of use only through the agent.
    pub passphrase: Option<AskPassphrase>,
    /// For password and keyboard-interactive login.
    pub password: Option<Secret>,
    /// Files of recorded host keys. The first is written to.
    pub known_hosts: Vec<PathBuf>,
    /// What to do with an unrecorded host key.
    pub host_key_checking: HostKeyChecking,
    /// Hosts to go through, first one first.
    pub jump: Vec<Target>,
    /// How to become root there.
    pub r#become: Become,
    /// Limit for connection, handshake and login together, for this host without its hops.
    pub connect_timeout: Duration,
    /// The agent's socket, if one is to be asked.
    pub agent: Option<PathBuf>,
}

impl Target {
    /// `user@address:22` with nothing to log in with yet, and no record of its key.
    pub fn new(name: impl Into<String>, address: impl Into<String>, user: impl Into<String>) -> Self {
        Target {
            name: name.into(),
            address: address.into(),
            port: 22,
            host_key_alias: None,
            user: user.into(),
            keys: Vec::new(),
            default_keys: Vec::new(),
            identities_only: false,
            passphrase: None,
            password: None,
            known_hosts: Vec::new(),
            host_key_checking: HostKeyChecking::Strict,
            jump: Vec::new(),
            r#become: Become::default(),
            connect_timeout: Duration::from_secs(10),
            agent: None,
        }
    }

    /// The name its key is recorded under: `host`, or `[host]:port`.
    pub fn recorded_name(&self) -> String {
        match &self.host_key_alias {
            Some(alias) => alias.to_lowercase(),
            None if self.port == 22 => self.address.to_lowercase(),
            None => format!("[{}]:{}", self.address.to_lowercase(), self.port),
        }
    }

    /// What a person would type to get there.
    pub fn ssh_command(&self) -> String {
        let mut words = vec!["ssh".to_owned()];
        if let Some(key) = self.keys.first() {
            words.extend(["-i".to_owned(), key.display().to_string()]);
        }
        if self.port != 22 {
            words.extend(["-p".to_owned(), self.port.to_string()]);
        }
        if !self.jump.is_empty() {
            let hops: Vec<String> = self.jump.iter().map(|h| format!("{}@{}:{}", h.user, h.address, h.port)).collect();
            words.extend(["-J".to_owned(), hops.join(",")]);
        }
        words.push(format!("{}@{}", self.user, self.address));
        words.iter().map(|w| crate::quote::quote(w)).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({}: {})", self.name, self.ssh_command())
    }
}
