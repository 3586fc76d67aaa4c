//! How a store fares, and what that means for its keys.

use std::mem;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::key::Timestamp;
use crate::store::Cause;

/// How long a single attempt may take before the store counts as away: a call into it may hang for as long as a network or a disk
/// does.
const OVERDUE: Duration = Duration::from_secs(10);
/// For how long known keys go on, as long as nobody has said so: what `keys.max_stale` is unless it is set.
pub(super) const USUAL: Duration = Duration::from_secs(15 * 60);
/// No number of milliseconds: of a contact, that there was none.
const NEVER: i64 = i64::MIN;

/// What the keys in memory are worth, as their store fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Known keys work. One that is not known may have been made meanwhile.
    Away,
    /// No key works: what is known of them is too old, or the store was never read to its end.
    Stale,
    /// Known keys work, and there are no others.
    Up,
}

impl Standing {
    const fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::Up,
            1 => Self::Away,
            _ => Self::Stale,
        }
    }

    const fn as_byte(self) -> u8 {
        match self {
            Self::Up => 0,
            Self::Away => 1,
            Self::Stale => 2,
        }
    }
}

/// How the store fares. Read by requests, readiness and metrics, from any thread.
///
/// The follower says what came of its attempts; whoever has a clock in hand anyway lets time pass ([`Status::judge`]), since a
/// follower that hangs in a call cannot. A request reads one atomic number.
#[derive(Debug)]
pub struct Status {
    standing: AtomicU8,
    /// Milliseconds from `start` to the last contact; negative where another process had it.
    contact: AtomicI64,
    start: Instant,
    /// For how many milliseconds known keys work while the store is away; [`NEVER`] where that has no end.
    goes_on_for: AtomicI64,
    /// Held by whoever changes the standing.
    trouble: Mutex<Trouble>,
}

/// What is wrong.
#[derive(Debug, Default)]
struct Trouble {
    /// What the last attempt came to grief by, in full and in few words, as far as the follower knows.
    why: Option<(String, Cause)>,
    /// Whether anybody was told that the store is away, so that its return is news.
    is_told: bool,
}

impl Status {
    /// That of a store that was just read.
    pub(in crate::store) fn up() -> Self {
        Self::new(Standing::Up, 0)
    }

    /// That of a store that could not be reached, and was last read at `contact`, by an earlier process. A clock that was put
    /// back counts as no time. Where it was read by none, no key works until it is read to its end, whatever was told until then.
    pub(super) fn away(contact: Option<Timestamp>) -> Self {
        let age = contact.map(|contact| Timestamp::now().as_millis().saturating_sub(contact.as_millis()).max(0));
        let status = age.map_or(Self::new(Standing::Stale, NEVER), |age| Self::new(Standing::Away, -age));
        status.lock().is_told = true;
        status
    }

    fn new(standing: Standing, contact: i64) -> Self {
        let status = Self {
            standing: AtomicU8::new(standing.as_byte()),
            contact: AtomicI64::new(contact),
            start: Instant::now(),
            goes_on_for: AtomicI64::new(NEVER),
            trouble: Mutex::default(),
        };
        status.last_for(Some(USUAL));
        status
    }

    /// What the keys in memory are worth.
    pub fn standing(&self) -> Standing {
        Standing::from_byte(self.standing.load(Ordering::Relaxed))
    }

    /// Whether the last attempt to follow the store went well.
    pub fn is_up(&self) -> bool {
        self.standing() == Standing::Up
    }

    /// Whether no key works.
    pub fn is_stale(&self) -> bool {
        self.standing() == Standing::Stale
    }

    /// How long ago the store was last read to its end; `None` where it never was.
    pub fn age(&self, now: Instant) -> Option<Duration> {
        let contact = self.contact.load(Ordering::Relaxed);
        (contact != NEVER).then(|| {
            let age = self.reading(now).saturating_sub(contact);
            Duration::from_millis(u64::try_from(age).unwrap_or(0))
        })
    }

    /// The same, where one that was never read counts from the start of the process.
    pub fn age_or_life(&self, now: Instant) -> Duration {
        self.age(now).unwrap_or_else(|| now.saturating_duration_since(self.start))
    }

    /// Lets time pass: keys of a store that was not read for `max_stale` work no longer (`None`: they work for ever). Tells
    /// whether that has just come to be so. Cheap, and for any thread that wants to know, a few times a second.
    pub fn judge(&self, now: Instant, max_stale: Option<Duration>) -> bool {
        self.last_for(max_stale);
        if self.verdict(now, max_stale) == self.standing() {
            return false;
        }
        // Once more behind the lock: the store may just have been read.
        let mut trouble = self.lock();
        let (before, after) = (self.standing(), self.verdict(now, max_stale));
        self.set(after);
        let is_news = before != after && after == Standing::Stale;
        trouble.is_told |= is_news;
        is_news
    }

