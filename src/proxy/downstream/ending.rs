//! The answers that a connection writes itself, and how it ends so that they arrive.

use std::task::{Context, ready};

use crate::policy::Denial;

use super::*;
use crate::proxy::error::Inside;

impl Connection {
    /// Writes an error answer; true when the connection ends after it.
    pub(super) async fn answer_error(&mut self, view: &View, error: ProxyError, plan: Option<&Plan>) -> bool {
        self.ticket.refuse(error);
        let detail = error.detail(&view.snapshot.config.limits);
        self.answer(view, &Reply::error(error, &detail), plan).await
    }

    /// Ends a request whose key does not hold any more.
    pub(super) async fn end_with_key(&mut self, view: &View, denial: Denial, plan: &Plan) -> Next {
        let next = if !self.ticket.begun {
            self.ticket.deny(denial);
            let close = self.answer(view, &Reply::denial(denial, None), Some(plan)).await;
            if close { Next::Linger } else { Next::Request }
        } else {
            // It was let in: what it was answered stands, and the code says why it ended.
            self.ticket.code = Some(denial.into());
            // A tunnel was told so. An answer that breaks off must not look whole, nor go on while its caller takes nothing.
            if self.ticket.status == SWITCHED {
                Next::Linger
            } else {
                self.stream.sever();
                Next::Drop
            }
        };
        self.ticket.close(&self.worker, view, self.worker.clocks().0);
        next
    }

    async fn answer(&mut self, view: &View, reply: &Reply<'_>, plan: Option<&Plan>) -> bool {
        let config = &view.snapshot.config;
        // Only a request without a body is known to be read whole here.
        let keeps = plan.is_some_and(|plan| plan.keep_alive && plan.framing == Framing::None);
        let close = !keeps || self.worker.is_leaving();
        let mut out = self.worker.borrow_output();
        let ticket = &mut *self.ticket;
        let setting = Setting {
            accept: &config.keys.accept,
            format: config.errors,
            request_id: ticket.id.as_bytes(),
            date: self.worker.watch.date(),
            origin: &ticket.origin,
            // Of a request that was not read, as its first line says.
            head: ticket.method == MethodLabel::Head,
            connection: reply::Connection::of(plan.map_or(Version::Http11, |plan| plan.version), close),
            grpc: plan.map_or(self.call == Call::Grpc, |plan| plan.grpc),
        };
        ticket.begun = true;
        ticket.bytes_out = reply.write(&setting, &mut out) as u64;
        let sent = self.write_all(view, &out).await;
        self.worker.return_output(out);
        close || sent.is_err()
    }

    /// Answers bytes that never became a request, counts them, and ends the connection.
    pub(super) async fn refuse(&mut self, error: ProxyError) {
        let view = self.worker.view();
        self.ticket.id = self.worker.request_ids.next();
        self.ticket.read_line(self.input.filled(), &self.worker, &view.snapshot.config);
        self.call = self.call.refused_for(error, self.input.filled());
        self.answer_error(&view, error, None).await;
        self.ticket.close(&self.worker, &view, self.worker.clocks().0);
        self.linger().await;
    }

    /// The same in HTTP/2, for a connection on which no stream was taken.
    pub(super) async fn say_goodbye(&mut self, error: ProxyError) {
        let view = self.worker.view();
        self.ticket.id = self.worker.request_ids.next();
        self.ticket.refuse(error);
        // Whether it arrives or not, the connection ends.
        let _ = self.write_all(&view, NO_ROOM).await;
        self.ticket.close(&self.worker, &view, self.worker.clocks().0);
        self.linger().await;
    }

    /// Ends a request that panicked: answered if nothing was yet, and counted in any case.
    pub(super) async fn answer_panic(&mut self) {
        let view = self.judged_under();
        let request_id = String::from_utf8_lossy(self.ticket.id.as_bytes()).into_owned();
        tracing::error!(request_id, "a request panicked; its connection is closed");
        if self.ticket.open && !self.ticket.begun {
            self.answer_error(&view, ProxyError::Internal(Inside::Failed), None).await;
        }
        if self.ticket.open {
            self.ticket.code = Code::named(ProxyError::Internal(Inside::Failed).code());
            self.ticket.close(&self.worker, &view, self.worker.clocks().0);
        }
        if !self.ticket.begun || self.ticket.status == 500 {
            self.linger().await;
        }
    }

    /// Writes and flushes, for as long as the caller takes some of it in time.
    pub(super) async fn write_all(&mut self, view: &View, out: &[u8]) -> io::Result<()> {
        let stall = view.snapshot.config.limits.write_stall;
        let (mut left, mut deadline) = (out, Moment::NEVER);
        poll_fn(|cx| {
            let before = left.len();
            let written = self.poll_write(&mut left, cx);
            if written.is_pending() {
                if deadline == Moment::NEVER || left.len() < before {
                    deadline = self.slot.read().after(stall);
                }
                if self.slot.now() >= deadline {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                self.slot.arm(deadline, cx);
            }
            written
        })
        .await
    }

    /// Writes what the stream takes of `left`, and flushes it where that is all.
    fn poll_write(&mut self, left: &mut &[u8], cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !left.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, left))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *left = left.get(count..).unwrap_or_default();
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Ends the connection so that the answer arrives: a close with unread bytes would reset it (RFC 9112 9.6).
    pub(super) async fn linger(&mut self) {
        let deadline = self.slot.now().after(LINGER);
        // TLS has something to write at its end, and the caller may not take it.
        let shut = poll_fn(|cx| {
            let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
            if shut.is_pending() {
                if self.slot.now() >= deadline {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                self.slot.arm(deadline, cx);
            }
            shut
        });
        if shut.await.is_err() {
            return;
        }
        let mut left = LINGER_BYTES;
        self.input.erase(self.input.len());
        loop {
            let read = poll_fn(|cx| {
                if self.slot.now() >= deadline {
                    return Poll::Ready(Ok(0));
                }
                self.slot.arm(deadline, cx);
                if left == 0 {
                    // A caller that sends on without end is held up by a full window rather than cut off by a reset,
                    // so that it comes to read the answer.
                    return Poll::Pending;
                }
                self.worker.buffers.poll_fill(&mut self.stream, &mut self.input, cx)
            });
            match read.await {
                Ok(count @ 1..) => left = left.saturating_sub(count),
                Ok(0) | Err(_) => break,
            }
            // A request among it has a key.
            self.input.erase(self.input.len());
        }
        self.worker.buffers.reclaim(&mut self.input);
    }
}
