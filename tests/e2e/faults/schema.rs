//! What happens to the schema of the database.

use super::{NAMES, Suite};
use crate::{swarm, web};

/// The job changes the schema and then fails; the api that is there cannot write to what the schema has become.
pub fn half(suite: &Suite) -> String {
    let query = |sql: &str| swarm::query(&suite.site.fleet, sql);
    query(
        "CREATE TRIGGER reemo.fault_job BEFORE INSERT ON reemo.db_runs FOR EACH ROW
           SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'the fault of this test';
         CREATE TRIGGER reemo.fault_api BEFORE INSERT ON reemo.probes FOR EACH ROW
           SET NEW.number = IF((SELECT COUNT(*) FROM reemo.schema_version WHERE version = '2.14.0') > 0, NULL, NEW.number)",
    );
    let ran = suite.tool().run(&["apply", "-e", "DOCKER_VERSION_DB=2.14.0 DOCKER_VERSION_API=2.14.0"]);
    let ran =
        ran.ends_with(2).says("reemo_db failed").says("the fault of this test").says("users see the maintenance page");
    let text = ran.text();
    let dump =
        text.split("reemo-infra db restore ").nth(1).and_then(|t| t.split_whitespace().next()).expect("the way back");
    assert!(query("SHOW TABLES FROM reemo LIKE 'sessions'").contains("sessions"), "the schema was changed");
    let image = suite.sh(NAMES[0], "docker service inspect -f '{{.Spec.TaskTemplate.ContainerSpec.Image}}' reemo_api");
    assert!(image.contains(":2.13.10"), "the api was not touched: {image}");
    for host in &suite.site.fleet.hosts {
        let page = web::portal(&host.address);
        assert_eq!(page.status, 503, "the maintenance page through {}: {}", host.name, page.body);
    }
    // As printed.
    suite.tool().run(&["db", "restore", dump, "--yes"]).ends_with(0).says("loaded");
    suite.tool().run(&["maintenance", "off"]).ends_with(0);
    assert_eq!(query("SHOW TABLES FROM reemo LIKE 'sessions'"), "");
    query("DROP TRIGGER reemo.fault_job; DROP TRIGGER reemo.fault_api");
    "2, users see the maintenance page; `db restore` and `maintenance off` as printed: 0, the old release serves".into()
}
