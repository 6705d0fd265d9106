//! Topology 4: a database that somebody else looks after, beside the hosts.

use std::process::Command;
use std::time::{Duration, Instant};

use super::Site;
use crate::command::{self, docker, try_docker};
use crate::fleet::script;

const GROUPS: &str = r#"infra_manager:
  vars:
    HEALTHCHECK_ENABLE: "true"
    DB_USER: "reemo_site"
    DB_USER_PASSWORD: "of:the'external database"
    DB_NAME: "reemo_site"
    DB_HOST: "SUBNET.41"
    DB_DIALECT: "mysql"
    DB_TLS: "tls"
  hosts:
    infra1: {ansible_host: "ADDRESS(infra1)"}
"#;

/// A database server on the fleet's network, with an authority of its own that the platform does not know.
pub struct Database {
    container: String,
}

impl Database {
    /// Starts it, at the address that ends with 41.
    pub fn start(site: &Site) -> Database {
        let image = script("examples/demo/images/build", &["mysql"], &[], 900).trim().to_owned();
        let name = &site.fleet.name;
        let container = format!("fleet-{name}-database");
        let folder = site.fleet.control().join("database");
        let make = r#"mkdir -p "$0/run/secrets" "$0/run/reemo/tls" && cd "$0/run/reemo/tls" || exit 1
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 60 -subj /CN=database -keyout tls.key -out ca.crt 2>/dev/null
cat tls.key ca.crt >tls.pem
chmod 0644 tls.pem
cd "$0/run/secrets" || exit 1
printf %s "of:the'external database" >db_user_password
printf %s "nobody-asks-for-it" >mysql_root_password"#;
        let mut command = Command::new("sh");
        command.args(["-c", make, &folder.display().to_string()]);
        assert!(command::run(command, "", Duration::from_secs(20)).success());
        try_docker(&["rm", "-f", "-v", &container]);
        let (label, network) = (format!("reemo.fleet={name}"), format!("fleet-{name}"));
        let address = format!("{}.41", site.fleet.subnet());
        docker(&[
            "create",
            "--name",
            &container,
            "--label",
            &label,
            "--network",
            &network,
            "--ip",
            &address,
            "--env",
            "DB_NAME=reemo_site",
            "--env",
            "DB_USER=reemo_site",
            &image,
        ]);
        docker(&["cp", &format!("{}/.", folder.display()), &format!("{container}:/")]);
        docker(&["start", &container]);
        let database = Database { container };
        let began = Instant::now();
        // The image asks its users for our certificates; a site's server does not know them.
        while !database.try_query("ALTER USER 'reemo_site'@'%' REQUIRE SSL").success() {
            assert!(began.elapsed() < Duration::from_secs(60), "the database does not start");
            std::thread::sleep(Duration::from_millis(300));
        }
        database
    }

    fn try_query(&self, sql: &str) -> command::Ended {
        try_docker(&["exec", &self.container, "mysql", "--socket", "/run/mysqld/mysqld.sock", "-N", "-B", "-e", sql])
    }

    /// Rows of a query, asked as its administrator.
    pub fn query(&self, sql: &str) -> String {
        let ended = self.try_query(sql);
        assert!(ended.success(), "{sql}: {}", ended.err);
        ended.out.trim().to_owned()
    }
}

