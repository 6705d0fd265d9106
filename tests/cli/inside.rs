//! `CERT_MODE` and `certs rotate-ca`, as far as they go without a host.

use std::process::{Command, Output};

use jiff::Timestamp;
use reemo_pki::{Passphrase, Store, Way};

use crate::{Stage, text};

const PKI: [&str; 4] = ["--pki-dir", "pki", "--pki-passphrase-file", "passphrase"];

/// An inventory with these variables, and the authority of a site: `root`, `issuing` below it, `chain.crt` with both.
struct Site {
    stage: Stage,
}

impl Site {
    fn new() -> Site {
        let site = Site { stage: Stage::new() };
        site.stage.write("passphrase", b"of nobody else\n");
        site.authority("root", None, "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n");
        site.authority("issuing", Some("root"), "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign\n");
        let chain = [site.read("issuing.crt"), site.read("root.crt")].concat();
        site.stage.write("chain.crt", &chain);
        site
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.stage.folder.path().join(name)).unwrap()
    }

    fn openssl(&self, words: &str) {
        let mut openssl = Command::new("openssl");
        let done = openssl.args(words.split(' ')).current_dir(self.stage.folder.path()).output().unwrap();
        assert!(done.status.success(), "openssl {words}: {}", text(&done));
    }

    fn authority(&self, name: &str, by: Option<&str>, extensions: &str) {
        self.stage.write("ext", extensions.as_bytes());
        self.openssl(&format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"));
        let signer = match by {
            Some(by) => format!("-CA {by}.crt -CAkey {by}.key -CAcreateserial"),
            None => format!("-signkey {name}.key"),
        };
        self.openssl(&format!("x509 -req -in {name}.csr {signer} -days 900 -extfile ext -out {name}.crt"));
    }

    fn run(&self, variables: &str, args: &[&str]) -> Output {
        let inventory = format!(
            "all:\n  vars: {{API_LICENSE: \"eyJsaWNlbmNlIjogImRlbW8ifQ==\"{variables}}}\ninfra_manager:\n  hosts: \
             {{infra1: {{ansible_host: 192.0.2.1}}}}\n"
        );
        self.stage.write("i.yml", inventory.as_bytes());
        self.stage.tool(&[args, &["-i", "i.yml"], &PKI].concat(), &[])
    }

    /// Reads and checks, and ends so, saying this.
    fn says(&self, variables: &str, code: i32, pieces: &[&str]) {
        let output = self.run(variables, &["plan", "--syntax-check"]);
        assert_eq!(output.status.code(), Some(code), "{variables}: {}", text(&output));
        for piece in pieces {
            assert!(text(&output).contains(piece), "{variables}: {piece:?} in {}", text(&output));
        }
        assert!(!text(&output).contains("PRIVATE KEY"), "{}", text(&output));
    }

    fn store(&self) -> Store {
        Store::open(&self.stage.folder.path().join("pki"), &self.passphrase()).unwrap()
    }

    fn passphrase(&self) -> Passphrase {
        Passphrase::File(self.stage.folder.path().join("passphrase"))
    }

    fn create(&self) {
        Store::create(&self.stage.folder.path().join("pki"), &self.passphrase(), Timestamp::now()).unwrap();
    }
}

const EXTERNAL: &str = ", CERT_MODE: external-ca, CERT_CA_FILE: chain.crt, CERT_CA_KEY_FILE: issuing.key";

