//! The control machine's files, for the pure model.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reemo_model::inventory::{SourceError, Sources, without_dots};
use reemo_model::vault::Vault;

/// Reads from the disk; opens vaults with the passwords of this run.
#[derive(Default)]
pub struct Disk {
    /// The passwords.
    pub vault: Arc<Vault>,
}

fn error(e: std::io::Error) -> SourceError {
    match e.kind() {
        std::io::ErrorKind::NotFound => SourceError::missing(),
        _ => SourceError::other(e.to_string()),
    }
}

impl Sources for Disk {
    fn read(&self, path: &Path) -> Result<Vec<u8>, SourceError> {
        std::fs::read(path).map_err(error)
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, SourceError> {
        let entries = std::fs::read_dir(path).map_err(error)?;
        entries.map(|e| e.map(|e| e.file_name().to_string_lossy().into_owned()).map_err(error)).collect()
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }

    fn is_executable(&self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    }

    fn run(&self, path: &Path, args: &[&str]) -> Result<Vec<u8>, SourceError> {
        let program = std::path::absolute(path).map_err(error)?;
        let output = std::process::Command::new(program).args(args).output().map_err(error)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(SourceError::other(format!("it ended with {}: {said}", output.status)))
    }

    fn vault(&self) -> Option<&Vault> {
        Some(&self.vault)
    }

    fn absolute(&self, path: &Path) -> PathBuf {
        without_dots(&std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf()))
    }
}
