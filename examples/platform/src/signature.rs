//! Portal and api share HMACSECRET: the portal signs what it asks, the api answers nobody else. A certificate says which
//! service is asking; this says that it is one of this installation's own portals.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::hmac;

/// Header that carries the signature.
pub const HEADER: &str = "x-reemo-signature";

/// A signature older or newer than this is refused.
const TOLERANCE: u64 = 300;

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

/// `<time>:<hex>` over time, method and path.
pub fn sign(secret: &str, at: u64, method: &str, path: &str) -> String {
    let tag = hmac::sign(&key(secret), message(at, method, path).as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{at}:{hex}")
}

/// Whether a header is a signature made with the secret, about now.
pub fn verify(secret: &str, header: &str, now: u64, method: &str, path: &str) -> bool {
    let Some((at, hex)) = header.split_once(':') else { return false };
    let (Ok(at), Some(tag)) = (at.parse::<u64>(), bytes(hex)) else { return false };
    at.abs_diff(now) <= TOLERANCE && hmac::verify(&key(secret), message(at, method, path).as_bytes(), &tag).is_ok()
}

fn key(secret: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

fn message(at: u64, method: &str, path: &str) -> String {
    format!("{at}\n{method}\n{path}")
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    if !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_for_one_request_and_a_while() {
        let header = sign("s", 1000, "GET", "/api/x");
        assert!(verify("s", &header, 1200, "GET", "/api/x"));
        assert!(!verify("s", &header, 1301, "GET", "/api/x"), "too old");
        assert!(!verify("t", &header, 1000, "GET", "/api/x"), "another secret");
        assert!(!verify("s", &header, 1000, "POST", "/api/x"), "another method");
        assert!(!verify("s", &header, 1000, "GET", "/api/y"), "another path");
    }

    #[test]
    fn nonsense_is_refused() {
        for header in ["", ":", "1000", "x:00", "1000:0", "1000:zz", "1000:é0"] {
            assert!(!verify("s", header, 1000, "GET", "/"), "{header}");
        }
    }
}
