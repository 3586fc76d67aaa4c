//! Every metric of the gateway.
//!
//! [`DEFINITIONS`] is the whole list: name, type, help. Nothing on the request path looks a metric up: a snapshot
//! resolves the [`RouteCells`] of its routes when it is built, a worker holds its own [`WorkerCells`], and each of
//! them has exactly one writer. [`Metrics::render`] adds up at scrape. Cells live as long as the process, under the
//! route's label, so that no counter goes backwards when a policy is reloaded.

pub mod cells;
mod collect;
mod process;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use prometheus::TextEncoder;
use prometheus::proto::MetricType;

pub use cells::{Outcome, RouteCells, WorkerCells};

use super::label::{CertificateLabel, Reload};
use super::tripwire::Tripwires;

/// The media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The route label of a request that no route took.
pub const NO_ROUTE: &str = "none";

/// One metric, as it is shown to Prometheus.
#[derive(Clone, Copy, Debug)]
pub struct Definition {
    /// The name of the metric.
    pub name: &'static str,
    /// Its help text.
    pub help: &'static str,
    pub(crate) kind: MetricType,
    pub(crate) family: Family,
}

/// Which cells a metric is read from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Family {
    AccessLogDropped,
    BuildInfo,
    CertificateExpiry,
    Connections,
    Cuts,
    Denials,
    KeyLookups,
    KeysCached,
    KeysRotateDue,
    LastReload,
    PolicyGeneration,
    Process(process::Reading),
    Refusals,
    RefusedStreams,
    Reloads,
    RequestDuration,
    Requests,
    StoreUp,
    TripwireUses,
    UpstreamDuration,
    UpstreamPanic,
    UpstreamRetries,
    UpstreamUp,
    UseLost,
    UseWrites,
}

const fn define(name: &'static str, kind: MetricType, family: Family, help: &'static str) -> Definition {
    Definition { name, help, kind, family }
}

