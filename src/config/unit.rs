//! Values with a unit: durations, sizes, shares. Each has one reader, whose complaint shows an example.

use std::time::Duration;

use super::text::quoted;

/// Why a value is not what its field takes, and what would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    /// Reads on after the name of the field: "`1x` is not a duration".
    pub(super) message: String,
    /// How to mend it; empty where the message says it all.
    pub(super) help: String,
    /// The message without anything of the value, where it is known, for a value that may be a secret.
    pub(super) without_the_value: Option<String>,
}

impl Complaint {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: help.into(), without_the_value: None }
    }

    /// The same, with a message that repeats nothing of the value.
    pub(super) fn or_without_the_value(self, message: String) -> Self {
        Self { without_the_value: Some(message), ..self }
    }
}

/// The longest duration that a field takes: about ten years, so that sums with a clock never overflow.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 86_400);

const DURATION_HELP: &str = "write a whole number and its unit, as in `250ms`, `1s`, `15m`, `24h` or `90d`";
const SIZE_HELP: &str = "write a whole number of bytes, or one with its unit, as in `32KiB` or `8MiB`";

/// `250ms`, `1s`, `15m`, `24h`, `90d`.
pub(super) fn duration(text: &str) -> Result<Duration, Complaint> {
    let complaint = || Complaint::new(format!("{} is not a duration", quoted(text)), DURATION_HELP);
    let (digits, unit) = split(text);
    let count: u64 = digits.parse().map_err(|_| complaint())?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(complaint()),
    };
    let duration = Duration::from_millis(count.saturating_mul(millis));
    if duration > LONGEST {
        let message = format!("{} is longer than ten years", quoted(text));
        return Err(Complaint::new(message, "write at most `3660d`"));
    }
    Ok(duration)
}

/// A duration of at least a millisecond: where nought would mean "never" or "at once".
pub(super) fn positive_duration(text: &str) -> Result<Duration, Complaint> {
    match duration(text)? {
        Duration::ZERO => Err(Complaint::new(format!("{} leaves no time at all", quoted(text)), DURATION_HELP)),
        some => Ok(some),
    }
}

/// `none`, or what `read` reads.
pub(super) fn or_none<T>(read: impl Fn(&str) -> Result<T, Complaint>) -> impl Fn(&str) -> Result<Option<T>, Complaint> {
    move |text| {
        if text == "none" {
            return Ok(None);
        }
        read(text).map(Some).map_err(|mut complaint| {
            complaint.help.push_str(", or `none`");
            complaint
        })
    }
}

/// `4096`, `32KiB`, `8MiB`, `1GiB`, in bytes.
pub(super) fn size(text: &str) -> Result<u64, Complaint> {
    let complaint = || Complaint::new(format!("{} is not a size", quoted(text)), SIZE_HELP);
    let (digits, unit) = split(text);
    let count: u64 = digits.parse().map_err(|_| complaint())?;
    let bytes: u64 = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(complaint()),
    };
    count.checked_mul(bytes).ok_or_else(complaint)
}

/// `20%`, in percent from 0 to 100.
pub(super) fn percent(text: &str) -> Result<u8, Complaint> {
    text.strip_suffix('%').and_then(|digits| digits.parse().ok()).filter(|percent| *percent <= 100).ok_or_else(|| {
        Complaint::new(
            format!("{} is not a share", quoted(text)),
            "write a whole number from 0 to 100 and `%`, as in `20%`",
        )
    })
}

/// A whole number from `least` to `most`.
pub(super) fn number(least: u64, most: u64) -> impl Fn(&str) -> Result<u64, Complaint> {
    move |text| {
        text.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| {
            Complaint::new(
                format!("{} is not a whole number from {least} to {most}", quoted(text)),
                format!("write a whole number, as in `{}`", least.max(most.min(100))),
            )
        })
    }
}

/// Leading digits and what follows them. `u64::from_str` would take a sign as well.
fn split(text: &str) -> (&str, &str) {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        assert_eq!(duration("15m"), Ok(Duration::from_secs(900)));
        assert_eq!(duration("90d"), Ok(Duration::from_secs(90 * 86_400)));
        for bad in ["", "5", "s", "1.5s", "-1s", "+1s", "1 s", "1S", "1w", "99999999999999999999s", "4000d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_binary_and_never_wrap() {
        assert_eq!(size("4096"), Ok(4096));
        assert_eq!(size("32KiB"), Ok(32 << 10));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        for bad in ["", "KiB", "1KB", "1k", "-1", "18446744073709551615KiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_are_whole_percents() {
        assert_eq!(percent("20%"), Ok(20));
        for bad in ["20", "101%", "-1%", "%", "1.5%"] {
            assert!(percent(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn none_is_taken_where_there_may_be_no_end() {
        assert_eq!(or_none(duration)("none"), Ok(None));
        assert_eq!(or_none(duration)("1s"), Ok(Some(Duration::from_secs(1))));
        let complaint = or_none(duration)("never").unwrap_err();
        assert!(complaint.help.ends_with("or `none`"));
    }
}
