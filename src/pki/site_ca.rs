//! Checks of an authority that an operator brings: can it issue what the services need, and will their TLS libraries
//! accept what it issues?

use jiff::Timestamp;
use thiserror::Error;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::X509Certificate;

use crate::authority::day;
use crate::certificate::Certificate;
use crate::key::PrivateKey;
use crate::pair::Problem;

/// What is wrong with an authority.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unfit {
    /// No PEM, or no certificate in it.
    #[error("holds no PEM certificate")]
    NotPem,
    /// The certificate of a server or a person.
    #[error("the certificate of {0} is not that of an authority (basicConstraints CA:TRUE is missing)")]
    NotCa(String),
    /// It is an authority for something else.
    #[error("the authority {0} may not sign certificates (keyUsage without keyCertSign)")]
    MayNotSign(String),
    /// `pathlen` is used up.
    #[error("the authority {subject} allows {allowed} authorities below it, and there are {below}")]
    PathTooLong {
        /// Of the certificate.
        subject: String,
        /// Its `pathlen`.
        allowed: u32,
        /// Authorities between it and the services' certificates.
        below: usize,
    },
    /// It has ended.
    #[error("the authority {subject} ended on {on}")]
    Ended {
        /// Of the certificate.
        subject: String,
        /// Day.
        on: String,
    },
    /// Not valid yet.
    #[error("the authority {subject} is valid only from {from} on")]
    NotYetValid {
        /// Of the certificate.
        subject: String,
        /// Day.
        from: String,
    },
    /// Not each one followed by its issuer.
    #[error("wrong order: {subject} is not signed by the certificate after it, {next}")]
    Order {
        /// Of the certificate.
        subject: String,
        /// The one after it.
        next: String,
    },
    /// The services' libraries trust roots only.
    #[error("ends with {0}, which another authority signed: the file must go on up to the root")]
    NoRoot(String),
    /// `nameConstraints` without the services' names.
    #[error("the authority {subject} may not issue for {name} (nameConstraints)")]
    Names {
        /// Of the certificate.
        subject: String,
        /// A service.
        name: String,
    },
    /// `extendedKeyUsage` without both directions.
    #[error("the authority {0} may not issue for servers and clients both (extendedKeyUsage)")]
    Purpose(String),
    /// The key cannot be used with it.
    #[error("{0}")]
    Key(Problem),
    /// Not RSA, P-256, P-384 or Ed25519.
    #[error("keys of this kind cannot sign here (RSA, P-256, P-384 and Ed25519 can)")]
    KeyCannotSign,
}

impl Unfit {
    /// True when the key has to be replaced or corrected, not the certificate.
    pub fn is_about_key(&self) -> bool {
        matches!(self, Unfit::Key(_) | Unfit::KeyCannotSign)
    }
}

/// Looks at the certificate of an issuing authority, followed by those above it up to the root, and at its key if it is
/// given. `service` stands for the names it has to issue for. An empty list: fit.
pub fn check_ca(cert_pem: &[u8], key_pem: Option<&[u8]>, service: &str, now: Timestamp) -> Vec<Unfit> {
    let chain = Certificate::all_from_pem(cert_pem).unwrap_or_default();
    let Some(issuing) = chain.first() else { return vec![Unfit::NotPem] };
    let mut wrong = Vec::new();
    for (below, certificate) in chain.iter().enumerate() {
        wrong.extend(of_one(certificate, below, service, now));
    }
    for pair in chain.windows(2) {
        if !pair[0].is_signed_by(&pair[1]) {
            let (subject, next) = (pair[0].subject_name.clone(), pair[1].subject_name.clone());
            wrong.push(Unfit::Order { subject, next });
        }
    }
    wrong.extend(chain.last().filter(|c| !c.is_signed_by(c)).map(|c| Unfit::NoRoot(c.subject_name.clone())));
    match key_pem.map(PrivateKey::from_pem) {
        Some(Err(problem)) => wrong.push(Unfit::Key(problem)),
        Some(Ok(key)) => match key.matches(issuing) {
            Some(false) => wrong.push(Unfit::Key(Problem::KeyMismatch { subject: issuing.subject_name.clone() })),
            Some(true) if key.to_pkcs8().is_some() => {}
            _ => wrong.push(Unfit::KeyCannotSign),
        },
        None => {}
    }
    wrong
}

