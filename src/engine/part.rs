//! A file of this machine while it is written: it has its name only once it is whole.

use std::path::{Path, PathBuf};

/// What a file of this machine is called until it is whole.
pub fn name(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    to.with_file_name(name)
}
