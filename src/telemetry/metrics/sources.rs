//! What others know and metrics ask for when they are scraped.

use std::fmt;
use std::time::Duration;

use crate::telemetry::label::StoreFault;

/// A value that is read when metrics are scraped.
pub(super) struct Source(pub(super) Box<dyn Fn() -> u64 + Send + Sync>);

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

/// How the key store fares.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StoreFare {
    /// Whether it can be read.
    pub is_up: bool,
    /// How long it cannot be; from the start where it never could.
    pub away: Duration,
    /// What is wrong with it; `None` while it can be read.
    pub fault: Option<StoreFault>,
    /// For how long keys go on working without it; `None` for ever.
    pub max_stale: Option<Duration>,
    /// When what the copy of the keys says was last the truth, in seconds since the epoch; `None` where there is none.
    pub snapshot: Option<i64>,
}

/// How the key store fares, read when metrics are scraped.
pub(super) struct StoreSource(pub(super) Box<dyn Fn() -> StoreFare + Send + Sync>);

impl fmt::Debug for StoreSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StoreSource")
    }
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
pub(super) struct Uses(pub(super) Box<dyn Fn() -> UseWrites + Send + Sync>);

impl fmt::Debug for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Uses")
    }
}

/// The keys that ought to be given a new value, counted when somebody asks.
pub(super) struct Ages(pub(super) Box<dyn Fn() -> RotateDue + Send + Sync>);

impl fmt::Debug for Ages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ages")
    }
}

/// The servers of the upstream, read when metrics are scraped.
pub(super) struct Servers(pub(super) Box<dyn Fn() -> Vec<ServerUp> + Send + Sync>);

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Servers")
    }
}
