//! What operators look at every day: status, exec, logs.

use serde_json::Value;

use super::Stage;

/// Step 14.
pub fn every_day(stage: &Stage) {
    let tool = &stage.tool;
    let ran = tool.run(&["status", "--format", "json"]).ends_with(0);
    let status: Value = serde_json::from_str(&ran.out).expect("standard output is JSON and nothing else");
    assert_eq!(status["schema"], 1);
    let cluster = &status["clusters"][0];
    let nodes = cluster["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.iter().filter(|n| n["swarm"] == "manager" && n["state"] == "ready").count(), 3, "{cluster:#}");
    assert_eq!(nodes.iter().filter(|n| n["leader"] == true).count(), 1, "{cluster:#}");
    let services = cluster["services"].as_array().expect("services");
    let portal = services.iter().find(|s| s["name"] == "reemo_portal").expect("the portal");
    assert_eq!((&portal["running"], &portal["wanted"]), (&6.into(), &6.into()), "{portal:#}");
    assert_eq!(cluster["database"]["initialised"], true);
    assert_eq!(cluster["health"]["status"], "OK");
    tool.run(&["status"]).ends_with(0).says("reemo_portal 6/6").says("database: initialised");

    // One argument is a shell's line, several are a program's.
    let said = tool.run(&["exec", "infra_manager", "--", "echo $((6*7)) | sed s/4/x/"]).ends_with(0);
    assert_eq!(said.out.matches("x2").count(), 3, "{}", said.out);
    let said = tool.run(&["exec", "infra_manager2", "--", "printf", "%s|", "a b", "$HOME"]).ends_with(0);
    assert!(said.out.contains("a b|$HOME|") && !said.out.contains("infra_manager1"), "{}", said.out);
    tool.run(&["exec", "infra_manager1:infra_manager3", "--", "hostname; exit 3"])
        .ends_with(2)
        .says("e2e1")
        .says("e2e3")
        .says("rc=3")
        .does_not_say("e2e2");
    tool.run(&["exec", "no_such_host", "--", "true"]).ends_with(5);

    let lines = tool.run(&["logs", "traefik", "-n", "5"]).ends_with(0);
    for host in &stage.fleet.hosts {
        assert!(lines.out.contains(&host.name), "{}", lines.out);
    }
    assert!(lines.out.contains("traefik"), "{}", lines.out);
    tool.run(&["logs", "portal", "-n", "5"]).ends_with(0).says("reemo_portal");
}