    /// Known keys go on for that time while the store is away; `None`: for ever.
    pub(super) fn last_for(&self, max_stale: Option<Duration>) {
        let millis = |most: Duration| i64::try_from(most.as_millis()).unwrap_or(i64::MAX);
        self.goes_on_for.store(max_stale.map_or(NEVER, millis), Ordering::Relaxed);
    }

    /// How long known keys go on while the store is away, as was last told; `None` where that has no end.
    pub(super) fn goes_on_for(&self) -> Option<Duration> {
        u64::try_from(self.goes_on_for.load(Ordering::Relaxed)).ok().map(Duration::from_millis)
    }

    /// The same, of the time that is left.
    pub(super) fn remaining(&self, now: Instant) -> Option<Duration> {
        let age = self.age(now).unwrap_or_default();
        self.goes_on_for().map(|time| time.saturating_sub(age))
    }

    fn verdict(&self, now: Instant, max_stale: Option<Duration>) -> Standing {
        let standing = self.standing();
        let Some(age) = self.age(now) else {
            // No time makes anything of what was never read to its end.
            return standing;
        };
        if standing == Standing::Up && age < OVERDUE {
            return Standing::Up;
        }
        if max_stale.is_some_and(|most| age >= most) { Standing::Stale } else { Standing::Away }
    }

    /// The store was read to its end, begun at `since`. Tells whether it was away until now, and somebody knows that: one that was
    /// out of sight for a moment because this process stood still was not.
    pub(in crate::store) fn reached(&self, since: Instant) -> bool {
        self.contact.store(self.reading(since), Ordering::Relaxed);
        if self.is_up() {
            return false;
        }
        let mut trouble = self.lock();
        self.set(Standing::Up);
        mem::take(&mut *trouble).is_told
    }

    /// What the store holds is not taken over, but it was read: what was known before is as fresh as it was meant to be.
    pub(super) fn refused(&self, since: Instant) {
        if self.contact.load(Ordering::Relaxed) == NEVER {
            return;
        }
        self.contact.store(self.reading(since), Ordering::Relaxed);
    }

    /// The store could not be read. Tells whether this is news.
    pub(super) fn missed(&self, why: String, cause: Cause) -> bool {
        let mut trouble = self.lock();
        if self.is_up() {
            self.set(Standing::Away);
        }
        let is_news = trouble.why.as_ref().is_none_or(|(known, _)| *known != why);
        *trouble = Trouble { why: Some((why, cause)), is_told: true };
        is_news
    }

    /// What is wrong, as far as the follower knows: nothing yet of an attempt that hangs. Holds no credential.
    pub fn trouble(&self) -> Option<String> {
        self.lock().why.as_ref().map(|(why, _)| why.clone())
    }

    /// The same in few words; `None` while the store can be read.
    pub fn cause(&self) -> Option<Cause> {
        let known = self.lock().why.as_ref().map(|(_, cause)| *cause);
        (!self.is_up()).then(|| known.unwrap_or(Cause::Unreachable))
    }

    fn set(&self, standing: Standing) {
        self.standing.store(standing.as_byte(), Ordering::Relaxed);
    }

    /// Milliseconds from the start.
    fn reading(&self, now: Instant) -> i64 {
        i64::try_from(now.saturating_duration_since(self.start).as_millis()).unwrap_or(i64::MAX)
    }

