//! Whether a store still has the past that was told of it.
//!
//! A backup that is put back lacks the changes that came after it, and gives out their numbers once more: a number alone
//! does not say which change is meant. So the line of the log that a load came up to is kept, and looked at again.
//!
//! INVARIANT: revisions that a connection tells only grow. Where the store's own numbers went back, they are lifted above
//! all that were told.

use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::store::Revision;

/// A line of the log of changes, with what tells it from another one of the same number: its hash follows from all that it says and
/// from every line before it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// Its number in the store.
    number: u64,
    hash: Vec<u8>,
}

/// What one connection has told of the log of changes.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The revision that the last load came up to, and its line.
    told: Option<(Revision, Line)>,
    /// The highest revision that any load began to tell.
    highest: u64,
    /// What is added to the store's numbers.
    lift: u64,
}

/// How a load goes on.
#[derive(Debug)]
pub(super) struct Course {
    /// The number in the store after which changes are told; 0 for everything.
    pub(super) since: u64,
    /// Whether everything is told because the store has another past than the one that was told.
    pub(super) is_another_past: bool,
    /// The revision that it comes up to.
    pub(super) revision: Revision,
    last: Option<Line>,
    lift: u64,
}

impl History {
    /// Finds out what is to be told to someone who knows everything up to `since`.
    pub(super) fn plan(&mut self, moment: &Connection, since: Revision) -> rusqlite::Result<Course> {
        let last = line(moment, LAST, None)?;
        let number = last.as_ref().map_or(0, |line| line.number);
        // Whoever begins anew is told of another past, too.
        let told = self.told.as_ref().map_or(Revision::START, |(revision, _)| *revision);
        let known = if since == Revision::START { told } else { since };
        let is_another_past = known != Revision::START && !self.is_in(moment, known)?;
        let revision = match is_another_past {
            true => number.max(self.highest.max(known.0) + 1),
            false => number + self.lift,
        };
        // Also where the load then fails half-way: what it told is not told again under the same number.
        self.highest = self.highest.max(revision);
        let since = if is_another_past { 0 } else { since.0.saturating_sub(self.lift) };
        Ok(Course { since, is_another_past, revision: Revision(revision), last, lift: revision - number })
    }

    /// Keeps in mind what a load has told.
    pub(super) fn keep(&mut self, course: Course) {
        self.lift = course.lift;
        self.told = course.last.map(|line| (course.revision, line));
    }

    /// What it takes to go on in another process; `None` where nothing was told.
    pub(super) fn bookmark(&self) -> Option<Vec<u8>> {
        let (revision, line) = self.told.as_ref()?;
        let numbers = [revision.0, self.lift, line.number].map(u64::to_le_bytes);
        Some([numbers.as_flattened(), &line.hash].concat())
    }

    /// Goes on where a bookmark was made, and tells which revision that is; `None` where it is none.
    pub(super) fn resume(&mut self, bookmark: &[u8]) -> Option<Revision> {
        let (numbers, hash) = bookmark.split_at_checked(3 * size_of::<u64>())?;
        let (numbers, _) = numbers.as_chunks();
        let &[revision, lift, number] = numbers else { return None };
        let [revision, lift, number] = [revision, lift, number].map(u64::from_le_bytes);
        if number.checked_add(lift) != Some(revision) {
            return None;
        }
        let line = Line { number, hash: hash.into() };
        *self = Self { told: Some((Revision(revision), line)), highest: revision, lift };
        Some(Revision(revision))
    }

    /// The revision that is told for a number of the store.
    pub(super) fn lifted(&self, number: u64) -> Revision {
        Revision(number + self.lift)
    }

    /// Whether the store has the change that was told as `since`.
    fn is_in(&self, moment: &Connection, since: Revision) -> rusqlite::Result<bool> {
        let Some(number) = since.0.checked_sub(self.lift) else { return Ok(false) };
        if number == 0 {
            return Ok(true);
        }
        let found = line(moment, ONE, Some(number))?;
        let told = self.told.as_ref().filter(|(revision, _)| *revision == since).map(|(_, line)| line);
        Ok(found.is_some_and(|found| told.is_none_or(|told| found == *told)))
    }
}

impl Course {
    /// The revision under which a record is told, whose last change has this number in the store.
    pub(super) fn revision_of(&self, number: Revision) -> Revision {
        match self.is_another_past {
            true => self.revision,
            false => Revision(number.0 + self.lift),
        }
    }
}

const LAST: &str = "SELECT revision, hash FROM changes ORDER BY revision DESC LIMIT 1";
const ONE: &str = "SELECT revision, hash FROM changes WHERE revision = ?1";

fn line(moment: &Connection, sql: &str, number: Option<u64>) -> rusqlite::Result<Option<Line>> {
    let mut query = moment.prepare_cached(sql)?;
    let read = |row: &Row<'_>| {
        let hash = row.get::<_, Option<Vec<u8>>>(1)?.unwrap_or_default();
        Ok(Line { number: row.get::<_, i64>(0)?.cast_unsigned(), hash })
    };
    query.query_row(rusqlite::params_from_iter(number.map(u64::cast_signed)), read).optional()
}
