//! Stand-ins for the vendor's proprietary services, one program for all of them. They do no session work; what they do
//! for real is what a deployment can get wrong: speak mutual TLS with the certificates they were given and verify each
//! other by service name, use the database, answer health checks, and stop without losing a request.
//!
//! For the demo and the tests only; nothing of this is in the shipped tool.

mod api;
mod client;
mod cron;
mod db;
mod driver;
mod health;
mod log;
mod mysql;
mod page;
mod portal;
mod schema;
mod server;
mod settings;
mod signal;
mod signature;
mod stun;
mod tls;
mod tree;

use std::process::ExitCode;

/// Ends a service that cannot start or go on: a line for the log and an exit code.
#[derive(Debug)]
pub struct Failure {
    /// Exit code of the process.
    pub code: u8,
    /// What people read in the log.
    pub why: String,
}

impl Failure {
    /// A failure with an exit code of its own.
    pub fn new(code: u8, why: impl Into<String>) -> Failure {
        Failure { code, why: why.into() }
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Failure {
        Failure::new(1, error.to_string())
    }
}

const USAGE: &str = "usage: reemo api | portal | signal | proapi | prorelayapi | procloudapi | apicron | apicronldap | \
                     apicronlog | apicroncloud | db | stun | healthcheck";

fn main() -> ExitCode {
    // Only one provider is built in, but the workspace as a whole may have more: say which.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::line(&format!("error: {}", failure.why));
            ExitCode::from(failure.code)
        }
    }
}

fn run() -> Result<(), Failure> {
    let word = std::env::args().nth(1).unwrap_or_default();
    if word == "healthcheck" {
        // Run every second in every container: no runtime, no name resolution.
        return health::check();
    }
    let settings = settings::Settings::from_env(&word);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match word.as_str() {
            "api" => api::run(settings).await,
            "portal" => portal::run(settings).await,
            "signal" => signal::run(settings).await,
            "proapi" => driver::run(settings, &driver::PROVISION).await,
            "prorelayapi" => driver::run(settings, &driver::RELAY).await,
            "procloudapi" => driver::run(settings, &driver::CLOUD).await,
            "apicron" | "apicronldap" | "apicronlog" | "apicroncloud" => cron::run(settings).await,
            "db" => db::run(settings).await,
            "stun" => stun::run(settings).await,
            _ => Err(Failure::new(64, USAGE)),
        }
    })
}
