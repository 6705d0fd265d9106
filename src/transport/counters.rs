//! Round trips, counted where they happen.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::host::Trips;

/// The running figures behind [`Trips`].
#[derive(Debug, Default)]
pub struct Counters {
    handshakes: AtomicU64,
    execs: AtomicU64,
    docker_calls: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    /// One more SSH handshake.
    pub fn handshake(&self) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    /// One more command.
    pub fn exec(&self) {
        self.execs.fetch_add(1, Ordering::Relaxed);
    }

    /// One more Docker API call.
    pub fn docker_call(&self) {
        self.docker_calls.fetch_add(1, Ordering::Relaxed);
    }

    /// So many more bytes, either way.
    pub fn bytes(&self, count: usize) {
        self.bytes.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// The figures now.
    pub fn trips(&self) -> Trips {
        Trips {
            handshakes: self.handshakes.load(Ordering::Relaxed),
            execs: self.execs.load(Ordering::Relaxed),
            docker_calls: self.docker_calls.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// A stream whose bytes are counted.
pub struct Counted<S> {
    stream: S,
    counters: Arc<Counters>,
}

impl<S> Counted<S> {
    /// Counts what goes through `stream`.
    pub fn new(stream: S, counters: Arc<Counters>) -> Self {
        Counted { stream, counters }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.counters.bytes(buf.filled().len() - before);
        result
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if let Poll::Ready(Ok(count)) = result {
            self.counters.bytes(count);
        }
        result
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
