//! Calls to other services, over mutual TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{Failure, tls};

const DIAL: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(10);
const LARGEST: usize = 16 << 20;

/// A service that is called: where it is, and the name in its certificate (not the same behind a gateway).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    host: String,
    port: u16,
    name: String,
}

impl Peer {
    /// From `https://reemo_api:8443` and, where it differs, the name to verify.
    pub fn parse(url: &str, name: Option<&str>) -> Result<Peer, Failure> {
        let uri: Uri = url.parse().map_err(|e| Failure::new(3, format!("`{url}` is not an address: {e}")))?;
        match (uri.scheme_str(), uri.host()) {
            (Some("https"), Some(host)) => Ok(Peer {
                host: host.to_owned(),
                port: uri.port_u16().unwrap_or(443),
                name: name.unwrap_or(host).to_owned(),
            }),
            _ => Err(Failure::new(3, format!("`{url}` is not an https address"))),
        }
    }
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Call {
    /// Method.
    pub method: Method,
    /// Path with query.
    pub path: String,
    /// Headers to pass on.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

impl Call {
    /// A plain GET.
    pub fn get(path: &str) -> Call {
        Call { method: Method::GET, path: path.to_owned(), headers: HeaderMap::new(), body: Bytes::new() }
    }
}

/// What was answered.
pub type Answer = Response<Bytes>;

/// A call without an answer.
#[derive(Debug)]
pub struct Unanswered {
    /// Whether it may have reached the service: then it must not simply be made again.
    pub sent: bool,
    /// What went wrong.
    pub why: String,
}

/// Makes calls with the service's own certificate.
#[derive(Clone)]
pub struct Client {
    connector: TlsConnector,
    turn: Arc<AtomicUsize>,
}

impl Client {
    /// A client with this identity.
    pub fn new(identity: &tls::Identity) -> Result<Client, Failure> {
        Ok(Client { connector: Arc::new(identity.client()?).into(), turn: Arc::default() })
    }

    /// One call. What could not be sent is tried at the name's next address; what was sent is not sent again, unless it
    /// changes nothing.
    pub async fn call(&self, peer: &Peer, call: &Call) -> Result<Answer, Unanswered> {
        let mut last = "it has no address".to_owned();
        let mut sent = false;
        let addresses = self.addresses(peer).await.map_err(|why| Unanswered { sent, why })?;
        for address in addresses {
            let sender = match tokio::time::timeout(DIAL, self.dial(address, peer)).await {
                Ok(Ok(sender)) => sender,
                Ok(Err(e)) => {
                    last = e;
                    continue;
                }
                Err(_) => {
                    last = format!("{address} does not answer");
                    continue;
                }
            };
            sent = true;
            match tokio::time::timeout(ANSWER, exchange(sender, peer, call)).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(e)) => last = e,
                Err(_) => last = format!("no answer within {} s", ANSWER.as_secs()),
            }
            if !call.method.is_safe() {
                break;
            }
        }
        Err(Unanswered { sent, why: format!("{}: {last}", peer.host) })
    }

    /// A GET that answers JSON, whatever the status.
    pub async fn json(&self, peer: &Peer, call: &Call) -> Result<(StatusCode, Value), String> {
        let answer = self.call(peer, call).await.map_err(|e| e.why)?;
        let value = serde_json::from_slice(answer.body())
            .map_err(|_| format!("{}: HTTP {}, and what it says is not JSON", peer.host, answer.status().as_u16()))?;
        Ok((answer.status(), value))
    }

    /// All addresses of the name, another one first each time: the resolver's order is always the same.
    async fn addresses(&self, peer: &Peer) -> Result<Vec<SocketAddr>, String> {
        let found = tokio::net::lookup_host((peer.host.as_str(), peer.port)).await;
        let mut found: Vec<_> = found.map_err(|e| format!("{}: {e}", peer.host))?.collect();
        if !found.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % found.len();
            found.rotate_left(turn);
        }
        Ok(found)
    }

    async fn dial(&self, address: SocketAddr, peer: &Peer) -> Result<SendRequest<Full<Bytes>>, String> {
        let name = tls::server_name(&peer.name).map_err(|e| e.why)?;
        let socket = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
        let _ = socket.set_nodelay(true);
        let stream = self.connector.connect(name, socket).await.map_err(|e| e.to_string())?;
        let made = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = made.map_err(|e| e.to_string())?;
        tokio::spawn(connection);
        Ok(sender)
    }
}

async fn exchange(mut sender: SendRequest<Full<Bytes>>, peer: &Peer, call: &Call) -> Result<Answer, String> {
    let mut request = Request::new(Full::new(call.body.clone()));
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = call.path.parse().map_err(|e| format!("{e}"))?;
    *request.headers_mut() = call.headers.clone();
    let host = peer.name.parse().map_err(|_| "not a host name".to_owned())?;
    request.headers_mut().insert(hyper::header::HOST, host);
    let answer = sender.send_request(request).await.map_err(|e| e.to_string())?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, LARGEST).collect().await.map_err(|e| e.to_string())?;
    Ok(Response::from_parts(head, body.to_bytes()))
}

/// Reads a request's body.
pub async fn body(request: hyper::body::Incoming) -> Result<Bytes, String> {
    Ok(Limited::new(request, LARGEST).collect().await.map_err(|e| e.to_string())?.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_with_underscores() {
        let peer = Peer::parse("https://reemo_api:8443", None).unwrap();
        assert_eq!((peer.host.as_str(), peer.port, peer.name.as_str()), ("reemo_api", 8443, "reemo_api"));
        let behind = Peer::parse("https://reemo_apigateway:8443", Some("reemo_api")).unwrap();
        assert_eq!((behind.host.as_str(), behind.name.as_str()), ("reemo_apigateway", "reemo_api"));
    }

    #[test]
    fn only_https() {
        assert!(Peer::parse("http://reemo_api:8443", None).is_err());
        assert!(Peer::parse("reemo_api", None).is_err());
    }
}