#[test]
fn the_sites_authority_is_looked_at_first() {
    let site = Site::new();
    site.says(EXTERNAL, 0, &["nothing wrong"]);
    let with = |file: &str, key: &str| format!(", CERT_MODE: external-ca, CERT_CA_FILE: {file}, {key}");
    site.says(
        &with("issuing.crt", "CERT_CA_KEY_FILE: issuing.key"),
        3,
        &["CERT_CA_FILE: issuing.crt", "up to the root"],
    );
    site.says(&with("one.crt", "CERT_CA_KEY_FILE: one.key"), 3, &["CA:TRUE is missing", "i.yml:2:"]);
    site.says(&with("gone.crt", "CERT_CA_KEY_FILE: root.key"), 3, &["there is no file gone.crt"]);
    site.says(&with("chain.crt", "CERT_CA_KEY_FILE: root.key"), 3, &["CERT_CA_KEY_FILE: root.key", "not that of"]);
    site.says(&with("chain.crt", "CERT_CA_KEY: nonsense"), 3, &["holds no PEM private key"]);
    site.says(", CERT_MODE: external-ca, CERT_CA_FILE: chain.crt", 3, &["needs the key of chain.crt"]);
    site.says(", CERT_MODE: external-ca", 3, &["needs CERT_CA_FILE"]);
    site.says(", CERT_MODE: externalca", 3, &["external-ca"]);
    site.says(", CERT_CA_FILE: chain.crt", 0, &["`CERT_CA_FILE` has no effect with CERT_MODE: auto"]);
    let pem = String::from_utf8(site.read("issuing.key")).unwrap().replace('\n', "\\n");
    site.says(&with("chain.crt", &format!("CERT_CA_KEY: \"{pem}\"")), 0, &["nothing wrong"]);
}

#[test]
fn certificates_that_are_given_are_looked_at_first() {
    let site = Site::new();
    let provided = ", CERT_MODE: provided, CERT_CA_FILE: root.crt, CERT_DIR: given";
    site.says(provided, 3, &["CERT_DIR: cannot read given"]);
    std::fs::create_dir(site.stage.folder.path().join("given")).unwrap();
    // Without a certificates folder nothing is handed out yet: the gap shows once there is one.
    Store::create_provided(
        &site.stage.folder.path().join("pki"),
        &site.passphrase(),
        std::str::from_utf8(&site.read("root.crt")).unwrap(),
    )
    .unwrap();
    site.says(provided, 3, &["certificate of reemo_api", "certificate of reemo_portal", "reemo_portal.crt"]);
    for service in ["reemo_api", "reemo_portal"] {
        site.authority(service, Some("issuing"), &format!("subjectAltName=DNS:{service}\n"));
        site.stage.write(
            &format!("given/{service}.crt"),
            &[site.read(&format!("{service}.crt")), site.read("issuing.crt")].concat(),
        );
        site.stage.write(&format!("given/{service}.key"), &site.read(&format!("{service}.key")));
    }
    let output = site.run(provided, &["plan", "--syntax-check"]);
    assert!(!text(&output).contains("certificate of reemo_api:"), "{}", text(&output));
    site.stage.write("given/reemo_api.key", &site.read("root.key"));
    site.says(provided, 3, &["given/reemo_api.key: the key is not that of the certificate"]);
    site.stage.write("given/reemo_api.crt", &site.read("reemo_portal.crt"));
    site.says(provided, 3, &["given/reemo_api.crt: the certificate is not for reemo_api", "DNS:reemo_api"]);
    site.says(provided, 3, &["which does not lead to root"]);
    std::fs::remove_file(site.stage.folder.path().join("given/reemo_api.key")).unwrap();
    site.says(provided, 3, &["there is no file given/reemo_api.key"]);
}

#[test]
fn inside_and_outside_have_different_authorities() {
    let site = Site::new();
    for (name, by) in [("shown", "issuing"), ("apart", "root")] {
        site.authority(name, Some(by), "subjectAltName=DNS:portal.example.org\n");
    }
    let chain = [site.read("shown.crt"), site.read("issuing.crt")].concat();
    site.stage.write("shown.crt", &chain);
    let warning = "comes from the authority that services trust among themselves";
    let outside = |name: &str| format!(", TRAEFIK_SSL_CERTS: [{{cert_file: {name}.crt, key_file: {name}.key}}]");
    let said = |variables: &str| {
        let output = site.run(variables, &["plan", "--syntax-check"]);
        assert!(output.status.success(), "{}", text(&output));
        text(&output).contains(warning)
    };
    assert!(said(&format!("{EXTERNAL}{}", outside("shown"))));
    assert!(said(&format!("{EXTERNAL}{}", outside("apart"))), "the root is trusted too");
    assert!(!said(&format!("{EXTERNAL}{}", outside("one"))));
    assert!(!said(&outside("shown")));
}

