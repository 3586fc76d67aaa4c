//! A key as the request path sees it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use subtle::ConstantTimeEq as _;

use crate::key::account::Affiliation;
use crate::key::{GrantSpec, KeyKind, KeyRecord, KeyState, KeyValue, Timestamp};
use crate::policy::scope::{Grant, Vocabulary};
use crate::policy::{Caller, Invalid, Kind, Principal};
use crate::store::{Change, Revision};

/// A value of a key in memory: what deciding and forwarding need, and nothing else of its record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the policy is asked with.
    pub principal: Principal,
    /// Whether it works, apart from its dates.
    pub state: KeyState,
    /// It works from this moment; [`Timestamp::MIN`] where its record says nothing.
    pub not_before: Timestamp,
    /// It works until just before this moment, the earlier of the key's end and the value's; [`Timestamp::MAX`] where its
    /// record says nothing.
    pub expires: Timestamp,
    /// The networks it works from; empty for any.
    pub allow_from: Box<[IpNet]>,
    /// The change that made it as it is.
    pub revision: Revision,
    /// Its use is an alarm.
    pub is_tripwire: bool,
    /// When the key was given this value, in seconds since 1970: four bytes, which are there beside the state and cost a store
    /// of a million keys nothing. [`u32::MAX`] for a value that it has no more.
    minted: u32,
    /// Tells what the key opens apart from what it opened before: a digest of its kind, account, scopes and attributes.
    pub standing: u64,
    /// What the key has of its account; `None` where that is no more than the name.
    account: Option<Arc<Affiliation>>,
    /// The lines about account and scopes, which many keys have in common.
    lines: Arc<[u8]>,
}

impl Entry {
    /// Makes the entry of one value of a record. `share` gives the one copy of a line that all keys with that line use.
    pub(super) fn new(
        change: &Change,
        value: &KeyValue,
        (vocabulary, share): (&Vocabulary, impl FnOnce(&[u8]) -> Arc<[u8]>),
    ) -> Self {
        let record = &change.record;
        let lines = render_lines(record);
        Self {
            principal: principal(change, vocabulary),
            state: record.state,
            not_before: record.not_before.unwrap_or(Timestamp::MIN),
            expires: record.end_of(value).unwrap_or(Timestamp::MAX),
            allow_from: record.allow_from.as_slice().into(),
            revision: change.revision,
            is_tripwire: record.is_tripwire,
            minted: minted(value),
            standing: standing(change, &lines),
            account: change.account.clone(),
            lines: share(lines.as_bytes()),
        }
    }

