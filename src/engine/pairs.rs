//! Certificates that lie on the hosts already, with keys that stay there: whether they can be used, asked before the first
//! change.

use jiff::Timestamp;
use reemo_model::wanted::{WantedPair, WantedService};
use reemo_pki::{Expiry, Problem, State};
use reemo_resource::host::{HostObservation, Pair};

/// What is wrong with one on a host, and what to do.
pub type Wrong = (String, String);

/// As a resource of a host.
pub fn resource(pair: &WantedPair) -> Pair {
    Pair {
        from_cert: pair.from_cert.clone(),
        from_key: pair.from_key.clone(),
        cert: pair.cert.clone(),
        key: pair.key.clone(),
        touch: pair.touch.clone(),
    }
}

/// Those that cannot be used, by the host's own clock.
pub fn problems(services: &[WantedService], seen: &HostObservation) -> Vec<Wrong> {
    let mut all = Vec::new();
    for pair in services.iter().flat_map(|s| &s.pairs) {
        // Not asked for in this run; or no answer, and then the copy says so.
        let Ok(found) = seen.pairs.get(&resource(pair).place()) else { continue };
        let missing = |path: &str, why: &str| {
            let hint =
                "`remote: true` is for files that lie on every server of the cluster: put it there, or name another";
            (format!("{path} {why}"), hint.to_owned())
        };
        let certificate = match (&found.certificate, &found.key) {
            (Err(why), _) => {
                all.push(missing(&pair.from_cert, why));
                continue;
            }
            (_, Err(why)) => {
                all.push(missing(&pair.from_key, why));
                continue;
            }
            (Ok(certificate), Ok(_)) => certificate,
        };
        for problem in reemo_pki::check_far(certificate, &found.public, pair.host.as_deref(), now(seen)) {
            let key = matches!(problem, Problem::KeyNotPem | Problem::KeyUnsupported | Problem::KeyMismatch { .. });
            let path = if key { &pair.from_key } else { &pair.from_cert };
            let hint = "put a certificate with its chain there, and its key without a passphrase, both as PEM";
            all.push((format!("{path}: {problem}"), hint.to_owned()));
        }
    }
    all
}

/// Those that end soon, in words.
pub fn ending(services: &[WantedService], seen: &HostObservation) -> Vec<String> {
    let mut all = Vec::new();
    for pair in services.iter().flat_map(|s| &s.pairs) {
        let found = seen.pairs.get(&resource(pair).place()).ok().and_then(|found| found.certificate.as_ref().ok());
        let end = found.and_then(|certificate| Expiry::of_pem("", certificate, now(seen)));
        if let Some(end) = end.filter(|end| end.state == State::Due) {
            all.push(format!("{} ends in {} days", pair.from_cert, end.days_left));
        }
    }
    all
}

fn now(seen: &HostObservation) -> Timestamp {
    i64::try_from(seen.facts.time_s).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(Timestamp::UNIX_EPOCH)
}
