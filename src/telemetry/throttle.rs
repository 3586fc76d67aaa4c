//! Lines that callers cause: told now and then for each reason, so that they neither fill the log nor hide one another.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The log is told of one case of a reason in this time.
const PAUSE: Duration = Duration::from_secs(60);

/// What one worker has told of each reason, which is one of a fixed list.
#[derive(Debug, Default)]
pub struct Throttle {
    told: RefCell<BTreeMap<&'static str, Told>>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    /// Cases since then.
    others: u64,
}

impl Throttle {
    /// Counts a case: where it may be told now, how many of the same reason were not since the last one that was.
    pub fn pass(&self, reason: &'static str) -> Option<u64> {
        self.pass_many(reason, 1)
    }

    /// The same for several cases at once, of which one may be told.
    pub fn pass_many(&self, reason: &'static str, cases: u64) -> Option<u64> {
        self.pass_at(Instant::now(), reason, cases)
    }

    fn pass_at(&self, now: Instant, reason: &'static str, cases: u64) -> Option<u64> {
        let mut all = self.told.borrow_mut();
        let Some(told) = all.get_mut(reason) else {
            all.insert(reason, Told { at: now, others: 0 });
            return Some(cases.saturating_sub(1));
        };
        if now.saturating_duration_since(told.at) < PAUSE {
            told.others = told.others.saturating_add(cases);
            return None;
        }
        let before = std::mem::replace(told, Told { at: now, others: 0 }).others;
        Some(before.saturating_add(cases.saturating_sub(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_told_once_in_a_pause_and_then_with_how_many_were_not() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let pass = |at, reason| throttle.pass_at(at, reason, 1);
        assert_eq!(pass(start, "one"), Some(0));
        assert_eq!(pass(start, "one"), None);
        assert_eq!(pass(start, "other"), Some(0), "no reason hides another");
        assert_eq!(pass(start + PAUSE / 2, "one"), None);
        assert_eq!(pass(start + PAUSE, "one"), Some(2));
        assert_eq!(pass(start + PAUSE, "other"), Some(0));
        assert_eq!(pass(start + 3 * PAUSE, "one"), Some(0));
    }

    #[test]
    fn cases_that_come_together_count_each() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        assert_eq!(throttle.pass_at(start, "one", 5), Some(4), "one of them is told");
        assert_eq!(throttle.pass_at(start, "one", 7), None);
        assert_eq!(throttle.pass_at(start + PAUSE, "one", 3), Some(9));
    }
}
