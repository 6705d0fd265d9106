//! What is refused on bare hosts: each time before the first change.

use std::fs;
use std::process::Command;
use std::time::Duration;

use super::{FIRST, Stage};
use crate::tool::Tool;
use crate::{command, snapshot};

/// Step 2: an installation has to be asked for, and so has a new database.
pub fn has_to_be_asked_for(stage: &Stage) {
    let tool = &stage.tool;
    tool.run(&["apply"]).ends_with(8).says("there is no Docker engine on infra_manager1").says("INSTALL_DOCKER=true");
    tool.run(&["apply", "-e", "INSTALL_DOCKER=true"])
        .ends_with(8)
        .says("the database was never initialised")
        .says("INIT_DB=true")
        .none("changed");
}

/// Step 3: hosts that are not who they were, and hosts that do not let us in.
pub fn only_known_hosts(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    let known = fs::read_to_string(fleet.state.join("known_hosts")).expect("the hosts' true keys");
    let keys: Vec<&str> = known.lines().map(|l| l.split_once(' ').expect("address and key").1).collect();
    let (first, third) = (&fleet.hosts[0].address, &fleet.hosts[2].address);

    // The first answers with another key than the one that is known.
    let changed = known.replace(keys[0], keys[1]);
    with_known_hosts(stage, &changed)
        .run(&[&["apply"][..], &FIRST].concat())
        .ends_with(4)
        .says("UNREACHABLE")
        .says(&format!("the key of {first} has changed, or somebody is in between"))
        .says("ssh-keygen -R")
        .none("changed");

    // The third has never been seen.
    let without: String = known.lines().filter(|l| !l.starts_with(third)).map(|l| format!("{l}\n")).collect();
    let unknown = with_known_hosts(stage, &without);
    unknown
        .run(&[&["apply"][..], &FIRST].concat())
        .ends_with(4)
        .says("infra_manager3")
        .says("ssh-keyscan")
        .none("changed");
    let file = tool.control.join("known_hosts");
    assert_eq!(fs::read_to_string(&file).expect("the file"), without, "nobody was let in on their own word");
    // Asked for, its key is recorded; the same file then has all three.
    unknown.run(&[&["plan", "--accept-new-host-keys"][..], &FIRST].concat()).ends_with(0).none("unreachable");
    let now = fs::read_to_string(&file).expect("the file");
    assert!(now.contains(keys[2]), "the key of the third host was recorded:\n{now}");

    // A key that no host knows.
    let key = tool.control.join("stranger");
    let _ = fs::remove_file(&key);
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key);
    assert!(command::run(keygen, "", Duration::from_secs(20)).success());
    let text = stage.swapped("/../id_ed25519", "/stranger");
    tool.with_inventory("stranger.yml", &text)
        .run(&[&["apply"][..], &FIRST].concat())
        .ends_with(4)
        .says("was not let in")
        .none("changed");

    for host in &fleet.hosts {
        let (bare, now) = (snapshot::kept(tool, host), snapshot::of(fleet, host));
        let found = snapshot::differences(&bare, &now, |_| false);
        assert!(found.is_empty(), "{} was touched before it was clear who it is:\n{}", host.name, found.join("\n"));
    }
}

/// The program with another list of known hosts.
fn with_known_hosts(stage: &Stage, list: &str) -> Tool {
    fs::write(stage.tool.control.join("known_hosts"), list).expect("a file");
    stage.tool.with_inventory("known.yml", &stage.swapped("/../known_hosts", "/known_hosts"))
}
