//! The certificate of one service, and when a new one is due.

use std::collections::BTreeSet;

use jiff::{Timestamp, ToSpan};
use reemo_model::secret::Secret;

use crate::RENEWAL_DAYS;
use crate::authority::{Authority, days_after};
use crate::certificate::Certificate;
use crate::error::{Kind, PkiError, Result};

/// The certificate of a service and its key.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The service: common name, and first name of the certificate.
    pub service: String,
    /// The certificate, followed by intermediate ones (none with a CA of ours), in PEM.
    pub cert_pem: String,
    /// Its key, PKCS#8 in PEM, not encrypted.
    pub key: Secret,
    /// The end of its validity.
    pub not_after: Timestamp,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a leaf comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was in the store: same bytes as in the run before.
    Stored,
    /// It has just been issued and stored.
    Issued(Reason),
    /// In a plan: one *would* be issued. The bytes here are a stand-in, never used on a host and
    /// different in each run, so a name made from them must not be shown.
    Provisional(Reason),
}

/// Why a leaf is issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There was none.
    New,
    /// It ends soon, or has ended.
    Expiring,
    /// Other names are wanted.
    NamesChanged,
    /// It is from another CA.
    AuthorityChanged,
    /// Its files do not open, or do not belong together.
    Damaged,
    /// The site gave another one.
    Given,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::New => "there is none yet",
            Reason::Expiring => "it ends soon",
            Reason::NamesChanged => "its names changed",
            Reason::AuthorityChanged => "the CA changed",
            Reason::Damaged => "its files are damaged",
            Reason::Given => "another one was given",
        })
    }
}

/// Why the stored certificate cannot stay; `None` if it can.
pub(crate) fn why_reissue(
    stored: &Certificate,
    names: &BTreeSet<String>,
    authority: &Authority,
    now: Timestamp,
) -> Option<Reason> {
    if !stored.is_signed_by(&authority.issuing) {
        return Some(Reason::AuthorityChanged);
    }
    if stored.names != *names {
        return Some(Reason::NamesChanged);
    }
    // With a CA that ends soon itself, a new leaf would end no later: each run would issue another.
    let gains = authority.leaf_end(now) > stored.not_after.saturating_add(1.hour()).unwrap_or(Timestamp::MAX);
    (days_after(now, RENEWAL_DAYS) >= stored.not_after && gains).then_some(Reason::Expiring)
}

/// The names of a service's certificate: its own, and those asked for.
pub(crate) fn names(service: &str, extra: &[String]) -> Result<BTreeSet<String>> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    // It becomes a file name and a common name, which is limited to 64 characters.
    if service.is_empty() || service.len() > 64 || service.starts_with('.') || !service.chars().all(allowed) {
        return Err(PkiError::new(
            Kind::Input,
            format!("{service:?} cannot be the name of a certificate"),
            "1 to 64 letters, digits, '-', '_' and '.'",
        ));
    }
    Ok(std::iter::once(service).chain(extra.iter().map(String::as_str)).map(canonical).collect())
}

/// As it is read back from a certificate.
fn canonical(name: &str) -> String {
    name.parse::<std::net::IpAddr>().map_or_else(|_| name.to_ascii_lowercase(), |ip| ip.to_string())
}
