//! `reemo healthcheck`: the container's own health check. It asks its own server over mutual TLS whether it is live.
//! Only itself: were a peer's outage counted, one broken service would have Swarm kill all those that use it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use crate::{Failure, server, settings, stun, tls};

const LIMIT: Duration = Duration::from_secs(2);

/// Fails if this container's service is not live.
pub fn check() -> Result<(), Failure> {
    if settings::text("REEMO_SERVICE").as_deref() == Some(stun::SERVICE) {
        return stun::check(LIMIT);
    }
    let identity = tls::Identity::load(&settings::secrets_dir())?;
    let name = identity.name().ok_or_else(|| Failure::new(3, "tls.crt has no name"))?;
    let address = SocketAddr::from(([127, 0, 0, 1], server::PORT));
    let mut socket = TcpStream::connect_timeout(&address, LIMIT)?;
    socket.set_read_timeout(Some(LIMIT))?;
    socket.set_write_timeout(Some(LIMIT))?;
    let mut connection = rustls::ClientConnection::new(Arc::new(identity.client()?), tls::server_name(&name)?)?;
    let mut stream = rustls::Stream::new(&mut connection, &mut socket);
    stream.write_all(format!("GET /live HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut first = [0; 64];
    let mut length = 0;
    while length < first.len() && !first[..length].contains(&b'\n') {
        match stream.read(&mut first[length..])? {
            0 => break,
            n => length += n,
        }
    }
    let answer = String::from_utf8_lossy(&first[..length]);
    let answer = answer.lines().next().unwrap_or_default();
    if is_ok(answer) { Ok(()) } else { Err(Failure::new(1, format!("not live: {answer}"))) }
}

fn is_ok(line: &str) -> bool {
    line.starts_with("HTTP/1.1 200")
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_200_is_healthy() {
        assert!(super::is_ok("HTTP/1.1 200 OK"));
        assert!(!super::is_ok("HTTP/1.1 503 Service Unavailable") && !super::is_ok(""));
    }
}
