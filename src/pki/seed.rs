//! The site's seed: 32 random bytes from which names and passwords of the site are made.

use hmac::{Hmac, Mac};
use reemo_model::secret::Secret;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::Result;
use crate::random;

/// An Ed25519 key in PKCS#8 is this, followed by the 32 bytes. As such any tool can carry it.
const ED25519_HEAD: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PASSWORD_LENGTH: usize = 32;

/// The site's seed.
pub(crate) struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    pub(crate) fn random() -> Result<Seed> {
        Ok(Seed(Zeroizing::new(random::bytes()?)))
    }

    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Seed {
        Seed(Zeroizing::new(bytes))
    }

    pub(crate) fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&ED25519_HEAD[..], &self.0[..]].concat())
    }

    pub(crate) fn from_pkcs8(der: &[u8]) -> Option<Seed> {
        let bytes = der.strip_prefix(&ED25519_HEAD[..])?;
        Some(Seed::from_bytes(bytes.try_into().ok()?))
    }

    /// A password of the site: 32 letters and digits (190 bits), always the same for the same name.
    pub(crate) fn generated(&self, name: &str) -> Secret {
        let mut password = Zeroizing::new(Vec::with_capacity(PASSWORD_LENGTH));
        let mut block = 0u32;
        while password.len() < PASSWORD_LENGTH {
            let bytes = self.mac("generated", &[&block.to_be_bytes(), name.as_bytes()]);
            // 248 is the last multiple of 62: above it, letters would not be equally likely.
            let letters = bytes.iter().filter(|b| **b < 248).map(|b| BASE62[usize::from(*b) % 62]);
            let missing = PASSWORD_LENGTH - password.len();
            password.extend(letters.take(missing));
            block += 1;
        }
        Secret::new(password.as_slice())
    }

    /// 16 hexadecimal characters that tell whether content is the same, and nothing else about it.
    pub(crate) fn keyed_hash(&self, content: &[u8]) -> String {
        random::to_hex(&self.mac("name", &[content])[..8])
    }

    /// What the key of a leaf is encrypted with.
    pub(crate) fn leaf_password(&self, service: &str) -> Zeroizing<String> {
        Zeroizing::new(random::to_hex(self.mac("leaf", &[service.as_bytes()]).as_slice()))
    }

    /// One HMAC key for each purpose, so that no output of one can be had through another.
    fn mac(&self, purpose: &str, parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let key = hmac(&self.0[..], &[b"reemo-infra/1/", purpose.as_bytes()]);
        hmac(&key[..], parts)
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("HMAC takes keys of any length") };
    parts.iter().for_each(|part| mac.update(part));
    Zeroizing::new(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_is_stable_and_distinct() {
        let seed = Seed::from_bytes([7; 32]);
        let one = seed.generated("db_root");
        assert_eq!(one, Seed::from_bytes([7; 32]).generated("db_root"));
        assert_ne!(one, seed.generated("db_user"));
        assert_ne!(one, Seed::from_bytes([8; 32]).generated("db_root"));
        let text = one.expose_str().unwrap();
        assert_eq!(text.len(), 32);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric()), "{text}");
        // A change of the recipe would change every password of every site.
        assert_eq!(text, "OPqgcnCHAxPNKvaS6QWfHjduCzYTQM8z");
    }

    #[test]
    fn keyed_hash_depends_on_the_site() {
        let hash = Seed::from_bytes([7; 32]).keyed_hash(b"hunter2");
        assert_eq!(hash.len(), 16);
        assert_eq!(hash, Seed::from_bytes([7; 32]).keyed_hash(b"hunter2"));
        assert_ne!(hash, Seed::from_bytes([8; 32]).keyed_hash(b"hunter2"));
        assert_ne!(hash, Seed::from_bytes([7; 32]).keyed_hash(b"hunter3"));
    }

    #[test]
    fn carried_as_ed25519() {
        let der = Seed::from_bytes([7; 32]).to_pkcs8();
        assert_eq!(Seed::from_pkcs8(&der).unwrap().keyed_hash(b"x"), Seed::from_bytes([7; 32]).keyed_hash(b"x"));
        assert!(Seed::from_pkcs8(&der[..47]).is_none());
    }
}
