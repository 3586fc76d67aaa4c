//! What may happen to a key that exists.

use std::time::Duration;

use super::Imprint;
use crate::key::leak::holds_key;
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, KeyState, KeyValue, Timestamp};

/// The longest that a value may work beside the one that took its place.
pub const LONGEST_OVERLAP: Duration = Duration::from_secs(90 * 86_400);

/// What may happen to a key that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transition {
    /// End it for good, and forget what it might do.
    Delete,
    /// Switch it off for a while.
    Disable,
    /// Switch it on again.
    Enable,
    /// End the values that work beside the one that took their place.
    EndOverlap,
    /// Give a pair another secret.
    ResetSecret(Replacement),
    /// End it for good.
    Revoke,
    /// Give it another value.
    Rotate(Replacement),
}

/// The value that takes the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// What is kept of it.
    pub imprint: Imprint,
    /// How long the values before it go on working, at most [`LONGEST_OVERLAP`].
    pub overlap: Duration,
}

/// What makes a clone another key.
#[derive(Clone, Debug)]
pub struct Fresh {
    /// Its id.
    pub id: KeyId,
    /// What is kept of its value.
    pub imprint: Imprint,
}

impl Transition {
    /// The word for it, as on the command line and in the audit.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Disable => "disable",
            Self::Enable => "enable",
            Self::EndOverlap => "end-overlap",
            Self::ResetSecret(_) => "reset-secret",
            Self::Revoke => "revoke",
            Self::Rotate(_) => "rotate",
        }
    }

    /// The record after it. A transition to the state that the key is in already changes nothing, not even `changed`; nor
    /// does a revoke of a key that is deleted.
    ///
    /// # Errors
    /// Each [`TransitionError`] says what cannot be, and what can.
    pub fn apply(&self, record: KeyRecord, now: Timestamp) -> Result<KeyRecord, TransitionError> {
        match self {
            Self::Delete => Ok(delete(record, now)),
            Self::Disable => {
                refuse_ended(&record, "disabled")?;
                Ok(enter(record, KeyState::Disabled, now))
            }
            // Its dates stay: one that expired meanwhile stays expired.
            Self::Enable => {
                refuse_ended(&record, "enabled")?;
                Ok(enter(record, KeyState::Active, now))
            }
            Self::EndOverlap => Ok(end_overlap(record, now)),
            Self::ResetSecret(replacement) => {
                if record.kind != KeyKind::Pair {
                    return Err(TransitionError::NoPair { id: record.id, kind: record.kind });
                }
                replace(record, replacement, ("given a new secret", now))
            }
            Self::Revoke if record.state == KeyState::Deleted => Ok(record),
            Self::Revoke => Ok(enter(record, KeyState::Revoked, now)),
            Self::Rotate(replacement) => replace(record, replacement, ("rotated", now)),
        }
    }
}

/// The record of a new key that may do what this one may, for as long.
///
/// # Errors
/// The key is revoked, deleted, expired or disabled: a clone must not bring back what was switched off. Or it is public:
/// an account has one of these.
pub fn clone_key(record: &KeyRecord, fresh: Fresh, now: Timestamp) -> Result<KeyRecord, TransitionError> {
    const WANTED: &str = "cloned";
    refuse_ended(record, WANTED)?;
    refuse_expired(record, (WANTED, now))?;
    refuse_public(record, WANTED)?;
    // It was made before such names were refused.
    if holds_key(&record.name) || record.attributes.iter().any(|(_, value)| holds_key(value)) {
        return Err(TransitionError::Leaks(record.id.clone()));
    }
    if record.state == KeyState::Disabled {
        return Err(TransitionError::Disabled { id: record.id.clone(), since: record.changed });
    }
    Ok(KeyRecord {
        id: fresh.id,
        created: now,
        changed: now,
        note: None,
        value: KeyValue::new(fresh.imprint, now),
        former: Vec::new(),
        last_used: None,
        ..record.clone()
    })
}

fn delete(record: KeyRecord, now: Timestamp) -> KeyRecord {
    if record.state == KeyState::Deleted {
        return record;
    }
    KeyRecord {
        state: KeyState::Deleted,
        changed: now,
        account: None,
        grant: GrantSpec::nothing(),
        attributes: Vec::new(),
        allow_from: Vec::new(),
        note: None,
        ..record
    }
}

