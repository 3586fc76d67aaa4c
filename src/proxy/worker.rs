//! What one worker owns, and the generation of the configuration that it serves.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use crate::http1::head;
use crate::key::Timestamp;
use crate::snapshot::{Config, Handle, Limits, Snapshot};
use crate::store::follow::Status;
use crate::store::index::Index;
use crate::store::uses::Tally;
use crate::telemetry::access::{AccessWriter, Record};
use crate::telemetry::metrics::{Outcome, WorkerCells};
use crate::telemetry::throttle::Throttle;

use super::buffer::Buffers;
use super::downstream::Tickets;
use super::reply::form::Forms;
use super::request_id::RequestIds;
use super::room::Room;
use super::ticket::Ticket;
use super::upstream::fleet::{Fleet, Means};
use super::upstream::{Gate, Sockets};
use super::watch::Watch;

/// Everything that the requests of one worker touch.
pub(crate) struct Worker {
    pub(crate) handle: Arc<Handle>,
    pub(crate) keys: Arc<Index>,
    pub(crate) store: Arc<Status>,
    /// How keys are used; `None` where the store takes none of it down.
    uses: Option<Tally>,
    pub(crate) watch: Rc<Watch>,
    pub(crate) buffers: Buffers,
    /// What streams of HTTP/2 may hold.
    pub(crate) room: Rc<Room>,
    pub(crate) request_ids: RequestIds,
    pub(crate) cells: Arc<WorkerCells>,
    /// Which lines about connections of callers are due.
    pub(crate) throttle: Throttle,
    /// How many requests wait for the upstream.
    pub(crate) gate: Rc<Gate>,
    /// Starts what is drawn at random.
    seed: u64,
    sockets: Arc<Sockets>,
    /// How many workers share the limits that hold for the process.
    workers: usize,
    view: RefCell<Rc<View>>,
    access: RefCell<Option<AccessWriter>>,
    phase: Cell<Phase>,
    /// Output buffers between two requests.
    spare: RefCell<Vec<Vec<u8>>>,
    pub(crate) tickets: Tickets,
}

/// How far the end of the process has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// The process is about to end: requests are still taken, and each connection is told to take the next elsewhere.
    Leaving,
    /// No further request is taken.
    Draining,
    /// The time of those that were taken has passed.
    Over,
    Serving,
}

/// How many output buffers a worker keeps, and how large one may be to be kept.
const SPARE: usize = 64;
const SPARE_BYTES: usize = 64 * 1024;

/// What the process hands to each worker.
pub(crate) struct Share {
    pub(crate) handle: Arc<Handle>,
    pub(crate) keys: Arc<Index>,
    pub(crate) store: Arc<Status>,
    pub(crate) uses: Option<Tally>,
    pub(crate) cells: Arc<WorkerCells>,
    pub(crate) access: Option<AccessWriter>,
    pub(crate) sockets: Arc<Sockets>,
    pub(crate) workers: usize,
    pub(crate) seed: u64,
}

/// One generation as a worker sees it.
pub(crate) struct View {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) head_limits: head::Limits,
    /// The servers of the upstream.
    pub(crate) fleet: Fleet,
    /// What a caller without a key is told: where one may stand.
    pub(crate) advice: String,
    /// Refusals as they were first written.
    pub(crate) forms: Forms,
    /// This worker's part of `upstream.max_pending`.
    pub(crate) max_pending: usize,
    /// What each request adds to the retry budget.
    pub(crate) earned: f32,
}

impl View {
    fn of(snapshot: Arc<Snapshot>, fleet: Fleet, workers: usize) -> Self {
        let Limits { header_bytes, headers, target_bytes, .. } = snapshot.config.limits;
        let upstream = &snapshot.config.upstream;
        let mut advice = snapshot.config.keys.accept.advice();
        snapshot.config.keys.mask().cover(&mut advice);
        Self {
            advice,
            head_limits: head::Limits { header_bytes, headers, target_bytes },
            fleet,
            forms: Forms::default(),
            max_pending: upstream.max_pending.div_ceil(workers.max(1)),
            earned: f32::from(upstream.retries.budget_percent) / 100.0,
            snapshot,
        }
    }
}

impl Worker {
    pub(crate) fn new(share: Share) -> Rc<Self> {
        let watch = Watch::new();
        let (now, wall) = watch.reading();
        let snapshot = share.handle.load();
        let means = Means { watch: &watch, cells: &share.cells, sockets: &share.sockets, seed: share.seed };
        let fleet = Fleet::of(&snapshot, None, &means);
        let view = View::of(snapshot, fleet, share.workers);
        Rc::new(Self {
            handle: share.handle,
            keys: share.keys,
            store: share.store,
            uses: share.uses,
            buffers: Buffers::default(),
            room: Room::of_worker(),
            request_ids: RequestIds::new(share.seed),
            cells: share.cells,
            throttle: Throttle::default(),
            gate: Gate::new(),
            seed: share.seed,
            sockets: share.sockets,
            workers: share.workers,
            view: RefCell::new(Rc::new(view)),
            access: RefCell::new(share.access),
            phase: Cell::new(Phase::Serving),
            spare: RefCell::default(),
            tickets: Tickets::new(Ticket::new(now, wall, None)),
            watch,
        })
    }

    /// The generation in force. A request asks once and keeps what it gets.
    pub(crate) fn view(&self) -> Rc<View> {
        self.look(Rc::clone)
    }

    /// What `at` sees in the generation in force, which it may ask for nothing else meanwhile.
    pub(crate) fn look<T>(&self, at: impl FnOnce(&Rc<View>) -> T) -> T {
        if self.view.borrow().snapshot.generation != self.handle.generation() {
            self.renew();
        }
        at(&self.view.borrow())
    }

