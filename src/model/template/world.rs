//! The world outside, as lookups see it. The model has no way to it of its own: the caller gives one.

use std::path::{Path, PathBuf};

/// What lookups may ask for. Every failure is a sentence for the operator, without the lookup's name.
pub trait World: Send + Sync {
    /// An environment variable of this process; `None` when it is not set.
    fn env(&self, name: &str) -> Option<String>;

    /// Where a path that is not absolute is looked for, best first; `~` is the home directory. `folder` is
    /// the folder that is tried inside each (`files`, `templates`), as Ansible does.
    fn candidates(&self, path: &str, folder: Option<&str>) -> Vec<PathBuf>;

    /// A file's bytes; `None` when there is no such file.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String>;

    /// True for a file or folder that exists.
    fn exists(&self, path: &Path) -> bool;

    /// Files whose name matches a shell pattern, in order.
    fn glob(&self, pattern: &Path) -> Result<Vec<PathBuf>, String>;

    /// What a shell command prints. Runs code on this machine: refused unless the operator allowed it.
    fn pipe(&self, command: &str) -> Result<Vec<u8>, String>;

    /// Keeps a generated password, for its owner only (0600). Returns what stands in the file afterwards:
    /// `content`, or what somebody else wrote there first when `replace` is false. A caller that must not
    /// write returns `content` and keeps it for the rest of the run.
    fn keep(&self, path: &Path, content: &str, replace: bool) -> Result<String, String>;

    /// Fills with random bytes from the system.
    fn random(&self, bytes: &mut [u8]) -> Result<(), String>;

    /// Seconds since 1970 in UTC.
    fn now(&self) -> Result<f64, String>;
}

/// No world at all: every lookup that needs one says so.
#[derive(Clone, Copy, Debug)]
pub struct Nowhere;

const NOTHING: &str = "files, environment and clock are not available here";

impl World for Nowhere {
    fn env(&self, _name: &str) -> Option<String> {
        None
    }

    fn candidates(&self, path: &str, _folder: Option<&str>) -> Vec<PathBuf> {
        vec![PathBuf::from(path)]
    }

    fn read(&self, _path: &Path) -> Result<Option<Vec<u8>>, String> {
        Err(NOTHING.into())
    }

    fn exists(&self, _path: &Path) -> bool {
        false
    }

    fn glob(&self, _pattern: &Path) -> Result<Vec<PathBuf>, String> {
        Err(NOTHING.into())
    }

    fn pipe(&self, _command: &str) -> Result<Vec<u8>, String> {
        Err(NOTHING.into())
    }

    fn keep(&self, _path: &Path, _content: &str, _replace: bool) -> Result<String, String> {
        Err(NOTHING.into())
    }

    fn random(&self, _bytes: &mut [u8]) -> Result<(), String> {
        Err(NOTHING.into())
    }

    fn now(&self) -> Result<f64, String> {
        Err(NOTHING.into())
    }
}
