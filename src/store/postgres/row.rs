//! Key records as rows.

use std::collections::HashSet;

use tokio_postgres::Row;

use super::fault::Fault;
use super::link::Session;
use super::unreadable::Unreadable;
use super::value::{get, number, values};
use crate::key::digest::Digest;
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, KeyState, KeyValue, SiteId, Timestamp, lifecycle};
use crate::store::record::{Columns, attributes, grant, networks, site, state};
use crate::store::{Change, Revision, StoreError};

/// The columns of a row, in the order that [`change`] reads them; `$last` is the last use of the key, and of its value.
macro_rules! select {
    ($last:literal, $rest:literal) => {
        concat!(
            "SELECT k.id, k.revision, k.kind, k.state, k.level, k.scopes, k.name, k.account, k.created, k.changed, ",
            "k.not_before, k.expires, k.attributes, k.networks, k.note, k.prefix, k.last_four, k.digest, k.minted, ",
            "k.deleted, ",
            $last,
            ", k.tripwire, k.site FROM scopegate.keys k ",
            $rest
        )
    };
}

/// Everything, in no order, without the last use: for an index.
pub(super) const SELECT_ALL: &str = select!("NULL::bigint, NULL::bigint", "");
/// Some keys, without the last use: for an index. Those that do not work come first.
pub(super) const SELECT_SOME: &str =
    select!("NULL::bigint, NULL::bigint", "WHERE k.id = ANY($1) ORDER BY k.state = 'active'");
/// Everything, the oldest first.
pub(super) const SELECT_LIST: &str = select!(
    "u.last, v.last",
    "LEFT JOIN scopegate.uses u ON u.key = k.id AND u.scope = '' \
    LEFT JOIN scopegate.value_uses v ON v.digest = k.digest ORDER BY k.created, k.place"
);
/// One key, without the last use: for a change of it.
pub(super) const SELECT_BARE: &str = select!("NULL::bigint, NULL::bigint", "WHERE k.id = $1");
/// One key.
pub(super) const SELECT_ONE: &str = select!(
    "u.last, v.last",
    "LEFT JOIN scopegate.uses u ON u.key = k.id AND u.scope = '' \
    LEFT JOIN scopegate.value_uses v ON v.digest = k.digest WHERE k.id = $1"
);

/// How many values of keys there are, about: none is ever removed, and numbers are left out only where a change was undone.
pub(super) const COUNT: &str = "SELECT coalesce((SELECT max(place) FROM scopegate.keys), 0) + \
    coalesce((SELECT max(age) FROM scopegate.former_values), 0), pg_total_relation_size('scopegate.keys')";
/// A value takes at least so many bytes of the database: its digest and the id of its key, each in the row and in an index.
pub(super) const LEAST_BYTES: i64 = 2 * 33;

const INSERT: &str = "INSERT INTO scopegate.keys (id, revision, kind, state, level, scopes, name, account, created, \
    changed, not_before, expires, attributes, networks, note, prefix, last_four, digest, tripwire, site) \
    SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], \
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::text[], $14::text[], $15::text[], $16::text[], \
    $17::text[], $18::bytea[], $19::boolean[], $20::text[])";

/// What a transition may change of a row; the trigger `a_grant_never_changes` holds the rest.
const UPDATE: &str = "UPDATE scopegate.keys SET revision = $2, state = $3, changed = $4, digest = $5, prefix = $6, \
    last_four = $7, minted = $8 WHERE id = $1";

/// What a deletion changes of a row.
const DELETE: &str = "UPDATE scopegate.keys SET revision = $2, state = 'revoked', changed = $3, deleted = $3, \
    level = 'custom', scopes = '', account = NULL, attributes = NULL, networks = NULL, note = NULL WHERE id = $1";

/// Which ids and values of keys are there already.
const TAKEN: &str = "SELECT id, digest, false FROM scopegate.keys WHERE id = ANY($1) OR digest = ANY($2) \
    UNION ALL SELECT key, digest, true FROM scopegate.former_values WHERE digest = ANY($2)";

