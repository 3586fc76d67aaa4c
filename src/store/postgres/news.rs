//! What changed after a revision, asked for so that it costs what there is to tell.
//!
//! One statement could say it all, and a database that was just filled or restored, which has no statistics of its tables yet,
//! would read every key for it: 3 s of a processor for each gateway and each revoke, with a million keys. So every statement here
//! looks up, by an index, what it is given, and a range of revisions is named by both of its ends. All of them are quickly
//! planned: a fleet of a thousand asks a thousand times for each change.

use std::collections::{BTreeSet, HashSet};

use tokio_postgres::Row;

use super::accounts::{self, Affiliations};
use super::fault::Fault;
use super::former::Former;
use super::link::Session;
use super::load::{affiliate, tell_all};
use super::row;
use super::unreadable::Ear;
use super::value::{get, values};
use crate::store::Revision;

/// What was done to which key or account. What may end a key comes first, and what makes one last.
const CHANGED: &str = "SELECT key, account, action IN ('disable', 'enable') FROM scopegate.changes \
    WHERE revision > $1 AND revision <= $2 \
    ORDER BY action IN ('create', 'clone', 'import'), action NOT IN ('revoke', 'delete', 'disable'), revision LIMIT $3";
/// The keys of accounts.
const OF_ACCOUNTS: &str = "SELECT id FROM scopegate.keys WHERE account = ANY($1) LIMIT $2";
/// How many changes or keys are looked up one by one. Of more than that, everything is told: that is quicker then.
const MANY: usize = 50_000;
/// How many keys are looked up at once.
const BATCH: usize = 1000;

/// What a part of the log says.
#[derive(Default)]
struct Changed {
    /// The keys, in the order in which they are to be told.
    keys: Vec<Box<str>>,
    accounts: BTreeSet<Box<str>>,
    /// Those accounts that came or went: the accounts above them have their names.
    born_or_gone: BTreeSet<Box<str>>,
    /// Whether there is more than was read.
    is_cut: bool,
}

/// Tells every key that changed after a revision, up to another. A key changes with its account and the one above it; and with
/// those below it where one comes or goes, whose names it has.
pub(super) fn tell_some(
    session: &Session<'_>,
    (since, until): (Revision, Revision),
    ear: &mut Ear<'_>,
) -> Result<(), Fault> {
    let mut changed = Changed::read(session, since, until)?;
    tell_those(session, &changed.keys, ear)?;
    let mut further = changed.keys_of_accounts(session)?;
    if changed.is_cut {
        return tell_all(session, None, ear);
    }
    let told: HashSet<Box<str>> = changed.keys.into_iter().collect();
    further.retain(|key| !told.contains(key));
    tell_those(session, &further, ear)
}

impl Changed {
    fn read(session: &Session<'_>, since: Revision, until: Revision) -> Result<Self, Fault> {
        let (mut changed, mut rows, mut seen) = (Self::default(), 0, HashSet::new());
        let most = i64::try_from(MANY).unwrap_or(i64::MAX);
        let note = |row: &Row| {
            rows += 1;
            if let Some(key) = get::<Option<Box<str>>>(row, 0)?
                && seen.insert(key.clone())
            {
                changed.keys.push(key);
            }
            if let Some(account) = get::<Option<Box<str>>>(row, 1)? {
                if !get::<bool>(row, 2)? {
                    changed.born_or_gone.insert(account.clone());
                }
                changed.accounts.insert(account);
            }
            Ok(())
        };
        let (since, until, limit) = (since.0.cast_signed(), until.0.cast_signed(), most.saturating_add(1));
        let given = values![since, until, limit];
        // Whoever was away for long has much to sort. A revoke is answered at once, or asked for on another connection.
        if until.saturating_sub(since) > most {
            session.each_of_many(CHANGED, given, note)?;
        } else {
            session.each(CHANGED, given, note)?;
        }
        changed.is_cut = rows > MANY;
        Ok(changed)
    }

    /// The keys that change with their accounts.
    fn keys_of_accounts(&mut self, session: &Session<'_>) -> Result<Vec<Box<str>>, Fault> {
        let mut keys = Vec::new();
        if self.accounts.is_empty() || self.is_cut {
            return Ok(keys);
        }
        let families = accounts::families(session, (&texts(&self.accounts), &texts(&self.born_or_gone)))?;
        let families: Vec<&str> = families.iter().map(|account| &**account).collect();
        let most = i64::try_from(MANY).unwrap_or(i64::MAX);
        session.each(OF_ACCOUNTS, values![families, most.saturating_add(1)], |row| {
            keys.push(get::<Box<str>>(row, 0)?);
            Ok(())
        })?;
        self.is_cut |= keys.len() > MANY;
        Ok(keys)
    }
}

fn texts(all: &BTreeSet<Box<str>>) -> Vec<&str> {
    all.iter().map(|text| &**text).collect()
}

/// Tells some keys; in each batch those first that do not work. No key is ever forgotten, so each of them is there.
fn tell_those(session: &Session<'_>, keys: &[Box<str>], ear: &mut Ear<'_>) -> Result<(), Fault> {
    for keys in keys.chunks(BATCH) {
        let keys: Vec<&str> = keys.iter().map(|key| &**key).collect();
        let rows = session.query(row::SELECT_SOME, values![&keys[..]])?;
        if rows.len() < keys.len() {
            return Err(Fault::Bad("the log tells of keys that are not there".to_owned()));
        }
        let changes = rows.iter().map(|row| row::change_or_end(row, ear.unreadable)).collect::<Result<Vec<_>, _>>()?;
        let accounts: BTreeSet<&str> = changes.iter().filter_map(|change| change.record.account.as_deref()).collect();
        let accounts: Vec<&str> = accounts.into_iter().collect();
        let mut former = Former::of(session, &keys)?;
        let accounts = Affiliations::of_some(session, &accounts, ear.unreadable)?;
        for change in changes {
            let mut change = affiliate(change, &accounts);
            former.give(&mut change.record);
            (ear.tell)(change);
        }
    }
    Ok(())
}
