//! Where byte streams to hosts come from: the network, or a test.

use crate::host::BoxFuture;
use crate::stream::AnyStream;

/// Opens connections.
pub trait Dialer: Send + Sync {
    /// A connection to `port` of `address`.
    fn dial<'a>(&'a self, address: &'a str, port: u16) -> BoxFuture<'a, std::io::Result<AnyStream>>;
}

/// TCP.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp;

impl Dialer for Tcp {
    fn dial<'a>(&'a self, address: &'a str, port: u16) -> BoxFuture<'a, std::io::Result<AnyStream>> {
        Box::pin(async move {
            // An address in brackets is how people write IPv6.
            let address = address.trim_start_matches('[').trim_end_matches(']');
            let stream = tokio::net::TcpStream::connect((address, port)).await?;
            // Round trips of small packets: Nagle's algorithm would add 40 ms to each.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as AnyStream)
        })
    }
}
