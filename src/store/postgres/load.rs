//! What is told of keys: which of them a load tells, and how they are put together from their rows.

use super::accounts::Affiliations;
use super::audit::no_head;
use super::error::DatabaseError;
use super::fault::Fault;
use super::former::Former;
use super::link::Session;
use super::news::tell_some;
use super::row;
use super::schema::{Head, from_head};
use super::unreadable::Ear;
use super::value::{get, values};
use crate::key::{KeyId, KeyRecord};
use crate::store::audit::{ToldKeys, Unlogged};
use crate::store::{Change, Extent, Revision};

/// Where the store stands, and whether it has the change that was told last.
const STANDING: &str = concat!(
    "SELECT h.store, h.version, h.revision, \
    (SELECT hash FROM scopegate.changes WHERE revision = h.revision), t.whole, \
    (SELECT hash FROM scopegate.changes WHERE revision = $1), \
    CASE WHEN $1 > 0 THEN (SELECT count(*) FROM scopegate.changes WHERE revision > $1 AND revision <= h.revision) END, \
    pg_is_in_recovery() ",
    from_head!()
);

/// How a load goes on.
pub(super) struct Course {
    /// How far it comes.
    pub(super) revision: Revision,
    /// What it tells.
    pub(super) extent: Extent,
    /// What the head said.
    pub(super) head: Head,
}

impl Course {
    /// Tells what it is to tell to someone who knows everything up to `since`.
    pub(super) fn tell(&self, session: &Session<'_>, since: Revision, ear: &mut Ear<'_>) -> Result<(), Fault> {
        match self.extent {
            Extent::Changes if since == self.revision && since != Revision::START => Ok(()),
            Extent::Changes if since != Revision::START => tell_some(session, (since, self.revision), ear),
            Extent::Changes => tell_all(session, None, ear),
            Extent::AnotherPast | Extent::Everything => tell_all(session, Some(self.revision), ear),
        }
    }
}

/// Finds out what is to be told to someone who knows everything up to `since`, whose hash is `told` where that is known.
pub(super) fn plan(
    session: &Session<'_>,
    (place, store): (&str, &[u8]),
    since: Revision,
    told: Option<&[u8]>,
) -> Result<Course, Fault> {
    let row = session.query_one(STANDING, values![since.0.cast_signed()])?.ok_or_else(no_head)?;
    let head = Head::of(&row)?;
    let another = |seen: String| Err(DatabaseError::AnotherPast { place: place.to_owned(), seen }.into());
    if *head.store != *store {
        return another(
            "is not the one that was opened: another one, or one that was made anew, is in its place".to_owned(),
        );
    }
    head.refuse_other_versions(place)?;
    if head.revision < since.0 && get::<bool>(&row, 7)? {
        // What it lacks may still come; whether it is of the same past shows then.
        let place = place.to_owned();
        return Err(DatabaseError::Behind { place, found: head.revision, followed: since.0 }.into());
    }
    if head.revision < since.0 {
        return another(format!(
            "was emptied or put back to a backup: it has come to change {} only, and change {since} was followed",
            head.revision
        ));
    }
    let found = get::<Option<&[u8]>>(&row, 5)?;
    if told.is_some() && found.is_none() {
        return another(format!(
            "was put back, or something was taken out of it: it has no change {since} any more, which was followed"
        ));
    }
    if found.zip(told).is_some_and(|(found, told)| found != told) {
        return another(format!(
            "was put back to a backup, and went on from there: it has another change {since} than the one that was followed"
        ));
    }
    let is_gapless = match get::<Option<i64>>(&row, 6)? {
        None => true,
        Some(count) => found.is_some() && count.cast_unsigned() == head.revision - since.0,
    };
    let extent = if is_gapless { Extent::Changes } else { Extent::Everything };
    Ok(Course { revision: Revision(head.revision), extent, head })
}

/// The keys that are not what all of the log says, and of how many it says less than it would today.
pub(super) fn hold_against(session: &Session<'_>, mut told: ToldKeys) -> Result<(Vec<Unlogged>, usize), Fault> {
    let mut former = Former::of_all(session)?;
    let (mut strange, mut lacking) = (Vec::new(), 0);
    session.each_of_many(row::SELECT_ALL, &[], |row| {
        let mut change = row::change(row)?;
        former.give(&mut change.record);
        lacking += usize::from(!told.says_all_of(&change.record));
        strange.extend(told.compare(&change.record, change.revision));
        Ok(())
    })?;
    strange.extend(told.left());
    strange.sort_unstable();
    Ok((strange, lacking))
}

/// Tells every record, with its own revision or one for all.
pub(super) fn tell_all(session: &Session<'_>, revision: Option<Revision>, ear: &mut Ear<'_>) -> Result<(), Fault> {
    let mut former = Former::of_all(session)?;
    let accounts = Affiliations::of_all(session, ear.unreadable)?;
    session.each_of_many(row::SELECT_ALL, &[], |row| {
        let mut change = affiliate(row::change_or_end(row, ear.unreadable)?, &accounts);
        former.give(&mut change.record);
        change.revision = revision.unwrap_or(change.revision);
        (ear.tell)(change);
        Ok(())
    })
}

/// Adds what a key has of its account.
pub(super) fn affiliate(mut change: Change, accounts: &Affiliations) -> Change {
    if let Some(account) = &change.record.account {
        let (affiliation, since) = accounts.told(account);
        change.revision = change.revision.max(since);
        change.account = affiliation;
    }
    change
}

/// Every record, the oldest first.
pub(super) fn list(session: &Session<'_>) -> Result<Vec<KeyRecord>, Fault> {
    let mut former = Former::list(session)?;
    let mut records = Vec::new();
    session.each_of_many(row::SELECT_LIST, &[], |row| {
        let mut record = row::change(row)?.record;
        former.give(&mut record);
        records.push(record);
        Ok(())
    })?;
    Ok(records)
}

/// One record.
pub(super) fn one(session: &Session<'_>, id: &KeyId) -> Result<Option<KeyRecord>, Fault> {
    let Some(row) = session.query_one(row::SELECT_ONE, values![id.as_str()])? else { return Ok(None) };
    let mut record = row::change(&row)?.record;
    Former::of_one(session, id)?.give(&mut record);
    Ok(Some(record))
}

/// The same without its last use, which no change of it needs.
///
/// INVARIANT: neither a load nor a change reads a table of uses. Whoever counts them may lock those tables, and whoever mends
/// them must: no revoke waits for that.
pub(super) fn bare(session: &Session<'_>, id: &KeyId) -> Result<Option<KeyRecord>, Fault> {
    let Some(row) = session.query_one(row::SELECT_BARE, values![id.as_str()])? else { return Ok(None) };
    let mut record = row::change(&row)?.record;
    Former::of(session, &[id.as_str()])?.give(&mut record);
    Ok(Some(record))
}
