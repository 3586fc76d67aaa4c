//! The thread that writes down what the workers have counted.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, TrySendError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::link::{Deadline, GLANCE, Link, Parcel, STALL, Shared, Status};
use super::pending::{Pending, Sum};
use super::tally::Tally;
use crate::key::digest::Digest;
use crate::policy::Vocabulary;
use crate::store::StoreError;
use crate::store::reach::Reach;

/// How long workers have to hand over what they have counted: two of their ticks, and some.
const GRACE: Duration = Duration::from_millis(600);
/// How often the interval is asked for while it passes: a reload may have changed it.
const LOOK: Duration = Duration::from_secs(1);
/// How long the last write may wait at least for another process that is writing, and at once.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// How long the last write waits for an answer of a database.
const LAST_SILENCE: Duration = Duration::from_secs(2);
/// How many values are written in one transaction: others that write wait meanwhile, some 200 ms with a million keys.
const BATCH: usize = 2048;
/// How long it is between two transactions: whoever waits asks at least so often, and comes before the next one.
const PAUSE: Duration = Duration::from_millis(110);

/// What a recorder reports, for the log.
#[derive(Debug)]
pub enum Event<'a> {
    /// It cannot be written at the moment, and is kept. Told once for each different trouble, not for every attempt.
    Failed(&'a StoreError),
    /// The process ends, and so many requests were counted and not written.
    Lost(u64),
    /// It is written again.
    Recovered,
}

/// A thread that writes the use of keys to a store.
pub struct Recorder {
    link: Link,
    thread: Option<JoinHandle<()>>,
    /// Closed when the thread is done.
    done: Receiver<()>,
    report: Report,
}

type Report = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

impl Recorder {
    /// Writes to the store at the end of `reach`, with the names that `vocabulary` has for scopes, as often as `interval` says. `report` is called on
    /// the thread that is started.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(
        reach: Reach,
        vocabulary: Vocabulary,
        interval: impl Fn() -> Duration + Send + 'static,
        report: impl Fn(&Event<'_>) + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        let (link, parcels) = Link::new();
        let report: Report = Arc::new(report);
        let place = reach.place().to_owned();
        let ledger = Ledger {
            reach,
            vocabulary,
            pending: Pending::default(),
            shared: Arc::clone(&link.shared),
            trouble: None,
            ending: None,
            report: Arc::clone(&report),
        };
        let (doing, done) = mpsc::channel();
        let body = move || {
            ledger.run(&parcels, &interval);
            drop::<mpsc::Sender<()>>(doing);
        };
        let thread = thread::Builder::new().name("uses".into()).spawn(body);
        let thread = thread.map_err(|error| StoreError::Io {
            path: place.into(),
            doing: "start a thread that writes to",
            reason: error.to_string(),
        })?;
        Ok(Self { link, thread: Some(thread), done, report })
    }

    /// A tally for one worker.
    pub fn tally(&self) -> Tally {
        Tally::new(self.link.clone())
    }

    /// What became of what was counted.
    pub fn status(&self) -> &Arc<Status> {
        &self.link.shared.status
    }

    /// Writes what was handed over until then. Where another process is writing, it is waited for until the moment that `until`
    /// says, which may come nearer meanwhile; for a second at least. A store that gives no sign of life is given up within
    /// seconds.
    pub fn finish(mut self, until: impl Fn() -> Instant + Send + 'static) {
        self.stop(Box::new(until));
    }

    fn stop(&mut self, until: Deadline) {
        let Some(thread) = self.thread.take() else { return };
        if self.see_off(Parcel::Stop(until)) {
            // One that panicked has nothing more to say: its panic was printed when it happened.
            let _ = thread.join();
        } else {
            (self.report)(&Event::Lost(self.link.shared.unwritten()));
        }
    }

    /// Tells the thread to end, and waits for it as long as it gets on; false where it does not.
    fn see_off(&self, stop: Parcel) -> bool {
        let (mut stop, mut steps, mut last) = (Some(stop), None, Instant::now());
        loop {
            if let Some(parcel) = stop.take() {
                stop = match self.link.inbox.try_send(parcel) {
                    Err(TrySendError::Full(parcel)) => Some(parcel),
                    Ok(()) | Err(TrySendError::Disconnected(_)) => None,
                };
            }
            if self.done.recv_timeout(GLANCE) != Err(RecvTimeoutError::Timeout) {
                return true;
            }
            let now = Some(self.link.shared.steps.load(Ordering::Relaxed));
            if steps != now {
                (steps, last) = (now, Instant::now());
            } else if last.elapsed() >= STALL {
                return false;
            }
        }
    }
}

/// Writes what was handed over until then, if nobody else is writing.
impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop(Box::new(Instant::now));
    }
}

impl fmt::Debug for Recorder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Recorder").field("status", self.status()).finish_non_exhaustive()
    }
}

/// The thread's own state.
struct Ledger {
    reach: Reach,
    vocabulary: Vocabulary,
    pending: Pending,
    shared: Arc<Shared>,
    /// Why the last attempt to write failed.
    trouble: Option<String>,
    /// Until when the last write may take, once there will be no more parcels.
    ending: Option<Deadline>,
    report: Report,
}

