//! `certs list` and `certs check`.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{Stage, text};

const INVENTORY: &str = r#"all:
  vars: {API_LICENSE: "eyJsaWNlbmNlIjogImRlbW8ifQ=="}
infra_manager:
  vars:
    TRAEFIK_SSL_CERTS: [{cert_file: "{{ inventory_dir }}/shown.crt", key_file: "{{ inventory_dir }}/shown.key"}]
  hosts: {infra1: {ansible_host: 192.0.2.1}}
"#;

/// An inventory whose users see a certificate that was issued so many days ago; each lives for 824.
fn issued(days_ago: i64) -> Stage {
    let stage = Stage::new();
    let then = Timestamp::now() - SignedDuration::from_hours(24 * days_ago);
    let leaf = reemo_pki::Store::ephemeral(None, then).unwrap().leaf("shown", &[], then).unwrap();
    stage.write("shown.crt", leaf.cert_pem.as_bytes());
    stage.write("shown.key", leaf.key.expose());
    stage.write("i.yml", INVENTORY.as_bytes());
    stage
}

#[test]
fn the_end_of_what_users_see() {
    for (days_ago, more, plain, nagios, says) in [
        (0, &[][..], 0, 0, "OK - 1 certificates, the first that ends: shown.crt of infra_manager ends "),
        (0, &["--days", "900"], 0, 1, "WARNING - shown.crt of infra_manager ends "),
        (800, &[], 0, 1, "WARNING - shown.crt of infra_manager ends "),
        (800, &["--days", "10"], 0, 0, "OK - "),
        // `plan` refuses it; here it has to be seen.
        (830, &[], 2, 2, "CRITICAL - shown.crt of infra_manager ended "),
        (830, &["--days", "1"], 2, 2, "CRITICAL - shown.crt of infra_manager ended "),
    ] {
        let stage = issued(days_ago);
        let args = [&["certs", "check", "-i", "i.yml"], more].concat();
        let output = stage.tool(&args, &[]);
        assert_eq!(output.status.code(), Some(plain), "{days_ago} {more:?}: {}", text(&output));
        assert!(text(&output).contains(&format!("CERTIFICATES {says}")), "{days_ago} {more:?}: {}", text(&output));
        let output = stage.tool(&[&args[..], &["--nagios"]].concat(), &[]);
        assert_eq!(output.status.code(), Some(nagios), "{days_ago} {more:?}: {}", text(&output));
    }
}

#[test]
fn all_of_them_are_listed() {
    let stage = issued(800);
    let folder = stage.folder.path().join("pki");
    let key = stage.write("passphrase", b"of nobody else\n");
    let store = reemo_pki::Store::create(&folder, &reemo_pki::Passphrase::File(key), Timestamp::now()).unwrap();
    store.leaf("reemo_api", &[], Timestamp::now()).unwrap();
    let args = ["certs", "list", "-i", "i.yml", "--pki-dir", "pki", "--pki-passphrase-file", "passphrase"];
    let output = stage.tool(&[&args[..], &["--format", "json"]].concat(), &[]);
    assert!(output.status.success(), "{}", text(&output));
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows: Vec<[&str; 3]> = document["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| ["of", "name", "state"].map(|key| c[key].as_str().unwrap()))
        .collect();
    assert_eq!(
        rows,
        [["inside", "ca", "valid"], ["inside", "reemo_api", "valid"], ["infra_manager", "shown.crt", "due"]]
    );
    let output = stage.tool(&args, &[]);
    assert!(text(&output).contains("reemo_api"), "{}", text(&output));
}

#[test]
fn what_cannot_be_read_is_unknown() {
    let stage = issued(0);
    stage.write("shown.crt", b"no certificate");
    let output = stage.tool(&["certs", "check", "-i", "i.yml", "--nagios"], &[]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("CERTIFICATES UNKNOWN - "), "{}", text(&output));
    let output = stage.tool(&["certs", "check", "-i", "i.yml"], &[]);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output));
    assert!(text(&output).contains("TRAEFIK_SSL_CERTS[0].cert_file"), "{}", text(&output));
}

#[test]
fn a_rotated_certificate_is_issued_anew() {
    let stage = issued(0);
    let (folder, key) = (stage.folder.path().join("pki"), stage.write("passphrase", b"of nobody else\n"));
    let passphrase = || reemo_pki::Passphrase::File(key.clone());
    let now = Timestamp::now();
    let store = reemo_pki::Store::create(&folder, &passphrase(), now).unwrap();
    let old = ["reemo_api", "reemo_portal"].map(|s| store.leaf(s, &[], now).unwrap().cert_pem);
    let rotate = |more: &[&str]| {
        let args = ["certs", "rotate", "-i", "i.yml", "--pki-dir", "pki", "--pki-passphrase-file", "passphrase"];
        stage.tool(&[&args[..], more].concat(), &[])
    };
    for (more, says) in [
        (&["reemo_apy"][..], "did you mean `reemo_api`?"),
        (&["ca"], "certs rotate-ca"),
        (&[], "or --all"),
        (&["reemo_api", "--all"], "not both"),
    ] {
        let output = rotate(more);
        assert_eq!(output.status.code(), Some(5), "{more:?}: {}", text(&output));
        assert!(text(&output).contains(says), "{more:?}: {}", text(&output));
    }
    let output = rotate(&["reemo_api"]);
    assert!(output.status.success(), "{}", text(&output));
    let store = reemo_pki::Store::open(&folder, &passphrase()).unwrap();
    let new = ["reemo_api", "reemo_portal"].map(|s| store.leaf(s, &[], now).unwrap().cert_pem);
    assert!(new[0] != old[0] && new[1] == old[1], "of the one that was named, and of no other");
    let output = rotate(&["--all"]);
    assert!(output.status.success(), "{}", text(&output));
    let store = reemo_pki::Store::open(&folder, &passphrase()).unwrap();
    assert_ne!(store.leaf("reemo_portal", &[], now).unwrap().cert_pem, old[1]);
}
