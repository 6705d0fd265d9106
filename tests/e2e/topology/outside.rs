//! What a site has beside the platform: a mail server (Postfix, Dovecot) that takes nothing without TLS and a login, and a
//! Prometheus that joins the platform's network as a service of its own. Both from Debian's packages.

use std::time::{Duration, Instant};

use super::Site;
use crate::command;

/// Sets up the mail server on the host `outside`, with one account, and curl for a client's part.
pub fn mail_server(site: &Site, account: (&str, &str)) {
    const INSTALL: &str = r#"set -e
apt-get update -qq >/dev/null
DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends postfix dovecot-core openssl curl >/dev/null 2>&1
useradd -m keeper
openssl req -x509 -newkey rsa:2048 -nodes -days 60 -subj /CN=mail.reemo.test -keyout /etc/sink.key -out /etc/sink.crt 2>/dev/null
chmod 600 /etc/sink.key
IFS= read -r user
printf '%s:{SHA512-CRYPT}%s\n' "$user" "$(openssl passwd -6 -stdin)" >/etc/sink.accounts
cat >/etc/dovecot/dovecot.conf <<'END'
protocols =
ssl = no
auth_mechanisms = plain login
log_path = /var/log/dovecot.log
passdb {
  driver = passwd-file
  args = username_format=%u /etc/sink.accounts
}
service auth {
  unix_listener /var/spool/postfix/private/auth {
    mode = 0666
  }
}
END
# Whoever has logged in may send to everybody; all of it is kept in one folder.
postconf -e mydestination= virtual_mailbox_domains=static:all virtual_mailbox_base=/home/keeper \
  virtual_mailbox_maps=static:mail/ "virtual_uid_maps=static:$(id -u keeper)" "virtual_gid_maps=static:$(id -g keeper)" \
  maillog_file=/var/log/postfix.log smtpd_tls_cert_file=/etc/sink.crt smtpd_tls_key_file=/etc/sink.key \
  smtpd_tls_security_level=encrypt smtpd_tls_auth_only=yes smtpd_tls_received_header=yes \
  smtpd_sasl_auth_enable=yes smtpd_sasl_type=dovecot smtpd_sasl_path=private/auth \
  smtpd_relay_restrictions=permit_sasl_authenticated,reject smtpd_recipient_restrictions=permit_sasl_authenticated,reject
postconf -M 587/inet='587 inet n - n - - smtpd'
systemctl restart dovecot postfix"#;
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
    assert!(!nobody.success() && nobody.out.contains("< 554"), "without a login: {}", nobody.out);
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
    while !log(site).lines().any(|l| l.contains("authentication failed")) {
        assert!(began.elapsed() < patience, "no login was refused; the server says:\n{}", log(site));
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn log(site: &Site) -> String {
    let read = "tail -n 60 /var/log/postfix.log";
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
