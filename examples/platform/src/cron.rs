//! `reemo apicron…`: scheduled work, which must be unique on the whole platform. Each leaves a heartbeat in the database
//! under its name and container; two containers with fresh heartbeats under one name are two too many.

use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use mysql_async::Pool;
use mysql_async::prelude::Queryable;
use serde_json::json;

use crate::server::{self, Reply, Service};
use crate::settings::{Settings, text};
use crate::{Failure, log, mysql, tls, tree};

const BEAT: Duration = Duration::from_secs(3);

/// A heartbeat is fresh for so many seconds.
pub const FRESH: u32 = 10;

struct Cron {
    settings: Settings,
    pool: Pool,
}

/// Works until it is stopped.
pub async fn run(settings: Settings) -> Result<(), Failure> {
    let pool = mysql::pool(&settings)?;
    let identity = Arc::new(tls::Identity::load(&settings.secrets)?);
    if let Some(minutes) = text("API_cronGhostContainersMinutes") {
        log::line(&format!("containers nobody knows are removed after {minutes} minutes"));
    }
    let beating = tokio::spawn(beats(settings.clone(), pool.clone()));
    let served =
        server::serve(settings.clone(), identity, Cron { settings: settings.clone(), pool: pool.clone() }).await;
    beating.abort();
    // Gone, not merely silent: a successor on another node must not look like a second one.
    let gone = forget(&pool, &settings);
    let _ = tokio::time::timeout(Duration::from_secs(2), gone).await;
    served
}

async fn beats(settings: Settings, pool: Pool) {
    let mut last = String::new();
    loop {
        let state = match beat(&pool, &settings).await {
            Ok(0) => "alone, as it must be".to_owned(),
            Ok(others) => format!("warning: {others} more of {} at work", settings.service),
            Err(e) => format!("warning: no heartbeat: {}", mysql::why(e)),
        };
        if state != last {
            log::line(&state);
            last = state;
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// Leaves a heartbeat and counts the others.
async fn beat(pool: &Pool, settings: &Settings) -> Result<u64, mysql_async::Error> {
    let mut conn = pool.get_conn().await?;
    let insert = "INSERT INTO heartbeats (name, host) VALUES (?, ?) ON DUPLICATE KEY UPDATE beats = beats + 1";
    conn.exec_drop(insert, (&settings.service, &settings.host)).await?;
    let count = "SELECT COUNT(*) FROM heartbeats WHERE name = ? AND host <> ? AND at > NOW(3) - INTERVAL ? SECOND";
    let others: Option<u64> = conn.exec_first(count, (&settings.service, &settings.host, FRESH)).await?;
    Ok(others.unwrap_or_default())
}

async fn forget(pool: &Pool, settings: &Settings) -> Result<(), mysql_async::Error> {
    let mut conn = pool.get_conn().await?;
    conn.exec_drop("DELETE FROM heartbeats WHERE name = ? AND host = ?", (&settings.service, &settings.host)).await
}

impl Service for Cron {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        if request.uri().path() != "/healthcheck" {
            return server::not_found();
        }
        match beat(&self.pool, &self.settings).await {
            Ok(0) => server::json(StatusCode::OK, &tree::ok(Some(&self.settings.version))),
            Ok(others) => server::json(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "KO", "others": others})),
            Err(e) => server::json(StatusCode::SERVICE_UNAVAILABLE, &tree::ko(&mysql::why(e))),
        }
    }
}
