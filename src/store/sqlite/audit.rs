//! The log of changes, as rows.

use rusqlite::{Connection, Row, Transaction, params};
use serde_json::Value;

use crate::key::Timestamp;
use crate::store::audit::{Content, Entry, Link, canonical, read_detail};
use crate::store::{Revision, Stamp};

/// What was done, and to what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed<'a> {
    /// A word for it.
    pub(super) action: &'a str,
    /// The id of the key.
    pub(super) key: Option<&'a str>,
    /// The id of the account.
    pub(super) account: Option<&'a str>,
    /// What more there is to say: an object.
    pub(super) detail: &'a Value,
}

/// The number that is given out next begins behind the highest that ever was: entries that were cut off are not replaced unseen.
const END: &str = "SELECT (SELECT max(revision) FROM changes), (SELECT seq FROM sqlite_sequence WHERE name = 'changes'), \
    (SELECT hash FROM changes ORDER BY revision DESC LIMIT 1)";
const INSERT: &str = "INSERT INTO changes (revision, at, author, action, key, account, detail, hash) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
const SELECT: &str = "SELECT revision, at, author, action, key, account, detail, hash FROM changes WHERE revision > ?1 \
    ORDER BY revision LIMIT ?2";
const HASH: &str = "SELECT hash FROM changes WHERE revision <= ?1 ORDER BY revision DESC LIMIT 1";
/// Entries that are linked at once.
const BATCH: i64 = 4096;

/// Writes a change down, bound to the one before it, and takes its number.
pub(super) fn log(transaction: &Transaction<'_>, deed: Deed<'_>, stamp: Stamp<'_>) -> rusqlite::Result<Revision> {
    let mut query = transaction.prepare_cached(END)?;
    let (last, given, previous) =
        query.query_row((), |row| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?, hash(row, 2))))?;
    let number = last.max(given).unwrap_or(0).saturating_add(1);
    let detail = canonical(deed.detail);
    let content = Content {
        number: number.cast_unsigned(),
        at: stamp.at,
        by: stamp.by,
        action: deed.action,
        key: deed.key,
        account: deed.account,
        detail: Some(&detail),
        previous,
    };
    let (at, hash) = (stamp.at.as_millis(), content.link());
    let values = params![number, at, stamp.by, deed.action, deed.key, deed.account, detail, hash.as_bytes()];
    transaction.prepare_cached(INSERT)?.execute(values)?;
    Ok(Revision(content.number))
}

/// Tells every entry after a number; what comes of it is the highest number that was ever given out.
pub(super) fn read(moment: &Connection, after: u64, tell: &mut dyn FnMut(Entry)) -> rusqlite::Result<u64> {
    let after = after.cast_signed();
    let mut previous = moment.prepare_cached(HASH)?.query([after])?.next()?.map_or(Link::START, |row| hash(row, 0));
    let mut query = moment.prepare_cached(SELECT)?;
    let mut rows = query.query([after, -1])?;
    while let Some(row) = rows.next()? {
        let entry = entry(row, previous)?;
        previous = entry.hash;
        tell(entry);
    }
    let given = moment.prepare_cached(END)?.query_row((), |row| row.get::<_, Option<i64>>(1))?;
    Ok(given.unwrap_or(0).cast_unsigned())
}

/// Binds the entries of a store that was made before they were bound. What was done to them until then does not show.
pub(super) fn link_all(transaction: &Transaction<'_>) -> rusqlite::Result<()> {
    let (mut after, mut previous) = (0, Link::START);
    loop {
        let mut query = transaction.prepare_cached(SELECT)?;
        let mut rows = query.query([after, BATCH])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(entry(row, Link::START)?);
        }
        if entries.is_empty() {
            return Ok(());
        }
        let mut update = transaction.prepare_cached("UPDATE changes SET hash = ?2 WHERE revision = ?1")?;
        for mut entry in entries {
            entry.previous = previous;
            (after, previous) = (entry.number.cast_signed(), entry.link());
            update.execute(params![after, previous.as_bytes()])?;
        }
    }
}

/// An entry as it stands there. It may have been edited by hand: then its hash does not follow from it.
fn entry(row: &Row<'_>, previous: Link) -> rusqlite::Result<Entry> {
    Ok(Entry {
        number: row.get::<_, i64>(0)?.cast_unsigned(),
        at: Timestamp::from_millis(row.get(1)?),
        by: row.get(2)?,
        action: row.get(3)?,
        key: row.get(4)?,
        account: row.get(5)?,
        detail: row.get_ref(6)?.as_str_or_null().unwrap_or_default().map(read_detail),
        previous,
        hash: hash(row, 7),
    })
}

/// A hash that is missing or none is that of the start. No change is held up by it: it shows when the log is verified.
fn hash(row: &Row<'_>, column: usize) -> Link {
    let bytes = row.get_ref(column).ok().and_then(|value| value.as_blob().ok());
    bytes.and_then(Link::from_bytes).unwrap_or(Link::START)
}

#[cfg(test)]
mod tests;
