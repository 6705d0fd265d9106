//! `reemo portal`: the web page, and the way to the api and the signal services for users.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode};
use serde_json::{Map, Value, json};

use crate::client::{self, Call, Client, Peer};
use crate::server::{self, Reply, Service};
use crate::settings::{Settings, text, truthy};
use crate::{Failure, page, signature, tls, tree};

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");

struct Portal {
    settings: Settings,
    client: Client,
    hmac: String,
    api: Peer,
    signals: Vec<Peer>,
    turn: AtomicUsize,
    kind: Option<String>,
    healthcheck: bool,
}

/// Serves until it is stopped.
pub async fn run(settings: Settings) -> Result<(), Failure> {
    let identity = Arc::new(tls::Identity::load(&settings.secrets)?);
    let url = text("API_URL").unwrap_or_else(|| "https://reemo_api:8443".into());
    let names = text("SIGNALS").unwrap_or_default();
    let signals = names.split(',').map(str::trim).filter(|name| !name.is_empty());
    let portal = Portal {
        client: Client::new(&identity)?,
        hmac: settings.secret("hmac_secret")?,
        api: Peer::parse(&url, text("API_SERVER_NAME").as_deref())?,
        signals: signals.map(|name| Peer::parse(&format!("https://{name}:8443"), None)).collect::<Result<_, _>>()?,
        turn: AtomicUsize::new(0),
        kind: text("PORTAL_TYPE"),
        healthcheck: truthy("HEALTHCHECK_ENABLE"),
        settings: settings.clone(),
    };
    server::serve(settings, identity, portal).await
}

/// Whether a portal of this type lets somebody of this level sign in. The vendor's table lost its ticks: our reading.
fn admits(kind: Option<&str>, level: &str) -> bool {
    let levels: &[&str] = match kind {
        None => &["instadmin", "orgadmin", "member"],
        Some("admin") => &["instadmin", "orgadmin"],
        Some("instadmin") => &["instadmin"],
        Some("orgadmin") => &["orgadmin"],
        Some("user" | "orguser") => &["orgadmin", "member"],
        Some(_) => &[],
    };
    levels.contains(&level)
}

impl Service for Portal {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let path = request.uri().path();
        if self.settings.broken {
            return server::json(StatusCode::INTERNAL_SERVER_ERROR, &tree::ko("broken on purpose"));
        }
        match (request.method(), path) {
            (&Method::GET | &Method::HEAD, "/") => {
                let html = page::html(&self.settings.version, self.kind.as_deref(), self.healthcheck);
                server::reply(StatusCode::OK, "text/html; charset=utf-8", html)
            }
            (&Method::GET, "/login") => self.login(request.uri().query().unwrap_or_default()),
            (_, "/api/healthcheck") if !self.healthcheck => server::not_found(),
            (&Method::GET, "/api/healthcheck") => {
                let tree = self.tree().await;
                let status = if tree::is_ok(&tree) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
                server::json(status, &tree)
            }
            (_, path) if path.starts_with("/api/") => self.pass(&[&self.api], request).await,
            (_, path) if path == "/signal" || path.starts_with("/signal/") => {
                self.pass(&self.signals_in_turn(), request).await
            }
            _ => server::not_found(),
        }
    }
}

impl Portal {
    fn login(&self, query: &str) -> Reply {
        let level = query.strip_prefix("level=").unwrap_or_default();
        if admits(self.kind.as_deref(), level) {
            server::json(StatusCode::OK, &json!({"admitted": true, "level": level}))
        } else {
            server::json(StatusCode::FORBIDDEN, &json!({"admitted": false, "level": level}))
        }
    }

    /// The whole platform as seen from here.
    async fn tree(&self) -> Value {
        let mut services = Map::new();
        services.insert("api".into(), self.check_api().await);
        services.insert("signal".into(), self.check_signals().await);
        tree::node(&self.settings.version, services)
    }

    async fn check_api(&self) -> Value {
        let call = self.signed(Call::get("/api/healthcheck"));
        self.client.json(&self.api, &call).await.map_or_else(|why| tree::ko(&why), |(_, said)| said)
    }

    /// One node for all of them, as in the document: OK if each answers.
    async fn check_signals(&self) -> Value {
        let mut version = None;
        for signal in &self.signals {
            match self.client.json(signal, &Call::get("/healthcheck")).await {
                Ok((_, said)) if tree::is_ok(&said) => {
                    version = version.or_else(|| said["version"].as_str().map(str::to_owned));
                }
                Ok(_) => return tree::ko("a signal service says it does not work"),
                Err(why) => return tree::ko(&why),
            }
        }
        tree::ok(version.as_deref())
    }

    fn signals_in_turn(&self) -> Vec<&Peer> {
        let mut signals: Vec<_> = self.signals.iter().collect();
        if !signals.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % signals.len();
            signals.rotate_left(turn);
        }
        signals
    }

    fn signed(&self, mut call: Call) -> Call {
        let signature = signature::sign(&self.hmac, signature::now(), call.method.as_str(), &call.path);
        if let Ok(value) = HeaderValue::from_str(&signature) {
            call.headers.insert(signature::HEADER, value);
        }
        call
    }

    /// Passes a request on to the first peer that can be reached, and its answer back.
    async fn pass(&self, peers: &[&Peer], request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        let body = match client::body(body).await {
            Ok(body) => body,
            Err(why) => return server::json(StatusCode::BAD_REQUEST, &tree::ko(&why)),
        };
        let mut headers = HeaderMap::new();
        for name in [CONTENT_TYPE, ACCEPT, FORWARDED] {
            if let Some(value) = head.headers.get(&name) {
                headers.insert(name, value.clone());
            }
        }
        let path = head.uri.path_and_query().map_or("/", |p| p.as_str()).to_owned();
        let call = self.signed(Call { method: head.method, path, headers, body });
        let mut last = "there is nobody to ask".to_owned();
        for peer in peers {
            match self.client.call(peer, &call).await {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    let mut reply = server::reply(head.status, "application/octet-stream", body);
                    if let Some(kind) = head.headers.get(CONTENT_TYPE) {
                        reply.headers_mut().insert(CONTENT_TYPE, kind.clone());
                    }
                    return reply;
                }
                Err(e) => {
                    last = e.why;
                    if e.sent && !call.method.is_safe() {
                        break;
                    }
                }
            }
        }
        server::json(StatusCode::BAD_GATEWAY, &tree::ko(&last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_sign_in_where() {
        let who = |kind| ["instadmin", "orgadmin", "member"].map(|level| admits(kind, level));
        assert_eq!(who(None), [true, true, true]);
        assert_eq!(who(Some("user")), [false, true, true]);
        assert_eq!(who(Some("admin")), [true, true, false]);
        assert_eq!(who(Some("instadmin")), [true, false, false]);
        assert_eq!(who(Some("orgadmin")), [false, true, false]);
        assert_eq!(who(Some("orguser")), [false, true, true]);
        assert_eq!(who(Some("boss")), [false, false, false]);
    }
}
