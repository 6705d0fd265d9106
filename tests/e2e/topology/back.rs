//! The ways back: a run taken back by hand, with and without the schema; and a host taken out of the inventory.

use super::Site;
use crate::swarm;

const VARS: &str = r#"    HEALTHCHECK_ENABLE: "true"
    DB_STORAGE: local
infra_manager:
  hosts:
    infra1: {ansible_host: "ADDRESS(infra1)"}
    infra2: {ansible_host: "ADDRESS(infra2)"}
"#;
const THIRD: &str = "    infra3: {ansible_host: \"ADDRESS(infra3)\"}\n";
const API: &str = "DOCKER_VERSION_API=2.14.0";
const PORTAL: &str = "DOCKER_VERSION_PORTAL=2.14.0";
const DB: &str = "DOCKER_VERSION_DB=2.14.0";

/// The whole story.
pub fn tell() {
    let site = Site::raise("back", &["infra1", "infra2", "infra3"], &format!("{VARS}{THIRD}"));
    site.step("apply", |s| s.install());
    let release = |service: &str| {
        let ask = format!("docker service inspect -f '{{{{.Spec.TaskTemplate.ContainerSpec.Image}}}}' {service}");
        let image = site.fleet.sh(site.fleet.host("infra1"), &ask);
        image.split('@').next().and_then(|i| i.rsplit(':').next()).unwrap_or_default().trim().to_owned()
    };
    site.step("a run is taken back", |s| {
        let old = (release("reemo_api"), release("reemo_portal"));
        s.tool.run(&["apply", "-e", &format!("{API} {PORTAL}")]).ends_with(0);
        assert_eq!((release("reemo_api"), release("reemo_portal")), ("2.14.0".into(), "2.14.0".into()));
        s.tool.run(&["rollback"]).ends_with(8).says("--yes").says("reemo_portal");
        assert_eq!(release("reemo_portal"), "2.14.0", "nobody said yes");
        let ran = s.tool.run(&["rollback", "--yes"]).ends_with(0).says(&format!("back to reemo_api {}", old.0));
        let at = |what: &str| ran.out.find(what).unwrap_or_else(|| panic!("no `{what}`:\n{}", ran.text()));
        assert!(at("back to reemo_portal") < at("back to reemo_api"), "the portal first");
        assert_eq!((release("reemo_api"), release("reemo_portal")), old);
        s.settled();
    });
    site.step("across a schema only with its dump", |s| {
        let sql = "SELECT COUNT(*) FROM reemo.db_runs";
        let runs = swarm::query(&s.fleet, sql);
        s.tool.run(&["apply", "-e", &format!("{DB} {API}")]).ends_with(0).says("dump of the database");
        let ran = s.tool.run(&["rollback", "--yes"]).ends_with(8).says("does not go back by itself");
        let text = ran.text();
        let dump = text.split("--restore ").nth(1).and_then(|t| t.split_whitespace().next()).expect("the dump's name");
        s.tool.run(&["rollback", "--yes", "--restore", dump]).ends_with(0).says("loaded");
        assert_eq!(release("reemo_api"), "2.13.10");
        assert_eq!(swarm::query(&s.fleet, sql), runs, "the data is what it was");
        let tree = s.health("infra1", "portal.reemo.test");
        assert_eq!(tree["status"], "OK", "{tree:#}");
        // The job is run for the old schema once more, and then nothing is left to be done.
        s.tool.run(&["apply"]).ends_with(0);
        s.settled();
    });
    site.step("a host taken out of the inventory", |s| {
        s.write(VARS);
        s.tool.run(&["apply"]).ends_with(8).says("--prune").says("back3");
        s.tool.run(&["plan", "--prune"]).ends_with(0).says("nodes no longer wanted");
        let ran = s.tool.run(&["apply", "--prune"]).ends_with(0);
        assert!(ran.text().contains("nodes no longer wanted"), "{}", ran.text());
        let nodes = s.fleet.sh(s.fleet.host("infra1"), "docker node ls -q | wc -l");
        assert_eq!(nodes.trim(), "2");
        s.settled();
        let tree = s.health("infra1", "portal.reemo.test");
        assert_eq!(tree["status"], "OK", "{tree:#}");
    });
    site.done();
}
