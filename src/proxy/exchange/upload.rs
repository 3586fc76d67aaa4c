//! The request on its way to the upstream.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use crate::http1::body::{Body, BodyFault};
use crate::http1::head::Framing;
use crate::proxy::Plan;
use crate::proxy::error::ProxyError;
use crate::proxy::stream::Stream;
use crate::proxy::upstream::Lease;
use crate::proxy::worker::Worker;

use super::{End, Ends, Relay, poll_write};

/// How much of a body is kept until an upstream of HTTP/2 answers, which may refuse a stream that it did nothing of.
const KEPT: usize = 64 * 1024;

/// What of the request is still to be read and to be sent.
pub(crate) struct Upload {
    body: Body,
    /// Bytes of the head still to be sent.
    head_left: usize,
    /// Chunk lines and data of a chunked body, still to be sent from `written` on.
    out: Vec<u8>,
    written: usize,
    /// Bytes at the start of the input that go on as they are, after `out`.
    direct: usize,
    /// Waits for the upstream to ask for the body.
    held: bool,
    /// Bytes of the body that the upstream was promised by `Content-Length` and has not been sent.
    owed: u64,
    state: State,
    /// What was sent of the body, as far as it may have to be sent again; `None` where it is not, or is too much.
    kept: Option<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The upstream takes no more of it; its answer may still come.
    Abandoned,
    Sending,
    /// Every byte was handed to the kernel.
    Sent,
}

/// What becomes of the caller's trailers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Trailers {
    Drop,
    /// Both sides speak HTTP/2: they go on, filtered.
    Pass,
}

impl Upload {
    /// Of a request whose head has `head` bytes, from `down` to `up`.
    pub(super) fn new(plan: &Plan, head: usize, (down, up): (&Stream, &Stream)) -> Self {
        let trailers = if down.is_virtual() && up.is_virtual() { Trailers::Pass } else { Trailers::Drop };
        Self {
            body: match trailers {
                Trailers::Drop => Body::of_request(plan.framing),
                Trailers::Pass => Body::of_request_with_trailers(plan.framing),
            },
            head_left: head,
            out: Vec::new(),
            written: 0,
            direct: 0,
            held: plan.expects,
            owed: match plan.framing {
                Framing::Length(length) => length,
                Framing::Chunked | Framing::None => 0,
            },
            state: State::Sending,
            kept: up.is_virtual().then(Vec::new),
        }
    }

    /// The same from its beginning, where it is known what was sent of it.
    pub(super) fn into_another(mut self) -> Option<Self> {
        let mut again = self.kept.take()?;
        again.extend_from_slice(self.out.get(self.written..).unwrap_or_default());
        Some(Self { out: again, written: 0, state: State::Sending, kept: Some(Vec::new()), ..self })
    }

    /// The same, with a head of `head` bytes that is still to be sent.
    pub(super) fn with_head(self, head: usize) -> Self {
        Self { head_left: head, ..self }
    }

    /// Hands the buffer back to the worker.
    pub(super) fn give_back(&mut self, worker: &Worker) {
        self.written = 0;
        worker.return_output(std::mem::take(&mut self.out));
    }

    /// The upstream has taken the request up: nothing of it will have to be sent again.
    pub(super) fn forget(&mut self) {
        self.kept = None;
    }

    /// Nothing further will be sent.
    pub(super) fn is_over(&self) -> bool {
        self.state != State::Sending
    }

    /// Something of the request was sent, whose head has `head` bytes.
    pub(super) fn has_begun(&self, head: usize) -> bool {
        self.head_left < head
    }

    /// The request was sent whole.
    pub(super) fn is_sent(&self) -> bool {
        self.state == State::Sent
    }

    /// The caller's body was read to its end: the next bytes are the next request.
    pub(super) fn is_read(&self) -> bool {
        self.body.is_done() && self.direct == 0
    }

    pub(super) fn is_held(&self) -> bool {
        self.held
    }

    pub(super) fn release(&mut self) {
        self.held = false;
    }

    /// It is the caller who keeps the upload from going on.
    pub(super) fn waits_for_caller(&self) -> bool {
        self.state == State::Sending && !self.has_output() && !self.held && !self.body.is_done()
    }

    /// It is the upstream who keeps the upload from going on.
    pub(super) fn is_stuck(&self) -> bool {
        self.state == State::Sending && self.has_output()
    }

    fn has_output(&self) -> bool {
        self.head_left > 0 || !self.is_unframed()
    }

    /// Nothing of the body waits to be sent. INVARIANT: only then is more of it framed. Bytes that were framed and not
    /// sent would otherwise be counted twice, and the upstream would be owed the difference.
    fn is_unframed(&self) -> bool {
        self.written == self.out.len() && self.direct == 0
    }

    /// Takes note that `count` bytes were sent: of the head, then of `out`, then of the input.
    fn sent(&mut self, count: usize, ends: &mut Ends<'_>) {
        let of_head = count.min(self.head_left);
        self.head_left -= of_head;
        let of_out = (count - of_head).min(self.out.len() - self.written);
        self.written += of_out;
        let direct = count - of_head - of_out;
        self.direct -= direct;
        self.owed = self.owed.saturating_sub(direct as u64);
        ends.input.consume(direct);
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
    }

