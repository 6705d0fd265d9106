//! The database's dumps: taken before the schema changes, by hand, and brought away; put back after the data was
//! destroyed, in three ways.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::Site;
use crate::{command, swarm};

const GROUPS: &str = r#"    HEALTHCHECK_ENABLE: "true"
    DB_DUMPS_KEEP: 3
infra_manager:
  hosts:
    infra1: {ansible_host: "ADDRESS(infra1)"}
"#;

/// What must be there again each time.
const ROW: &str = "SELECT value FROM reemo.configuration WHERE name = 'written-by-hand'";

/// The whole story.
pub fn tell() {
    let site = Site::raise("database", &["infra1"], GROUPS);
    site.step("apply", |s| s.install());
    let query = |sql: &str| swarm::query(&site.fleet, sql).trim().to_owned();
    let host = site.fleet.host("infra1");
    query("INSERT INTO reemo.configuration (name, value) VALUES ('written-by-hand', 'it\\'s \\\\ ünïcode')");
    let row = query(ROW);
    assert!(row.contains("ünïcode"), "{row}");

    let first = site.step("db backup", |s| {
        let ran = s.tool.run(&["db", "backup"]).ends_with(0).says("by-hand");
        let modes = s.fleet.sh(host, "stat -c '%a %U' /opt/reemo/dumps /opt/reemo/dumps/*");
        assert_eq!(modes, "700 root\n600 root\n600 root\n");
        s.tool.run(&["db", "list"]).ends_with(0).says("2.13.10");
        name_in(&ran.out)
    });
    let file = site.fleet.control().join("away.dump");
    site.step("db backup --to FILE", |s| {
        let path = file.display().to_string();
        s.tool.run(&["db", "backup", "--to", &path]).ends_with(0).says("encrypted");
        assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
        let bytes = fs::read(&file).expect("a file");
        assert!(bytes.starts_with(b"Salted__") && !bytes.windows(9).any(|w| w == b"database "), "it is encrypted");
        // Opened where this program is not.
        let open = r#"openssl enc -d -aes-256-ctr -pbkdf2 -md sha256 -iter 600000 -pass "file:$0" -in "$1" |
            sed '1,/^$/d' | gunzip 2>/dev/null | grep -c '^CREATE TABLE'"#;
        let key = s.fleet.control().join("config/reemo-infra/pki.key").display().to_string();
        let mut shell = std::process::Command::new("sh");
        shell.args(["-c", open, &key, &path]);
        let opened = command::run(shell, "", std::time::Duration::from_secs(60));
        assert!(opened.out.trim().parse::<u32>().is_ok_and(|n| n > 3), "{} {}", opened.out, opened.err);
        s.tool.run(&["db", "backup", "--to", &path]).ends_with(5).says("is there already");
    });
    site.step("nothing is replaced without a word of the operator", |s| {
        s.tool.run(&["db", "restore", &first]).ends_with(8).says("--yes");
        s.tool.run(&["db", "restore", "no-such-dump", "--yes"]).ends_with(5).says("there is no dump");
        assert_eq!(query(ROW), row);
    });
    site.step("a row is lost: restored by name", |s| {
        query("DELETE FROM reemo.configuration; CREATE TABLE reemo.stray (id INT)");
        let ran = s.tool.run(&["db", "restore", &first, "--yes"]).ends_with(0).says("stop reemo_api").says("loaded");
        ran.says("maintenance page on infra1").says("dump of what is there now");
        assert_eq!(query(ROW), row);
        assert_eq!(query("SHOW TABLES FROM reemo LIKE 'stray'"), "", "what came later is gone");
        back(s);
    });
    site.step("the database is dropped: restored from the file", |s| {
        query("DROP DATABASE reemo; CREATE DATABASE reemo");
        let path = file.display().to_string();
        s.tool.run(&["db", "restore", &path, "--yes"]).ends_with(0).does_not_say("dump of what is there now");
        assert_eq!(query(ROW), row);
        back(s);
        let mut bytes = fs::read(&file).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).expect("a file");
        s.tool.run(&["db", "restore", &path, "--yes"]).ends_with(2).says("the file is damaged");
        assert_eq!(query(ROW), row);
    });
    site.step("a new schema: a dump first", |s| {
        let ran = s.tool.run(&["apply", "-t", "db", "-e", "DOCKER_VERSION_DB=2.14.0"]).ends_with(0);
        ran.says("dump of the database");
        s.tool.run(&["db", "list"]).ends_with(0).says("before-2.14.0");
        let kept = s.fleet.sh(host, "ls /opt/reemo/dumps/*.sql.gz | wc -l");
        assert_eq!(kept.trim(), "3", "so many are kept");
    });
    site.step("a dump that cannot be taken: the schema stays", |s| {
        let runs = query("SELECT COUNT(*) FROM reemo.db_runs");
        // A file where the folder should be.
        s.fleet.sh(host, "mv /opt/reemo/dumps /opt/reemo/dumps.away && touch /opt/reemo/dumps");
        let broken = ["apply", "-t", "db", "-e", "DOCKER_VERSION_DB=2.13.10"];
        s.tool.run(&broken).ends_with(8).says("a schema does not go back");
        // The same release with another setting: the job has to run again.
        let setting = r#"{"SERVICE_OPTIONS": {"reemo_db": {"extra_env": {"AGAIN": "1"}}}}"#;
        let again = ["apply", "-t", "db", "-e", "DOCKER_VERSION_DB=2.14.0", "-e", setting];
        s.tool.run(&again).ends_with(2).says("could not be dumped").says("nothing was changed");
        assert_eq!(query("SELECT COUNT(*) FROM reemo.db_runs"), runs);
        s.fleet.sh(host, "rm /opt/reemo/dumps && mv /opt/reemo/dumps.away /opt/reemo/dumps");
        s.tool.run(&again).ends_with(0);
    });
    site.done();
}

/// The name in the one row of a table.
fn name_in(table: &str) -> String {
    let line = table.lines().find(|l| l.contains("by-hand")).expect("a dump");
    line.split_whitespace().next().expect("a name").to_owned()
}

/// The platform is what it was: all copies, green, no page, nothing to do.
fn back(site: &Site) {
    let tree = site.health("infra1", "portal.reemo.test");
    assert_eq!(tree["status"], "OK", "{tree:#}");
    let page = "/etc/reemo/traefik/dynamic/maintenance.yml";
    assert!(!site.fleet.try_sh(site.fleet.host("infra1"), &format!("test -e {page}"), "").success());
    site.settled();
}
