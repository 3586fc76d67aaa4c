//! A stream that is as awkward as a script says: it stalls at every step, and takes or gives a few bytes at a time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// How a stream behaves.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// What it gives to read, a piece each time; then the end, or nothing for ever.
    pub(crate) gives: VecDeque<Vec<u8>>,
    pub(crate) ends: bool,
    /// Before it ends, or gives nothing for ever, it panics once.
    pub(crate) panics: bool,
    /// Bytes that it takes at each write.
    pub(crate) takes: usize,
    /// How often it stalls before each read and each write that goes through.
    pub(crate) stalls: usize,
    /// It gives nothing to read before this was written to it.
    pub(crate) after: Vec<u8>,
}

/// The stream. What was written to it can be read by whoever made it.
#[derive(Debug)]
pub(crate) struct Scripted {
    script: Script,
    stalled: (usize, usize),
    pub(crate) written: Rc<RefCell<Vec<u8>>>,
}

impl Scripted {
    pub(crate) fn new(script: Script) -> (Self, Rc<RefCell<Vec<u8>>>) {
        let written = Rc::default();
        (Self { script, stalled: (0, 0), written: Rc::clone(&written) }, written)
    }

    /// It has nothing to give, as the kernel would say whatever the runtime has seen.
    pub(crate) fn is_silent(&self) -> bool {
        self.script.gives.is_empty() && !self.script.ends
    }
}

fn has(bytes: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && bytes.windows(part.len()).any(|window| window == part)
}

impl AsyncRead for Scripted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if has(&this.written.borrow(), &this.script.after) {
            this.script.after.clear();
        }
        if this.stalled.0 < this.script.stalls || !this.script.after.is_empty() {
            this.stalled.0 += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.stalled.0 = 0;
        match this.script.gives.pop_front() {
            Some(mut piece) => {
                let rest = piece.split_off(piece.len().min(buf.remaining()));
                buf.put_slice(&piece);
                if !rest.is_empty() {
                    this.script.gives.push_front(rest);
                }
                Poll::Ready(Ok(()))
            }
            None if std::mem::take(&mut this.script.panics) => panic!("as this test wants it"),
            None if this.script.ends => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Scripted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.stalled.1 < this.script.stalls {
            this.stalled.1 += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.stalled.1 = 0;
        let count = buf.len().min(this.script.takes);
        this.written.borrow_mut().extend_from_slice(&buf[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