    /// Turns what the caller has sent into what goes on; returns how many bytes of data that was.
    fn frame(&mut self, ends: &mut Ends<'_>) -> Result<usize, BodyFault> {
        self.direct = self.body.take(ends.input.len());
        if self.direct > 0 {
            return Ok(self.direct);
        }
        if self.out.capacity() == 0 {
            self.out = ends.worker.borrow_output();
        }
        let passed = self.body.pass(ends.input.filled(), &mut self.out)?;
        ends.input.consume(passed.consumed);
        Ok(passed.data)
    }
}

impl Relay {
    /// Ready when nothing further will be sent.
    pub(super) fn poll_upload(
        &mut self,
        ends: &mut Ends<'_>,
        lease: &mut Lease,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), End>> {
        loop {
            // The head goes out together with what there is of the body.
            if self.upload.is_unframed() && !self.upload.held && !self.upload.body.is_done() && !ends.input.is_empty() {
                self.frame_upload(ends)?;
            }
            if self.upload.has_output() {
                if ready!(self.poll_send(ends, lease, cx)).is_err() {
                    // The upstream may have answered before it stopped reading: its answer decides.
                    self.upload.state = State::Abandoned;
                    return Poll::Ready(Ok(()));
                }
                continue;
            }
            if self.upload.body.is_done() {
                // TLS may still hold bytes back.
                if ready!(Pin::new(&mut lease.stream).poll_flush(cx)).is_err() {
                    self.upload.state = State::Abandoned;
                    return Poll::Ready(Ok(()));
                }
                // Whatever was miscounted, a connection on which a body is owed is never used again.
                self.upload.state = if self.upload.owed == 0 { State::Sent } else { State::Abandoned };
                ends.ticket.sent = Some(self.now());
                return Poll::Ready(Ok(()));
            }
            // TLS may hold bytes back that the caller waits to see answered before it sends more.
            if let Poll::Ready(Err(_)) = Pin::new(&mut lease.stream).poll_flush(cx) {
                self.upload.state = State::Abandoned;
                return Poll::Ready(Ok(()));
            }
            if self.upload.held {
                return Poll::Pending;
            }
            if ends.input.is_empty() {
                ends.worker.buffers.fit(ends.input, ends.down.room());
                match ready!(ends.worker.buffers.poll_fill(ends.down, ends.input, cx)) {
                    Ok(1..) => self.renew_upload(ends),
                    Ok(0) | Err(_) => return Poll::Ready(Err(End::CallerGone)),
                }
            }
            self.frame_upload(ends)?;
        }
    }

    fn frame_upload(&mut self, ends: &mut Ends<'_>) -> Result<(), End> {
        let framed = self.upload.frame(ends);
        let count = framed.map_err(|fault| self.failure(ProxyError::BadRequest(describe(fault))))?;
        ends.ticket.bytes_in += count as u64;
        match ends.view.snapshot.config.limits.body_bytes {
            Some(most) if ends.ticket.bytes_in > most => Err(self.failure(ProxyError::BodyTooLarge)),
            _ => Ok(()),
        }
    }

    /// Sends once: the head with what follows it.
    fn poll_send(&mut self, ends: &mut Ends<'_>, lease: &mut Lease, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let Upload { head_left, out, written, direct, kept, .. } = &mut self.upload;
        let head = ends.head.get(ends.head.len() - *head_left..).unwrap_or_default();
        let framed = out.get(*written..).unwrap_or_default();
        let direct = ends.input.filled().get(..*direct).unwrap_or_default();
        // A body goes on either as it came or in chunks, unless it is sent again: seldom are more than two of the three there.
        let (first, second) = match (head.is_empty(), framed.is_empty()) {
            (true, _) => (framed, direct),
            (false, true) => (head, direct),
            (false, false) => (head, framed),
        };
        let written = ready!(poll_write(&mut lease.stream, first, second, cx))?;
        if let Some(sent) = kept {
            sent.extend(framed.iter().chain(direct).take(written.saturating_sub(head.len())));
            let most = lease.stream.room().map_or(KEPT, |room| room.allows(KEPT));
            *kept = kept.take_if(|sent| sent.len() <= most);
        }
        self.upload.sent(written, ends);
        self.renew_upload(ends);
        Poll::Ready(Ok(()))
    }

    fn renew_upload(&mut self, ends: &Ends<'_>) {
        self.deadlines.moved = Some(ends.view.snapshot.config.limits.body_stall);
    }
}

/// A sentence for the caller.
fn describe(fault: BodyFault) -> &'static str {
    match fault {
        BodyFault::ChunkEnd => "A chunk of the body does not end in CR LF.",
        BodyFault::ChunkSize => "A chunk size of the body is not 1 to 15 hexadecimal digits.",
        BodyFault::Extension => "A chunk extension has a control byte.",
        BodyFault::ExtensionTooLong => "The chunk extensions are longer than this gateway accepts.",
        BodyFault::Trailer => "A trailer is not a field line.",
        BodyFault::TrailersTooLong => "The trailers are longer than this gateway accepts.",
        BodyFault::Truncated => "The body ends before its length.",
    }
}
