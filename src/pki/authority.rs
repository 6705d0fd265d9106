//! The certificate authority: ours, or the site's.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType, SerialNumber,
};
use zeroize::Zeroizing;

use crate::certificate::Certificate;
use crate::error::{Kind, PkiError, Result};
use crate::{CA_DAYS, LEAF_DAYS, random};

/// The public part: the certificate that issues, and those above it.
pub(crate) struct Authority {
    /// As stored: the issuing certificate first.
    pub pem: String,
    pub issuing: Certificate,
    /// Intermediate certificates a peer needs besides the leaf, in PEM; empty for a root.
    intermediates: String,
}

/// A certificate just issued, with its key.
pub(crate) struct Issued {
    pub cert_pem: String,
    pub key_der: Zeroizing<Vec<u8>>,
    pub not_after: Timestamp,
}

impl Authority {
    /// Reads `ca.crt`: one certificate, or an intermediate one followed by those above it.
    pub(crate) fn from_pem(pem: &str) -> Option<Authority> {
        let mut all = Certificate::all_from_pem(pem.as_bytes())?;
        if all.is_empty() {
            return None;
        }
        let intermediates = all.iter().filter(|c| !c.is_self_issued()).map(|c| pem_of(&c.der)).collect();
        Some(Authority { pem: pem.to_owned(), intermediates, issuing: all.swap_remove(0) })
    }

    /// True when the chain (a certificate, then intermediate ones) ends at one of this authority's.
    pub(crate) fn vouches(&self, chain: &[Certificate]) -> bool {
        let Some(anchors) = Certificate::all_from_pem(self.pem.as_bytes()) else { return false };
        let mut above = chain.iter().skip(1);
        let mut next = chain.first();
        while let Some(certificate) = next {
            if anchors.iter().any(|anchor| certificate.is_signed_by(anchor)) {
                return true;
            }
            next = above.next().filter(|issuer| issuer.is_ca && certificate.is_signed_by(issuer));
        }
        false
    }

    /// True when both are made of the same certificates.
    pub(crate) fn is_same(&self, other: &Authority) -> bool {
        let prints = |authority: &Authority| -> Option<BTreeSet<String>> {
            Some(Certificate::all_from_pem(authority.pem.as_bytes())?.iter().map(Certificate::fingerprint).collect())
        };
        prints(self).is_some() && prints(self) == prints(other)
    }

    /// A new CA of ours, and its key in PKCS#8.
    pub(crate) fn create(now: Timestamp) -> Result<(Authority, Zeroizing<Vec<u8>>)> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::internal)?;
        let mut params = params(now, days_after(now, CA_DAYS))?;
        // The number tells two sites apart in a browser's or a database's error message.
        params.distinguished_name = name(&format!("Reemo internal CA {}", random::hex::<4>()?));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&key).map_err(PkiError::internal)?.pem();
        let authority = Authority::from_pem(&pem).ok_or_else(|| PkiError::internal("own certificate unreadable"))?;
        Ok((authority, Zeroizing::new(key.serialize_der())))
    }

    /// Issues a certificate for a service.
    pub(crate) fn issue(
        &self,
        ca_key: &[u8],
        service: &str,
        names: &BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Issued> {
        let ca_key = KeyPair::try_from(ca_key).map_err(PkiError::internal)?;
        let issuer =
            Issuer::from_ca_cert_der(&self.issuing.der.as_slice().into(), ca_key).map_err(PkiError::internal)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(PkiError::internal)?;
        let not_after = self.leaf_end(now);
        let mut params = params(now, not_after)?;
        params.distinguished_name = name(service);
        params.subject_alt_names = names.iter().map(|n| alternative_name(n)).collect::<Result<_>>()?;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = params.signed_by(&key, &issuer).map_err(PkiError::internal)?;
        Ok(Issued {
            cert_pem: leaf.pem() + &self.intermediates,
            key_der: Zeroizing::new(key.serialize_der()),
            not_after,
        })
    }

    /// Until when a certificate issued now is valid: never longer than the CA.
    pub(crate) fn leaf_end(&self, now: Timestamp) -> Timestamp {
        days_after(now, LEAF_DAYS).min(self.issuing.not_after)
    }

    /// Refuses to issue with a CA that has ended: every peer would refuse the result.
    pub(crate) fn refuse_ended(&self, now: Timestamp) -> Result<()> {
        if now < self.issuing.not_after {
            return Ok(());
        }
        Err(PkiError::new(
            Kind::Input,
            format!("the CA {} ended on {}", self.issuing.subject_name, day(self.issuing.not_after)),
            "no certificate can be issued with it: rotate the CA",
        ))
    }
}

/// `days` later; the far end of the calendar instead of an error.
pub(crate) fn days_after(time: Timestamp, days: i64) -> Timestamp {
    let later = time.checked_add((days * 24).hours()).unwrap_or(Timestamp::MAX);
    // Certificates count whole seconds.
    Timestamp::from_second(later.as_second()).unwrap_or(later)
}

/// The day of a time, for messages.
pub(crate) fn day(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

/// PEM of a certificate.
fn pem_of(der: &[u8]) -> String {
    use pkcs8::der::pem;
    pem::encode_string("CERTIFICATE", pem::LineEnding::LF, der).unwrap_or_default()
}

fn params(now: Timestamp, not_after: Timestamp) -> Result<CertificateParams> {
    let mut params = CertificateParams::default();
    // Hosts whose clock is a little behind ours must accept it at once.
    let since_epoch = |seconds: i64| Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    // rcgen speaks the `time` crate; counting from the epoch, we need not.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch + since_epoch(now.as_second() - 3600);
    params.not_after = epoch + since_epoch(not_after.as_second());
    let mut serial = random::bytes::<16>()?;
    serial[0] = serial[0] & 0x7f | 0x40; // positive, and always 16 bytes long
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

fn name(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn alternative_name(name: &str) -> Result<SanType> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let bad = || {
        let hint = "host names of letters, digits, '-', '_' and '.', or addresses";
        PkiError::new(Kind::Input, format!("{name:?} cannot stand in a certificate"), hint)
    };
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*');
    if name.is_empty() || name.len() > 253 || !name.chars().all(allowed) {
        return Err(bad());
    }
    Ia5String::try_from(name).map(SanType::DnsName).map_err(|_| bad())
}
