//! The cipher of a file that leaves its host: what `openssl enc -aes-256-ctr -pbkdf2 -md sha256 -iter 600000` writes, so
//! that it can be opened where this program is not, and behind it a checksum that only who knows the passphrase can
//! make (HMAC-SHA256 over all before it). Pure: the caller brings passphrase and random salt.

use aes::Aes256;
use aes::cipher::{KeyIvInit, StreamCipher};
use pbkdf2::hmac::{Hmac, KeyInit, Mac};
use pbkdf2::sha2::Sha256;
use zeroize::Zeroizing;

/// What such a file begins with; the salt follows.
pub const MAGIC: &[u8; 8] = b"Salted__";
/// Bytes of the salt.
pub const SALT: usize = 8;
/// Bytes before the encrypted ones.
pub const HEAD: usize = 16;
/// Bytes of the checksum at the end.
pub const TAIL: usize = 32;

/// Rounds of PBKDF2: what OWASP asks for with this hash.
const ROUNDS: u32 = 600_000;

/// Key of the cipher (32 bytes), its counter (16), key of the checksum (32). OpenSSL takes the first 48 likewise.
const KEYS: usize = 80;

/// A file on its way through the cipher.
pub struct Stream {
    cipher: ctr::Ctr128BE<Aes256>,
    mac: Hmac<Sha256>,
}

impl Stream {
    /// Takes a moment: meant to be slow. The salt must be new for each file. Always one: the lengths are right.
    pub fn new(passphrase: &[u8], salt: &[u8; SALT]) -> Option<Stream> {
        let mut keys = Zeroizing::new([0; KEYS]);
        pbkdf2::pbkdf2_hmac::<Sha256>(passphrase, salt, ROUNDS, &mut *keys);
        let (cipher, mac) = keys.split_at(48);
        let mut mac = Hmac::<Sha256>::new_from_slice(mac).ok()?;
        mac.update(MAGIC);
        mac.update(salt);
        let cipher = ctr::Ctr128BE::<Aes256>::new_from_slices(&cipher[..32], &cipher[32..]).ok()?;
        Some(Stream { cipher, mac })
    }

    /// Encrypts the next bytes.
    pub fn seal(&mut self, bytes: &mut [u8]) {
        self.cipher.apply_keystream(bytes);
        self.mac.update(bytes);
    }

    /// Decrypts the next bytes.
    pub fn open(&mut self, bytes: &mut [u8]) {
        self.mac.update(bytes);
        self.cipher.apply_keystream(bytes);
    }

    /// Passes over bytes, for their checksum only.
    pub fn pass(&mut self, bytes: &[u8]) {
        self.mac.update(bytes);
    }

    /// What stands at the end of the file.
    pub fn tail(self) -> [u8; TAIL] {
        self.mac.finalize().into_bytes().into()
    }

    /// Is this what stands at the end?
    pub fn ends_with(self, tail: &[u8]) -> bool {
        self.mac.verify_slice(tail).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_piece_by_piece_and_nothing_else_is() {
        let plain: Vec<u8> = (0..100_000_u32).map(|n| (n * 7) as u8).collect();
        let mut sealed = plain.clone();
        let mut stream = Stream::new(b"passphrase", b"saltsalt").unwrap();
        sealed.chunks_mut(4099).for_each(|piece| stream.seal(piece));
        assert_ne!(sealed, plain);
        let tail = stream.tail();
        let mut opened = sealed.clone();
        let mut stream = Stream::new(b"passphrase", b"saltsalt").unwrap();
        opened.chunks_mut(1000).for_each(|piece| stream.open(piece));
        assert_eq!(opened, plain);
        assert!(stream.ends_with(&tail));
        sealed[77] ^= 1;
        for (passphrase, salt) in [(&b"passphrase"[..], b"saltsalt"), (b"Passphrase", b"saltsalt")] {
            let mut stream = Stream::new(passphrase, salt).unwrap();
            stream.pass(&sealed);
            assert!(!stream.ends_with(&tail));
        }
    }
}
