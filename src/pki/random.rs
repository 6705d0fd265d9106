//! Randomness of the operating system.

use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{PkiError, Result};

/// `N` random bytes.
pub(crate) fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut out = [0; N];
    SystemRandom::new().fill(&mut out).map_err(|_| PkiError::internal("no randomness from the system"))?;
    Ok(out)
}

/// `N` random bytes in hexadecimal.
pub(crate) fn hex<const N: usize>() -> Result<String> {
    Ok(to_hex(&bytes::<N>()?))
}

/// Lower-case hexadecimal.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
