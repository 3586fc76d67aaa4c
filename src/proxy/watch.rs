//! A worker's clock and the deadlines of its connections.
//!
//! There is no timer for each request: a connection writes the time by which it must have moved into its [`Slot`], and
//! one sweep every [`TICK`] wakes those that are late. What times out therefore does so within a tick after its time, and
//! never before it, provided that its deadline was reckoned from a clock that was just read.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::key::Timestamp;

/// How often a worker looks for late connections.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// Nanoseconds of the worker's clock. `Moment::NEVER` is later than any.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Moment(u64);

impl Moment {
    pub(crate) const NEVER: Self = Self(u64::MAX);

    /// How long it is from `earlier` to this moment; nothing where that is past.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `duration` after this one.
    pub(crate) fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// What one connection waits for, and until when.
pub(crate) struct Slot {
    watch: Rc<Watch>,
    entry: Rc<Entry>,
}

/// Whether an exchange may outlast the key that opened it.
///
/// One that may says so once it turns out to ([`Slot::outlast`]). The sweep then marks it as due: at its next turn, so
/// that what is over by then is never asked about; after that when any key has changed, or when this one expires.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tenure {
    /// It ends by itself.
    Brief,
    /// The key is to be asked for now.
    Due,
    /// The key was not asked for since the request was decided.
    Fresh,
    /// The key holds until then, unless it changes.
    Until(Timestamp),
}

struct Entry {
    deadline: Cell<Moment>,
    tenure: Cell<Tenure>,
    waker: RefCell<Option<Waker>>,
    /// Where this entry stands in the worker's list; kept up to date when another is removed.
    place: Cell<usize>,
}

impl Slot {
    /// Sets the moment by which this connection must have moved, and who is to be woken then.
    pub(crate) fn arm(&self, deadline: Moment, cx: &Context<'_>) {
        self.entry.deadline.set(deadline);
        let mut waker = self.entry.waker.borrow_mut();
        match &*waker {
            Some(known) if known.will_wake(cx.waker()) => {}
            _ => *waker = Some(cx.waker().clone()),
        }
    }

    /// The worker's coarse clock: the time of the last sweep, or of the last reading.
    pub(crate) fn now(&self) -> Moment {
        self.watch.now()
    }

    /// The time now, read: what begins to wait is not to wait for less than it should.
    pub(crate) fn read(&self) -> Moment {
        self.watch.set(Instant::now());
        self.watch.now()
    }

    /// From now on the exchange may outlast its key.
    pub(crate) fn outlast(&self) {
        if self.entry.tenure.get() == Tenure::Brief {
            self.entry.tenure.set(Tenure::Fresh);
        }
    }

    /// The exchange ends by itself, or is over.
    pub(crate) fn settle(&self) {
        self.entry.tenure.set(Tenure::Brief);
    }

    /// True when the key of the exchange is to be asked for.
    pub(crate) fn is_due(&self) -> bool {
        self.entry.tenure.get() == Tenure::Due
    }

    /// The key was asked for, and holds until then.
    pub(crate) fn hold_until(&self, expires: Timestamp) {
        self.entry.tenure.set(Tenure::Until(expires));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut entries = self.watch.entries.borrow_mut();
        let place = self.entry.place.get();
        if place < entries.len() {
            entries.swap_remove(place);
            if let Some(moved) = entries.get(place) {
                moved.place.set(place);
            }
        }
    }
}

/// The clock and the list of deadlines of one worker.
pub(crate) struct Watch {
    start: Instant,
    now: Cell<Moment>,
    /// The wall clock and the monotonic one, read together at the last sweep: a wall clock that jumps is followed
    /// within a tick, and no request reads it.
    wall: Cell<(Instant, Timestamp)>,
    /// The value of the `Date` field, written anew when its second has passed.
    date: Cell<[u8; 29]>,
    entries: RefCell<Vec<Rc<Entry>>>,
    /// The last sweep came late.
    overslept: Cell<bool>,
    /// What the keys' count of changes was at the last sweep.
    keys: Cell<u64>,
}

impl Watch {
    pub(crate) fn new() -> Rc<Self> {
        let (start, wall) = (Instant::now(), Timestamp::now());
        Rc::new(Self {
            start,
            now: Cell::new(Moment(0)),
            wall: Cell::new((start, wall)),
            date: Cell::new(wall.to_http_date()),
            entries: RefCell::default(),
            overslept: Cell::new(false),
            keys: Cell::new(0),
        })
    }

    /// Enters a connection.
    pub(crate) fn enter(self: &Rc<Self>) -> Slot {
        let mut entries = self.entries.borrow_mut();
        let entry = Rc::new(Entry {
            deadline: Cell::new(Moment::NEVER),
            tenure: Cell::new(Tenure::Brief),
            waker: RefCell::new(None),
            place: Cell::new(entries.len()),
        });
        entries.push(Rc::clone(&entry));
        Slot { watch: Rc::clone(self), entry }
    }

    /// The coarse clock.
    pub(crate) fn now(&self) -> Moment {
        self.now.get()
    }

    /// Sets the coarse clock by a reading of the monotonic one that was made anyway.
    pub(crate) fn set(&self, reading: Instant) {
        let elapsed = reading.saturating_duration_since(self.start);
        // A reading that was kept for a moment does not put the clock back.
        self.now.set(self.now.get().max(Moment(0).after(elapsed)));
    }

    /// Both clocks, as they were read last together.
    pub(crate) fn reading(&self) -> (Instant, Timestamp) {
        self.wall.get()
    }

    /// The wall clock at a reading of the monotonic one.
    pub(crate) fn wall(&self, reading: Instant) -> Timestamp {
        let (instant, wall) = self.wall.get();
        wall.after(reading.saturating_duration_since(instant))
    }

