//! The schema of a store in PostgreSQL and its way from version to version.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::audit::no_head;
use super::error::DatabaseError;
use super::fault::Fault;
use super::link::{Begin, Link, Session};
use super::value::{get, number, values};
use crate::store::audit::Seal;
use crate::store::{OpenMode, StoreError};

/// Step N takes a store from version N to N + 1. Released steps are never edited: a change of schema is a new step.
const STEPS: &[&str] = &[include_str!("migrations/1.sql")];
/// Who brings a store up to date holds this lock until it is done: `SGKS` in ASCII.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1397181267)";
/// The head, beside whether all of the store is there: a restore loads each table for itself, and makes the triggers of a table
/// behind its rows. There is a row whatever there is of the store.
macro_rules! from_head {
    () => {
        "FROM (SELECT count(*) = 5 AS whole FROM pg_trigger WHERE (tgrelid, tgname) IN ( \
            (to_regclass('scopegate.accounts'), 'an_account_is_never_forgotten'), \
            (to_regclass('scopegate.changes'), 'changes_are_never_removed'), \
            (to_regclass('scopegate.former_values'), 'a_former_value_is_never_forgotten'), \
            (to_regclass('scopegate.head'), 'the_head_stays'), \
            (to_regclass('scopegate.keys'), 'a_key_is_never_forgotten'))) t LEFT JOIN scopegate.head h ON true"
    };
}
pub(super) use from_head;

/// With the hash of the last change: another past may have come to the same number.
const HEAD: &str = concat!(
    "SELECT h.store, h.version, h.revision, \
    (SELECT hash FROM scopegate.changes WHERE revision = h.revision), t.whole ",
    from_head!()
);

/// Asked of the catalogue's rows: a look by name may be answered from what this connection knew before it waited for the lock.
const IS_THERE: &str = "SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE n.nspname = 'scopegate' AND c.relname = 'head')";

const SEAL: &str = "SELECT seal FROM scopegate.head";

/// The version that this program knows.
pub(super) fn known() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// What a store says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// The random bytes that it was given when it was made.
    pub(super) store: Box<[u8]>,
    /// Of its schema.
    pub(super) version: i64,
    /// The last number that was given out.
    pub(super) revision: u64,
    /// The hash of the change that has it, which follows from every change before; `None` where there is none.
    pub(super) hash: Option<Box<[u8]>>,
}

impl Head {
    /// Reads it.
    pub(super) fn read(session: &Session<'_>) -> Result<Self, Fault> {
        Self::of(&session.query_one(HEAD, &[])?.ok_or_else(no_head)?)
    }

    /// From the first five columns of a row.
    pub(super) fn of(row: &Row) -> Result<Self, Fault> {
        if !get::<bool>(row, 4)? {
            return Err(Fault::Unfinished);
        }
        let store = get::<Option<&[u8]>>(row, 0)?.ok_or_else(no_head)?.into();
        let hash = get::<Option<&[u8]>>(row, 3)?.map(Box::from);
        Ok(Self { store, version: get(row, 1)?, revision: number(row, 2)?, hash })
    }

    /// Sees that this program knows the schema.
    pub(super) fn refuse_other_versions(&self, place: &str) -> Result<(), Fault> {
        let (path, found, known) = (place.into(), self.version, known());
        match found {
            _ if found > known => Err(StoreError::Newer { path, found, known }.into()),
            _ if found < known => Err(StoreError::Older { path, found, known }.into()),
            _ => Ok(()),
        }
    }
}

/// What marks values under the secret of the store.
pub(super) fn seal(session: &Session<'_>) -> Result<Seal, Fault> {
    let row = session.query_one(SEAL, &[])?.ok_or_else(no_head)?;
    let secret = get::<&[u8]>(&row, 0)?.try_into();
    secret.map(Seal::new).map_err(|_| Fault::Bad("it has no seal".to_owned()))
}

/// Checks that there is a store of a version that this program can use, and with [`OpenMode::Create`] makes it one.
pub(super) fn bring_up(link: &mut Link, place: &str, mode: OpenMode) -> Result<Head, Fault> {
    let found = match link.with(Head::read) {
        Ok(head) if head.version >= known() || mode == OpenMode::Existing => {
            return head.refuse_other_versions(place).map(|()| head);
        }
        Ok(head) => Some(head.version),
        Err(fault) if is_missing(&fault) && mode == OpenMode::Create => None,
        Err(fault) => return Err(fault),
    };
    let made = link.within(Begin::Making(LOCK), migrate);
    let denied = |fault: &Fault| fault.is(&[SqlState::INSUFFICIENT_PRIVILEGE]);
    match made {
        Err(fault) if denied(&fault) => {
            let reason = fault.database_error().map(|error| error.message().to_owned()).unwrap_or_default();
            let place = place.to_owned();
            Err(match found {
                None => DatabaseError::MayNotMake { place, reason },
                Some(found) => DatabaseError::MayNotBringUp { place, found, known: known(), reason },
            }
            .into())
        }
        made => {
            made?;
            let head = link.with(Head::read)?;
            head.refuse_other_versions(place).map(|()| head)
        }
    }
}

/// Takes every step that is missing, all or none. Another process may have been quicker: what there is to do is asked
/// again behind the lock.
fn migrate(session: &Session<'_>) -> Result<(), Fault> {
    let is_there = session.query_one(IS_THERE, &[])?;
    let is_there = is_there.map_or(Ok(false), |row| get(&row, 0))?;
    let version = if is_there { Head::read(session)?.version } else { 0 };
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    for (version, step) in (1_i64..).zip(STEPS).skip(done) {
        session.run(step)?;
        session.execute("UPDATE scopegate.head SET version = $1", values![version])?;
    }
    Ok(())
}

fn is_missing(fault: &Fault) -> bool {
    fault.is(&[SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME])
}
