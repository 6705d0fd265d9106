//! Private keys at rest: encrypted PKCS#8 in PEM, as `openssl pkcs8` reads and writes it.

use pkcs8::pkcs5::pbes2::Parameters;
use pkcs8::pkcs5::scrypt;
use pkcs8::{EncryptedPrivateKeyInfoRef, LineEnding, PrivateKeyInfoRef, SecretDocument};
use zeroize::Zeroizing;

use crate::error::{PkiError, Result};
use crate::random;

const LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// How much work it is to try a password.
#[derive(Clone, Copy)]
pub(crate) enum Stretch {
    /// For a passphrase a person chose: scrypt, as much memory as OpenSSL grants (N = 2^14) and five
    /// lanes, which OWASP holds equal to its first recommendation.
    Person,
    /// For 256 random bits, where stretching adds nothing: OpenSSL's own default.
    Random,
}

/// Why a sealed key did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// It is no encrypted PKCS#8 PEM of a kind we read.
    Damaged,
    /// The password is not the one.
    Password,
}

/// Encrypts a PKCS#8 DER key.
pub(crate) fn seal(pkcs8_der: &[u8], password: &[u8], stretch: Stretch) -> Result<Zeroizing<String>> {
    let (salt, iv) = (random::bytes::<16>()?, random::bytes::<16>()?);
    let parameters = match stretch {
        Stretch::Person => {
            let work = scrypt::Params::new(14, 8, 5).map_err(PkiError::internal)?;
            Parameters::generate_scrypt_aes256cbc(work, &salt, iv)
        }
        Stretch::Random => Parameters::generate_pbkdf2_sha256_aes256cbc(2048, &salt, iv),
    };
    let parameters = parameters.map_err(PkiError::internal)?;
    let key = PrivateKeyInfoRef::try_from(pkcs8_der).map_err(PkiError::internal)?;
    let sealed = key.encrypt_with_params(parameters, password).map_err(PkiError::internal)?;
    sealed.to_pem(LABEL, LineEnding::LF).map_err(PkiError::internal)
}

/// The PKCS#8 DER inside.
pub(crate) fn open(pem: &str, password: &[u8]) -> std::result::Result<Zeroizing<Vec<u8>>, Unopened> {
    let (label, document) = SecretDocument::from_pem(pem.trim_start()).map_err(|_| Unopened::Damaged)?;
    if label != LABEL {
        return Err(Unopened::Damaged);
    }
    let sealed = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| Unopened::Damaged)?;
    // A wrong password shows as bad padding, or once in 256 times as nonsense that is no key.
    let opened = sealed.decrypt(password).map_err(|_| Unopened::Password)?;
    PrivateKeyInfoRef::try_from(opened.as_bytes()).map_err(|_| Unopened::Password)?;
    Ok(Zeroizing::new(opened.as_bytes().to_vec()))
}
