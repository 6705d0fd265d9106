//! Talking to hosts: SSH by russh, Docker by bollard through SSH, and the strict fakes of both.

pub mod connect;
mod counters;
pub mod docker;
pub mod error;
pub mod fake;
mod gate;
pub mod host;
mod lines;
pub mod local;
pub mod quote;
mod run;
pub mod ssh;
pub mod stream;

pub use connect::connect;
pub use docker::Docker;
pub use error::{Kind, TransportError};
pub use gate::Become;
pub use host::{BoxFuture, Command, Host, Output};
pub use local::LocalHost;
pub use ssh::{Connector, HostKeyChecking, Resolved, SettingsError, SshHost, Surroundings, Target, Wanted};
