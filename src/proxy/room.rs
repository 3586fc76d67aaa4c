//! How much the streams of HTTP/2 may hold on their way through the gateway, for one connection of a caller and for a worker.
//!
//! A stream passes several places in which bytes wait where the next one takes none: each may hold a good deal, so that one
//! stream is fast. A caller can open many streams and take nothing of any. What waits is therefore counted, and once there is
//! too much of it each place takes little more: [`STEP`] where its connection is merely busy, and so little that even all of them
//! together hold little ([`LEAST`]) where that went too far or all connections of the worker hold too much.
//!
//! INVARIANT: nothing ever waits for room that another stream holds. A place that is empty takes [`LEAST`] bytes whatever is
//! held elsewhere, so a stream whose reader reads goes on, in smaller steps.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// What each place of a stream may hold whatever else is held, in bytes.
pub(crate) const LEAST: usize = 4 << 10;
/// What each may hold on a connection that is busy, in bytes: smaller steps cost time.
pub(crate) const STEP: usize = 16 << 10;
/// Bytes that the streams of one connection hold before they take steps.
const BUSY: usize = 1 << 20;
/// Bytes that they hold before those are the smallest.
const OF_CONNECTION: usize = 3 << 20;
/// The same for all connections of a worker.
const OF_WORKER: usize = 8 << 20;

/// What is held, and how much that may be.
#[derive(Debug)]
pub(crate) struct Room {
    held: Cell<usize>,
    /// The most that was held since somebody asked.
    peak: Cell<usize>,
    /// Directions of pipes.
    lanes: Cell<usize>,
    /// From when on places take steps, and the smallest ones.
    busy: usize,
    most: usize,
    /// What is held here is held there, too.
    within: Option<Rc<Self>>,
    /// Who wants to know when so much is held.
    watcher: RefCell<Option<(usize, Waker)>>,
}

impl Room {
    /// Room for all that a worker carries.
    pub(crate) fn of_worker() -> Rc<Self> {
        Rc::new(Self::new((OF_WORKER, OF_WORKER), None))
    }

    /// Room for the streams of one connection.
    pub(crate) fn of_connection(worker: &Rc<Self>) -> Rc<Self> {
        Rc::new(Self::new((BUSY, OF_CONNECTION), Some(Rc::clone(worker))))
    }

    fn new((busy, most): (usize, usize), within: Option<Rc<Self>>) -> Self {
        Self {
            held: Cell::new(0),
            peak: Cell::new(0),
            lanes: Cell::new(0),
            busy,
            most,
            within,
            watcher: RefCell::default(),
        }
    }

    /// All connections of the worker together hold too much.
    pub(crate) fn is_worker_short(&self) -> bool {
        self.within.as_ref().map_or_else(|| self.is_full(), |worker| worker.is_full())
    }

    fn is_full(&self) -> bool {
        self.held.get() >= self.most
    }

    /// Ready once `mark` bytes are held. One task may wait for that.
    pub(crate) fn poll_mark(&self, mark: usize, cx: &Context<'_>) -> Poll<()> {
        if self.held.get() >= mark {
            return Poll::Ready(());
        }
        *self.watcher.borrow_mut() = Some((mark, cx.waker().clone()));
        Poll::Pending
    }

    /// The most that each place is to hold, where too much is held.
    pub(crate) fn step(&self) -> Option<usize> {
        if self.is_full() || self.is_worker_short() {
            return Some(LEAST);
        }
        (self.held.get() >= self.busy).then_some(STEP)
    }

    /// What a place may hold now that may hold `most` bytes where there is room.
    pub(crate) fn allows(&self, most: usize) -> usize {
        self.step().map_or(most, |step| most.min(step))
    }

    /// The most that was held at once since this was asked last, in bytes.
    pub(crate) fn take_peak(&self) -> usize {
        self.peak.replace(self.held.get())
    }

    /// How many pipes there are.
    pub(crate) fn pipes(&self) -> usize {
        self.lanes.get() / 2
    }

    /// Counts one direction of a pipe that is there from now on.
    pub(crate) fn open(&self) {
        self.lanes.set(self.lanes.get() + 1);
        if let Some(within) = &self.within {
            within.open();
        }
    }

    /// Counts one direction of a pipe that is there no more.
    pub(crate) fn close(&self) {
        self.lanes.set(self.lanes.get().saturating_sub(1));
        if let Some(within) = &self.within {
            within.close();
        }
    }

    /// Nothing is held.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.held.get() == 0
    }

    /// Counts bytes that are held from now on.
    pub(crate) fn take(&self, count: usize) {
        let held = self.held.get().saturating_add(count);
        self.held.set(held);
        self.peak.set(self.peak.get().max(held));
        if let Some((_, watcher)) = self.watcher.borrow_mut().take_if(|(mark, _)| *mark <= held) {
            watcher.wake();
        }
        if let Some(within) = &self.within {
            within.take(count);
        }
    }

    /// Counts bytes that are held no more.
    pub(crate) fn give_back(&self, count: usize) {
        self.held.set(self.held.get().saturating_sub(count));
        if let Some(within) = &self.within {
            within.give_back(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_held_short_while_its_connection_or_its_worker_holds_too_much() {
        let worker = Room::of_worker();
        let (one, other) = (Room::of_connection(&worker), Room::of_connection(&worker));
        let most = 2 * STEP;
        assert_eq!(one.allows(most), most);
        one.take(BUSY);
        assert_eq!((one.allows(most), one.allows(7), other.allows(most)), (STEP, 7, most));
        one.take(OF_CONNECTION - BUSY);
        assert_eq!((one.allows(most), other.allows(most)), (LEAST, most));
        one.take(OF_WORKER - OF_CONNECTION);
        assert_eq!((one.allows(most), other.allows(most), worker.allows(most)), (LEAST, LEAST, LEAST));
        one.give_back(OF_WORKER);
        assert_eq!((one.allows(most), other.allows(most), worker.is_empty()), (most, most, true));
    }

    #[test]
    fn the_most_that_was_held_is_told_once() {
        let worker = Room::of_worker();
        worker.take(7);
        worker.give_back(5);
        assert_eq!((worker.take_peak(), worker.take_peak()), (7, 2));
    }
}
