//! Certificates of the inside: a platform installed with the site's own authority, and two changes of authority under
//! requests that never stop, to certificates that the site gives and from there to an authority of ours. One of them is killed
//! on its way.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use super::Site;
use crate::command;
use crate::load::generator::{Generator, Heard};
use crate::story::say;

/// Three runs of the whole platform, proven one by one.
const LONG: Duration = Duration::from_secs(1500);

const GROUPS: &str = r#"    HEALTHCHECK_ENABLE: "true"
MODEinfra_manager:
  vars:
    PORTALADMIN_URL: "admin.reemo.test"
  hosts:
    infra1: {ansible_host: "ADDRESS(infra1)"}
"#;
const EXTERNAL: &str = "    CERT_MODE: external-ca
    CERT_CA_FILE: \"{{ inventory_dir }}/chain.crt\"
    CERT_CA_KEY_FILE: \"{{ inventory_dir }}/issuing.key\"
";
const PROVIDED: &str = "    CERT_MODE: provided
    CERT_CA_FILE: \"{{ inventory_dir }}/other.crt\"
    CERT_DIR: \"{{ inventory_dir }}/given\"
";

fn groups(mode: &str) -> String {
    GROUPS.replace("MODE", mode)
}

/// The whole story.
pub fn tell() {
    let site = Site::raise("trust", &["infra1", "outside"], &groups(EXTERNAL));
    site.step("the site's authority: a root, and an intermediate one that issues", authorities);
    let generator = site.step("a load generator on a host beside the platform", |_| {
        Generator::on(&site.fleet, site.fleet.host("outside"), &["infra1"])
    });
    site.step("apply: one server, with certificates of the site's authority", |s| {
        s.tool.run(&super::FIRST).ends_with(0);
        issued_by(s, "issuing", "root");
    });
    site.step("certificates for every service, issued elsewhere", given);
    site.write(&groups(PROVIDED));
    site.step("plan: another authority is refused, with the way to it", |s| {
        s.tool.run(&["plan"]).ends_with(8).says("CERT_MODE is provided now").says("certs rotate-ca");
    });
    let untouched = undisturbed(&site);
    let mut running = generator.start(1);
    site.step("certs rotate-ca to them, killed in its second step, and again", |s| {
        let run = s.tool.start(&["certs", "rotate-ca"]);
        until_listed(s, "step 2 of 3");
        std::thread::sleep(Duration::from_secs(20));
        run.running.signal("KILL");
        run.end().ends_with(137);
        s.tool.run(&["certs", "list"]).ends_with(0).says("step 2 of 3");
        s.tool.start(&["certs", "rotate-ca"]).end_within(LONG).ends_with(0).says("trusts nobody else");
        issued_by(s, "other", "other");
        assert_eq!(undisturbed(s), untouched, "neither Traefik nor the database was restarted");
    });
    running = heard(&generator, running, 2, "from external-ca to provided");
    site.write(&groups(""));
    site.step("certs rotate-ca to an authority of ours", |s| {
        s.tool.start(&["certs", "rotate-ca"]).end_within(LONG).ends_with(0).says("Reemo internal CA");
        assert_eq!(undisturbed(s), untouched, "neither Traefik nor the database was restarted");
    });
    let _ = heard(&generator, running, 3, "from provided to auto");
    site.step("again: nothing to do", |s| s.settled());
    site.step("certs export: a copy that opens with the key of the folder, and nothing else does", exported);
    site.done();
}

/// What came of the requests until now; others go on meanwhile.
fn heard(
    generator: &Generator<'_>,
    running: crate::load::generator::Running,
    next: u32,
    what: &str,
) -> crate::load::generator::Running {
    // What follows a replaced copy belongs to its change.
    std::thread::sleep(Duration::from_secs(5));
    let after = generator.start(next);
    let Heard { users, agents, seconds } = generator.stop(&running);
    say(format!(
        "           {what}: {} requests of users, {} failed; {} of agents, {} failed; {seconds:.0} s",
        users.requests, users.failed, agents.requests, agents.failed
    ));
    assert!(users.requests as f64 / seconds >= 20.0, "only {} requests in {seconds:.0} s", users.requests);
    assert!(agents.requests > 0 && users.failed + agents.failed == 0, "{:?} {:?}", users.why, agents.why);
    after
}

