//! ansible-vault: its envelope, its cipher, and which of several passwords opens what.
//!
//! Formats 1.1 and 1.2 (with a vault id), as written and read by `ansible-vault`: AES-256 in counter
//! mode, HMAC-SHA256 over the encrypted bytes, both keys from 10,000 rounds of PBKDF2. Pure: the caller
//! brings passwords and random bytes.

mod cipher;
mod envelope;
mod error;
mod keys;
mod protect;

pub use cipher::{SALT_LENGTH, seal};
pub use envelope::{Damage, Envelope, is_vault, parse};
pub use error::VaultError;
pub use keys::{Opened, Password, Vault};
pub(crate) use protect::is_address;
pub use protect::{register, text as protect};

/// The label of a password that was given without one.
pub const DEFAULT_LABEL: &str = "default";
