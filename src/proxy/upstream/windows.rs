//! How much of an answer an upstream of HTTP/2 may send ahead, on each stream of a connection.
//!
//! What it sends ahead is held here as long as the caller does not take it. A few streams get much, so that each is fast; many
//! get little, so that all of them together hold little. The window is a setting of the connection: a new one goes out before
//! the streams that it was made for, which therefore never have more.

use std::time::Duration;

use h2::client::Connection;

use crate::proxy::h2::outlet::Piece;
use crate::proxy::watch::Moment;

use super::sessions::OfUpstream;

/// The most that one stream gets, in bytes.
pub(super) const MOST: u32 = 128 << 10;
/// The least.
const LEAST: u32 = 16 << 10;
/// What all streams of a connection share between these.
const SHARED: u32 = 1 << 20;
/// How long a window stays before it grows again: an upstream is not bothered with settings for each stream that ends.
const CALM: Duration = Duration::from_secs(1);

/// The window of the streams of one connection.
pub(super) struct Windows {
    told: u32,
    /// When it may grow.
    grows: Option<Moment>,
}

impl Default for Windows {
    fn default() -> Self {
        Self { told: Self::FIRST, grows: None }
    }
}

impl Windows {
    /// What the upstream is told first. Many may have waited for the connection.
    pub(super) const FIRST: u32 = LEAST;

    /// Tells the upstream what the window is now that there are so many `streams`, where that has changed. While it has not
    /// answered to the last change there is no other.
    pub(super) fn adapt(&mut self, connection: &mut Connection<OfUpstream, Piece>, streams: usize, now: Moment) {
        if let Some(window) = self.wanted(streams, now)
            && connection.set_initial_window_size(window).is_ok()
        {
            *self = Self { told: window, grows: Some(now.after(CALM)) };
        }
    }

    fn wanted(&self, streams: usize, now: Moment) -> Option<u32> {
        let streams = u32::try_from(streams.max(1).next_power_of_two()).unwrap_or(SHARED);
        let window = (SHARED / streams).clamp(LEAST, MOST);
        let may_grow = self.grows.is_none_or(|grows| grows <= now);
        (window < self.told || (window > self.told && may_grow)).then_some(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::watch::Watch;

    #[test]
    fn a_window_shrinks_at_once_and_grows_when_it_has_been_quiet_for_a_while() {
        let now = Watch::new().now();
        let windows = Windows::default();
        assert_eq!(windows.wanted(1, now), Some(MOST));
        assert_eq!(windows.wanted(100, now), None, "it is that small already");
        let windows = Windows { told: MOST, grows: Some(now.after(CALM)) };
        assert_eq!(windows.wanted(8, now), None);
        assert_eq!(windows.wanted(9, now), Some(MOST / 2));
        assert_eq!(windows.wanted(100, now), Some(LEAST));
        let windows = Windows { told: LEAST, ..windows };
        assert_eq!(windows.wanted(0, now), None);
        assert_eq!(windows.wanted(0, now.after(CALM)), Some(MOST));
    }
}
