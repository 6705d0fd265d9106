//! Topologies 5, 6 and 7: WebSocket relays and farms for session containers, each a Swarm of its own that infra reaches
//! through a gateway; the health tree of the vendor's document, field for field; then a second farm.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Site;
use crate::command::{self, Ended};
use crate::web;

const GROUPS: &str = r#"infra_manager:
  vars:
    HEALTHCHECK_ENABLE: "true"
    RELAYS_URL: "relays.reemo.test"
    INIT_PROVISION:
      provision: {name: "Reemo SWARM", type: "SWARM"}
  hosts:
    infra1: {ansible_host: "ADDRESS(infra1)"}
relayws_manager:
  hosts:
    relays1: {ansible_host: "ADDRESS(relays1)"}
provision:
  children:
    provision_manager:
      vars:
        PROVISION_IMAGES: ["registry.reemo.io/reemoinframysql:10.11-mariadb"]
      hosts:
        farm1: {ansible_host: "ADDRESS(farm1)"}
    provision_worker:
      hosts:
        farm2: {ansible_host: "ADDRESS(farm2)"}
"#;

const SECOND: &str = r#"provision2:
  children:
    provision2_manager:
      hosts:
        lyon1: {ansible_host: "ADDRESS(lyon1)"}
"#;

/// The whole story.
pub fn tell() {
    let site = Site::raise("farms", &["infra1", "relays1", "farm1", "farm2", "lyon1"], GROUPS);
    site.step("apply: infra, relays and a farm from one inventory", |s| {
        let ran = s.tool.run(&super::FIRST).ends_with(0);
        let recap = ran.recap();
        assert_eq!(recap.len(), 4, "{}", ran.text());
        assert!(recap.values().all(|f| f["changed"] > 0 && f["failed"] == 0), "{recap:?}");
    });
    site.step("the health tree of the vendor's document, field for field", |s| {
        tree(&s.health("infra1", "portal.reemo.test"))
    });
    site.step("the farm: managers, workers, images at hand", farm);
    site.step("its entry lets in one service, and passes it to the Docker API", entries);
    site.step("a relay that is started at run time serves users on 443", relay);
    site.step("again: nothing to do", |s| s.settled());
    site.step("a second farm, later", second);
    site.step("again: nothing to do", |s| s.settled());
    site.done();
}

/// The document's example, with its versions left open: they are those of that day.
fn tree(seen: &Value) {
    let document = json!({
        "status": "OK", "version": "any",
        "services": {
            "api": {
                "status": "OK", "version": "any",
                "services": {
                    "db": {"status": "OK"},
                    "provision-api": {"status": "OK", "version": "any"},
                    "provision-relay-api": {"status": "OK", "version": "any"},
                    "container-providers": [{"status": "OK", "name": "Reemo SWARM", "type": "SWARM"}],
                    "ws-relays": [{"status": "OK", "name": "Global - WS_SWARM", "type": "WS_SWARM"}],
                },
            },
            "signal": {"status": "OK", "version": "any"},
        },
    });
    assert_eq!(any_version(seen), document, "{seen:#}");
}