#[test]
fn another_authority_is_refused_without_the_way_to_it() {
    let site = Site::new();
    site.create();
    site.says("", 0, &["nothing wrong"]);
    site.says(EXTERNAL, 8, &["CERT_MODE is external-ca now", "certs rotate-ca"]);
}

#[test]
fn a_change_stands_where_it_was_stopped() {
    let site = Site::new();
    site.create();
    let before = site.store().ca_pem().to_owned();
    // Nobody is there: the first step is not brought to anybody.
    let login = ["--timeout", "1", "--ssh-common-args=-J nobody@127.0.0.1:1"];
    let rotate =
        |variables: &str, more: &[&str]| site.run(variables, &[&["certs", "rotate-ca"], more, &login].concat());
    let output = rotate("", &["--back"]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    let output = rotate("", &["--limit", "infra1"]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
    for _ in 0..2 {
        let output = rotate(EXTERNAL, &[]);
        assert_eq!(output.status.code(), Some(4), "{}", text(&output));
        assert!(text(&output).contains("stopped at step 1 of 3"), "{}", text(&output));
        assert_eq!(site.store().trust().generation, 1, "begun once, and not gone on with");
    }
    assert!(site.store().ca_pem().starts_with(before.trim_end()) && site.store().ca_pem().len() > before.len());

    let output = site.run(EXTERNAL, &["certs", "list"]);
    assert!(text(&output).contains("ca-next"), "{}", text(&output));
    assert!(text(&output).contains("from ca (auto) to ca-next (external-ca): step 1 of 3"), "{}", text(&output));
    // Either authority may stand in the inventory while it lasts; no third one.
    site.says(EXTERNAL, 0, &["a change of authority is under way"]);
    site.says("", 0, &["a change of authority is under way"]);
    site.says(", CERT_MODE: external-ca, CERT_CA_FILE: root.crt, CERT_CA_KEY_FILE: root.key", 8, &["is under way"]);
    let output = rotate("", &[]);
    assert_eq!(output.status.code(), Some(8), "the inventory no longer says where to: {}", text(&output));
    let output = rotate(EXTERNAL, &["--back"]);
    assert_eq!(output.status.code(), Some(8), "nor where from: {}", text(&output));
    let output = rotate("", &["--back"]);
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));

    // Once it is done, the key need not be named any more.
    for _ in 0..3 {
        site.store().step(Way::On).unwrap();
    }
    site.says(", CERT_MODE: external-ca, CERT_CA_FILE: chain.crt", 0, &["nothing wrong"]);
    site.says("", 8, &["CERT_MODE is auto now"]);
    let output = rotate(EXTERNAL, &[]);
    assert_eq!(output.status.code(), Some(5), "{}", text(&output));
}

#[test]
fn the_authority_goes_elsewhere_encrypted() {
    let site = Site::new();
    let output = site.run("", &["certs", "export", "--to", "out.pem"]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    site.create();
    let output = site.run("", &["certs", "export", "--to", "out.pem"]);
    assert!(output.status.success(), "{}", text(&output));
    let exported = String::from_utf8(site.read("out.pem")).unwrap();
    assert!(exported.contains("BEGIN ENCRYPTED PRIVATE KEY") && !exported.contains("BEGIN PRIVATE KEY"), "{exported}");
    site.openssl("pkey -in out.pem -passin file:passphrase -noout");
    let output = site.run("", &["certs", "export", "--to", "out.pem"]);
    assert_eq!(output.status.code(), Some(2), "an existing file is not written over: {}", text(&output));
}
