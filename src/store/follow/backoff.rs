//! How long a follower waits before it asks a store in trouble again.
//!
//! The pause is drawn anew each time, evenly between nothing and a bound that doubles up to a limit ("full jitter"). Gateways
//! that lost one store at one moment do not come back to it at one moment, and the longer it is away the further apart they are.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// The bound of the first pause.
const FIRST: Duration = Duration::from_millis(100);
/// No pause is shorter: a store that refuses at once is not asked in a loop.
const LEAST: Duration = Duration::from_millis(5);

/// The pauses of one follower.
#[derive(Debug)]
pub(super) struct BackOff {
    /// How many attempts have failed since one went well.
    failures: u32,
    longest: Duration,
    /// The state of what is drawn from.
    random: u64,
}

impl BackOff {
    /// With pauses of at most `longest`, drawn otherwise than those of any other process.
    pub(super) fn new(longest: Duration) -> Self {
        Self::seeded(longest, RandomState::new().build_hasher().finish())
    }

    fn seeded(longest: Duration, random: u64) -> Self {
        Self { failures: 0, longest, random }
    }

    /// An attempt has failed: how long to wait before the next.
    pub(super) fn next(&mut self) -> Duration {
        let pause = pause(self.failures, self.longest, self.draw());
        self.failures = self.failures.saturating_add(1);
        pause
    }

    /// An attempt went well.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// SplitMix64: every state leads to another, so that any seed will do.
    fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// The pause after so many failures before this one: `random` of 2^64 parts of its bound.
fn pause(failures: u32, longest: Duration, random: u64) -> Duration {
    let bound = FIRST.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(longest);
    let nanos = u64::try_from(bound.as_nanos()).unwrap_or(u64::MAX);
    let part = (u128::from(nanos) * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX)).max(LEAST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LONGEST: Duration = Duration::from_secs(10);

    proptest! {
        #[test]
        fn a_pause_is_within_its_bound(failures: u32, longest in 5_u64..100_000, random: u64) {
            let longest = Duration::from_millis(longest);
            let drawn = pause(failures, longest, random);
            prop_assert!(drawn >= LEAST && drawn <= longest);
            prop_assert!(pause(failures, longest, u64::MAX) <= pause(failures.saturating_add(1), longest, u64::MAX));
            prop_assert!(pause(failures, longest, random / 2) <= drawn);
        }
    }

    #[test]
    fn the_bound_doubles_up_to_the_longest() {
        let bounds = [0, 1, 2, 6, 7, 31, 32, u32::MAX].map(|failures| pause(failures, LONGEST, u64::MAX).as_millis());
        assert_eq!(bounds, [99, 199, 399, 6399, 9999, 9999, 9999, 9999]);
    }

    #[test]
    fn a_store_that_came_back_is_asked_as_often_as_at_first() {
        let mut back_off = BackOff::seeded(LONGEST, 7);
        for _ in 0..50 {
            back_off.next();
        }
        back_off.reset();
        assert!(back_off.next() < FIRST);
    }

    /// When so many gateways, which lost their store together, ask again within an hour, in milliseconds; in order.
    fn attempts(gateways: u64) -> Vec<u128> {
        let mut attempts = Vec::new();
        for gateway in 0..gateways {
            let mut back_off = BackOff::seeded(LONGEST, gateway);
            let mut now = Duration::ZERO;
            while now < Duration::from_secs(3600) {
                now += back_off.next();
                attempts.push(now.as_millis());
            }
        }
        attempts.sort_unstable();
        attempts
    }

    #[test]
    fn two_hundred_gateways_do_not_storm_a_store_that_comes_back() {
        let attempts = attempts(200);
        let within =
            |from: u128, to: u128| attempts.partition_point(|at| *at < to) - attempts.partition_point(|at| *at < from);
        // Each asks once in five seconds on average, that is 40 a second for all: whenever it comes back, no tenth of a second
        // sees many of them.
        for from in (60_000..3_500_000).step_by(100) {
            assert!(within(from, from + 100) <= 25, "{} at {from}", within(from, from + 100));
        }
        // And soon after every one of them is there.
        for gateway in 0..200 {
            let mut back_off = BackOff::seeded(LONGEST, gateway);
            assert!((0..1000).all(|_| back_off.next() <= LONGEST));
        }
    }
}
