//! The seam under bollard: an HTTP request goes in, a response comes out.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bollard::errors::Error;
use bollard::{BollardRequest, ClientVersion};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Either, Full, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use serde_json::Value;

use crate::docker::Version;
use crate::error::TransportError;
use crate::host::BoxFuture;
use crate::stream::AnyStream;

/// The body of a request, as bollard makes it.
pub type Body = Either<
    Full<Bytes>,
    StreamBody<Pin<Box<dyn futures_util::Stream<Item = Result<Frame<Bytes>, std::io::Error>> + Send>>>,
>;

/// An answered call, in the form bollard wants it.
pub type Answer = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send>>;

/// Everything below bollard. The real one is [`super::pool::Pool`]; fakes are others.
pub trait Wire: Send + Sync + 'static {
    /// Makes one call. The path has no version prefix.
    fn call(self: Arc<Self>, request: BollardRequest) -> Answer;
}

/// Everything below the pool: connections to one engine.
pub trait Dial: Send + Sync + 'static {
    /// A new connection.
    fn dial(&self) -> BoxFuture<'_, Result<AnyStream, TransportError>>;

    /// How many to keep.
    fn kept(&self) -> usize {
        4
    }

    /// How many long calls at once.
    fn streams(&self) -> usize {
        64
    }

    /// Why a new connection was of no use.
    fn explain(&self) -> BoxFuture<'_, TransportError>;
}

/// One engine: bollard's calls, and the API's own JSON where bollard's types would lose a part of it.
///
/// Services must be read and written whole, and bollard's types know only the fields of one version of
/// the API (they name a task's health check `HealthCheck`; the engine says `Healthcheck`).
#[derive(Clone)]
pub struct Docker {
    client: bollard::Docker,
    wire: Arc<dyn Wire>,
}

impl Deref for Docker {
    type Target = bollard::Docker;

    fn deref(&self) -> &bollard::Docker {
        &self.client
    }
}

impl Docker {
    /// `GET path`, as JSON. The path has no version prefix.
    pub async fn read(&self, path: &str) -> Result<Value, Error> {
        self.json(Request::get(path), None).await
    }

    /// `POST path` with a JSON body; `auth` is sent as `X-Registry-Auth`.
    pub async fn post(&self, path: &str, body: &Value, auth: Option<&str>) -> Result<Value, Error> {
        let request = Request::post(path).header("content-type", "application/json");
        let request = match auth {
            Some(auth) => request.header("x-registry-auth", auth),
            None => request,
        };
        self.json(request, Some(body)).await
    }

    pub(super) async fn call(&self, request: BollardRequest) -> Result<Response<Incoming>, Error> {
        self.wire.clone().call(request).await
    }

    async fn json(&self, request: http::request::Builder, body: Option<&Value>) -> Result<Value, Error> {
        let body = match body {
            Some(body) => Bytes::from(serde_json::to_vec(body)?),
            None => Bytes::new(),
        };
        let response = self.call(request.body(Either::Left(Full::new(body)))?).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LONGEST).collect();
        let body = tokio::time::timeout(BODY, body)
            .await
            .map_err(|_| Error::RequestTimeoutError)?
            .map_err(|e| Error::IOError { err: std::io::Error::other(e) })?
            .to_bytes();
        if status.is_success() {
            return Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? });
        }
        let said: Option<Value> = serde_json::from_slice(&body).ok();
        let said = said.as_ref().and_then(|v| v.get("message")?.as_str()).map(str::to_owned);
        let message = said.unwrap_or_else(|| String::from_utf8_lossy(&body).into_owned());
        Err(Error::DockerResponseServerError { status_code: status.as_u16(), message })
    }
}

/// Longest answer that is read whole, in bytes.
const LONGEST: usize = 256 * 1024 * 1024;
/// Limit for the body of an answer to arrive.
const BODY: Duration = Duration::from_secs(60);

/// A client on this wire.
pub fn client<W: Wire>(wire: Arc<W>, version: Version) -> Result<Docker, Error> {
    let version = ClientVersion { major_version: version.0, minor_version: version.1 };
    // bollard has one limit for all calls; the wire has one for each kind, so this one never comes first.
    let never = 10 * 365 * 24 * 3600;
    let kept: Arc<dyn Wire> = wire.clone();
    let call = move |request| wire.clone().call(request);
    let client = bollard::Docker::connect_with_custom_transport(call, Some("http://docker"), never, &version)?;
    Ok(Docker { client, wire: kept })
}

/// Our own failure in bollard's clothes.
pub(crate) fn dressed(error: TransportError) -> Error {
    Error::IOError { err: std::io::Error::other(error) }
}

/// Our own failure, if that is what made a Docker call fail.
pub fn transport_error(error: &Error) -> Option<&TransportError> {
    match error {
        Error::IOError { err } => err.get_ref()?.downcast_ref(),
        _ => None,
    }
}
