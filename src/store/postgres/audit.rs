//! The log of changes, as rows. Whoever writes to it holds the head of the store until it is committed.

use serde_json::Value;
use tokio_postgres::Row;

use super::fault::Fault;
use super::link::Session;
use super::value::{get, number, values};
use crate::key::{KeyRecord, Timestamp};
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

impl<'a> Deed<'a> {
    /// What was done to a key.
    pub(super) fn to(record: &'a KeyRecord, action: &'a str, detail: &'a Value) -> Self {
        Self { action, key: Some(record.id.as_str()), account: None, detail }
    }
}

/// The number that is given out next begins behind the highest that ever was: entries that were cut off are not replaced unseen.
const END: &str = "SELECT h.revision, c.revision, c.hash FROM scopegate.head h \
    LEFT JOIN (SELECT revision, hash FROM scopegate.changes ORDER BY revision DESC LIMIT 1) c ON true";
const INSERT: &str = "INSERT INTO scopegate.changes (revision, at, author, action, key, account, detail, hash) \
    SELECT n, $2, $3, a, k, c, d, h FROM unnest($1::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bytea[]) \
    AS t (n, a, k, c, d, h)";
const ADVANCE: &str = "UPDATE scopegate.head SET revision = $1";
const SELECT: &str = "SELECT revision, at, author, action, key, account, detail, hash FROM scopegate.changes \
    WHERE revision > $1 ORDER BY revision";
const HASH: &str = "SELECT hash FROM scopegate.changes WHERE revision <= $1 ORDER BY revision DESC LIMIT 1";
const GIVEN: &str = "SELECT revision FROM scopegate.head";

/// The log while it is added to. What is added is written by [`flush`](Self::flush).
pub(super) struct Log<'s, 'l> {
    session: &'s Session<'l>,
    revision: u64,
    previous: Link,
    pending: Vec<Line>,
}

/// An entry that is not written yet.
struct Line {
    number: u64,
    action: Box<str>,
    key: Option<Box<str>>,
    account: Option<Box<str>>,
    detail: String,
    hash: Link,
}

impl<'s, 'l> Log<'s, 'l> {
    /// Reads where the log ends. The head must be held.
    pub(super) fn open(session: &'s Session<'l>) -> Result<Self, Fault> {
        let row = session.query_one(END, &[])?.ok_or_else(no_head)?;
        let last = get::<Option<i64>>(&row, 1)?.unwrap_or(0).max(get(&row, 0)?);
        let previous = get::<Option<&[u8]>>(&row, 2)?.and_then(Link::from_bytes).unwrap_or(Link::START);
        Ok(Self { session, revision: last.cast_unsigned(), previous, pending: Vec::new() })
    }

    /// The connection that it is written by.
    pub(super) fn session(&self) -> &'s Session<'l> {
        self.session
    }

    /// The last number that was given out.
    pub(super) fn revision(&self) -> Revision {
        Revision(self.revision)
    }

    /// Adds an entry, bound to the one before it, and gives its number.
    pub(super) fn add(&mut self, deed: Deed<'_>, stamp: Stamp<'_>) -> Revision {
        let number = self.revision.saturating_add(1);
        let detail = canonical(deed.detail);
        let Deed { action, key, account, .. } = deed;
        let previous = self.previous;
        let content =
            Content { number, at: stamp.at, by: stamp.by, action, key, account, detail: Some(&detail), previous };
        (self.revision, self.previous) = (number, content.link());
        let (action, key, account) = (action.into(), key.map(Into::into), account.map(Into::into));
        self.pending.push(Line { number, action, key, account, detail, hash: self.previous });
        Revision(number)
    }

    /// Gives the numbers out and writes what was added; before the rows that bear them.
    pub(super) fn flush(&mut self, stamp: Stamp<'_>) -> Result<(), Fault> {
        let lines = std::mem::take(&mut self.pending);
        if lines.is_empty() {
            return Ok(());
        }
        self.session.execute(ADVANCE, values![self.revision.cast_signed()])?;
        let written = self.session.execute(
            INSERT,
            values![
                lines.iter().map(|line| line.number.cast_signed()).collect::<Vec<_>>(),
                stamp.at.as_millis(),
                stamp.by,
                lines.iter().map(|line| &*line.action).collect::<Vec<_>>(),
                lines.iter().map(|line| line.key.as_deref()).collect::<Vec<_>>(),
                lines.iter().map(|line| line.account.as_deref()).collect::<Vec<_>>(),
                lines.iter().map(|line| line.detail.as_str()).collect::<Vec<_>>(),
                lines.iter().map(|line| line.hash.as_bytes().as_slice()).collect::<Vec<_>>(),
            ],
        );
        written.map(drop)
    }
}

/// Tells every entry after a number; what comes of it is the highest number that was ever given out.
pub(super) fn read(session: &Session<'_>, after: u64, tell: &mut dyn FnMut(Entry)) -> Result<u64, Fault> {
    let after = after.cast_signed();
    let row = session.query_one(HASH, values![after])?;
    let mut previous = row.as_ref().map_or(Ok(Link::START), |row| hash(row, 0))?;
    session.each_of_many(SELECT, values![after], |row| {
        let entry = entry(row, previous)?;
        previous = entry.hash;
        tell(entry);
        Ok(())
    })?;
    let given = session.query_one(GIVEN, &[])?.ok_or_else(no_head)?;
    number(&given, 0)
}

/// The row that every store has is not there.
pub(super) fn no_head() -> Fault {
    Fault::Bad("it has no head".to_owned())
}

fn entry(row: &Row, previous: Link) -> Result<Entry, Fault> {
    Ok(Entry {
        number: number(row, 0)?,
        at: Timestamp::from_millis(get(row, 1)?),
        by: get(row, 2)?,
        action: get(row, 3)?,
        key: get(row, 4)?,
        account: get(row, 5)?,
        detail: get::<Option<&str>>(row, 6)?.map(read_detail),
        previous,
        hash: hash(row, 7)?,
    })
}

fn hash(row: &Row, column: usize) -> Result<Link, Fault> {
    Ok(get::<Option<&[u8]>>(row, column)?.and_then(Link::from_bytes).unwrap_or(Link::START))
}
