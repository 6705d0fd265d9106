//! Topology 1: one server with everything that can be switched on, and a host beside it that is nobody: a client from
//! elsewhere, and the site's mail server. What needs no second node of the platform is proven here, on real software:
//! mail, metrics, filters by address, syslog, what is only for the first run.

use std::time::Duration;

use super::{Site, outside};
use crate::{command, swarm, web};

const GROUPS: &str = r#"    HEALTHCHECK_ENABLE: "true"
    SYSLOG_FACILITY_API: "local1"
    SYSLOG_FACILITY_APICRON: "local2"
    SYSLOG_FACILITY_DB: "local3"
    SYSLOG_FACILITY_EXIM4: "mail"
    SYSLOG_FACILITY_MYSQL: "local4"
    SYSLOG_FACILITY_PORTAL: "local5"
    SYSLOG_FACILITY_PORTALADMIN: "local6"
    SYSLOG_FACILITY_SIGNAL: "local7"
    SYSLOG_FACILITY_PROAPI: "user"
    SYSLOG_FACILITY_STUN: "news"
    SYSLOG_FACILITY_PRORELAYAPI: "uucp"
    SYSLOG_FACILITY_PROCLOUDAPI: "lpr"
    SYSLOG_FACILITY_APICRONLOG: "cron"
    SYSLOG_FACILITY_APICRONLDAP: "auth"
    SYSLOG_FACILITY_APICRONCLOUD: "authpriv"
    SYSLOG_FACILITY_HAPROXY: "ftp"
    SYSLOG_FACILITY_TRAEFIK: "local0"
    INIT_MINIMUM_PASSWORD_LENGTH: "12"
    INIT_PASSWORD_REQUIRE_LETTERS: "true"
    INIT_PASSWORD_REQUIRE_DIGITS: "true"
    INIT_PASSWORD_REQUIRE_SPECIALCHAR: "false"
infra_manager:
  vars:
    PORTAL_URL: "portal.reemo.test"
    PORTAL_URL_RESTRICT_IP: "127.0.0.1,SUBNET.1"
    PORTALADMIN_URL: "admin.reemo.test"
    PORTALADMIN_URL_RESTRICT_IP: "ADDRESS(outside)"
    TRAEFIK_PROMETHEUS_ENABLE: true
    PROCLOUDAPI_ENABLE: "true"
    STUN_ENABLE: "true"
    API_MAIL_ACTIVE: "true"
    API_MAIL_BASEURL: "https://portal.reemo.test"
    EXIM_SMARTHOST: "ADDRESS(outside)::587"
    EXIM_PASSWORD: 'ADDRESS(outside):PASSWORD'
  hosts:
    infra1: {ansible_host: "ADDRESS(infra1)"}
"#;

/// Name, running, wanted, most on a node: the document's sample of one server, and what is switched on here.
const SERVICES: [(&str, u64, u64, u64); 18] = [
    ("reemo_api", 4, 4, 4),
    ("reemo_apicron", 1, 1, 1),
    ("reemo_apicroncloud", 1, 1, 1),
    ("reemo_apicronldap", 1, 1, 1),
    ("reemo_apicronlog", 1, 1, 1),
    ("reemo_db", 0, 1, 1),
    ("reemo_exim4", 1, 1, 1),
    ("reemo_maintenance", 1, 1, 1),
    ("reemo_mysql", 1, 1, 1),
    ("reemo_portal", 2, 2, 2),
    ("reemo_portaladmin", 1, 1, 1),
    ("reemo_proapi", 2, 2, 2),
    ("reemo_procloudapi", 2, 2, 2),
    ("reemo_prorelayapi", 2, 2, 2),
    ("reemo_signal1", 1, 1, 1),
    ("reemo_signal2", 1, 1, 1),
    ("reemo_stun", 1, 1, 1),
    ("traefik", 1, 1, 1),
];

/// Facility and tag of every service, as the inventory above says.
const FACILITIES: [(&str, &str); 18] = [
    ("local1", "reemo_api"),
    ("local2", "reemo_apicron"),
    ("local3", "reemo_db"),
    ("mail", "reemo_exim4"),
    ("local4", "reemo_mysql"),
    ("local5", "reemo_portal"),
    ("local6", "reemo_portaladmin"),
    ("local7", "reemo_signal1"),
    ("local7", "reemo_signal2"),
    ("user", "reemo_proapi"),
    ("news", "reemo_stun"),
    ("uucp", "reemo_prorelayapi"),
    ("lpr", "reemo_procloudapi"),
    ("cron", "reemo_apicronlog"),
    ("auth", "reemo_apicronldap"),
    ("authpriv", "reemo_apicroncloud"),
    ("ftp", "reemo_maintenance"),
    ("local0", "reemo_traefik"),
];

