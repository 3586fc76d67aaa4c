//! The counters that workers write. Each cell has one writer, its worker, so that counting is a plain load and store;
//! the scrape adds the cells of all workers up.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::telemetry::label::{
    Code, Cut, DecisionLabel, Lookup, MethodLabel, Refusal, Side, Status, StreamRefusal, fold_status,
};
use crate::telemetry::tripwire::Tripwires;

/// Upper bounds of the histograms' buckets, in nanoseconds; a last bucket without bound follows.
pub(super) const BOUNDS: [u64; 15] = [
    250_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
];

/// What came of one request.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// The method, from the fixed list.
    pub method: MethodLabel,
    /// The status that the caller got.
    pub status: u16,
    /// What the policy decided.
    pub decision: DecisionLabel,
    /// The code of the answer, where the gateway made it itself; in shadow mode the code it would have made.
    pub code: Option<Code>,
    /// From the first byte of the request to the last byte of the answer.
    pub duration: Duration,
    /// From the request sent to the upstream to the head of its answer; `None` where nothing was forwarded.
    pub upstream: Option<Duration>,
}

/// Adds to a cell. INVARIANT: the calling worker is the only writer of the cell, so that no update is lost.
fn bump(cell: &AtomicU64, by: u64) {
    cell.store(cell.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
}

/// Counts requests by method, status and decision. Most routes see two or three combinations, so they stand in a
/// short list; the fixed lists of labels bound its length.
#[derive(Debug, Default)]
struct Tally {
    slots: [Slot; 6],
    next: OnceLock<Box<Tally>>,
}

/// One combination: the packed labels (0 is a free slot) and its count.
#[derive(Debug, Default)]
struct Slot {
    labels: AtomicU32,
    count: AtomicU64,
}

/// The labels of a combination, as they are packed into a [`Slot`].
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Labels(u32);

impl Labels {
    /// Set in every packed value, so that none is 0.
    const USED: u32 = 1 << 31;

    fn pack(outcome: &Outcome) -> Self {
        let status = u32::from(fold_status(outcome.status).to_number());
        Self(Self::USED | status << 16 | (outcome.method as u32) << 8 | outcome.decision as u32)
    }

    /// Values of the labels `method`, `status` and `decision`.
    pub(super) fn unpack(self) -> Option<(&'static str, String, &'static str)> {
        let [used_and_status @ .., method, decision] = self.0.to_be_bytes();
        let status = Status::from_number(u16::from_be_bytes(used_and_status) & !(1 << 15));
        let method = MethodLabel::ALL.get(usize::from(method))?;
        let decision = DecisionLabel::ALL.get(usize::from(decision))?;
        Some((method.as_str(), status.label(), decision.as_str()))
    }
}

impl Tally {
    fn count(&self, labels: Labels) {
        let mut tally = self;
        loop {
            for slot in &tally.slots {
                match slot.labels.load(Ordering::Relaxed) {
                    0 => {
                        slot.count.store(1, Ordering::Relaxed);
                        // Published last: a scrape that sees the labels sees the count.
                        return slot.labels.store(labels.0, Ordering::Release);
                    }
                    taken if taken == labels.0 => return bump(&slot.count, 1),
                    _ => {}
                }
            }
            tally = tally.next.get_or_init(Box::default);
        }
    }

    fn read(&self, visit: &mut dyn FnMut(Labels, u64)) {
        let mut tally = Some(self);
        while let Some(this) = tally {
            for slot in &this.slots {
                let labels = slot.labels.load(Ordering::Acquire);
                if labels != 0 {
                    visit(Labels(labels), slot.count.load(Ordering::Relaxed));
                }
            }
            tally = this.next.get().map(|next| &**next);
        }
    }
}

/// A histogram over [`BOUNDS`].
#[derive(Debug, Default)]
struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    sum: AtomicU64,
}

/// A histogram read at scrape: counts per bucket (not cumulative), and the sum in nanoseconds.
#[derive(Debug, Default)]
pub(super) struct Distribution {
    pub(super) buckets: [u64; BOUNDS.len() + 1],
    pub(super) sum: u64,
}

impl Distribution {
    pub(super) fn is_empty(&self) -> bool {
        self.buckets.iter().all(|&count| count == 0)
    }
}

impl Histogram {
    fn observe(&self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|&bound| bound < nanos);
        if let Some(cell) = self.buckets.get(bucket) {
            bump(cell, 1);
        }
        bump(&self.sum, nanos);
    }

    fn add_to(&self, total: &mut Distribution) {
        for (sum, cell) in total.buckets.iter_mut().zip(&self.buckets) {
            *sum += cell.load(Ordering::Relaxed);
        }
        total.sum = total.sum.wrapping_add(self.sum.load(Ordering::Relaxed));
    }
}

/// What one worker counts for one route. Aligned so that two workers never write to one cache line.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Block {
    requests: Tally,
    duration: Histogram,
    upstream: Histogram,
}

/// The cells of one route: a block per worker, made when the worker first serves the route, so that the many routes
/// that are never called cost a pointer each.
#[derive(Debug)]
pub struct RouteCells {
    label: Box<str>,
    blocks: Box<[OnceLock<Box<Block>>]>,
}

impl RouteCells {
    pub(super) fn new(label: &str, workers: usize) -> Self {
        Self { label: label.into(), blocks: (0..workers).map(|_| OnceLock::new()).collect() }
    }

