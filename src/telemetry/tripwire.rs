//! Tripwires: keys that are there to be found. Whoever uses one has read what was not for them.
//!
//! The first use of each in the life of the process is an error in the log, later ones are a warning once a minute, and all
//! are counted.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tracing::field::display;

/// The log is told of one further use of a key in this time.
const PAUSE: Duration = Duration::from_secs(60);

/// What all workers have seen of tripwires.
#[derive(Debug, Default)]
pub struct Tripwires {
    uses: AtomicU64,
    /// By the id of the key: as many as there are tripwires in the store.
    told: Mutex<BTreeMap<Box<str>, Told>>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    /// Uses since then.
    others: u64,
}

/// What the log is to be told of a use.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Again { others: u64 },
    First,
    Nothing,
}

impl Tripwires {
    /// A tripwire was used, from an address where there is one. It may be any of the workers that says so.
    pub fn spring(&self, key_id: &str, client: Option<IpAddr>) {
        self.uses.fetch_add(1, Ordering::Relaxed);
        let client = client.map(display);
        match self.weigh(key_id, Instant::now()) {
            Word::Again { others } => tracing::warn!(key_id, client, others, "a tripwire was used again"),
            Word::First => {
                tracing::error!(
                    key_id,
                    client,
                    "a tripwire was used: whoever sent this key has read it where it was laid"
                );
            }
            Word::Nothing => {}
        }
    }

    /// How often tripwires were used.
    pub(super) fn uses(&self) -> u64 {
        self.uses.load(Ordering::Relaxed)
    }

    fn weigh(&self, key_id: &str, now: Instant) -> Word {
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(told) = all.get_mut(key_id) else {
            all.insert(key_id.into(), Told { at: now, others: 0 });
            return Word::First;
        };
        if now.saturating_duration_since(told.at) < PAUSE {
            told.others += 1;
            return Word::Nothing;
        }
        Word::Again { others: std::mem::replace(told, Told { at: now, others: 0 }).others }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_use_of_each_tripwire_is_told_and_then_one_a_minute() {
        let (tripwires, start) = (Tripwires::default(), Instant::now());
        assert_eq!(tripwires.weigh("one", start), Word::First);
        assert_eq!(tripwires.weigh("one", start), Word::Nothing);
        assert_eq!(tripwires.weigh("other", start), Word::First, "no tripwire hides another");
        assert_eq!(tripwires.weigh("one", start + PAUSE / 2), Word::Nothing);
        assert_eq!(tripwires.weigh("one", start + PAUSE), Word::Again { others: 2 });
        assert_eq!(tripwires.weigh("one", start + PAUSE), Word::Nothing);
        assert_eq!(tripwires.weigh("other", start + PAUSE), Word::Again { others: 0 });
    }
}