/// Everything exim, its configuration or a shell could trip over.
const ACCOUNT: (&str, &str) = ("reemo@site.test", r##"p:a$s\w^o{r}d "#%& ${x} _HAVE_TLS é :'\"##);

fn groups() -> String {
    // In single quotes YAML knows one thing only: two of them are one.
    GROUPS.replace("PASSWORD'", &format!("{}:{}'", ACCOUNT.0, ACCOUNT.1.replace('\'', "''")))
}

/// The whole story.
pub fn tell() {
    let site = Site::raise("one", &["infra1", "outside"], &groups());
    site.step("the site's mail server, outside", |s| outside::mail_server(s, ACCOUNT));
    listen(&site);
    addresses(&site);
    site.step("images: engine, Swarm and pulls, and nothing of the platform", images);
    site.step("apply: one server", |s| {
        let ran = s.tool.run(&["apply", "-e", "INIT_DB=true"]).ends_with(0);
        assert!(ran.recap()["infra1"]["changed"] > 0, "{}", ran.text());
    });
    site.step("the document's services and copies", services);
    site.step("INIT_*: in the first run, and not after it", first_run_only);
    site.step("who may come in: users, administrators, agents, supervision", filtered);
    site.step("the maintenance page is for those who may come in", maintained);
    site.step("80 leads to 443", redirected);
    site.step("mail, over TLS and with a login, to the site's server", mailed);
    site.step("metrics, scraped by Prometheus inside", scraped);
    site.step("syslog: every service under its facility, with its tag", syslog);
    site.step("again: nothing to do", |s| s.settled());
    site.done();
}

/// What its administrator would add to see facilities and tags.
fn listen(site: &Site) {
    const RULE: &str = r#"cat >/etc/rsyslog.d/10-facilities.conf <<'END'
template(name="facilities" type="string" string="%syslogfacility-text% %programname%\n")
*.* action(type="omfile" file="/var/log/facilities.log" template="facilities")
END
systemctl restart rsyslog"#;
    site.fleet.sh(site.fleet.host("infra1"), RULE);
}

/// IPv6 on both hosts, before the engine looks whether there is any.
fn addresses(site: &Site) {
    for (host, address) in [("infra1", "fd00:4::11"), ("outside", "fd00:4::12")] {
        let add = format!(
            "sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.eth0.disable_ipv6=0 && \
             ip -6 address add {address}/64 dev eth0 nodad"
        );
        site.fleet.sh(site.fleet.host(host), &add);
    }
}

/// The document's playbook of the images.
fn images(site: &Site) {
    let infra = site.fleet.host("infra1");
    let ran = site.tool.run(&["images", "-e", "INSTALL_DOCKER=true"]).ends_with(0);
    assert!(ran.recap()["infra1"]["changed"] > 0, "{}", ran.text());
    // Two processors are less than the document asks for.
    ran.says("the vendor's minimum for infra");
    let there =
        site.fleet.sh(infra, "docker info -f '{{.Swarm.ControlAvailable}}'; docker images --format '{{.Repository}}'");
    assert!(there.starts_with("true\n"), "a manager:\n{there}");
    for part in ["api", "db", "mysql", "portal", "traefik", "exim4", "haproxy", "stun"] {
        assert!(there.contains(&format!("registry.reemo.io/reemoinfra{part}\n")), "{part} is not in\n{there}");
    }
    let nothing = "docker service ls -q; docker secret ls -q; docker config ls -q; ls -d /opt/reemo /etc/reemo 2>/dev/null || true";
    assert_eq!(site.fleet.sh(infra, nothing), "", "nothing of the platform is there yet");
    assert!(!site.fleet.control().join("pki").exists(), "no certificates were made");
    let again = site.tool.run(&["images"]).ends_with(0);
    assert_eq!(again.recap()["infra1"]["changed"], 0, "{}", again.text());
}

fn services(site: &Site) {
    let expected = SERVICES.iter();
    let counts: Vec<(&str, u64, u64)> =
        expected.clone().map(|(name, running, wanted, _)| (*name, *running, *wanted)).collect();
    site.runs("infra1", &counts);
    let seen = site.fleet.sh(site.fleet.host("infra1"), "docker service ls --format '{{.Name}} {{.Replicas}}'");
    for (name, running, wanted, most) in expected {
        let line = format!("{name} {running}/{wanted} (max {most} per node)");
        assert!(seen.lines().any(|l| l == line), "`{line}` is not in\n{seen}");
    }
    let tree = site.health("infra1", "portal.reemo.test");
    assert_eq!(tree["status"], "OK", "{tree:#}");
    for link in ["db", "provision-api", "provision-relay-api"] {
        assert_eq!(tree["services"]["api"]["services"][link]["status"], "OK", "{link}: {tree:#}");
    }
    // Each of the scheduled services once.
    let crons = said(site, "/api/crons");
    let crons: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&crons).expect("a map");
    assert_eq!(crons.len(), 4, "{crons:?}");
    assert!(crons.values().all(|hosts| hosts.as_array().is_some_and(|h| h.len() == 1)), "{crons:?}");
}

