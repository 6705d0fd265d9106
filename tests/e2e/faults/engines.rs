//! What happens to engines.

use std::time::{Duration, Instant};

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

const LEADER: &str = "docker node ls --format '{{.Hostname}} {{.ManagerStatus}}' | grep Leader";

/// Another host leads than the first, through which users come. Its engine, and so its Traefik, is away for a moment.
pub fn led_elsewhere(suite: &Suite) {
    if suite.sh(NAMES[0], LEADER).starts_with("faults1") {
        suite.sh(NAMES[0], "systemctl restart docker");
        suite.gathered();
    }
}

/// The plug of the leader is pulled.
pub fn leader(suite: &Suite) -> String {
    let leader = suite.sh(NAMES[0], LEADER);
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

/// On the third host alone.
pub fn refused_settings(suite: &Suite) -> String {
    const DAEMON: &str = "/etc/docker/daemon.json";
    const ARMED: &str = "systemctl --quiet is-active reemo-infra-revert.timer && echo armed";
    let host = NAMES[2];
    let read = || suite.site.fleet.try_sh(suite.host(host), &format!("cat {DAEMON}; docker info -f runs"), "").out;
    let given = |options: &str| format!("{{\"DOCKER_DAEMON_OPTIONS\": {options}}}");
    let (bad, good) = (given("{\"storage-driver\": \"no-such-driver\"}"), given("{\"log-level\": \"warn\"}"));
    let apply = |options: &str| {
        ["apply", "-t", "docker", "-l", host, "-e", "INSTALL_DOCKER=true", "-e", options].map(str::to_owned)
    };
    let run = |options: &str| suite.tool().run(&apply(options).each_ref().map(String::as_str));
    let killed = |options: &str| {
        let run = suite.tool().start(&apply(options).each_ref().map(String::as_str));
        suite.until(host, ARMED, "armed");
        run.running.signal("KILL");
        run.end().ends_with(137);
    };
    let before = read();
    assert!(before.ends_with("runs\n"), "{before}");
    let ran = run(&bad).ends_with(2).says("the engine does not work with its new").says("the old one was put back");
    ran.says("no-such-driver").says("next: correct DOCKER_DAEMON_OPTIONS");
    assert_eq!(read(), before);
    suite.gathered();
    // Nobody is left to take it back: the host does.
    killed(&bad);
    let began = Instant::now();
    while read() != before {
        assert!(began.elapsed() < Duration::from_secs(300), "it never came back:\n{}", read());
        std::thread::sleep(Duration::from_secs(1));
    }
    let back = began.elapsed().as_secs();
    suite.gathered();
    // One that works stays, once somebody comes back in time to say so.
    killed(&good);
    suite.until(host, "docker info -f runs 2>/dev/null; true", "runs");
    suite.gathered();
    run(&good).ends_with(0).says("restart docker");
    let after = read();
    assert!(after.contains("warn") && after.ends_with("runs\n"), "{after}");
    suite.sh(host, &format!("! {ARMED} && ! ls {DAEMON}.*"));
    suite.gathered();
    run(&given("{\"log-level\": null}")).ends_with(0);
    assert_eq!(read(), before);
    suite.gathered();
    format!(
        "2, the old one is back; killed in between: the host puts it back by itself after {back} s; one that works: confirmed by the next run"
    )
}
