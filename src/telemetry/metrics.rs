//! Every metric of the gateway.
//!
//! [`DEFINITIONS`] is the whole list: name, type, help. Nothing on the request path looks a metric up: a snapshot
//! resolves the [`RouteCells`] of its routes when it is built, a worker holds its own [`WorkerCells`], and each of
//! them has exactly one writer. [`Metrics::render`] adds up at scrape. Cells live as long as the process, under the
//! route's label, so that no counter goes backwards when a policy is reloaded.

pub mod cells;
mod collect;
mod definitions;
mod process;
mod sources;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use prometheus::TextEncoder;

pub use self::cells::{Outcome, RouteCells, WorkerCells};
pub(crate) use self::definitions::Family;
pub use self::definitions::{DEFINITIONS, Definition};
use self::sources::{Ages, Servers, Source, StoreSource, Uses};
pub use self::sources::{RotateDue, ServerUp, StoreFare, UseWrites};
use super::label::{CertificateLabel, Reload};
use super::tripwire::Tripwires;

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The route label of a request that no route took.
pub const NO_ROUTE: &str = "none";

/// How many routes are kept that no policy in use has any more: so many that no policy that is edited and put back starts
/// its counters anew, so few that policies written by a program do not fill the memory.
const FORMER_ROUTES: usize = 1_000;

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    /// By label. Those of former policies stay, up to [`FORMER_ROUTES`] of them.
    routes: RwLock<BTreeMap<Box<str>, Arc<RouteCells>>>,
    workers: Box<[Arc<WorkerCells>]>,
    reloads: [AtomicU64; Reload::ALL.len()],
    last_reload_failed: AtomicBool,
    generation: AtomicU64,
    /// Seconds since the epoch; `i64::MAX` where there is no such certificate.
    expiries: [AtomicI64; CertificateLabel::ALL.len()],
    access_log_dropped: Arc<AtomicU64>,
    ages: OnceLock<Ages>,
    keys: OnceLock<Source>,
    store: OnceLock<StoreSource>,
    servers: OnceLock<Servers>,
    uses: OnceLock<Uses>,
    tripwires: Arc<Tripwires>,
}

impl Metrics {
    /// Metrics for this many workers.
    pub fn new(workers: usize) -> Self {
        let tripwires = Arc::<Tripwires>::default();
        let cells = |worker| Arc::new(WorkerCells::new(worker, Arc::clone(&tripwires)));
        Self {
            routes: RwLock::default(),
            workers: (0..workers).map(cells).collect(),
            reloads: Default::default(),
            last_reload_failed: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            expiries: [const { AtomicI64::new(i64::MAX) }; CertificateLabel::ALL.len()],
            access_log_dropped: Arc::default(),
            ages: OnceLock::new(),
            keys: OnceLock::new(),
            store: OnceLock::new(),
            servers: OnceLock::new(),
            uses: OnceLock::new(),
            tripwires,
        }
    }

    /// The cells of the route with this label; the same cells for the same label, however often policies change.
    /// For when a snapshot is built: it locks.
    pub fn route(&self, label: &str) -> Arc<RouteCells> {
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(cells) = routes.get(label) {
            return Arc::clone(cells);
        }
        let cells = Arc::new(RouteCells::new(label, self.workers.len()));
        routes.insert(label.into(), Arc::clone(&cells));
        cells
    }

    /// The cells of requests that no route took.
    pub fn no_route(&self) -> Arc<RouteCells> {
        self.route(NO_ROUTE)
    }

    /// The cells of one worker, from 0; `None` past the number of workers. Only that worker's thread may write them.
    pub fn worker(&self, worker: usize) -> Option<Arc<WorkerCells>> {
        self.workers.get(worker).map(Arc::clone)
    }

    /// Counts a reload, and says whether what the files hold is in force.
    pub fn reloaded(&self, result: Reload) {
        self.last_reload_failed.store(result == Reload::Failed, Ordering::Relaxed);
        if let Some(cell) = self.reloads.get(result as usize) {
            cell.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether the last reload failed, so that what is in force is older than the files.
    pub fn is_reload_refused(&self) -> bool {
        self.last_reload_failed.load(Ordering::Relaxed)
    }

    /// Says which generation is in force. Where too many routes of former ones have gathered, all that nobody uses go.
    pub fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Ordering::Relaxed);
        let mut routes = self.routes.write().unwrap_or_else(PoisonError::into_inner);
        let is_former = |label: &str, cells: &Arc<RouteCells>| label != NO_ROUTE && Arc::strong_count(cells) == 1;
        if routes.iter().filter(|(label, cells)| is_former(label, cells)).count() > FORMER_ROUTES {
            routes.retain(|label, cells| !is_former(label, cells));
        }
    }

    /// Says when a certificate expires, in seconds since the epoch; `None` where there is none.
    pub fn set_expiry(&self, certificate: CertificateLabel, seconds: Option<i64>) {
        if let Some(cell) = self.expiries.get(certificate as usize) {
            cell.store(seconds.unwrap_or(i64::MAX), Ordering::Relaxed);
        }
    }

    /// Says how to learn the number of key records in memory; asked at each scrape. The first call counts.
    pub fn keys_from(&self, read: impl Fn() -> u64 + Send + Sync + 'static) {
        self.keys.get_or_init(|| Source(Box::new(read)));
    }

    /// Says how to learn how many keys ought to be given a new value; asked at each scrape. The first call counts.
    pub fn rotate_due_from(&self, read: impl Fn() -> RotateDue + Send + Sync + 'static) {
        self.ages.get_or_init(|| Ages(Box::new(read)));
    }

    /// How many keys ought to be given a new value; `None` where nobody said how to learn it.
    pub fn rotate_due(&self) -> Option<RotateDue> {
        self.ages.get().map(|ages| (ages.0)())
    }

    /// Says how to learn how the key store fares; asked at each scrape. The first call counts.
    pub fn store_from(&self, read: impl Fn() -> StoreFare + Send + Sync + 'static) {
        self.store.get_or_init(|| StoreSource(Box::new(read)));
    }

    /// Says how to learn which servers of the upstream there are and how they stand; asked at each scrape. The first call counts.
    pub fn servers_from(&self, read: impl Fn() -> Vec<ServerUp> + Send + Sync + 'static) {
        self.servers.get_or_init(|| Servers(Box::new(read)));
    }

    /// Says how to learn what became of the record of how keys are used; asked at each scrape. The first call counts.
    pub fn use_writes_from(&self, read: impl Fn() -> UseWrites + Send + Sync + 'static) {
        self.uses.get_or_init(|| Uses(Box::new(read)));
    }

    /// Where an access log counts the records it had to drop.
    pub fn access_log_dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.access_log_dropped)
    }

    /// All metrics in Prometheus' text form, of type [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// Only where the encoder refuses what we collected, a fault of ours.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.collect())
    }
}

#[cfg(test)]
mod tests;
