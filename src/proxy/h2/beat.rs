//! Whether the other side of a connection is still there: a PING now and then, and a PONG that must come in time.

use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};

use crate::proxy::watch::Moment;

/// How often a connection is asked, and how long the answer may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) every: Duration,
    pub(crate) answer: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { every: Duration::from_secs(30), answer: Duration::from_secs(20) }
    }
}

/// Why there is nobody on the other side any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Dead {
    /// The connection is over.
    Gone,
    /// A PING was not answered.
    Silent,
}

pub(crate) struct Beat {
    pings: Option<PingPong>,
    pace: Pace,
    /// When the next PING goes out, or by when the answer to the last one must be there.
    due: Moment,
    waiting: bool,
}

impl Beat {
    pub(crate) fn new(pings: Option<PingPong>, now: Moment) -> Self {
        Self::paced(pings, now, Pace::default())
    }

    pub(crate) fn paced(pings: Option<PingPong>, now: Moment, pace: Pace) -> Self {
        Self { pings, pace, due: now.after(pace.every), waiting: false }
    }

    /// When this is to be asked again at the latest.
    pub(crate) fn due(&self) -> Moment {
        self.due
    }

    /// Something has passed at this moment: whoever takes bytes slowly is there, and comes to the PING behind them.
    pub(crate) fn note(&mut self, moved: Moment) {
        if self.waiting {
            self.due = self.due.max(moved.after(self.pace.answer));
        }
    }

    /// Ready when the other side is gone.
    pub(crate) fn poll_dead(&mut self, now: Moment, cx: &mut Context<'_>) -> Poll<Dead> {
        let Some(pings) = &mut self.pings else { return Poll::Pending };
        if self.waiting {
            match pings.poll_pong(cx) {
                Poll::Ready(Ok(_)) => (self.waiting, self.due) = (false, now.after(self.pace.every)),
                Poll::Ready(Err(_)) => return Poll::Ready(Dead::Gone),
                Poll::Pending if self.due <= now => return Poll::Ready(Dead::Silent),
                Poll::Pending => {}
            }
        } else if self.due <= now {
            if pings.send_ping(Ping::opaque()).is_err() {
                return Poll::Ready(Dead::Gone);
            }
            (self.waiting, self.due) = (true, now.after(self.pace.answer));
            // Asked at once, so that the answer wakes this task.
            if pings.poll_pong(cx).is_ready() {
                (self.waiting, self.due) = (false, now.after(self.pace.every));
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use tokio::io::duplex;

    use super::*;
    use crate::proxy::watch::Watch;

    #[tokio::test]
    async fn a_ping_that_is_not_answered_in_time_is_told_from_a_connection_that_is_over() {
        let (near, far) = duplex(1 << 10);
        let (near, far) = tokio::join!(h2::server::handshake(near), h2::client::handshake(far));
        let (mut connection, caller) = (near.unwrap(), far.unwrap());
        let start = Watch::new().now();
        let mut beat = Beat::new(connection.ping_pong(), start);
        let mut ask = |now| beat.poll_dead(now, &mut Context::from_waker(Waker::noop()));
        assert_eq!(ask(start), Poll::Pending);
        let Pace { every, answer } = Pace::default();
        let asked = start.after(every);
        assert_eq!(ask(asked), Poll::Pending);
        assert_eq!(ask(asked.after(answer / 2)), Poll::Pending);
        assert_eq!(ask(asked.after(answer)), Poll::Ready(Dead::Silent));
        drop((connection, caller));
        assert_eq!(ask(asked), Poll::Ready(Dead::Gone));
    }
}