fn until_listed(site: &Site, piece: &str) {
    for _ in 0..400 {
        if site.tool.run(&["certs", "list"]).text().contains(piece) {
            return;
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    panic!("certs list never said `{piece}`");
}

fn try_openssl(site: &Site, words: &str) -> command::Ended {
    let mut openssl = Command::new("openssl");
    openssl.args(words.split(' ')).current_dir(site.fleet.control());
    command::run(openssl, "", Duration::from_secs(60))
}

fn openssl(site: &Site, words: &str) -> String {
    let ended = try_openssl(site, words);
    assert!(ended.success(), "openssl {words}: {}", ended.err);
    ended.out
}

/// The tasks of those that a change of authority leaves alone.
fn undisturbed(site: &Site) -> Vec<String> {
    let list = "docker service ps -f desired-state=running --no-trunc -q";
    let ask = format!("{list} traefik; {list} reemo_mysql");
    let ids: Vec<String> = site.fleet.sh(site.fleet.host("infra1"), &ask).lines().map(str::to_owned).collect();
    assert_eq!(ids.len(), 2, "{ids:?}");
    ids
}

/// The authority in one file.
fn exported(site: &Site) {
    let file = site.fleet.control().join("authority.pem");
    site.tool.run(&["certs", "export", "--to", &file.display().to_string()]).ends_with(0).says("openssl pkey");
    let mode = fs::metadata(&file).expect("it was written").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::write(site.fleet.control().join("wrong"), "another one").expect("a file");
    assert!(!try_openssl(site, "pkey -in authority.pem -noout -passin file:wrong").success());
    let key = openssl(site, "pkey -in authority.pem -pubout -passin file:config/reemo-infra/pki.key");
    assert_eq!(key, openssl(site, "x509 -in authority.pem -noout -pubkey"), "key and certificate are a pair");
}

/// `NAME.crt` and `NAME.key`, with these extensions, signed by another one or by itself.
fn certificate(site: &Site, name: &str, by: Option<&str>, extensions: &str) {
    fs::write(site.fleet.control().join("ext"), extensions).expect("a file");
    let subject = name.rsplit('/').next().unwrap_or(name);
    let new = "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(site, &format!("{new} -keyout {name}.key -out {name}.csr -subj /CN={subject}"));
    let signer = match by {
        Some(by) => format!("-CA {by}.crt -CAkey {by}.key -CAcreateserial"),
        None => format!("-signkey {name}.key"),
    };
    openssl(site, &format!("x509 -req -in {name}.csr {signer} -days 900 -extfile ext -out {name}.crt"));
}

fn authorities(site: &Site) {
    const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
    certificate(site, "root", None, CA);
    certificate(site, "other", None, CA);
    certificate(site, "issuing", Some("root"), &CA.replace("TRUE", "TRUE,pathlen:0"));
    let read = |name: &str| fs::read_to_string(site.fleet.control().join(name)).expect("a file");
    fs::write(site.fleet.control().join("chain.crt"), read("issuing.crt") + &read("root.crt")).expect("a file");
}

/// A certificate from the other authority for every service that has one now.
fn given(site: &Site) {
    let listed = site.tool.run(&["certs", "list", "--format", "json"]).ends_with(0);
    let document: serde_json::Value = serde_json::from_str(&listed.out).expect("JSON");
    fs::create_dir_all(site.fleet.control().join("given")).expect("a folder");
    let services = document["certificates"].as_array().expect("a list").iter();
    let services: Vec<&str> = services.map(|c| c["name"].as_str().expect("a name")).filter(|n| *n != "ca").collect();
    assert!(services.len() > 10, "{services:?}");
    for service in services {
        let extensions = format!("subjectAltName=DNS:{service}\nauthorityKeyIdentifier=keyid\n");
        certificate(site, &format!("given/{service}"), Some("other"), &extensions);
    }
}

/// The api and Traefik have certificates of this issuer, which lead to that root; and the health tree is green.
fn issued_by(site: &Site, issuer: &str, root: &str) {
    let host = site.fleet.host("infra1");
    for (service, path) in [
        ("reemo_api", "/run/secrets/tls.crt"),
        ("reemo_portal", "/run/secrets/tls.crt"),
        ("traefik", "/etc/reemo/traefik/certs/inside.pem"),
        ("reemo_mysql", "/run/reemo/tls/tls.pem"),
    ] {
        let shown = site.file_of(host, service, path);
        fs::write(site.fleet.control().join("shown"), shown).expect("a file");
        let said = openssl(site, "x509 -in shown -noout -issuer");
        assert!(said.contains(issuer), "{service}: {said}");
        openssl(site, &format!("verify -CAfile {root}.crt -untrusted shown shown"));
    }
    let health = site.health("infra1", "portal.reemo.test");
    assert_eq!(health["status"], "OK", "{health}");
}
