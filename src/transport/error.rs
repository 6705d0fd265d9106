//! What can go wrong between us and a host, as kinds the engine decides on. Never decide on text.

use thiserror::Error;

/// A failure of the connection, not of what ran over it.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct TransportError {
    /// What kind.
    pub kind: Kind,
    /// For people; no secrets.
    pub message: String,
    /// What to do, for people.
    pub hint: String,
}

/// Kinds of transport failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No connection: refused, timed out, no route, name not found. The host is unreachable.
    Unreachable,
    /// The host's key is not the one we know, or is not known and may not be accepted.
    HostKey,
    /// None of our keys or passwords was accepted.
    Auth,
    /// Connected, but the command may not be run as root (sudo wants a password, or refuses).
    Become,
    /// The connection broke while in use.
    Broken,
    /// A limit of ours ran out.
    Timeout,
    /// There is no Docker engine to talk to (no socket, no command).
    NoEngine,
    /// The engine is there but we may not talk to it, or it talks nonsense.
    Engine,
    /// sshd does not let us connect from there to elsewhere.
    Forwarding,
    /// A fake was asked something it was not told about, or the like: a bug of ours.
    Internal,
}

impl TransportError {
    /// Builds one.
    pub fn new(kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        TransportError { kind, message: message.into(), hint: hint.into() }
    }

    /// True when the host counts as unreachable in the recap (exit code 4).
    pub fn is_unreachable(&self) -> bool {
        matches!(self.kind, Kind::Unreachable | Kind::HostKey | Kind::Auth | Kind::Become)
    }
}
