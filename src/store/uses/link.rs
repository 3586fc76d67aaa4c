//! What ties the workers that count to the thread that writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use super::tally::Table;

/// How many tables may wait for the thread.
const WAITING: usize = 64;
/// How long the end waits for a store that gives no sign of life: longer than a write that has begun waits for another process.
pub(super) const STALL: Duration = Duration::from_secs(6);
/// How often the end looks for such a sign.
pub(super) const GLANCE: Duration = Duration::from_millis(20);

/// What became of what was counted. Read by metrics, from any thread.
#[derive(Debug, Default)]
pub struct Status {
    pub(super) failed: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) written: AtomicU64,
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

/// What ties a tally to the thread.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) inbox: SyncSender<Parcel>,
    pub(super) shared: Arc<Shared>,
}

/// What both sides see.
#[derive(Default)]
pub(super) struct Shared {
    /// The number of the round that was called last.
    pub(super) round: AtomicU64,
    pub(super) status: Arc<Status>,
    /// How many requests were handed over, and not taken in yet.
    pub(super) handed: AtomicU64,
    /// How many were taken in, and not written yet.
    pub(super) kept: AtomicU64,
    /// Grows with everything that the thread comes to the end of.
    pub(super) steps: AtomicU64,
}

impl Shared {
    /// The thread has got on.
    pub(super) fn step(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// How many requests were counted and are not written.
    pub(super) fn unwritten(&self) -> u64 {
        self.handed.load(Ordering::Relaxed).saturating_add(self.kept.load(Ordering::Relaxed))
    }
}

/// What the thread is given.
pub(super) enum Parcel {
    /// There will be no more; what was counted is to be written by the moment that is told whenever it is asked for.
    Stop(Deadline),
    Table(Table),
}

pub(super) type Deadline = Box<dyn Fn() -> Instant + Send>;

impl Link {
    pub(super) fn new() -> (Self, Receiver<Parcel>) {
        let (inbox, parcels) = sync_channel(WAITING);
        (Self { inbox, shared: Arc::default() }, parcels)
    }

    pub(super) fn round(&self) -> u64 {
        self.shared.round.load(Ordering::Relaxed)
    }

    /// Hands a table over; gives it back where there is no room.
    pub(super) fn send(&self, table: Table) -> Result<(), Table> {
        let requests = table.requests();
        // Before the thread can take it in.
        self.shared.handed.fetch_add(requests, Ordering::Relaxed);
        self.inbox.try_send(Parcel::Table(table)).map_err(|error| {
            self.shared.handed.fetch_sub(requests, Ordering::Relaxed);
            match error {
                TrySendError::Disconnected(Parcel::Table(table)) | TrySendError::Full(Parcel::Table(table)) => table,
                TrySendError::Disconnected(Parcel::Stop(_)) | TrySendError::Full(Parcel::Stop(_)) => Table::default(),
            }
        })
    }

    /// The same, where there is room within a while.
    pub(super) fn send_and_wait(&self, table: Table) {
        let (requests, begun) = (table.requests(), Instant::now());
        self.shared.handed.fetch_add(requests, Ordering::Relaxed);
        let mut parcel = Parcel::Table(table);
        while let Err(TrySendError::Full(back)) = self.inbox.try_send(parcel) {
            if begun.elapsed() >= STALL {
                return self.lose(requests);
            }
            parcel = back;
            thread::sleep(GLANCE);
        }
    }

    pub(super) fn lose(&self, requests: u64) {
        self.shared.status.lost.fetch_add(requests, Ordering::Relaxed);
    }
}
