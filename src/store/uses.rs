//! How often and when keys were used: counted by each worker for itself, written to the store by one thread, in batches.
//!
//! A worker counts into its own [`Tally`], by the digest of the value that was presented: no request locks, allocates or asks
//! a store because of it, but for the first use of a value since the last round. Every few seconds the [`Recorder`] calls for
//! the tallies, adds them up and writes what came together in few transactions. A store adds to what it has, so that the uses
//! of several gateways, and of one before and after a restart, come to one sum. What a process that is killed has not written
//! is lost: one interval at most.
//!
//! INVARIANT: memory is bounded by what was used since the last round, and by fixed limits beyond that. A key that is not in
//! force counts nothing, so that no caller without one makes anything grow.

mod link;
mod pending;
mod recorder;
mod tally;

use crate::key::Timestamp;
use crate::key::digest::Digest;

pub use link::Status;
pub use recorder::{Event, Recorder};
pub use tally::Tally;

/// How often something was used, and when last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// Requests that were let through.
    pub allowed: u64,
    /// Requests that were not, or that shadow mode alone let through.
    pub denied: u64,
    /// The last of either.
    pub last: Timestamp,
}

impl Count {
    /// No use at all.
    pub const NONE: Self = Self { allowed: 0, denied: 0, last: Timestamp::MIN };

    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: Self) {
        self.allowed = self.allowed.saturating_add(other.allowed);
        self.denied = self.denied.saturating_add(other.denied);
        self.last = self.last.max(other.last);
    }

    /// All requests.
    #[must_use]
    pub const fn requests(self) -> u64 {
        self.allowed.saturating_add(self.denied)
    }
}

/// What is to be added to the use of one value of a key, and of the key that has or had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueUse {
    /// Which value.
    pub digest: Digest,
    /// Requests with it.
    pub count: Count,
    /// For each scope: the requests that were let through and needed it, and those that were denied for the lack of it.
    pub scopes: Vec<(Box<str>, Count)>,
}

/// All that a store knows of the use of a key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyUse {
    /// Of the key, with whichever value; `None` where it was never used.
    pub whole: Option<Count>,
    /// By scope, in order of name, as in [`ValueUse::scopes`].
    pub scopes: Vec<(Box<str>, Count)>,
    /// Of each of its values that was ever used.
    pub values: Vec<(Digest, Count)>,
}

impl KeyUse {
    /// The use of one value; `None` where it was never used.
    pub fn of_value(&self, digest: &Digest) -> Option<Count> {
        self.values.iter().find(|(known, _)| known == digest).map(|(_, count)| *count)
    }
}

#[cfg(test)]
mod tests;
