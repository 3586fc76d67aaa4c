//! Why an address cannot be listened on.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::Address;

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindFault {
    /// A low port, or a directory that is not ours to write.
    #[error("ports below 1024 and some directories need privileges")]
    Forbidden,
    /// The directory of a Unix socket.
    #[error("the directory `{}` does not exist", .0.display())]
    NoDirectory(PathBuf),
    /// A file that is no socket is in the place of one.
    #[error("there is a file in its place, which is no socket")]
    NoSocket,
    /// No interface has it.
    #[error("this machine has no such address")]
    NotHere,
    /// Whatever else the system says.
    #[error("{0}")]
    Other(io::Error),
    /// The service manager has bound this other address, which takes this one's place, and passed its socket.
    #[error("the service manager has passed a socket on {0}, which no `listen` names")]
    Passed(Address),
    /// Somebody listens there.
    #[error("it is in use by another process")]
    Taken,
}

impl BindFault {
    /// What `error` means where `address` could not be bound; `passed` is a socket in its way that nothing asked for.
    pub(super) fn of(error: io::Error, address: &Address, passed: Option<Address>) -> Self {
        match (error.kind(), passed) {
            (io::ErrorKind::AddrInUse, Some(passed)) => Self::Passed(passed),
            (io::ErrorKind::AddrInUse, None) => Self::Taken,
            (io::ErrorKind::AlreadyExists, _) => Self::NoSocket,
            (io::ErrorKind::AddrNotAvailable, _) => Self::NotHere,
            (io::ErrorKind::PermissionDenied, _) => Self::Forbidden,
            (io::ErrorKind::NotFound, _) => match missing(address) {
                Some(directory) => Self::NoDirectory(directory.to_owned()),
                None => Self::Other(error),
            },
            _ => Self::Other(error),
        }
    }
}

/// The directory of a Unix socket, where it is not there.
fn missing(address: &Address) -> Option<&Path> {
    let Address::Unix(path) = address else { return None };
    path.parent().filter(|directory| !directory.exists())
}
