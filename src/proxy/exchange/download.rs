//! The answer on its way to the caller.

mod deliver;

use std::io;
use std::task::{Context, Poll, ready};

use crate::http1::body::{Body, BodyFault, Outgoing};
use crate::http1::head::{self, AnswerTo, Excess, HeadFault, Kind, Limits, ResponseFraming, ResponseHead, Version};
use crate::proxy::answer::{self, Frame};
use crate::proxy::buffer::Buffer;
use crate::proxy::error::{Breach, ProxyError};
use crate::proxy::holder;
use crate::proxy::upgrade;
use crate::proxy::upstream::Lease;
use crate::proxy::watch::Moment;
use crate::proxy::worker::Worker;
use crate::snapshot::Cors;

use super::{End, Ends, Relay};

/// The most interim answers (1xx) that are taken before the final one.
const INTERIM: u8 = 8;
/// What the head of an answer may take.
const LIMITS: Limits = Limits { header_bytes: 64 * 1024, headers: 256, target_bytes: 0 };

/// What an answer is whose head the buffer has no room for.
const TOO_LARGE: Breach = Breach::MalformedHead(HeadFault::HeadersTooLarge(Excess::Bytes));

/// The most of a chunked body that is framed at once: it is copied, and a caller that stalls holds it.
const PIECE: usize = 32 * 1024;

/// The most of a body that is copied behind its head: one piece costs the kernel less than two, by more than the copy takes.
const BEHIND_HEAD: usize = 4 * 1024;

/// What of the answer is still to be read and to be written.
pub(super) struct Download {
    /// Bytes of the upstream's that were read and not used.
    input: Buffer,
    phase: Phase,
    /// Heads, chunk lines and chunked data, still to be written from `written` on.
    out: Vec<u8>,
    written: usize,
    /// Bytes at the start of `input` that go on as they are, after `out`.
    direct: usize,
    unflushed: bool,
    interim: u8,
    /// The caller was asked by us to go on, so the upstream's own 100 is not passed on.
    continued: bool,
    /// How the body turned out to be malformed: what was good of it is delivered, then the connection is cut.
    broken: Option<BodyFault>,
    /// The upstream agreed to keep its connection.
    keeps: bool,
    /// The caller's connection ends after this answer.
    pub(super) closes: bool,
    /// The answer has no body whatever its head says, so one that was sent all the same may still be on its way.
    pub(super) bodyless: bool,
    /// The caller's connection is set to end in a reset, until the answer is complete.
    pub(super) resets: bool,
    /// Nobody has said how long the answer is.
    pub(super) lasts: bool,
    /// It is the caller who keeps the answer from going on.
    pub(super) stuck: bool,
}

/// Nobody says how long the answer is that begins so.
fn lasts(head: &ResponseHead<'_>) -> bool {
    head.status >= 200 && matches!(head.framing, ResponseFraming::Chunked | ResponseFraming::UntilClose)
}

enum Phase {
    Body(Body),
    Head,
    /// The answer was a 101: what follows it is no answer.
    Tunnel,
}

impl Download {
    pub(super) fn new() -> Self {
        Self {
            input: Buffer::default(),
            phase: Phase::Head,
            out: Vec::new(),
            written: 0,
            direct: 0,
            unflushed: false,
            interim: 0,
            continued: false,
            broken: None,
            keeps: false,
            closes: false,
            bodyless: false,
            resets: false,
            lasts: false,
            stuck: false,
        }
    }

    /// The final answer has begun.
    pub(super) fn has_head(&self) -> bool {
        matches!(self.phase, Phase::Body(_) | Phase::Tunnel)
    }

    /// The caller's connection has become a tunnel.
    pub(super) fn is_tunnel(&self) -> bool {
        matches!(self.phase, Phase::Tunnel)
    }

    /// What the upstream sent behind its 101.
    pub(super) fn take_rest(&mut self) -> Buffer {
        std::mem::take(&mut self.input)
    }

    /// The answer was read to its end.
    fn is_read(&self) -> bool {
        matches!(&self.phase, Phase::Body(body) if body.is_done())
    }

    /// The upstream's connection may carry another request: the answer is complete and nothing came after it.
    pub(super) fn is_reusable(&self) -> bool {
        self.keeps && self.input.is_empty() && self.is_read()
    }

    /// Part of a head was written, so nothing else may follow but the rest of it.
    pub(super) fn is_mid_write(&self) -> bool {
        self.written > 0
    }