/// Puts a new value in the place of the one that the key has. All that came before it ends with the overlap, or earlier
/// where that was said already: from then on the new value alone works.
fn replace(
    record: KeyRecord,
    replacement: &Replacement,
    (wanted, now): (&'static str, Timestamp),
) -> Result<KeyRecord, TransitionError> {
    refuse_ended(&record, wanted)?;
    refuse_expired(&record, (wanted, now))?;
    refuse_public(&record, wanted)?;
    if replacement.overlap > LONGEST_OVERLAP {
        return Err(TransitionError::Overlap);
    }
    let end = now.after(replacement.overlap);
    let end = record.expires.map_or(end, |expires| end.min(expires));
    let mut former = Vec::with_capacity(record.former.len() + 1);
    former.push(record.value);
    former.extend(record.former);
    for value in &mut former {
        value.until = Some(value.until.map_or(end, |until| until.min(end)));
        // What is over now stays so on a gateway whose clock is behind, and when this clock turns out to have been ahead.
        value.is_ended = value.is_over(now);
    }
    Ok(KeyRecord { value: KeyValue::new(replacement.imprint.clone(), now), former, changed: now, ..record })
}

/// Ends every value but the one that the key has. Of a key that has ended none works, so that there is nothing to do.
fn end_overlap(mut record: KeyRecord, now: Timestamp) -> KeyRecord {
    if matches!(record.state, KeyState::Deleted | KeyState::Revoked) || record.is_expired(now) {
        return record;
    }
    if record.former.iter().all(|value| value.is_over(now)) {
        return record;
    }
    for value in &mut record.former {
        value.until = Some(value.until.map_or(now, |until| until.min(now)));
        value.is_ended = true;
    }
    record.changed = now;
    record
}

/// A value that works, or would if its key did, and ends earlier than it was to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortened<'r> {
    /// The value.
    pub value: &'r KeyValue,
    /// When it was to end; `None` where it was not.
    pub before: Option<Timestamp>,
    /// When it ends.
    pub after: Timestamp,
}

/// What a transition at `now` took of the lives of values, by the record before it and after it; the latest value first.
pub fn shortened<'r>(before: &'r KeyRecord, after: &'r KeyRecord, now: Timestamp) -> Vec<Shortened<'r>> {
    let of_value = |value: &'r KeyValue| {
        let old = before.values().find(|old| old.digest == value.digest)?;
        let (was, end) = (before.end_of(old), after.end_of(value)?);
        let is_earlier = was.is_none_or(|was| end < was && now < was);
        is_earlier.then_some(Shortened { value, before: was, after: end })
    };
    after.former.iter().filter_map(of_value).collect()
}

fn enter(mut record: KeyRecord, state: KeyState, now: Timestamp) -> KeyRecord {
    if record.state != state {
        record.state = state;
        record.changed = now;
    }
    record
}

fn refuse_ended(record: &KeyRecord, wanted: &'static str) -> Result<(), TransitionError> {
    let (id, since) = (record.id.clone(), record.changed);
    match record.state {
        KeyState::Active | KeyState::Disabled => Ok(()),
        KeyState::Deleted => Err(TransitionError::Deleted { id, since, wanted }),
        KeyState::Revoked => Err(TransitionError::Revoked { id, since, wanted }),
    }
}

fn refuse_expired(record: &KeyRecord, (wanted, now): (&'static str, Timestamp)) -> Result<(), TransitionError> {
    match record.expires.filter(|end| *end <= now) {
        Some(since) => Err(TransitionError::Expired { id: record.id.clone(), since, wanted }),
        None => Ok(()),
    }
}

fn refuse_public(record: &KeyRecord, wanted: &'static str) -> Result<(), TransitionError> {
    if record.kind == KeyKind::Public {
        return Err(TransitionError::Public { id: record.id.clone(), wanted });
    }
    Ok(())
}

/// Why a key cannot be changed or cloned as asked. `wanted` reads on after "cannot be".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant means")]
pub enum TransitionError {
    #[error("key {id} cannot be {wanted}: it was deleted at {since}, and that is final; create another key")]
    Deleted { id: KeyId, since: Timestamp, wanted: &'static str },
    #[error("key {id} cannot be cloned: it was disabled at {since}; enable it first, or create another key")]
    Disabled { id: KeyId, since: Timestamp },
    #[error("key {id} cannot be {wanted}: it expired at {since}; create another key")]
    Expired { id: KeyId, since: Timestamp, wanted: &'static str },
    #[error(
        "key {id} cannot be given a new secret: it is of kind {kind}, not a pair; `scopegate keys rotate {id}` gives it a new value"
    )]
    NoPair { id: KeyId, kind: KeyKind },
    #[error("key {0} cannot be cloned: a key stands in its name or in an attribute; create another key without that")]
    Leaks(KeyId),
    #[error("an old value works beside the new one for 90 days at most: choose a shorter overlap")]
    Overlap,
    #[error(
        "key {id} cannot be {wanted}: it is public, and an account has one such key; to replace it, revoke it and create another"
    )]
    Public { id: KeyId, wanted: &'static str },
    #[error("key {id} cannot be {wanted}: it was revoked at {since}, and a revoke is final; create another key")]
    Revoked { id: KeyId, since: Timestamp, wanted: &'static str },
}

#[cfg(test)]
mod tests;
