//! What shows that the upstream is there, beside its answers to PINGs: bytes that come from it, and room that it makes for ours.
//!
//! That the kernel takes bytes shows nothing, as long as it has room for them: more requests on a connection whose other side is
//! gone would keep it. Where it had none and has some again, the other side has taken some.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::stream::Stream;
use crate::proxy::watch::{Moment, Watch};

/// When a connection moved last.
pub(super) struct Motion {
    watch: Rc<Watch>,
    last: Cell<Moment>,
}

impl Motion {
    pub(super) fn new(watch: &Rc<Watch>) -> Rc<Self> {
        Rc::new(Self { watch: Rc::clone(watch), last: Cell::new(watch.now()) })
    }

    pub(super) fn last(&self) -> Moment {
        self.last.get()
    }

    fn note(&self) {
        self.last.set(self.watch.now());
    }
}

/// A connection whose motion is noted.
pub(super) struct Noted {
    pub(super) stream: Stream,
    pub(super) motion: Rc<Motion>,
    /// It took nothing when it was written to last.
    pub(super) full: bool,
}

impl Noted {
    fn wrote(&mut self, wrote: &Poll<io::Result<usize>>) {
        if std::mem::replace(&mut self.full, wrote.is_pending()) && !self.full {
            self.motion.note();
        }
    }
}

impl AsyncRead for Noted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        this.motion.note();
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Noted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.wrote(&wrote);
        wrote
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let wrote = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.wrote(&wrote);
        wrote
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}
