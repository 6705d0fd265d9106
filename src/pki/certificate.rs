//! A certificate as read: what we decide on, owned.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::verify::verify_signature;
use x509_parser::x509::X509Name;

use crate::random::to_hex;

/// A certificate, with what we read from it.
pub(crate) struct Certificate {
    pub der: Vec<u8>,
    /// For people: the common name, else the whole subject.
    pub subject_name: String,
    /// Who signed it, likewise.
    pub issuer_name: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
    /// Subject alternative names: DNS names in lower case, and addresses.
    pub names: BTreeSet<String>,
    pub is_ca: bool,
    subject: Vec<u8>,
    issuer: Vec<u8>,
}

impl Certificate {
    pub(crate) fn from_der(der: &[u8]) -> Option<Certificate> {
        let (rest, parsed) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let name = |of: &X509Name<'_>| {
            let common = of.iter_common_name().next().and_then(|cn| cn.as_str().ok());
            common.map_or_else(|| of.to_string(), str::to_owned)
        };
        Some(Certificate {
            der: der.to_vec(),
            subject_name: name(parsed.subject()),
            issuer_name: name(parsed.issuer()),
            not_before: Timestamp::from_second(parsed.validity().not_before.timestamp()).ok()?,
            not_after: Timestamp::from_second(parsed.validity().not_after.timestamp()).ok()?,
            names: names(&parsed),
            is_ca: parsed.is_ca(),
            subject: parsed.subject().as_raw().to_vec(),
            issuer: parsed.issuer().as_raw().to_vec(),
        })
    }

    /// All certificates of a PEM text; `None` if one cannot be read.
    pub(crate) fn all_from_pem(pem: &[u8]) -> Option<Vec<Certificate>> {
        let blocks = Pem::iter_from_buffer(pem).collect::<Result<Vec<_>, _>>().ok()?;
        blocks.iter().filter(|b| b.label == "CERTIFICATE").map(|b| Certificate::from_der(&b.contents)).collect()
    }

    /// True when it signed itself: a root.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.subject == self.issuer
    }

    /// True when `issuer` signed this certificate.
    pub(crate) fn is_signed_by(&self, issuer: &Certificate) -> bool {
        if self.issuer != issuer.subject {
            return false;
        }
        self.with(|this| {
            issuer.with(|issuer| {
                let tbs = this.tbs_certificate.as_ref();
                let key = issuer.public_key();
                verify_signature(key, &this.signature_algorithm, &this.signature_value, tbs).is_ok()
            })
        })
        .flatten()
        .unwrap_or(false)
    }

    /// SHA-256 of the certificate, in hexadecimal: what tells one CA from another.
    pub(crate) fn fingerprint(&self) -> String {
        to_hex(ring::digest::digest(&ring::digest::SHA256, &self.der).as_ref())
    }

    /// Looks at the parsed form, which borrows from the bytes.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&X509Certificate<'_>) -> T) -> Option<T> {
        X509Certificate::from_der(&self.der).ok().map(|(_, parsed)| look(&parsed))
    }
}

fn names(parsed: &X509Certificate<'_>) -> BTreeSet<String> {
    let Ok(Some(extension)) = parsed.subject_alternative_name() else {
        return BTreeSet::new();
    };
    extension.value.general_names.iter().filter_map(name).collect()
}

fn name(general: &GeneralName<'_>) -> Option<String> {
    match general {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => address(bytes).map(|ip| ip.to_string()),
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