    fn renew(&self) {
        let known = Rc::clone(&self.view.borrow());
        let snapshot = self.handle.load();
        // Connections to the upstream outlive a reload unless it changed where the upstream is, or how it is trusted.
        let (watch, cells, sockets) = (&self.watch, &self.cells, &self.sockets);
        let means = Means { watch, cells, sockets, seed: self.seed ^ snapshot.generation };
        let fleet = Fleet::of(&snapshot, Some(&known.fleet), &means);
        *self.view.borrow_mut() = Rc::new(View::of(snapshot, fleet, self.workers));
    }

    /// True once no connection is to be promised that it stays.
    pub(crate) fn is_leaving(&self) -> bool {
        self.phase.get() != Phase::Serving
    }

    /// True once no further request is to be taken on a connection.
    pub(crate) fn is_draining(&self) -> bool {
        matches!(self.phase.get(), Phase::Draining | Phase::Over)
    }

    /// True once nothing more is waited for: what was not answered is refused, what had begun is cut.
    pub(crate) fn is_over(&self) -> bool {
        self.phase.get() == Phase::Over
    }

    /// Begins to leave: whoever is answered now learns that the connection ends, and so does everybody who speaks HTTP/2.
    pub(crate) fn leave(&self) {
        self.phase.set(Phase::Leaving);
        self.watch.wake_all();
    }

    /// Begins to drain: idle connections end now, busy ones with their answer.
    pub(crate) fn drain(&self) {
        self.phase.set(Phase::Draining);
        self.watch.wake_all();
    }

    /// Ends the drain, whether all has ended or not.
    pub(crate) fn give_up(&self) {
        self.phase.set(Phase::Over);
        self.watch.wake_all();
    }

    /// Where the use of keys is counted; `None` where nobody wants to know.
    pub(crate) fn uses(&self, config: &Config) -> Option<&Tally> {
        self.uses.as_ref().filter(|_| config.keys.record_use.is_some())
    }

    /// What is left to do when no more requests come.
    pub(crate) fn finish(&self) {
        self.tick();
        if let Some(uses) = &self.uses {
            uses.finish();
        }
    }

    /// What is due every tick: how old the keys are, late connections, dead upstream connections, the access log's buffer, the
    /// use of keys.
    pub(crate) fn tick(&self) {
        if let Some(uses) = &self.uses {
            uses.follow();
        }
        let view = self.view();
        if self.store.judge(Instant::now(), view.snapshot.config.keys.max_stale) {
            // Of an attempt that hangs nothing is known but that.
            let error = self.store.trouble().unwrap_or_else(|| "the last attempt to read it has not ended".to_owned());
            tracing::error!(
                %error,
                "the key store has been away for longer than keys.max_stale: no key is let in until it is back"
            );
            // Exchanges that last are asked about anew.
            self.keys.announce();
        }
        self.watch.sweep(self.keys.changes());
        let most = view.snapshot.config.upstream.timeouts.idle;
        for server in view.fleet.servers() {
            server.pool.prune(&server.origin.server, most, &mut Context::from_waker(Waker::noop()));
        }
        if let Some(access) = &mut *self.access.borrow_mut() {
            access.flush();
        }
    }

    /// Reads both clocks, with one system call at most.
    pub(crate) fn clocks(&self) -> (Instant, Timestamp) {
        let now = Instant::now();
        self.watch.set(now);
        (now, self.watch.wall(now))
    }

    pub(crate) fn logs_access(&self) -> bool {
        self.access.borrow().is_some()
    }

    /// Writes the access log's record of a request that has ended.
    pub(crate) fn log_access(&self, ticket: &Ticket, view: &View, outcome: &Outcome) {
        let mut access = self.access.borrow_mut();
        let Some(access) = &mut *access else { return };
        let (method, target) = ticket.line.split_at_checked(ticket.method_length).unwrap_or_default();
        let config = &view.snapshot.config;
        let mask = config.keys.mask();
        let told = ticket.error.filter(|error| error.is_telling()).map(|error| error.detail(&config.limits));
        let server = ticket.server.and_then(|place| view.snapshot.servers.get(place)).map(|server| server.name());
        access.record(&Record {
            unix_millis: ticket.wall.as_millis() + i64::try_from(outcome.duration.as_millis()).unwrap_or(i64::MAX),
            request_id: mask.over(ticket.id.as_bytes()),
            client: ticket.peer,
            method: mask.over(method),
            route: ticket.route.map(|route| view.snapshot.cells(Some(route)).label()),
            target: mask.over(target),
            status: outcome.status,
            decision: outcome.decision,
            code: outcome.code,
            reason: told.as_deref().or(ticket.note),
            key_id: Some(ticket.key_id.as_str()).filter(|id| !id.is_empty()),
            account: Some(ticket.account.as_str()).filter(|account| !account.is_empty()),
            server: server.as_deref(),
            retries: ticket.retries,
            duration: outcome.duration,
            upstream: outcome.upstream,
            bytes_in: ticket.bytes_in,
            bytes_out: ticket.bytes_out,
        });
    }

    /// Lets go of the buffers that are kept for later.
    pub(crate) fn let_go(&self) {
        self.buffers.let_go();
        self.tickets.let_go();
        self.view.borrow().forms.let_go();
        drop(self.spare.take());
    }

    /// An empty output buffer.
    pub(crate) fn borrow_output(&self) -> Vec<u8> {
        self.spare.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes an output buffer back.
    pub(crate) fn return_output(&self, mut output: Vec<u8>) {
        let mut spare = self.spare.borrow_mut();
        if spare.len() < SPARE && (1..=SPARE_BYTES).contains(&output.capacity()) {
            output.clear();
            spare.push(output);
        }
    }
}
