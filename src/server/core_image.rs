//! No image of the process is left on a disk when it crashes: it would have the credentials of the upstream in it, and the keys of
//! the requests that were under way.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Where Linux is told which memory an image may have, even one that is piped to a program: that knows no limit.
#[cfg(target_os = "linux")]
const FILTER: &str = "/proc/self/coredump_filter";

/// Forbids images of this process, as far as it may.
pub(super) fn forbid() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Core);
    let none = |maximum| setrlimit(Resource::Core, Rlimit { current: Some(0), maximum });
    let limited = none(Some(0)).or_else(|_| none(maximum));
    if let Err(error) = limited {
        tracing::warn!(%error, "core images cannot be forbidden: one would have keys and credentials in it");
    }
    // Where there is no such file, the limit has to do.
    #[cfg(target_os = "linux")]
    let _ = std::fs::write(FILTER, "0");
}
