//! Stand-ins for tests, strict: what they were not told about is an error that names it.
//!
//! From the top down: [`ScriptedHost`] replaces a whole host, [`Engine`] the Docker engine under bollard,
//! [`Sshd`] the far end of an SSH connection, so that the real client runs against it.

mod engine;
mod exec;
mod net;
mod pipe;
mod scripted;
mod sshd;

pub use engine::{Call, Engine, Reply};
pub use exec::{Exec, Ran, understand};
pub use net::{Net, Trouble};
pub use scripted::ScriptedHost;
pub use sshd::{Login, Sshd, Sudo};
