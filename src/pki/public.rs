//! The public half of a key, as `ssh-keygen -y` or `openssl pkey -pubout` prints it: what comes of a key that stays where
//! it is.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use x509_parser::pem::Pem;
use x509_parser::public_key::PublicKey;

use crate::certificate::Certificate;
use crate::key::unsigned;

/// True when the certificate is about this key; `None` when it cannot be told.
pub(crate) fn matches(public: &str, certificate: &Certificate) -> Option<bool> {
    if public.starts_with("-----BEGIN") {
        let block = Pem::iter_from_buffer(public.as_bytes()).next()?.ok()?;
        return certificate.with(|parsed| parsed.public_key().raw == block.contents);
    }
    // RFC 4253, 6.6: the kind again, then what makes it up, each with its length in front.
    let blob = STANDARD.decode(public.split_whitespace().nth(1)?).ok()?;
    let mut rest = blob.as_slice();
    let kind = field(&mut rest)?;
    certificate
        .with(|parsed| match (kind, &parsed.public_key().parsed().ok()?) {
            (b"ssh-rsa", PublicKey::RSA(key)) => {
                let (exponent, modulus) = (field(&mut rest)?, field(&mut rest)?);
                Some(unsigned(modulus) == unsigned(key.modulus) && unsigned(exponent) == unsigned(key.exponent))
            }
            (kind, PublicKey::EC(point)) if kind.starts_with(b"ecdsa-sha2-") => {
                let _curve = field(&mut rest)?;
                Some(field(&mut rest)? == point.data())
            }
            (b"ssh-ed25519", PublicKey::Unknown(raw)) => Some(field(&mut rest)? == *raw),
            _ => Some(false),
        })
        .flatten()
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(field)
}
