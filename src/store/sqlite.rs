//! The embedded store: one SQLite file, shared by gateways and the command line.
//!
//! WAL with `synchronous=FULL`: readers never wait for a writer, and what was acknowledged survives a crash of the
//! machine. Every write is one `BEGIN IMMEDIATE` transaction that takes a revision from the log of changes and sets the
//! record; a load is one read transaction, so it sees one moment of the store.
//!
//! A writer that is killed while it waits for the disk leaves a whole transaction in the log that the index of the log does
//! not name. The next writer writes over it; a first process that opens the file takes it in. Nobody was told that it is done.

mod accounts;
mod audit;
mod fault;
mod file;
mod history;
mod records;
mod row;
mod schema;
mod uses;
mod values;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use self::audit::{Deed, log};
use self::fault::{fault, refusal};
use self::file::Opened;
use self::history::History;
use super::audit::{Entry, Seal, Standing, ToldAccounts, ToldKeys, of_new, of_transition};
use super::uses::{KeyUse, ValueUse};
use super::warning::{self, Owner};
use super::{AccountOutcome, Change, Extent, KeyStore, Loaded, OpenMode, Outcome, Revision, Stamp, StoreError};
use super::{Provenance, StoreWarning};
use crate::key::account::{AccountRecord, AccountTransition, NewAccount};
use crate::key::lifecycle::{self, Fresh, Transition};
use crate::key::{KeyId, KeyRecord};

/// How long a call waits for another process that is writing, unless told otherwise.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of the file a connection keeps in memory while it adds many keys, in KiB a thousand of them, and at most: each goes to
/// another place of every index, and what does not fit in is written and read again and again.
const CACHE_PER_THOUSAND: usize = 512;
const MOST_CACHE: usize = 256 << 10;
/// What SQLite keeps of its own accord.
const USUAL_CACHE: usize = 2000;
/// A data version that SQLite never gives.
const UNSEEN: i64 = -1;

/// One connection to a store in a SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    path: PathBuf,
    connection: Connection,
    /// The file that the connection has open, so that one put in its place, or written over it, is noticed. Dropped after
    /// the connection: closing a file gives up every lock that this process has on it.
    file: Opened,
    /// The store that was opened first, so that another one put in its place is noticed.
    store: [u8; 16],
    seal: Seal,
    /// What `PRAGMA data_version` last said: it changes with every commit of another connection.
    data_version: i64,
    history: History,
    patience: Duration,
}

impl Sqlite {
    /// Opens the store at `path`; a new file is made with mode 0600.
    ///
    /// # Errors
    /// As [`open`](super::open).
    pub fn open(path: &Path, mode: OpenMode) -> Result<Self, StoreError> {
        if mode == OpenMode::Create {
            file::make(path)?;
        }
        // Opened before the connection is made: if the file is replaced in between, the next refresh tells.
        let file = Opened::open(path)?;
        file.refuse_what_is_no_database(path)?;
        let connection = connect(path, mode)?;
        let store = schema::store_id(&connection).map_err(|error| fault(path, "read", &error))?;
        let seal = schema::seal(&connection).map_err(|error| fault(path, "read", &error))?;
        let seal = Seal::new(seal);
        let (data_version, history) = (UNSEEN, History::default());
        Ok(Self { path: path.into(), connection, file, store, seal, data_version, history, patience: PATIENCE })
    }

    fn fault(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
        let path = self.path.clone();
        move |error| fault(&path, doing, &error)
    }

