//! The thread that writes down what the workers have counted.

use std::fmt;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::pending::{Pending, Sum};
use super::tally::{Table, Tally};
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
/// How many values are written in one transaction: others that write wait meanwhile, some 200 ms with a million keys.
const BATCH: usize = 2048;
/// How long it is between two transactions: whoever waits asks at least so often, and comes before the next one.
const PAUSE: Duration = Duration::from_millis(110);
/// How many tables may wait for the thread.
const WAITING: usize = 64;

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

/// What became of what was counted. Read by metrics, from any thread.
#[derive(Debug, Default)]
pub struct Status {
    failed: AtomicU64,
    lost: AtomicU64,
    written: AtomicU64,
}

impl Status {
    /// How many attempts to write have failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How many requests were not counted, or not with all their scopes, for want of room.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// How often what was counted was written.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }
}

/// A thread that writes the use of keys to a store.
pub struct Recorder {
    link: Link,
    thread: Option<JoinHandle<()>>,
}

/// What ties a tally to the thread.
#[derive(Clone)]
pub(super) struct Link {
    inbox: SyncSender<Parcel>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The number of the round that was called last.
    round: AtomicU64,
    status: Arc<Status>,
}

enum Parcel {
    /// There will be no more; what was counted is to be written by the moment that is told whenever it is asked for.
    Stop(Deadline),
    Table(Table),
}

type Deadline = Box<dyn Fn() -> Instant + Send>;

impl Link {
    pub(super) fn round(&self) -> u64 {
        self.shared.round.load(Ordering::Relaxed)
    }

    /// Hands a table over; gives it back where there is no room.
    pub(super) fn send(&self, table: Table) -> Result<(), Table> {
        self.inbox.try_send(Parcel::Table(table)).map_err(|error| match error {
            TrySendError::Disconnected(Parcel::Table(table)) | TrySendError::Full(Parcel::Table(table)) => table,
            TrySendError::Disconnected(Parcel::Stop(_)) | TrySendError::Full(Parcel::Stop(_)) => Table::default(),
        })
    }

    pub(super) fn send_and_wait(&self, table: Table) {
        // Where the thread is gone there is nobody to tell.
        let _ = self.inbox.send(Parcel::Table(table));
    }

    pub(super) fn lose(&self, requests: u64) {
        self.shared.status.lost.fetch_add(requests, Ordering::Relaxed);
    }
}

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
        report: impl Fn(&Event<'_>) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let (inbox, parcels) = sync_channel(WAITING);
        let link = Link { inbox, shared: Arc::default() };
        let place = reach.place().to_owned();
        let ledger = Ledger {
            reach,
            vocabulary,
            pending: Pending::default(),
            shared: Arc::clone(&link.shared),
            trouble: None,
            ending: None,
            report: Box::new(report),
        };
        let thread = thread::Builder::new().name("uses".into()).spawn(move || ledger.run(&parcels, &interval));
        let thread = thread.map_err(|error| StoreError::Io {
            path: place.into(),
            doing: "start a thread that writes to",
            reason: error.to_string(),
        })?;
        Ok(Self { link, thread: Some(thread) })
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
    /// says, which may come nearer meanwhile; for a second at least.
    pub fn finish(mut self, until: impl Fn() -> Instant + Send + 'static) {
        self.stop(Box::new(until));
    }

    fn stop(&mut self, until: Deadline) {
        if let Some(thread) = self.thread.take() {
            let _ = self.link.inbox.send(Parcel::Stop(until));
            // One that panicked has nothing more to say: its panic was printed when it happened.
            let _ = thread.join();
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
    report: Box<dyn Fn(&Event<'_>) + Send>,
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
        let _ = self.reach.store().and_then(|store| store.set_patience(LAST_PATIENCE));
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
                let lost = self.pending.take_in(table);
                self.shared.status.lost.fetch_add(lost, Ordering::Relaxed);
            }
            Ok(Parcel::Stop(until)) => self.ending = Some(until),
            Err(RecvTimeoutError::Disconnected) => self.ending = Some(Box::new(Instant::now)),
            Err(RecvTimeoutError::Timeout) => return false,
        }
        true
    }

    /// Writes what is pending, with a pause between two batches while more may come.
    fn write(&mut self, parcels: &Receiver<Parcel>) -> Attempt {
        if self.pending.is_empty() {
            return Attempt::Over;
        }
        match self.try_to_write(parcels) {
            Ok(()) => {
                self.shared.status.written.fetch_add(1, Ordering::Relaxed);
                if self.trouble.take().is_some() {
                    (self.report)(&Event::Recovered);
                }
                Attempt::Over
            }
            Err(error) => {
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
    /// from being written.
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
                let others = if is_put_off { rest.by_ref().collect() } else { Vec::new() };
                for (digest, sum) in batch.into_iter().chain(others) {
                    self.pending.add(digest, sum);
                }
                first = first.or(Some(error));
            }
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
