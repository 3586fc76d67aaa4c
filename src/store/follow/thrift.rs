//! Memory that loading took and nobody needs any more: given back to the system, though nothing else may happen in a process for hours.

use std::hint::black_box;
use std::io;
use std::thread;
use std::time::Duration;

/// The allocator keeps what is free for a second, in case it is wanted again.
const KEPT: Duration = Duration::from_millis(1500);

/// Has what is free now given back soon.
///
/// The allocator (mimalloc) looks for memory that has been free for long when somebody frees more of it, and when a thread ends that
/// has used it. In a gateway at rest nobody does the one; this does the other.
pub(super) fn give_back_soon() {
    let body = || {
        thread::sleep(KEPT);
        drop(black_box(Box::new([0_u8; 64])));
    };
    // Where there is no thread to spare, it is given back when there is more to do.
    let _: io::Result<_> = thread::Builder::new().name("thrift".into()).spawn(body);
}