    /// Tells the caller to send its body, in the upstream's place.
    pub(super) fn ask_caller_to_continue(&mut self) {
        if !self.has_head() && !self.continued {
            self.continued = true;
            self.out.extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
    }

    /// Hands the buffers back to the worker.
    pub(super) fn give_back(&mut self, worker: &Worker) {
        self.input.consume(self.input.len());
        worker.buffers.reclaim(&mut self.input);
        worker.return_output(std::mem::take(&mut self.out));
    }

    fn has_output(&self) -> bool {
        self.written < self.out.len() || self.direct > 0
    }

    fn sent(&mut self, count: usize) {
        let of_out = count.min(self.out.len() - self.written);
        self.written += of_out;
        self.direct -= count - of_out;
        self.input.consume(count - of_out);
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        self.unflushed = true;
    }

    /// Turns what the upstream has sent into what goes on; returns how many bytes that was.
    fn frame(&mut self) -> usize {
        let Phase::Body(body) = &mut self.phase else { return 0 };
        let direct = body.take(self.input.len());
        if direct > 0 && direct <= BEHIND_HEAD && !self.out.is_empty() {
            self.out.extend_from_slice(self.input.filled().get(..direct).unwrap_or_default());
            self.input.consume(direct);
            return direct;
        }
        self.direct = direct;
        if direct > 0 {
            return direct;
        }
        let piece = self.input.filled();
        match body.pass(piece.get(..PIECE).unwrap_or(piece), &mut self.out) {
            Ok(passed) => {
                self.input.consume(passed.consumed);
                passed.data
            }
            Err(fault) => {
                self.broken = Some(fault);
                0
            }
        }
    }
}

impl Relay {
    /// Ready when the answer is written whole.
    pub(super) fn poll_download(
        &mut self,
        ends: &mut Ends<'_>,
        lease: &mut Lease,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), End>> {
        loop {
            if self.download.has_output() || self.download.unflushed {
                if ready!(self.poll_deliver(ends, cx)).is_err() {
                    return Poll::Ready(Err(End::CallerGone));
                }
                continue;
            }
            if let Some(fault) = self.download.broken {
                return Poll::Ready(Err(End::Cut(ProxyError::UpstreamFailed(Breach::MalformedBody(fault)))));
            }
            if self.download.is_read() || self.download.is_tunnel() {
                return Poll::Ready(Ok(()));
            }
            if !self.download.input.is_empty() {
                if self.download.has_head() {
                    self.relay(ends);
                    continue;
                }
                if self.read_head(ends)? {
                    continue;
                }
            }
            ends.worker.buffers.fit(&mut self.download.input, ends.down.room().or(lease.stream.room()));
            let (buffers, input) = (&ends.worker.buffers, &mut self.download.input);
            if !input.is_empty() && !buffers.make_room(input, LIMITS.header_bytes) {
                return Poll::Ready(Err(self.break_off(TOO_LARGE)));
            }
            // The waker is with the socket since the connection was taken: see the invariant of the field.
            if std::mem::take(&mut lease.quiet) {
                return Poll::Pending;
            }
            let read = buffers.poll_fill(&mut lease.stream, &mut self.download.input, cx);
            if read.is_pending() && self.download.has_head() && !self.download.lasts {
                self.await_rest(ends);
            }
            match ready!(read) {
                Ok(1..) if self.download.has_head() => self.deadlines.answer = Moment::NEVER,
                Ok(1..) => {}
                ended => self.end_of_stream(&ended, ends, lease)?,
            }
        }
    }

    /// Reads one head off the input, interim or final. False when it is not complete.
    fn read_head(&mut self, ends: &mut Ends<'_>) -> Result<bool, End> {
        let input = std::mem::take(&mut self.download.input);
        let (read, denied) = {
            let mut head = ResponseHead::unread();
            let answer = head::response_into((input.filled(), ends.plan.answer_to), &LIMITS, &mut head);
            let head = &head;
            let denied = self.denied.filter(|_| answer == Ok(true) && (head.status == 101 || lasts(head)));
            let read = match answer {
                _ if denied.is_some() => Ok(0),
                Ok(false) => Ok(0),
                Ok(true) if head.status == 101 => self.switch(head, ends).map(|()| head.size),
                Ok(true) if head.status < 200 => self.interim(head, ends).map(|()| head.size),
                // To a CONNECT it would say that there is a tunnel.
                Ok(true) if head.status < 300 && ends.plan.connect.is_some() => Err(Breach::NotSwitched),
                Ok(true) => {
                    self.begin(head, ends);
                    Ok(head.size)
                }
                Err(fault) => Err(Breach::MalformedHead(fault)),
            };
            (read, denied)
        };
        self.download.input = input;
        if let Some(denial) = denied {
            return Err(End::KeyEnded(denial));
        }
        let size = read.map_err(|breach| self.break_off(breach))?;
        self.download.input.consume(size);
        if self.download.has_head() && !self.download.input.is_empty() {
            self.relay(ends);
        }
        Ok(size > 0)
    }

