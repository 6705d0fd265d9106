//! The external database, asked from every api node before anything is changed: is it reached, does it let us in, does it
//! speak TLS, is it new enough, does it hold data? Only while that is a question: until the platform's own record says
//! that it was initialised, and again when the login is to be another one.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{ClientIdentity, Conn, Error, OptsBuilder, SslOpts};
use reemo_model::change::Verdict;
use reemo_model::secret::Secret;
use reemo_resource::swarm::INITIALISED;
use reemo_resource::swarm::observed::{SwarmObservation, at, text};
use reemo_transport::stream::AnyStream;
use reemo_transport::{Host, Kind};
use serde_json::Value;
use tokio::net::TcpListener;

use super::site::ClusterSite;

/// How to log in to it.
#[derive(Clone)]
pub struct External {
    /// Name or address, as the api nodes know it.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub name: String,
    /// User.
    pub user: String,
    /// Password.
    pub password: Secret,
    /// How connections are protected.
    pub tls: Tls,
}

/// `DB_TLS`.
#[derive(Clone)]
pub enum Tls {
    /// In clear.
    None,
    /// Encrypted; whose certificate it is, is not asked.
    Encrypted,
    /// Both sides show certificates of the internal PKI.
    Mutual(Option<Identity>),
}

/// What is shown to a database that asks for a certificate. There is none before the first `apply` has made the PKI.
#[derive(Clone)]
pub struct Identity {
    /// Certificate, PEM.
    pub cert: Vec<u8>,
    /// Its key, PEM.
    pub key: Secret,
    /// The authority, PEM.
    pub ca: Vec<u8>,
}

/// What one node found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It lets us in.
    In {
        /// Tables there are in our database.
        tables: u64,
        /// `8.0.40`, `10.11.6-MariaDB`.
        version: String,
    },
    /// It does not, or cannot be used.
    No {
        /// Why.
        why: String,
        /// What to do.
        hint: String,
    },
    /// It cannot be asked from here, and why. The schema job then finds out.
    NotKnown(String),
}

/// Limit of the connection, and of the questions.
const PATIENCE: Duration = Duration::from_secs(15);
/// The vendor's own server is a MySQL 8.0. MariaDB counts from 10 on.
const LEAST: (u64, u64) = (8, 0);
/// What may be wrong where both sides show certificates.
const TRUST: &str = "DB_TLS is mtls: the server must have a certificate of the internal authority and trust it (ca.crt in \
                     the folder of --pki-dir), else say DB_TLS: tls; or correct DB_USER and DB_USER_PASSWORD";
/// The secret they log in with.
const PASSWORD: &str = "db_user_password";

/// Is there anything to ask? `owner` is the Swarm of the cluster that runs the schema job, `own` that of this one.
pub fn is_a_question(cluster: &ClusterSite, owner: Option<&SwarmObservation>, own: Option<&SwarmObservation>) -> bool {
    if owner.is_none_or(|there| there.config(INITIALISED).is_none()) {
        return true;
    }
    let mut services = cluster.wanted.services.iter().filter(|s| s.uses_database());
    services.any(|wanted| {
        let deployed = own.into_iter().flat_map(|there| &there.services);
        let Some(deployed) = deployed.into_iter().find(|s| text(s, &["Spec", "Name"]) == wanted.name) else {
            return true;
        };
        let container = |key: &str| {
            let found = at(deployed, &["Spec", "TaskTemplate", "ContainerSpec", key]);
            found.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
        };
        let same = |(name, value): &(String, String)| {
            let line = format!("{name}={value}");
            !name.starts_with("DB_") || value.is_empty() || container("Env").iter().any(|e| e.as_str() == Some(&line))
        };
        let password = cluster.materials.iter().find(|m| m.service == wanted.name && m.target == PASSWORD);
        let shown = |name: &str| container("Secrets").iter().any(|s| text(s, &["SecretName"]) == name);
        !password.is_none_or(|m| shown(&m.name)) || !wanted.env.iter().all(same)
    })
}

