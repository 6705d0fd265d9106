//! `reemo stun`: tells an agent the address it comes from (RFC 8489, binding requests over UDP).

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use crate::settings::Settings;
use crate::{Failure, log, server};

/// Its Swarm name.
pub const SERVICE: &str = "reemo_stun";

const PORT: u16 = 3478;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const REQUEST: [u8; 2] = [0, 1];
const SUCCESS: [u8; 2] = [1, 1];

/// Answers until it is stopped.
pub async fn run(settings: Settings) -> Result<(), Failure> {
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).await?;
    log::line(&format!("{} {} answers on UDP port {PORT}", settings.service, settings.version));
    let serving = async {
        let mut packet = [0; 1500];
        loop {
            let Ok((length, from)) = socket.recv_from(&mut packet).await else { continue };
            if let Some(answer) = answer(&packet[..length], from) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    };
    tokio::select! { () = serving => {}, () = server::terminated() => {} }
    Ok(())
}

/// The answer to a binding request; nothing to anything else.
fn answer(packet: &[u8], from: SocketAddr) -> Option<Vec<u8>> {
    let IpAddr::V4(address) = from.ip() else { return None };
    if packet.len() < 20 || packet[..2] != REQUEST || packet[4..8] != COOKIE {
        return None;
    }
    let mut answer = Vec::with_capacity(32);
    answer.extend(SUCCESS);
    answer.extend([0, 12]);
    answer.extend(&packet[4..20]);
    // XOR-MAPPED-ADDRESS, 8 bytes, IPv4.
    answer.extend([0, 0x20, 0, 8, 0, 1]);
    answer.extend((from.port() ^ 0x2112).to_be_bytes());
    answer.extend(address.octets().iter().zip(COOKIE).map(|(byte, mask)| byte ^ mask));
    Some(answer)
}

/// The container's health check: a request of its own is answered.
pub fn check(limit: Duration) -> Result<(), Failure> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(limit))?;
    let mut request = [0; 20];
    request[..2].copy_from_slice(&REQUEST);
    request[4..8].copy_from_slice(&COOKIE);
    socket.send_to(&request, (Ipv4Addr::LOCALHOST, PORT))?;
    let mut packet = [0; 64];
    let length = socket.recv(&mut packet)?;
    if packet[..length].starts_with(&SUCCESS) { Ok(()) } else { Err(Failure::new(1, "not live: no STUN answer")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_example_address() {
        // RFC 5769, 2.2: 192.0.2.1 port 32853 is a147 e112a643 when masked.
        let mut request = [0; 20];
        request[1] = 1;
        request[4..8].copy_from_slice(&COOKIE);
        let answer = answer(&request, "192.0.2.1:32853".parse().unwrap()).unwrap();
        assert_eq!(answer[20..], [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
    }

    #[test]
    fn anything_else_is_not_answered() {
        let from = "192.0.2.1:1".parse().unwrap();
        assert!(answer(b"GET / HTTP/1.1\r\nHost: x\r\n", from).is_none() && answer(&[0, 1], from).is_none());
    }
}
