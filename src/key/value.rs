//! A value of a key: what a caller presents, as far as it is kept.

use super::digest::Digest;
use super::lifecycle::Imprint;
use super::{SiteId, Timestamp};

/// What is kept of one value of a key. A key has one at first; each rotation gives it another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyValue {
    /// Its digest; no two values of a store have the same.
    pub digest: Digest,
    /// The prefix it was minted under; empty for one that came from elsewhere.
    pub prefix: Box<str>,
    /// Its last four characters; empty where they would tell too much of it.
    pub last_four: Box<str>,
    /// It as it is, where it is no secret: of a public key.
    pub site: Option<SiteId>,
    /// When the key was given it.
    pub created: Timestamp,
    /// It does not work at this moment or later, since another has taken its place; `None` for the one that a key has now.
    pub until: Option<Timestamp>,
    /// Its end had come when its key was changed: it never works again, whatever a clock says.
    pub is_ended: bool,
    /// When it was last used, as far as is recorded.
    pub last_used: Option<Timestamp>,
}

impl KeyValue {
    /// A value that a key is given at `created`.
    pub fn new(imprint: Imprint, created: Timestamp) -> Self {
        Self {
            digest: imprint.digest,
            prefix: imprint.prefix,
            last_four: imprint.last_four,
            site: imprint.site,
            created,
            until: None,
            is_ended: false,
            last_used: None,
        }
    }

    /// Whether its end has come, apart from that of its key.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.is_ended || self.until.is_some_and(|end| end <= now)
    }
}
