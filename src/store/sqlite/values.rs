//! The values that keys had before, as rows.

use std::collections::HashMap;

use rusqlite::{Connection, Row, Transaction, params};

use super::row::{BadRow, changed};
use crate::key::digest::Digest;
use crate::key::{KeyId, KeyRecord, KeyValue, Timestamp};

/// The columns of a row, in the order that [`value`] reads them.
macro_rules! select {
    ($rest:expr) => {
        concat!(
            "SELECT f.digest, f.prefix, f.last_four, f.created, f.until, f.ended, u.last, f.key FROM former_values f ",
            "LEFT JOIN value_uses u ON u.digest = f.digest ",
            $rest
        )
    };
}

const INSERT: &str = "INSERT INTO former_values (key, digest, prefix, last_four, created, until, ended) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

/// The former values of many keys. Few keys have any.
pub(super) struct Former(HashMap<KeyId, Vec<KeyValue>>);

impl Former {
    /// Those of every key.
    pub(super) fn of_all(connection: &Connection) -> Result<Self, BadRow> {
        Self::read(connection, select!("ORDER BY f.age DESC"), None)
    }

    /// Those of the keys that changed after a revision.
    pub(super) fn of_changed(connection: &Connection, since: i64) -> Result<Self, BadRow> {
        let sql = select!(concat!("WHERE f.key IN ", changed!(), " ORDER BY f.age DESC"));
        Self::read(connection, sql, Some(since))
    }

    fn read(connection: &Connection, sql: &str, since: Option<i64>) -> Result<Self, BadRow> {
        let mut query = connection.prepare_cached(sql)?;
        let mut rows = query.query(rusqlite::params_from_iter(since))?;
        let mut former = HashMap::<KeyId, Vec<KeyValue>>::new();
        while let Some(row) = rows.next()? {
            let key = row.get_ref(7)?.as_str().ok().and_then(KeyId::parse);
            let key = key.ok_or_else(|| BadRow::new("a former value has the id of a key that cannot be"))?;
            former.entry(key).or_default().push(value(row)?);
        }
        Ok(Self(former))
    }

    /// Gives a record its own.
    pub(super) fn give(&mut self, record: &mut KeyRecord) {
        if !self.0.is_empty() {
            record.former = self.0.remove(&record.id).unwrap_or_default();
        }
    }
}

/// The former values of one key, the latest first.
pub(super) fn of_one(connection: &Connection, key: &KeyId) -> Result<Vec<KeyValue>, BadRow> {
    let mut query = connection.prepare_cached(select!("WHERE f.key = ?1 ORDER BY f.age DESC"))?;
    let mut rows = query.query([key.as_str()])?;
    let mut former = Vec::new();
    while let Some(row) = rows.next()? {
        former.push(value(row)?);
    }
    Ok(former)
}

/// Writes down what became of the values of a record. Comes before its row is changed.
pub(super) fn retire(transaction: &Transaction<'_>, before: &KeyRecord, after: &KeyRecord) -> rusqlite::Result<()> {
    for value in after.former.iter().filter(|value| !before.former.contains(value)) {
        // A former value has an end: without one it would work for ever.
        let until = value.until.unwrap_or(Timestamp::MIN).as_millis();
        let digest = value.digest.as_bytes();
        if before.former.iter().any(|known| known.digest == value.digest) {
            let sql = "UPDATE former_values SET until = ?2, ended = ?3 WHERE digest = ?1";
            transaction.prepare_cached(sql)?.execute(params![digest, until, value.is_ended])?;
        } else {
            let created = value.created.as_millis();
            let row = params![after.id.as_str(), digest, value.prefix, value.last_four, created, until, value.is_ended];
            transaction.prepare_cached(INSERT)?.execute(row)?;
        }
    }
    Ok(())
}

fn value(row: &Row<'_>) -> Result<KeyValue, BadRow> {
    Ok(KeyValue {
        digest: Digest::from_bytes(row.get(0)?),
        prefix: row.get(1)?,
        last_four: row.get(2)?,
        site: None,
        created: Timestamp::from_millis(row.get(3)?),
        until: Some(Timestamp::from_millis(row.get(4)?)),
        is_ended: row.get(5)?,
        last_used: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
    })
}
