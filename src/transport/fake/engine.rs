//! A Docker engine made of routes, spoken to by the real bollard over real HTTP.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bollard::BollardRequest;
use bytes::Bytes;
use futures_util::StreamExt;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::counters::Counters;
use crate::docker::pool::Pool;
use crate::docker::wire::{self, Answer, Dial, Wire, dressed};
use crate::docker::{OLDEST, Version};
use crate::error::{Kind, TransportError};
use crate::host::BoxFuture;
use crate::stream::AnyStream;

/// One call, as the engine sees it.
#[derive(Clone, Debug)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// The path without version.
    pub path: String,
    /// The version it was asked in, as `1.41`.
    pub version: Option<String>,
    /// What the `*` of the route stand for.
    pub parts: Vec<String>,
    /// The query, decoded.
    pub query: HashMap<String, String>,
    /// Headers, names in lower case.
    pub headers: HashMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Call {
    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// What the engine answers.
#[derive(Clone, Debug)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    pieces: Vec<Bytes>,
    then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    End,
    Hang,
    HangBefore,
    Cut,
}

impl Reply {
    /// 200 and this JSON.
    pub fn json(value: Value) -> Self {
        Reply::status(200, value)
    }

    /// This status and JSON; nothing for `null`.
    pub fn status(status: u16, value: Value) -> Self {
        let pieces = if value.is_null() { Vec::new() } else { vec![value.to_string().into()] };
        Reply { status, headers: Vec::new(), pieces, then: Then::End }
    }

    /// The same with a header.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The engine's own form of an error.
    pub fn error(status: u16, message: &str) -> Self {
        Reply::status(status, json!({ "message": message }))
    }

    /// One JSON object a line, as pulls and events come.
    pub fn lines(values: impl IntoIterator<Item = Value>) -> Self {
        let pieces = values.into_iter().map(|v| format!("{v}\n").into()).collect();
        Reply { status: 200, headers: Vec::new(), pieces, then: Then::End }
    }

    /// Bytes as they are.
    pub fn bytes(bytes: impl Into<Bytes>) -> Self {
        Reply { status: 200, headers: Vec::new(), pieces: vec![bytes.into()], then: Then::End }
    }

    /// The same, and then nothing for ever.
    pub fn then_hangs(mut self) -> Self {
        self.then = Then::Hang;
        self
    }

    /// No answer at all.
    pub fn never() -> Self {
        Reply { status: 200, headers: Vec::new(), pieces: Vec::new(), then: Then::HangBefore }
    }

    /// The connection breaks instead.
    pub fn cut() -> Self {
        Reply { status: 200, headers: Vec::new(), pieces: Vec::new(), then: Then::Cut }
    }
}

type Handler = Arc<dyn Fn(&Call) -> Reply + Send + Sync>;

struct Route {
    method: Method,
    pattern: Vec<String>,
    handler: Handler,
}

#[derive(Default)]
struct Inner {
    routes: Mutex<Vec<Route>>,
    seen: Mutex<Vec<String>>,
    unknown: Mutex<Vec<String>>,
    connections: Mutex<usize>,
    down: std::sync::atomic::AtomicBool,
}

/// A fake Docker engine. Cheap to clone; clones are the same engine.
#[derive(Clone, Default)]
pub struct Engine(Arc<Inner>);

impl Engine {
    /// An engine 20.10 that knows its version and nothing else.
    pub fn new() -> Self {
        let engine = Engine::default();
        engine.version("1.41", "1.12");
        engine
    }

    /// Makes it speak another API, from `least` up.
    pub fn version(&self, newest: &str, least: &str) {
        let body = json!({ "Version": "0.0-fake", "ApiVersion": newest, "MinAPIVersion": least });
        let said = newest.to_owned();
        self.on(Method::GET, "/_ping", move |_| Reply::json(json!("OK")).header("Api-Version", &said));
        self.on(Method::GET, "/version", move |_| Reply::json(body.clone()));
    }

    /// Answers `method` on paths that fit `pattern`, where `*` stands for one segment and `**`, at the
    /// end, for any number. The route told last wins.
    pub fn on(&self, method: Method, pattern: &str, handler: impl Fn(&Call) -> Reply + Send + Sync + 'static) {
        let route = Route { method, pattern: segments(pattern), handler: Arc::new(handler) };
        lock(&self.0.routes).push(route);
    }

    /// Answers GET on a path with fixed JSON.
    pub fn get(&self, pattern: &str, value: Value) {
        self.on(Method::GET, pattern, move |_| Reply::json(value.clone()));
    }

    /// Every call so far, as `GET /path`, in order.
    pub fn seen(&self) -> Vec<String> {
        lock(&self.0.seen).clone()
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        *lock(&self.0.connections)
    }

    /// As if dockerd were stopped: no new connection. Those there are stay; see [`Reply::cut`].
    pub fn stop(&self, stopped: bool) {
        self.0.down.store(stopped, std::sync::atomic::Ordering::Relaxed);
    }

    /// Panics, naming them, if something was asked that it was not told about.
    pub fn finish(&self) {
        let unknown = lock(&self.0.unknown).clone();
        assert!(unknown.is_empty(), "the fake engine was asked without being told: {unknown:#?}");
    }