    /// Who is calling, when this key is presented at `now` from the address `from` (`None` where there is no address,
    /// as on a Unix socket: a key that names networks is then misplaced).
    ///
    /// The first that holds: deleted, revoked or disabled, of a disabled account, not yet valid, expired, misplaced, known.
    pub fn caller(&self, now: Timestamp, from: Option<IpAddr>) -> Caller<'_> {
        match self.state {
            KeyState::Deleted => Caller::Invalid(Invalid::Deleted),
            KeyState::Revoked => Caller::Invalid(Invalid::Revoked),
            KeyState::Disabled => Caller::Invalid(Invalid::Disabled),
            KeyState::Active if self.is_suspended() => Caller::Invalid(Invalid::AccountDisabled),
            KeyState::Active if now < self.not_before => Caller::Invalid(Invalid::NotYetValid),
            KeyState::Active if now >= self.expires => Caller::Expired(&self.principal),
            KeyState::Active if !self.is_allowed_from(from) => Caller::Misplaced(&self.principal),
            KeyState::Active => Caller::Known(&self.principal),
        }
    }

    pub(super) fn kind(&self) -> KeyKind {
        match self.principal.kind {
            Kind::Pair => KeyKind::Pair,
            Kind::Public => KeyKind::Public,
            Kind::Secret => KeyKind::Secret,
        }
    }

    /// Since when a key that works has this value; `None` of a key that does not, and of a value that it had before.
    pub(super) fn minted(&self, now: Timestamp) -> Option<Timestamp> {
        let works = self.state == KeyState::Active && !self.is_suspended() && now < self.expires;
        let counts = works && self.minted != u32::MAX;
        counts.then(|| Timestamp::from_millis(i64::from(self.minted) * 1000))
    }

    /// The name of the upstream credential that requests of this key are sent on with, where its account has one.
    pub fn credential(&self) -> Option<&str> {
        self.account.as_ref()?.credential.as_deref()
    }

    /// Whether the account stops it.
    pub fn is_suspended(&self) -> bool {
        self.account.as_ref().is_some_and(|account| account.is_suspended)
    }

    /// Whether it is a public key, which stands in the place for these and in no other.
    pub fn is_public(&self) -> bool {
        self.principal.kind == Kind::Public
    }

    /// Whether the key may be presented with that id as one that is no public key: a pair is, with its own; every other key
    /// comes alone.
    pub fn is_named(&self, id: Option<&[u8]>) -> bool {
        match (self.principal.kind, id) {
            // Whoever has the secret may learn nothing of the id by trying, nor by how long it takes.
            (Kind::Pair, Some(id)) => self.principal.key_id.as_bytes().ct_eq(id).into(),
            (Kind::Pair, None) | (Kind::Public, _) | (Kind::Secret, Some(_)) => false,
            (Kind::Secret, None) => true,
        }
    }

    /// Appends the header lines that tell the upstream who calls, each with its CRLF: `X-ScopeGate-Key-Id`,
    /// `X-ScopeGate-Account` where there is one, `X-ScopeGate-Scopes`.
    pub fn write_identity(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"X-ScopeGate-Key-Id: ");
        out.extend_from_slice(self.principal.key_id.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.lines);
    }

    fn is_allowed_from(&self, from: Option<IpAddr>) -> bool {
        let inside = |address: IpAddr| {
            let address = address.to_canonical();
            self.allow_from.iter().any(|network| network.contains(&address))
        };
        self.allow_from.is_empty() || from.is_some_and(inside)
    }
}

/// Rounded up: no value is taken for older than it is.
fn minted(value: &KeyValue) -> u32 {
    let seconds = value.created.as_millis().max(0).cast_unsigned().div_ceil(1000);
    let current = value.until.is_none().then_some(seconds);
    current.map_or(u32::MAX, |seconds| u32::try_from(seconds).unwrap_or(u32::MAX - 1).min(u32::MAX - 1))
}

fn principal(change: &Change, vocabulary: &Vocabulary) -> Principal {
    let record = &change.record;
    Principal {
        key_id: record.id.as_str().into(),
        name: record.name.clone(),
        account: record.account.clone(),
        kind: match record.kind {
            KeyKind::Pair => Kind::Pair,
            KeyKind::Public => Kind::Public,
            KeyKind::Secret => Kind::Secret,
        },
        grant: match &record.grant {
            GrantSpec::Custom(scopes) => Grant::Custom(vocabulary.intern_all(scopes.iter().map(String::as_str))),
            GrantSpec::Full => Grant::Full,
            GrantSpec::ReadOnly => Grant::ReadOnly,
        },
        attributes: attributes(change),
    }
}

/// Those of the record, and the sub-accounts of its account as further values of `account`.
fn attributes(change: &Change) -> Box<[(Box<str>, Box<str>)]> {
    let children = change.account.iter().flat_map(|account| &account.children);
    let children = children.map(|child| ("account".into(), child.clone()));
    change.record.attributes.iter().cloned().chain(children).collect()
}

/// `lines` say the account and the scopes. Sub-accounts are left out: a new one must not end what goes on under the others.
fn standing(change: &Change, lines: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    let record = &change.record;
    let credential = change.account.as_ref().and_then(|account| account.credential.as_deref());
    (record.kind, &record.attributes, lines, credential).hash(&mut hasher);
    hasher.finish()
}

fn render_lines(record: &KeyRecord) -> String {
    let account = record.account.as_ref().map(|account| format!("X-ScopeGate-Account: {account}\r\n"));
    format!("{}X-ScopeGate-Scopes: {}\r\n", account.unwrap_or_default(), record.grant.to_header())
}
