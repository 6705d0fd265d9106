//! A platform that Ansible installed (ansible-core and community.docker, from PyPI, with a playbook of `tests/adopt`) goes
//! on as one of ours: a report that changes nothing, taken over under requests without a copy replaced, and the first
//! update with its data.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::Site;
use crate::load::generator::{Generator, Heard};
use crate::story::say;
use crate::{command, swarm, web};

const GROUPS: &str = r#"    HMACSECRET: "of-the-role-and-nobody-else"
infra_manager:
  vars: {}
  hosts:
    infra1: {ansible_host: "ADDRESS(infra1)"}
"#;

/// What the report asks for: where the data is, who may read it, whom services trust.
const ADOPTED: &str = r#"    HMACSECRET: "of-the-role-and-nobody-else"
    DB_DATA_DIR: /opt/reemo
    DB_INTERNAL_NAME: infra
    DB_INTERNAL_USER: infra
    DB_INTERNAL_USER_PASSWORD: "database-of-the-role"
    DB_INTERNAL_ROOT_PASSWORD: "root-of-the-role"
    CERT_MODE: external-ca
    CERT_CA_FILE: "{{ inventory_dir }}/role/ca.crt"
    CERT_CA_KEY_FILE: "{{ inventory_dir }}/role/ca.key"
infra_manager:
  vars: {}
  hosts:
    infra1: {ansible_host: "ADDRESS(infra1)"}
"#;

const SERVICES: [&str; 8] = [
    "reemo_mysql",
    "reemo_db",
    "reemo_api",
    "reemo_apicron",
    "reemo_portal",
    "reemo_signal1",
    "reemo_signal2",
    "traefik",
];

/// The whole story.
pub fn tell() {
    let site = Site::raise("adopt", &["infra1", "outside"], GROUPS);
    let generator = site.step("a load generator on a host beside the platform", |_| {
        Generator::on(&site.fleet, site.fleet.host("outside"), &["infra1"])
    });
    site.step("Ansible installs a platform", deployed);
    site.step("apply refuses it, and names the way", |s| {
        s.tool.run(&["apply"]).ends_with(8).says("reemo-infra adopt");
    });
    site.step("adopt: what stands in the way", |s| {
        let before = versions(s);
        let ran = s.tool.run(&["adopt"]).ends_with(8);
        let ran = ran.says("DB_DATA_DIR: \"/opt/reemo\"").says("DB_INTERNAL_NAME: \"infra\"");
        ran.says("DB_INTERNAL_USER: \"infra\"").says("cannot be adopted as it is").says("refuse each other");
        assert_eq!(versions(s), before);
    });
    site.write(ADOPTED);
    site.step("adopt: a report, and nothing is changed", |s| {
        let before = versions(s);
        let ran = s.tool.run(&["adopt"]).ends_with(0).says("can be adopted").says("services: reemo_stun");
        let ran = ran.says("reemo_pki_ca").says("reemo_traefik_routes");
        for secret in ["database-of-the-role", "root-of-the-role", "of-the-role-and-nobody-else"] {
            assert!(!ran.text().contains(secret), "{}", ran.text());
        }
        assert_eq!(versions(s), before, "nothing was written");
        assert!(!s.fleet.control().join("pki").exists());
    });
    let running = generator.start(1);
    site.step("adopt --yes, under requests", |s| {
        std::thread::sleep(Duration::from_secs(5));
        let before = swarm::running_tasks(&s.fleet, s.fleet.host("infra1"));
        s.tool.run(&["adopt", "--yes"]).ends_with(0);
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!(swarm::running_tasks(&s.fleet, s.fleet.host("infra1")), before, "no copy was replaced");
        s.tool.run(&["adopt"]).ends_with(0).says("of this tool already");
    });
    let heard = said("adoption", generator.stop(&running));
    assert!(heard.users.requests as f64 / heard.seconds >= 20.0, "only {} requests", heard.users.requests);
    assert!(heard.agents.requests > 0 && heard.users.failed + heard.agents.failed == 0, "{:?}", heard.users.why);
    site.step("INIT_DB is refused, a plan shows the differences", |s| {
        s.tool.run(&["apply", "-e", "INIT_DB=true"]).ends_with(8).says("was initialised before");
        s.tool.run(&["plan", "--detailed-exitcode"]).ends_with(10).says("reemo_api").says("reemo_mysql");
    });
    let notes = rows(&site, "SELECT COUNT(*) FROM notes");
    let history = rows(&site, "SELECT MIN(id), MIN(at) FROM db_runs");
    assert!(notes.trim().parse::<u64>().is_ok_and(|n| n > 0), "{notes}");
    let running = generator.start(2);
    site.step("apply: the first update, under requests", |s| {
        s.tool.run(&["apply"]).ends_with(0);
    });
    std::thread::sleep(Duration::from_secs(5));
    // MySQL and Traefik of one server are stopped before they are started again: how much that is, is only told.
    said("the first update", generator.stop(&running));
    site.step("the data is there, and what nobody wanted is left", |s| {
        let now = rows(s, "SELECT COUNT(*) FROM notes");
        assert!(
            now.trim().parse::<u64>().unwrap() >= notes.trim().parse().unwrap(),
            "{notes} notes before, {now} after"
        );
        assert_eq!(rows(s, "SELECT MIN(id), MIN(at) FROM db_runs"), history, "it is the database that was there");
        assert_eq!(swarm::replicas(&s.fleet, s.fleet.host("infra1"))["reemo_stun"], (1, 1));
        assert_eq!(web::get(&s.fleet.host("infra1").address, 443, "portal.reemo.test", "/api/version").status, 200);
    });
    site.step("again: nothing to do", |s| s.settled());
    site.done();
}

fn said(what: &str, heard: Heard) -> Heard {
    let Heard { users, agents, seconds } = &heard;
    say(format!(
        "           {what}: {} requests of users, {} failed; {} of agents, {} failed; {seconds:.0} s",
        users.requests, users.failed, agents.requests, agents.failed
    ));
    heard
}

/// By the playbook, with certificates of its own.
fn deployed(site: &Site) {
    let folder = site.fleet.control();
    let (pki, secrets) = (folder.join("role"), folder.join("role.json"));
    let passwords = r#"{"database_password": "database-of-the-role", "root_password": "root-of-the-role", "hmac": "of-the-role-and-nobody-else"}"#;
    fs::write(&secrets, passwords).expect("a file");
    let script = |name: &str, args: &[&str], limit: u64| {
        let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/adopt").join(name));
        command.args(args);
        let ended = command::run(command, "", Duration::from_secs(limit));
        assert!(ended.success(), "{name}: {}{}", ended.out, ended.err);
    };
    let text = |path: &Path| path.display().to_string();
    script("pki", &[&[text(&pki).as_str()][..], &SERVICES[..]].concat(), 60);
    script("deploy", &[&text(&site.tool.inventory), &text(&pki), &text(&secrets)], 900);
    let answer = web::get(&site.fleet.host("infra1").address, 443, "portal.reemo.test", "/api/version");
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn versions(site: &Site) -> std::collections::BTreeMap<String, u64> {
    swarm::versions(&site.fleet, site.fleet.host("infra1"))
}

/// As root of the database's container, whoever made it.
fn rows(site: &Site, sql: &str) -> String {
    let script = format!(
        "docker exec $(docker ps -q --filter label=com.docker.swarm.service.name=reemo_mysql) mariadb --no-defaults \
         --socket=/run/mysqld/mysqld.sock --user=root -N -B infra -e '{sql}'"
    );
    site.fleet.sh(site.fleet.host("infra1"), &script)
}