    /// Goes on with the file that now stands at the path, or with what now stands in it, if it is a copy of the same store.
    /// What SQLite keeps of the file in memory is forgotten with the connection: it knows only of what was changed through
    /// SQLite.
    fn reopen(&mut self) -> Result<(), StoreError> {
        let file = Opened::open(&self.path)?;
        file.refuse_what_is_no_database(&self.path)?;
        let connection = connect(&self.path, OpenMode::Existing)?;
        let store = schema::store_id(&connection).map_err(self.fault("read"))?;
        if store != self.store {
            return Err(StoreError::Replaced { path: self.path.clone() });
        }
        connection.busy_timeout(self.patience).map_err(self.fault("open"))?;
        // A copy made by VACUUM is in the older mode, in which readers and writers wait for each other. Where it cannot be changed
        // now, the store is followed all the same.
        let _ = connection.pragma_update(None, "journal_mode", "wal");
        self.connection = connection;
        self.file = file;
        // No commit of this file was seen yet: the next refresh says so, whatever happens before it.
        self.data_version = UNSEEN;
        Ok(())
    }

    /// Keeps as much of the file in memory as adding so many keys needs.
    fn make_room_for(&self, keys: usize) -> Result<(), StoreError> {
        let kibibytes = (keys * CACHE_PER_THOUSAND / 1000).min(MOST_CACHE);
        if kibibytes <= USUAL_CACHE {
            return Ok(());
        }
        let set = self.connection.execute_batch(&format!("PRAGMA cache_size = -{kibibytes}"));
        set.map_err(self.fault("write to"))
    }

    fn write(&mut self) -> Result<Transaction<'_>, StoreError> {
        let path = &self.path;
        let begun = self.connection.transaction_with_behavior(TransactionBehavior::Immediate);
        let transaction = begun.map_err(|error| fault(path, "write to", &error))?;
        // A newer program may have brought the store up to date since it was opened.
        schema::refuse_newer(&transaction, path)?;
        Ok(transaction)
    }
}

impl KeyStore for Sqlite {
    fn place(&self) -> String {
        format!("sqlite:{}", self.path.display())
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        warning::of_file(&self.path, Owner::Us)
    }

    fn refresh(&mut self) -> Result<bool, StoreError> {
        if !self.file.is_as_it_was(&self.path)? {
            self.reopen()?;
            return Ok(true);
        }
        let version = self.connection.prepare_cached("PRAGMA data_version");
        let version = version.and_then(|mut query| query.query_row((), |row| row.get(0)));
        let version = version.map_err(self.fault("read"))?;
        Ok(std::mem::replace(&mut self.data_version, version) != version)
    }

    fn load(&mut self, since: Revision, tell: &mut dyn FnMut(Change)) -> Result<Loaded, StoreError> {
        let path = &self.path;
        let fault = |error| fault(path, "read", &error);
        let moment = self.connection.transaction().map_err(fault)?;
        // A newer program may have brought the store up to date since it was opened.
        schema::refuse_newer(&moment, path)?;
        let course = self.history.plan(&moment, since).map_err(fault)?;
        if course.since == 0 || course.revision > since {
            records::tell(&moment, (path, &course), tell)?;
        }
        let extent = if course.is_another_past { Extent::AnotherPast } else { Extent::Changes };
        let revision = course.revision;
        let is_whole = course.since == 0;
        self.history.keep(course);
        drop(moment);
        if is_whole {
            // What was read is not read again soon.
            self.connection.release_memory().map_err(self.fault("read"))?;
        }
        Ok(Loaded { revision, extent })
    }

    fn estimate(&mut self) -> Result<usize, StoreError> {
        let fault = self.fault("read");
        let rows: i64 = self.connection.query_row(row::COUNT, (), |row| row.get(0)).map_err(&fault)?;
        // A file that was edited may say anything; what it has no room for it has not.
        Ok(usize::try_from(rows).unwrap_or(0).min(self.file.size() / row::LEAST_BYTES))
    }

    fn bookmark(&self) -> Option<Vec<u8>> {
        Some([&self.store[..], &self.history.bookmark()?].concat())
    }

    fn resume(&mut self, bookmark: &[u8]) -> Result<Option<Revision>, StoreError> {
        Ok(bookmark.strip_prefix(&self.store).and_then(|rest| self.history.resume(rest)))
    }

