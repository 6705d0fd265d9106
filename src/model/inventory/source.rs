//! Where the text of files comes from. The model itself never touches a disk.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use crate::vault::Vault;

/// Why a file could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    /// In words: `no such file`, `permission denied`.
    pub message: String,
    /// True when there is nothing of that name.
    pub missing: bool,
}

impl SourceError {
    /// Nothing of that name.
    pub fn missing() -> Self {
        SourceError { message: "no such file or directory".into(), missing: true }
    }

    /// Anything else.
    pub fn other(message: impl Into<String>) -> Self {
        SourceError { message: message.into(), missing: false }
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SourceError {}

/// Gives files by name; the command line implements it over the disk, tests over memory.
pub trait Sources {
    /// The content of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError>;

    /// Names of what is in a directory, in any order.
    fn list(&self, path: &Path) -> Result<Vec<String>, SourceError>;

    /// True for a directory.
    fn is_dir(&self, path: &Path) -> bool;

    /// True when there is something of that name.
    fn exists(&self, path: &Path) -> bool;

    /// True for a file that may be run (an inventory script).
    fn is_executable(&self, _path: &Path) -> bool {
        false
    }

    /// What a script prints when run with these arguments.
    fn run(&self, _path: &Path, _args: &[&str]) -> Result<Vec<u8>, SourceError> {
        Err(SourceError::other("inventory scripts are not run here"))
    }

    /// The absolute path, without `.` and `..`.
    fn absolute(&self, path: &Path) -> PathBuf {
        path.to_path_buf()
    }

    /// The vault passwords of this run, if any were given.
    fn vault(&self) -> Option<&Vault> {
        None
    }
}

/// A path with `.` and `..` taken out by its text alone: links are not looked at, as in Ansible's `unfrackpath`.
pub fn without_dots(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// Files in memory, for tests and for texts that stand on the command line.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: BTreeMap<PathBuf, Vec<u8>>,
}

impl Memory {
    /// Nothing there.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    pub fn with(mut self, path: impl Into<PathBuf>, content: impl Into<Vec<u8>>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }
}

impl Sources for Memory {
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        match self.files.get(path) {
            Some(content) => Ok(content.clone()),
            None if self.is_dir(path) => Err(SourceError::other("it is a directory")),
            None => Err(SourceError::missing()),
        }
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, SourceError> {
        let mut names: Vec<String> = self
            .files
            .keys()
            .filter_map(|file| file.strip_prefix(path).ok()?.components().next())
            .map(|part| part.as_os_str().to_string_lossy().into_owned())
            .collect();
        names.dedup();
        if names.is_empty() { Err(SourceError::missing()) } else { Ok(names) }
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.files.keys().any(|file| file != path && file.starts_with(path))
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.contains_key(path) || self.is_dir(path)
    }
}