/// Asks it from one host.
pub async fn ask(from: &Arc<dyn Host>, db: &External) -> Found {
    let place = format!("{}: the database {}:{}", from.name(), db.host, db.port);
    let stream = match tokio::time::timeout(PATIENCE, from.tcp(&db.host, db.port)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) if e.kind == Kind::Forwarding => {
            return Found::NotKnown(format!(
                "{place} was not asked: sshd there forbids forwarding (AllowTcpForwarding). Whether it can be used, the \
                 schema job will find out"
            ));
        }
        Ok(Err(_)) => {
            let hint =
                "see that it listens there and that no firewall stands between; else correct DB_HOST and DB_PORT";
            return no(format!("{place} is not reached from there"), hint);
        }
        Err(_) => {
            let hint = "see that it listens there and that no firewall stands between";
            return no(format!("{place} does not answer within {} s", PATIENCE.as_secs()), hint);
        }
    };
    if let Tls::Mutual(None) = db.tls {
        return Found::NotKnown(format!(
            "{place} is reached; whether it lets us in is asked by the first apply, which makes the certificate it asks for"
        ));
    }
    match tokio::time::timeout(PATIENCE, through(stream, db)).await {
        Ok(Ok((version, tables))) if new_enough(&version) => Found::In { tables, version },
        Ok(Ok((version, _))) => no(
            format!("{place} is version {version}"),
            &format!("MySQL {}.{} or MariaDB 10 at least is needed", LEAST.0, LEAST.1),
        ),
        Ok(Err(e)) => refused(&place, db, e),
        Err(_) => no(format!("{place} does not answer within {} s", PATIENCE.as_secs()), "see its own log"),
    }
}

/// How many tables it holds, by what the nodes found; a refusal if they cannot have meant the same server.
pub fn tables<'a>(found: impl Iterator<Item = (&'a String, &'a Found)>) -> Result<Option<u64>, Verdict> {
    let seen = found.filter_map(|(host, found)| match found {
        Found::In { tables, .. } => Some((host, *tables)),
        _ => None,
    });
    let seen: Vec<_> = seen.collect();
    let of = |filled: bool| seen.iter().find(|(_, tables)| (*tables > 0) == filled).map(|(host, _)| host);
    match (of(true), of(false)) {
        (Some(filled), Some(empty)) => Err(Verdict::Refused {
            why: format!("the external database holds tables as {filled} sees it, and none as {empty} does"),
            hint: "DB_HOST must lead to the same server from every node".into(),
        }),
        _ => Ok(seen.first().map(|(_, tables)| *tables)),
    }
}

fn no(why: impl Into<String>, hint: &str) -> Found {
    Found::No { why: why.into(), hint: hint.into() }
}

/// Version and number of tables. The client wants an address: a port of this machine that takes one connection and leads
/// through SSH.
async fn through(mut stream: AnyStream, db: &External) -> Result<(String, u64), Error> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let carry = async move {
        let (mut client, _) = listener.accept().await?;
        drop(listener);
        let _ = tokio::io::copy_bidirectional(&mut client, &mut stream).await;
        Ok::<(), std::io::Error>(())
    };
    let options = OptsBuilder::default()
        .ip_or_hostname(Ipv4Addr::LOCALHOST.to_string())
        .tcp_port(port)
        .user(Some(db.user.clone()))
        .pass(db.password.expose_str().map(str::to_owned))
        .db_name(Some(db.name.clone()))
        .prefer_socket(false)
        // Said here, they are not asked for.
        .max_allowed_packet(Some(1 << 20))
        .wait_timeout(Some(60))
        .ssl_opts(ssl(db));
    let answer = async {
        let mut conn = Conn::new(options).await?;
        let ask = "SELECT VERSION(), (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE())";
        let row: Option<(String, u64)> = conn.query_first(ask).await?;
        // What it says to a goodbye changes nothing.
        let _ = conn.disconnect().await;
        Ok(row.unwrap_or_default())
    };
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        carried = carry => match carried {
            // The server has closed: the client finds out by itself.
            Ok(()) => answer.await,
            Err(e) => Err(e.into()),
        },
    }
}

