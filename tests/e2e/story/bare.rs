//! Bare hosts: a plan reads, and writes nothing anywhere.

use std::fs;
use std::path::Path;

use super::{FIRST, Stage};
use crate::snapshot;

/// Step 1.
pub fn plan_touches_nothing(stage: &Stage) {
    let (fleet, tool) = (&stage.fleet, &stage.tool);
    for host in &fleet.hosts {
        snapshot::keep(tool, host, &snapshot::of(fleet, host));
    }
    let before = fleet.each(|h| snapshot::with_times(fleet, h));
    let control = files_of(&fleet.state);

    let plan = [&["plan"][..], &FIRST].concat();
    tool.run(&plan).ends_with(0).says("docker.io").says("reemo_portal").none("failed").none("unreachable");
    let detailed = [&plan[..], &["--detailed-exitcode"]].concat();
    tool.run(&detailed).ends_with(10);

    let after = fleet.each(|h| snapshot::with_times(fleet, h));
    for ((host, before), after) in fleet.hosts.iter().zip(&before).zip(&after) {
        let found = snapshot::differences(before, after, |_| false);
        assert!(found.is_empty(), "a plan touched {}:\n{}", host.name, found.join("\n"));
    }
    // The same comparison does see one new file: it is no test if it cannot fail.
    let host = &fleet.hosts[0];
    fleet.sh(host, "touch /etc/e2e-planted");
    let found = snapshot::differences(&before[0], &snapshot::with_times(fleet, host), |_| false);
    fleet.sh(host, "rm /etc/e2e-planted");
    assert!(found.iter().any(|d| d.starts_with("/etc/e2e-planted: absent")), "{found:?}");

    let logs = tool.control.join("state/reemo-infra/runs");
    let new: Vec<String> = files_of(&fleet.state).into_iter().filter(|f| !control.contains(f)).collect();
    assert!(!new.is_empty(), "a plan writes a log");
    for file in new {
        let is_log = Path::new(&file).starts_with(&logs) || Path::new(&file) == tool.transcript();
        assert!(is_log, "a plan wrote {file} on the control machine");
    }
}

/// Every file below a folder.
fn files_of(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a folder").map(|e| e.expect("an entry").path()) {
        if entry.is_dir() {
            found.extend(files_of(&entry));
        } else {
            found.push(entry.display().to_string());
        }
    }
    found
}
