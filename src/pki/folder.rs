//! Files of the store: private from birth, replaced whole, one process at a time.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Kind, PkiError, Result};
use crate::random;

/// Name of the file two processes agree on.
pub(crate) const LOCK: &str = ".lock";

/// Issuing a certificate takes milliseconds; whoever holds the lock this long is stuck.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// Makes a folder (and its parents) with mode 0700; one that is there stays as it is.
pub(crate) fn make_private(path: &Path) -> Result<()> {
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|cause| PkiError::io("make", path, &cause))
}

/// Writes a file that must not be there yet, mode 0600.
pub(crate) fn write_new(path: &Path, content: &[u8]) -> Result<()> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        file.sync_all()
    };
    write().map_err(|cause| PkiError::io("write", path, &cause))
}

/// Replaces a file whole: a temporary one beside it, fsync, rename, fsync of the folder.
pub(crate) fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{}", random::hex::<6>()?));
    let done = write_new(&temporary, content)
        .and_then(|()| fs::rename(&temporary, path).map_err(|cause| PkiError::io("write", path, &cause)));
    if done.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    done.and_then(|()| sync_parent(path))
}

/// Makes a rename in this file's folder durable.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(|cause| PkiError::io("sync", parent, &cause))
}

/// Reads a file; `None` when it is not there.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(PkiError::io("read", path, &cause)),
    }
}

/// Removes a file; none to remove is fine.
pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(PkiError::io("remove", path, &cause)),
        _ => sync_parent(path),
    }
}

/// Renames a file to `….previous`, over one that is there; none to rename is fine.
pub(crate) fn set_aside(path: &Path) -> Result<()> {
    let mut previous = path.as_os_str().to_owned();
    previous.push(".previous");
    match fs::rename(path, &previous) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(PkiError::io("rename", path, &cause)),
        _ => sync_parent(path),
    }
}

/// Reads a text file; `None` when it is not there.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>> {
    read(path)?.map(|bytes| String::from_utf8(bytes).map_err(|_| PkiError::damaged(path, "is not text"))).transpose()
}

/// Makes a folder with all its files, or none: another process never sees half of it.
pub(crate) fn make_whole(path: &Path, subfolder: &str, files: &[(&str, Zeroizing<String>)]) -> Result<()> {
    if let Some(parent) = path.parent() {
        make_private(parent)?;
    }
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let temporary = path.with_file_name(format!(".{name}.{}", random::hex::<6>()?));
    let fill = || {
        make_private(&temporary.join(subfolder))?;
        files.iter().try_for_each(|(file, content)| write_new(&temporary.join(file), content.as_bytes()))?;
        sync_parent(&temporary.join(subfolder))?;
        // Only an absent or an empty folder can be replaced so: of two who create, one fails here.
        fs::rename(&temporary, path).map_err(|cause| match cause.kind() {
            ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists => PkiError::new(
                Kind::Exists,
                format!("the folder {} is there already, and not empty", path.display()),
                "name a folder that does not exist yet",
            ),
            _ => PkiError::io("create", path, &cause),
        })
    };
    let done = fill();
    if done.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    done.and_then(|()| sync_parent(path))
}

/// Names of the files that end so, without the ending, sorted; none when there is no such folder.
pub(crate) fn names(path: &Path, ending: &str) -> Result<Vec<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(PkiError::io("read", path, &cause)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| PkiError::io("read", path, &cause))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // A name with a dot in front is what a crash left of a write.
        if let Some(stem) = name.strip_suffix(ending).filter(|stem| !stem.starts_with('.')) {
            names.push(stem.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Held while the store is written; released when dropped (or when the process dies).
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock lives as long as the open file")] File);

impl Lock {
    /// Takes the lock of the store in this folder.
    pub(crate) fn take(folder: &Path) -> Result<Lock> {
        let path: PathBuf = folder.join(LOCK);
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&path)
            .map_err(|cause| PkiError::io("open", &path, &cause))?;
        for _ in 0..LOCK_TRIES {
            match file.try_lock() {
                Ok(()) => return Ok(Lock(file)),
                Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
                Err(TryLockError::Error(cause)) => return Err(PkiError::io("lock", &path, &cause)),
            }
        }
        Err(PkiError::new(
            Kind::Busy,
            format!("another process holds the certificate store {}", folder.display()),
            format!("see who: fuser -v {}", path.display()),
        ))
    }
}
