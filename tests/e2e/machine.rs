//! What no container can show: a host with a kernel, a clock, a network device and a plug of its own. One emulated
//! machine with the whole platform, ten times slower than this one. `make test-vm` runs it.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::command;
use crate::topology::Site;

const HOST: &str = "infra1";

/// The usual on one server. An emulated processor starts nothing quickly.
fn groups(facility: &str) -> String {
    format!(
        "    HEALTHCHECK_ENABLE: \"true\"
    SYSLOG_FACILITY_API: \"{facility}\"
infra_manager:
  vars:
    PORTAL_URL: \"portal.reemo.test\"
  hosts:
    {HOST}: {{ansible_host: \"ADDRESS({HOST})\"}}
"
    )
}

/// The whole story.
pub fn tell() {
    let again = std::env::var_os("REEMO_E2E_AGAIN").is_some();
    let mut site = Site::with_options("machine", &[HOST], &["--kind", "vm"], &groups("local0"), again);
    site.tool.limit = Duration::from_secs(2400);
    site.step("a registry that it has no name for keeps it from being installed", names);
    site.step("its own kernel: VXLAN and IPVS are there, and doctor says so", kernel);
    site.step("a clock that is wrong keeps it from being installed", clock);
    site.step("apply: a platform", |s| drop(s.install()));
    site.step("the health tree is green", green);
    site.step("again: nothing to do", |s| s.settled());
    site.step("a line of 100 ms that loses, doubles and swaps: looked at, and changed", line);
    site.step("the plug is pulled in the middle of an update", plug);
    site.step("a restart in good order: nothing to do", restarted);
    site.done();
}

fn sh(site: &Site, script: &str) -> String {
    site.fleet.sh(site.fleet.host(HOST), script)
}

#[track_caller]
fn until(what: &str, seconds: u64, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(seconds), "not within {seconds} s: {what}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// Docker's name server is not there for a machine of its own.
fn names(site: &Site) {
    let ran = site.tool.run(&["apply", "-e", "INSTALL_DOCKER=true INIT_DB=true"]).ends_with(8);
    ran.says("sources problem infra1 registry.reemo.io has no address here").says("--ignore-preflight sources");
    untouched(site);
    let mut ask = Command::new("docker");
    ask.args(["inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", &site.fleet.registry()]);
    let address = command::run(ask, "", Duration::from_secs(10)).out;
    sh(site, &format!("echo '{} registry.reemo.io' >>/etc/hosts", address.trim()));
}

fn untouched(site: &Site) {
    assert_eq!(sh(site, "ls -d /etc/docker /var/lib/docker /opt/reemo 2>/dev/null; true"), "", "nothing was done");
}

fn kernel(site: &Site) {
    let ours = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("a kernel");
    assert_ne!(sh(site, "uname -r"), ours, "it is this machine's kernel");
    let ran = site.tool.run(&["doctor", "--format", "json"]);
    let found: serde_json::Value = serde_json::from_str(&ran.out).expect("a document");
    let of = |check: &str| {
        let rows = found["rows"].as_array().expect("rows").iter();
        rows.filter(|r| r["check"] == check)
            .map(|r| r["state"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!((of("kernel"), of("clock"), of("host")), (vec!["ok".into()], vec!["ok".into()], vec!["ok".into()]));
}

fn clock(site: &Site) {
    for (minutes, side) in [(10, "ahead of"), (-10, "behind")] {
        sh(site, &format!("date -s '{minutes:+} minutes' >/dev/null"));
        let ran = site.tool.run(&["apply", "-e", "INSTALL_DOCKER=true INIT_DB=true"]).ends_with(8);
        let said = ran.text();
        assert!(said.contains(&format!("s {side} this machine's")) && said.contains("timedatectl"), "{said}");
        sh(site, &format!("date -s '{:+} minutes' >/dev/null", -minutes));
    }
    untouched(site);
}

fn green(site: &Site) {
    let unhealthy = |tree: &serde_json::Value| tree.to_string().contains("false");
    until("a green health tree", 300, || {
        site.tool.run(&["check"]).code == 0 && !unhealthy(&site.health(HOST, "portal.reemo.test"))
    });
}

fn line(site: &Site) {
    sh(site, "tc qdisc add dev eth0 root netem delay 100ms 20ms loss 5% duplicate 2% reorder 10%");
    let shown = sh(site, "tc qdisc show dev eth0");
    assert!(shown.contains("netem") && shown.contains("loss 5%"), "{shown}");
    site.settled();
    site.write(&groups("local1"));
    site.tool.run(&["apply"]).ends_with(0);
    site.settled();
    sh(site, "tc qdisc del dev eth0 root");
    let facility =
        "docker service inspect -f '{{index .Spec.TaskTemplate.LogDriver.Options \"syslog-facility\"}}' reemo_api";
    assert_eq!(sh(site, facility).trim(), "local1");
}

fn plug(site: &Site) {
    let rows = "docker exec $(docker ps -q --filter label=com.docker.swarm.service.name=reemo_mysql) sh -c \
                'mysql --defaults-extra-file=/run/secrets/mysql_client.cnf -N -e \"select count(*) from information_schema.tables where table_schema = \\\"reemo\\\"\"'";
    let tables = sh(site, rows);
    assert!(tables.trim().parse::<u32>().is_ok_and(|n| n > 0), "{tables}");
    site.write(&groups("local2"));
    let run = site.tool.start(&["apply"]);
    let state = "docker service inspect -f '{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}' reemo_api";
    until("the update of reemo_api begins", 120, || {
        site.fleet.try_sh(site.fleet.host(HOST), state, "").out.trim() == "updating"
    });
    site.fleet.kill(site.fleet.host(HOST));
    let ran = run.end();
    assert!([2, 4].contains(&ran.code), "{}", ran.text());
    ran.says("next:");
    site.fleet.start(site.fleet.host(HOST));
    green(site);
    site.tool.run(&["apply"]).ends_with(0);
    site.settled();
    site.tool.run(&["lock", "status"]).ends_with(0).does_not_say("held");
    assert_eq!(sh(site, rows), tables, "the database has what it had");
}

fn restarted(site: &Site) {
    let boot = "cat /proc/sys/kernel/random/boot_id";
    let before = sh(site, boot);
    sh(site, "systemd-run --on-active=1 systemctl reboot >/dev/null 2>&1");
    until("it has started anew", 180, || {
        let seen = site.fleet.try_sh(site.fleet.host(HOST), boot, "");
        seen.success() && seen.out != before
    });
    green(site);
    site.settled();
}
