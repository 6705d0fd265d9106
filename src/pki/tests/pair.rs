//! Certificates an operator brings: made here with OpenSSL, in every form it writes.

use std::fs;
use std::path::Path;
use std::process::Command;

use jiff::{Timestamp, ToSpan};
use reemo_pki::{Problem, check_far, check_pair};
use tempfile::TempDir;

struct Files(TempDir);

impl Files {
    fn new() -> Files {
        Files(tempfile::tempdir().unwrap())
    }

    fn openssl(&self, line: &str) {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(self.0.path()).output().unwrap();
        assert!(output.status.success(), "openssl {line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(Path::new(self.0.path()).join(name)).unwrap()
    }

    /// A self-signed certificate for `NAME.crt` and its key in PKCS#8 as `NAME.key`.
    fn certificate(&self, name: &str, new_key: &str) {
        self.openssl(&format!("req -x509 -nodes -days 90 -subj /CN={name} -addext subjectAltName=DNS:portal.example,DNS:*.wild.example,IP:192.0.2.1 -newkey {new_key} -keyout {name}.key -out {name}.crt"));
    }

    fn check(&self, crt: &str, key: &str, host: Option<&str>) -> Vec<Problem> {
        check_pair(&self.read(crt), &self.read(key), host, Timestamp::now())
    }
}

const KINDS: [(&str, &str); 5] = [
    ("rsa", "rsa:2048"),
    ("p256", "ec -pkeyopt ec_paramgen_curve:P-256"),
    ("p384", "ec -pkeyopt ec_paramgen_curve:P-384"),
    ("p521", "ec -pkeyopt ec_paramgen_curve:P-521"),
    ("ed25519", "ed25519"),
];

#[test]
fn every_kind_of_key_in_every_form() {
    let files = Files::new();
    for (name, new_key) in KINDS {
        files.certificate(name, new_key);
        files.certificate(&format!("{name}-other"), new_key);
        let crt = format!("{name}.crt");
        assert_eq!(files.check(&crt, &format!("{name}.key"), Some("portal.example")), [], "{name}");
        let mismatch = Problem::KeyMismatch { subject: name.to_owned() };
        assert_eq!(files.check(&crt, &format!("{name}-other.key"), None), [mismatch], "{name}");
        if name != "ed25519" {
            // PKCS#1 or SEC1.
            files.openssl(&format!("pkey -traditional -in {name}.key -out {name}.old"));
            assert!(!files.read(&format!("{name}.old")).starts_with(b"-----BEGIN PRIVATE"));
            assert_eq!(files.check(&crt, &format!("{name}.old"), None), [], "{name} traditional");
        }
    }
    assert_eq!(files.check("rsa.crt", "p256.key", None), [Problem::KeyMismatch { subject: "rsa".into() }]);
    assert_eq!(files.check("p256.crt", "p384.key", None), [Problem::KeyMismatch { subject: "p256".into() }]);
    assert_eq!(files.check("ed25519.crt", "rsa.key", None), [Problem::KeyMismatch { subject: "ed25519".into() }]);
}

/// The public key inside a SEC1 file is optional, and need not be believed.
#[test]
fn the_public_key_is_computed() {
    let files = Files::new();
    files.certificate("p256", KINDS[1].1);
    files.openssl("ec -in p256.key -no_public -out bare.key");
    assert_eq!(files.check("p256.crt", "bare.key", None), []);
    files.openssl("ecparam -name prime256v1 -genkey -out with-parameters.key");
    assert_eq!(files.check("p256.crt", "with-parameters.key", None), [Problem::KeyMismatch { subject: "p256".into() }]);
}

#[test]
fn what_is_no_key_and_no_certificate() {
    let files = Files::new();
    files.certificate("p256", KINDS[1].1);
    let (crt, key) = (files.read("p256.crt"), files.read("p256.key"));
    let now = Timestamp::now();
    assert_eq!(check_pair(b"hello", &key, None, now), [Problem::CertificateNotPem]);
    assert_eq!(check_pair(b"", b"", None, now), [Problem::CertificateNotPem, Problem::KeyNotPem]);
    assert_eq!(check_pair(&crt, &crt, None, now), [Problem::KeyNotPem]);
    assert_eq!(check_pair(&key, &crt, None, now), [Problem::CertificateNotPem, Problem::KeyNotPem]);
    assert_eq!(check_pair(&crt[..200], &key, None, now), [Problem::CertificateNotPem]);
    assert_eq!(check_pair(&crt, &key[..60], None, now), [Problem::KeyNotPem]);
    assert_eq!(check_pair(b"\xff\xfe\x00", b"\xff", None, now), [Problem::CertificateNotPem, Problem::KeyNotPem]);
    // Both in one file, as HAProxy wants them, and text before it.
    let both = [b"Subject: x\n".as_slice(), &crt, &key].concat();
    assert_eq!(check_pair(&both, &both, None, now), []);

    files.openssl("pkey -in p256.key -aes256 -passout pass:x -out sealed.key");
    files.openssl("ec -in p256.key -aes256 -passout pass:x -out sealed-old.key");
    for sealed in ["sealed.key", "sealed-old.key"] {
        assert_eq!(files.check("p256.crt", sealed, None), [Problem::KeyEncrypted], "{sealed}");
    }
    files.openssl("genpkey -algorithm x25519 -out x25519.key");
    assert_eq!(files.check("p256.crt", "x25519.key", None), [Problem::KeyUnsupported]);
}

/// What a host tells of a key that stays there.
#[test]
fn public_halves() {
    let files = Files::new();
    let said = |program: &str, line: &str| {
        let output = Command::new(program).args(line.split(' ')).current_dir(files.0.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut by_ssh = 0;
    for (name, new_key) in KINDS {
        files.certificate(name, new_key);
        files.certificate(&format!("{name}-other"), new_key);
        let crt = files.read(&format!("{name}.crt"));
        for (key, expected) in [
            (name.to_owned(), vec![]),
            (format!("{name}-other"), vec![Problem::KeyMismatch { subject: name.to_owned() }]),
        ] {
            let check = |public: &str| check_far(&crt, public, Some("portal.example"), Timestamp::now());
            assert_eq!(check(&said("openssl", &format!("pkey -pubout -in {key}.key"))), expected, "{name} by openssl");
            // Older ones cannot read Ed25519 in PKCS#8.
            let public = said("ssh-keygen", &format!("-y -f {key}.key"));
            if !public.is_empty() {
                by_ssh += 1;
                assert_eq!(check(&public), expected, "{name} by ssh-keygen: {public}");
            }
        }
    }
    assert!(by_ssh >= 8, "{by_ssh}");
    let crt = files.read("rsa.crt");
    let other_kind = said("openssl", "pkey -pubout -in p256.key");
    for (public, problem) in [
        ("", Problem::KeyNotPem),
        ("ssh-rsa AAAA", Problem::KeyUnsupported),
        ("nonsense", Problem::KeyUnsupported),
        (other_kind.as_str(), Problem::KeyMismatch { subject: "rsa".into() }),
    ] {
        assert_eq!(check_far(&crt, public, None, Timestamp::now()), [problem], "{public:?}");
    }
}

#[test]
fn hosts_as_browsers_read_them() {
    let files = Files::new();
    files.certificate("p256", KINDS[1].1);
    let good = ["portal.example", "PORTAL.example.", "a.wild.example", "192.0.2.1"];
    for host in good {
        assert_eq!(files.check("p256.crt", "p256.key", Some(host)), [], "{host}");
    }
    // The common name does not count, and the star is one label.
    for host in ["p256", "wild.example", "a.b.wild.example", "192.0.2.2", "[2001:db8::1]", "xportal.example"] {
        let problems = files.check("p256.crt", "p256.key", Some(host));
        assert!(matches!(&problems[..], [Problem::HostNotCovered { .. }]), "{host}: {problems:?}");
    }
}

#[test]
fn times_and_chains() {
    let files = Files::new();
    files.certificate("root", KINDS[0].1);
    files.openssl("req -newkey rsa:2048 -nodes -subj /CN=leaf -keyout leaf.key -out leaf.csr");
    files.openssl("x509 -req -in leaf.csr -CA root.crt -CAkey root.key -CAcreateserial -days 30 -out leaf.crt");
    let (leaf, root, key) = (files.read("leaf.crt"), files.read("root.crt"), files.read("leaf.key"));
    let at = |days: i64| Timestamp::now() + (days * 24).hours();
    let chain = [leaf.clone(), root.clone()].concat();
    assert_eq!(check_pair(&chain, &key, None, at(0)), []);
    assert!(
        matches!(&check_pair(&chain, &key, None, at(31))[..], [Problem::Expired { subject, .. }] if subject == "leaf")
    );
    assert_eq!(check_pair(&chain, &key, None, at(91)).len(), 2);
    assert!(matches!(&check_pair(&leaf, &key, None, at(-2))[..], [Problem::NotYetValid { .. }]));
    let reversed = check_pair(&[root.clone(), leaf.clone()].concat(), &key, None, at(0));
    assert!(reversed.iter().any(|p| matches!(p, Problem::ChainOrder { .. })), "{reversed:?}");
    // Same name, other key: the name alone proves nothing.
    files.openssl("req -x509 -newkey rsa:2048 -nodes -subj /CN=root -days 9 -keyout fake.key -out fake.crt");
    let forged = check_pair(&[leaf, files.read("fake.crt")].concat(), &key, None, at(0));
    assert!(matches!(&forged[..], [Problem::ChainOrder { .. }]), "{forged:?}");
}
