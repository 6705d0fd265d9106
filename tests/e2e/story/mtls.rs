//! Between services there is no connection without a certificate of the platform.

use super::Stage;
use crate::swarm::{home_of, pid_of};

/// Everything that listens for other services.
const LISTENERS: [&str; 8] = [
    "reemo_api",
    "reemo_portal",
    "reemo_portaladmin",
    "reemo_proapi",
    "reemo_prorelayapi",
    "reemo_signal1",
    "reemo_signal2",
    "reemo_maintenance",
];

/// Asks `$1` for a page from where Traefik's container is in the network, verifying its name; with Traefik's certificate
/// when `$2` is `with`.
const ASK: &str = r#"certs=/proc/$pid/root/etc/reemo/traefik/certs
ip=$(docker inspect -f '{{(index .NetworkSettings.Networks "reemo").IPAddress}}' \
  "$(docker ps -q --filter "label=com.docker.swarm.service.name=$1" | head -n 1)")
[ "$2" != with ] || set -- "$1" "$2" -cert "$certs/inside.pem" -key "$certs/inside.pem"
name=$1; shift 2
printf 'GET /live HTTP/1.0\r\nHost: %s\r\n\r\n' "$name" | timeout 10 nsenter -t "$pid" -n openssl s_client -quiet \
  -connect "$ip:8443" -servername "$name" -CAfile "$certs/inside-ca.crt" -verify_return_error -verify_hostname "$name" "$@" 2>&1
exit 0"#;

/// Step 6.
pub fn nobody_without_certificate(stage: &Stage) {
    let fleet = &stage.fleet;
    for service in LISTENERS {
        let host = home_of(fleet, service);
        let ask = |how: &str| fleet.sh(host, &format!("{}set -- {service} {how}\n{ASK}", pid_of("traefik")));
        let (with, without) = (ask("with"), ask("without"));
        assert!(with.contains("HTTP/1."), "{service} answers who shows a certificate:\n{with}");
        assert!(!without.contains("HTTP/1."), "{service} answers who shows none:\n{without}");
        assert!(without.contains("certificate required"), "{service} says why:\n{without}");
    }
    database(stage);
}

/// The database wants a certificate beside the password.
fn database(stage: &Stage) {
    let host = home_of(&stage.fleet, "reemo_mysql");
    let ask = |options: &str| {
        let script = format!(
            "docker exec $(docker ps -q --filter label=com.docker.swarm.service.name=reemo_mysql) sh -c \
             'MYSQL_PWD=$(cat /run/secrets/db_user_password) mysql -h 127.0.0.1 -u $DB_USER --ssl {options} -N -e \"SELECT 4242\"' 2>&1"
        );
        stage.fleet.try_sh(host, &script, "").out
    };
    let with = ask("--ssl-cert=/run/reemo/tls/tls.pem --ssl-key=/run/reemo/tls/tls.pem");
    assert!(with.contains("4242"), "{with}");
    let without = ask("");
    assert!(without.contains("Access denied"), "the password alone is not enough: {without}");
}
