//! How a caller's connection ends: when it is due, and at which moment its caller is told.
//!
//! RFC 9113 (6.8) has what is open finished after a GOAWAY. Not every caller does so: those over Python's `h2` give up all that is
//! open when they see one, and fail on the PING that follows a GOAWAY without a last stream. So it waits for a moment at which
//! nothing is open, goes out in one piece with the end of the last answer, and says which stream that was: who has begun
//! another one knows that nothing was done of it, and begins it elsewhere. Where no such moment comes in time the caller is
//! told that the connection will end, and what it has begun by then is finished.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::Reason;
use h2::server::Connection;

use tokio::io::{AsyncRead, ReadBuf};

use crate::proxy::stream::Stream;
use crate::proxy::watch::{Moment, Slot};
use crate::telemetry::label::Cut;

use super::outlet::Piece;
use super::{FAREWELL, OfCaller, Session, State};

/// How long a connection that has served its time waits for a moment at which nothing is open on it.
const GRACE: Duration = Duration::from_secs(5);

/// Takes what the caller still sends on a connection that has ended, for as long as it may: what was sent last would be lost
/// in a reset.
pub(super) async fn linger(stream: &mut Stream, slot: &Slot) {
    let until = slot.read().after(FAREWELL);
    let mut scrap = [0; 512];
    poll_fn(|cx| {
        while slot.now() < until {
            slot.arm(until, cx);
            let mut came = ReadBuf::new(&mut scrap);
            match Pin::new(&mut *stream).poll_read(cx, &mut came) {
                Poll::Ready(Ok(())) if !came.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    })
    .await;
}

impl Session<'_> {
    /// Since when no stream is open: now, where one is.
    fn busy_until(&self, now: Moment) -> Moment {
        if self.tally.streams.get() == 0 { self.tally.quiet_since.get() } else { now }
    }

    /// Nothing is open, and what was answered is out, but for what is held back to go with the GOAWAY.
    fn is_quiet(&self) -> bool {
        self.tally.streams.get() == 0 && self.traffic.is_out()
    }

    /// Nothing was open for too long, or the connection has served its time.
    fn is_over(&self, now: Moment) -> bool {
        self.busy_until(now).after(self.idle()) <= now || self.tally.last_call(self.worker) <= now
    }

    /// The process is about to end. A connection that has carried nothing yet may carry what it was opened for, as long as any
    /// is accepted.
    fn is_unwanted(&self) -> bool {
        self.worker.is_draining() || (self.worker.is_leaving() && self.tally.begun.get() > 0)
    }

    fn idle(&self) -> Duration {
        self.worker.view().snapshot.config.limits.idle
    }

    /// Says that the connection ends, where it is to: true when there is something to send.
    pub(super) fn close_if_due(&mut self, connection: &mut Connection<OfCaller<'_>, Piece>, cx: &Context<'_>) -> bool {
        let now = self.slot.now();
        let excess = if self.traffic.is_spent() {
            Some(Cut::Flood)
        } else {
            self.tally.is_excessive(self.worker).then_some(Cut::Resets)
        };
        if let Some(reason) = excess.filter(|_| !matches!(self.state, State::Condemned(_) | State::Parted(_))) {
            self.note_cut(reason);
            connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
            self.state = State::Condemned(now.after(FAREWELL));
            return true;
        }
        match self.state {
            State::Open => self.part(connection, cx),
            State::Closing { since, quiet_since } => {
                let quiet = self.is_quiet();
                self.state = State::Closing { since, quiet_since: quiet_since.or(Some(now)).filter(|_| quiet) };
                false
            }
            State::Condemned(_) | State::Parted(_) => false,
        }
    }

    /// For how long the end of the connection may wait for a moment at which nothing is open, where it is to end.
    fn grace(&self, now: Moment) -> Option<Duration> {
        if self.is_unwanted() {
            let drain = self.worker.view().snapshot.config.drain;
            // Who opens streams all the time has the other half to go elsewhere.
            let whole =
                if self.worker.is_draining() { drain.timeout } else { drain.delay.saturating_add(drain.timeout) };
            return Some(whole / 2);
        }
        self.is_over(now).then_some(GRACE)
    }

    /// The end is due, and nothing is open: what is still to be written of the last answer goes out together with the GOAWAY.
    pub(super) fn is_parting(&self) -> bool {
        self.state == State::Open && self.tally.streams.get() == 0 && self.grace(self.slot.now()).is_some()
    }

    /// When the connection is to be looked at again, as long as it takes streams.
    pub(super) fn parts_at(&self, now: Moment) -> Moment {
        match (self.due, self.grace(now)) {
            (Some(since), Some(grace)) => since.after(grace),
            _ => self.busy_until(now).after(self.idle()).min(self.tally.last_call(self.worker)),
        }
    }

    /// Says that the connection ends, once that is due, at a moment at which nothing is open if there is one in time.
    fn part(&mut self, connection: &mut Connection<OfCaller<'_>, Piece>, cx: &Context<'_>) -> bool {
        let now = self.slot.now();
        let Some(grace) = self.grace(now) else { return false };
        let since = *self.due.get_or_insert(now);
        let quiet = self.is_quiet();
        if !quiet && since.after(grace) > now {
            self.tally.wake_when_quiet(cx);
            return false;
        }
        if quiet {
            connection.abrupt_shutdown(Reason::NO_ERROR);
            self.state = State::Parted(now.after(FAREWELL));
        } else {
            connection.graceful_shutdown();
            self.state = State::Closing { since: now, quiet_since: None };
        }
        true
    }
}
