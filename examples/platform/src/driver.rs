//! `reemo proapi`, `prorelayapi` and `procloudapi`: each drives platforms elsewhere, through a gateway, and says which of
//! them it reaches.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use serde_json::{Value, json};

use crate::client::{Call, Client, Peer};
use crate::server::{self, Reply, Service};
use crate::settings::{Settings, text};
use crate::{Failure, tls, tree};

/// What makes one driver different from the others.
#[derive(Debug)]
pub struct Kind {
    /// Variable with the platforms, a JSON list of `{name, type, url, server_name}`.
    pub variable: &'static str,
    /// What the health tree calls them.
    pub list: &'static str,
}

/// Provision farms.
pub const PROVISION: Kind = Kind { variable: "PROVISIONS", list: "container-providers" };
/// WebSocket relays.
pub const RELAY: Kind = Kind { variable: "RELAYS", list: "ws-relays" };
/// Cloud platforms.
pub const CLOUD: Kind = Kind { variable: "CLOUDS", list: "cloud-providers" };

struct Platform {
    name: String,
    kind: String,
    peer: Peer,
}

struct Driver {
    settings: Settings,
    list: &'static str,
    client: Client,
    platforms: Vec<Platform>,
}

/// Serves until it is stopped.
pub async fn run(settings: Settings, kind: &Kind) -> Result<(), Failure> {
    let platforms = platforms(&text(kind.variable).unwrap_or_else(|| "[]".into()))?;
    let identity = Arc::new(tls::Identity::load(&settings.secrets)?);
    let client = Client::new(&identity)?;
    server::serve(settings.clone(), identity, Driver { settings, list: kind.list, client, platforms }).await
}

fn platforms(list: &str) -> Result<Vec<Platform>, Failure> {
    let list: Vec<Value> = serde_json::from_str(list)?;
    list.iter()
        .map(|it| {
            let word = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
            Ok(Platform {
                name: word("name"),
                kind: word("type"),
                peer: Peer::parse(&word("url"), it["server_name"].as_str())?,
            })
        })
        .collect()
}

impl Service for Driver {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        if request.uri().path() != "/healthcheck" {
            return server::not_found();
        }
        let mut found = Vec::new();
        for platform in &self.platforms {
            found.push(self.check(platform).await);
        }
        let mut answer = tree::ok(Some(&self.settings.version));
        answer[self.list] = json!(found);
        server::json(StatusCode::OK, &answer)
    }
}

impl Driver {
    /// A platform answers on the other side of its gateway, to this service's certificate.
    async fn check(&self, platform: &Platform) -> Value {
        let Platform { name, kind, peer } = platform;
        // What a Docker API answers to anybody it lets in.
        match self.client.call(peer, &Call::get("/_ping")).await {
            Ok(answer) if answer.status().is_success() => json!({"status": "OK", "name": name, "type": kind}),
            Ok(answer) => {
                json!({"status": "KO", "name": name, "type": kind, "error": format!("HTTP {}", answer.status().as_u16())})
            }
            Err(e) => json!({"status": "KO", "name": name, "type": kind, "error": e.why}),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_the_role() {
        let list = r#"[{"name": "Reemo SWARM", "type": "SWARM", "url": "https://reemo_provision:8443", "server_name": "farm"}]"#;
        let found = platforms(list).unwrap();
        assert_eq!((found[0].name.as_str(), found[0].kind.as_str()), ("Reemo SWARM", "SWARM"));
        assert_eq!(found[0].peer, Peer::parse("https://reemo_provision:8443", Some("farm")).unwrap());
        assert!(platforms("[]").unwrap().is_empty() && platforms(r#"[{"name": "x"}]"#).is_err());
    }
}
