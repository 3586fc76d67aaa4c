//! The first random numbers of the TLS library, drawn beside the first requests.

use std::thread;
use std::time::Duration;

use crate::snapshot::{Snapshot, tls};

/// For so long the first requests have the processor to themselves: there may be one alone.
const REST: Duration = Duration::from_millis(100);

/// Has them drawn soon, on a thread of its own, where TLS is used. Whoever comes with TLS before that waits for them.
pub(super) fn draw_soon(snapshot: &Snapshot) {
    if !snapshot.uses_tls() {
        return;
    }
    let body = || {
        thread::sleep(REST);
        tls::warm_up();
    };
    // Where there is no thread to spare, the first handshake draws them.
    let _ = thread::Builder::new().name("randomness".into()).spawn(body);
}
