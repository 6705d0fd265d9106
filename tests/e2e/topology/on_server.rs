//! A certificate for users that lies on the server already, as certbot leaves it: links, to files of each renewal.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{Site, split};
use crate::{command, swarm};

const HOST: &str = "portaladmin1";

/// Writes `archive/NUMBER.pem` and `.key` on the host, with the links of certbot to them.
fn renew(site: &Site, number: u32) {
    split::certificate(site, "admin");
    let read = |end: &str| fs::read_to_string(site.fleet.control().join(format!("admin.{end}"))).expect("it was made");
    for (kind, end, link) in [("pem", "crt", "fullchain.pem"), ("key", "key", "privkey.pem")] {
        let script = format!(
            "umask 077; mkdir -p /etc/letsencrypt/live/admin /etc/letsencrypt/archive; cat >/etc/letsencrypt/archive/{number}.{kind}
ln -sfn ../../archive/{number}.{kind} /etc/letsencrypt/live/admin/{link}"
        );
        let written = site.fleet.try_sh(site.fleet.host(HOST), &script, &read(end));
        assert!(written.success(), "{}", written.err);
    }
}

/// Nothing is begun anywhere for a server without it, nor with a key of another one.
pub fn missing(site: &Site) {
    site.tool
        .run(&super::FIRST)
        .ends_with(8)
        .says("portaladmin1: /etc/letsencrypt/live/admin/fullchain.pem is not there");
    renew(site, 1);
    let host = site.fleet.host(HOST);
    site.fleet.sh(
        host,
        "cd /etc/letsencrypt/archive; cp -p 1.key kept; openssl ecparam -name prime256v1 -genkey -noout -out 1.key",
    );
    site.tool.run(&super::FIRST).ends_with(8).says("privkey.pem: the key is not that of the certificate");
    for host in ["portaluser1", "portaladmin1", "api1"] {
        let touched =
            site.fleet.try_sh(site.fleet.host(host), "test -e /etc/reemo || test -e /etc/docker/daemon.json", "");
        assert!(!touched.success(), "{host} was changed");
    }
    assert!(!site.fleet.control().join("pki").exists(), "no authority was made for it either");
    site.fleet.sh(host, "mv /etc/letsencrypt/archive/kept /etc/letsencrypt/archive/1.key");
}

/// It is what administrators are shown; another one is noticed, copied, and read without a restart.
pub fn renewed(site: &Site) {
    let host = site.fleet.host(HOST);
    let serial = |line: &str| {
        let mut ask = Command::new("sh");
        ask.args(["-c", line, &host.address]).current_dir(site.fleet.control());
        command::run(ask, "", Duration::from_secs(20)).out
    };
    let shown = || {
        let ask = "openssl s_client -connect \"$0:443\" -servername admin.reemo.test </dev/null 2>/dev/null";
        serial(&format!("{ask} | openssl x509 -noout -serial"))
    };
    let file = || serial("openssl x509 -noout -serial -in admin.crt");
    assert!(file().starts_with("serial="), "{}", file());
    assert_eq!(shown(), file());
    let tasks = swarm::running_tasks(&site.fleet, host);
    renew(site, 2);
    assert_ne!(shown(), file(), "nobody told Traefik");
    site.tool.run(&["plan"]).ends_with(0).says("copy /etc/letsencrypt/live/admin/fullchain.pem");
    site.tool.run(&["apply"]).ends_with(0);
    let began = Instant::now();
    while shown() != file() {
        assert!(began.elapsed() < Duration::from_secs(10), "{} is shown, not {}", shown(), file());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(swarm::running_tasks(&site.fleet, host), tasks, "no copy was restarted");
    let modes = site.fleet.sh(host, "cd /etc/reemo/traefik/certs; stat -c '%a %U' 0.crt 0.key; ls");
    assert_eq!(modes.lines().take(2).collect::<Vec<_>>(), ["644 root", "600 root"]);
    assert!(!modes.contains("0.key."), "nothing half-made is left: {modes}");
    site.tool.run(&["doctor"]).says("certificates");
    // The key went nowhere: not to this machine's records, either.
    let key = fs::read_to_string(site.fleet.control().join("admin.key")).expect("the test's own");
    let secret = key.lines().nth(1).expect("a line of the key");
    let told = Command::new("grep").args(["-rlF", secret]).args([&site.tool.state, &site.tool.transcript()]).output();
    assert!(told.expect("grep").stdout.is_empty());
}
