//! How many keys have a value that is older than `keys.rotate_after` says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::key::{KeyKind, Timestamp};
use crate::snapshot::Handle;
use crate::store::index::Index;
use crate::telemetry::metrics::RotateDue;

/// Counting may take one part in so many of the time: a million keys are not looked at for every scrape.
const SHARE: u32 = 100;

/// Counts old keys, and remembers the count for as long as counting anew would cost too much.
pub(super) struct Ages {
    keys: Arc<Index>,
    handle: Arc<Handle>,
    last: Mutex<Option<Count>>,
}

#[derive(Clone, Copy)]
struct Count {
    at: Instant,
    took: Duration,
    due: RotateDue,
}

impl Ages {
    pub(super) fn new(keys: Arc<Index>, handle: Arc<Handle>) -> Self {
        Self { keys, handle, last: Mutex::new(None) }
    }

    /// How many keys ought to be given a new value.
    pub(super) fn count(&self) -> RotateDue {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = last.filter(|last| last.at.elapsed() < last.took * SHARE) {
            return last.due;
        }
        let at = Instant::now();
        let (rotate_after, now) = (self.handle.load().config.keys.rotate_after, Timestamp::now());
        let mut due = RotateDue::default();
        self.keys.tell_ages(now, &mut |kind, minted| {
            let is_due = rotate_after.due_at(kind, minted).is_some_and(|end| end <= now);
            match kind {
                KeyKind::Pair => due.pair += u64::from(is_due),
                KeyKind::Public => {}
                KeyKind::Secret => due.secret += u64::from(is_due),
            }
        });
        *last = Some(Count { at, took: at.elapsed(), due });
        due
    }
}