fn any_version(tree: &Value) -> Value {
    match tree {
        Value::Object(map) => {
            let one = |(key, value): (&String, &Value)| match (key.as_str(), value) {
                ("version", Value::String(v)) if v.starts_with(|c: char| c.is_ascii_digit()) => {
                    (key.clone(), json!("any"))
                }
                _ => (key.clone(), any_version(value)),
            };
            Value::Object(map.iter().map(one).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(any_version).collect()),
        other => other.clone(),
    }
}

fn farm(site: &Site) {
    let nodes = site.fleet.sh(site.fleet.host("farm1"), "docker node ls --format '{{.Status}} {{.ManagerStatus}}'");
    let mut roles: Vec<&str> = nodes.lines().map(str::trim).collect();
    roles.sort_unstable();
    assert_eq!(roles, ["Ready", "Ready Leader"], "one worker, one manager");
    // Nobody but a manager runs the entry; the images are on both.
    site.runs("farm1", &[("nginx", 1, 1)]);
    for host in ["farm1", "farm2"] {
        let images = site.fleet.sh(site.fleet.host(host), "docker images --format '{{.Repository}}:{{.Tag}}'");
        assert!(images.contains("registry.reemo.io/reemoinframysql"), "{host} has the sessions' image:\n{images}");
        assert_eq!(images.contains("reemoinfranginx"), host == "farm1", "{host}:\n{images}");
    }
    site.runs("relays1", &[("nginx", 1, 1), ("traefik", 1, 1)]);
    let images = site.fleet.sh(site.fleet.host("relays1"), "docker images --format '{{.Repository}}:{{.Tag}}'");
    assert!(images.contains("ws_relay_server"), "the relays have what the platform starts there:\n{images}");
    assert_eq!(
        web::get(&site.fleet.host("relays1").address, 443, "relays.reemo.test", "/").status,
        404,
        "no relay yet"
    );
    for (name, count) in [("reemo_provision", 1), ("reemo_relayws", 1)] {
        let services = crate::swarm::replicas(&site.fleet, site.fleet.host("infra1"));
        assert_eq!(services.get(name), Some(&(count, count)), "{services:?}");
    }
}

/// Asks `https://NAME:8443/PATH` of a host with a service's certificate; `None`: with none.
fn ask(site: &Site, host: &str, name: &str, identity: &[String], request: &[&str]) -> Ended {
    let mut curl = std::process::Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20", "--write-out", "\n%{http_code}"]);
    curl.args(["--resolve", &format!("{name}:8443:{}", site.fleet.host(host).address)]);
    curl.args(identity).args(request);
    command::run(curl, "", Duration::from_secs(30))
}

fn entries(site: &Site) {
    let proapi = site.certificate_of("infra1", "reemo_proapi");
    let prorelayapi = site.certificate_of("infra1", "reemo_prorelayapi");
    for (host, name, right, wrong) in
        [("farm1", "reemo_provision", &proapi, &prorelayapi), ("relays1", "reemo_relayws", &prorelayapi, &proapi)]
    {
        let version = format!("https://{name}:8443/version");
        let let_in = ask(site, host, name, right, &[&version]);
        assert!(
            let_in.out.contains("\"ApiVersion\"") && let_in.out.ends_with("\n200"),
            "{host}: {} {}",
            let_in.out,
            let_in.err
        );
        let other = ask(site, host, name, wrong, &[&version]);
        assert!(other.out.ends_with("\n403"), "{host}, another service: {} {}", other.out, other.err);
        let nobody = ask(site, host, name, &right[4..], &[&version]);
        assert!(nobody.out.ends_with("\n400"), "{host}, no certificate: {} {}", nobody.out, nobody.err);
        for port in [2375, 2376] {
            assert!(!site.open("infra1", host, port), "{host}: the Docker API is open on {port}");
        }
    }
    // More than reading: a container is made and removed, as the platform does for a session.
    let create = "https://reemo_provision:8443/containers/create?name=session-of-the-test";
    let body = r#"{"Image": "registry.reemo.io/reemoinframysql:10.11-mariadb"}"#;
    let made = ask(
        site,
        "farm1",
        "reemo_provision",
        &proapi,
        &["--header", "Content-Type: application/json", "--data", body, create],
    );
    assert!(made.out.ends_with("\n201"), "{} {}", made.out, made.err);
    let list = "docker ps -a --format '{{.Names}}'";
    assert!(site.fleet.sh(site.fleet.host("farm1"), list).contains("session-of-the-test"));
    let remove = "https://reemo_provision:8443/containers/session-of-the-test";
    assert!(ask(site, "farm1", "reemo_provision", &proapi, &["--request", "DELETE", remove]).out.ends_with("\n204"));
}

/// A relay as the platform starts one: a container by the entry of the relays, found by their Traefik on 443.
fn relay(site: &Site) {
    let identity = site.certificate_of("infra1", "reemo_prorelayapi");
    // What stands for a relay here serves a file: busybox, which is in that image.
    let body = json!({
        "Image": "registry.reemo.io/reemoinfranginx:1.22",
        "Entrypoint": ["/bin/busybox"],
        "Cmd": ["httpd", "-f", "-p", "8081", "-h", "/etc"],
        "Labels": {
            "traefik.enable": "true",
            "traefik.http.routers.session.rule": "Host(`relays.reemo.test`)",
            "traefik.http.services.session.loadbalancer.server.port": "8081",
        },
        "HostConfig": {"NetworkMode": "external"},
    });
    let post = |path: &str, body: &str| {
        let url = format!("https://reemo_relayws:8443/containers/{path}");
        ask(
            site,
            "relays1",
            "reemo_relayws",
            &identity,
            &["--header", "Content-Type: application/json", "--data", body, &url],
        )
    };
    let made = post("create?name=relay-of-the-test", &body.to_string());
    assert!(made.out.ends_with("\n201"), "{} {}", made.out, made.err);
    let started = post("relay-of-the-test/start", "");
    assert!(started.out.ends_with("\n204"), "{} {}", started.out, started.err);
    let began = Instant::now();
    let address = &site.fleet.host("relays1").address;
    while web::get(address, 443, "relays.reemo.test", "/passwd").status != 200 {
        assert!(began.elapsed() < Duration::from_secs(30), "users do not reach the relay");
        std::thread::sleep(Duration::from_millis(500));
    }
    let remove = "https://reemo_relayws:8443/containers/relay-of-the-test?force=true";
    let gone = ask(site, "relays1", "reemo_relayws", &identity, &["--request", "DELETE", remove]);
    assert!(gone.out.ends_with("\n204"), "{} {}", gone.out, gone.err);
}

/// Topology 7: another farm is written into the inventory, and only it and its gateway are new.
fn second(site: &Site) {
    site.write(&format!(
        "{}{SECOND}",
        GROUPS.replace("type: \"SWARM\"}", "type: \"SWARM\"}\n      provision2: {name: \"Lyon\"}")
    ));
    let before = site.made("infra1", "reemo_portal");
    let ran = site.tool.run(&["apply", "-e", "INSTALL_DOCKER=true"]).ends_with(0);
    let recap = ran.recap();
    assert_eq!((recap["farm1"]["changed"], recap["relays1"]["changed"]), (0, 0), "{}", ran.text());
    assert_eq!(site.made("infra1", "reemo_portal"), before, "the portal is the one it was");
    site.runs("lyon1", &[("nginx", 1, 1)]);
    let began = Instant::now();
    loop {
        let tree = site.health("infra1", "portal.reemo.test");
        let farms = tree["services"]["api"]["services"]["container-providers"].clone();
        let wanted = json!([
            {"status": "OK", "name": "Reemo SWARM", "type": "SWARM"},
            {"status": "OK", "name": "Lyon", "type": "SWARM"},
        ]);
        if farms == wanted {
            break;
        }
        // A copy of the service that was just replaced may still answer.
        assert!(began.elapsed() < Duration::from_secs(60), "{tree:#}");
        std::thread::sleep(Duration::from_secs(1));
    }
}
