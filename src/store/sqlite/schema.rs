//! The schema of a SQLite store and its way from version to version.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::audit;
use crate::store::{OpenMode, StoreError};

/// Step N takes a store from version N to N + 1. Released steps are never edited: a change of schema is a new step.
const STEPS: &[Step] = &[
    Step { sql: include_str!("migrations/1.sql"), then: None },
    Step { sql: include_str!("migrations/2.sql"), then: None },
    Step { sql: include_str!("migrations/3.sql"), then: None },
    Step { sql: include_str!("migrations/4.sql"), then: Some(audit::link_all) },
    Step { sql: include_str!("migrations/5.sql"), then: None },
    Step { sql: include_str!("migrations/6.sql"), then: None },
    Step { sql: include_str!("migrations/7.sql"), then: None },
];
/// `SGKS`: what `PRAGMA application_id` says of our stores, so that another program's database is not taken for one.
const APPLICATION: i64 = 0x5347_4B53;

/// What takes a store from one version to the next.
struct Step {
    sql: &'static str,
    /// What SQL cannot do.
    then: Option<fn(&Transaction<'_>) -> rusqlite::Result<()>>,
}

/// The version that this program knows.
pub(super) fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// What a database says of itself.
#[derive(Clone, Copy)]
struct Header {
    application: i64,
    version: i64,
    objects: i64,
}

/// Checks that this is a store of a version that this program can use, and with [`OpenMode::Create`] makes it one.
pub(super) fn bring_up(connection: &mut Connection, path: &Path, mode: OpenMode) -> Result<(), StoreError> {
    let fault = |error| super::fault(path, "open", &error);
    // One transaction, one moment: another process may be making the store right now.
    let moment = connection.transaction().map_err(fault)?;
    let header = header(&moment).map_err(fault)?;
    drop(moment);
    judge(header, path, mode)?;
    if mode == OpenMode::Existing {
        return Ok(());
    }
    if header.version < known() {
        migrate(connection, path, mode)?;
    }
    // Kept in the file. A store that lost power between the two steps is put right by the next program that may.
    connection.pragma_update(None, "journal_mode", "wal").map_err(fault)
}

/// Refuses a store that a newer program has brought up to date: what it says now may mean something else.
pub(super) fn refuse_newer(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found = connection.query_row("PRAGMA user_version", (), |row| row.get(0));
    let found: i64 = found.map_err(|error| super::fault(path, "read", &error))?;
    let known = known();
    if found > known { Err(StoreError::Newer { path: path.into(), found, known }) } else { Ok(()) }
}

/// The random bytes that a store was given when it was made.
pub(super) fn store_id(connection: &Connection) -> rusqlite::Result<[u8; 16]> {
    connection.query_row("SELECT value FROM meta WHERE name = 'store'", (), |row| row.get(0))
}

/// The secret of the store, under which its log says which value a key has.
pub(super) fn seal(connection: &Connection) -> rusqlite::Result<[u8; 32]> {
    connection.query_row("SELECT value FROM meta WHERE name = 'seal'", (), |row| row.get(0))
}

fn header(connection: &Connection) -> rusqlite::Result<Header> {
    let number = |sql: &str| connection.query_row(sql, (), |row| row.get(0));
    Ok(Header {
        application: number("PRAGMA application_id")?,
        version: number("PRAGMA user_version")?,
        objects: number("SELECT count(*) FROM sqlite_schema")?,
    })
}

fn judge(header: Header, path: &Path, mode: OpenMode) -> Result<(), StoreError> {
    let path = path.to_path_buf();
    let known = known();
    let is_new = header.application == 0 && header.version == 0 && header.objects == 0;
    if is_new && mode == OpenMode::Create {
        return Ok(());
    }
    if is_new {
        return Err(StoreError::Empty { path });
    }
    if header.application != APPLICATION {
        return Err(StoreError::NotAStore { path, what: "it is a SQLite database of another program".into() });
    }
    let found = header.version;
    if found > known {
        return Err(StoreError::Newer { path, found, known });
    }
    if found < known && mode == OpenMode::Existing {
        return Err(StoreError::Older { path, found, known });
    }
    Ok(())
}

/// Takes every step that is missing, all or none. Another process may have been quicker: what there is to do is asked
/// again behind the lock.
fn migrate(connection: &mut Connection, path: &Path, mode: OpenMode) -> Result<(), StoreError> {
    let fault = |error| super::fault(path, "bring up to date", &error);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
    let header = header(&transaction).map_err(fault)?;
    judge(header, path, mode)?;
    let done = usize::try_from(header.version).unwrap_or(usize::MAX);
    for (version, step) in (1_i64..).zip(STEPS).skip(done) {
        transaction.execute_batch(step.sql).map_err(fault)?;
        step.then.map_or(Ok(()), |then| then(&transaction)).map_err(fault)?;
        transaction.pragma_update(None, "user_version", version).map_err(fault)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION).map_err(fault)?;
    transaction.commit().map_err(fault)
}

#[cfg(test)]
mod tests;
