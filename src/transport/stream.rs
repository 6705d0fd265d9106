//! Any connection made of bytes.

use tokio::io::{AsyncRead, AsyncWrite};

/// Read, written, and sent between threads.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {}

/// A [`Stream`] of any kind.
pub type AnyStream = Box<dyn Stream>;
