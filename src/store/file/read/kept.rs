//! What is kept of each key until all of a file was read and found good.

use super::key::imprint;
use crate::key::digest::Digest;
use crate::key::lifecycle::{self, NewKey};
use crate::key::{GrantSpec, KeyId, KeyRecord, Timestamp};

/// A key that was read. A record has room for much that few keys have: of most no more is kept than is said of them.
#[derive(Debug)]
pub(super) enum Kept<'t> {
    Any(Box<KeyRecord>),
    Usual(Usual<'t>),
}

/// A key that has a name, a digest and a grant and nothing else, all of it checked.
#[derive(Debug)]
pub(super) struct Usual<'t> {
    pub(super) name: &'t str,
    pub(super) id: KeyId,
    pub(super) digest: Digest,
    pub(super) grant: GrantSpec,
}

impl Kept<'_> {
    pub(super) fn digest(&self) -> &Digest {
        match self {
            Self::Any(record) => &record.value.digest,
            Self::Usual(usual) => &usual.digest,
        }
    }

    pub(super) fn id(&self) -> &KeyId {
        match self {
            Self::Any(record) => &record.id,
            Self::Usual(usual) => &usual.id,
        }
    }

    /// The record of the key, in a file that was last written at `written`.
    pub(super) fn into_record(self, written: Timestamp) -> KeyRecord {
        match self {
            Self::Any(record) => *record,
            Self::Usual(Usual { name, id, digest, grant }) => {
                // The grant comes in behind all others, since it was checked.
                let new = NewKey::new(name, GrantSpec::nothing());
                KeyRecord { grant, ..lifecycle::adopt(new, id, imprint(digest), written) }
            }
        }
    }
}
