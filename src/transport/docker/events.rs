//! What an engine tells as it happens: one JSON object a line, for as long as somebody listens.

use bollard::errors::Error;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use serde_json::Value;

use super::wire::Docker;

/// An event is never longer, in bytes; what is has lost its line ends.
const LONGEST: usize = 1 << 20;

/// A stream of events. Dropping it ends its connection.
pub struct Events {
    body: Incoming,
    /// Received, and not yet a whole line.
    rest: Vec<u8>,
}

impl Docker {
    /// Begins to listen; what happens after this has returned is told. `path` is `/events` with its filters, without
    /// version prefix.
    pub async fn listen(&self, path: &str) -> Result<Events, Error> {
        let response = self.call(Request::get(path).body(Either::Left(Full::new(Bytes::new())))?).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(Error::DockerResponseServerError {
                status_code: status.as_u16(),
                message: "no events are told".into(),
            });
        }
        Ok(Events { body: response.into_body(), rest: Vec::new() })
    }
}

impl Events {
    /// The next event; `None` once the engine tells no more. What is no JSON is skipped.
    pub async fn next(&mut self) -> Option<Value> {
        loop {
            while let Some(end) = self.rest.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                if let Ok(event) = serde_json::from_slice(&line) {
                    return Some(event);
                }
            }
            let frame = self.body.frame().await?.ok()?;
            if let Some(data) = frame.data_ref() {
                self.rest.extend_from_slice(data);
            }
            if self.rest.len() > LONGEST {
                return None;
            }
        }
    }
}
