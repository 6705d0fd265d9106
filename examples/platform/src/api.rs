//! `reemo api`: the core. Reads and writes the database, calls the drivers, and answers the portals only.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Method, Request, StatusCode};
use mysql_async::Pool;
use mysql_async::prelude::Queryable;
use serde_json::{Map, Value, json};

use crate::client::{self, Call, Client, Peer};
use crate::server::{self, Reply, Service};
use crate::settings::{Settings, text};
use crate::{Failure, cron, mysql, signature, tls, tree};

struct Api {
    settings: Settings,
    pool: Pool,
    client: Client,
    hmac: String,
    drivers: Vec<Driver>,
}

/// A service that drives platforms, and where it stands in the health tree.
struct Driver {
    name: &'static str,
    list: &'static str,
    peer: Peer,
}

/// Serves until it is stopped.
pub async fn run(settings: Settings) -> Result<(), Failure> {
    let hmac = settings.secret("hmac_secret")?;
    check_license(&settings.secret("api_license")?)?;
    let identity = Arc::new(tls::Identity::load(&settings.secrets)?);
    let mut drivers = Vec::new();
    for (variable, name, list) in [
        ("PROAPI_URL", "provision-api", "container-providers"),
        ("PRORELAYAPI_URL", "provision-relay-api", "ws-relays"),
        ("PROCLOUDAPI_URL", "provision-cloud-api", "cloud-providers"),
    ] {
        if let Some(url) = text(variable) {
            drivers.push(Driver { name, list, peer: Peer::parse(&url, None)? });
        }
    }
    let pool = mysql::pool(&settings)?;
    let client = Client::new(&identity)?;
    server::serve(settings.clone(), identity, Api { settings, pool, client, hmac, drivers }).await
}

/// A licence is base64; more is not to be known here.
fn check_license(license: &str) -> Result<(), Failure> {
    let body = license.trim_end_matches('=');
    let ok = !body.is_empty() && body.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/\r\n ".contains(&b));
    if ok { Ok(()) } else { Err(Failure::new(3, "the licence (API_LICENSE) is not base64")) }
}

impl Service for Api {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let signed = request.headers().get(signature::HEADER).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if !signature::verify(&self.hmac, signed, signature::now(), request.method().as_str(), &path) {
            return server::json(StatusCode::UNAUTHORIZED, &tree::ko("not signed with this installation's HMACSECRET"));
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/api/healthcheck") => {
                let tree = self.tree().await;
                let good = tree::is_ok(&tree) && !self.settings.broken;
                server::json(if good { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, &tree)
            }
            (&Method::GET, "/api/version") => {
                server::json(StatusCode::OK, &json!({"version": self.settings.version, "host": self.settings.host}))
            }
            (&Method::GET, "/api/notes") => answer(StatusCode::OK, self.count_notes().await),
            (&Method::POST, "/api/notes") => match client::body(request.into_body()).await {
                Ok(text) => answer(StatusCode::CREATED, self.add_note(&text).await),
                Err(why) => server::json(StatusCode::BAD_REQUEST, &tree::ko(&why)),
            },
            (&Method::GET, "/api/configuration") => answer(StatusCode::OK, self.configuration().await),
            (&Method::GET, "/api/crons") => answer(StatusCode::OK, self.crons().await),
            (&Method::GET, "/api/db-runs") => answer(StatusCode::OK, self.db_runs().await),
            _ => server::not_found(),
        }
    }
}

/// What the database gave, or that it did not.
fn answer(status: StatusCode, outcome: Result<Value, mysql_async::Error>) -> Reply {
    match outcome {
        Ok(value) => server::json(status, &value),
        Err(e) => server::json(StatusCode::INTERNAL_SERVER_ERROR, &tree::ko(&mysql::why(e))),
    }
}

