//! `TRAEFIK_SSL_CERTS`: certificates for users, read from this machine and checked, each trouble at its place.

use jiff::Timestamp;
use reemo_model::diag::{Diagnostic, Diagnostics, Place, shorten};
use reemo_model::secret::Secret;
use reemo_model::vars::Definition;
use reemo_model::wanted::truthy;
use reemo_pki::{Expiry, Problem};
use serde_json::{Value as Json, json};

const NAME: &str = "TRAEFIK_SSL_CERTS";

/// What templates see as `traefik_certs`: each pair with the paths it gets on the hosts. `value` is the
/// variable as the cluster sees it, `written` as it stands in the inventory, `host` the portal's name.
pub fn read(
    value: Option<&Json>,
    written: Option<&Definition>,
    host: Option<&str>,
    now: Timestamp,
) -> Result<Json, Diagnostics> {
    let Some(Json::Array(pairs)) = value else { return Ok(json!([])) };
    // With several pairs Traefik chooses by name: none of them has to cover the portal alone.
    let host = host.filter(|_| pairs.len() == 1);
    let (mut list, mut troubles) = (Vec::new(), Diagnostics::new());
    for (index, pair) in pairs.iter().enumerate() {
        let place = |key: Option<&str>| place(written, index, key);
        if is_remote(pair) {
            match remote(pair, index, host) {
                Ok(item) => list.push(item),
                Err((key, trouble)) => troubles.push(trouble.at(place(Some(key)).or_else(|| place(None)))),
            }
            continue;
        }
        let file = |key: &str| file(pair, index, key).map_err(|e| e.at(place(Some(key)).or_else(|| place(None))));
        let (cert, key) = match (file("cert_file"), file("key_file")) {
            (Ok(cert), Ok(key)) => (cert, key),
            (cert, key) => {
                [cert.err(), key.err()].into_iter().flatten().for_each(|t| troubles.push(t));
                continue;
            }
        };
        Secret::new(key.clone());
        for problem in reemo_pki::check_pair(&cert, &key, host, now) {
            let key = blamed(&problem);
            let error = Diagnostic::error("certificate", format!("{NAME}[{index}].{key}: {problem}"));
            troubles.push(error.at(place(Some(key))).help(advice(&problem)));
        }
        list.push(json!({
            "cert": format!("/etc/reemo/traefik/certs/{index}.crt"),
            "key": format!("/etc/reemo/traefik/certs/{index}.key"),
            "cert_pem": String::from_utf8_lossy(&cert),
            "key_pem": String::from_utf8_lossy(&key),
            "remote": null,
        }));
    }
    if troubles.is_empty() { Ok(Json::Array(list)) } else { Err(troubles) }
}

/// The ends of these certificates.
pub fn ends(value: Option<&Json>, now: Timestamp) -> Result<Vec<Expiry>, Diagnostic> {
    let Some(Json::Array(pairs)) = value else { return Ok(vec![]) };
    let mut ends = Vec::new();
    for (index, pair) in pairs.iter().enumerate().filter(|(_, pair)| !is_remote(pair)) {
        let pem = file(pair, index, "cert_file")?;
        let name = pair["cert_file"].as_str().and_then(|p| p.rsplit('/').next()).unwrap_or_default();
        let expiry = Expiry::of_pem(name, &pem, now).ok_or_else(|| {
            let problem = Problem::CertificateNotPem;
            Diagnostic::error("certificate", format!("{NAME}[{index}].cert_file: {problem}")).help(advice(&problem))
        })?;
        ends.push(expiry);
    }
    Ok(ends)
}

/// True for a pair that lies on the servers: its paths are theirs.
pub fn is_remote(pair: &Json) -> bool {
    pair.get("remote").is_some_and(truthy)
}

/// Such a pair. Each host looks at its own, before the first change (`engine/pairs.rs`).
fn remote(pair: &Json, index: usize, host: Option<&str>) -> Result<Json, (&'static str, Diagnostic)> {
    let path = |key: &'static str| {
        let path = pair.get(key).and_then(Json::as_str).unwrap_or_default();
        if path.starts_with('/') {
            return Ok(path);
        }
        let why = format!("{NAME}[{index}].{key}: `{}` is no absolute path", shorten(path, 200));
        let help = "with `remote: true` both are files on every server of the cluster: /etc/…";
        Err((key, Diagnostic::error("certificate", why).help(help)))
    };
    Ok(json!({
        "cert": format!("/etc/reemo/traefik/certs/{index}.crt"),
        "key": format!("/etc/reemo/traefik/certs/{index}.key"),
        "cert_pem": null,
        "key_pem": null,
        "remote": {"cert": path("cert_file")?, "key": path("key_file")?, "host": host.unwrap_or_default()},
    }))
}

fn file(pair: &Json, index: usize, key: &str) -> Result<Vec<u8>, Diagnostic> {
    let Some(path) = pair.get(key).and_then(Json::as_str).filter(|p| !p.is_empty()) else {
        return Err(Diagnostic::error("certificate", format!("{NAME}[{index}] has no `{key}`"))
            .help("each item needs `cert_file: …` and `key_file: …`, files on this machine"));
    };
    std::fs::read(path).map_err(|e| {
        let shown = shorten(path, 200);
        Diagnostic::error("certificate", format!("{NAME}[{index}].{key}: cannot read {shown}: {e}"))
            .help("give a file on this machine; `{{ inventory_dir }}/…` is beside the inventory, wherever you stand")
    })
}

/// Where a pair, or one of its two files, is written; the variable itself when it is a template.
fn place(written: Option<&Definition>, index: usize, key: Option<&str>) -> Option<Place> {
    let written = written?;
    let of_variable = written.place.clone();
    let item = written.value.as_seq().and_then(|items| items.get(index));
    let node = match key {
        Some(key) => item.and_then(|i| i.get(key)).or(item),
        None => item,
    };
    match (node, &of_variable) {
        (Some(node), Some(place)) if node.span.line > 0 => Some(node.span.at(&place.file)),
        _ => of_variable,
    }
}

/// The file of the pair that has to be replaced.
fn blamed(problem: &Problem) -> &'static str {
    match problem {
        Problem::KeyNotPem | Problem::KeyEncrypted | Problem::KeyUnsupported | Problem::KeyMismatch { .. } => {
            "key_file"
        }
        _ => "cert_file",
    }
}

fn advice(problem: &Problem) -> &'static str {
    match problem {
        Problem::CertificateNotPem => {
            "the file must begin with `-----BEGIN CERTIFICATE-----`: openssl x509 converts it"
        }
        Problem::KeyNotPem | Problem::KeyUnsupported => "openssl pkey -in KEY -noout shows whether it is a key",
        Problem::KeyEncrypted => "Traefik starts by itself, so nobody can type a passphrase",
        Problem::KeyMismatch { .. } => {
            "compare: openssl x509 -in CERT -noout -pubkey, and openssl pkey -in KEY -pubout"
        }
        Problem::Expired { .. } => "have a new certificate issued",
        Problem::NotYetValid { .. } => "is the clock of this machine right? Otherwise wait for that day",
        Problem::ChainOrder { .. } => "put the server's own certificate first, then each one's issuer",
        Problem::NotOfAuthority { .. } => "give a certificate of that authority",
        Problem::HostNotCovered { .. } => "the certificate must name the host of `PORTAL_URL`: correct one of the two",
    }
}
