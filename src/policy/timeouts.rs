//! How long the upstream may take over the requests of one route, where the policy says something else of it than the
//! configuration says of all.

use std::fmt;
use std::time::Duration;

/// What a route says instead of `upstream.timeouts`; `None` where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// TCP connect and TLS handshake together.
    pub connect: Option<Duration>,
    /// From the last byte of the request to the head of the response.
    pub response: Option<Duration>,
    /// The whole exchange; `Some(None)`: unbounded.
    pub request: Option<Option<Duration>>,
}

impl RouteTimeouts {
    /// True where it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// As a policy writes it: `connect: 5s, request: none`.
impl fmt::Display for RouteTimeouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named =
            [("connect", self.connect.map(Some)), ("response", self.response.map(Some)), ("request", self.request)];
        let mut between = "";
        for (name, time) in named {
            let Some(time) = time else { continue };
            let written = time.map_or_else(|| "none".to_owned(), written);
            write!(f, "{between}{name}: {written}")?;
            between = ", ";
        }
        Ok(())
    }
}

/// A duration in the largest unit of which it is a whole number.
fn written(time: Duration) -> String {
    const UNITS: [(u128, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let millis = time.as_millis();
    let unit = UNITS.into_iter().find(|(size, _)| millis >= *size && millis.is_multiple_of(*size));
    let (size, unit) = unit.unwrap_or((1, "ms"));
    format!("{}{unit}", millis / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_written_as_a_policy_has_them() {
        let second = Duration::from_secs(1);
        assert_eq!(RouteTimeouts::default().to_string(), "");
        let all = RouteTimeouts { connect: Some(second / 4), response: Some(90 * second), request: Some(None) };
        assert_eq!(all.to_string(), "connect: 250ms, response: 90s, request: none");
        let whole = RouteTimeouts { request: Some(Some(3600 * second)), ..RouteTimeouts::default() };
        assert_eq!(whole.to_string(), "request: 1h");
    }
}
