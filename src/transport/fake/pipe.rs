//! Two ends of a connection in memory.
//!
//! Never full, unlike `tokio::io::duplex`: two russh sessions that write to each other at the same time
//! would otherwise both wait for room and read nothing. SSH's own windows bound what is under way.

use std::io::Error;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One end.
pub(crate) struct Pipe {
    to: Option<UnboundedSender<Bytes>>,
    from: UnboundedReceiver<Bytes>,
    rest: Bytes,
}

/// Both ends.
pub(crate) fn pipe() -> (Pipe, Pipe) {
    let (to_right, from_left) = unbounded_channel();
    let (to_left, from_right) = unbounded_channel();
    let end = |to, from| Pipe { to: Some(to), from, rest: Bytes::new() };
    (end(to_right, from_right), end(to_left, from_left))
}

impl AsyncRead for Pipe {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<(), Error>> {
        if self.rest.is_empty() {
            match ready!(self.from.poll_recv(cx)) {
                Some(bytes) => self.rest = bytes,
                None => return Poll::Ready(Ok(())),
            }
        }
        let count = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..count]);
        self.rest.advance(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Error>> {
        let sent = self.to.as_ref().is_some_and(|to| to.send(Bytes::copy_from_slice(bytes)).is_ok());
        Poll::Ready(if sent { Ok(bytes.len()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.to = None;
        Poll::Ready(Ok(()))
    }
}
