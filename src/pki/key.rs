//! A private key as operators bring it: RSA, ECDSA or Ed25519, in PKCS#1, SEC1 or PKCS#8.

use pkcs8::der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use pkcs8::der::{Encode, pem};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{PrivateKeyInfoRef, SecretDocument};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use x509_parser::asn1_rs::{Any, Class, FromDer};
use x509_parser::public_key::PublicKey;
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::pair::Problem;

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// A private key, not yet matched with anything.
pub(crate) struct PrivateKey {
    kind: Kind,
    curve: Option<ObjectIdentifier>,
    /// The key in the form of its kind: PKCS#1, SEC1, or an octet string with an Ed25519 seed.
    inner: Zeroizing<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Rsa,
    Ec,
    Ed25519,
}

impl PrivateKey {
    /// The first private key of a PEM text; certificates before it are passed over.
    pub(crate) fn from_pem(text: &[u8]) -> Result<PrivateKey, Problem> {
        // The old way to encrypt a key writes header lines that no PEM reader takes for base64.
        if text.windows(ENCRYPTED.len()).any(|w| w == ENCRYPTED) {
            return Err(Problem::KeyEncrypted);
        }
        for block in x509_parser::pem::Pem::iter_from_buffer(text) {
            let block = block.map_err(|_| Problem::KeyNotPem)?;
            let contents = Zeroizing::new(block.contents);
            let kind = match block.label.as_str() {
                "PRIVATE KEY" => return PrivateKey::from_pkcs8(&contents),
                "RSA PRIVATE KEY" => Kind::Rsa,
                "EC PRIVATE KEY" => Kind::Ec,
                "ENCRYPTED PRIVATE KEY" => return Err(Problem::KeyEncrypted),
                _ => continue,
            };
            return PrivateKey { kind, curve: None, inner: contents }.checked();
        }
        Err(Problem::KeyNotPem)
    }

    /// A PKCS#8 key.
    pub(crate) fn from_pkcs8(der: &[u8]) -> Result<PrivateKey, Problem> {
        let info = PrivateKeyInfoRef::try_from(der).map_err(|_| Problem::KeyNotPem)?;
        let kind = match info.algorithm.oid {
            RSA => Kind::Rsa,
            EC => Kind::Ec,
            ED25519 => Kind::Ed25519,
            _ => return Err(Problem::KeyUnsupported),
        };
        let curve = info.algorithm.parameters.and_then(|any| any.decode_as().ok()).filter(|_| kind == Kind::Ec);
        PrivateKey { kind, curve, inner: Zeroizing::new(info.private_key.as_bytes().to_vec()) }.checked()
    }

    fn checked(mut self) -> Result<PrivateKey, Problem> {
        let readable = match self.kind {
            Kind::Rsa => self.rsa().is_some(),
            Kind::Ec => match self.sec1() {
                Some(sec1) => {
                    let inside = sec1.curve;
                    self.curve = self.curve.or(inside);
                    true
                }
                None => false,
            },
            Kind::Ed25519 => self.ed25519().is_some(),
        };
        if readable { Ok(self) } else { Err(Problem::KeyNotPem) }
    }

    /// True when the certificate is about this key; `None` when it cannot be told.
    pub(crate) fn matches(&self, certificate: &Certificate) -> Option<bool> {
        certificate.with(|parsed| self.matches_key(&parsed.public_key().parsed().ok()?)).flatten()
    }

    fn matches_key(&self, public: &PublicKey<'_>) -> Option<bool> {
        match (self.kind, public) {
            (Kind::Rsa, PublicKey::RSA(public)) => {
                let (modulus, exponent) = self.rsa()?;
                Some(unsigned(modulus) == unsigned(public.modulus) && unsigned(exponent) == unsigned(public.exponent))
            }
            (Kind::Ec, PublicKey::EC(point)) => self.matches_point(point.data()),
            (Kind::Ed25519, PublicKey::Unknown(raw)) => {
                Some(Ed25519KeyPair::from_seed_and_public_key(self.ed25519()?, raw).is_ok())
            }
            _ => Some(false),
        }
    }

