//! Topology 3: portals in zones of their own. One host for each leaf: users, administrators, api.

use std::time::{Duration, Instant};

use super::{Site, on_server};
use crate::{command, swarm, web};

const GROUPS: &str = r#"    HMACSECRET: "of-this-split-platform"
    HEALTHCHECK_ENABLE: "true"
portal_manager:
  children:
    portaluser_manager:
      vars:
        PORTAL_URL: "portal.reemo.test"
        PORTAL_TYPE: "user"
        SYSLOG_FACILITY_TRAEFIK: "local5"
        TRAEFIK_SSL_CERTS:
          - cert_file: "{{ inventory_dir }}/portal.crt"
            key_file: "{{ inventory_dir }}/portal.key"
          - cert_file: "{{ inventory_dir }}/helpdesk.crt"
            key_file: "{{ inventory_dir }}/helpdesk.key"
        API_IP:
          - ip: "ADDRESS(api1)"
      hosts:
        portaluser1: {ansible_host: "ADDRESS(portaluser1)"}
    portaladmin_manager:
      vars:
        PORTAL_URL: "admin.reemo.test"
        PORTAL_TYPE: "admin"
        TRAEFIK_PROMETHEUS_ENABLE: true
        PORTAL_URL_RESTRICT_IP: "127.0.0.1,ADDRESS(portaladmin1),ADDRESS(portaluser1)"
        TRAEFIK_SSL_CERTS:
          - {cert_file: /etc/letsencrypt/live/admin/fullchain.pem, key_file: /etc/letsencrypt/live/admin/privkey.pem, remote: true}
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
    // The inventory names certificates: they are there before the hosts are.
    let site = Site::raise("split", &["portaluser1", "portaladmin1", "api1"], GROUPS);
    ["portal", "helpdesk"].iter().for_each(|name| certificate(&site, name));
    listen(&site);
    site.step("a certificate that is to lie on a server, and does not yet: refused", on_server::missing);
    site.step("apply: three Swarms from one inventory", |s| s.install());
    site.step("each has its services, the api's first", order);
    site.step("the portals: names, certificate, types, who may come in", portals);
    site.step("syslog: facility, tag, and the document's two searches", syslog);
    site.step("a new certificate reaches users, and restarts nothing", renewed);
    site.step("a new certificate on the server reaches administrators, and restarts nothing", on_server::renewed);
    site.step("metrics: inside, not outside", metrics);
    site.step("supervision: one line and a code", supervised);
    site.step("to the api leads one way, and only with a certificate", one_way);
    site.step("again: nothing to do", |s| s.settled());
    site.done();
}

/// What a site's own authority would have made.
/// A new certificate for NAME.reemo.test, as NAME.crt and NAME.key beside the inventory.
pub fn certificate(site: &Site, name: &str) {
    let mut command = std::process::Command::new("openssl");
    command
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "60"])
        .args(["-subj", &format!("/CN={name}.reemo.test"), "-addext", &format!("subjectAltName=DNS:{name}.reemo.test")])
        .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")])
        .current_dir(site.fleet.control());
    let ended = command::run(command, "", Duration::from_secs(20));
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
    assert!(command::run(curl, "", Duration::from_secs(20)).success(), "the site's own certificate is shown");
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
        command::run(curl, "", Duration::from_secs(20))
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

/// What its administrator would add to see one facility on its own.
fn listen(site: &Site) {
    const RULE: &str = "echo 'local5.* /var/log/local5.log' >/etc/rsyslog.d/10-local5.conf; systemctl restart rsyslog";
    site.fleet.sh(site.fleet.host("portaluser1"), RULE);
}

