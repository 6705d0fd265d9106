//! Keys from a password, and what is done with them.

use aes::Aes256;
use aes::cipher::{KeyIvInit, StreamCipher};
use pbkdf2::hmac::{Hmac, KeyInit, Mac};
use pbkdf2::sha2::Sha256;
use zeroize::Zeroizing;

use super::envelope::{self, Envelope};

/// Bytes of a new salt.
pub const SALT_LENGTH: usize = 32;
/// Rounds of PBKDF2: part of the format.
const ROUNDS: u32 = 10_000;
/// Bytes of a block of AES, to whose multiples the text is filled up.
const BLOCK: usize = 16;

/// What a password and a salt give: the cipher's key (32 bytes), the checksum's (32), the counter (16).
pub(super) struct Keys(Zeroizing<[u8; 80]>);

impl Keys {
    /// Takes milliseconds: meant to be slow.
    pub fn derive(password: &[u8], salt: &[u8]) -> Self {
        let mut out = Zeroizing::new([0; 80]);
        pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, ROUNDS, &mut *out);
        Keys(out)
    }

    fn mac(&self, body: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0[32..64]).ok()?;
        mac.update(body);
        Some(mac)
    }

    fn run(&self, data: &mut [u8]) {
        if let Ok(mut cipher) = ctr::Ctr128BE::<Aes256>::new_from_slices(&self.0[..32], &self.0[64..]) {
            cipher.apply_keystream(data);
        }
    }

    /// The plain bytes; `None` when the checksum is not that of this password and this text.
    pub fn open(&self, envelope: &Envelope) -> Option<Zeroizing<Vec<u8>>> {
        self.mac(&envelope.body)?.verify_slice(&envelope.mac).ok()?;
        let mut plain = Zeroizing::new(envelope.body.clone());
        self.run(&mut plain);
        let fill = usize::from(*plain.last()?);
        let end = plain.len().checked_sub(fill)?;
        let well_filled = (1..=BLOCK).contains(&fill) && plain[end..].iter().all(|b| usize::from(*b) == fill);
        well_filled.then(|| {
            plain.truncate(end);
            plain
        })
    }

    fn seal(&self, plain: &[u8], salt: &[u8], label: Option<&str>) -> Envelope {
        let fill = BLOCK - plain.len() % BLOCK;
        let mut body = Vec::with_capacity(plain.len() + fill);
        body.extend_from_slice(plain);
        body.resize(plain.len() + fill, fill as u8);
        self.run(&mut body);
        let mac = self.mac(&body).map_or_else(Vec::new, |mac| mac.finalize().into_bytes().to_vec());
        Envelope { label: label.map(str::to_owned), salt: salt.to_vec(), mac, body }
    }
}

/// Encrypts; the text ends with a line break. `salt` must be random and new each time: the same one
/// with the same password would give two texts the same key stream. A label other than `default` makes
/// it format 1.2.
pub fn seal(plain: &[u8], password: &[u8], salt: &[u8; SALT_LENGTH], label: Option<&str>) -> String {
    envelope::write(&Keys::derive(password, salt).seal(plain, salt, label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_what_it_sealed_and_nothing_else() {
        let keys = Keys::derive(b"password", &[7; SALT_LENGTH]);
        let other = Keys::derive(b"Password", &[7; SALT_LENGTH]);
        for length in [0, 1, 15, 16, 17, 1000] {
            let plain: Vec<u8> = (0..length).map(|n| (n * 7) as u8).collect();
            let mut envelope = keys.seal(&plain, &[7; SALT_LENGTH], None);
            assert_eq!(envelope::parse(envelope::write(&envelope).as_bytes()).as_ref(), Ok(&envelope));
            assert_eq!(envelope.body.len(), length / 16 * 16 + 16);
            assert_eq!(keys.open(&envelope).unwrap().as_slice(), plain);
            assert!(other.open(&envelope).is_none());
            envelope.body[0] ^= 1;
            assert!(keys.open(&envelope).is_none());
        }
    }
}