    /// A bollard client of this engine. What the engine was not told about fails with [`Kind::Internal`].
    pub fn docker(&self) -> crate::docker::Docker {
        let pool = Arc::new(Pool::new(Arc::new(self.clone()), Arc::new(Counters::default())));
        pool.speak(OLDEST);
        let strict = Arc::new(Strict { engine: self.clone(), pool });
        wire::client(strict, OLDEST).expect("a constant address")
    }

    /// The other end of a new connection.
    pub fn connect(&self) -> AnyStream {
        let (ours, theirs) = super::pipe::pipe();
        *lock(&self.0.connections) += 1;
        let engine = self.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| engine.clone().serve(request));
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(theirs), service).await;
        });
        Box::new(ours)
    }

    fn find(&self, method: &Method, path: &str) -> Option<(Handler, Vec<String>)> {
        let asked = segments(path);
        lock(&self.0.routes)
            .iter()
            .rev()
            .filter(|route| route.method == *method)
            .find_map(|route| Some((route.handler.clone(), fits(&route.pattern, &asked)?)))
    }

    fn unknown(&self, what: &str) -> TransportError {
        lock(&self.0.unknown).push(what.to_owned());
        TransportError::new(
            Kind::Internal,
            format!("the fake engine was not told about {what}"),
            "add a route to the test, or do not ask",
        )
    }

    async fn serve(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<UnsyncBoxBody<Bytes, std::io::Error>>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|b| b.to_bytes().to_vec()).unwrap_or_default();
        let (version, path) = unversioned(parts.uri.path());
        let what = format!("{} {path}", parts.method);
        lock(&self.0.seen).push(what.clone());
        let reply = match self.find(&parts.method, &path) {
            None => Reply::error(501, &self.unknown(&what).message),
            Some((handler, stars)) => handler(&Call {
                query: query(parts.uri.query().unwrap_or("")),
                headers: parts
                    .headers
                    .iter()
                    .map(|(k, v)| (k.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
                    .collect(),
                method: parts.method,
                path,
                version,
                parts: stars,
                body,
            }),
        };
        match reply.then {
            Then::Cut => return Err(std::io::Error::other("cut")),
            Then::HangBefore => std::future::pending().await,
            Then::Hang | Then::End => {}
        }
        let hangs = reply.then == Then::Hang;
        let pieces = futures_util::stream::iter(reply.pieces.into_iter().map(|b| Ok(Frame::data(b))));
        let rest = futures_util::stream::once(async move {
            match hangs {
                true => std::future::pending().await,
                false => Ok::<_, std::io::Error>(Frame::data(Bytes::new())),
            }
        });
        let mut response = Response::new(StreamBody::new(pieces.chain(rest)).boxed_unsync());
        *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or_default();
        for (name, value) in reply.headers {
            let value = HeaderValue::from_str(&value).expect("a test's header");
            response.headers_mut().insert(name, value);
        }
        Ok(response)
    }
}

impl Dial for Engine {
    fn dial(&self) -> BoxFuture<'_, Result<AnyStream, TransportError>> {
        Box::pin(async move {
            match self.0.down.load(std::sync::atomic::Ordering::Relaxed) {
                true => Err(self.explain().await),
                false => Ok(self.connect()),
            }
        })
    }

    fn explain(&self) -> BoxFuture<'_, TransportError> {
        Box::pin(async { TransportError::new(Kind::NoEngine, "the fake engine does not answer", "start it") })
    }
}

/// Refuses before asking, so that the error is ours and not a status somebody may take for an answer.
struct Strict {
    engine: Engine,
    pool: Arc<Pool>,
}

impl Wire for Strict {
    fn call(self: Arc<Self>, request: BollardRequest) -> Answer {
        let (_, path) = unversioned(request.uri().path());
        if self.engine.find(request.method(), &path).is_none() {
            let error = self.engine.unknown(&format!("{} {path}", request.method()));
            return Box::pin(async move { Err(dressed(error)) });
        }
        self.pool.clone().call(request)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|s| !s.is_empty()).map(str::to_owned).collect()
}

fn fits(pattern: &[String], asked: &[String]) -> Option<Vec<String>> {
    let mut stars = Vec::new();
    for (at, part) in pattern.iter().enumerate() {
        if part == "**" {
            stars.push(asked.get(at..)?.join("/"));
            return Some(stars);
        }
        let given = asked.get(at)?;
        if part == "*" {
            stars.push(given.clone());
        } else if part != given {
            return None;
        }
    }
    (pattern.len() == asked.len()).then_some(stars)
}

fn unversioned(path: &str) -> (Option<String>, String) {
    let rest = path.trim_start_matches('/');
    if let Some((first, rest)) = rest.split_once('/')
        && let Some(version) = first.strip_prefix('v')
        && Version::parse(version).is_some()
    {
        return (Some(version.to_owned()), format!("/{rest}"));
    }
    (None, path.to_owned())
}

fn query(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter(|p| !p.is_empty());
    pairs.map(|p| p.split_once('=').unwrap_or((p, ""))).map(|(k, v)| (decoded(k), decoded(v))).collect()
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits =
                    [rest.next(), rest.next()].map(|d| char::from(d.unwrap_or(b'0')).to_digit(16).unwrap_or(0));
                (digits[0] * 16 + digits[1]) as u8
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
