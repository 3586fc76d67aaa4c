//! The use of keys, as rows. No change of a key: neither the log of changes nor a revision knows of it.

use std::collections::{BTreeMap, HashMap};

use tokio_postgres::Row;

use super::fault::Fault;
use super::link::Session;
use super::row::digest;
use super::value::{get, number, values};
use crate::key::digest::Digest;
use crate::key::{KeyId, Timestamp};
use crate::store::uses::{Count, KeyUse, ValueUse};

/// What an addition begins with. No replica is waited for: where one is away no answer would come, and what was added would be
/// added once more. Counts that a fail-over loses were nobody's proof of anything.
pub(super) const COMMIT: &str = "SELECT set_config('synchronous_commit', 'local', true) \
    WHERE current_setting('synchronous_commit') NOT IN ('local', 'off')";

/// The keys that have or had some values.
const OWNERS: &str = "SELECT digest, id FROM scopegate.keys WHERE digest = ANY($1) \
    UNION ALL SELECT digest, key FROM scopegate.former_values WHERE digest = ANY($1)";

/// Adds to rows, or makes them. What was edited into a row may be any number: a sum that overflowed would stop every count.
macro_rules! add {
    ($table:literal, $columns:literal, $given:literal) => {
        concat!(
            "INSERT INTO scopegate.",
            $table,
            " AS known (",
            $columns,
            ", allowed, denied, last) SELECT * FROM unnest(",
            $given,
            ") ON CONFLICT (",
            $columns,
            ") DO UPDATE SET allowed = least(known.allowed, 1::bigint << 61) + least(excluded.allowed, 1::bigint << 61), ",
            "denied = least(known.denied, 1::bigint << 61) + least(excluded.denied, 1::bigint << 61), last = greatest(known.last, excluded.last)"
        )
    };
}

const ADD_OF_VALUES: &str = add!("value_uses", "digest", "$1::bytea[], $2::bigint[], $3::bigint[], $4::bigint[]");
const ADD_OF_SCOPES: &str =
    add!("uses", "key, scope", "$1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[]");
const OF_SCOPES: &str = "SELECT allowed, denied, last, scope FROM scopegate.uses WHERE key = $1 ORDER BY scope";
const OF_VALUES: &str = "SELECT allowed, denied, last, digest FROM scopegate.value_uses WHERE digest IN \
    (SELECT digest FROM scopegate.keys WHERE id = $1 UNION ALL SELECT digest FROM scopegate.former_values WHERE key = $1)";
/// What stands in the place of a scope for the key as a whole.
const WHOLE: &str = "";

/// Adds the use of values to that of the keys that have or had them. One that no key has, since the store was put back to a
/// time before it, is left out. Rows are taken in one order by everyone, so that no two wait for each other.
pub(super) fn add(session: &Session<'_>, uses: &[ValueUse]) -> Result<(), Fault> {
    let digests: Vec<&[u8]> = uses.iter().map(|used| used.digest.as_bytes().as_slice()).collect();
    let mut owners: HashMap<Digest, Box<str>> = HashMap::new();
    for row in session.query(OWNERS, values![digests])? {
        owners.insert(digest(&row, 0)?, get(&row, 1)?);
    }
    let mut by_value: BTreeMap<&[u8], Count> = BTreeMap::new();
    let mut by_scope: BTreeMap<(&str, &str), Count> = BTreeMap::new();
    for used in uses {
        let Some(key) = owners.get(&used.digest) else { continue };
        by_value.entry(used.digest.as_bytes()).or_insert(Count::NONE).add(used.count);
        by_scope.entry((key, WHOLE)).or_insert(Count::NONE).add(used.count);
        for (scope, count) in &used.scopes {
            by_scope.entry((key, scope)).or_insert(Count::NONE).add(*count);
        }
    }
    if by_value.is_empty() {
        return Ok(());
    }
    let (allowed, denied, last) = columns(by_value.values());
    session.execute(ADD_OF_VALUES, values![by_value.keys().copied().collect::<Vec<_>>(), allowed, denied, last])?;
    let (allowed, denied, last) = columns(by_scope.values());
    let (keys, scopes): (Vec<&str>, Vec<&str>) = by_scope.keys().copied().unzip();
    session.execute(ADD_OF_SCOPES, values![keys, scopes, allowed, denied, last]).map(drop)
}

/// All that is known of the use of a key.
pub(super) fn of_key(session: &Session<'_>, key: &KeyId) -> Result<KeyUse, Fault> {
    let mut found = KeyUse::default();
    for row in session.query(OF_SCOPES, values![key.as_str()])? {
        match (get::<Box<str>>(&row, 3)?, count(&row)?) {
            (scope, count) if &*scope == WHOLE => found.whole = Some(count),
            row => found.scopes.push(row),
        }
    }
    for row in session.query(OF_VALUES, values![key.as_str()])? {
        found.values.push((digest(&row, 3)?, count(&row)?));
    }
    Ok(found)
}

/// Moments are kept to the second.
fn columns<'c>(counts: impl Iterator<Item = &'c Count> + Clone) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    (
        counts.clone().map(|count| whole(count.allowed)).collect(),
        counts.clone().map(|count| whole(count.denied)).collect(),
        counts.map(|count| count.last.as_seconds().saturating_mul(1000)).collect(),
    )
}

fn count(row: &Row) -> Result<Count, Fault> {
    Ok(Count { allowed: number(row, 0)?, denied: number(row, 1)?, last: Timestamp::from_millis(get(row, 2)?) })
}