fn ssl(db: &External) -> Option<SslOpts> {
    match &db.tls {
        Tls::None | Tls::Mutual(None) => None,
        Tls::Encrypted => Some(SslOpts::default().with_danger_accept_invalid_certs(true)),
        Tls::Mutual(Some(own)) => Some(
            SslOpts::default()
                .with_disable_built_in_roots(true)
                .with_root_certs(vec![own.ca.clone().into()])
                .with_danger_tls_hostname_override(Some(db.host.clone()))
                .with_client_identity(Some(ClientIdentity::new(
                    own.cert.clone().into(),
                    own.key.expose().to_vec().into(),
                ))),
        ),
    }
}

/// What it said, in words that say what to do. The password is in none of them.
fn refused(place: &str, db: &External, error: Error) -> Found {
    match error {
        Error::Server(e) if e.code == 1045 => no(
            format!("{place} refuses the login of `{}` ({})", db.user, e.message),
            match db.tls {
                Tls::Mutual(_) => TRUST,
                _ => "correct DB_USER and DB_USER_PASSWORD; a user that must show a certificate needs DB_TLS: mtls",
            },
        ),
        Error::Server(e) if e.code == 1049 || e.code == 1044 => no(
            format!("{place} has no database `{}` for `{}` ({})", db.name, db.user, e.message),
            "create it, and grant that user all rights on it; or correct DB_NAME",
        ),
        Error::Server(e) => no(format!("{place}: {} (ERROR {})", e.message, e.code), "see its own log"),
        Error::Driver(mysql_async::DriverError::NoClientSslFlagFromServer) => no(
            format!("{place} does not speak TLS"),
            "switch it on there, or say DB_TLS: none if the way to it is safe by other means",
        ),
        other if matches!(db.tls, Tls::Mutual(_)) => no(format!("{place}: {other}"), TRUST),
        other => no(
            format!("{place}: {other}"),
            "see that this is a MySQL or MariaDB server, and DB_TLS what it speaks: mtls, tls or none",
        ),
    }
}

fn new_enough(version: &str) -> bool {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(|n| n.parse::<u64>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= LEAST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for enough in ["8.0.40-0ubuntu0.24.04.1", "10.11.6-MariaDB-0+deb12u1", "9.7.0"] {
            assert!(new_enough(enough), "{enough}");
        }
        for old in ["5.7.44", "5.6.51", "?", ""] {
            assert!(!new_enough(old), "{old}");
        }
    }

    #[test]
    fn nodes_that_see_different_servers() {
        let found = |tables: &[Option<u64>]| -> Vec<(String, Found)> {
            let one = |tables: &Option<u64>| match tables {
                Some(tables) => Found::In { tables: *tables, version: "8.0.40".into() },
                None => Found::NotKnown("forwarding".into()),
            };
            tables.iter().enumerate().map(|(n, t)| (format!("host{n}"), one(t))).collect()
        };
        let asked = |all: &[Option<u64>]| tables(found(all).iter().map(|(host, found)| (host, found)));
        assert_eq!(asked(&[None, Some(7), Some(9)]), Ok(Some(7)), "others may write meanwhile");
        assert_eq!((asked(&[Some(0), None, Some(0)]), asked(&[None])), (Ok(Some(0)), Ok(None)));
        let Err(Verdict::Refused { why, .. }) = asked(&[Some(0), None, Some(7)]) else { panic!("not the same server") };
        assert_eq!(why, "the external database holds tables as host2 sees it, and none as host0 does");
    }
}
