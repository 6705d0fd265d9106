//! A few kept connections to one engine. A new one costs 14–43 ms, a call on a kept one about 1 ms.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bollard::BollardRequest;
use bollard::errors::Error;
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use crate::counters::Counters;
use crate::docker::Version;
use crate::docker::call::{Shape, repeatable, shape};
use crate::docker::wire::{Answer, Body, Dial, Wire, dressed};

/// An answer to a call of ours (not of bollard's) is never longer.
const LONGEST: usize = 1 << 20;

/// How long the body of a short answer may take after its head.
const BODY: Duration = Duration::from_secs(60);

/// How long a call waits for a kept connection before it makes another.
const RETURNS: Duration = Duration::from_millis(4);

/// One connection. hyper's task runs it; ending that task ends the connection.
struct Connection {
    sender: SendRequest<Body>,
    task: AbortHandle,
}

/// The connections to one engine.
pub struct Pool {
    dial: Arc<dyn Dial>,
    counters: Arc<Counters>,
    /// `/v1.41`, once negotiated.
    prefix: OnceLock<String>,
    idle: Mutex<Vec<Connection>>,
    busy: Arc<Busy>,
    /// Permits for short and long calls; made late, as the way decides how many there are.
    short: OnceLock<Arc<Semaphore>>,
    long: OnceLock<Arc<Semaphore>>,
    lost: AtomicBool,
}

impl Pool {
    /// No connection yet.
    pub fn new(dial: Arc<dyn Dial>, counters: Arc<Counters>) -> Self {
        Pool {
            dial,
            counters,
            prefix: OnceLock::new(),
            idle: Mutex::default(),
            busy: Arc::default(),
            short: OnceLock::new(),
            long: OnceLock::new(),
            lost: AtomicBool::new(false),
        }
    }

    /// From now on every path has this version in front.
    pub fn speak(&self, version: Version) {
        let _ = self.prefix.set(format!("/v{version}"));
    }

