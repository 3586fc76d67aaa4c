//! One exchange with the upstream: a single task drives both sockets.
//!
//! The request goes out while the answer comes in; neither body is ever held whole. Whatever goes wrong before the
//! answer began is told apart from what goes wrong later: the first can be answered, the second can only be cut off,
//! because a short body must never look like a complete one.

mod caller;
mod download;
mod fate;
mod upload;

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::http1::head::Framing;
use crate::policy::Denial;
use crate::snapshot::Timeouts;

use super::Plan;
use super::buffer::Buffer;
use super::error::{Lateness, Overload, ProxyError, Slowness};
use super::stream::Stream;
use super::ticket::{SWITCHED, Ticket};
use super::upstream::fleet::Server;
use super::upstream::{Lease, Pending};
use super::watch::{Moment, Slot};
use super::worker::{View, Worker};
use super::{holder, tunnel};

use download::Download;
pub(crate) use fate::Fate;
pub(crate) use upload::Upload;

/// How long an upstream that was asked `Expect: 100-continue` may say nothing before the body is read all the same.
const HOLD: Duration = Duration::from_secs(1);

/// The two ends that an exchange connects, and what goes with them.
pub(crate) struct Ends<'c> {
    pub(crate) worker: &'c Worker,
    pub(crate) view: &'c View,
    /// Who is asked, and where the connection goes back to.
    pub(crate) server: &'c Server,
    pub(crate) plan: &'c Plan,
    pub(crate) slot: &'c Slot,
    pub(crate) down: &'c mut Stream,
    /// Bytes of the caller's that were read and not used: the start of the body, or the next requests.
    pub(crate) input: &'c mut Buffer,
    /// The upstream's head, as it was written by the decision.
    pub(crate) head: &'c [u8],
    pub(crate) ticket: &'c mut Ticket,
    /// Given up when the answer begins: from then on the request waits for nothing.
    pub(crate) pending: &'c mut Option<Pending>,
    /// How long the upstream may take.
    pub(crate) timeouts: &'c Timeouts,
    /// When the whole exchange, attempts and all, must be over.
    pub(crate) until: Moment,
    /// What of an attempt before has to be sent again; then the same of this one, where the upstream did nothing of it.
    pub(crate) again: &'c mut Option<Box<Upload>>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// Whole; `close` when the caller's connection cannot carry another request.
    Complete { close: bool },
    /// The caller went away.
    CallerGone,
    /// The answer had begun and cannot be completed, because of this.
    Cut(ProxyError),
    /// Nothing was answered yet.
    Failed(ProxyError),
    /// The whole took longer than `timeouts.request`, whoever took his time; `begun` when the answer had.
    Overdue { begun: bool },
    /// It lasted longer than the key that opened it: that does not hold any more, for this reason.
    KeyEnded(Denial),
    /// The upstream closed the connection before any byte of an answer; `reused` where it had carried another request before.
    Unanswered { reused: bool, fate: Fate },
}

/// Sends a request on `lease` and relays the answer. A connection that can be used again goes back to the pool.
/// The second value is the clock at the end.
#[expect(
    clippy::manual_async_fn,
    reason = "an async fn has room for its arguments twice, and there is one for each request"
)]
pub(crate) fn run(mut ends: Ends<'_>, mut lease: Lease) -> impl Future<Output = (End, Instant)> {
    async move {
        let mut relay = Relay::start(&mut ends, &lease);
        let end = poll_fn(|cx| relay.poll(&mut ends, &mut lease, cx)).await;
        if end.is_ok() && relay.download.is_tunnel() {
            // Apart, so that an ordinary request has no room for it.
            return (Box::pin(relay.tunnel(&mut ends, lease)).await, Instant::now());
        }
        relay.finish(&mut ends, lease, end)
    }
}

/// The state of an exchange, apart from the sockets.
struct Relay {
    upload: Upload,
    download: Download,
    deadlines: Deadlines,
    /// The monotonic clock, read at most once for each wake-up.
    reading: Cell<Option<Instant>>,
    /// The key does not hold any more: no answer begins that may last.
    denied: Option<Denial>,
}

/// By when each part must have moved.
struct Deadlines {
    answer: Moment,
    hold: Moment,
    total: Moment,
    upload: Moment,
    /// The upload has moved, or may begin to: from the end of this turn on it has so much time to move again. Kept as long as
    /// it is held.
    moved: Option<Duration>,
    write: Moment,
    /// When the caller is to be looked at again, where nobody is woken when it goes.
    look: Moment,
}

impl Deadlines {
    fn start(ends: &Ends<'_>, upload: &Upload) -> Self {
        let now = ends.slot.now();
        let config = &ends.view.snapshot.config;
        let has_body = ends.plan.framing != Framing::None;
        Self {
            answer: Moment::NEVER,
            hold: if upload.is_held() { now.after(HOLD) } else { Moment::NEVER },
            total: ends.until,
            upload: Moment::NEVER,
            moved: Some(if has_body { config.limits.body_stall } else { ends.timeouts.response }),
            write: Moment::NEVER,
            look: Moment::NEVER,
        }
    }

