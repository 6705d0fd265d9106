//! A platform that is as wanted: plans and applies leave it alone.

use super::Stage;
use crate::swarm;

/// How often the schema job ran, asked of the database.
pub fn db_runs(stage: &Stage) -> u64 {
    let name =
        swarm::query(&stage.fleet, "SELECT table_schema FROM information_schema.tables WHERE table_name = 'db_runs'");
    let count = swarm::query(&stage.fleet, &format!("SELECT COUNT(*) FROM {}.db_runs", name.trim()));
    count.trim().parse().unwrap_or_else(|e| panic!("{e}: {count}"))
}

/// Step 5.
pub fn nothing_to_do(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    let manager = &fleet.hosts[0];
    let (versions, tasks, runs) =
        (swarm::versions(fleet, manager), swarm::running_tasks(fleet, manager), db_runs(stage));
    assert_eq!(runs, 1, "the schema job ran once");

    tool.run(&["plan", "--detailed-exitcode"]).ends_with(0).none("changed").none("failed");
    assert_eq!(swarm::versions(fleet, manager), versions, "a plan changes no object of the Swarm");
    tool.run(&["apply"]).ends_with(0).none("changed").none("failed");
    round_trips(stage);
    // Also with what the first run was given: the engine is there.
    tool.run(&["apply", "-e", "INSTALL_DOCKER=true"]).ends_with(0).none("changed").none("failed");
    tool.run(&["apply", "-e", "INIT_DB=true"])
        .ends_with(8)
        .says("was initialised before")
        .says("run the same command without INIT_DB");

    assert_eq!(swarm::versions(fleet, manager), versions, "nothing was changed");
    assert_eq!(swarm::running_tasks(fleet, manager), tasks, "nothing was restarted");
    assert_eq!(db_runs(stage), runs, "the schema job did not run again");
}

/// What a run that changes nothing costs: one connection and one command per host, and of Docker's calls version, info
/// and images on each, the six lists of the Swarm on one.
fn round_trips(stage: &Stage) {
    let told = stage.tool.run(&["apply", "--format", "json"]).ends_with(0).out;
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let trips = told["trips"].as_object().expect("round trips by host");
    let numbers = |field: &str| {
        let mut all: Vec<u64> = trips.values().map(|t| t[field].as_u64().expect("a number")).collect();
        all.sort_unstable();
        all
    };
    assert_eq!(numbers("handshakes"), [1, 1, 1], "{told:#}");
    assert_eq!(numbers("execs"), [1, 1, 1], "{told:#}");
    assert_eq!(numbers("docker_calls"), [3, 3, 9], "{told:#}");
    let timed =
        |phase: &str| told["timings"].as_array().expect("timings").iter().filter(|t| t["phase"] == phase).count();
    assert_eq!(["read", "connect", "probes", "engine", "swarm", "decide"].map(timed), [1, 3, 3, 3, 1, 1], "{told:#}");
}