    /// True when the last attempt to get a connection failed: what we know of the engine may be old.
    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }

    /// The body of a small answer, and its headers.
    pub(crate) async fn get(self: Arc<Self>, path: &str) -> Result<(HeaderMap, Bytes), Error> {
        let request = Request::get(path).body(empty())?;
        let mut response = self.call(request).await?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let body = tokio::time::timeout(BODY, Limited::new(response.into_body(), LONGEST).collect())
            .await
            .map_err(|_| Error::RequestTimeoutError)?
            .map_err(|e| Error::IOError { err: std::io::Error::other(e) })?
            .to_bytes();
        match status.is_success() {
            true => Ok((headers, body)),
            false => Err(Error::DockerResponseServerError {
                status_code: status.as_u16(),
                message: String::from_utf8_lossy(&body).into_owned(),
            }),
        }
    }

    async fn answer(self: Arc<Self>, request: BollardRequest) -> Result<Response<Incoming>, Error> {
        let shape = shape(request.method(), request.uri());
        let request = self.addressed(request)?;
        self.counters.docker_call();
        match shape {
            Shape::Long => {
                let permit = self.permit(&self.long, self.dial.streams()).await;
                let connection = self.connect().await?;
                self.send(connection, request, None, permit).await.map_err(|failed| failed.error)
            }
            Shape::Short(limit) => self.short_call(request, limit).await,
        }
    }

    /// Over a kept connection; one found dead is replaced, and what may be repeated is.
    async fn short_call(
        self: &Arc<Self>,
        request: Request<Body>,
        limit: Duration,
    ) -> Result<Response<Incoming>, Error> {
        let permit = self.permit(&self.short, self.dial.kept()).await;
        let again = copy(&request);
        let Some(connection) = self.take_soon().await else {
            let connection = self.connect().await?;
            return self.first(connection, request, limit, permit).await;
        };
        let failed = match self.send(connection, request, Some(limit), permit).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        let request = match (failed.unsent, again) {
            (Some(request), _) => *request,
            (None, Some(again)) if !matches!(failed.error, Error::RequestTimeoutError) => again,
            _ => return Err(failed.error),
        };
        // The others are as old as that one was.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        let permit = self.permit(&self.short, self.dial.kept()).await;
        let connection = self.connect().await?;
        self.first(connection, request, limit, permit).await
    }

    /// The first call on a new connection: if that fails, there may be no engine at its other end.
    async fn first(
        self: &Arc<Self>,
        connection: Connection,
        request: Request<Body>,
        limit: Duration,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Response<Incoming>, Error> {
        match self.send(connection, request, Some(limit), permit).await {
            Ok(response) => Ok(response),
            Err(failed) if matches!(failed.error, Error::RequestTimeoutError) => Err(failed.error),
            Err(_) => {
                self.lost.store(true, Ordering::Relaxed);
                Err(dressed(self.dial.explain().await))
            }
        }
    }

    async fn permit(&self, which: &OnceLock<Arc<Semaphore>>, count: usize) -> Option<OwnedSemaphorePermit> {
        // Before the way is known, everything waits for the call that finds it.
        let permits = match which.get() {
            Some(permits) => permits,
            None if self.prefix.get().is_none() => return None,
            None => which.get_or_init(|| Arc::new(Semaphore::new(count))),
        };
        permits.clone().acquire_owned().await.ok()
    }

    /// A kept connection. One whose answer was read a moment ago is worth waiting for: a call takes 1 ms,
    /// a new connection 14 to 43.
    async fn take_soon(&self) -> Option<Connection> {
        let deadline = tokio::time::Instant::now() + RETURNS;
        loop {
            let returned = self.busy.returned.notified();
            if let Some(connection) = self.take() {
                return Some(connection);
            }
            if self.busy.count.load(Ordering::Relaxed) == 0 {
                return None;
            }
            tokio::time::timeout_at(deadline, returned).await.ok()?;
        }
    }

    fn take(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if connection.sender.is_ready() {
                return Some(connection);
            }
        }
        None
    }

    async fn connect(&self) -> Result<Connection, Error> {
        match self.dial.dial().await {
            Ok(stream) => {
                let (sender, connection) = handshake(TokioIo::new(stream)).await?;
                let task = tokio::spawn(connection.with_upgrades()).abort_handle();
                self.lost.store(false, Ordering::Relaxed);
                Ok(Connection { sender, task })
            }
            Err(error) => {
                self.lost.store(true, Ordering::Relaxed);
                Err(dressed(error))
            }
        }
    }

    /// Sends, and gives the connection back to the pool once the answer has been read.
    async fn send(
        self: &Arc<Self>,
        mut connection: Connection,
        request: Request<Body>,
        limit: Option<Duration>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Response<Incoming>, Failed> {
        let guard = AbortOnDrop(Some(connection.task.clone()));
        let busy = limit.map(|_| InUse::new(&self.busy));
        let sent = connection.sender.try_send_request(request);
        let result = match limit {
            None => sent.await,
            Some(limit) => match tokio::time::timeout(limit, sent).await {
                Ok(result) => result,
                Err(_) => {
                    return Err(Failed { error: Error::RequestTimeoutError, unsent: None });
                }
            },
        };
        let response = match result {
            Ok(response) => response,
            Err(mut failed) => {
                let unsent = failed.take_message().map(Box::new);
                return Err(Failed { error: failed.into_error().into(), unsent });
            }
        };
        guard.disarm();
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            let ready = match limit {
                Some(_) => tokio::time::timeout(BODY, connection.sender.ready()).await,
                None => Ok(connection.sender.ready().await),
            };
            match ready {
                Ok(Ok(())) if limit.is_some() => {
                    if let Some(pool) = pool.upgrade() {
                        pool.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                    }
                }
                // Read, or upgraded and given away: hyper's task knows when to end.
                Ok(_) => {}
                // A short answer that never ends.
                Err(_) => connection.task.abort(),
            }
            drop((permit, busy));
        });
        Ok(response)
    }

    /// The path with its version and without a host.
    fn addressed(&self, request: BollardRequest) -> Result<Request<Body>, Error> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |p| p.as_str());
        let prefix = self.prefix.get().map_or("", String::as_str);
        parts.uri = format!("{prefix}{path}").parse::<Uri>()?;
        parts.headers.insert(HOST, HeaderValue::from_static("docker"));
        Ok(Request::from_parts(parts, body))
    }
}

impl Wire for Pool {
    fn call(self: Arc<Self>, request: BollardRequest) -> Answer {
        Box::pin(self.answer(request))
    }
}

/// Connections in use that will come back.
#[derive(Default)]
struct Busy {
    count: AtomicUsize,
    returned: Notify,
}

struct InUse(Arc<Busy>);

impl InUse {
    fn new(busy: &Arc<Busy>) -> Self {
        busy.count.fetch_add(1, Ordering::Relaxed);
        InUse(busy.clone())
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.returned.notify_waiters();
    }
}

struct Failed {
    error: Error,
    /// The request, if it is certain that the engine has not seen it.
    unsent: Option<Box<Request<Body>>>,
}

/// A call given up in the middle leaves a connection nobody may use again.
struct AbortOnDrop(Option<AbortHandle>);

impl AbortOnDrop {
    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

fn empty() -> Body {
    Either::Left(Full::new(Bytes::new()))
}

/// A second copy of a request that may be sent twice. Such requests have no body.
fn copy(request: &Request<Body>) -> Option<Request<Body>> {
    if !repeatable(request.method()) {
        return None;
    }
    let (mut parts, ()): (Parts, ()) = Request::new(()).into_parts();
    parts.method = Method::clone(request.method());
    parts.uri = request.uri().clone();
    parts.headers = request.headers().clone();
    Some(Request::from_parts(parts, empty()))
}
