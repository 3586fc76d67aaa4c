//! What follows a 101: bytes both ways, until both sides have ended or the tunnel has to.
//!
//! Nothing is read of a direction before what was read has been written, so each holds one buffer at most and a slow
//! reader slows the other side down. The end of one direction is passed on and the other goes on. Frames are not looked
//! into but for where they end: a tunnel that has to end says why to each side towards which a frame may begin, and is closed
//! without a word elsewhere. Towards the caller what is there of a frame is finished first; the upstream gets nothing more of
//! a caller that may not go on.

mod frames;

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWrite, copy, sink};
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::policy::Denial;

use super::buffer::{Buffer, Buffers};
use super::downstream::LINGER;
use super::error::{Breach, ProxyError};
use super::exchange::{End, Ends};
use super::holder;
use super::stream::{Presence, Stream};
use super::upstream::Lease;
use super::watch::{Moment, Slot, TICK};

use frames::Frames;

/// Close codes of RFC 6455 (7.4.1), and of IANA's list of them.
const GOING_AWAY: u16 = 1001;
const POLICY_VIOLATION: u16 = 1008;
const TRY_AGAIN_LATER: u16 = 1013;

/// How many bytes an upstream may still send once it was told that its tunnel ends.
const FAREWELL: u64 = 1 << 20;

/// One direction.
struct Way {
    /// Its sender has sent all there is.
    ended: bool,
    /// The end was passed on, or nobody takes anything more.
    over: bool,
    unflushed: bool,
    /// By when its receiver must have taken something.
    stalls: Moment,
}

/// What one direction connects.
struct Link<'s> {
    from: &'s mut Stream,
    to: &'s mut Stream,
    buffer: &'s mut Buffer,
    buffers: &'s Buffers,
}

/// The side of a direction that is gone.
enum Gone {
    Receiver,
    Sender,
}

/// Why a tunnel ends.
#[derive(Clone, Copy)]
enum Reason {
    CallerGone,
    /// The process ends.
    Draining,
    /// Nothing moved for too long.
    Idle,
    Key(Denial),
    UpstreamGone,
    /// Both directions have ended.
    Whole,
}

struct Tunnel {
    to_caller: Way,
    to_upstream: Way,
    /// What the upstream sent and the caller has not been written.
    received: Buffer,
    /// As written to the caller.
    frames: Frames,
    /// As written to the upstream.
    said: Frames,
    idle: Moment,
}

/// Runs a tunnel to its end. `received` is what the upstream sent behind its 101.
pub(super) async fn run(ends: &mut Ends<'_>, mut lease: Lease, received: Buffer) -> End {
    if holder::is_held(ends.ticket, ends.view) {
        ends.slot.outlast();
    }
    let mut tunnel = Tunnel {
        to_caller: Way::new(),
        to_upstream: Way::new(),
        received,
        frames: Frames::new(),
        said: Frames::new(),
        idle: ends.slot.read().after(ends.view.snapshot.config.limits.idle),
    };
    let reason = poll_fn(|cx| tunnel.poll(ends, &mut lease, cx)).await;
    let end = match reason {
        Reason::CallerGone => End::CallerGone,
        Reason::Draining | Reason::Idle | Reason::Whole => End::Complete { close: true },
        Reason::Key(denial) => End::KeyEnded(denial),
        Reason::UpstreamGone => End::Cut(ProxyError::UpstreamFailed(Breach::BrokenOff)),
    };
    if let Some((code, words)) = reason.words() {
        // The upstream first: it gets nothing more, whatever the caller takes.
        tunnel.dismiss(lease, (code, words)).await;
        tunnel.say_why(ends, frames::close(code, words)).await;
    }
    tunnel.received.consume(tunnel.received.len());
    ends.worker.buffers.reclaim(&mut tunnel.received);
    end
}

impl Reason {
    /// What both sides are told, where it is the gateway that ends the tunnel.
    fn words(self) -> Option<(u16, &'static str)> {
        match self {
            Self::CallerGone | Self::UpstreamGone | Self::Whole => None,
            Self::Draining => Some((GOING_AWAY, "draining")),
            Self::Idle => Some((GOING_AWAY, "idle")),
            Self::Key(denial @ Denial::KeyStoreUnavailable) => Some((TRY_AGAIN_LATER, denial.code())),
            Self::Key(denial) => Some((POLICY_VIOLATION, denial.code())),
        }
    }
}

