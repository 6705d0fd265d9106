//! The HTTPS server every service has on port 8443, and how it stops.
//!
//! Swarm takes a copy out of the service's name and then sends SIGTERM. Requests still arrive for a moment: from clients
//! that resolved the name before, and on open connections. So the health check turns to 503, requests are still answered
//! for some seconds, each with `Connection: close`, and only then does the process finish what is under way and end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::settings::Settings;
use crate::{Failure, log, tls};

/// Port of every service.
pub const PORT: u16 = 8443;

/// Requests under way when the drain is over get this long.
const FINISH: Duration = Duration::from_secs(15);

/// An answer.
pub type Reply = Response<Full<Bytes>>;

/// What a service does with a request; `/live` is answered by the server itself.
pub trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Reply> + Send;
}

/// Stages of a server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    Draining,
    Closing,
}

/// Serves until SIGTERM, drains, and returns.
pub async fn serve<S: Service>(settings: Settings, identity: Arc<tls::Identity>, service: S) -> Result<(), Failure> {
    let acceptor = TlsAcceptor::from(Arc::new(identity.server()?));
    let listener = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], PORT))).await?;
    log::line(&format!("{} {} serves on port {PORT}", settings.service, settings.version));
    if let Some(after) = settings.crashes_after {
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            log::line("crashes on purpose");
            std::process::exit(70);
        });
    }
    let (phase, watching) = watch::channel(Phase::Serving);
    tokio::spawn(stopping(settings.clone(), phase));
    let shared = Arc::new(Shared { settings, service, phase: watching.clone() });
    let (mut connections, mut phase) = (JoinSet::new(), watching);
    while *phase.borrow_and_update() != Phase::Closing {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, client)) => {
                    connections.spawn(connection(acceptor.clone(), socket, client, shared.clone()));
                }
                // Out of file descriptors, mostly: a pause lets some be given back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
            _ = phase.changed() => {}
        }
    }
    drop(listener);
    let _ = tokio::time::timeout(FINISH, async { while connections.join_next().await.is_some() {} }).await;
    log::line(&format!("{} stopped", shared.settings.service));
    Ok(())
}

/// Waits for SIGTERM (or SIGINT, from a terminal) and leads through the drain.
async fn stopping(settings: Settings, phase: watch::Sender<Phase>) {
    terminated().await;
    if settings.dies_on_term {
        log::line(&format!("{} ends at once", settings.service));
        std::process::exit(143);
    }
    log::line(&format!("{} drains for {} s", settings.service, settings.drain.as_secs()));
    let _ = phase.send(Phase::Draining);
    tokio::time::sleep(settings.drain).await;
    let _ = phase.send(Phase::Closing);
}

/// Resolves when the process is asked to stop. The first process of a container has to ask for its signals.
pub async fn terminated() {
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut term), Ok(mut int)) => tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} },
        _ => std::future::pending().await,
    }
}

struct Shared<S> {
    settings: Settings,
    service: S,
    phase: watch::Receiver<Phase>,
}

async fn connection<S: Service>(acceptor: TlsAcceptor, socket: TcpStream, client: SocketAddr, shared: Arc<Shared<S>>) {
    let _ = socket.set_nodelay(true);
    let stream = match tokio::time::timeout(Duration::from_secs(5), acceptor.accept(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(e)) => return log::line(&format!("tls: {} refused: {e}", client.ip())),
        Err(_) => return log::line(&format!("tls: {} refused: no handshake in time", client.ip())),
    };
    let peer = stream.get_ref().1.peer_certificates().and_then(|c| c.first()).and_then(tls::first_name);
    let peer = Arc::<str>::from(peer.as_deref().unwrap_or("-"));
    let mut phase = shared.phase.clone();
    let handler = hyper::service::service_fn(move |request| {
        let (shared, peer) = (shared.clone(), peer.clone());
        async move { Ok::<_, std::convert::Infallible>(shared.answer(request, client, &peer).await) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(60))
        .serve_connection(TokioIo::new(stream), handler);
    tokio::pin!(connection);
    // A client that goes away in the middle is no news.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = phase.wait_for(|p| *p == Phase::Closing) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

impl<S: Service> Shared<S> {
    async fn answer(&self, request: Request<Incoming>, client: SocketAddr, peer: &str) -> Reply {
        let line = format!("{} {} {:?}", request.method(), request.uri(), request.version());
        // Only peers with a certificate of the platform get here, so what they say of the client may be believed.
        let forwarded = request.headers().get("x-forwarded-for").and_then(|v| v.to_str().ok());
        let from = forwarded.and_then(|v| v.split(',').next()).unwrap_or_default().trim().to_owned();
        let live = request.uri().path() == "/live";
        let mut reply = match live {
            true => self.live(),
            false if self.settings.answers_errors => {
                json(StatusCode::INTERNAL_SERVER_ERROR, &json!({"error": "an error on purpose"}))
            }
            false => self.service.answer(request).await,
        };
        if *self.phase.borrow() != Phase::Serving {
            reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        // One line a second and container about nothing would bury the others.
        if !live || !reply.status().is_success() {
            let client = if from.is_empty() { client.ip().to_string() } else { from };
            let bytes = reply.body().size_hint().exact().unwrap_or_default();
            let access = log::Access { client: &client, peer, request: &line, status: reply.status().as_u16(), bytes };
            log::line(&access.common(SystemTime::now()));
        }
        reply
    }

    fn live(&self) -> Reply {
        let state = match *self.phase.borrow() {
            _ if self.settings.broken => (StatusCode::INTERNAL_SERVER_ERROR, "broken on purpose"),
            Phase::Serving => (StatusCode::OK, "OK"),
            Phase::Draining | Phase::Closing => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        };
        json(state.0, &json!({"status": state.1, "version": self.settings.version}))
    }
}

/// An answer of text.
pub fn reply(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Reply {
    let mut reply = Response::new(Full::new(body.into()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

/// An answer of JSON.
pub fn json(status: StatusCode, value: &Value) -> Reply {
    reply(status, "application/json", format!("{value:#}\n"))
}

/// The answer where there is nothing.
pub fn not_found() -> Reply {
    json(StatusCode::NOT_FOUND, &json!({"error": "not found"}))
}