impl Api {
    /// Every link of the api, tried.
    async fn tree(&self) -> Value {
        let mut services = Map::new();
        services.insert("db".into(), tree::leaf(self.check_database().await));
        let mut lists = Map::new();
        for driver in &self.drivers {
            let (node, platforms) = self.check_driver(driver).await;
            services.insert(driver.name.into(), node);
            if driver.list != "cloud-providers" || platforms.as_array().is_some_and(|p| !p.is_empty()) {
                lists.insert(driver.list.into(), platforms);
            }
        }
        services.extend(lists);
        tree::node(&self.settings.version, services)
    }

    /// Writes a number and reads it again.
    async fn check_database(&self) -> Result<(), String> {
        let trial = async {
            let mut conn = self.pool.get_conn().await?;
            let number = signature::now();
            conn.exec_drop("REPLACE INTO probes (host, number) VALUES (?, ?)", (&self.settings.host, number)).await?;
            let read: Option<u64> =
                conn.exec_first("SELECT number FROM probes WHERE host = ?", (&self.settings.host,)).await?;
            Ok::<_, mysql_async::Error>(read.is_some_and(|read| read >= number))
        };
        match tokio::time::timeout(Duration::from_secs(5), trial).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err("what was written could not be read".into()),
            Ok(Err(e)) => Err(mysql::why(e)),
            Err(_) => Err("no answer within 5 s".into()),
        }
    }

    /// A driver's own node, and the platforms behind it.
    async fn check_driver(&self, driver: &Driver) -> (Value, Value) {
        match self.client.json(&driver.peer, &Call::get("/healthcheck")).await {
            Ok((_, mut said)) => {
                let platforms = said.as_object_mut().and_then(|said| said.shift_remove(driver.list));
                (said, platforms.unwrap_or_else(|| json!([])))
            }
            Err(why) => (tree::ko(&why), json!([])),
        }
    }

    async fn count_notes(&self) -> Result<Value, mysql_async::Error> {
        let mut conn = self.pool.get_conn().await?;
        let count: Option<u64> = conn.query_first("SELECT COUNT(*) FROM notes").await?;
        Ok(json!({"count": count.unwrap_or_default(), "host": self.settings.host}))
    }

    async fn add_note(&self, text: &[u8]) -> Result<Value, mysql_async::Error> {
        let mut conn = self.pool.get_conn().await?;
        conn.exec_drop("INSERT INTO notes (text) VALUES (?)", (String::from_utf8_lossy(text).into_owned(),)).await?;
        Ok(json!({"id": conn.last_insert_id(), "host": self.settings.host}))
    }

    async fn configuration(&self) -> Result<Value, mysql_async::Error> {
        let mut conn = self.pool.get_conn().await?;
        let rows: Vec<(String, String)> = conn.query("SELECT name, value FROM configuration ORDER BY name").await?;
        Ok(Value::Object(rows.into_iter().map(|(name, value)| (name, json!(value))).collect()))
    }

    /// Which scheduled work is running where; unique if each has one container.
    async fn crons(&self) -> Result<Value, mysql_async::Error> {
        let mut conn = self.pool.get_conn().await?;
        let fresh = "SELECT name, host FROM heartbeats WHERE at > NOW(3) - INTERVAL ? SECOND ORDER BY name, host";
        let rows: Vec<(String, String)> = conn.exec(fresh, (cron::FRESH,)).await?;
        let mut crons = Map::new();
        for (name, host) in rows {
            if let Value::Array(hosts) = crons.entry(name).or_insert_with(|| json!([])) {
                hosts.push(json!(host));
            }
        }
        Ok(Value::Object(crons))
    }

    async fn db_runs(&self) -> Result<Value, mysql_async::Error> {
        let mut conn = self.pool.get_conn().await?;
        let rows: Vec<(String, String, bool)> =
            conn.query("SELECT DATE_FORMAT(at, '%Y-%m-%dT%H:%i:%sZ'), version, init FROM db_runs ORDER BY id").await?;
        Ok(rows.into_iter().map(|(at, version, init)| json!({"at": at, "version": version, "init": init})).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_licence_is_base64() {
        assert!(check_license("ewogICAg\nUw5NXhGVDF0NFU2TkxOdjQ=").is_ok());
        assert!(check_license("not a licence!").is_err() && check_license("==").is_err());
    }
}