/// Reads a record, without its former values. What will stand in a header is checked here, too: a row may have been edited by hand.
pub(super) fn change(row: &Row) -> Result<Change, Fault> {
    let id: &str = get(row, 0)?;
    let bad = |what: &str| Fault::Bad(format!("key {id:?} has {what} that cannot be"));
    let word = |column| get::<Option<&str>>(row, column).map(Option::unwrap_or_default);
    let moment = |column| get::<Option<i64>>(row, column).map(|millis| millis.map(Timestamp::from_millis));
    let created = Timestamp::from_millis(get(row, 8)?);
    let record = KeyRecord {
        id: KeyId::parse(id).ok_or_else(|| bad("an id"))?,
        kind: KeyKind::parse(word(2)?).ok_or_else(|| bad("a kind"))?,
        state: state(word(3)?, moment(19)?).ok_or_else(|| bad("a state"))?,
        grant: grant(word(4)?, word(5)?).ok_or_else(|| bad("a grant"))?,
        name: get(row, 6)?,
        account: get(row, 7)?,
        created,
        changed: Timestamp::from_millis(get(row, 9)?),
        not_before: moment(10)?,
        expires: moment(11)?,
        attributes: attributes(get(row, 12)?).ok_or_else(|| bad("attributes"))?,
        allow_from: networks(word(13)?).ok_or_else(|| bad("networks"))?,
        note: get(row, 14)?,
        value: KeyValue {
            prefix: get(row, 15)?,
            last_four: get(row, 16)?,
            site: site(get(row, 23)?).ok_or_else(|| bad("a value"))?,
            digest: digest(row, 17)?,
            created: moment(18)?.unwrap_or(created),
            until: None,
            is_ended: false,
            last_used: moment(21)?,
        },
        former: Vec::new(),
        last_used: moment(20)?,
        is_tripwire: get(row, 22)?,
    };
    if record.account.as_ref().is_some_and(|account| !lifecycle::is_account(account)) {
        return Err(bad("an account"));
    }
    Ok(Change::of(Revision(number(row, 1)?), record))
}

/// The same for an index. Of one that cannot be read, its value and those it had before are told as ended: nobody is let in.
pub(super) fn change_or_end(row: &Row, unreadable: &mut Unreadable) -> Result<Change, Fault> {
    match change(row) {
        Err(Fault::Bad(what)) => {
            let ended = ended(row).ok_or_else(|| Fault::Bad(what.clone()))?;
            unreadable.note(what);
            Ok(ended)
        }
        read => read,
    }
}

/// A key of which no more is taken than what it is called and which value it has; `None` where not even that is to be had.
fn ended(row: &Row) -> Option<Change> {
    let text = |column| get::<Option<Box<str>>>(row, column).ok().flatten().unwrap_or_default();
    let kind = KeyKind::parse(&text(2)).unwrap_or(KeyKind::Secret);
    let value = KeyValue {
        prefix: text(15),
        last_four: text(16),
        site: None,
        digest: digest(row, 17).ok()?,
        created: Timestamp::MIN,
        until: None,
        is_ended: true,
        last_used: None,
    };
    let record = KeyRecord {
        id: KeyId::parse(&text(0))?,
        kind,
        state: KeyState::Revoked,
        grant: GrantSpec::nothing(),
        name: text(6),
        account: None,
        created: Timestamp::MIN,
        changed: Timestamp::MIN,
        not_before: None,
        expires: None,
        attributes: Vec::new(),
        allow_from: Vec::new(),
        note: None,
        value,
        former: Vec::new(),
        last_used: None,
        is_tripwire: get(row, 22).unwrap_or_default(),
    };
    Some(Change::of(Revision(number(row, 1).ok()?), record))
}

/// The digest in a column.
pub(super) fn digest(row: &Row, column: usize) -> Result<Digest, Fault> {
    let bytes = get::<&[u8]>(row, column)?.try_into();
    bytes.map(Digest::from_bytes).map_err(|_| Fault::Bad("a value has a digest that cannot be".to_owned()))
}

