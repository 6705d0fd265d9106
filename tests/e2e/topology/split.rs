//! Topology 3: portals in zones of their own. One host for each leaf: users, administrators, api.

use super::Site;
use crate::command;
use crate::web;

const GROUPS: &str = r#"    HMACSECRET: "of-this-split-platform"
    HEALTHCHECK_ENABLE: "true"
portal_manager:
  children:
    portaluser_manager:
      vars:
        PORTAL_URL: "portal.reemo.test"
        PORTAL_TYPE: "user"
        TRAEFIK_SSL_CERTS:
          - cert_file: "{{ inventory_dir }}/portal.crt"
            key_file: "{{ inventory_dir }}/portal.key"
        API_IP:
          - ip: "ADDRESS(api1)"
      hosts:
        portaluser1: {ansible_host: "ADDRESS(portaluser1)"}
    portaladmin_manager:
      vars:
        PORTAL_URL: "admin.reemo.test"
        PORTAL_TYPE: "admin"
        PORTAL_URL_RESTRICT_IP: "127.0.0.1,ADDRESS(portaladmin1),ADDRESS(portaluser1)"
      hosts:
        portaladmin1: {ansible_host: "ADDRESS(portaladmin1)"}
api_manager:
  hosts:
    api1: {ansible_host: "ADDRESS(api1)"}
"#;

/// On one node; what the portals have is alike.
const PORTAL: [(&str, u64, u64); 6] = [
    ("reemo_apigateway", 1, 1),
    ("reemo_maintenance", 1, 1),
    ("reemo_portal", 2, 2),
    ("reemo_signal1", 1, 1),
    ("reemo_signal2", 1, 1),
    ("traefik", 1, 1),
];
const API: [(&str, u64, u64); 9] = [
    ("reemo_api", 4, 4),
    ("reemo_apicron", 1, 1),
    ("reemo_apicronldap", 1, 1),
    ("reemo_apicronlog", 1, 1),
    ("reemo_apientry", 1, 1),
    ("reemo_db", 0, 1),
    ("reemo_mysql", 1, 1),
    ("reemo_proapi", 2, 2),
    ("reemo_prorelayapi", 2, 2),
];

/// The whole story.
pub fn tell() {
    // The inventory names a certificate: it is there before the hosts are.
    let site = Site::raise("split", &["portaluser1", "portaladmin1", "api1"], GROUPS);
    certificate(&site);
    site.step("apply: three Swarms from one inventory", |s| s.install());
    site.step("each has its services, the api's first", order);
    site.step("the portals: names, certificate, types, who may come in", portals);
    site.step("to the api leads one way, and only with a certificate", one_way);
    site.step("again: nothing to do", |s| s.settled());
    site.done();
}

/// What a site's own authority would have made.
fn certificate(site: &Site) {
    let mut command = std::process::Command::new("openssl");
    command
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "60"])
        .args(["-subj", "/CN=portal.reemo.test", "-addext", "subjectAltName=DNS:portal.reemo.test"])
        .args(["-keyout", "portal.key", "-out", "portal.crt"])
        .current_dir(site.fleet.control());
    let ended = command::run(command, "", std::time::Duration::from_secs(20));
    assert!(ended.success(), "{}", ended.err);
}

fn order(site: &Site) {
    for portal in ["portaluser1", "portaladmin1"] {
        site.runs(portal, &PORTAL);
        // Every service of a portal's Swarm waits for the api; the clocks of the hosts are one.
        let first = PORTAL.iter().map(|(service, ..)| site.made(portal, service)).min().expect("services");
        for before in ["reemo_db", "reemo_api"] {
            let made = site.made("api1", before);
            assert!(made < first, "{before} was made at {made}, the first service of {portal} at {first}");
        }
    }
    site.runs("api1", &API);
}

fn portals(site: &Site) {
    let address = |host: &str| site.fleet.host(host).address.clone();
    let tree = site.health("portaluser1", "portal.reemo.test");
    assert_eq!(tree["status"], "OK", "{tree:#}");
    assert_eq!(tree["services"]["api"]["services"]["db"]["status"], "OK", "{tree:#}");
    assert_eq!(web::get(&address("portaluser1"), 443, "portal.reemo.test", "/").status, 200);
    // A name that is not this portal's.
    assert_eq!(web::get(&address("portaluser1"), 443, "admin.reemo.test", "/").status, 404);
    // The certificate of the site, to a client that verifies it.
    let mut curl = std::process::Command::new("curl");
    let resolve = format!("portal.reemo.test:443:{}", address("portaluser1"));
    curl.args(["--silent", "--fail", "--cacert", "portal.crt", "--resolve", &resolve, "https://portal.reemo.test/"]);
    curl.current_dir(site.fleet.control());
    assert!(
        command::run(curl, "", std::time::Duration::from_secs(20)).success(),
        "the site's own certificate is shown"
    );
    // Administrators: this machine is none of the addresses that may come in; the users' host is.
    assert_eq!(web::get(&address("portaladmin1"), 443, "admin.reemo.test", "/").status, 403);
    let ask = |name: &str| {
        format!(
            "printf 'GET /api/healthcheck HTTP/1.1\\r\\nHost: {name}\\r\\nConnection: close\\r\\n\\r\\n' | \
             timeout 20 openssl s_client -quiet -connect {}:443 -servername {name} 2>/dev/null",
            address("portaladmin1")
        )
    };
    let seen = site.fleet.try_sh(site.fleet.host("portaluser1"), &ask("admin.reemo.test"), "").out;
    assert!(
        seen.starts_with("HTTP/1.1 200") && seen.contains("\"status\""),
        "from an address that may come in:\n{seen}"
    );
    for (host, kind) in [("portaluser1", "user"), ("portaladmin1", "admin")] {
        let env = site.fleet.sh(
            site.fleet.host(host),
            "docker service inspect -f '{{join .Spec.TaskTemplate.ContainerSpec.Env \" \"}}' reemo_portal",
        );
        assert!(env.contains(&format!("PORTAL_TYPE={kind}")), "{host}: {env}");
        let secret = site.file_of(site.fleet.host(host), "reemo_portal", "/run/secrets/hmac_secret");
        assert_eq!(secret, "of-this-split-platform", "{host}");
    }
    let secret = site.file_of(site.fleet.host("api1"), "reemo_api", "/run/secrets/hmac_secret");
    assert_eq!(secret, "of-this-split-platform", "the api has the same");
}

fn one_way(site: &Site) {
    for port in [80, 443, 3306, 8443] {
        assert!(!site.open("portaluser1", "api1", port), "port {port} of the api's host is open to portals");
    }
    assert!(site.open("portaluser1", "api1", 8444), "the entry for portals is not open");
    let entry = format!("reemo_api:8444:{}", site.fleet.host("api1").address);
    let ask = |identity: &[String]| {
        let mut curl = std::process::Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "10", "--resolve", &entry, "https://reemo_api:8444/live"]);
        curl.args(identity).args(["--write-out", "%{http_code}", "--output", "/dev/null"]);
        command::run(curl, "", std::time::Duration::from_secs(20))
    };
    let identity = site.certificate_of("portaluser1", "reemo_portal");
    let with = ask(&identity);
    assert!(with.success() && with.out == "200", "with the portal's certificate: {} {}", with.out, with.err);
    let without = ask(&identity[4..]);
    assert!(
        !without.success() && without.err.contains("certificate required"),
        "without one: {} {}",
        without.out,
        without.err
    );
}
