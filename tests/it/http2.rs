//! HTTP/2 on either side or both: the same verdicts, streams that end as they should, limits.

mod callers; // Callers of HTTP/2 before an upstream of HTTP/1.1.
mod early; // Answers that come before the end of their request, and no reset at once behind them.
mod frames; // Callers whose frames are made by hand: floods, and what is never acknowledged.
mod leftovers; // What comes of a request that nobody reads any more.
mod limits; // What a connection of HTTP/2 may take.
mod memory; // What streams hold on their way: little, however many stall.
mod sockets; // Sockets to the upstream: never more than may be.
mod stalls; // Callers that take or send slowly, or not at all.
mod upstreams; // Upstreams of HTTP/2, and what they are told.
mod websockets; // WebSockets over HTTP/2, on either side or both.

pub use websockets::agreement;

use std::time::Instant;

use crate::support::PATIENCE;

/// Waits until `found`, while the test's own connections go on.
pub async fn eventually(what: &str, mut found: impl FnMut() -> bool) {
    let start = Instant::now();
    while !found() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        tokio::task::yield_now().await;
    }
}
