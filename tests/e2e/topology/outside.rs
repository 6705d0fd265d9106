//! What a site has beside the platform: a mail server (OpenSMTPD) that takes nothing without TLS and a login, and a
//! Prometheus that joins the platform's network as a service of its own. Both from Debian's packages.

use std::time::{Duration, Instant};

use super::Site;
use crate::command;

/// Sets up the mail server on the host `outside`, with one account, and curl for a client's part.
pub fn mail_server(site: &Site, account: (&str, &str)) {
    const INSTALL: &str = r#"set -e
apt-get update -qq >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends opensmtpd openssl curl >/dev/null 2>&1
useradd -m keeper
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 60 -subj /CN=mail.reemo.test -keyout /etc/sink.key -out /etc/sink.crt 2>/dev/null
chmod 600 /etc/sink.key
read -r user
printf '%s\t%s\n' "$user" "$(smtpctl encrypt)" >/etc/sink.accounts
printf '@\tkeeper\n' >/etc/sink.everybody
cat >/etc/smtpd.conf <<'END'
pki sink cert "/etc/sink.crt"
pki sink key "/etc/sink.key"
table accounts file:/etc/sink.accounts
table everybody file:/etc/sink.everybody
listen on 0.0.0.0 port 587 tls-require pki sink auth <accounts>
action "keep" maildir "/home/keeper/mail" virtual <everybody>
match auth from any for any action "keep"
END
smtpd -n 2>&1
systemctl restart opensmtpd"#;
    let host = site.fleet.host("outside");
    // On standard input, as a password should.
    let ended = site.fleet.try_sh(host, INSTALL, &format!("{}\n{}\n", account.0, account.1));
    assert!(ended.success(), "the mail server: {}{}", ended.out, ended.err);
}

/// The server is as strict as is said: no mail in clear, none without a login.
pub fn asks_for_tls_and_login(site: &Site) {
    let send = |more: &str| {
        let script = format!(
            "printf 'Subject: x\\r\\n\\r\\nx\\r\\n' | curl -skv --max-time 20 {more} --mail-from a@b.test \
             --mail-rcpt c@d.test --upload-file - smtp://127.0.0.1:587 2>&1"
        );
        site.fleet.try_sh(site.fleet.host("outside"), &script, "")
    };
    let clear = send("");
    assert!(!clear.success() && clear.out.contains("STARTTLS"), "in clear: {}", clear.out);
    let nobody = send("--ssl-reqd");
    assert!(!nobody.success() && nobody.out.contains("< 5"), "without a login: {}", nobody.out);
}

/// True if a mail with this subject was taken.
pub fn has(site: &Site, subject: &str) -> bool {
    let find = format!("grep -rlF 'Subject: {subject}' /home/keeper/mail");
    site.fleet.try_sh(site.fleet.host("outside"), &find, "").success()
}

/// Waits for a mail with this subject, and returns it whole.
pub fn received(site: &Site, subject: &str, patience: Duration) -> String {
    let began = Instant::now();
    while !has(site, subject) {
        assert!(began.elapsed() < patience, "no mail arrived; the server says:\n{}", log(site));
        std::thread::sleep(Duration::from_millis(300));
    }
    let read = format!("cat $(grep -rlF 'Subject: {subject}' /home/keeper/mail | head -n 1)");
    site.fleet.sh(site.fleet.host("outside"), &read)
}

/// Waits until somebody was refused for a wrong password.
pub fn refused_login(site: &Site, patience: Duration) {
    let began = Instant::now();
    while !log(site).lines().any(|l| l.contains("authentication") && l.contains("result=permfail")) {
        assert!(began.elapsed() < patience, "no login was refused; the server says:\n{}", log(site));
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn log(site: &Site) -> String {
    let read = "journalctl -q --no-pager -o cat -t smtpd | tail -n 60";
    site.fleet.sh(site.fleet.host("outside"), read)
}

/// Starts Prometheus as a service on the platform's network, with the configuration of docs/supervision.md.
pub fn prometheus_inside(site: &Site) {
    const INSTALL: &str =
        "DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends prometheus >/dev/null 2>&1";
    site.fleet.sh(site.fleet.host("outside"), INSTALL);
    let (from, to) = (site.fleet.host("outside").container(), site.fleet.host("infra1").container());
    let mut copy = std::process::Command::new("bash");
    copy.args([
        "-o",
        "pipefail",
        "-c",
        r#"docker exec "$0" sh -c 'mkdir -p /srv/image/tmp && cp -L --parents /usr/bin/prometheus $(ldd /usr/bin/prometheus | grep -o "/[^ ]*") /srv/image && chmod 1777 /srv/image/tmp && tar -C /srv/image -c .' | docker exec -i "$1" docker import -c 'ENTRYPOINT ["/usr/bin/prometheus"]' - prometheus:site"#,
        &from,
        &to,
    ]);
    let ended = command::run(copy, "", Duration::from_secs(180));
    assert!(ended.success(), "an image of Prometheus: {}", ended.err);
    const CREATE: &str = r#"docker config create prometheus.yml - >/dev/null && docker service create --detach --quiet \
  --name prometheus --endpoint-mode dnsrr --network reemo --publish mode=host,target=9090,published=9090 \
  --config source=prometheus.yml,target=/etc/prometheus.yml --no-resolve-image \
  prometheus:site --config.file=/etc/prometheus.yml --storage.tsdb.path=/tmp/data"#;
    const SCRAPE: &str = "global: {scrape_interval: 2s}
scrape_configs:
  - job_name: traefik
    dns_sd_configs:
      - {names: [traefik], type: A, port: 8083, refresh_interval: 5s}
";
    let ended = site.fleet.try_sh(site.fleet.host("infra1"), CREATE, SCRAPE);
    assert!(ended.success(), "the service prometheus: {}{}", ended.out, ended.err);
}
