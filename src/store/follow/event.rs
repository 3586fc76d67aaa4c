//! What a follower reports.

use crate::store::{Badge, Revision, StoreError};

/// What a follower reports, for the log.
#[derive(Debug)]
pub enum Event<'a> {
    /// The store has been told of this follower for the first time, which is called so there.
    Announced(&'a Badge),
    /// Something in the store cannot be read, and nobody is let in by it; all else is followed.
    Closed(&'a str),
    /// The store cannot be followed any more. Told once for each different trouble, not for every attempt.
    Down {
        /// What is wrong.
        error: &'a StoreError,
        /// Whether the store was ever read, by this process or by the one that wrote the copy: else no key is known.
        is_known: bool,
    },
    /// Changes were taken in.
    Loaded {
        /// How many records.
        keys: usize,
        /// Up to which revision.
        revision: Revision,
    },
    /// The store has another past than the one that was followed, and everything was taken in anew.
    Restored {
        /// How many records there are.
        keys: usize,
    },
    /// Nobody can be told how far this follower has come, and those who ask know that there is one. Told once.
    Overdue(&'a StoreError),
    /// Nobody can be told how far this follower has come, or that there is one. Told once.
    Unconfirmed(&'a StoreError),
    /// The store can be followed again.
    Up,
}
