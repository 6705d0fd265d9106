//! The text of what was read, for the lines shown in messages.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::{Place, excerpt};

/// The text of what was read, kept for the excerpts, and the names whose values are never shown.
#[derive(Clone, Default)]
pub struct Texts {
    files: HashMap<Arc<Path>, Arc<str>>,
    secret_names: BTreeSet<String>,
    encrypted: BTreeSet<Arc<Path>>,
}

impl Texts {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the text of a file; not that of one which is encrypted on the disk.
    pub fn add(&mut self, file: &Arc<Path>, text: impl Into<Arc<str>>) {
        if !self.is_encrypted(file) {
            self.files.insert(Arc::clone(file), text.into());
        }
    }

    /// The whole file is a vault: no line of it is ever shown.
    pub fn encrypted(&mut self, file: &Arc<Path>) {
        self.files.remove(file);
        self.encrypted.insert(Arc::clone(file));
    }

    /// True for a file that is a vault as a whole.
    pub fn is_encrypted(&self, file: &Path) -> bool {
        self.encrypted.contains(file)
    }

    /// The files that are vaults as a whole.
    pub fn encrypted_files(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.encrypted.iter()
    }

    /// Takes over what another has.
    pub fn extend(&mut self, other: Texts) {
        self.files.extend(other.files);
        self.secret_names.extend(other.secret_names);
        self.encrypted.extend(other.encrypted);
    }

    /// Names the variables whose values no excerpt may show.
    pub fn hide(&mut self, names: impl IntoIterator<Item = String>) {
        self.secret_names.extend(names);
    }

    /// The text of a file that was read.
    pub fn get(&self, file: &Path) -> Option<&str> {
        self.files.get(file).map(|text| &**text)
    }

    /// The line a place is on, without secrets.
    pub fn excerpt(&self, place: &Place) -> Option<String> {
        let text = self.files.get(&place.file)?;
        let line = (place.line as usize).checked_sub(1)?;
        excerpt::line(text, line, &self.secret_names)
    }
}