    /// The value of the `Date` field, right to within a tick.
    pub(crate) fn date(&self) -> [u8; 29] {
        self.date.get()
    }

    /// Wakes every connection whose deadline has passed, or whose key is to be asked for. `keys` is how often keys have
    /// changed.
    pub(crate) fn sweep(&self, keys: u64) {
        let reading = Instant::now();
        self.set(reading);
        // The process was stopped, or had no turn: what came meanwhile may not have been seen yet. Nobody is late before the
        // runtime has had a look at every socket, which it has by the next sweep, however late that is.
        let overslept = reading.saturating_duration_since(self.wall.get().0) > 2 * TICK;
        let paused = !self.overslept.replace(overslept) && overslept;
        let wall = Timestamp::now();
        if wall.as_seconds() != self.wall.get().1.as_seconds() {
            self.date.set(wall.to_http_date());
        }
        self.wall.set((reading, wall));
        let now = self.now();
        let changed = self.keys.replace(keys) != keys;
        self.wake_where(|entry| {
            let due = match entry.tenure.get() {
                Tenure::Brief => false,
                Tenure::Due | Tenure::Fresh => true,
                Tenure::Until(expires) => changed || expires <= wall,
            };
            if due {
                entry.tenure.set(Tenure::Due);
            }
            !paused && (due || entry.deadline.get() <= now)
        });
    }

    /// Wakes every connection: a drain has begun.
    pub(crate) fn wake_all(&self) {
        self.wake_where(|_| true);
    }

    fn wake_where(&self, due: impl Fn(&Entry) -> bool) {
        for entry in self.entries.borrow().iter() {
            if due(entry)
                && let Some(waker) = &*entry.waker.borrow()
            {
                waker.wake_by_ref();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_sweep_wakes_the_late_and_no_others() {
        let watch = Watch::new();
        let (late, early, gone) = (watch.enter(), watch.enter(), watch.enter());
        let counts: Vec<Arc<Count>> = (0..3).map(|_| Arc::default()).collect();
        for (slot, (count, deadline)) in
            [&late, &early, &gone].into_iter().zip(counts.iter().zip([Moment(0), Moment::NEVER, Moment(0)]))
        {
            slot.arm(deadline, &Context::from_waker(&Waker::from(Arc::clone(count))));
        }
        drop(gone);
        watch.sweep(0);
        let woken: Vec<usize> = counts.iter().map(|count| count.0.load(Ordering::Relaxed)).collect();
        assert_eq!(woken, [1, 0, 0]);
    }

    #[test]
    fn nobody_is_late_at_the_first_sweep_after_a_pause() {
        let (watch, count) = (Watch::new(), Arc::<Count>::default());
        let late = watch.enter();
        late.arm(Moment(0), &Context::from_waker(&Waker::from(Arc::clone(&count))));
        let sweep_after_a_pause = || {
            let (instant, wall) = watch.wall.get();
            watch.wall.set((instant.checked_sub(3 * TICK).unwrap(), wall));
            watch.sweep(0);
            count.0.load(Ordering::Relaxed)
        };
        assert_eq!(sweep_after_a_pause(), 0);
        assert_eq!(sweep_after_a_pause(), 1, "a worker that never has its turn in time has deadlines all the same");
    }

    #[test]
    fn an_exchange_that_lasts_is_asked_about_once_and_then_when_a_key_changed_or_this_one_expires() {
        let watch = Watch::new();
        let (brief, lasting) = (watch.enter(), watch.enter());
        lasting.outlast();
        assert!(!lasting.is_due(), "not before the next turn");
        let due = |keys| {
            watch.sweep(keys);
            assert!(!brief.is_due());
            lasting.is_due()
        };
        assert!(due(0) && due(0), "until somebody has asked");
        lasting.hold_until(Timestamp::MAX);
        assert!(!due(0) && due(1));
        lasting.hold_until(Timestamp::MAX);
        lasting.outlast();
        assert!(!due(1), "what is known is kept");
        lasting.hold_until(Timestamp::now());
        assert!(due(1));
        lasting.settle();
        assert!(!due(2));
    }

    #[test]
    fn nobody_is_asked_about_at_the_first_sweep_after_a_pause_and_everybody_at_the_next() {
        let (watch, count) = (Watch::new(), Arc::<Count>::default());
        let lasting = watch.enter();
        lasting.arm(Moment::NEVER, &Context::from_waker(&Waker::from(Arc::clone(&count))));
        lasting.hold_until(Timestamp::MAX);
        let (instant, wall) = watch.wall.get();
        watch.wall.set((instant.checked_sub(3 * TICK).unwrap(), wall));
        watch.sweep(1);
        assert_eq!(count.0.load(Ordering::Relaxed), 0, "what came meanwhile is looked at first");
        watch.sweep(1);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_deadline_that_is_reckoned_from_a_reading_is_no_moment_early() {
        let (watch, wait) = (Watch::new(), Duration::from_nanos(1_999_999));
        let slot = watch.enter();
        let reading = Instant::now();
        watch.set(reading);
        let deadline = slot.now().after(wait);
        watch.set(reading + wait - Duration::from_nanos(1));
        assert!(slot.now() < deadline);
        watch.set(reading + wait);
        assert!(slot.now() >= deadline);
        watch.set(reading);
        assert!(slot.now() >= deadline, "an older reading does not put it back");
    }

    #[test]
    fn slots_leave_in_any_order() {
        let watch = Watch::new();
        let mut slots: Vec<Slot> = (0..4).map(|_| watch.enter()).collect();
        slots.remove(1);
        slots.remove(2);
        slots.remove(0);
        assert_eq!(watch.entries.borrow().len(), 1);
        assert_eq!(watch.entries.borrow()[0].place.get(), 0);
    }
}
