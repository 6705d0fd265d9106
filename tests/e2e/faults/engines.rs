//! What happens to engines.

use super::{NAMES, Suite};

pub fn stopped(suite: &Suite) -> String {
    suite.sh(NAMES[2], "systemctl stop docker.socket docker");
    let ran = suite.changed("reemo_apicronlog", &[("FAULT", "stopped")]).run(&["apply"]);
    suite.sh(NAMES[2], "systemctl start docker.socket docker");
    suite.gathered();
    let code = ran.code;
    assert!([2, 4, 8].contains(&code), "{}", ran.text());
    ran.says(NAMES[2]).says("next:");
    format!("{code}, the host is named")
}

pub fn hangs(suite: &Suite) -> String {
    suite.sh(NAMES[2], "pkill -STOP -x dockerd");
    let ran = suite.changed("reemo_apicronlog", &[("FAULT", "hangs")]).run(&["apply"]);
    suite.sh(NAMES[2], "pkill -CONT -x dockerd");
    suite.gathered();
    let (code, took) = (ran.code, ran.took.as_secs());
    assert!([2, 4, 8].contains(&code), "{}", ran.text());
    ran.says(NAMES[2]).says("next:");
    format!("{code} after {took} s, the host is named")
}

/// Users come through the first host, which is not the leader: the plug of another one is pulled.
pub fn leader(suite: &Suite) -> String {
    let ask = "docker node ls --format '{{.Hostname}} {{.ManagerStatus}}' | grep Leader";
    if suite.sh(NAMES[0], ask).starts_with("faults1") {
        suite.sh(NAMES[0], "systemctl restart docker");
        suite.gathered();
    }
    let leader = suite.sh(NAMES[0], ask);
    let name = NAMES[leader.trim_start_matches("faults").chars().next().and_then(|c| c.to_digit(10)).expect("a number")
        as usize
        - 1];
    assert_ne!(name, NAMES[0], "{leader}");
    let run = suite.changed("reemo_api", &[("FAULT", "leader")]).start(&["apply"]);
    suite.until_updating(NAMES[0], "reemo_api");
    suite.site.fleet.kill(suite.host(name));
    let ran = run.end();
    suite.site.fleet.start(suite.host(name));
    suite.gathered();
    let (code, took) = (ran.code, ran.took.as_secs());
    assert!([0, 2, 4, 6].contains(&code), "{}", ran.text());
    if code != 0 {
        ran.says("next:");
    }
    format!("{code} after {took} s, then `apply`: 0")
}

pub fn quorum(suite: &Suite) -> String {
    let tool = suite.changed("reemo_apicronlog", &[("FAULT", "quorum")]);
    let plan = suite.tool().control.join("kept.plan").display().to_string();
    tool.run(&["plan", "--out", &plan]).ends_with(0);
    for host in &NAMES[1..] {
        suite.sh(host, "systemctl stop docker.socket docker");
    }
    let ran = tool.again(&["apply", &plan]);
    for host in &NAMES[1..] {
        suite.sh(host, "systemctl start docker.socket docker");
    }
    suite.gathered();
    let (code, took) = (ran.code, ran.took.as_secs());
    assert!([2, 4, 8].contains(&code), "{}", ran.text());
    ran.says(NAMES[1]).says("next:");
    // The quorum is back, and the plan still holds.
    tool.again(&["apply", &plan]).ends_with(0);
    format!("{code} after {took} s; when it is back, the kept plan is applied: 0")
}
