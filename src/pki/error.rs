//! What can go wrong with the store, as kinds the caller decides on.

use std::path::Path;

use thiserror::Error;

/// A failure of the store. The message and the hint hold no secrets.
#[derive(Debug, Error)]
#[error("{message}")]
pub struct PkiError {
    /// What kind.
    pub kind: Kind,
    /// For people.
    pub message: String,
    /// What to do, for people.
    pub hint: String,
}

/// Kinds of failure of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no store in that folder.
    Absent,
    /// There is one already, and another was to be created.
    Exists,
    /// The passphrase is missing, or it is not the one the store was made with.
    Passphrase,
    /// A file of the store is missing or unreadable as what it should be.
    Damaged,
    /// Another process holds the store.
    Busy,
    /// What the caller gave cannot be used: a certificate, a key, a name.
    Input,
    /// The file system refused.
    Io,
    /// A bug of ours, or of a library.
    Internal,
}

impl PkiError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        PkiError { kind, message: message.into(), hint: hint.into() }
    }

    pub(crate) fn io(doing: &str, path: &Path, cause: &std::io::Error) -> Self {
        let hint = match cause.kind() {
            std::io::ErrorKind::PermissionDenied => "run as the user who owns the folder, or correct its owner",
            std::io::ErrorKind::StorageFull => "make room on that disk and run again",
            _ => "check that the path is on a disk that can be written to",
        };
        PkiError::new(Kind::Io, format!("cannot {doing} {}: {cause}", path.display()), hint)
    }

    pub(crate) fn damaged(path: &Path, what: &str) -> Self {
        PkiError::new(
            Kind::Damaged,
            format!("{}: {what}", path.display()),
            "restore the folder from a backup; what the hosts already have keeps working meanwhile",
        )
    }

    pub(crate) fn internal(what: impl std::fmt::Display) -> Self {
        PkiError::new(Kind::Internal, format!("certificate library: {what}"), "this is a bug: report it with the log")
    }
}

/// Result of the store.
pub(crate) type Result<T> = std::result::Result<T, PkiError>;