/// Adds the records of keys that had no other value yet, each with the revision of its making.
pub(super) fn insert(session: &Session<'_>, records: &[(Revision, &KeyRecord)]) -> Result<(), Fault> {
    let columns: Vec<Columns> = records.iter().map(|(_, record)| Columns::of(record)).collect();
    macro_rules! each {
        (|$record:ident| $value:expr) => {
            records.iter().map(|(_, $record)| $value).collect::<Vec<_>>()
        };
    }
    let revisions: Vec<i64> = records.iter().map(|(revision, _)| revision.0.cast_signed()).collect();
    session
        .execute(
            INSERT,
            values![
                each!(|record| record.id.as_str()),
                revisions,
                each!(|record| record.kind.as_str()),
                each!(|record| record.state.as_str()),
                columns.iter().map(|columns| columns.level).collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.scopes.as_deref()).collect::<Vec<_>>(),
                each!(|record| &*record.name),
                each!(|record| record.account.as_deref()),
                each!(|record| record.created.as_millis()),
                each!(|record| record.changed.as_millis()),
                each!(|record| record.not_before.map(Timestamp::as_millis)),
                each!(|record| record.expires.map(Timestamp::as_millis)),
                columns.iter().map(|columns| columns.attributes.as_deref()).collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.networks.as_deref()).collect::<Vec<_>>(),
                each!(|record| record.note.as_deref()),
                each!(|record| &*record.value.prefix),
                each!(|record| &*record.value.last_four),
                each!(|record| record.value.digest.as_bytes().as_slice()),
                each!(|record| record.is_tripwire),
                each!(|record| record.value.site.as_ref().map(SiteId::as_str)),
            ],
        )
        .map(drop)
}

/// Changes the row of a record to what it is after a transition.
pub(super) fn update(session: &Session<'_>, revision: Revision, after: &KeyRecord) -> Result<(), Fault> {
    let (id, revision, changed) = (after.id.as_str(), revision.0.cast_signed(), after.changed.as_millis());
    let value = &after.value;
    if after.state == KeyState::Deleted {
        return session.execute(DELETE, values![id, revision, changed]).map(drop);
    }
    session
        .execute(
            UPDATE,
            values![
                id,
                revision,
                after.state.as_str(),
                changed,
                value.digest.as_bytes().as_slice(),
                &*value.prefix,
                &*value.last_four,
                value.created.as_millis(),
            ],
        )
        .map(drop)
}

/// Sees that new keys have ids and values that no key has or had. As there is one writer at a time, what is free now is free
/// when they are added.
pub(super) fn refuse_taken(session: &Session<'_>, records: &[&KeyRecord]) -> Result<(), Fault> {
    let ids: Vec<&str> = records.iter().map(|record| record.id.as_str()).collect();
    let digests: Vec<&[u8]> = records.iter().map(|record| record.value.digest.as_bytes().as_slice()).collect();
    let (mut taken_ids, mut present, mut former) = (HashSet::new(), HashSet::new(), HashSet::new());
    for row in session.query(TAKEN, values![ids, digests])? {
        if get(&row, 2)? {
            former.insert(digest(&row, 1)?);
        } else {
            taken_ids.insert(get::<Box<str>>(&row, 0)?);
            present.insert(digest(&row, 1)?);
        }
    }
    for record in records {
        let what = if former.contains(&record.value.digest) {
            "a record has had the same key"
        } else if !taken_ids.insert(record.id.as_str().into()) {
            "its id is taken"
        } else if !present.insert(record.value.digest) {
            "a record has the same key"
        } else {
            continue;
        };
        return Err(duplicate(record, what));
    }
    Ok(())
}

/// Sees that the value that a key is given is one that no key has or had.
pub(super) fn refuse_taken_value(session: &Session<'_>, record: &KeyRecord) -> Result<(), Fault> {
    let digests = vec![record.value.digest.as_bytes().as_slice()];
    let Some(row) = session.query_one(TAKEN, values![Vec::<&str>::new(), digests])? else { return Ok(()) };
    let what = if get(&row, 2)? { "a record has had the same key" } else { "a record has the same key" };
    Err(duplicate(record, what))
}

fn duplicate(record: &KeyRecord, what: &'static str) -> Fault {
    StoreError::Duplicate { name: format!("{:?} ({})", record.name, record.id), what }.into()
}
