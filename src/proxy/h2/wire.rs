//! The start of HTTP/2 on a connection, told from HTTP/1.1 before a byte of it is judged.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::buffer::Buffer;
use crate::proxy::stream::Stream;

/// What every caller of HTTP/2 sends first (RFC 9113 3.4). No request of HTTP/1.1 begins like it.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What the first bytes of a connection say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Opening {
    Http1,
    Http2,
    /// They are the beginning of either.
    Undecided,
}

impl Opening {
    /// Tells the protocol by the first bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let common = bytes.iter().zip(PREFACE).take_while(|(byte, known)| byte == known).count();
        if common == PREFACE.len() {
            Self::Http2
        } else if common == bytes.len() {
            Self::Undecided
        } else {
            Self::Http1
        }
    }
}

/// A connection of which some bytes were read before its protocol was known: they are read again first, untouched.
pub(crate) struct Wire<'c> {
    pub(crate) read: &'c mut Buffer,
    pub(crate) stream: &'c mut Stream,
}

impl AsyncRead for Wire<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.read.is_empty() {
            return Pin::new(&mut *this.stream).poll_read(cx, buf);
        }
        let count = this.read.len().min(buf.remaining());
        buf.put_slice(this.read.filled().get(..count).unwrap_or_default());
        this.read.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preface_alone_is_http_2() {
        for (bytes, told) in [
            (&b""[..], Opening::Undecided),
            (b"P", Opening::Undecided),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", Opening::Undecided),
            (PREFACE, Opening::Http2),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", Opening::Http2),
            (b"PUT / HTTP/1.1", Opening::Http1),
            (b"PRI * HTTP/1.1", Opening::Http1),
            (b"PRI * HTTP/2.0\r\nHost: a\r\n\r\n", Opening::Http1),
            (b" PRI", Opening::Http1),
        ] {
            assert_eq!(Opening::of(bytes), told, "{bytes:?}");
        }
    }
}
