//! The list of all metrics: name, type, help.

use prometheus::proto::MetricType;

use super::process;

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
    KeysSnapshot,
    LastReload,
    PolicyGeneration,
    Process(process::Reading),
    Refusals,
    RefusedStreams,
    Reloads,
    RequestDuration,
    Requests,
    StoreAway,
    StoreFault,
    StoreMaxStale,
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
pub const DEFINITIONS: [Definition; 34] = {
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
            "scopegate_keys_snapshot_timestamp_seconds",
            GAUGE,
            F::KeysSnapshot,
            "When what the file of keys.snapshot says was last the truth, in seconds since unix epoch; only where it is kept.",
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
        define(
            "scopegate_store_away_seconds",
            GAUGE,
            F::StoreAway,
            "How long ago the key store was last read while it cannot be, from the start where it never was; 0 while it can.",
        ),
        define(
            "scopegate_store_fault",
            GAUGE,
            F::StoreFault,
            "1 for the class of what keeps the key store from being read, 0 for the others.",
        ),
        define(
            "scopegate_store_max_stale_seconds",
            GAUGE,
            F::StoreMaxStale,
            "How long the key store may be away before no key is let in; missing where that is for ever.",
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