/// Looks at the roots (and those below them, in any order) that given certificates are held against.
pub fn check_anchors(pem: &[u8], now: Timestamp) -> Vec<Unfit> {
    let all = Certificate::all_from_pem(pem).unwrap_or_default();
    if all.is_empty() {
        return vec![Unfit::NotPem];
    }
    let mut wrong: Vec<Unfit> = all.iter().flat_map(|c| of_one(c, 0, "", now)).collect();
    if let (Some(first), false) = (all.first(), all.iter().any(|c| c.is_signed_by(c))) {
        wrong.push(Unfit::NoRoot(first.subject_name.clone()));
    }
    wrong
}

/// `below`: how many authorities are between this one and a service's certificate. `service`: empty where it issues none.
fn of_one(certificate: &Certificate, below: usize, service: &str, now: Timestamp) -> Vec<Unfit> {
    let subject = certificate.subject_name.clone();
    if !certificate.is_ca {
        return vec![Unfit::NotCa(subject)];
    }
    let mut wrong = Vec::new();
    if now >= certificate.not_after {
        wrong.push(Unfit::Ended { subject: subject.clone(), on: day(certificate.not_after) });
    } else if now < certificate.not_before {
        wrong.push(Unfit::NotYetValid { subject: subject.clone(), from: day(certificate.not_before) });
    }
    wrong.extend(certificate.with(|parsed| extensions(parsed, &subject, below, service)).unwrap_or_default());
    wrong
}

fn extensions(parsed: &X509Certificate<'_>, subject: &str, below: usize, service: &str) -> Vec<Unfit> {
    let mut wrong = Vec::new();
    for extension in parsed.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::KeyUsage(usage) if !usage.key_cert_sign() => {
                wrong.push(Unfit::MayNotSign(subject.to_owned()));
            }
            ParsedExtension::BasicConstraints(basic) => {
                let allowed = basic.path_len_constraint.filter(|allowed| (*allowed as usize) < below);
                wrong.extend(allowed.map(|allowed| Unfit::PathTooLong { subject: subject.to_owned(), allowed, below }));
            }
            ParsedExtension::ExtendedKeyUsage(usage) if !(usage.any || usage.server_auth && usage.client_auth) => {
                wrong.push(Unfit::Purpose(subject.to_owned()));
            }
            ParsedExtension::NameConstraints(names) if !service.is_empty() => {
                let dns = |list: &[x509_parser::extensions::GeneralSubtree<'_>]| -> Vec<String> {
                    let name = |base: &GeneralName<'_>| match base {
                        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
                        _ => None,
                    };
                    list.iter().filter_map(|tree| name(&tree.base)).collect()
                };
                let permitted = names.permitted_subtrees.as_deref().map(dns).unwrap_or_default();
                let excluded = names.excluded_subtrees.as_deref().map(dns).unwrap_or_default();
                let allowed = permitted.is_empty() || permitted.iter().any(|tree| inside(service, tree));
                if !allowed || excluded.iter().any(|tree| inside(service, tree)) {
                    wrong.push(Unfit::Names { subject: subject.to_owned(), name: service.to_owned() });
                }
            }
            _ => {}
        }
    }
    wrong
}

/// RFC 5280, 4.2.1.10: a name is inside a subtree that it equals, or ends with at a dot; the empty one holds all.
fn inside(name: &str, tree: &str) -> bool {
    let tree = tree.trim_start_matches('.');
    tree.is_empty() || name == tree || name.strip_suffix(tree).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn subtrees() {
        for (name, tree, expected) in [
            ("reemo_api", "reemo_api", true),
            ("reemo_api", "", true),
            ("reemo_api", "example.org", false),
            ("a.example.org", "example.org", true),
            ("a.example.org", ".example.org", true),
            ("anexample.org", "example.org", false),
        ] {
            assert_eq!(inside(name, tree), expected, "{name} in {tree}");
        }
    }
}