    fn add(&mut self, records: &[KeyRecord], provenance: Provenance, stamp: Stamp<'_>) -> Result<Revision, StoreError> {
        self.make_room_for(records.len())?;
        let (path, seal) = (self.path.clone(), self.seal.clone());
        let fault = |error| fault(&path, "write to", &error);
        let transaction = self.write()?;
        accounts::admit(&transaction, records, (provenance.strangers(), stamp)).map_err(|refusal| refusal.at(&path))?;
        for record in records {
            accounts::refuse_second(&transaction, record).map_err(|refusal| refusal.at(&path))?;
            let mut detail = of_new(record, None);
            seal.add_to(&mut detail, record, stamp.at);
            let deed = deed(provenance.as_str(), record, &detail);
            let revision = log(&transaction, deed, stamp).map_err(fault)?;
            row::insert(&transaction, revision, record).map_err(|error| refusal(record, error, fault))?;
        }
        let number = latest(&transaction).map_err(fault)?;
        transaction.commit().map_err(fault)?;
        Ok(self.history.lifted(number))
    }

    fn change(&mut self, id: &KeyId, transition: &Transition, stamp: Stamp<'_>) -> Result<Outcome, StoreError> {
        let (path, seal) = (self.path.clone(), self.seal.clone());
        let fault = |error| fault(&path, "write to", &error);
        let transaction = self.write()?;
        let before = records::one(&transaction, id, &path)?.ok_or_else(|| StoreError::Unknown(id.clone()))?;
        let record = transition.apply(before.clone(), stamp.at)?;
        if record == before {
            return Ok(Outcome { record, revision: None });
        }
        let mut detail = of_transition(transition, &before, &record);
        if record.value.digest != before.value.digest {
            seal.add_value(&mut detail, &record);
        }
        let deed = deed(transition.as_str(), &record, &detail);
        let revision = log(&transaction, deed, stamp).map_err(fault)?;
        let written = values::retire(&transaction, &before, &record);
        let written = written.and_then(|()| row::update(&transaction, revision, &record));
        written.map_err(|error| refusal(&record, error, fault))?;
        transaction.commit().map_err(fault)?;
        Ok(Outcome { record, revision: Some(self.history.lifted(revision.0)) })
    }

    fn clone_key(&mut self, of: &KeyId, fresh: Fresh, stamp: Stamp<'_>) -> Result<Outcome, StoreError> {
        let (path, seal) = (self.path.clone(), self.seal.clone());
        let fault = |error| fault(&path, "write to", &error);
        let transaction = self.write()?;
        let original = records::one(&transaction, of, &path)?.ok_or_else(|| StoreError::Unknown(of.clone()))?;
        let record = lifecycle::clone_key(&original, fresh, stamp.at)?;
        let mut detail = of_new(&record, Some(of));
        seal.add_to(&mut detail, &record, stamp.at);
        let deed = deed("clone", &record, &detail);
        let revision = log(&transaction, deed, stamp).map_err(fault)?;
        row::insert(&transaction, revision, &record).map_err(|error| refusal(&record, error, fault))?;
        transaction.commit().map_err(fault)?;
        Ok(Outcome { record, revision: Some(self.history.lifted(revision.0)) })
    }

    fn find(&mut self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        let moment = self.connection.unchecked_transaction().map_err(self.fault("read"))?;
        records::one(&moment, id, &self.path)
    }

    fn list(&mut self) -> Result<Vec<KeyRecord>, StoreError> {
        // One moment for the keys and their former values.
        let moment = self.connection.unchecked_transaction().map_err(self.fault("read"))?;
        records::list(&moment, &self.path)
    }

    fn audit(&mut self, after: u64, tell: &mut dyn FnMut(Entry)) -> Result<Standing, StoreError> {
        let moment = self.connection.unchecked_transaction().map_err(self.fault("read"))?;
        let given = audit::read(&moment, after, tell).map_err(self.fault("read"))?;
        Ok(Standing { given, ..Standing::default() })
    }