/// The lines of the access log stand in the node's own syslog, under the facility that was asked for.
fn syslog(site: &Site) {
    let user = site.fleet.host("portaluser1");
    // Something to be found: users get 503 while the maintenance page is shown.
    site.tool.run(&["maintenance", "on"]).ends_with(0);
    let began = Instant::now();
    while web::get(&user.address, 443, "portal.reemo.test", "/").status != 503 {
        assert!(began.elapsed() < Duration::from_secs(10), "the page is not shown");
        std::thread::sleep(Duration::from_millis(200));
    }
    // A portal for administrators never shows it.
    let shown = "test -e /etc/reemo/traefik/dynamic/maintenance.yml";
    assert!(
        !site.fleet.try_sh(site.fleet.host("portaladmin1"), shown, "").success(),
        "administrators keep their portal"
    );
    site.tool.run(&["maintenance", "off"]).ends_with(0);

    let search = r#"grep _traefik /var/log/syslog | grep '" 5[0-9][0-9] [0-9]'"#;
    let found = site.tool.run(&["exec", "portaluser_manager", "--", search]).ends_with(0);
    let line = found.out.lines().find(|l| l.contains("reemo_traefik[")).unwrap_or_else(|| panic!("{}", found.out));
    assert!(line.contains("\"GET / HTTP/1.1\" 503 "), "common log format: {line}");
    // The other one; a line it looks for, as a service would write it.
    site.fleet.sh(user, "logger -t reemo_portal '10.0.0.9 - - \"GET /api/x HTTP/1.1\" 500 17'");
    let search = "grep ' 500 [0-9]' /var/log/syslog";
    site.tool.run(&["exec", "portaluser_manager", "--", search]).ends_with(0).says("\" 500 17");

    let own = site.fleet.sh(user, "cat /var/log/local5.log");
    assert!(own.contains("reemo_traefik["), "the facility is local5:\n{own}");
    for other in ["reemo_portal[", "reemo_signal1["] {
        assert!(!own.contains(other), "{other} has another facility:\n{own}");
        let all = site.fleet.sh(user, &format!("grep -cF '{other}' /var/log/syslog || true"));
        assert_ne!(all.trim(), "0", "{other} is in the syslog");
    }
}

fn renewed(site: &Site) {
    let tasks = swarm::running_tasks(&site.fleet, site.fleet.host("portaluser1"));
    let serial = |line: &str, name: &str| {
        let mut ask = std::process::Command::new("sh");
        ask.args(["-c", line, &site.fleet.host("portaluser1").address, name]).current_dir(site.fleet.control());
        command::run(ask, "", Duration::from_secs(20)).out
    };
    let ask = "openssl s_client -connect \"$0:443\" -servername \"$1.reemo.test\" </dev/null 2>/dev/null | openssl x509 -noout -serial";
    let shown = |name: &str| serial(ask, name);
    let file = |name: &str| serial("openssl x509 -noout -serial -in \"$1.crt\"", name);
    // Each client gets the one for the name it asks for, and the first for a name that none of them has.
    for (name, of) in [("portal", "portal"), ("helpdesk", "helpdesk"), ("nobody", "portal")] {
        let wanted = file(of);
        assert!(wanted.starts_with("serial="), "{wanted}");
        assert_eq!(shown(name), wanted, "asked for {name}");
    }
    let other = file("helpdesk");
    certificate(site, "portal");
    let new = file("portal");
    assert_ne!(shown("portal"), new);
    site.tool.run(&["apply"]).ends_with(0);
    let began = Instant::now();
    while shown("portal") != new {
        assert!(began.elapsed() < Duration::from_secs(10), "{} is shown, not {new}", shown("portal"));
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(shown("helpdesk"), other);
    assert_eq!(swarm::running_tasks(&site.fleet, site.fleet.host("portaluser1")), tasks, "no copy was restarted");
}

fn metrics(site: &Site) {
    let admin = site.fleet.host("portaladmin1");
    assert!(!site.open("portaluser1", "portaladmin1", 8083), "the metrics are public");
    let ask = "timeout 10 nsenter -t \"$pid\" -n bash -c 'exec 3<>/dev/tcp/127.0.0.1/8083; \
               printf \"GET /metrics HTTP/1.0\\r\\n\\r\\n\" >&3; cat <&3'";
    let seen = site.fleet.sh(admin, &format!("{}{ask}", swarm::pid_of("traefik")));
    assert!(seen.contains("traefik_entrypoint_requests_total"), "{seen}");
}

fn supervised(site: &Site) {
    let fine = site.tool.run(&["check", "--nagios"]).ends_with(0);
    assert!(fine.out.starts_with("REEMO OK - 3 nodes, ") && fine.out.contains(" services=20;;;0;20"), "{}", fine.out);
    // A service that fits nowhere any more, by somebody's hand.
    let api = site.fleet.host("api1");
    site.fleet.sh(api, "docker service update --detach --constraint-add node.labels.nowhere==1 reemo_apicron");
    let began = Instant::now();
    while swarm::replicas(&site.fleet, api)["reemo_apicron"].0 > 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "it does not stop");
        std::thread::sleep(Duration::from_millis(300));
    }
    site.tool.run(&["check", "--nagios"]).ends_with(2).says("REEMO CRITICAL - reemo_apicron 0/1 on api_manager");
    site.tool.run(&["apply"]).ends_with(0).says("reemo_apicron");
    site.tool.run(&["check"]).ends_with(0).says("REEMO OK");
}
