//! Files that hold secrets: readable by their owner only from the first moment, replaced in one step,
//! overwritten before they go.

use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rand::RngCore;

/// What becomes of the content a file had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old {
    /// It was encrypted: it may lie on the disk.
    Leave,
    /// It was plain: it is overwritten.
    Shred,
}

/// Makes `path` hold `bytes`: a new file beside it, then a rename. Mode 0600, or owner and mode of `keep`.
pub fn replace(path: &Path, bytes: &[u8], keep: Option<&Metadata>, old: Old) -> io::Result<()> {
    let dir = path.parent().filter(|dir| *dir != Path::new("")).unwrap_or(Path::new("."));
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?.to_string_lossy();
    let beside = dir.join(format!(".{name}.{:016x}", rand::rng().next_u64()));
    // Opened before the rename takes its name away. A file with several names keeps its content under them.
    let before = OpenOptions::new().write(true).open(path).ok().filter(|file| {
        let alone = file.metadata().is_ok_and(|meta| meta.is_file() && meta.nlink() == 1);
        old == Old::Shred && alone
    });
    let written = (|| {
        let mut file = create(&beside)?;
        file.write_all(bytes)?;
        if let Some(meta) = keep {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (meta.uid(), meta.gid()) {
                std::os::unix::fs::fchown(&file, Some(meta.uid()), Some(meta.gid()))?;
            }
            file.set_permissions(Permissions::from_mode(meta.mode() & 0o7777))?;
        }
        file.sync_all()?;
        std::fs::rename(&beside, path)
    })();
    if let Err(e) = written {
        let _ = std::fs::remove_file(&beside);
        return Err(e);
    }
    // The name is on the disk once the directory is; a file system that cannot do that is no failure.
    let _ = File::open(dir).and_then(|dir| dir.sync_all());
    before.map_or(Ok(()), overwrite)
}

/// A new file of ours alone.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
}

/// A new directory of ours alone, in memory where the system offers such a place.
pub fn private_folder() -> io::Result<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|dir| dir.is_absolute());
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for base in runtime.into_iter().chain(["/dev/shm".into(), std::env::temp_dir()]) {
        let folder = base.join(format!("reemo-infra-{:016x}", rand::rng().next_u64()));
        match DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) => last = e,
        }
    }
    Err(last)
}

/// Overwrites every file below a directory and removes all of it.
pub fn shred_folder(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => shred_folder(&entry.path()),
            Ok(kind) if kind.is_file() => {
                let _ = OpenOptions::new().write(true).open(entry.path()).and_then(overwrite);
            }
            _ => {}
        }
    }
    let _ = std::fs::remove_dir_all(folder);
}

fn overwrite(mut file: File) -> io::Result<()> {
    let mut left = file.metadata()?.len();
    let mut noise = [0; 8192];
    file.rewind()?;
    while left > 0 {
        rand::rng().fill_bytes(&mut noise);
        let length = usize::try_from(left).unwrap_or(usize::MAX).min(noise.len());
        file.write_all(&noise[..length])?;
        left -= length as u64;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaced_whole_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        replace(&path, b"one", None, Old::Leave).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!(mode(&path), 0o600);
        std::fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        // Kept open: what the old content becomes.
        let old = File::open(&path).unwrap();
        let meta = old.metadata().unwrap();
        replace(&path, b"two", Some(&meta), Old::Shred).unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), mode(&path)), (b"two".to_vec(), 0o640));
        assert_ne!(io::read_to_string(old).unwrap_or_default(), "one");
        replace(&path, b"three", None, Old::Leave).unwrap();
        assert_eq!(mode(&path), 0o600);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(replace(&dir.path().join("no/f"), b"", None, Old::Leave).is_err());
    }

    #[test]
    fn other_names_of_a_file_keep_its_content() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("f"), dir.path().join("g"));
        std::fs::write(&path, "plain").unwrap();
        std::fs::hard_link(&path, &other).unwrap();
        replace(&path, b"sealed", None, Old::Shred).unwrap();
        assert_eq!(std::fs::read(&other).unwrap(), b"plain");
    }

    #[test]
    fn a_private_folder_goes_with_all_it_holds() {
        let folder = private_folder().unwrap();
        assert_eq!(std::fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700);
        std::fs::create_dir(folder.join("inner")).unwrap();
        create(&folder.join("inner/f")).unwrap().write_all(b"plain").unwrap();
        let open = File::open(folder.join("inner/f")).unwrap();
        shred_folder(&folder);
        assert!(!folder.exists());
        assert_ne!(io::read_to_string(open).unwrap_or_default(), "plain");
    }
}
