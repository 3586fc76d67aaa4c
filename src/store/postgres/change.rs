//! Changes of keys, within the transaction of the one writer.

use super::audit::{Deed, Log};
use super::fault::Fault;
use super::load::bare;
use super::{accounts, former, row};
use crate::key::lifecycle::{self, Fresh, Transition};
use crate::key::{KeyId, KeyRecord};
use crate::store::audit::{Seal, of_new, of_transition};
use crate::store::{Outcome, Provenance, Revision, Stamp, StoreError};

/// How many keys are added by one statement.
pub(super) const BATCH: usize = 1000;

/// Adds records.
pub(super) fn add(
    log: &mut Log<'_, '_>,
    seal: &Seal,
    (records, provenance): (&[KeyRecord], Provenance),
    stamp: Stamp<'_>,
) -> Result<Revision, Fault> {
    let session = log.session();
    accounts::admit(log, records, (provenance.strangers(), stamp))?;
    accounts::refuse_second(session, records)?;
    for batch in records.chunks(BATCH) {
        row::refuse_taken(session, &batch.iter().collect::<Vec<_>>())?;
        let mut rows = Vec::with_capacity(batch.len());
        for record in batch {
            let mut detail = of_new(record, None);
            seal.add_to(&mut detail, record, stamp.at);
            rows.push((log.add(Deed::to(record, provenance.as_str(), &detail), stamp), record));
        }
        log.flush(stamp)?;
        row::insert(session, &rows)?;
    }
    log.flush(stamp)?;
    Ok(log.revision())
}

/// Takes a key through a transition.
pub(super) fn change(
    log: &mut Log<'_, '_>,
    seal: &Seal,
    (id, transition): (&KeyId, &Transition),
    stamp: Stamp<'_>,
) -> Result<Outcome, Fault> {
    let session = log.session();
    let before = bare(session, id)?.ok_or_else(|| StoreError::Unknown(id.clone()))?;
    let record = transition.apply(before.clone(), stamp.at)?;
    if record == before {
        return Ok(Outcome { record, revision: None });
    }
    if record.former.len() > before.former.len() {
        row::refuse_taken_value(session, &record)?;
    }
    let mut detail = of_transition(transition, &before, &record);
    if record.value.digest != before.value.digest {
        seal.add_value(&mut detail, &record);
    }
    let revision = log.add(Deed::to(&record, transition.as_str(), &detail), stamp);
    log.flush(stamp)?;
    former::retire(session, &before, &record)?;
    row::update(session, revision, &record)?;
    Ok(Outcome { record, revision: Some(revision) })
}

/// Adds a key that may do what another may.
pub(super) fn clone_key(
    log: &mut Log<'_, '_>,
    seal: &Seal,
    (of, fresh): (&KeyId, Fresh),
    stamp: Stamp<'_>,
) -> Result<Outcome, Fault> {
    let session = log.session();
    let original = bare(session, of)?.ok_or_else(|| StoreError::Unknown(of.clone()))?;
    let record = lifecycle::clone_key(&original, fresh, stamp.at)?;
    row::refuse_taken(session, &[&record])?;
    let mut detail = of_new(&record, Some(of));
    seal.add_to(&mut detail, &record, stamp.at);
    let revision = log.add(Deed::to(&record, "clone", &detail), stamp);
    log.flush(stamp)?;
    row::insert(session, &[(revision, &record)])?;
    Ok(Outcome { record, revision: Some(revision) })
}
