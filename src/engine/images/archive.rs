//! A bundle on the disk: opened, its description read, what it holds found and checked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

use reemo_model::bundle::{Bundle, CHECKSUM, DESCRIPTION, blob_path};
use sha2::{Digest, Sha256};

use super::tar::BLOCK;
use crate::engine::files::hex;

/// Longest description that is read, in bytes.
const LONGEST: u64 = 16 * 1024 * 1024;

/// A bundle.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The file.
    pub path: PathBuf,
    /// What it says of itself.
    pub bundle: Bundle,
    /// Offset and length of each file in it, by path.
    at: BTreeMap<String, (u64, u64)>,
}

impl Archive {
    /// Opens it and sees that it is whole, without reading what is in it. The error says what is wrong, in words.
    pub fn open(path: &Path) -> Result<Archive, String> {
        let said = |e: io::Error| format!("cannot be read: {e}");
        let file = File::open(path).map_err(said)?;
        let length = file.metadata().map_err(said)?.len();
        let mut tar = tar::Archive::new(BufReader::new(file));
        let mut at = BTreeMap::new();
        let mut texts: Vec<Vec<u8>> = Vec::new();
        for entry in tar.entries_with_seek().map_err(said)? {
            let mut entry = entry.map_err(|e| format!("is damaged or cut short: {e}"))?;
            let name = entry.path().map_err(said)?.to_string_lossy().into_owned();
            let (offset, size) = (entry.raw_file_position(), entry.size());
            if texts.len() < 2 {
                if name != [DESCRIPTION, CHECKSUM][texts.len()] || size > LONGEST {
                    return Err("is no bundle of images: `images save` makes one".into());
                }
                let mut text = Vec::new();
                entry.read_to_end(&mut text).map_err(|e| format!("is damaged or cut short: {e}"))?;
                texts.push(text);
            }
            if offset + size > length {
                return Err(format!("is cut short: {name} is not whole"));
            }
            at.insert(name, (offset, size));
        }
        let [description, checksum] = texts.as_slice() else {
            return Err("is no bundle of images: `images save` makes one".into());
        };
        let mut sum = Sha256::new();
        sum.update(description);
        if String::from_utf8_lossy(checksum).trim() != hex(sum) {
            return Err(format!("is damaged: the checksum of {DESCRIPTION} is another"));
        }
        let bundle: Bundle =
            serde_json::from_slice(description).map_err(|e| format!("has a description that cannot be read: {e}"))?;
        if let Some(why) = bundle.problem() {
            return Err(format!("cannot be used: {why}"));
        }
        let archive = Archive { path: path.to_owned(), bundle, at };
        for (name, size, _) in archive.files() {
            match archive.at.get(&name) {
                None => return Err(format!("is cut short: {name} is not in it")),
                Some((_, there)) if *there != size => return Err(format!("is damaged: {name} has another length")),
                Some(_) => {}
            }
        }
        let end = archive.at.values().map(|(offset, size)| (offset + size).next_multiple_of(BLOCK)).max().unwrap_or(0);
        if length < end + 2 * BLOCK {
            return Err("is cut short: its end is missing".into());
        }
        Ok(archive)
    }

    /// Path, length and SHA-256 of everything the description names.
    fn files(&self) -> impl Iterator<Item = (String, u64, &str)> {
        let blobs = self.bundle.blobs.iter().map(|(d, size)| (blob_path(d), *size, d.trim_start_matches("sha256:")));
        blobs.chain(self.bundle.packages.iter().map(|p| (p.path(), p.size, p.sha256.as_str())))
    }

    /// A file in it.
    pub fn read(&self, path: &str) -> io::Result<Take<File>> {
        let (offset, size) =
            self.at.get(path).ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{path} is not in it")))?;
        let mut file = File::open(&self.path)?;
        file.seek(SeekFrom::Start(*offset))?;
        Ok(file.take(*size))
    }

