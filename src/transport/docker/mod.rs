//! Docker by bollard, over whatever way leads to the engine.

pub mod call;
pub mod events;
pub mod pool;
pub mod wire;

use std::sync::{Arc, Mutex, PoisonError};

use bollard::errors::Error;
use serde::Deserialize;
use tokio::sync::Mutex as AsyncMutex;

use crate::counters::Counters;
use crate::docker::pool::Pool;
use crate::docker::wire::Dial;
use crate::error::{Kind, TransportError};
use crate::host::{BoxFuture, Command, Output};
use crate::stream::AnyStream;

pub use events::Events;
pub use wire::{Docker, Wire, transport_error};

/// Where every engine listens.
pub const SOCKET: &str = "/var/run/docker.sock";

/// The oldest API we speak: engine 20.10.
pub const OLDEST: Version = Version(1, 41);

/// An API version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub usize, pub usize);

impl Version {
    /// Reads `1.41`.
    pub fn parse(text: &str) -> Option<Version> {
        let (major, minor) = text.split_once('.')?;
        Some(Version(major.parse().ok()?, minor.parse().ok()?))
    }

    /// The newest API bollard's types describe.
    pub fn newest() -> Version {
        Version(bollard::API_DEFAULT_VERSION.major_version, bollard::API_DEFAULT_VERSION.minor_version)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What a connection can do towards an engine.
pub(crate) trait Ways: Send + Sync + 'static {
    /// A stream to a Unix socket; `None` when that cannot be had.
    fn socket<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<AnyStream>, TransportError>>;
    /// A stream to the engine by its own command, as root where we may.
    fn dial_stdio(&self) -> BoxFuture<'_, Result<AnyStream, TransportError>>;
    /// Runs a command.
    fn exec(&self, command: Command) -> BoxFuture<'_, Result<Output, TransportError>>;
    /// The host's name, for messages.
    fn name(&self) -> &str;
    /// True when commands may be run as root.
    fn privileged(&self) -> bool;
}

/// How the engine of a host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Its socket, forwarded. Costs no session.
    Socket,
    /// `docker system dial-stdio`, with sudo where needed. Each connection is a session.
    DialStdio,
}

/// The engine of one host.
pub(crate) struct Engine {
    ways: Arc<dyn Ways>,
    counters: Arc<Counters>,
    /// The pool is kept beside its handle, to see whether it still leads somewhere.
    made: AsyncMutex<Option<(Docker, Arc<Pool>)>>,
}

impl Engine {
    pub(crate) fn new(ways: Arc<dyn Ways>, counters: Arc<Counters>) -> Self {
        Engine { ways, counters, made: AsyncMutex::default() }
    }

    /// The engine, asked once; a failure is not remembered, nor is an engine that went away.
    pub(crate) async fn docker(&self) -> Result<Docker, TransportError> {
        let mut made = self.made.lock().await;
        if let Some((docker, pool)) = made.as_ref()
            && !pool.is_lost()
        {
            return Ok(docker.clone());
        }
        *made = None;
        let dial = Arc::new(Dialer { ways: self.ways.clone(), route: Mutex::new(None) });
        let (docker, pool) = negotiate(dial, self.ways.name(), self.counters.clone()).await?;
        *made = Some((docker.clone(), pool));
        Ok(docker)
    }

    pub(crate) async fn forget(&self) {
        *self.made.lock().await = None;
    }
}

#[derive(Deserialize)]
struct Versions {
    #[serde(rename = "MinAPIVersion")]
    min_api_version: Option<String>,
}

