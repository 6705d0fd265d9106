//! Tar archives, written front to back: a header, the content, filled up to blocks of 512 bytes.

use std::io;

/// What a file in an archive is filled up to.
pub const BLOCK: u64 = 512;

/// The header of a file. The same file always has the same: an archive that was cut is gone on with.
pub fn header(path: &str, size: u64) -> io::Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path)?;
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(header.as_bytes().to_vec())
}

/// So many zero bytes follow a content of this length.
pub fn padding(size: u64) -> usize {
    ((BLOCK - size % BLOCK) % BLOCK) as usize
}

/// The end of an archive.
pub fn end() -> Vec<u8> {
    vec![0; 2 * BLOCK as usize]
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn another_reader_reads_it() {
        let long = format!("blobs/sha256/{}", "a".repeat(64));
        let mut bytes = Vec::new();
        for (path, content) in [("a", "x".repeat(513)), (long.as_str(), String::new()), ("b/c", "y".repeat(512))] {
            bytes.extend(header(path, content.len() as u64).unwrap());
            bytes.extend(content.bytes());
            bytes.extend(vec![0; padding(content.len() as u64)]);
        }
        bytes.extend(end());
        let mut found = Vec::new();
        for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().display().to_string();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            found.push((path, text.len()));
        }
        assert_eq!(found, [("a".to_owned(), 513), (long, 0), ("b/c".to_owned(), 512)]);
    }
}
