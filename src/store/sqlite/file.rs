//! The file below a SQLite store: made private, told from another one.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crate::store::StoreError;

/// Readable and writable by its owner alone. SQLite gives its -wal and -shm the mode of the database.
const MODE: u32 = 0o600;
/// What every SQLite database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
}

impl Identity {
    /// The file that stands at `path`.
    pub(super) fn of(path: &Path) -> Result<Self, StoreError> {
        let found = path.metadata().map_err(|error| match error.kind() {
            ErrorKind::NotFound => StoreError::Missing { path: path.into() },
            _ => io_fault(path, "read", &error),
        })?;
        Ok(Self { device: found.dev(), inode: found.ino() })
    }
}

/// Makes an empty file with mode 0600, whatever the umask, where there is none. Its name is on disk afterwards.
pub(super) fn make(path: &Path) -> Result<(), StoreError> {
    let fault = |error| io_fault(path, "make", &error);
    let file = match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(fault(error)),
    };
    // The umask can only have taken bits away.
    file.set_permissions(Permissions::from_mode(MODE)).map_err(fault)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(fault)
}

/// Looks at the first bytes before SQLite does, which would take a file of a few bytes for an empty database.
pub(super) fn refuse_what_is_no_database(path: &Path) -> Result<(), StoreError> {
    let fault = |error| io_fault(path, "read", &error);
    let file = File::open(path).map_err(fault)?;
    if !file.metadata().map_err(fault)?.is_file() {
        return Err(StoreError::NotAStore { path: path.into(), what: "it is no regular file".into() });
    }
    let mut start = Vec::with_capacity(MAGIC.len());
    file.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(fault)?;
    if start.is_empty() || start == MAGIC {
        return Ok(());
    }
    Err(StoreError::NotAStore { path: path.into(), what: "it is no SQLite database".into() })
}

fn io_fault(path: &Path, doing: &'static str, error: &std::io::Error) -> StoreError {
    let reason = match error.kind() {
        ErrorKind::NotFound => "there is no such folder; make it first".into(),
        ErrorKind::PermissionDenied => "the file and its folder must be readable and writable for this user".into(),
        _ => error.to_string(),
    };
    StoreError::Io { path: path.into(), doing, reason }
}
