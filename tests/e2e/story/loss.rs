//! Hosts that are gone, and hosts that nobody named.

use super::{Stage, first};
use crate::swarm;

/// Step 12: one host is dead.
pub fn one_host(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    let (manager, dead) = (&fleet.hosts[0], &fleet.hosts[2]);
    fleet.kill(dead);
    let by_hand = "rm /etc/reemo/traefik/dynamic/common.yml";
    fleet.sh(manager, by_hand);
    // The Swarm itself moves what ran there; only what we write counts.
    let specs = || swarm::all(fleet, manager, "service").into_iter().map(|s| s["Spec"].clone()).collect::<Vec<_>>();
    let before = specs();

    let ran = tool.run(&["apply"]).ends_with(4).says("UNREACHABLE").says("infra_manager3").none("changed");
    let (table, recap) = (ran.text().find("UNREACHABLE"), ran.text().find("PLAY RECAP"));
    assert!(table < recap, "the table comes before anything else");
    assert_eq!(ran.recap()["infra_manager3"]["unreachable"], 1);
    assert_eq!(specs(), before);
    assert!(
        !fleet.try_sh(manager, "test -e /etc/reemo/traefik/dynamic/common.yml", "").success(),
        "nothing was changed"
    );
    // A plan tells the same, and so does status.
    tool.run(&["plan"]).ends_with(4).says("infra_manager3");
    tool.run(&["status"]).ends_with(4).says("unreachable");

    let ran = tool.run(&["apply", "--skip-unreachable"]).ends_with(4).says("infra_manager3");
    let recap = ran.recap();
    assert_eq!(
        (recap["infra_manager1"]["changed"] > 0, recap["infra_manager1"]["failed"]),
        (true, 0),
        "{}",
        ran.text()
    );
    fleet.sh(manager, "test -s /etc/reemo/traefik/dynamic/common.yml");

    fleet.start(dead);
    tool.run(&["apply"]).ends_with(0).none("failed").none("unreachable");
    tool.run(&["apply"]).ends_with(0).none("changed");
    first::healthy_everywhere(stage);
}

/// Step 13: the Swarm has a node that is not in the inventory.
pub fn unknown_node(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    let third = format!("    infra_manager3:\n      ansible_host: \"{}\"\n", fleet.hosts[2].address);
    let fewer = stage.swapped(&third, "");
    let before = swarm::versions(fleet, &fleet.hosts[0]);
    tool.with_inventory("fewer.yml", &fewer).run(&["apply"]).ends_with(8).says("e2e3");
    assert_eq!(swarm::versions(fleet, &fleet.hosts[0]), before, "nothing was changed");
}
