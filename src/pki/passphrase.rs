//! Where the passphrase of the store comes from.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use reemo_model::secret::Secret;

use crate::error::{Kind, PkiError, Result};
use crate::sealed::Stretch;
use crate::{folder, random};

/// Where the passphrase of the store comes from. The caller decides which.
#[derive(Clone, Debug)]
pub enum Passphrase {
    /// A value the caller has (from an environment variable, a prompt, a vault).
    Given(Secret),
    /// A file of the operator's; the line end after the passphrase is cut off.
    File(PathBuf),
    /// A file of ours with a random passphrase, mode 0600. [`crate::Store::create`] makes it when it
    /// is not there; opening never does.
    KeyFile(PathBuf),
}

/// A passphrase that has been read.
pub(crate) struct Loaded {
    pub secret: Secret,
    /// Made by us with 256 random bits, so that stretching it is a waste of the operator's time.
    pub random: bool,
}

impl Loaded {
    /// How much work it has to be to try it.
    pub fn stretch(&self) -> Stretch {
        if self.random { Stretch::Random } else { Stretch::Person }
    }
}

impl Passphrase {
    pub(crate) fn read(&self) -> Result<Loaded> {
        match self {
            Passphrase::Given(secret) => loaded(secret.expose(), false, "the passphrase given"),
            Passphrase::File(path) => loaded(&read(path)?, false, &path.display().to_string()),
            Passphrase::KeyFile(path) => {
                let bytes = read(path)?;
                refuse_readable_by_others(path)?;
                loaded(&bytes, true, &path.display().to_string())
            }
        }
    }

    /// The passphrase itself.
    pub fn open(&self) -> Result<Secret> {
        self.read().map(|loaded| loaded.secret)
    }

    pub(crate) fn read_or_make(&self) -> Result<Loaded> {
        if let Passphrase::KeyFile(path) = self {
            // A dangling link counts as a file of the operator's, not as ours to make.
            if path.symlink_metadata().is_err() {
                make(path)?;
            }
        }
        self.read()
    }
}

fn make(path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        folder::make_private(parent)?;
    }
    let text = zeroize::Zeroizing::new(random::hex::<32>()? + "\n");
    folder::write_new(path, text.as_bytes()).or_else(|error| {
        // Somebody else made it in the same moment: theirs is as good.
        if path.exists() { Ok(()) } else { Err(error) }
    })
}

fn read(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>> {
    fs::read(path).map(Into::into).map_err(|cause| {
        if cause.kind() != ErrorKind::NotFound {
            return PkiError::io("read", path, &cause);
        }
        PkiError::new(
            Kind::Passphrase,
            format!("the passphrase file {} is not there", path.display()),
            "copy it from the control machine that created the store (it was made there together with the CA)",
        )
    })
}

fn refuse_readable_by_others(path: &Path) -> Result<()> {
    let mode = fs::metadata(path).map_err(|cause| PkiError::io("read", path, &cause))?.permissions().mode();
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(PkiError::new(
        Kind::Passphrase,
        format!("{} can be read by others (mode {:04o})", path.display(), mode & 0o7777),
        format!("chmod 600 {}", path.display()),
    ))
}

fn loaded(bytes: &[u8], random: bool, origin: &str) -> Result<Loaded> {
    let end = bytes.iter().rposition(|b| !matches!(b, b'\n' | b'\r')).map_or(0, |last| last + 1);
    if end == 0 {
        let hint = "give a passphrase of at least one character; 20 or more are sensible";
        return Err(PkiError::new(Kind::Passphrase, format!("{origin} is empty"), hint));
    }
    Ok(Loaded { secret: Secret::new(&bytes[..end]), random })
}