    fn lock(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn after(status: &Status, passed: Duration) -> Instant {
        status.start + passed
    }

    #[test]
    fn keys_of_a_store_that_is_away_work_until_max_stale_has_passed_since_the_last_contact() {
        let status = Status::up();
        let most = Some(15 * MINUTE);
        status.reached(after(&status, MINUTE));
        assert!(status.missed("gone".into(), Cause::Missing));
        assert!(!status.judge(after(&status, 16 * MINUTE - Duration::from_millis(1)), most));
        assert_eq!(status.standing(), Standing::Away);
        assert!(status.judge(after(&status, 16 * MINUTE), most));
        assert_eq!((status.standing(), status.is_stale()), (Standing::Stale, true));
        assert_eq!((status.trouble().as_deref(), status.cause()), (Some("gone"), Some(Cause::Missing)));
        assert!(!status.judge(after(&status, 17 * MINUTE), most), "told once");
        assert!(!status.missed("gone".into(), Cause::Missing), "the same trouble is no news");
        assert!(status.is_stale(), "an attempt that fails changes nothing");
        assert!(status.reached(after(&status, 18 * MINUTE)));
        assert_eq!((status.standing(), status.trouble(), status.cause()), (Standing::Up, None, None));
    }

    #[test]
    fn a_store_that_is_read_is_never_stale_however_short_max_stale_is() {
        let status = Status::up();
        for millis in [0, 1, 9_999] {
            assert!(!status.judge(after(&status, Duration::from_millis(millis)), Some(Duration::ZERO)));
            assert!(status.is_up());
        }
        status.missed("gone".into(), Cause::Missing);
        assert!(status.judge(after(&status, Duration::ZERO), Some(Duration::ZERO)), "none at all");
    }

    #[test]
    fn keys_work_for_ever_where_there_is_no_max_stale() {
        let status = Status::up();
        status.missed("gone".into(), Cause::Missing);
        assert!(!status.judge(after(&status, 1_000_000 * MINUTE), None));
        assert_eq!(status.standing(), Standing::Away);
    }

    #[test]
    fn a_fault_in_what_was_read_does_not_age() {
        let status = Status::up();
        status.refused(after(&status, 14 * MINUTE));
        status.missed("a fault".into(), Cause::Faulty);
        assert!(!status.judge(after(&status, 28 * MINUTE), Some(15 * MINUTE)));
        assert_eq!(status.standing(), Standing::Away);
    }

    #[test]
    fn another_max_stale_holds_at_once() {
        let status = Status::up();
        status.missed("gone".into(), Cause::Missing);
        let now = after(&status, 5 * MINUTE);
        assert!(status.judge(now, Some(MINUTE)));
        assert!(!status.judge(now, Some(15 * MINUTE)));
        assert_eq!(status.standing(), Standing::Away);
    }

    #[test]
    fn an_attempt_that_hangs_is_one_that_fails() {
        let status = Status::up();
        assert!(!status.judge(after(&status, OVERDUE), Some(15 * MINUTE)));
        assert_eq!(status.standing(), Standing::Away, "a key that is not known may be a new one");
        assert_eq!((status.trouble(), status.cause()), (None, Some(Cause::Unreachable)));
        assert!(status.judge(after(&status, 15 * MINUTE), Some(15 * MINUTE)));
        assert!(status.reached(after(&status, 16 * MINUTE)));
        assert!(status.is_up());
    }

    #[test]
    fn a_process_that_stood_still_for_a_while_tells_of_no_return_that_nobody_missed() {
        let status = Status::up();
        status.judge(after(&status, OVERDUE), Some(15 * MINUTE));
        assert_eq!(status.standing(), Standing::Away);
        assert!(!status.reached(after(&status, OVERDUE)));
        assert!(status.is_up());
        status.missed("gone".into(), Cause::Unreachable);
        assert!(status.reached(after(&status, OVERDUE)), "this one was told");
    }

    #[test]
    fn what_is_left_of_max_stale_goes_down_to_nothing() {
        let status = Status::up();
        status.judge(after(&status, Duration::ZERO), Some(15 * MINUTE));
        assert_eq!(status.remaining(after(&status, 5 * MINUTE)), Some(10 * MINUTE));
        assert_eq!(status.remaining(after(&status, 20 * MINUTE)), Some(Duration::ZERO));
        status.judge(after(&status, 20 * MINUTE), None);
        assert_eq!(status.remaining(after(&status, 20 * MINUTE)), None);
    }

    #[test]
    fn the_age_goes_on_from_another_process() {
        let hour = Duration::from_secs(3600);
        let contact = Timestamp::from_millis(Timestamp::now().as_millis() - 3_600_000);
        let status = Status::away(Some(contact));
        let age = status.age(status.start).unwrap();
        assert!(age >= hour && age < hour + MINUTE, "{age:?}");
        assert!(status.judge(status.start, Some(hour)));
        let tomorrow = Timestamp::now().after(24 * hour);
        assert_eq!(Status::away(Some(tomorrow)).age(Instant::now()).map(|age| age < MINUTE), Some(true));
    }

    #[test]
    fn what_was_never_read_has_no_age_and_lets_no_key_in_for_any_time() {
        let status = Status::away(None);
        assert_eq!(status.age(Instant::now()), None);
        assert_eq!(status.age_or_life(after(&status, MINUTE)), MINUTE);
        for most in [None, Some(MINUTE)] {
            assert!(!status.judge(after(&status, 1000 * MINUTE), most));
            assert_eq!(status.standing(), Standing::Stale);
        }
        // What was refused was not taken over.
        status.refused(after(&status, MINUTE));
        status.missed("why".into(), Cause::Unreachable);
        assert!(!status.judge(after(&status, MINUTE), None));
        assert_eq!((status.age(Instant::now()), status.standing()), (None, Standing::Stale));
        assert!(status.reached(after(&status, MINUTE)));
        assert_eq!(status.age(after(&status, 3 * MINUTE)), Some(2 * MINUTE));
    }
}
