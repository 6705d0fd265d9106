//! SSH: whom to connect to and how, by OpenSSH's rules.

pub mod auth;
pub mod client;
pub mod common_args;
pub mod dial;
pub mod keyring;
pub mod known_hosts;
pub mod option;
pub mod session;
pub mod ssh_config;
pub mod target;
pub mod wanted;

pub use client::Connector;
pub use option::SettingsError;
pub use session::SshHost;
pub use target::{HostKeyChecking, Target};
pub use wanted::{Resolved, Surroundings, Wanted};
