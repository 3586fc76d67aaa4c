//! Key records as rows.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Row, Transaction, ffi, params};

use crate::key::digest::Digest;
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, KeyState, KeyValue, SiteId, Timestamp, lifecycle};
use crate::store::record::{Columns, attributes, grant, networks, site, state};
use crate::store::{Change, Revision, StoreError};

/// The columns of a row, in the order that [`change`] reads them; `$last` is the last use of the key, and of its value.
macro_rules! select {
    ($last:literal, $rest:expr) => {
        concat!(
            "SELECT k.id, k.revision, k.kind, k.state, k.level, k.scopes, k.name, k.account, k.created, k.changed, ",
            "k.not_before, k.expires, k.attributes, k.networks, k.note, k.prefix, k.last_four, k.digest, k.minted, ",
            "k.deleted, ",
            $last,
            ", k.tripwire, k.site FROM keys k ",
            $rest
        )
    };
}

/// Everything, in no order, without the last use: for an index.
pub(super) const SELECT_ALL: &str = select!("NULL, NULL", "");
/// The ids of the keys that changed after a revision. A key changes with its account and the one above it; and with those below
/// it where one comes or goes, whose names it has.
macro_rules! changed {
    () => {
        "(SELECT key FROM changes WHERE revision > ?1 AND key IS NOT NULL \
            UNION SELECT id FROM keys WHERE account IN (WITH changed AS ( \
                SELECT account AS id, action FROM changes WHERE revision > ?1 AND account IS NOT NULL) \
            SELECT id FROM changed UNION SELECT id FROM accounts WHERE parent IN (SELECT id FROM changed) \
            UNION SELECT parent FROM accounts WHERE parent IS NOT NULL \
                AND id IN (SELECT id FROM changed WHERE action NOT IN ('disable', 'enable'))))"
    };
}
pub(super) use changed;

/// What changed after a revision, without the last use: for an index. What may end a key comes first: what was ended, then what
/// else was done to a key.
pub(super) const SELECT_SINCE: &str =
    select!("NULL, NULL", concat!("WHERE k.id IN ", changed!(), " ORDER BY k.state = 'active', k.revision <= ?1"));
/// Everything, the oldest first.
pub(super) const SELECT_LIST: &str = select!(
    "u.last, v.last",
    "LEFT JOIN uses u ON u.key = k.id AND u.scope = '' LEFT JOIN value_uses v ON v.digest = k.digest \
    ORDER BY k.created, k.rowid"
);
/// One key.
pub(super) const SELECT_ONE: &str = select!(
    "u.last, v.last",
    "LEFT JOIN uses u ON u.key = k.id AND u.scope = '' LEFT JOIN value_uses v ON v.digest = k.digest WHERE k.id = ?1"
);

/// How many values of keys there are: none is ever removed, so the last number says it, without a look at each.
pub(super) const COUNT: &str = "SELECT ifnull((SELECT max(rowid) FROM keys), 0) + \
    ifnull((SELECT max(age) FROM former_values), 0)";
/// A value takes at least so many bytes of the file: its digest and the id of its key, each in the row and in an index.
pub(super) const LEAST_BYTES: usize = 2 * (Digest::LENGTH + 1);

const INSERT: &str = "INSERT INTO keys (id, revision, kind, state, level, scopes, name, account, created, changed, \
    not_before, expires, attributes, networks, note, prefix, last_four, digest, tripwire, site) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";

/// What a transition may change of a row; the trigger `a_grant_never_changes` holds the rest.
const UPDATE: &str = "UPDATE keys SET revision = ?2, state = ?3, changed = ?4, digest = ?5, prefix = ?6, last_four = ?7, \
    minted = ?8 WHERE id = ?1";

/// What a deletion changes of a row.
const DELETE: &str = "UPDATE keys SET revision = ?2, state = 'revoked', changed = ?3, deleted = ?3, level = 'custom', \
    scopes = '', account = NULL, attributes = NULL, networks = NULL, note = NULL WHERE id = ?1";

/// Why a record is not added, in the words of the schema where a trigger says it.
const TAKEN: &str = "its id is taken";
const IS_THERE: &str = "a record has the same key";
const WAS_THERE: &str = "a record has had the same key";

/// A row that is no record.
#[derive(Debug)]
pub(super) struct BadRow(String);

impl BadRow {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    /// The same, as a fault of the store at `path`.
    pub(super) fn at(self, path: &Path) -> StoreError {
        StoreError::Damaged { path: path.into(), what: self.0 }
    }
}

impl From<rusqlite::Error> for BadRow {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}

/// The grants of keys with scopes that were found good, by their text: few differ, and none is looked at twice.
#[derive(Default)]
pub(super) struct Grants(HashMap<Box<str>, GrantSpec>);

impl Grants {
    /// So many are kept.
    const MOST: usize = 1024;

    fn read(&mut self, level: &str, scopes: &str) -> Option<GrantSpec> {
        if level != "custom" {
            return grant(level, scopes);
        }
        if let Some(known) = self.0.get(scopes) {
            return Some(known.clone());
        }
        let grant = grant(level, scopes)?;
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        self.0.insert(scopes.into(), grant.clone());
        Some(grant)
    }
}

