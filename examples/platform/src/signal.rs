//! `reemo signal`: one of the signalling services the agents speak to through Traefik, and users through the portal.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::json;

use crate::server::{self, Reply, Service};
use crate::settings::Settings;
use crate::{Failure, client, tls};

struct Signal {
    settings: Settings,
}

/// Serves until it is stopped.
pub async fn run(settings: Settings) -> Result<(), Failure> {
    let identity = Arc::new(tls::Identity::load(&settings.secrets)?);
    server::serve(settings.clone(), identity, Signal { settings }).await
}

impl Service for Signal {
    /// Whatever an agent asks, it learns who answered.
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        // Read to its end, though nothing is made of it: a server that answers before the body has arrived has to close
        // the connection, and the next request on it may be on its way already.
        if let Err(why) = client::body(request.into_body()).await {
            return server::json(StatusCode::BAD_REQUEST, &json!({"status": "KO", "error": why}));
        }
        let Settings { service, version, host, .. } = &self.settings;
        server::json(StatusCode::OK, &json!({"status": "OK", "version": version, "service": service, "host": host}))
    }
}
