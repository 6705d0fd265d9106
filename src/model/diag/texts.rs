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
}

impl Texts {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the text of a file.
    pub fn add(&mut self, file: &Arc<Path>, text: impl Into<Arc<str>>) {
        self.files.insert(Arc::clone(file), text.into());
    }

    /// Takes over what another has.
    pub fn extend(&mut self, other: Texts) {
        self.files.extend(other.files);
        self.secret_names.extend(other.secret_names);
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
