//! The harness: a real upstream with faults, a real gateway (the built binary), a caller that sends raw bytes, certificates.
//!
//! Nothing here uses the library: what is tested and what tests it share no code, but for the frames and the runtime of `http2`
//! and the sessions of `certificate`.
//!
//! A test waits for an event, and only a fault of the gateway makes it wait as long as `PATIENCE`; where nobody announces the
//! event, it asks every few milliseconds. Time as such passes in a test alone where time is what it is about: an idle time, a
//! silence, a count that stands still. A machine that is slower makes such a test longer or weaker, and does not make it fail.

pub mod certificate;
pub mod client;
pub mod command;
pub mod gateway;
pub mod http2;
#[expect(dead_code, reason = "the tests of the store kill servers, and look at certificates")]
pub mod postgres;
pub mod process;
pub mod sample;
pub mod upstream;
pub mod vacant;
pub mod wire;

pub use client::{Call, Client, Ending};
pub use command::{Output, scopegate};
pub use gateway::{Gateway, Port, Setup, activated, with_descriptors};
pub use upstream::{OK, Upstream};
pub use vacant::Vacant;
pub use wire::{Message, base64};

use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take on a busy machine before a test gives up on it.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Asks until `found` gives something, for things that nobody announces. Panics with `what` when patience is at its end.
pub fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(result) = found() {
            return result;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// Whether something that is to take `least` took that long, judged by a clock of the test's own. Timers of the runtime count in
/// whole milliseconds, so that the begin and the end may each be off by one.
pub fn lasted(took: Duration, least: Duration) -> bool {
    took + Duration::from_millis(2) >= least
}

/// Asserts that something which is promised within a second took no longer, given how long it took three times. A machine with
/// neighbours may be late once.
#[track_caller]
pub fn assert_prompt(what: &str, mut times: Vec<Duration>) {
    times.sort();
    println!("{what}: {times:?}");
    assert!(times.len() == 3 && times[1] <= Duration::from_secs(1), "{what}: {times:?}");
}

/// For `until`: whether `count` has begun and then stood still for a second. That nothing moves is announced by nobody. A
/// machine that pauses for a second ends this early, which makes a test weaker and does not make it fail.
pub fn stands_still(count: impl Fn() -> usize) -> impl FnMut() -> Option<usize> {
    let mut last = (0, Instant::now());
    move || {
        let now = count();
        if now != last.0 {
            last = (now, Instant::now());
        }
        (now > 0 && last.1.elapsed() >= Duration::from_secs(1)).then_some(now)
    }
}

/// The scopes of a list in a JSON body.
pub fn strings(value: &serde_json::Value) -> Vec<&str> {
    let list = value.as_array().unwrap_or_else(|| panic!("a list, not {value}"));
    list.iter().map(|item| item.as_str().expect("a text")).collect()
}