    /// The earliest of them. While the answer is `stuck` in the caller, who must take some of it in time, the upload may rest:
    /// an upstream that cannot write need not read.
    fn earliest(&self, stuck: bool) -> Moment {
        let upload = if stuck { Moment::NEVER } else { self.upload };
        self.answer.min(self.hold).min(self.total).min(upload).min(self.write).min(self.look)
    }
}

impl Relay {
    fn start(ends: &mut Ends<'_>, lease: &Lease) -> Self {
        let upload = match ends.again.take() {
            Some(upload) => upload.with_head(ends.head.len()),
            None => Upload::new(ends.plan, ends.head.len(), (&*ends.down, &lease.stream)),
        };
        // Whatever length is announced: how long it takes to send it is up to the caller.
        if ends.plan.framing != Framing::None && holder::is_held(ends.ticket, ends.view) {
            ends.slot.outlast();
        }
        Self {
            deadlines: Deadlines::start(ends, &upload),
            upload,
            download: Download::new(),
            reading: Cell::new(None),
            denied: None,
        }
    }

    /// What comes after an answer that agreed to another protocol.
    async fn tunnel(&mut self, ends: &mut Ends<'_>, lease: Lease) -> End {
        let received = self.download.take_rest();
        self.download.give_back(ends.worker);
        self.upload.give_back(ends.worker);
        // That was its answer: however the tunnel ends, it says nothing of the server.
        ends.view.fleet.note_answer(ends.server, SWITCHED);
        let end = tunnel::run(ends, lease, received).await;
        ends.slot.settle();
        end
    }

    /// What comes after any other answer, and after none.
    fn finish(mut self, ends: &mut Ends<'_>, lease: Lease, end: Result<(), End>) -> (End, Instant) {
        let end = match end {
            Ok(()) => End::Complete { close: self.download.closes || !self.upload.is_read() },
            Err(end) => end,
        };
        ends.slot.settle();
        if end == End::CallerGone && self.upload.is_stuck() {
            // An end in order would wait behind what the upstream does not take.
            lease.stream.reset_on_close();
        }
        // Whatever begins to wait now has its whole time.
        let now = self.now();
        ends.worker.watch.set(now);
        if self.download.resets && matches!(end, End::Complete { .. }) {
            ends.down.close_in_order();
        }
        if matches!(end, End::Complete { .. }) && self.upload.is_sent() && self.download.is_reusable() {
            if self.download.bodyless {
                ends.server.pool.put_to_rest(lease);
            } else {
                ends.server.pool.put(lease);
            }
        }
        self.download.give_back(ends.worker);
        if matches!(end, End::Unanswered { fate, .. } if fate.is_harmless()) {
            *ends.again = self.upload.into_another().map(Box::new);
        } else {
            self.upload.give_back(ends.worker);
        }
        (end, now)
    }

    fn poll(&mut self, ends: &mut Ends<'_>, lease: &mut Lease, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        self.reading.set(None);
        if ends.slot.is_due() {
            match holder::ask(ends.worker, ends.ticket) {
                Ok(expires) => {
                    ends.slot.hold_until(expires);
                    self.denied = None;
                }
                Err(denial) if self.awaits_outcome(ends) => self.denied = Some(denial),
                Err(denial) => return Poll::Ready(Err(End::KeyEnded(denial))),
            }
        }
        loop {
            if let Poll::Ready(complete) = self.poll_bodies(ends, lease, cx) {
                return Poll::Ready(complete);
            }
            // While the body is held nobody is to move: its time begins when it is let go.
            let held = self.upload.is_held();
            if let Some(most) = self.deadlines.moved.take_if(|_| !held) {
                self.deadlines.upload = self.mark(ends).after(most);
            }
            // After all that has come by now: a process that was stopped for a while has what came in time.
            self.check_deadlines(ends)?;
            if held == self.upload.is_held() {
                break;
            }
        }
        ends.slot.arm(self.deadlines.earliest(self.download.stuck), cx);
        Poll::Pending
    }

    /// The upstream has the whole of a request that it may have carried out: its caller is told what came of it, whatever became
    /// of the key.
    fn awaits_outcome(&self, ends: &Ends<'_>) -> bool {
        self.upload.is_over() && !self.download.has_head() && !ends.plan.replayable
    }

