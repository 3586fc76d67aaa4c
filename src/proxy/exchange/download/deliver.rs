//! The answer as it is written to the caller, who has to take it in time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::proxy::watch::Moment;

use super::super::{Ends, Relay, poll_write};
use super::Download;

impl Relay {
    /// Writes once, or flushes what was written.
    pub(super) fn poll_deliver(&mut self, ends: &mut Ends<'_>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Download { out, written, input, direct, .. } = &self.download;
        if !self.download.has_output() {
            let flushed = Pin::new(&mut *ends.down).poll_flush(cx);
            // TLS has taken it, and the socket has not.
            if flushed.is_pending() {
                self.await_caller(ends);
            }
            ready!(flushed)?;
            self.download.unflushed = false;
            self.go_on(ends);
            return Poll::Ready(Ok(()));
        }
        let (first, second) = (out.get(*written..), input.filled().get(..*direct));
        let wrote = poll_write(ends.down, first.unwrap_or_default(), second.unwrap_or_default(), cx);
        if wrote.is_pending() {
            self.download.input.calm();
            self.await_caller(ends);
        }
        let count = ready!(wrote)?;
        self.go_on(ends);
        self.download.sent(count);
        Poll::Ready(Ok(()))
    }

    /// The caller has taken something. An upstream that could not write may not have read either, and has its time anew.
    fn go_on(&mut self, ends: &Ends<'_>) {
        self.deadlines.write = Moment::NEVER;
        if std::mem::take(&mut self.download.stuck) && self.deadlines.upload != Moment::NEVER {
            self.deadlines.moved = Some(ends.view.snapshot.config.limits.body_stall);
        }
    }

    /// From now on more of an answer whose length is known must come in time.
    pub(super) fn await_rest(&mut self, ends: &Ends<'_>) {
        if self.deadlines.answer == Moment::NEVER {
            self.deadlines.answer = self.mark(ends).after(ends.timeouts.response);
        }
    }

    /// From now on the caller must take something in time. A stream of HTTP/2 sees to that where it knows its connection: it
    /// may have to wait for its turn.
    fn await_caller(&mut self, ends: &Ends<'_>) {
        self.download.stuck = true;
        if self.deadlines.write == Moment::NEVER && !ends.down.is_virtual() {
            self.deadlines.write = self.mark(ends).after(ends.view.snapshot.config.limits.write_stall);
        }
    }
}
