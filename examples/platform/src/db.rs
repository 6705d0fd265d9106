//! `reemo db`: the schema job. Runs once and ends. Two runs at the same moment cannot both work: each takes the same
//! named lock in the database first.

use std::time::{Duration, Instant};

use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use serde_json::Value;

use crate::schema::{self, Task};
use crate::settings::{Settings, text, truthy};
use crate::{Failure, log, mysql, server};

/// How long a database that is just starting is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// Configuration the first run may bring, and what it is without.
const CONFIGURATION: [(&str, &str); 4] = [
    ("INIT_MINIMUM_PASSWORD_LENGTH", "8"),
    ("INIT_PASSWORD_REQUIRE_LETTERS", "false"),
    ("INIT_PASSWORD_REQUIRE_DIGITS", "false"),
    ("INIT_PASSWORD_REQUIRE_SPECIALCHAR", "false"),
];

/// Creates or migrates the schema.
pub async fn run(settings: Settings) -> Result<(), Failure> {
    tokio::select! {
        done = work(&settings) => done,
        () = server::terminated() => Err(Failure::new(143, "stopped before the work was done")),
    }
}

async fn work(settings: &Settings) -> Result<(), Failure> {
    let mut conn = connect(settings).await?;
    let locked: Option<Option<u8>> = conn.query_first("SELECT GET_LOCK('reemo_db', 60)").await?;
    if locked.flatten() != Some(1) {
        return Err(Failure::new(5, "another run of this job holds the database's lock"));
    }
    let init = truthy("INIT_DB");
    let found = release(&mut conn).await?;
    let reached = match schema::task(found.as_deref(), init, &settings.version) {
        Task::Refuse(code, why) => return Err(Failure::new(code, why)),
        Task::Initialise => {
            log::line("the database is initialised");
            steps(&mut conn, None, &settings.version).await?;
            configure(&mut conn).await?;
            conn.query_drop(schema::HISTORY).await?;
            record(&mut conn, &settings.version).await?;
            settings.version.clone()
        }
        Task::Migrate(from) => {
            steps(&mut conn, Some(&from), &settings.version).await?;
            if from != settings.version {
                log::line(&format!("the schema goes from {from} to {}", settings.version));
                record(&mut conn, &settings.version).await?;
            }
            settings.version.clone()
        }
        Task::Newer(newer) => {
            log::line(&format!("the schema is of the newer release {newer} and stays as it is"));
            newer
        }
    };
    let insert = "INSERT INTO db_runs (version, init, host) VALUES (?, ?, ?)";
    conn.exec_drop(insert, (&settings.version, init, &settings.host)).await?;
    conn.query_drop("DO RELEASE_LOCK('reemo_db')").await?;
    conn.disconnect().await?;
    log::line(&format!("database ready (schema {reached})"));
    Ok(())
}

/// A connection; a database that refuses the login is not asked twice.
async fn connect(settings: &Settings) -> Result<Conn, Failure> {
    let options = mysql::options(settings)?;
    let started = Instant::now();
    let mut said = String::new();
    loop {
        match tokio::time::timeout(Duration::from_secs(10), Conn::new(options.clone())).await {
            Ok(Ok(conn)) => return Ok(conn),
            Ok(Err(mysql_async::Error::Server(e))) => {
                return Err(Failure::new(2, format!("the database refuses: {}", mysql::why(e.into()))));
            }
            outcome => {
                let why = match outcome {
                    Ok(Err(e)) => mysql::why(e),
                    _ => "no answer".into(),
                };
                if started.elapsed() > PATIENCE {
                    return Err(Failure::new(2, format!("the database cannot be reached: {why}")));
                }
                if why != said {
                    log::line(&format!("waiting for the database: {why}"));
                    said = why;
                }
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The schema's release, if there is a finished one.
async fn release(conn: &mut Conn) -> Result<Option<String>, Failure> {
    let table =
        "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'schema_version'";
    let there: Option<u8> = conn.query_first(table).await?;
    if there.is_none() {
        return Ok(None);
    }
    Ok(conn.query_first("SELECT version FROM schema_version ORDER BY id DESC LIMIT 1").await?)
}

async fn steps(conn: &mut Conn, from: Option<&str>, to: &str) -> Result<(), Failure> {
    for step in schema::steps(from, to) {
        for statement in step.statements {
            conn.query_drop(*statement).await?;
        }
    }
    Ok(())
}

async fn record(conn: &mut Conn, version: &str) -> Result<(), Failure> {
    Ok(conn.exec_drop("INSERT INTO schema_version (version) VALUES (?)", (version,)).await?)
}

/// The administrators' configuration and the platforms known from the start.
async fn configure(conn: &mut Conn) -> Result<(), Failure> {
    for (name, default) in CONFIGURATION {
        let value = text(name).unwrap_or_else(|| default.to_owned());
        let key = name.trim_start_matches("INIT_").to_lowercase();
        conn.exec_drop("REPLACE INTO configuration (name, value) VALUES (?, ?)", (key, value)).await?;
    }
    conn.exec_drop("REPLACE INTO configuration (name, value) VALUES ('administrator', 'admin')", ()).await?;
    for (variable, kind) in [("INIT_PROVISION", "provision"), ("INIT_RELAYWS", "relayws")] {
        for (name, settings) in platforms(kind, text(variable).as_deref())? {
            let insert = "REPLACE INTO platforms (kind, name, settings) VALUES (?, ?, ?)";
            conn.exec_drop(insert, (kind, name, settings)).await?;
        }
    }
    Ok(())
}

/// Names and settings of the platforms of a variable: several farms by name, or the one relay environment.
fn platforms(kind: &str, value: Option<&str>) -> Result<Vec<(String, String)>, Failure> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let value: Value = serde_json::from_str(value)?;
    let name = |key: &str, it: &Value| it["name"].as_str().unwrap_or(key).to_owned();
    Ok(match value.as_object() {
        Some(farms) if kind == "provision" => farms.iter().map(|(k, v)| (name(k, v), v.to_string())).collect(),
        _ => vec![(name(kind, &value), value.to_string())],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn platforms_by_name() {
        let farms = r#"{"provision": {"name": "Reemo SWARM"}, "provision2": {}}"#;
        let names: Vec<_> = platforms("provision", Some(farms)).unwrap().into_iter().map(|(n, _)| n).collect();
        assert_eq!(names, ["Reemo SWARM", "provision2"]);
        assert_eq!(platforms("relayws", Some(r#"{"name": "WS"}"#)).unwrap()[0].0, "WS");
        assert!(platforms("provision", None).unwrap().is_empty());
        assert!(platforms("provision", Some("{")).is_err());
    }
}