/// The whole story.
pub fn tell() {
    let site = Site::raise("external", &["infra1"], GROUPS);
    let database = site.step("a database elsewhere", Database::start);
    site.step("refused before the first change: what cannot be used", |s| refused(s, &database));
    site.step("apply: no database of ours", |s| s.install());
    site.step("the platform lives on it", |s| {
        let services = crate::swarm::replicas(&s.fleet, s.fleet.host("infra1"));
        assert!(!services.contains_key("reemo_mysql"), "{services:?}");
        assert_eq!(services["reemo_db"], (0, 1));
        let tree = s.health("infra1", "portal.reemo.test");
        assert_eq!(tree["services"]["api"]["services"]["db"]["status"], "OK", "{tree:#}");
        assert_eq!(database.query("SELECT COUNT(*) FROM reemo_site.db_runs WHERE init = 1"), "1");
        let marker = s.fleet.try_sh(s.fleet.host("infra1"), "test -e /opt/reemo/mysql", "");
        assert!(!marker.success(), "nothing of a database is on the host");
    });
    site.step("again: nothing to do", |s| s.settled());
    site.step("INIT_DB once more is refused", |s| {
        s.tool.run(&["apply", "-e", "INIT_DB=true"]).ends_with(8).says("initialised before");
        assert_eq!(database.query("SELECT COUNT(*) FROM reemo_site.db_runs WHERE init = 1"), "1");
    });
    site.step("another password that is wrong is refused, and everything serves on", |s| {
        s.tool
            .run(&["apply", "-e", "DB_USER_PASSWORD=mistyped"])
            .ends_with(8)
            .says("refuses the login of `reemo_site`");
        assert_eq!(s.health("infra1", "portal.reemo.test")["status"], "OK");
    });
    site.step("a Swarm without its record asks the database itself", |s| {
        s.fleet.sh(s.fleet.host("infra1"), "docker config rm reemo.record.initialised");
        s.tool.run(&["apply", "-e", "INIT_DB=true"]).ends_with(8).says("the database already holds");
        s.tool.run(&["apply"]).ends_with(0);
        s.settled();
        assert_eq!(database.query("SELECT COUNT(*), SUM(init) FROM reemo_site.db_runs"), "1\t1");
    });
    site.step("dumps: what was lost there is back", |s| dumps(s, &database));
    site.done();
}

/// Taken and loaded by programs in a container on the host; the server itself is not touched otherwise.
fn dumps(site: &Site, database: &Database) {
    const ROW: &str = "SELECT value FROM reemo_site.configuration WHERE name = 'written-by-hand'";
    let insert = "INSERT INTO reemo_site.configuration (name, value) VALUES ('written-by-hand', 'it''s \\\\ ünïcode')";
    database.query(insert);
    let row = database.query(ROW);
    assert!(row.contains("ünïcode"), "{row}");
    let ran = site.tool.run(&["db", "backup"]).ends_with(0);
    let name = ran.out.split_whitespace().find(|w| w.ends_with("-by-hand")).expect("its name").to_owned();
    let file = site.fleet.control().join("external.dump").display().to_string();
    site.tool.run(&["db", "backup", "--to", &file]).ends_with(0).says("encrypted");
    let green = || assert_eq!(site.health("infra1", "portal.reemo.test")["status"], "OK");

    database.query("DELETE FROM reemo_site.configuration; CREATE TABLE reemo_site.stray (id INT)");
    site.tool.run(&["db", "restore", &name, "--yes"]).ends_with(0).says("stop reemo_api").says("loaded");
    assert_eq!(database.query(ROW), row);
    assert_eq!(database.query("SHOW TABLES FROM reemo_site LIKE 'stray'"), "", "what came later is gone");
    green();
    site.settled();

    database.query("DROP DATABASE reemo_site; CREATE DATABASE reemo_site");
    site.tool.run(&["db", "restore", &file, "--yes", "--without-dump"]).ends_with(0).says("loaded");
    assert_eq!(database.query(ROW), row);
    green();
    site.settled();

    let ran = site.tool.run(&["apply", "-t", "db", "-e", "DOCKER_VERSION_DB=2.14.0"]).ends_with(0);
    ran.says("dump of the database");
    site.tool.run(&["db", "list"]).ends_with(0).says("before-2.14.0");
    assert!(database.query("SHOW TABLES FROM reemo_site LIKE 'sessions'").contains("sessions"));
}

/// Each with what is said of it; the host stays bare.
fn refused(site: &Site, database: &Database) {
    let cases = [
        ("DB_PORT=3399", "the database SUBNET.41:3399 is not reached from there"),
        ("DB_USER_PASSWORD=mistyped", "refuses the login of `reemo_site`"),
        ("DB_TLS=none", "refuses the login of `reemo_site`"),
        ("DB_NAME=elsewhere", "has no database `elsewhere`"),
        ("DB_TLS=mtls", "must have a certificate of the internal authority"),
        ("INIT_DB=false", "the database was never initialised"),
    ];
    for (wrong, said) in cases {
        let said = said.replace("SUBNET", &site.fleet.subnet());
        let ran = site.tool.run(&["apply", "-e", "INSTALL_DOCKER=true INIT_DB=true", "-e", wrong]);
        ran.ends_with(8).says(&said);
    }
    assert_eq!(database.query("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'reemo_site'"), "0");
    let docker = site.fleet.try_sh(site.fleet.host("infra1"), "command -v docker || test -e /opt/reemo", "");
    assert!(!docker.success(), "nothing was installed: {}", docker.out);
}
