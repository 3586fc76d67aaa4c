//! The start of HTTP/2 on a connection, told from HTTP/1.1 before a byte of it is judged.

use std::borrow::BorrowMut;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::buffer::{Buffer, Buffers};

use super::traffic::Traffic;

/// What every caller of HTTP/2 sends first (RFC 9113 3.4). No request of HTTP/1.1 begins like it.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The most that is held back, in bytes: the end of an answer.
const HELD: usize = 16 << 10;

/// What a caller of HTTP/2 is told for whom there is no room: the settings that must come first, all of them the default,
/// and a GOAWAY (RFC 9113 6.8) by which nothing was done, with ENHANCE_YOUR_CALM.
pub(crate) const NO_ROOM: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0b";

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
pub(crate) struct Wire<'c, B, S> {
    pub(crate) read: B,
    pub(crate) stream: S,
    /// Take the memory of `read` back, where there are any.
    pub(crate) buffers: Option<&'c Buffers>,
    /// What passes is noted here. Who has no credit is not read from any more, and who sends many frames not in the same turn.
    pub(crate) traffic: Rc<Traffic>,
    /// What was written while it is to be held back.
    pub(crate) held: Vec<u8>,
}

impl<B: Unpin, S: AsyncWrite + Unpin> Wire<'_, B, S> {
    /// Writes what was held back.
    fn poll_release(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.held))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => drop(self.held.drain(..count)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<B: BorrowMut<Buffer> + Unpin, S: AsyncRead + Unpin> AsyncRead for Wire<'_, B, S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.traffic.is_spent() {
            // Whoever polls this looks at the credit next: nobody has to be woken.
            return Poll::Pending;
        }
        if this.traffic.is_turn_over() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let (before, read) = (buf.filled().len(), this.read.borrow_mut());
        if read.is_empty() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        } else {
            let count = read.len().min(buf.remaining());
            buf.put_slice(read.filled().get(..count).unwrap_or_default());
            read.consume(count);
            if let Some(buffers) = this.buffers {
                buffers.reclaim(read);
            }
        }
        this.traffic.came(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<B: Unpin, S: AsyncWrite + Unpin> AsyncWrite for Wire<'_, B, S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.traffic.is_corked() && this.held.len() < HELD {
            bufs.iter().for_each(|buf| {
                this.traffic.went(buf);
                this.held.extend_from_slice(buf);
            });
            return Poll::Ready(Ok(bufs.iter().map(|buf| buf.len()).sum()));
        }
        ready!(this.poll_release(cx))?;
        let Poll::Ready(wrote) = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs) else {
            this.traffic.stalled();
            return Poll::Pending;
        };
        let mut left = *wrote.as_ref().unwrap_or(&0);
        for buf in bufs {
            let taken = left.min(buf.len());
            this.traffic.went(buf.get(..taken).unwrap_or_default());
            left -= taken;
        }
        Poll::Ready(wrote)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.traffic.is_corked() {
            return Poll::Ready(Ok(()));
        }
        ready!(this.poll_release(cx))?;
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_release(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
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