    /// Moves what can be moved; ready when the answer is written whole.
    fn poll_bodies(&mut self, ends: &mut Ends<'_>, lease: &mut Lease, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        loop {
            // The upload first: the request is to be on its way before the answer is looked for.
            if !self.upload.is_over()
                && let Poll::Ready(sent) = self.poll_upload(ends, lease, cx)
            {
                sent?;
                (self.deadlines.upload, self.deadlines.moved) = (Moment::NEVER, None);
                if self.download.has_head() && !self.download.lasts {
                    ends.slot.settle();
                }
                if !self.download.has_head() {
                    // What comes may be a stream, and until it does nobody knows how long it takes.
                    if holder::is_held(ends.ticket, ends.view) {
                        ends.slot.outlast();
                    }
                    // From now on it is the upstream that is waited for.
                    ends.pending.get_or_insert_with(|| ends.worker.gate.count());
                    self.deadlines.answer = self.mark(ends).after(ends.timeouts.response);
                }
            }
            if self.upload.waits_for_caller() {
                // It is the caller who takes his time: that keeps nobody else out.
                *ends.pending = None;
            }
            let held = self.upload.is_held();
            if let Poll::Ready(complete) = self.poll_download(ends, lease, cx) {
                return Poll::Ready(complete);
            }
            if held == self.upload.is_held() {
                break;
            }
        }
        self.poll_caller(ends, cx)?;
        Poll::Pending
    }

    fn check_deadlines(&mut self, ends: &Ends<'_>) -> Result<(), End> {
        if ends.worker.is_over() && self.has_begun() {
            return Err(End::Cut(ProxyError::UpstreamTimeout(Lateness::CutOff)));
        }
        if ends.worker.is_over() {
            return Err(End::Failed(match self.upload.has_begun(ends.head.len()) {
                // Whoever is told to try again does so, and the API may have carried the request out.
                true => ProxyError::UpstreamTimeout(Lateness::Draining),
                false => ProxyError::Overloaded(Overload::Draining),
            }));
        }
        let now = ends.slot.now();
        let late = &self.deadlines;
        if late.hold <= now {
            self.release_hold();
            self.download.ask_caller_to_continue();
        }
        let late = &self.deadlines;
        if late.write <= now {
            return Err(End::CallerGone);
        }
        if ends.plan.grpc && ends.down.is_virtual() && self.upload.waits_for_caller() {
            // A stream of messages may be silent for as long as both sides like: gRPC has deadlines of its own, and HTTP/2
            // finds out that a caller is gone. Many servers answer nothing before the last message. Before the answer has
            // begun, though, no side but the caller has said that it is such a stream: it must be one with a key, which
            // can be revoked.
            if self.download.has_head() || holder::is_held(ends.ticket, ends.view) {
                self.deadlines.upload = Moment::NEVER;
            }
        }
        let late = &self.deadlines;
        let upload_is_late = late.upload <= now && !self.download.stuck;
        if upload_is_late && self.upload.waits_for_caller() {
            return Err(self.failure(ProxyError::RequestTimeout(Slowness::Body)));
        }
        if upload_is_late && ends.plan.framing != Framing::None {
            return Err(self.failure(ProxyError::UpstreamTimeout(Lateness::Untaken)));
        }
        if late.answer <= now && self.download.has_head() {
            return Err(End::Cut(ProxyError::UpstreamTimeout(Lateness::Stalled)));
        }
        if upload_is_late || late.answer <= now {
            return Err(self.failure(ProxyError::UpstreamTimeout(Lateness::Silent)));
        }
        if late.total <= now {
            return Err(End::Overdue { begun: self.has_begun() });
        }
        Ok(())
    }

    /// Lets the body go: the upstream asked for it, or said nothing for too long.
    fn release_hold(&mut self) {
        self.upload.release();
        self.deadlines.hold = Moment::NEVER;
    }

    /// What an error comes to: it can be answered only while nothing was.
    fn failure(&self, error: ProxyError) -> End {
        if self.has_begun() { End::Cut(error) } else { End::Failed(error) }
    }

    /// The caller has had a part of an answer.
    fn has_begun(&self) -> bool {
        self.download.has_head() || self.download.is_mid_write()
    }

    /// The time of this wake-up, which is also what the worker's coarse clock shows from now on: what begins to wait is not to
    /// wait for less than it should.
    fn mark(&self, ends: &Ends<'_>) -> Moment {
        ends.worker.watch.set(self.now());
        ends.slot.now()
    }

    fn now(&self) -> Instant {
        let now = self.reading.get().unwrap_or_else(Instant::now);
        self.reading.set(Some(now));
        now
    }
}

/// Writes `first` and then `second`, as one vectored write where both are there. Returns how many bytes were taken.
fn poll_write(stream: &mut Stream, first: &[u8], second: &[u8], cx: &mut Context<'_>) -> Poll<std::io::Result<usize>> {
    use std::io::IoSlice;
    use std::pin::Pin;
    use tokio::io::AsyncWrite;
    let stream = Pin::new(stream);
    let written = ready!(match (first.is_empty(), second.is_empty()) {
        (false, false) => stream.poll_write_vectored(cx, &[IoSlice::new(first), IoSlice::new(second)]),
        (true, _) => stream.poll_write(cx, second),
        (false, true) => stream.poll_write(cx, first),
    })?;
    if written == 0 {
        return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
    }
    Poll::Ready(Ok(written))
}

#[cfg(test)]
pub(super) mod tests;
