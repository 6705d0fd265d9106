//! Checks of a certificate and a key that an operator brings.

use std::net::IpAddr;

use jiff::Timestamp;
use thiserror::Error;

use crate::authority::day;
use crate::certificate::Certificate;
use crate::key::PrivateKey;
use crate::public;

/// What is wrong with a certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// No PEM, or no certificate in it.
    #[error("the certificate file holds no PEM certificate")]
    CertificateNotPem,
    /// No PEM, or no key in it.
    #[error("the key file holds no PEM private key that can be read")]
    KeyNotPem,
    /// Nobody is there to type the passphrase when a server starts.
    #[error("the key is encrypted: give it without a passphrase (openssl pkey -in KEY -out PLAIN)")]
    KeyEncrypted,
    /// Neither RSA, ECDSA nor Ed25519.
    #[error("the key is of a kind servers here do not know (RSA, ECDSA and Ed25519 are known)")]
    KeyUnsupported,
    /// They do not belong together.
    #[error("the key is not that of the certificate ({subject})")]
    KeyMismatch {
        /// Of the certificate.
        subject: String,
    },
    /// One of the certificates has ended.
    #[error("the certificate of {subject} ended on {on}")]
    Expired {
        /// Of the certificate.
        subject: String,
        /// Day.
        on: String,
    },
    /// One of the certificates is not valid yet.
    #[error("the certificate of {subject} is valid only from {from} on")]
    NotYetValid {
        /// Of the certificate.
        subject: String,
        /// Day.
        from: String,
    },
    /// The server's own certificate comes first, then each one's issuer.
    #[error("wrong order: {subject} is not signed by the certificate after it, {next}")]
    ChainOrder {
        /// Of the certificate.
        subject: String,
        /// The one after it.
        next: String,
    },
    /// Peers trust that authority only.
    #[error("the certificate of {subject} was issued by {issuer}, which does not lead to {authority}")]
    NotOfAuthority {
        /// Of the certificate.
        subject: String,
        /// Who signed it.
        issuer: String,
        /// Who was expected.
        authority: String,
    },
    /// Browsers would refuse it.
    #[error("the certificate is not for {host} (it is for {names})")]
    HostNotCovered {
        /// Name or address asked for.
        host: String,
        /// Those in the certificate.
        names: String,
    },
}

/// Looks at a certificate (with its chain) and a key, both in PEM. An empty list means: good to serve,
/// and for `host` if one is given.
pub fn check_pair(cert_pem: &[u8], key_pem: &[u8], host: Option<&str>, now: Timestamp) -> Vec<Problem> {
    match PrivateKey::from_pem(key_pem) {
        Ok(key) => check(cert_pem, Ok(|first: &Certificate| key.matches(first)), host, now),
        Err(problem) => check(cert_pem, Err::<fn(&Certificate) -> _, _>(problem), host, now),
    }
}

/// The same for a key that stays where it is: `public` is its public half, as `ssh-keygen -y` or `openssl pkey -pubout`
/// prints it; empty: neither could read it.
pub fn check_far(cert_pem: &[u8], public: &str, host: Option<&str>, now: Timestamp) -> Vec<Problem> {
    if public.trim().is_empty() {
        return check(cert_pem, Err::<fn(&Certificate) -> _, _>(Problem::KeyNotPem), host, now);
    }
    check(cert_pem, Ok(|first: &Certificate| public::matches(public, first)), host, now)
}

fn check(
    cert_pem: &[u8],
    key: Result<impl FnOnce(&Certificate) -> Option<bool>, Problem>,
    host: Option<&str>,
    now: Timestamp,
) -> Vec<Problem> {
    let mut problems = Vec::new();
    let chain = Certificate::all_from_pem(cert_pem).unwrap_or_default();
    let key = key.map_err(|problem| problems.push(problem)).ok();
    let Some(first) = chain.first() else {
        problems.insert(0, Problem::CertificateNotPem);
        return problems;
    };
    match key.map(|matches| matches(first)) {
        Some(Some(false)) => problems.push(Problem::KeyMismatch { subject: first.subject_name.clone() }),
        Some(None) => problems.push(Problem::KeyUnsupported),
        _ => {}
    }
    for certificate in &chain {
        let subject = certificate.subject_name.clone();
        if now >= certificate.not_after {
            problems.push(Problem::Expired { subject, on: day(certificate.not_after) });
        } else if now < certificate.not_before {
            problems.push(Problem::NotYetValid { subject, from: day(certificate.not_before) });
        }
    }
    for pair in chain.windows(2) {
        if !pair[0].is_signed_by(&pair[1]) {
            let (subject, next) = (pair[0].subject_name.clone(), pair[1].subject_name.clone());
            problems.push(Problem::ChainOrder { subject, next });
        }
    }
    if let Some(host) = host.filter(|host| !covers(first, host)) {
        let names: Vec<&str> = first.names.iter().map(String::as_str).collect();
        let names = if names.is_empty() { "no host at all".to_owned() } else { names.join(", ") };
        problems.push(Problem::HostNotCovered { host: host.to_owned(), names });
    }
    problems
}

/// As browsers read it: only the alternative names count, and `*` stands for exactly one label.
fn covers(certificate: &Certificate, host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse::<IpAddr>() {
        return certificate.names.contains(&address.to_string());
    }
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if certificate.names.contains(&host) {
        return true;
    }
    host.split_once('.').is_some_and(|(_, parent)| certificate.names.contains(&format!("*.{parent}")))
}