impl Ledger {
    fn run(mut self, parcels: &Receiver<Parcel>, interval: &dyn Fn() -> Duration) {
        let mut last = Instant::now();
        let mut jitter = jitter();
        loop {
            let due = last + interval().mul_f64(jitter);
            if !self.gather(parcels, due.min(Instant::now() + LOOK)) {
                break;
            }
            if Instant::now() < due {
                continue;
            }
            self.shared.round.fetch_add(1, Ordering::Relaxed);
            if !self.gather(parcels, Instant::now() + GRACE) {
                break;
            }
            self.write(parcels);
            (last, jitter) = (Instant::now(), self::jitter());
        }
        // A store that cannot even be told this cannot be written to, which is told next.
        let _ = self.reach.store().and_then(|store| {
            store.hurry(LAST_SILENCE);
            store.set_patience(LAST_PATIENCE)
        });
        let until = self.ending.take().unwrap_or_else(|| Box::new(Instant::now));
        let least = Instant::now() + LAST_PATIENCE;
        // Nothing is paused for any more.
        self.ending = Some(Box::new(Instant::now));
        while self.write(parcels) == Attempt::PutOff && Instant::now() < until().max(least) {}
        if !self.pending.is_empty() {
            (self.report)(&Event::Lost(self.pending.requests()));
        }
    }

    /// Takes tables in until a moment has come; false when there will be no more.
    fn gather(&mut self, parcels: &Receiver<Parcel>, until: Instant) -> bool {
        while self.ending.is_none() {
            if !self.receive(parcels, until) {
                return true;
            }
            // A store in trouble is asked again when it is due, and not for every table.
            if self.pending.is_crowded() && self.trouble.is_none() {
                self.write(parcels);
            }
        }
        false
    }

    /// Takes in what comes next; false where nothing has come until a moment.
    fn receive(&mut self, parcels: &Receiver<Parcel>, until: Instant) -> bool {
        match parcels.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Parcel::Table(table)) => {
                let requests = table.requests();
                self.shared.kept.fetch_add(requests, Ordering::Relaxed);
                self.shared.handed.fetch_sub(requests, Ordering::Relaxed);
                let lost = self.pending.take_in(table);
                self.shared.status.lost.fetch_add(lost, Ordering::Relaxed);
            }
            Ok(Parcel::Stop(until)) => self.ending = Some(until),
            Err(RecvTimeoutError::Disconnected) => self.ending = Some(Box::new(Instant::now)),
            Err(RecvTimeoutError::Timeout) => return false,
        }
        self.shared.step();
        true
    }

    /// Writes what is pending, with a pause between two batches while more may come.
    fn write(&mut self, parcels: &Receiver<Parcel>) -> Attempt {
        if self.pending.is_empty() {
            return Attempt::Over;
        }
        self.shared.kept.store(self.pending.requests(), Ordering::Relaxed);
        let written = self.try_to_write(parcels);
        self.shared.kept.store(self.pending.requests(), Ordering::Relaxed);
        self.shared.step();
        match written {
            Ok(()) => {
                self.shared.status.written.fetch_add(1, Ordering::Relaxed);
                if self.trouble.take().is_some() {
                    (self.report)(&Event::Recovered);
                }
                Attempt::Over
            }
            Err(error) => {
                // Only keys that are known were used: there was a store.
                let error = error.into_loss();
                self.shared.status.failed.fetch_add(1, Ordering::Relaxed);
                let trouble = Some(error.to_string());
                if self.trouble != trouble {
                    self.trouble = trouble;
                    (self.report)(&Event::Failed(&error));
                }
                if matches!(error, StoreError::Locked { .. }) { Attempt::PutOff } else { Attempt::Over }
            }
        }
    }

    /// Writes batch by batch; what could not be written is pending as before. A batch that the store does not take keeps no other
    /// from being written; a store that does not answer is asked no more.
    fn try_to_write(&mut self, parcels: &Receiver<Parcel>) -> Result<(), StoreError> {
        // A copy of the store may stand in its place.
        self.reach.store()?.refresh()?;
        let mut rest = self.pending.drain();
        let mut first = None;
        loop {
            let batch: Vec<(Digest, Sum)> = rest.by_ref().take(BATCH).collect();
            if batch.is_empty() {
                return first.map_or(Ok(()), Err);
            }
            let is_full = batch.len() == BATCH;
            let uses: Vec<_> = batch.iter().map(|(digest, sum)| sum.named(*digest, &self.vocabulary)).collect();
            if let Err(error) = self.reach.store().and_then(|store| store.add_uses(&uses)) {
                let is_put_off = matches!(error, StoreError::Locked { .. });
                let others = if is_put_off || error.is_passing() { rest.by_ref().collect() } else { Vec::new() };
                for (digest, sum) in batch.into_iter().chain(others) {
                    self.pending.add(digest, sum);
                }
                first = first.or(Some(error));
            } else {
                let written = uses.iter().map(|one| one.count.requests()).sum();
                self.shared.kept.fetch_sub(written, Ordering::Relaxed);
            }
            self.shared.step();
            let until = Instant::now() + PAUSE;
            while is_full && self.ending.is_none() && self.receive(parcels, until) {}
        }
    }
}

/// What became of an attempt to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attempt {
    /// There is nothing to do, or to gain by trying again at once.
    Over,
    /// Another process is writing.
    PutOff,
}

/// Part of an interval, a little more or less than all of it: gateways that were started together do not go on writing
/// together.
fn jitter() -> f64 {
    let random = RandomState::new().build_hasher().finish();
    0.9 + 0.2 * f64::from((random >> 40) as u32) / f64::from(1_u32 << 24)
}