    /// The upstream switches protocols: to the one that it was offered, and once it had the whole request, or not at all.
    fn switch(&mut self, head: &ResponseHead<'_>, ends: &mut Ends<'_>) -> Result<(), Breach> {
        if !ends.plan.upgrade {
            return Err(Breach::Unasked);
        }
        if !upgrade::is_agreed(head) || !self.upload.is_sent() {
            return Err(Breach::AnotherProtocol);
        }
        if ends.plan.connect.is_some_and(|nonce| !nonce.is_proved(head)) {
            return Err(Breach::AnotherNonce);
        }
        let date = ends.plan.connect.map(|_| ends.worker.watch.date());
        answer::write_switch(head, ends.ticket.id.as_bytes(), date.as_ref(), &mut self.download.out);
        self.download.phase = Phase::Tunnel;
        self.answered(head.status, ends);
        Ok(())
    }

    /// The final answer has come: nobody waits for it any more.
    fn answered(&mut self, status: u16, ends: &mut Ends<'_>) {
        self.deadlines.answer = Moment::NEVER;
        self.upload.forget();
        *ends.pending = None;
        ends.ticket.begun = true;
        ends.ticket.status = status;
        ends.ticket.answered = Some(self.now());
    }

    /// An interim answer: passed on to callers of HTTP/1.1; a 100 also lets the body go.
    fn interim(&mut self, head: &ResponseHead<'_>, ends: &Ends<'_>) -> Result<(), Breach> {
        self.download.interim += 1;
        if self.download.interim > INTERIM {
            return Err(Breach::TooManyInterim);
        }
        let is_continue = head.status == 100;
        if is_continue {
            self.release_hold();
        }
        let unasked = is_continue && (!ends.plan.expects || self.download.continued);
        if ends.plan.version == Version::Http11 && !unasked {
            self.download.continued |= is_continue;
            answer::write_interim(head, &mut self.download.out);
        }
        Ok(())
    }

    /// The final answer: its head goes out, its body follows.
    fn begin(&mut self, head: &ResponseHead<'_>, ends: &mut Ends<'_>) {
        let body = Body::of_response(head.framing, ends.plan.version);
        // An answer that comes before the request was read whole leaves the connection where no next request is found.
        let close = !ends.plan.keep_alive
            || !self.upload.is_read()
            || ends.worker.is_leaving()
            || body.outgoing() == Outgoing::UntilClose;
        let frame = Frame {
            version: ends.plan.version,
            answer_to: ends.plan.answer_to,
            request_id: ends.ticket.id.as_bytes(),
            date: ends.worker.watch.date(),
            origin: &ends.ticket.origin,
            varies: ends.view.snapshot.config.cors.as_ref().is_some_and(Cors::varies),
            close,
        };
        if self.download.out.capacity() == 0 {
            self.download.out = ends.worker.borrow_output();
        }
        answer::write_head(head, &body, &frame, &mut self.download.out);
        if body.outgoing() == Outgoing::UntilClose {
            // Such a body looks whole to a caller that sees the connection end in order: until it is, it does not.
            ends.down.reset_on_close();
            self.download.resets = true;
        }
        self.download.closes = close;
        // A 204 that announces a body is one that nobody can find the end of (RFC 9110 15.3.5).
        let announces = head.content_length.is_some_and(|length| length > 0)
            || head.fields.iter().any(|field| field.kind == Kind::TransferEncoding);
        self.download.keeps = head.keep_alive && !(head.status == 204 && announces);
        self.download.lasts = lasts(head);
        if self.download.lasts && holder::is_held(ends.ticket, ends.view) {
            ends.slot.outlast();
        } else if self.upload.is_over() {
            ends.slot.settle();
        }
        self.download.phase = Phase::Body(body);
        self.download.bodyless = head.status == 204 || head.status == 304 || ends.plan.answer_to == AnswerTo::Head;
        self.answered(head.status, ends);
    }

    fn relay(&mut self, ends: &mut Ends<'_>) {
        // Bytes after a complete answer stay where they are: the connection is not used again, or is a tunnel.
        if !self.download.is_read() {
            ends.ticket.bytes_out += self.download.frame() as u64;
        }
    }

    /// The upstream sends no more.
    fn end_of_stream(&mut self, ended: &io::Result<usize>, ends: &Ends<'_>, lease: &Lease) -> Result<(), End> {
        let Download { phase, out, keeps, input, interim, .. } = &mut self.download;
        match phase {
            Phase::Body(body) => {
                *keeps = false;
                // A reset is never the end of a body that is delimited by the end.
                if ended.is_err() || body.finish(out).is_err() {
                    return Err(End::Cut(ProxyError::UpstreamFailed(Breach::BrokenOff)));
                }
                Ok(())
            }
            // A tunnel reads its upstream itself.
            Phase::Tunnel => Ok(()),
            Phase::Head if input.is_empty() && *interim == 0 => {
                Err(End::Unanswered { reused: lease.reused, fate: self.fate(ended, ends, lease) })
            }
            Phase::Head if input.is_empty() => Err(self.break_off(Breach::Unanswered)),
            Phase::Head => Err(self.break_off(Breach::BrokenOff)),
        }
    }

    fn break_off(&self, breach: Breach) -> End {
        self.failure(ProxyError::UpstreamFailed(breach))
    }
}
