//! What is counted over the streams of a caller's connection.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};

use crate::proxy::watch::Moment;
use crate::proxy::worker::Worker;

/// What is counted over the streams of one connection.
pub(super) struct Tally {
    pub(super) streams: Cell<usize>,
    /// Streams that were begun, and since when there may have been any.
    pub(super) begun: Cell<u64>,
    since: Moment,
    /// When the last stream ended.
    pub(super) quiet_since: Cell<Moment>,
    /// Streams that were given up since this moment.
    resets: Cell<(usize, Moment)>,
    /// Who waits for the moment at which no stream is open.
    waker: RefCell<Option<Waker>>,
}

impl Tally {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            streams: Cell::new(0),
            begun: Cell::new(0),
            since: now,
            quiet_since: Cell::new(now),
            resets: Cell::new((0, now)),
            waker: RefCell::default(),
        }
    }

    /// Counts a stream that its caller gave up.
    pub(super) fn note_reset(&self, worker: &Worker) {
        let (now, (count, since)) = (worker.watch.now(), self.resets.get());
        let fresh = since.after(worker.view().snapshot.config.limits.h2_resets.within) <= now;
        self.resets.set(if fresh { (1, now) } else { (count.saturating_add(1), since) });
    }

    /// Has this task woken when no stream is open any more.
    pub(super) fn wake_when_quiet(&self, cx: &Context<'_>) {
        *self.waker.borrow_mut() = Some(cx.waker().clone());
    }

    /// The moment from which the connection takes no further stream: its age, or now where it had as many as it may.
    pub(super) fn last_call(&self, worker: &Worker) -> Moment {
        let view = worker.view();
        let limits = &view.snapshot.config.limits;
        let spent = limits.requests_per_connection.is_some_and(|most| self.begun.get() >= most);
        let aged = limits.connection_age.map_or(Moment::NEVER, |age| self.since.after(age));
        if spent { self.since } else { aged }
    }

    /// More streams were given up than `limits.h2_resets` has it.
    pub(super) fn is_excessive(&self, worker: &Worker) -> bool {
        self.resets.get().0 > worker.view().snapshot.config.limits.h2_resets.count
    }
}

/// Counts a stream as open until it is dropped.
pub(super) struct Counted {
    pub(super) tally: Rc<Tally>,
    pub(super) worker: Rc<Worker>,
}

impl Counted {
    pub(super) fn new(tally: &Rc<Tally>, worker: &Rc<Worker>) -> Self {
        tally.streams.set(tally.streams.get() + 1);
        tally.begun.set(tally.begun.get() + 1);
        Self { tally: Rc::clone(tally), worker: Rc::clone(worker) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.tally.streams.set(self.tally.streams.get().saturating_sub(1));
        self.tally.quiet_since.set(self.worker.watch.now());
        if self.tally.streams.get() == 0
            && let Some(waker) = self.tally.waker.take()
        {
            waker.wake();
        }
    }
}
