//! Machines that do not come back.

use super::{NAMES, Suite};
use crate::fleet::script;
use crate::swarm;

/// The way back that docs/recovery.md tells, typed.
pub fn two_of_three(suite: &Suite) -> String {
    let fleet = &suite.site.fleet;
    let data = suite.sh(NAMES[0], "docker node ls -q | xargs docker node inspect -f '{{.Description.Hostname}} {{index .Spec.Labels \"io.reemo.data\"}}'");
    assert!(data.contains("faults1 true"), "the database is on the first host: {data}");
    for name in &NAMES[1..] {
        script("tests/fleet/fleet", &["replace", &fleet.name, &fleet.host(name).number.to_string()], &[], 120);
    }
    script("tests/fleet/fleet", &["up", &fleet.name, "3"], &[], 300);
    let ran = suite.tool().run(&["apply"]);
    assert!([2, 4, 8].contains(&ran.code), "{}", ran.text());
    let first = &suite.host(NAMES[0]).address;
    suite.sh(NAMES[0], &format!("docker swarm init --force-new-cluster --advertise-addr {first}"));
    // Both are known to be away by then.
    suite.until(NAMES[0], "docker node ls --format '{{.Hostname}} {{.Status}}' | grep -c Down", "2");
    suite.sh(
        NAMES[0],
        "for id in $(docker node ls --format '{{.ID}} {{.Hostname}}' | awk '$2 != \"faults1\" { print $1 }'); do
           docker node demote $id; docker node rm --force $id || exit 1
         done",
    );
    let ran = suite.tool().run(&["apply", "-e", "INSTALL_DOCKER=true"]).ends_with(0);
    assert!(ran.recap()[NAMES[1]]["changed"] > 0, "{}", ran.text());
    suite.gathered();
    "by the book: one again, the new machines join, nothing of the database is lost".into()
}

/// What is left: the inventory, the folder of certificates with its key, and a dump that was brought away.
pub fn all_of_three(suite: &Suite) -> String {
    const ROW: &str = "SELECT value FROM reemo.configuration WHERE name = 'before-the-fire'";
    let fleet = &suite.site.fleet;
    swarm::query(fleet, "REPLACE INTO reemo.configuration (name, value) VALUES ('before-the-fire', 'kept')");
    let dump = fleet.control().join("before-the-fire.dump").display().to_string();
    suite.tool().run(&["db", "backup", "--to", &dump]).ends_with(0);
    for name in NAMES {
        script("tests/fleet/fleet", &["replace", &fleet.name, &fleet.host(name).number.to_string()], &[], 120);
    }
    script("tests/fleet/fleet", &["up", &fleet.name, "3"], &[], 300);
    // By the book.
    suite.tool().run(&["apply", "-e", "INSTALL_DOCKER=true INIT_DB=true"]).ends_with(0);
    assert_eq!(swarm::query(fleet, ROW), "", "a new database");
    suite.tool().run(&["db", "restore", &dump, "--yes"]).ends_with(0).says("loaded");
    assert_eq!(swarm::query(fleet, ROW).trim(), "kept");
    suite.gathered();
    "by the book: `apply` with INIT_DB, `db restore FILE`: 0, the data is what it was".into()
}