impl Tunnel {
    fn poll(&mut self, ends: &mut Ends<'_>, lease: &mut Lease, cx: &mut Context<'_>) -> Poll<Reason> {
        if let Some(reason) = recalled(ends) {
            return Poll::Ready(reason);
        }
        // What the upstream said last is read before its end is noticed by a write.
        match self.poll_to_caller(ends, lease, cx) {
            Err(Gone::Receiver) => return Poll::Ready(Reason::CallerGone),
            Err(Gone::Sender) => return Poll::Ready(Reason::UpstreamGone),
            Ok(()) => {}
        }
        match self.poll_to_upstream(ends, lease, cx) {
            Err(Gone::Sender) => return Poll::Ready(Reason::CallerGone),
            // It may have said why before it stopped to listen.
            Err(Gone::Receiver) => (self.to_upstream.over, self.to_upstream.stalls) = (true, Moment::NEVER),
            Ok(()) => {}
        }
        if self.to_caller.over && self.to_upstream.over {
            return Poll::Ready(Reason::Whole);
        }
        // After all that has come by now: a process that was stopped for a while has what came in time.
        if let Some(reason) = self.overdue(ends.slot.now()) {
            return Poll::Ready(reason);
        }
        let mut next = self.idle.min(self.to_caller.stalls).min(self.to_upstream.stalls);
        if self.is_deaf(ends) {
            if ends.down.poll_presence(cx) == Presence::Gone {
                return Poll::Ready(Reason::CallerGone);
            }
            // At the next sweep: where something waits to be read, nobody is woken by what comes after it.
            next = ends.slot.now();
        }
        ends.slot.arm(next, cx);
        Poll::Pending
    }

    /// Nothing is read of the caller, and so its end is not either. One that was told that all is said may close its side in
    /// order.
    fn is_deaf(&self, ends: &Ends<'_>) -> bool {
        !self.to_caller.over && (self.to_upstream.over || !ends.input.is_empty())
    }

    /// Why the tunnel has to end at `now`, if nothing else has moved.
    fn overdue(&self, now: Moment) -> Option<Reason> {
        if self.to_caller.stalls <= now {
            return Some(Reason::CallerGone);
        }
        if self.to_upstream.stalls <= now {
            return Some(Reason::UpstreamGone);
        }
        (self.idle <= now).then_some(Reason::Idle)
    }

    fn poll_to_caller(&mut self, ends: &mut Ends<'_>, lease: &mut Lease, cx: &mut Context<'_>) -> Result<(), Gone> {
        let limits = &ends.view.snapshot.config.limits;
        let Self { to_caller, received, frames, idle, .. } = self;
        let buffers = &ends.worker.buffers;
        let mut link = Link { from: &mut lease.stream, to: ends.down, buffer: received, buffers };
        let mut moved = 0;
        let polled = to_caller.poll(
            &mut link,
            &mut |bytes| {
                frames.take(bytes);
                moved += bytes.len();
            },
            cx,
        );
        ends.ticket.bytes_out += moved as u64;
        to_caller.settle((ends.slot, limits.write_stall), moved, link.buffer);
        if moved > 0 {
            *idle = ends.slot.read().after(limits.idle);
        }
        outcome(polled)
    }

    fn poll_to_upstream(&mut self, ends: &mut Ends<'_>, lease: &mut Lease, cx: &mut Context<'_>) -> Result<(), Gone> {
        let limits = &ends.view.snapshot.config.limits;
        let buffers = &ends.worker.buffers;
        let mut link = Link { from: ends.down, to: &mut lease.stream, buffer: ends.input, buffers };
        let (mut moved, said) = (0, &mut self.said);
        let polled = self.to_upstream.poll(
            &mut link,
            &mut |bytes| {
                said.take(bytes);
                moved += bytes.len();
            },
            cx,
        );
        ends.ticket.bytes_in += moved as u64;
        self.to_upstream.settle((ends.slot, limits.write_stall), moved, link.buffer);
        if moved > 0 {
            self.idle = ends.slot.read().after(limits.idle);
        }
        outcome(polled)
    }

