//! Moments in time, and the one place of the program that reads the wall clock.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::civil::Date;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Zoned};

/// A moment, in milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
///
/// `Display` writes RFC 3339 in UTC (`2027-01-31T00:00:00Z`; a fraction only where there is one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Before every moment that can be written.
    pub const MIN: Self = Self(i64::MIN);
    /// After every moment that can be written.
    pub const MAX: Self = Self(i64::MAX);

    /// The wall clock.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the wall clock")]
    pub fn now() -> Self {
        let clock = SystemTime::now();
        let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self(match clock.duration_since(UNIX_EPOCH) {
            Ok(since) => millis(since),
            Err(before) => -millis(before.duration()),
        })
    }

    /// A moment by its milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// The moment that much later; the last there is where it would be later still.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    /// As HTTP writes it (RFC 9110 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`, always 29 bytes. The epoch where the moment
    /// has no such form.
    pub fn to_http_date(self) -> [u8; 29] {
        let moment = jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let text = DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).unwrap_or_default();
        text.as_bytes().try_into().unwrap_or(*b"Thu, 01 Jan 1970 00:00:00 GMT")
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Reads a date (`2027-01-31`, its 00:00 UTC) or a time (`2027-01-31T12:00:00Z`, RFC 3339).
    ///
    /// # Errors
    /// Text that is neither.
    pub fn parse_moment(text: &str) -> Result<Self, DateError> {
        let wrong = || DateError(text.into());
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Ok(Self(moment.as_millisecond()));
        }
        // `Date` also reads the day of a time that says no zone: only a day alone will do.
        if text.contains([':', 'T', 't', ' ']) {
            return Err(wrong());
        }
        let day = text.parse::<Date>().and_then(|day| day.to_zoned(TimeZone::UTC));
        day.map(Self::from).map_err(|_| wrong())
    }

    /// Reads a date or a time, as [`parse_moment`](Self::parse_moment), or a span that begins at `now` (`90d`, `12h`,
    /// `1y 6mo`; calendar units are added in UTC).
    ///
    /// # Errors
    /// Text that is none of these, and spans that go backwards or beyond the year 9999.
    pub fn parse(text: &str, now: Self) -> Result<Self, DateError> {
        if let Ok(moment) = Self::parse_moment(text) {
            return Ok(moment);
        }
        let wrong = || DateError(text.into());
        let span: Span = text.parse().map_err(|_| wrong())?;
        if !span.is_positive() {
            return Err(wrong());
        }
        let start = jiff::Timestamp::from_millisecond(now.0).map_err(|_| wrong())?;
        let end = start.to_zoned(TimeZone::UTC).checked_add(span);
        end.map(Self::from).map_err(|_| wrong())
    }
}

impl From<Zoned> for Timestamp {
    fn from(zoned: Zoned) -> Self {
        Self(zoned.timestamp().as_millisecond())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(moment) => moment.fmt(out),
            Err(_) => out.write_str(if self.0 < 0 { "before all dates" } else { "after all dates" }),
        }
    }
}

/// Reads a length of time (`30m`, `24h`, `7d`; a day has 24 hours). Nothing at all is `0`.
///
/// # Errors
/// Text that is none, and what goes backwards.
pub fn parse_span(text: &str) -> Result<Duration, SpanError> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let wrong = || SpanError(text.into());
    let span: Span = text.parse().map_err(|_| wrong())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(length).map_err(|_| wrong())
}

/// Text that is no length of time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no length of time: write one as in 30m, 24h or 7d")]
pub struct SpanError(Box<str>);

/// Text that is no date.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no date: write a day (2027-01-31), a time (2027-01-31T12:00:00Z) or a span from now (90d, 12h)")]
pub struct DateError(Box<str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text, Timestamp::from_millis(0)).unwrap()
    }

    #[test]
    fn a_bare_date_is_its_midnight_in_utc() {
        assert_eq!(at("2027-01-31").to_string(), "2027-01-31T00:00:00Z");
        assert_eq!(at("1970-01-02").as_seconds(), 86_400);
    }

    #[test]
    fn a_time_is_read_with_its_zone() {
        assert_eq!(at("2027-01-31T01:00:00+01:00"), at("2027-01-31"));
        assert_eq!(at("2027-01-31T00:00:00.250Z").to_string(), "2027-01-31T00:00:00.25Z");
    }

    #[test]
    fn a_span_is_counted_from_now() {
        let now = at("2027-01-31T12:00:00Z");
        let spans = [("90d", "2027-05-01T12:00:00Z"), ("12h", "2027-02-01T00:00:00Z"), ("1mo", "2027-02-28T12:00:00Z")];
        for (span, expected) in spans {
            assert_eq!(Timestamp::parse(span, now).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_length_of_time_is_read() {
        let hours = |count: u64| Duration::from_secs(count * 3600);
        let spans = [("0", hours(0)), ("0s", hours(0)), ("24h", hours(24)), ("7d", hours(168)), ("1d 2h", hours(26))];
        for (text, expected) in spans {
            assert_eq!(parse_span(text).unwrap(), expected, "{text}");
        }
        for text in ["", "5", "soon", "-1h", "1h ago", "1mo", "1y", "99999999999999999d"] {
            let error = parse_span(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is no length of time: ")), "{error}");
        }
    }

    #[test]
    fn what_is_no_date_says_so() {
        for text in
            ["", "soon", "90", "-90d", "90d ago", "0d", "2027-02-30", "2027-01-31T12:00:00", "99999y", "31/1/2027"]
        {
            let error = Timestamp::parse(text, at("2027-01-31")).unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{text}` is no date: ")), "{error}");
        }
    }

    #[test]
    fn the_clock_reads_a_plausible_year() {
        assert!(Timestamp::now() > at("2025-01-01"));
    }
}