/// Asks an engine for its versions and makes a client that speaks one both know.
pub(crate) async fn negotiate(
    dial: Arc<dyn Dial>,
    host: &str,
    counters: Arc<Counters>,
) -> Result<(Docker, Arc<Pool>), TransportError> {
    let pool = Arc::new(Pool::new(dial, counters));
    let odd = |what: String| {
        TransportError::new(
            Kind::Engine,
            format!("the Docker engine of {host} {what}"),
            format!("ask it by hand: ssh {host} docker version"),
        )
    };
    let silent = |error: Error| match transport_error(&error) {
        Some(ours) => TransportError::new(ours.kind, &*ours.message, &*ours.hint),
        None => odd(format!("does not answer: {error}")),
    };
    // As Docker's own client does. `/version` would have the engine run runc and the like to tell theirs: 15 ms.
    let (headers, _) = pool.clone().get("/_ping").await.map_err(silent)?;
    let said = headers.get("Api-Version").ok_or_else(|| odd("answers something that is not Docker's".into()))?;
    let theirs = said.to_str().ok().and_then(Version::parse).ok_or_else(|| odd("tells no API version".into()))?;
    let version = theirs.min(Version::newest());
    // One that is newer than what we know may have given up what we speak; only there it is said.
    let mut least = OLDEST;
    if theirs > version {
        let (_, body) = pool.clone().get("/version").await.map_err(silent)?;
        let versions: Versions =
            serde_json::from_slice(&body).map_err(|_| odd("answers something that is not Docker's".into()))?;
        least = versions.min_api_version.as_deref().and_then(Version::parse).unwrap_or(OLDEST);
    }
    if version < OLDEST {
        return Err(odd(format!("speaks API {theirs}, and {OLDEST} (Docker 20.10) is the oldest we can use")));
    }
    if version < least {
        return Err(odd(format!("wants API {least} at least, and {} is the newest we know", Version::newest())));
    }
    pool.speak(version);
    let docker = wire::client(pool.clone(), version).map_err(|e| odd(format!("cannot be used: {e}")))?;
    Ok((docker, pool))
}

/// Finds the way once and remembers it.
struct Dialer {
    ways: Arc<dyn Ways>,
    route: Mutex<Option<Route>>,
}

impl Dialer {
    fn known(&self) -> Option<Route> {
        *self.route.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn learn(&self, route: Route) {
        *self.route.lock().unwrap_or_else(PoisonError::into_inner) = Some(route);
    }

    /// Why nothing answers. Decided by what is there, not by what was said.
    async fn missing(&self) -> TransportError {
        let name = self.ways.name();
        let mut look = Command::new([
            "sh",
            "-c",
            "test -S \"$1\" && { test -w \"$1\" || exit 13; }; command -v docker >/dev/null 2>&1 || exit 12; exit 11",
            "sh",
            SOCKET,
        ]);
        look.privileged = self.ways.privileged();
        let privileged = look.privileged;
        match self.ways.exec(look).await {
            Err(error) => error,
            Ok(output) if output.code == 13 && !privileged => TransportError::new(
                Kind::Engine,
                format!("{name}: we may not use {SOCKET}"),
                "add -b (--become), or put the user into the group docker and connect again",
            ),
            Ok(output) if output.code == 12 => TransportError::new(
                Kind::NoEngine,
                format!("{name} has no Docker engine"),
                "install it: --extra-vars INSTALL_DOCKER=true",
            ),
            Ok(_) => TransportError::new(
                Kind::NoEngine,
                format!("the Docker engine of {name} does not answer on {SOCKET}"),
                format!("see why: ssh {name} journalctl -u docker -n 50; start it: systemctl start docker"),
            ),
        }
    }
}

impl Dial for Dialer {
    fn dial(&self) -> BoxFuture<'_, Result<AnyStream, TransportError>> {
        Box::pin(async move {
            if self.known() != Some(Route::DialStdio)
                && let Some(stream) = self.ways.socket(SOCKET).await?
            {
                self.learn(Route::Socket);
                return Ok(stream);
            }
            let stream = self.ways.dial_stdio().await?;
            self.learn(Route::DialStdio);
            Ok(stream)
        })
    }

    fn kept(&self) -> usize {
        match self.known() {
            Some(Route::DialStdio) => 2,
            _ => 4,
        }
    }

    fn streams(&self) -> usize {
        match self.known() {
            // With 2 kept and 4 commands: 9 of sshd's 10 sessions.
            Some(Route::DialStdio) => 3,
            _ => 64,
        }
    }

    fn explain(&self) -> BoxFuture<'_, TransportError> {
        Box::pin(self.missing())
    }
}
