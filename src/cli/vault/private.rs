//! A plain text on its way through an editor.

use std::io::Write;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::write;

/// A folder that only its owner may enter, with one file in it. Both go, overwritten, with this value.
pub struct PrivateFile {
    folder: PathBuf,
    /// The file.
    pub path: PathBuf,
}

impl PrivateFile {
    /// Writes `content`; the name ends as that of `like` does, so that editors know what it is.
    pub fn new(like: &Path, content: &[u8]) -> std::io::Result<Self> {
        let folder = write::private_folder()?;
        let extension = like.extension().map(|e| format!(".{}", e.to_string_lossy())).unwrap_or_default();
        let path = folder.join(format!("vault{extension}"));
        let out = PrivateFile { folder, path };
        write::create(&out.path)?.write_all(content)?;
        Ok(out)
    }

    /// What it holds now.
    pub fn read(&self) -> std::io::Result<Zeroizing<Vec<u8>>> {
        std::fs::read(&self.path).map(Zeroizing::new)
    }
}

impl Drop for PrivateFile {
    /// An editor's own copies in the folder go too.
    fn drop(&mut self) {
        write::shred_folder(&self.folder);
    }
}
