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
    #[cfg(target_os = "linux")]
    if let Err(error) = leave_out_memory(std::path::Path::new(FILTER)) {
        tracing::warn!(%error, file = FILTER, "a core image that is piped to a program would have keys and credentials in it");
    }
}

/// Has an image show no memory. Where there is no such file, the limit has to do.
#[cfg(target_os = "linux")]
fn leave_out_memory(filter: &std::path::Path) -> std::io::Result<()> {
    match std::fs::write(filter, "0") {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        written => written,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_set_is_told_and_one_that_is_not_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("filter");
        assert!(leave_out_memory(&file.join("below")).is_ok());
        assert!(leave_out_memory(folder.path()).is_err(), "a folder cannot be written");
        assert!(leave_out_memory(&file).is_ok() && std::fs::read(&file).unwrap() == b"0");
    }
}