    /// A blob in it, whole.
    pub fn blob(&self, digest: &str) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.read(&blob_path(digest))?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads everything and holds it against its checksums. The error names the first file that is not what it was.
    pub fn verify(&self) -> Result<(), String> {
        let mut piece = vec![0; 1 << 20];
        for (name, _, sha256) in self.files() {
            let mut file = self.read(&name).map_err(|e| format!("cannot be read: {e}"))?;
            let mut sum = Sha256::new();
            loop {
                match file.read(&mut piece).map_err(|e| format!("cannot be read: {e}"))? {
                    0 => break,
                    read => sum.update(&piece[..read]),
                }
            }
            if hex(sum) != sha256 {
                return Err(format!("is damaged: the checksum of {name} is another"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl Archive {
    /// One with nothing in it.
    pub fn empty() -> Archive {
        Archive { path: PathBuf::new(), bundle: Bundle::default(), at: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use reemo_model::bundle::{Image, Layer, SCHEMA};

    use super::*;
    use crate::engine::images::remote::digest_of;
    use crate::engine::images::tar::{end, header, padding};

    fn put(into: &mut Vec<u8>, path: &str, bytes: &[u8]) {
        into.extend(header(path, bytes.len() as u64).unwrap());
        into.extend(bytes);
        into.extend(vec![0; padding(bytes.len() as u64)]);
    }

    /// A bundle of one image with two layers.
    fn made() -> Vec<u8> {
        let blobs: Vec<Vec<u8>> = vec![b"manifest".to_vec(), b"config".to_vec(), vec![7; 3000], vec![9; 512]];
        let digests: Vec<String> = blobs.iter().map(|b| digest_of(b)).collect();
        let layer = |n: usize| Layer { digest: digests[n].clone(), diff_id: digests[n].clone() };
        let image = Image {
            reference: "registry.example/api:1".into(),
            digest: digests[0].clone(),
            manifest: digests[0].clone(),
            media_type: "m".into(),
            id: digests[1].clone(),
            layers: vec![layer(2), layer(3)],
        };
        let lengths = digests.iter().cloned().zip(blobs.iter().map(|b| b.len() as u64)).collect();
        let bundle = Bundle { schema: SCHEMA, images: vec![image], blobs: lengths, ..Bundle::default() };
        let description = serde_json::to_vec(&bundle).unwrap();
        let mut bytes = Vec::new();
        put(&mut bytes, DESCRIPTION, &description);
        put(&mut bytes, CHECKSUM, &digest_of(&description).as_bytes()["sha256:".len()..]);
        for (digest, blob) in digests.iter().zip(&blobs) {
            put(&mut bytes, &blob_path(digest), blob);
        }
        bytes.extend(end());
        bytes
    }

    fn check(bytes: &[u8]) -> Result<(), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle");
        std::fs::write(&path, bytes).unwrap();
        Archive::open(&path)?.verify()
    }

    #[test]
    fn a_whole_one_is_read() {
        assert_eq!(check(&made()), Ok(()));
    }

    /// Wherever it is cut.
    #[test]
    fn one_that_was_cut_is_refused() {
        let bytes = made();
        for length in (0..bytes.len()).step_by(97).chain([bytes.len() - 1, bytes.len() - 512, bytes.len() - 1024]) {
            assert!(check(&bytes[..length]).is_err(), "cut after {length} of {} bytes", bytes.len());
        }
    }

    /// A bit of every content turned: the description, its checksum, each blob. What only fills up blocks is nobody's.
    #[test]
    fn one_with_a_turned_bit_is_refused() {
        let bytes = made();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle");
        std::fs::write(&path, &bytes).unwrap();
        let places: Vec<(u64, u64)> = Archive::open(&path).unwrap().at.into_values().collect();
        assert_eq!(places.len(), 6);
        for (offset, size) in places {
            for at in [offset, offset + size / 2, offset + size - 1] {
                let mut turned = bytes.clone();
                turned[at as usize] ^= 0x10;
                assert!(check(&turned).is_err(), "bit of byte {at}");
            }
        }
    }

    #[test]
    fn other_files_are_no_bundles() {
        let mut other = Vec::new();
        put(&mut other, "etc/passwd", b"x");
        other.extend(end());
        for bytes in [other.as_slice(), b"", b"{}", &[0; 4096]] {
            assert!(check(bytes).unwrap_err().contains("no bundle") || bytes.len() == 2, "{bytes:?}");
        }
    }
}
