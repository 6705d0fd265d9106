//! Releases: in order, without a failed request, and back where they do not work.

use super::settled::db_runs;
use super::{Stage, first};
use crate::swarm;
use crate::web::{self, Visitor};

const API: &str = "DOCKER_VERSION_API=2.14.0";
const DB: &str = "DOCKER_VERSION_DB=2.14.0";
const PORTAL: &str = "DOCKER_VERSION_PORTAL=2.14.0";

/// Step 8: db, then api, then everything else, then portal; also when each is asked for on its own.
pub fn in_order(stage: &Stage) {
    let tool = &stage.tool;
    let all = format!("{DB} {API} {PORTAL}");
    let runs = db_runs(stage);
    let tasks = swarm::running_tasks(&stage.fleet, &stage.fleet.hosts[0]);
    tool.run(&["apply", "-t", "portal", "-e", &all]).ends_with(8).says("db, api").says("--tags db").none("changed");
    tool.run(&["apply", "-t", "api", "-e", &all]).ends_with(8).says("`db` comes first").none("changed");
    assert_eq!(swarm::running_tasks(&stage.fleet, &stage.fleet.hosts[0]), tasks, "nothing was touched");
    tool.run(&["apply", "-t", "no-such-tag"]).ends_with(5).says("there is no tag `no-such-tag`");

    let visitor = stage.visitor();
    for tags in ["db", "api", "portal,portaladmin"] {
        tool.run(&["apply", "-t", tags, "-e", &all]).ends_with(0).none("failed");
        let version = &web::health(&stage.fleet.hosts[0].address)["services"]["api"]["version"];
        assert_eq!(version, if tags == "db" { "2.13.10" } else { "2.14.0" }, "the api after --tags {tags}");
    }
    quiet(visitor);
    assert_eq!(db_runs(stage), runs + 1, "the schema job ran for its new release");
    for host in &stage.fleet.hosts {
        let tree = web::health(&host.address);
        assert_eq!((&tree["version"], &tree["status"]), (&"2.14.0".into(), &"OK".into()), "{tree:#}");
    }
    // As an operator would: what was tried is what is wanted from now on.
    let releases = [DB, API, PORTAL].map(|v| v.replacen('=', ": \"", 1));
    let lines: String = releases.iter().map(|v| format!("    {v}\"\n")).collect();
    stage.rewrite("    HEALTHCHECK_ENABLE:", &format!("{lines}    HEALTHCHECK_ENABLE:"));
    tool.run(&["apply"]).ends_with(0).none("changed");
}

/// Step 9: a release that never becomes healthy. The old one serves all the time.
pub fn broken_release(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    let visitor = stage.visitor();
    let ran = tool.run(&["apply", "-e", "DOCKER_VERSION_PORTAL=2.14.0-broken"]);
    let ran =
        ran.ends_with(6).says("FAILED:").says("last lines:").says("still serving:").says("reemo_portal 2.14.0 (6/6)");
    ran.says("next:").says("full log:");
    quiet(visitor);
    first::healthy_everywhere(stage);
    let images =
        fleet.sh(&fleet.hosts[0], "docker service ls --format '{{.Name}} {{.Replicas}} {{.Image}}' | grep portal");
    assert!(!images.contains("broken"), "{images}");
    tool.run(&["plan", "--detailed-exitcode"]).ends_with(0);
    tool.run(&["apply"]).ends_with(0).none("changed");
}

/// Step 10: nothing is rolled out that cannot be fetched.
pub fn cannot_be_fetched(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    let before = (swarm::running_tasks(fleet, &fleet.hosts[0]), swarm::replicas(fleet, &fleet.hosts[0]));
    tool.run(&["apply", "-e", "DOCKER_VERSION_PORTAL=nope"])
        .ends_with(2)
        .says("reemoinfraportal:nope")
        .says("the registry has no such tag");
    tool.run(&["apply", "-e", "REGISTRY_PASSWORD=wrong-password DOCKER_VERSION_SIGNAL=2.14.0"])
        .ends_with(2)
        .says("reemoinfrasignal:2.14.0")
        .says("the registry refused the login")
        .does_not_say("wrong-password");
    let after = (swarm::running_tasks(fleet, &fleet.hosts[0]), swarm::replicas(fleet, &fleet.hosts[0]));
    assert_eq!(before, after, "the platform is as it was");
    tool.run(&["apply"]).ends_with(0).none("changed");
}

/// Nobody's request failed; there were some.
fn quiet(visitor: Visitor) {
    let (asked, failed) = visitor.stop();
    assert!(asked >= 20, "only {asked} requests were made");
    assert!(failed.is_empty(), "{} of {asked} requests failed:\n{}", failed.len(), failed.join("\n"));
    super::say(format!("           {asked} requests, none failed"));
}