/// Reads a record, without its former values. What will stand in a header is checked here, too: the file may have been edited by hand.
pub(super) fn change(row: &Row<'_>, grants: &mut Grants) -> Result<Change, BadRow> {
    let id = text(row, 0)?.unwrap_or_default();
    let bad = |what: &str| BadRow(format!("key {id:?} has {what} that cannot be"));
    let word = |column| text(row, column).map(Option::unwrap_or_default);
    let moment = |column| row.get::<_, Option<i64>>(column).map(|millis| millis.map(Timestamp::from_millis));
    let record = KeyRecord {
        id: KeyId::parse(id).ok_or_else(|| bad("an id"))?,
        kind: KeyKind::parse(word(2)?).ok_or_else(|| bad("a kind"))?,
        state: state(word(3)?, moment(19)?).ok_or_else(|| bad("a state"))?,
        grant: grants.read(word(4)?, word(5)?).ok_or_else(|| bad("a grant"))?,
        name: row.get(6)?,
        account: row.get(7)?,
        created: Timestamp::from_millis(row.get(8)?),
        changed: Timestamp::from_millis(row.get(9)?),
        not_before: moment(10)?,
        expires: moment(11)?,
        attributes: attributes(text(row, 12)?).ok_or_else(|| bad("attributes"))?,
        allow_from: networks(word(13)?).ok_or_else(|| bad("networks"))?,
        note: row.get(14)?,
        value: KeyValue {
            prefix: row.get(15)?,
            last_four: row.get(16)?,
            site: site(text(row, 23)?).ok_or_else(|| bad("a value"))?,
            digest: Digest::from_bytes(row.get(17)?),
            created: moment(18)?.map_or_else(|| row.get(8).map(Timestamp::from_millis), Ok)?,
            until: None,
            is_ended: false,
            last_used: moment(21)?,
        },
        former: Vec::new(),
        last_used: moment(20)?,
        is_tripwire: row.get(22)?,
    };
    if record.account.as_ref().is_some_and(|account| !lifecycle::is_account(account)) {
        return Err(bad("an account"));
    }
    Ok(Change::of(Revision(row.get::<_, i64>(1)?.cast_unsigned()), record))
}

/// Adds the record of a key that had no other value yet.
pub(super) fn insert(transaction: &Transaction<'_>, revision: Revision, record: &KeyRecord) -> rusqlite::Result<()> {
    let columns = Columns::of(record);
    transaction.prepare_cached(INSERT)?.execute(params![
        record.id.as_str(),
        revision.0.cast_signed(),
        record.kind.as_str(),
        record.state.as_str(),
        columns.level,
        columns.scopes,
        record.name,
        record.account,
        record.created.as_millis(),
        record.changed.as_millis(),
        record.not_before.map(Timestamp::as_millis),
        record.expires.map(Timestamp::as_millis),
        columns.attributes,
        columns.networks,
        record.note,
        record.value.prefix,
        record.value.last_four,
        record.value.digest.as_bytes(),
        record.is_tripwire,
        record.value.site.as_ref().map(SiteId::as_str),
    ])?;
    Ok(())
}

/// Changes the row of a record to what it is after a transition.
pub(super) fn update(transaction: &Transaction<'_>, revision: Revision, after: &KeyRecord) -> rusqlite::Result<()> {
    let (id, revision, changed) = (after.id.as_str(), revision.0.cast_signed(), after.changed.as_millis());
    let value = &after.value;
    if after.state == KeyState::Deleted {
        transaction.execute(DELETE, params![id, revision, changed])?;
        return Ok(());
    }
    transaction.execute(
        UPDATE,
        params![
            id,
            revision,
            after.state.as_str(),
            changed,
            value.digest.as_bytes(),
            value.prefix,
            value.last_four,
            value.created.as_millis(),
        ],
    )?;
    Ok(())
}

/// What was there already, if that is the error.
pub(super) fn duplicate(error: &rusqlite::Error) -> Option<&'static str> {
    match error.sqlite_error()?.extended_code {
        ffi::SQLITE_CONSTRAINT_PRIMARYKEY => Some(TAKEN),
        ffi::SQLITE_CONSTRAINT_UNIQUE => Some(IS_THERE),
        ffi::SQLITE_CONSTRAINT_TRIGGER => {
            let said = error.to_string();
            // What triggers say of a row that cannot be added. Whatever else they say is another matter.
            let known = [
                (TAKEN, TAKEN),
                (IS_THERE, IS_THERE),
                ("a record has had this value", WAS_THERE),
                ("a value gives way to a new one", WAS_THERE),
                ("a value is never forgotten", WAS_THERE),
            ];
            known.into_iter().find(|(words, _)| said.contains(words)).map(|(_, what)| what)
        }
        _ => None,
    }
}

fn text<'r>(row: &'r Row<'_>, column: usize) -> Result<Option<&'r str>, BadRow> {
    row.get_ref(column)?.as_str_or_null().map_err(|error| BadRow(error.to_string()))
}
