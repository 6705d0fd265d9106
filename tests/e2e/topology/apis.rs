//! Topology 8: two api clusters on one external database, and a portal before them.

use super::Site;
use super::external::Database;

const GROUPS: &str = r#"    HMACSECRET: "of-these-two-apis"
    HEALTHCHECK_ENABLE: "true"
portal_manager:
  hosts:
    portal1: {ansible_host: "ADDRESS(portal1)"}
api_manager:
  vars:
    DB_USER: "reemo_site"
    DB_USER_PASSWORD: "of:the'external database"
    DB_NAME: "reemo_site"
    DB_HOST: "SUBNET.41"
    DB_DIALECT: "mysql"
    DB_TLS: "tls"
  children:
    apinorth_manager:
      hosts:
        north1: {ansible_host: "ADDRESS(north1)"}
    apisouth_manager:
      vars:
        CRON_ENABLE: "false"
        API_useAlternateLDAPHost: "true"
      hosts:
        south1: {ansible_host: "ADDRESS(south1)"}
"#;

const NORTH: [(&str, u64, u64); 8] = [
    ("reemo_api", 4, 4),
    ("reemo_apicron", 1, 1),
    ("reemo_apicronldap", 1, 1),
    ("reemo_apicronlog", 1, 1),
    ("reemo_apientry", 1, 1),
    ("reemo_db", 0, 1),
    ("reemo_proapi", 2, 2),
    ("reemo_prorelayapi", 2, 2),
];
const SOUTH: [(&str, u64, u64); 4] =
    [("reemo_api", 4, 4), ("reemo_apientry", 1, 1), ("reemo_proapi", 2, 2), ("reemo_prorelayapi", 2, 2)];

/// The whole story.
pub fn tell() {
    let site = Site::raise("apis", &["portal1", "north1", "south1"], GROUPS);
    let database = site.step("a database elsewhere", Database::start);
    site.step("refused: scheduled work on both", |s| {
        s.write(&GROUPS.replace("CRON_ENABLE: \"false\"", "CRON_ENABLE: \"true\""));
        s.tool.run(&["plan"]).ends_with(3).says("exist once on the whole platform");
        s.write(GROUPS);
    });
    site.step("apply: two apis, one job", |s| s.install());
    site.step("the job ran once, crons on one, the other name of the directory on one", |s| {
        s.runs("north1", &NORTH);
        s.runs("south1", &SOUTH);
        assert_eq!(database.query("SELECT COUNT(*), SUM(init) FROM reemo_site.db_runs"), "1\t1");
        let (job, south) = (s.made("north1", "reemo_db"), s.made("south1", "reemo_api"));
        assert!(job < south, "the job was made at {job}, the other api at {south}");
        for (host, has) in [("north1", false), ("south1", true)] {
            let ask = "docker service inspect -f '{{join .Spec.TaskTemplate.ContainerSpec.Env \" \"}}' reemo_api";
            let env = s.fleet.sh(s.fleet.host(host), ask);
            assert_eq!(env.contains("API_useAlternateLDAPHost=true"), has, "{host}: {env}");
        }
    });
    site.step("the portal reaches both", |s| {
        let config = s.file_of(s.fleet.host("portal1"), "reemo_apigateway", "/etc/haproxy/haproxy.cfg");
        for api in ["north1", "south1"] {
            let address = &s.fleet.host(api).address;
            assert!(config.contains(&format!("{address}:8444")), "{config}");
        }
        let tree = s.health("portal1", "portal.reemo.test");
        assert_eq!(tree["status"], "OK", "{tree:#}");
        // One of the two is enough.
        s.fleet.kill(s.fleet.host("south1"));
        let began = std::time::Instant::now();
        loop {
            let tree = s.health("portal1", "portal.reemo.test");
            if tree["status"] == "OK" {
                break;
            }
            assert!(began.elapsed() < std::time::Duration::from_secs(30), "with one api left: {tree:#}");
            std::thread::sleep(std::time::Duration::from_secs(1));
        }
        s.fleet.start(s.fleet.host("south1"));
    });
    site.done();
}