/// Every metric, sorted by name.
pub const DEFINITIONS: [Definition; 30] = {
    use Family as F;
    use MetricType::{COUNTER, GAUGE, HISTOGRAM};
    use process::Reading as R;
    [
        define(
            "process_cpu_seconds_total",
            COUNTER,
            F::Process(R::CpuSeconds),
            "Total user and system CPU time spent in seconds.",
        ),
        define("process_max_fds", GAUGE, F::Process(R::MaxFds), "Maximum number of open file descriptors."),
        define("process_open_fds", GAUGE, F::Process(R::OpenFds), "Number of open file descriptors."),
        define("process_resident_memory_bytes", GAUGE, F::Process(R::ResidentBytes), "Resident memory size in bytes."),
        define(
            "process_start_time_seconds",
            GAUGE,
            F::Process(R::StartSeconds),
            "Start time of the process since unix epoch in seconds.",
        ),
        define("process_virtual_memory_bytes", GAUGE, F::Process(R::VirtualBytes), "Virtual memory size in bytes."),
        define(
            "scopegate_access_log_dropped_total",
            COUNTER,
            F::AccessLogDropped,
            "Access log records lost because the log could not be written as fast as requests came.",
        ),
        define("scopegate_build_info", GAUGE, F::BuildInfo, "Always 1; the version is in the label."),
        define(
            "scopegate_certificate_expiry_timestamp_seconds",
            GAUGE,
            F::CertificateExpiry,
            "When the first certificate of a chain that the gateway shows expires, in seconds since unix epoch.",
        ),
        define("scopegate_connections", GAUGE, F::Connections, "Open connections, by the side they are on."),
        define(
            "scopegate_cut_connections_total",
            COUNTER,
            F::Cuts,
            "Connections of HTTP/2 that the gateway cut for what their callers did, by reason.",
        ),
        define(
            "scopegate_denials_total",
            COUNTER,
            F::Denials,
            "Requests that the gateway refused or could not serve, by the code of its answer (in shadow mode: of the answer it would have given).",
        ),
        define(
            "scopegate_key_cache_lookups_total",
            COUNTER,
            F::KeyLookups,
            "Look-ups of presented keys in the key index in memory, by result.",
        ),
        define("scopegate_keys_cached", GAUGE, F::KeysCached, "Key records held in memory."),
        define(
            "scopegate_keys_rotate_due",
            GAUGE,
            F::KeysRotateDue,
            "Keys in force whose value is older than keys.rotate_after says, by kind.",
        ),
        define(
            "scopegate_last_reload_successful",
            GAUGE,
            F::LastReload,
            "1 while the files say what is in force, 0 once a reload was refused or failed.",
        ),
        define(
            "scopegate_policy_generation",
            GAUGE,
            F::PolicyGeneration,
            "Number of the configuration and policy in force; 1 is what the process started with.",
        ),
        define(
            "scopegate_refused_connections_total",
            COUNTER,
            F::Refusals,
            "Connections of callers that were turned away before a request was read from them, by reason.",
        ),
        define(
            "scopegate_refused_streams_total",
            COUNTER,
            F::RefusedStreams,
            "Streams of HTTP/2 that got an error of HTTP/2, or a bare 431, for what their callers did, by reason.",
        ),
        define("scopegate_reloads_total", COUNTER, F::Reloads, "Reloads of the configuration and policy, by result."),
        define(
            "scopegate_request_duration_seconds",
            HISTOGRAM,
            F::RequestDuration,
            "Time from the first byte of a request to the last byte of its answer, by route.",
        ),
        define(
            "scopegate_requests_total",
            COUNTER,
            F::Requests,
            "Requests, by route of the policy, method, status sent to the caller and decision.",
        ),
        define("scopegate_store_up", GAUGE, F::StoreUp, "1 while the key store can be read, 0 while it cannot."),
        define(
            "scopegate_tripwire_uses_total",
            COUNTER,
            F::TripwireUses,
            "Requests with a key that is a tripwire, whatever came of them.",
        ),
        define(
            "scopegate_upstream_duration_seconds",
            HISTOGRAM,
            F::UpstreamDuration,
            "Time from a request sent to the upstream to the head of its answer, by route.",
        ),
        define(
            "scopegate_upstream_panic",
            GAUGE,
            F::UpstreamPanic,
            "1 while more than half of the servers of the upstream have failed, so that all of them are asked, 0 otherwise; only where there are several.",
        ),
        define(
            "scopegate_upstream_retries_total",
            COUNTER,
            F::UpstreamRetries,
            "Requests sent to the upstream once more, since an attempt before had got no answer.",
        ),
        define(
            "scopegate_upstream_up",
            GAUGE,
            F::UpstreamUp,
            "0 while this server of the upstream is left out, or, where there is no other, once it has failed as often in a row as health.eject_after says; else 1.",
        ),
        define(
            "scopegate_use_lost_total",
            COUNTER,
            F::UseLost,
            "Requests that are missing in the record of how keys are used, since it could not be written for too long.",
        ),
        define(
            "scopegate_use_writes_total",
            COUNTER,
            F::UseWrites,
            "Attempts to write to the key store how keys are used, by result.",
        ),
    ]
};

/// A value that is read when metrics are scraped.
struct Source(Box<dyn Fn() -> u64 + Send + Sync>);

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Source")
    }
}

/// One server of the upstream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerUp {
    /// What the configuration calls it: `host[:port]` of its URL, a default port left out, or `unix:/path`.
    pub name: String,
    /// It is not left out; a single server has not failed too often.
    pub is_up: bool,
    /// It has not failed too often; one of several that has is up all the same where more than half have.
    pub is_well: bool,
}

/// How many keys ought to be given a new value, by kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct RotateDue {
    /// Pairs.
    pub pair: u64,
    /// Secret keys.
    pub secret: u64,
}

/// What became of the record of how keys are used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UseWrites {
    /// Attempts to write it that failed.
    pub failed: u64,
    /// Requests that are missing in it.
    pub lost: u64,
    /// Attempts that did not fail.
    pub written: u64,
}

/// What became of the record of how keys are used, read when metrics are scraped.
struct Uses(Box<dyn Fn() -> UseWrites + Send + Sync>);

impl fmt::Debug for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Uses")
    }
}

/// The keys that ought to be given a new value, counted when somebody asks.
struct Ages(Box<dyn Fn() -> RotateDue + Send + Sync>);

impl fmt::Debug for Ages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ages")
    }
}

/// The servers of the upstream, read when metrics are scraped.
struct Servers(Box<dyn Fn() -> Vec<ServerUp> + Send + Sync>);

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Servers")
    }
}

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
    store_up: OnceLock<Source>,
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
            store_up: OnceLock::new(),
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

    /// Says how to learn whether the store can be read; asked at each scrape. The first call counts.
    pub fn store_up_from(&self, read: impl Fn() -> bool + Send + Sync + 'static) {
        self.store_up.get_or_init(|| Source(Box::new(move || u64::from(read()))));
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