fn said(site: &Site, path: &str) -> String {
    let answer = web::get(&site.fleet.host("infra1").address, 443, "portal.reemo.test", path);
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

fn first_run_only(site: &Site) {
    let before = said(site, "/api/configuration");
    let configuration: serde_json::Value = serde_json::from_str(&before).expect("JSON");
    let set = ["minimum_password_length", "password_require_letters", "password_require_digits"];
    assert_eq!(set.map(|name| configuration[name].as_str().unwrap_or("")), ["12", "true", "true"], "{before}");
    assert_eq!(configuration["password_require_specialchar"], "false", "{before}");
    // Another value later: said, and without a difference.
    site.write(&groups().replace("LENGTH: \"12\"", "LENGTH: \"20\""));
    site.tool
        .run(&["plan", "--detailed-exitcode"])
        .ends_with(0)
        .says("`INIT_MINIMUM_PASSWORD_LENGTH` has no effect without INIT_DB");
    assert_eq!(said(site, "/api/configuration"), before);
    site.write(&groups());
}

/// The status of an answer to the host beside the platform: `https://NAME:PORT/PATH` at this address.
fn from_outside(site: &Site, address: &str, name: &str, port: u16, path: &str, more: &str) -> u16 {
    let ask = format!(
        "curl -sk -o /dev/null -w '%{{http_code}}' --max-time 20 {more} --resolve '{name}:{port}:{address}' \
         'https://{name}:{port}{path}'"
    );
    let ended = site.fleet.try_sh(site.fleet.host("outside"), &ask, "");
    ended.out.trim().parse().unwrap_or_else(|_| panic!("{ask}: {}{}", ended.out, ended.err))
}

fn filtered(site: &Site) {
    let infra = site.fleet.host("infra1").address.clone();
    let outside = |name: &str, port: u16, path: &str| from_outside(site, &infra, name, port, path, "");
    let here = |name: &str, port: u16, path: &str| web::get(&infra, port, name, path).status;
    // This machine may see the users' portal, the host outside may not; for administrators it is the other way round.
    assert_eq!([here("portal.reemo.test", 443, "/"), outside("portal.reemo.test", 443, "/")], [200, 403]);
    assert_eq!([here("admin.reemo.test", 443, "/"), outside("admin.reemo.test", 443, "/")], [403, 200]);
    // The health tree is part of the portal; a path of the api too.
    for path in ["/api/healthcheck", "/api/version", "/signal/"] {
        assert_eq!(
            [here("portal.reemo.test", 443, path), outside("portal.reemo.test", 443, path)],
            [200, 403],
            "{path}"
        );
    }
    // Agents come from everywhere.
    assert_eq!([here("agents.reemo.test", 8443, "/"), outside("agents.reemo.test", 8443, "/")], [200, 200]);
    // What a client says of itself is not believed.
    for header in ["X-Forwarded-For", "X-Real-Ip", "Forwarded"] {
        let value = if header == "Forwarded" { "for=127.0.0.1" } else { "127.0.0.1" };
        let said = format!("-H '{header}: {value}'");
        assert_eq!(from_outside(site, &infra, "portal.reemo.test", 443, "/", &said), 403, "{header}");
    }
    over_ipv6(site);
}

/// Docker passes IPv6 on to containers that have none: their clients all have the address of the node's own bridge, and
/// so are refused wherever there is a filter that does not name it.
fn over_ipv6(site: &Site) {
    let ask = |name: &str, port: u16| from_outside(site, "[fd00:4::11]", name, port, "/", "");
    assert_eq!(ask("agents.reemo.test", 8443), 200, "agents over IPv6");
    assert_eq!(ask("portal.reemo.test", 443), 403, "users over IPv6, where there is a filter");
    // The same client is let in over IPv4.
    assert_eq!(ask("admin.reemo.test", 443), 403, "administrators over IPv6");
}

fn maintained(site: &Site) {
    let infra = site.fleet.host("infra1").address.clone();
    site.tool.run(&["maintenance", "on"]).ends_with(0);
    let began = std::time::Instant::now();
    while web::portal(&infra).status != 503 {
        assert!(began.elapsed() < Duration::from_secs(10), "the page is not shown");
        std::thread::sleep(Duration::from_millis(200));
    }
    let outside = |name: &str, port: u16, path: &str| from_outside(site, &infra, name, port, path, "");
    assert_eq!(outside("portal.reemo.test", 443, "/"), 403, "the page is not for everybody");
    assert_eq!(outside("portal.reemo.test", 443, "/api/healthcheck"), 403);
    assert_eq!(web::health(&infra)["status"], "OK", "supervision sees the platform");
    assert_eq!(outside("admin.reemo.test", 443, "/"), 200, "administrators keep their portal");
    assert_eq!(outside("agents.reemo.test", 8443, "/"), 200);
    site.tool.run(&["maintenance", "off"]).ends_with(0);
}

fn redirected(site: &Site) {
    let infra = &site.fleet.host("infra1").address;
    let ask = |host: &str| {
        let mut curl = std::process::Command::new("curl");
        curl.args(["--silent", "--output", "/dev/null", "--max-time", "10"]);
        curl.args(["--write-out", "%{http_code} %{redirect_url}", "--resolve", &format!("{host}:80:{infra}")]);
        curl.arg(format!("http://{host}/some/page?x=1"));
        command::run(curl, "", Duration::from_secs(20)).out
    };
    for host in ["portal.reemo.test", "admin.reemo.test"] {
        let answer = ask(host);
        let (status, place) = answer.split_once(' ').unwrap_or_default();
        assert!(matches!(status, "301" | "308"), "{host}: {answer}");
        assert_eq!(place, format!("https://{host}/some/page?x=1"));
    }
}

/// A mail of the api's container to exim, over the platform's own network.
fn send(site: &Site, subject: &str) {
    let script = format!(
        r#"command -v curl >/dev/null || {{ apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends curl; }} >/dev/null 2>&1
exim=$(docker inspect -f '{{{{range .NetworkSettings.Networks}}}}{{{{.IPAddress}}}}{{{{end}}}}' $(docker ps -q --filter label=com.docker.swarm.service.name=reemo_exim4)) || exit 1
{}printf 'From: reemo@site.test\r\nTo: user@elsewhere.test\r\nSubject: {subject}\r\n\r\nA word.\r\n' |
nsenter -t "$pid" -n curl -sS --max-time 20 --mail-from reemo@site.test --mail-rcpt user@elsewhere.test --upload-file - "smtp://$exim:25""#,
        swarm::pid_of("reemo_api")
    );
    site.fleet.sh(site.fleet.host("infra1"), &script);
}

fn mailed(site: &Site) {
    outside::asks_for_tls_and_login(site);
    send(site, "first-of-the-platform");
    let mail = outside::received(site, "first-of-the-platform", Duration::from_secs(60));
    // ESMTPSA: over TLS, and by somebody who had logged in.
    assert!(["A word.", "reemo_exim4", "with ESMTPSA"].iter().all(|part| mail.contains(part)), "{mail}");
    // The password is what opens it: with another one nothing arrives.
    site.write(&groups().replace(&ACCOUNT.1.replace('\'', "''"), "another-one"));
    site.tool.run(&["apply"]).ends_with(0).says("reemo_exim4");
    send(site, "with-another-password");
    outside::refused_login(site, Duration::from_secs(60));
    assert!(!outside::has(site, "with-another-password"), "a mail without the right password was taken");
    site.write(&groups());
    site.tool.run(&["apply"]).ends_with(0).says("reemo_exim4");
}

fn scraped(site: &Site) {
    outside::prometheus_inside(site);
    let ask = |query: &str| {
        let mut curl = std::process::Command::new("curl");
        curl.args(["--silent", "--max-time", "5", "--get", "--data-urlencode", &format!("query={query}")]);
        curl.arg(format!("http://{}:9090/api/v1/query", site.fleet.host("infra1").address));
        command::run(curl, "", Duration::from_secs(10)).out
    };
    let value = |query: &str| -> Option<String> {
        let answer: serde_json::Value = serde_json::from_str(&ask(query)).ok()?;
        Some(answer["data"]["result"][0]["value"][1].as_str()?.to_owned())
    };
    let began = std::time::Instant::now();
    let sum = r#"sum(traefik_entrypoint_requests_total{entrypoint="websecure"})"#;
    while value(r#"up{job="traefik"}"#).as_deref() != Some("1") || value(sum).is_none_or(|n| n == "0") {
        assert!(began.elapsed() < Duration::from_secs(60), "up: {}\n{}", ask("up"), ask(sum));
        web::portal(&site.fleet.host("infra1").address);
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(!site.open("outside", "infra1", 8083), "the metrics are public");
    site.fleet.sh(site.fleet.host("infra1"), "docker service rm prometheus && docker config rm prometheus.yml");
}

fn syslog(site: &Site) {
    let all = site.fleet.sh(site.fleet.host("infra1"), "grep ' reemo_' /var/log/facilities.log | sort -u");
    let expected: std::collections::BTreeSet<String> =
        FACILITIES.iter().map(|(facility, tag)| format!("{facility} {tag}")).collect();
    let seen: std::collections::BTreeSet<String> = all.lines().map(str::to_owned).collect();
    assert_eq!(seen, expected, "facility and tag of every line of ours");
}
