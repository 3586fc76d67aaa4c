//! The use of keys, as rows. No change of a key: neither the log of changes nor a revision knows of it.

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::key::digest::Digest;
use crate::key::{KeyId, Timestamp};
use crate::store::uses::{Count, KeyUse, ValueUse};

/// The key that has or had a value.
const OWNER: &str =
    "SELECT id FROM keys WHERE digest = ?1 UNION ALL SELECT key FROM former_values WHERE digest = ?1 LIMIT 1";

/// Adds to a row, or makes it. What was edited into a row may be any number: a sum that overflowed would stop every count.
macro_rules! add {
    ($table:literal, $columns:literal, $values:literal) => {
        concat!(
            "INSERT INTO ",
            $table,
            " (",
            $columns,
            ", allowed, denied, last) VALUES (",
            $values,
            ") ON CONFLICT (",
            $columns,
            ") DO UPDATE SET allowed = min(allowed, 1 << 61) + min(excluded.allowed, 1 << 61), ",
            "denied = min(denied, 1 << 61) + min(excluded.denied, 1 << 61), last = max(last, excluded.last)"
        )
    };
}

const ADD_OF_VALUE: &str = add!("value_uses", "digest", "?1, ?2, ?3, ?4");
const ADD_OF_SCOPE: &str = add!("uses", "key, scope", "?1, ?2, ?3, ?4, ?5");
/// What stands in the place of a scope for the key as a whole.
const WHOLE: &str = "";

/// Adds the use of one value to that of the key that has or had it. One that no key has, since the store was put back to a
/// time before it, is left out.
pub(super) fn add(transaction: &Transaction<'_>, used: &ValueUse) -> rusqlite::Result<()> {
    let digest = used.digest.as_bytes();
    let owner = transaction.prepare_cached(OWNER)?.query_row([digest], |row| row.get::<_, String>(0)).optional()?;
    let Some(key) = owner else { return Ok(()) };
    let (allowed, denied, last) = columns(used.count);
    transaction.prepare_cached(ADD_OF_VALUE)?.execute(params![digest, allowed, denied, last])?;
    let mut of_scope = transaction.prepare_cached(ADD_OF_SCOPE)?;
    of_scope.execute(params![key, WHOLE, allowed, denied, last])?;
    for (scope, count) in &used.scopes {
        let (allowed, denied, last) = columns(*count);
        of_scope.execute(params![key, scope, allowed, denied, last])?;
    }
    Ok(())
}

/// All that is known of the use of a key.
pub(super) fn of_key(moment: &Connection, key: &KeyId) -> rusqlite::Result<KeyUse> {
    let mut found = KeyUse::default();
    let mut by_scope =
        moment.prepare_cached("SELECT allowed, denied, last, scope FROM uses WHERE key = ?1 ORDER BY scope")?;
    for row in by_scope.query_map([key.as_str()], |row| Ok((row.get::<_, Box<str>>(3)?, count(row)?)))? {
        match row? {
            (scope, count) if &*scope == WHOLE => found.whole = Some(count),
            row => found.scopes.push(row),
        }
    }
    let mut by_value = moment.prepare_cached(
        "SELECT allowed, denied, last, digest FROM value_uses WHERE digest IN \
        (SELECT digest FROM keys WHERE id = ?1 UNION ALL SELECT digest FROM former_values WHERE key = ?1)",
    )?;
    let rows = by_value.query_map([key.as_str()], |row| Ok((Digest::from_bytes(row.get(3)?), count(row)?)))?;
    found.values = rows.collect::<rusqlite::Result<_>>()?;
    Ok(found)
}

/// Moments are kept to the second.
fn columns(count: Count) -> (i64, i64, i64) {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    (whole(count.allowed), whole(count.denied), count.last.as_seconds().saturating_mul(1000))
}

fn count(row: &Row<'_>) -> rusqlite::Result<Count> {
    Ok(Count {
        allowed: row.get::<_, i64>(0)?.cast_unsigned(),
        denied: row.get::<_, i64>(1)?.cast_unsigned(),
        last: Timestamp::from_millis(row.get(2)?),
    })
}
