//! Records from all the tables that a key stands in.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension as _};

use super::accounts::Affiliations;
use super::fault::fault;
use super::history::Course;
use super::{row, values};
use crate::key::{KeyId, KeyRecord};
use crate::store::audit::{ToldKeys, Unlogged};
use crate::store::{Change, StoreError};

/// Tells every record that changed since a load began.
pub(super) fn tell(
    moment: &Connection,
    (path, course): (&Path, &Course),
    tell: &mut dyn FnMut(Change),
) -> Result<(), StoreError> {
    let fault = |error| fault(path, "read", &error);
    let bad = |what: row::BadRow| what.at(path);
    let is_whole = course.since == 0;
    let sql = if is_whole { row::SELECT_ALL } else { row::SELECT_SINCE };
    let mut query = moment.prepare_cached(sql).map_err(fault)?;
    let after = (!is_whole).then_some(course.since.cast_signed());
    let former =
        after.map_or_else(|| values::Former::of_all(moment), |after| values::Former::of_changed(moment, after));
    let mut former = former.map_err(bad)?;
    let mut accounts = if is_whole { Affiliations::of_all(moment).map_err(bad)? } else { Affiliations::of_few() };
    let mut grants = row::Grants::default();
    let mut rows = query.query(rusqlite::params_from_iter(after)).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let mut change = row::change(row, &mut grants).map_err(bad)?;
        if let Some(account) = &change.record.account {
            let (affiliation, since) = accounts.of(moment, account).map_err(bad)?;
            change.revision = change.revision.max(since);
            change.account = affiliation;
        }
        change.revision = course.revision_of(change.revision);
        former.give(&mut change.record);
        tell(change);
    }
    Ok(())
}

/// Every record, the oldest first.
pub(super) fn list(moment: &Connection, path: &Path) -> Result<Vec<KeyRecord>, StoreError> {
    let fault = |error| fault(path, "read", &error);
    let bad = |what: row::BadRow| what.at(path);
    let mut query = moment.prepare_cached(row::SELECT_LIST).map_err(fault)?;
    let mut former = values::Former::of_all(moment).map_err(bad)?;
    let mut grants = row::Grants::default();
    let mut rows = query.query(()).map_err(fault)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(fault)? {
        let mut record = row::change(row, &mut grants).map_err(bad)?.record;
        former.give(&mut record);
        records.push(record);
    }
    Ok(records)
}

/// The keys that are not what all of the log says, and of how many it says less than it would today.
pub(super) fn hold_against(moment: &Connection, mut told: ToldKeys) -> Result<(Vec<Unlogged>, usize), row::BadRow> {
    let mut query = moment.prepare_cached(row::SELECT_ALL)?;
    let mut former = values::Former::of_all(moment)?;
    let mut grants = row::Grants::default();
    let mut rows = query.query(())?;
    let (mut strange, mut lacking) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let mut change = row::change(row, &mut grants)?;
        former.give(&mut change.record);
        lacking += usize::from(!told.says_all_of(&change.record));
        strange.extend(told.compare(&change.record, change.revision));
    }
    strange.extend(told.left());
    strange.sort_unstable();
    Ok((strange, lacking))
}

/// The record of one key.
pub(super) fn one(connection: &Connection, id: &KeyId, path: &Path) -> Result<Option<KeyRecord>, StoreError> {
    let fault = |error| fault(path, "read", &error);
    let mut query = connection.prepare_cached(row::SELECT_ONE).map_err(fault)?;
    let bad = |what: row::BadRow| what.at(path);
    let found = query
        .query_row([id.as_str()], |row| Ok(row::change(row, &mut row::Grants::default())))
        .optional()
        .map_err(fault)?;
    let Some(change) = found else { return Ok(None) };
    let mut record = change.map_err(bad)?.record;
    record.former = values::of_one(connection, id).map_err(bad)?;
    Ok(Some(record))
}
