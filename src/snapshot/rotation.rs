//! Keys that are older than `keys.rotate_after` says: the log says so, once a day, until they have new values.

use std::time::Duration;

use crate::key::Timestamp;
use crate::telemetry::metrics::{Metrics, RotateDue};

/// How often the log is told.
const AGAIN: Duration = Duration::from_secs(86_400);
/// How often keys are counted while the log need not be told.
const LOOK: Duration = Duration::from_secs(60);

/// When the log may be told again.
#[derive(Debug, Default)]
pub(super) struct Reminder {
    next: Option<Timestamp>,
}

impl Reminder {
    /// Tells the log how many keys ought to be given a new value, unless it was told within a day.
    pub(super) fn look(&mut self, metrics: &Metrics, now: Timestamp) {
        if let Some(RotateDue { pair, secret }) = self.weigh(metrics, now) {
            tracing::warn!(
                pair,
                secret,
                "keys are older than `keys.rotate_after`: `scopegate keys list` shows which, `scopegate keys rotate` gives them new values"
            );
        }
    }

    /// What the log is to be told.
    fn weigh(&mut self, metrics: &Metrics, now: Timestamp) -> Option<RotateDue> {
        if self.next.is_some_and(|next| now < next) {
            return None;
        }
        let due = metrics.rotate_due().filter(|due| *due != RotateDue::default());
        self.next = Some(now.after(if due.is_some() { AGAIN } else { LOOK }));
        due
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn old_keys_are_told_of_once_a_day_and_soon_after_they_have_become_old() {
        let (metrics, old) = (Metrics::new(1), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&old);
        metrics.rotate_due_from(move || RotateDue { pair: 0, secret: counted.load(Ordering::Relaxed) });
        let mut reminder = Reminder::default();
        let mut told = |second: u64| {
            let now = Timestamp::from_millis(1_800_000_000_000).after(Duration::from_secs(second));
            reminder.weigh(&metrics, now).map(|due| due.secret)
        };
        assert_eq!(told(0), None);
        old.store(3, Ordering::Relaxed);
        assert_eq!((told(10), told(60), told(70), told(60 + 86_399)), (None, Some(3), None, None));
        old.store(4, Ordering::Relaxed);
        assert_eq!((told(60 + 86_400), told(60 + 86_410)), (Some(4), None));
    }
}