    fn verify(&mut self, tell: &mut dyn FnMut(Entry)) -> Result<Standing, StoreError> {
        let moment = self.connection.unchecked_transaction().map_err(self.fault("read"))?;
        let bad = |bad: row::BadRow| bad.at(&self.path);
        let (mut accounts, mut keys) = (ToldAccounts::default(), ToldKeys::new(self.seal.clone()));
        let given = audit::read(&moment, 0, &mut |entry| {
            accounts.follow(&entry);
            keys.follow(&entry);
            tell(entry);
        });
        let given = given.map_err(self.fault("read"))?;
        let mut unlogged = accounts::hold_against(&moment, accounts).map_err(bad)?;
        let (strange, lacking) = records::hold_against(&moment, keys).map_err(bad)?;
        unlogged.extend(strange);
        Ok(Standing { given, unlogged, lacking })
    }

    fn records_use(&self) -> bool {
        true
    }

    fn add_uses(&mut self, uses: &[ValueUse]) -> Result<(), StoreError> {
        let path = self.path.clone();
        let fault = |error| fault(&path, "write to", &error);
        let transaction = self.write()?;
        for used in uses {
            uses::add(&transaction, used).map_err(fault)?;
        }
        transaction.commit().map_err(fault)
    }

    fn use_of(&mut self, id: &KeyId) -> Result<KeyUse, StoreError> {
        let moment = self.connection.unchecked_transaction().map_err(self.fault("read"))?;
        uses::of_key(&moment, id).map_err(self.fault("read"))
    }

    fn accounts(&mut self) -> Result<Vec<AccountRecord>, StoreError> {
        accounts::list(&self.connection).map_err(|bad| bad.at(&self.path))
    }

    fn create_account(&mut self, new: NewAccount, stamp: Stamp<'_>) -> Result<AccountRecord, StoreError> {
        let path = self.path.clone();
        let transaction = self.write()?;
        let (account, _) = accounts::create(&transaction, new, stamp).map_err(|refusal| refusal.at(&path))?;
        transaction.commit().map_err(|error| fault(&path, "write to", &error))?;
        Ok(account)
    }

    fn change_account(
        &mut self,
        id: &str,
        transition: AccountTransition,
        stamp: Stamp<'_>,
    ) -> Result<AccountOutcome, StoreError> {
        let path = self.path.clone();
        let transaction = self.write()?;
        let changed = accounts::change(&transaction, (id, transition), stamp);
        let (account, revision) = changed.map_err(|refusal| refusal.at(&path))?;
        transaction.commit().map_err(|error| fault(&path, "write to", &error))?;
        Ok(AccountOutcome { account, revision: revision.map(|revision| self.history.lifted(revision.0)) })
    }

    fn set_patience(&mut self, patience: Duration) -> Result<(), StoreError> {
        self.patience = patience;
        self.connection.busy_timeout(patience).map_err(self.fault("open"))
    }
}

/// What would keep a gateway from using the file at `path`, as far as it shows without touching anything.
///
/// # Errors
/// It cannot be used, or not be made.
pub fn probe(path: &Path) -> Result<(), StoreError> {
    file::probe(path)
}

fn connect(path: &Path, mode: OpenMode) -> Result<Connection, StoreError> {
    let fault = |error| fault(path, "open", &error);
    // Never SQLITE_OPEN_CREATE: files are made by `file::make` alone. Never URIs: a `?` in a path is a `?`.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(PATIENCE).map_err(fault)?;
    schema::bring_up(&mut connection, path, mode)?;
    connection
        .execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA recursive_triggers = ON;")
        .map_err(fault)?;
    Ok(connection)
}

/// The last number that was given out.
fn latest(connection: &Connection) -> rusqlite::Result<u64> {
    let mut query = connection.prepare_cached("SELECT coalesce(max(revision), 0) FROM changes")?;
    query.query_row((), |row| row.get(0)).map(i64::cast_unsigned)
}

/// What was done to a key.
fn deed<'a>(action: &'a str, record: &'a KeyRecord, detail: &'a serde_json::Value) -> Deed<'a> {
    Deed { action, key: Some(record.id.as_str()), account: None, detail }
}

#[cfg(test)]
pub(super) mod tests;
