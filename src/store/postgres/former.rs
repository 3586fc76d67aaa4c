//! The values that keys had before, as rows.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::fault::Fault;
use super::link::Session;
use super::row::digest;
use super::value::{Value, get, values};
use crate::key::{KeyId, KeyRecord, KeyValue, Timestamp};

/// The columns of a row, in the order that [`value`] reads them; `$last` is the last use of the value.
macro_rules! select {
    ($last:literal, $rest:literal) => {
        concat!(
            "SELECT f.digest, f.prefix, f.last_four, f.created, f.until, f.ended, ",
            $last,
            ", f.key FROM scopegate.former_values f ",
            $rest,
            " ORDER BY f.age DESC"
        )
    };
}

/// Every value, without the last use.
const SELECT_ALL: &str = select!("NULL::bigint", "");
/// Those of some keys, without the last use.
const SELECT_SOME: &str = select!("NULL::bigint", "WHERE f.key = ANY($1)");
/// Every value.
const SELECT_LIST: &str = select!("u.last", "LEFT JOIN scopegate.value_uses u ON u.digest = f.digest");
/// Those of one key.
const SELECT_ONE: &str = select!("u.last", "LEFT JOIN scopegate.value_uses u ON u.digest = f.digest WHERE f.key = $1");

const INSERT: &str = "INSERT INTO scopegate.former_values (key, digest, prefix, last_four, created, until, ended) \
    VALUES ($1, $2, $3, $4, $5, $6, $7)";
const END: &str = "UPDATE scopegate.former_values SET until = $2, ended = $3 WHERE digest = $1";

/// The former values of many keys. Few keys have any.
pub(super) struct Former(HashMap<KeyId, Vec<KeyValue>>);

impl Former {
    /// Those of every key, without their last use.
    pub(super) fn of_all(session: &Session<'_>) -> Result<Self, Fault> {
        let mut former = Self(HashMap::new());
        session.each_of_many(SELECT_ALL, &[], |row| former.add(row))?;
        Ok(former)
    }

    /// Those of every key.
    pub(super) fn list(session: &Session<'_>) -> Result<Self, Fault> {
        let mut former = Self(HashMap::new());
        session.each_of_many(SELECT_LIST, &[], |row| former.add(row))?;
        Ok(former)
    }

    /// Those of some keys, without their last use.
    pub(super) fn of(session: &Session<'_>, keys: &[&str]) -> Result<Self, Fault> {
        Self::read(session, SELECT_SOME, values![keys])
    }

    /// Those of one key.
    pub(super) fn of_one(session: &Session<'_>, key: &KeyId) -> Result<Self, Fault> {
        Self::read(session, SELECT_ONE, values![key.as_str()])
    }

    fn read(session: &Session<'_>, sql: &str, given: &[Value<'_>]) -> Result<Self, Fault> {
        let mut former = Self(HashMap::new());
        session.each(sql, given, |row| former.add(row))?;
        Ok(former)
    }

    fn add(&mut self, row: &Row) -> Result<(), Fault> {
        let key = KeyId::parse(get(row, 7)?);
        let key = key.ok_or_else(|| Fault::Bad("a former value has the id of a key that cannot be".to_owned()))?;
        self.0.entry(key).or_default().push(value(row)?);
        Ok(())
    }

    /// Gives a record its own.
    pub(super) fn give(&mut self, record: &mut KeyRecord) {
        if !self.0.is_empty() {
            record.former = self.0.remove(&record.id).unwrap_or_default();
        }
    }
}

/// Writes down what became of the values of a record. Comes before its row is changed.
pub(super) fn retire(session: &Session<'_>, before: &KeyRecord, after: &KeyRecord) -> Result<(), Fault> {
    for value in after.former.iter().filter(|value| !before.former.contains(value)) {
        // A former value has an end: without one it would work for ever.
        let until = value.until.unwrap_or(Timestamp::MIN).as_millis();
        let digest = value.digest.as_bytes().as_slice();
        if before.former.iter().any(|known| known.digest == value.digest) {
            session.execute(END, values![digest, until, value.is_ended])?;
        } else {
            let created = value.created.as_millis();
            session.execute(
                INSERT,
                values![after.id.as_str(), digest, &*value.prefix, &*value.last_four, created, until, value.is_ended],
            )?;
        }
    }
    Ok(())
}

fn value(row: &Row) -> Result<KeyValue, Fault> {
    Ok(KeyValue {
        digest: digest(row, 0)?,
        prefix: get(row, 1)?,
        last_four: get(row, 2)?,
        site: None,
        created: Timestamp::from_millis(get(row, 3)?),
        until: Some(Timestamp::from_millis(get(row, 4)?)),
        is_ended: get(row, 5)?,
        last_used: get::<Option<i64>>(row, 6)?.map(Timestamp::from_millis),
    })
}