    /// The value of the label `route`.
    pub fn label(&self) -> &str {
        &self.label
    }

    fn record(&self, worker: usize, outcome: &Outcome) {
        let Some(block) = self.blocks.get(worker) else {
            return;
        };
        let block = block.get_or_init(Box::default);
        block.requests.count(Labels::pack(outcome));
        block.duration.observe(outcome.duration);
        if let Some(upstream) = outcome.upstream {
            block.upstream.observe(upstream);
        }
    }

    /// Visits every combination of every worker; one combination may come once per worker.
    pub(super) fn read_requests(&self, visit: &mut dyn FnMut(Labels, u64)) {
        for block in self.blocks.iter().filter_map(OnceLock::get) {
            block.requests.read(visit);
        }
    }

    /// The whole duration and the upstream's, over all workers.
    pub(super) fn read_durations(&self) -> (Distribution, Distribution) {
        let (mut whole, mut upstream) = (Distribution::default(), Distribution::default());
        for block in self.blocks.iter().filter_map(OnceLock::get) {
            block.duration.add_to(&mut whole);
            block.upstream.add_to(&mut upstream);
        }
        (whole, upstream)
    }
}

/// What one worker counts apart from routes. INVARIANT: written by its worker's thread alone.
#[derive(Debug)]
#[repr(align(128))]
pub struct WorkerCells {
    worker: usize,
    codes: [AtomicU64; Code::ALL.len()],
    cuts: [AtomicU64; Cut::ALL.len()],
    lookups: [AtomicU64; Lookup::ALL.len()],
    refusals: [AtomicU64; Refusal::ALL.len()],
    refused_streams: [AtomicU64; StreamRefusal::ALL.len()],
    retries: AtomicU64,
    opened: [AtomicU64; Side::ALL.len()],
    closed: [AtomicU64; Side::ALL.len()],
    /// What all workers have in common: written when a tripwire is used, and never for another key.
    tripwires: Arc<Tripwires>,
}

impl WorkerCells {
    pub(super) fn new(worker: usize, tripwires: Arc<Tripwires>) -> Self {
        Self {
            worker,
            codes: Default::default(),
            cuts: Default::default(),
            lookups: Default::default(),
            refusals: Default::default(),
            refused_streams: Default::default(),
            retries: AtomicU64::new(0),
            opened: Default::default(),
            closed: Default::default(),
            tripwires,
        }
    }

    /// Counts a request that has ended, on its route and by its code. Neither locks nor looks up by text.
    pub fn record(&self, route: &RouteCells, outcome: &Outcome) {
        route.record(self.worker, outcome);
        if let Some(cell) = outcome.code.and_then(|code| self.codes.get(code as usize)) {
            bump(cell, 1);
        }
    }

    /// Counts a connection that was accepted or made.
    pub fn connection_opened(&self, side: Side) {
        self.opened.get(side as usize).into_iter().for_each(|cell| bump(cell, 1));
    }

    /// Counts a connection that has ended.
    pub fn connection_closed(&self, side: Side) {
        self.closed.get(side as usize).into_iter().for_each(|cell| bump(cell, 1));
    }

    /// Counts a connection of HTTP/2 that was cut for what its caller did.
    pub fn cut(&self, reason: Cut) {
        self.cuts.get(reason as usize).into_iter().for_each(|cell| bump(cell, 1));
    }

    /// Counts a connection that was turned away before a request was read from it.
    pub fn refused(&self, reason: Refusal) {
        self.refusals.get(reason as usize).into_iter().for_each(|cell| bump(cell, 1));
    }

    /// Counts a look-up in the key index.
    pub fn looked_up(&self, result: Lookup) {
        self.lookups.get(result as usize).into_iter().for_each(|cell| bump(cell, 1));
    }

    /// The tripwires of the process.
    pub fn tripwires(&self) -> &Tripwires {
        &self.tripwires
    }

    pub(super) fn read_code(&self, code: Code) -> u64 {
        read(&self.codes, code as usize)
    }

    /// Counts streams of HTTP/2 that got nothing but an error of HTTP/2.
    pub fn refused_streams(&self, reason: StreamRefusal, count: u64) {
        self.refused_streams.get(reason as usize).into_iter().for_each(|cell| bump(cell, count));
    }

    /// Counts a request that was sent to the upstream again.
    pub fn retried(&self) {
        bump(&self.retries, 1);
    }

    pub(super) fn read_retries(&self) -> u64 {
        self.retries.load(Ordering::Relaxed)
    }

    pub(super) fn read_cuts(&self, reason: Cut) -> u64 {
        read(&self.cuts, reason as usize)
    }

    pub(super) fn read_refused_streams(&self, reason: StreamRefusal) -> u64 {
        read(&self.refused_streams, reason as usize)
    }

    pub(super) fn read_refusals(&self, reason: Refusal) -> u64 {
        read(&self.refusals, reason as usize)
    }

    pub(super) fn read_lookups(&self, result: Lookup) -> u64 {
        read(&self.lookups, result as usize)
    }

    /// Connections open now. The two cells are read one after the other, hence never below zero.
    pub(super) fn read_connections(&self, side: Side) -> u64 {
        let closed = read(&self.closed, side as usize);
        read(&self.opened, side as usize).saturating_sub(closed)
    }
}

fn read(cells: &[AtomicU64], position: usize) -> u64 {
    cells.get(position).map_or(0, |cell| cell.load(Ordering::Relaxed))
}