    /// Tells the upstream why the tunnel ends, if a frame may begin there and it takes that one at once. It is then for the
    /// upstream to answer and to close first (RFC 6455, 7.1.1); otherwise its connection is closed as it stands.
    async fn dismiss(&self, mut lease: Lease, (code, words): (u16, &str)) {
        let mut mask = [0; 4];
        if self.to_upstream.ended || !self.said.is_open() || getrandom::fill(&mut mask).is_err() {
            return;
        }
        let frame = frames::close_masked(code, words, mask);
        let sent = poll_fn(|cx| {
            let mut stream = Pin::new(&mut lease.stream);
            let wrote =
                matches!(stream.as_mut().poll_write(cx, &frame), Poll::Ready(Ok(count)) if count == frame.len());
            Poll::Ready(wrote && !matches!(stream.poll_flush(cx), Poll::Ready(Err(_))))
        });
        if sent.await {
            // A connection that is closed while the upstream sends is reset, and what it was told is lost. Apart, so that the
            // caller does not wait for it.
            spawn_local(async move {
                let mut answer = (&mut lease.stream).take(FAREWELL);
                let _ = timeout(LINGER, copy(&mut answer, &mut sink())).await;
            });
        }
    }

    /// Sends `last` to the caller if a frame may begin there, and if he takes it soon.
    async fn say_why(&mut self, ends: &mut Ends<'_>, last: Vec<u8>) {
        let waiting = self.received.filled();
        let Some(rest) = self.frames.to_boundary(waiting).filter(|_| !self.to_caller.ended) else { return };
        let bytes = [waiting.get(..rest).unwrap_or_default(), last.as_slice()].concat();
        let deadline = ends.slot.read().after(TICK);
        let mut left = bytes.as_slice();
        poll_fn(|cx| {
            while !left.is_empty() {
                match Pin::new(&mut *ends.down).poll_write(cx, left) {
                    Poll::Ready(Ok(count @ 1..)) => left = left.get(count..).unwrap_or_default(),
                    Poll::Pending if ends.slot.now() < deadline => {
                        ends.slot.arm(deadline, cx);
                        return Poll::Pending;
                    }
                    _ => return Poll::Ready(()),
                }
            }
            ends.ticket.bytes_out += bytes.len() as u64;
            Poll::Ready(())
        })
        .await;
    }
}

/// Why the tunnel may not go on, whatever waits to be moved.
fn recalled(ends: &Ends<'_>) -> Option<Reason> {
    if ends.worker.is_over() {
        return Some(Reason::Draining);
    }
    if ends.slot.is_due() {
        match holder::ask(ends.worker, ends.ticket) {
            Ok(until) => ends.slot.hold_until(until),
            Err(denial) => return Some(Reason::Key(denial)),
        }
    }
    None
}

fn outcome(polled: Poll<Result<(), Gone>>) -> Result<(), Gone> {
    match polled {
        Poll::Pending => Ok(()),
        Poll::Ready(outcome) => outcome,
    }
}

impl Way {
    fn new() -> Self {
        Self { ended: false, over: false, unflushed: false, stalls: Moment::NEVER }
    }

    /// Passes on what it can, and tells `passed` of it; ready when all has been, the end included.
    fn poll(
        &mut self,
        link: &mut Link<'_>,
        passed: &mut dyn FnMut(&[u8]),
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Gone>> {
        while !self.over {
            if !link.buffer.is_empty() {
                let wrote = Pin::new(&mut *link.to).poll_write(cx, link.buffer.filled());
                let Ok(count @ 1..) = ready!(wrote) else { return Poll::Ready(Err(Gone::Receiver)) };
                passed(link.buffer.filled().get(..count).unwrap_or_default());
                link.buffer.consume(count);
                self.unflushed = true;
                continue;
            }
            if self.ended {
                // TLS says that it ends, too.
                self.over = ready!(Pin::new(&mut *link.to).poll_shutdown(cx)).is_ok();
                return Poll::Ready(if self.over { Ok(()) } else { Err(Gone::Receiver) });
            }
            match link.buffers.poll_fill(link.from, link.buffer, cx) {
                Poll::Ready(Ok(0)) if link.from.is_cut() => return Poll::Ready(Err(Gone::Sender)),
                Poll::Ready(Ok(0)) => self.ended = true,
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Gone::Sender)),
                Poll::Pending if self.unflushed => {
                    if ready!(Pin::new(&mut *link.to).poll_flush(cx)).is_err() {
                        return Poll::Ready(Err(Gone::Receiver));
                    }
                    self.unflushed = false;
                    return Poll::Pending;
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sets by when the receiver must have taken something: what waits for it has waited since the last byte it took.
    fn settle(&mut self, (slot, stall): (&Slot, Duration), moved: usize, buffer: &mut Buffer) {
        if buffer.is_empty() {
            self.stalls = Moment::NEVER;
            return;
        }
        buffer.calm();
        if moved > 0 || self.stalls == Moment::NEVER {
            self.stalls = slot.read().after(stall);
        }
    }
}

#[cfg(test)]
mod tests;