    /// ring computes the public key from the private one, so what the file claims is not believed.
    fn matches_point(&self, point: &[u8]) -> Option<bool> {
        let sec1 = self.sec1()?;
        let algorithm = match self.curve {
            Some(P256) => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Some(P384) => &ECDSA_P384_SHA384_ASN1_SIGNING,
            // A curve ring does not know (P-521): only the file's own public key is left.
            _ => return sec1.public.map(|public| public == point),
        };
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, sec1.scalar, point, &SystemRandom::new());
        Some(pair.is_ok())
    }

    /// The key in PKCS#8, whatever form it came in; `None` for what cannot sign here.
    pub(crate) fn to_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        let curve = self.curve;
        let (oid, parameters) = match self.kind {
            Kind::Rsa => (RSA, Some(AnyRef::NULL)),
            Kind::Ec => {
                // ring wants the public key inside.
                self.sec1()?.public?;
                (EC, Some(AnyRef::from(curve.as_ref().filter(|c| matches!(**c, P256 | P384))?)))
            }
            Kind::Ed25519 => (ED25519, None),
        };
        let inner = OctetStringRef::new(&self.inner).ok()?;
        PrivateKeyInfoRef::new(AlgorithmIdentifierRef { oid, parameters }, inner).to_der().ok().map(Zeroizing::new)
    }

    /// Modulus and public exponent: `SEQUENCE { version, modulus, exponent, … }`.
    fn rsa(&self) -> Option<(&[u8], &[u8])> {
        let [_version, modulus, exponent, ..] = sequence(&self.inner)?[..] else {
            return None;
        };
        Some((modulus.1, exponent.1))
    }

    fn ed25519(&self) -> Option<&[u8]> {
        let (_, seed) = Any::from_der(&self.inner).ok()?;
        (seed.data.len() == 32).then_some(seed.data)
    }

    /// `SEQUENCE { version, private key, [0] curve, [1] public key }`, the last two optional.
    fn sec1(&self) -> Option<Sec1<'_>> {
        let fields = sequence(&self.inner)?;
        let tagged = |number: u32| fields.iter().find(|(tag, _)| *tag == (Class::ContextSpecific, number));
        let inside = |number: u32| tagged(number).and_then(|(_, data)| Any::from_der(data).ok());
        Some(Sec1 {
            scalar: fields.get(1)?.1,
            curve: inside(0).and_then(|(_, oid)| ObjectIdentifier::from_bytes(oid.data).ok()),
            // A bit string begins with the number of unused bits: none.
            public: inside(1).and_then(|(_, bits)| bits.data.strip_prefix(&[0])),
        })
    }
}

const ENCRYPTED: &[u8] = b"Proc-Type: 4,ENCRYPTED";

struct Sec1<'a> {
    scalar: &'a [u8],
    curve: Option<ObjectIdentifier>,
    public: Option<&'a [u8]>,
}

type Field<'a> = ((Class, u32), &'a [u8]);

/// Tag and content of each member of a DER sequence.
fn sequence(der: &[u8]) -> Option<Vec<Field<'_>>> {
    let (_, outer) = Any::from_der(der).ok()?;
    let mut rest = outer.data;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (after, field) = Any::from_der(rest).ok()?;
        fields.push(((field.class(), field.tag().0), field.data));
        rest = after;
    }
    Some(fields)
}

/// Without the zero bytes DER puts before a number.
pub(crate) fn unsigned(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|b| **b == 0).count();
    &number[zeros..]
}

/// PEM of a PKCS#8 key.
pub(crate) fn pem_of_key(pkcs8_der: &[u8]) -> Zeroizing<String> {
    let document = SecretDocument::try_from(pkcs8_der.to_vec());
    document.and_then(|key| key.to_pem("PRIVATE KEY", pem::LineEnding::LF)).unwrap_or_default()
}
