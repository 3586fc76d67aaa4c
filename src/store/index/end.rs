//! Numbers in six bytes.

use crate::key::{KeyRecord, KeyState, KeyValue, Timestamp};

/// A number below 2^48; what is greater counts as the greatest. As milliseconds since 1970 it reaches beyond the year 9999, as a
/// revision it lasts for 900 years of 10,000 changes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Six([u8; 6]);

impl Six {
    const MAX: u64 = (1 << 48) - 1;

    pub(super) fn new(number: u64) -> Self {
        let [a, b, c, d, e, f, ..] = number.min(Self::MAX).to_le_bytes();
        Self([a, b, c, d, e, f])
    }

    pub(super) fn number(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }
}

/// When a value ends, or that its key does not work at all: then its dates say nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct End(Six);

impl End {
    /// It works for good.
    const NEVER: u64 = Six::MAX;
    /// The key is in another state than that in which it works.
    const DELETED: u64 = Six::MAX - 1;
    const DISABLED: u64 = Six::MAX - 2;
    const REVOKED: u64 = Six::MAX - 3;
    /// The value was ended for good, whatever the moment.
    const OVER: u64 = Six::MAX - 4;
    /// No moment that can be written is later.
    const LAST: u64 = Six::MAX - 5;

    /// The end of one value of a key.
    pub(super) fn of(record: &KeyRecord, value: &KeyValue) -> Self {
        let end = Self::new(record.state, record.end_of(value));
        let is_over = value.is_ended && record.state == KeyState::Active;
        if is_over { Self(Six::new(Self::OVER)) } else { end }
    }

    pub(super) fn new(state: KeyState, end: Option<Timestamp>) -> Self {
        let number = match state {
            KeyState::Deleted => Self::DELETED,
            KeyState::Disabled => Self::DISABLED,
            KeyState::Revoked => Self::REVOKED,
            KeyState::Active => {
                end.map_or(Self::NEVER, |end| u64::try_from(end.as_millis()).unwrap_or(0).min(Self::LAST))
            }
        };
        Self(Six::new(number))
    }

    /// Whether the key works, apart from its dates.
    pub(super) fn state(self) -> KeyState {
        match self.0.number() {
            Self::DELETED => KeyState::Deleted,
            Self::DISABLED => KeyState::Disabled,
            Self::REVOKED => KeyState::Revoked,
            _ => KeyState::Active,
        }
    }

    /// The end of a key that works; [`Timestamp::MAX`] where it has none, and of a key that does not work; before all
    /// moments where it was ended for good.
    pub(super) fn moment(self) -> Timestamp {
        match self.0.number() {
            Self::OVER => Timestamp::MIN,
            number @ ..=Self::LAST => Timestamp::from_millis(number.cast_signed()),
            _ => Timestamp::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_out_as_it_went_in_as_far_as_six_bytes_go() {
        for number in [0, 1, 255, 256, 1 << 40, Six::MAX - 1, Six::MAX] {
            assert_eq!(Six::new(number).number(), number);
        }
        assert_eq!(Six::new(Six::MAX + 1).number(), Six::MAX);
        assert_eq!(Six::new(u64::MAX).number(), Six::MAX);
    }

    #[test]
    fn an_end_is_kept_to_the_millisecond() {
        let last = Timestamp::parse_moment("9999-12-30T00:00:00.999Z").unwrap();
        for moment in [Timestamp::from_millis(0), Timestamp::from_millis(1_800_000_000_001), last] {
            let end = End::new(KeyState::Active, Some(moment));
            assert_eq!((end.state(), end.moment()), (KeyState::Active, moment));
        }
        assert_eq!(End::new(KeyState::Active, None).moment(), Timestamp::MAX);
    }

    #[test]
    fn an_end_before_1970_has_come_and_one_beyond_all_dates_does_not_come() {
        let moment = |millis| End::new(KeyState::Active, Some(Timestamp::from_millis(millis))).moment();
        assert_eq!(moment(-1), Timestamp::from_millis(0));
        assert_eq!(moment(i64::MIN), Timestamp::from_millis(0));
        let end = End::new(KeyState::Active, Some(Timestamp::MAX));
        assert!(end.state() == KeyState::Active && end.moment() > Timestamp::parse_moment("9999-12-30").unwrap());
    }

    #[test]
    fn a_key_that_does_not_work_is_in_its_state_whatever_its_end() {
        for state in KeyState::ALL.into_iter().filter(|state| *state != KeyState::Active) {
            for end in [None, Some(Timestamp::from_millis(5)), Some(Timestamp::MIN)] {
                assert_eq!(End::new(state, end).state(), state);
            }
        }
    }
}
