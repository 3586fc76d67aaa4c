//! What errors of SQLite mean for a store.

use std::path::Path;

use super::row;
use crate::key::KeyRecord;
use crate::store::{StoreError, warning};

/// What it means that a record could not be written.
pub(super) fn refusal(
    record: &KeyRecord,
    error: rusqlite::Error,
    otherwise: impl FnOnce(rusqlite::Error) -> StoreError,
) -> StoreError {
    match row::duplicate(&error) {
        Some(what) => StoreError::Duplicate { name: format!("{:?} ({})", record.name, record.id), what },
        None => otherwise(error),
    }
}

/// What an error of SQLite means for the store at `path`.
pub(super) fn fault(path: &Path, doing: &'static str, error: &rusqlite::Error) -> StoreError {
    use rusqlite::ErrorCode::{
        DatabaseBusy, DatabaseCorrupt, DatabaseLocked, DiskFull, NotADatabase, ReadOnly, SystemIoFailure,
    };
    use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
    let path = path.to_path_buf();
    match error.sqlite_error_code() {
        Some(DatabaseBusy | DatabaseLocked) => StoreError::Locked { path },
        // SQLite calls a disk damaged that cannot be read, too.
        Some(DatabaseCorrupt) => StoreError::Damaged { path, what: format!("{error}, or its disk cannot be read") },
        Some(DiskFull) => StoreError::Full { path },
        // The file beside the store that its readers share cannot grow: SQLite has no other word for a full disk there.
        Some(_) if error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE) => {
            StoreError::Full { path }
        }
        Some(ReadOnly) => StoreError::Io { doing, reason: warning::why_denied(&path), path },
        Some(SystemIoFailure) => StoreError::Disk { path, doing, reason: error.to_string() },
        Some(NotADatabase) => StoreError::NotAStore { path, what: error.to_string() },
        _ => StoreError::Io { path, doing, reason: error.to_string() },
    }
}
