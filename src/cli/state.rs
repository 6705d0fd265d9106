//! The state directory: one folder for each run, for its owner's eyes only.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::prepare::Exit;
use crate::engine::journal::Record;

/// Folders of runs that are kept; older ones go when a run begins.
const KEPT: usize = 200;

/// Sortable by time, unique on this machine.
pub fn run_id() -> String {
    let now = Timestamp::now().to_string();
    let stamp: String = now.chars().filter(|c| c.is_ascii_alphanumeric()).take(15).collect();
    format!("{stamp}-{:04x}", rand::random::<u16>())
}

/// Where the folders of all runs are.
pub fn runs() -> PathBuf {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let home = || std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    state.unwrap_or_else(|| home().join(".local/state")).join("reemo-infra/runs")
}

/// Makes the folder of a run.
pub fn folder(run_id: &str) -> Result<PathBuf, Exit> {
    let all = runs();
    forget(&all);
    let dir = all.join(run_id);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    made.map_err(|e| Exit::failed(format!("cannot make {}: {e}", dir.display())))?;
    Ok(dir)
}

/// Run folders, oldest first.
pub fn list(all: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(all).into_iter().flatten().flatten();
    let mut folders: Vec<PathBuf> = entries.map(|e| e.path()).filter(|p| p.is_dir()).collect();
    folders.sort();
    folders
}

/// Old runs are not kept for ever. One that did not end stays: its journal is still of use.
fn forget(all: &Path) {
    let folders = list(all);
    for folder in folders.iter().take(folders.len().saturating_sub(KEPT)) {
        if Record::read(folder).map_or(true, |r| r.code().is_some()) {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
