//! A key as the request path sees it.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use subtle::ConstantTimeEq as _;

use super::end::{End, Six};
use super::member::Members;
use super::name::{IdText, Name};
use super::shared::Shared;
use crate::key::account::Affiliation;
use crate::key::digest::Digest;
use crate::key::lifecycle::ACCOUNT;
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord, KeyState, KeyValue, Timestamp};
use crate::policy::scope::{Grant, Vocabulary};
use crate::policy::{Caller, Invalid, Kind, Principal, Rights};
use crate::store::{Change, Revision};

/// An account that no path names: one with a control character in it is refused before any route is looked for.
const NOBODY: &str = "\u{0}";

/// A value of a key in memory: what deciding and forwarding need, and nothing else of its record.
///
/// There may be a million: what many keys have in common they share, and what few keys have stands elsewhere.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What the policy is asked with.
    pub principal: Principal,
    /// What few keys have.
    rare: Option<Arc<Rare>>,
    /// The id of the key; nothing where that stands among what few keys have.
    name: Name,
    end: End,
    revision: Six,
    /// When the key was given this value, in seconds since 1970; [`u32::MAX`] for a value that it has no more.
    minted: u32,
}

/// What few keys have.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Rare {
    /// The key's id, where it has none of the usual form.
    id: Option<Box<str>>,
    /// It works from this moment; [`Timestamp::MIN`] where its record says nothing.
    not_before: Timestamp,
    /// The networks it works from; empty for any.
    allow_from: Box<[IpNet]>,
    /// Its use is an alarm.
    is_tripwire: bool,
    /// The account stops it.
    is_suspended: bool,
    /// The name of the upstream credential of the account.
    credential: Option<Box<str>>,
    /// Tells the credential of the account from another; 0 where it has none.
    mark: u64,
}

/// What keys have in common: one copy of each.
#[derive(Debug, Default)]
pub(super) struct Pool {
    accounts: Members,
    rights: Shared<Rights>,
    rares: Shared<Rare>,
    plain: [Plain; KeyKind::ALL.len()],
}

/// The rights of keys of a kind that are bound to nothing, by their grant: so they need not be put together for each.
type Plain = HashMap<ByPlace, Arc<Rights>, BuildHasherDefault<DefaultHasher>>;

/// A grant, found by where its scopes stand in memory: whoever reads many keys has the same scopes once, and looking at them again
/// for each key would take longer than all else.
#[derive(Debug)]
struct ByPlace(GrantSpec);

impl ByPlace {
    /// The place of the scopes, which stays theirs as long as this holds them; of a level, its number.
    fn place(&self) -> usize {
        match &self.0 {
            GrantSpec::Custom(scopes) => scopes.as_ptr().addr(),
            GrantSpec::Full => 1,
            GrantSpec::ReadOnly => 2,
        }
    }
}

impl PartialEq for ByPlace {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for ByPlace {}

impl Hash for ByPlace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_usize(self.place());
    }
}

/// So many rights are remembered by their grant, for keys of a kind.
const MOST_PLAIN: usize = 256;

impl Pool {
    /// What the keys may do that a change leaves as this one.
    fn rights(&mut self, change: &Change, vocabulary: &Vocabulary) -> Arc<Rights> {
        let KeyRecord { kind, grant, attributes, .. } = &change.record;
        let Some(plain) = self.plain.get_mut(*kind as usize).filter(|_| attributes.is_empty()) else {
            return self.rights.share(rights(change, vocabulary));
        };
        let grant = ByPlace(grant.clone());
        if let Some(known) = plain.get(&grant) {
            return Arc::clone(known);
        }
        if plain.len() >= MOST_PLAIN {
            plain.clear();
        }
        let rights = self.rights.share(rights(change, vocabulary));
        plain.insert(grant, Arc::clone(&rights));
        rights
    }
}

/// What the entries of all values of a key have in common.
pub(super) struct Mould<'c> {
    change: &'c Change,
    principal: Principal,
    rare: Option<Arc<Rare>>,
    name: Option<Name>,
}

impl<'c> Mould<'c> {
    /// Takes what the record of a change says, and what others say too from `pool`.
    pub(super) fn new(change: &'c Change, vocabulary: &Vocabulary, pool: &mut Pool) -> Self {
        let record = &change.record;
        let name = Name::of(record.kind, record.id.as_str());
        let rare = Rare::of(change, name.is_none()).map(|rare| pool.rares.share(rare));
        let account = record.account.as_deref();
        let account = account.map(|account| pool.accounts.share(account, change.account.as_ref()));
        let rights = pool.rights(change, vocabulary);
        Self { change, principal: Principal::new(account, rights), rare, name }
    }

    /// The entry of one value of the record.
    pub(super) fn cast(&self, value: &KeyValue) -> Entry {
        let record = &self.change.record;
        Entry {
            principal: self.principal.clone(),
            rare: self.rare.clone(),
            name: self.name.unwrap_or_default(),
            end: End::of(record, value),
            revision: Six::new(self.change.revision.0),
            minted: minted(value),
        }
    }
}

impl Entry {
    /// Who is calling, when this key is presented at `now` from the address `from` (`None` where there is no address,
    /// as on a Unix socket: a key that names networks is then misplaced).
    ///
    /// The first that holds: deleted, revoked or disabled, of a disabled account, not yet valid, expired, a tripwire, misplaced,
    /// known.
    pub fn caller(&self, now: Timestamp, from: Option<IpAddr>) -> Caller<'_> {
        let rare = self.rare.as_deref();
        match self.state() {
            KeyState::Deleted => Caller::Invalid(Invalid::Deleted),
            KeyState::Revoked => Caller::Invalid(Invalid::Revoked),
            KeyState::Disabled => Caller::Invalid(Invalid::Disabled),
            KeyState::Active if self.is_suspended() => Caller::Invalid(Invalid::AccountDisabled),
            KeyState::Active if rare.is_some_and(|rare| now < rare.not_before) => Caller::Invalid(Invalid::NotYetValid),
            KeyState::Active if now >= self.expires() => Caller::Expired(&self.principal),
            KeyState::Active if rare.is_some_and(|rare| rare.is_tripwire) => Caller::Invalid(Invalid::Tripwire),
            KeyState::Active if rare.is_some_and(|rare| !rare.is_allowed_from(from)) => {
                Caller::Misplaced(&self.principal)
            }
            KeyState::Active => Caller::Known(&self.principal),
        }
    }

    /// The id of the key.
    pub fn id(&self) -> IdText {
        match self.rare.as_ref().and_then(|rare| rare.id.as_deref()) {
            Some(id) => IdText::new(id),
            None => self.name.text(self.kind()),
        }
    }

    /// Whether it works, apart from its dates.
    pub fn state(&self) -> KeyState {
        self.end.state()
    }

    /// It works until just before this moment, the earlier of the key's end and the value's; [`Timestamp::MAX`] where its
    /// record says nothing, and of a key that does not work whatever the moment.
    pub fn expires(&self) -> Timestamp {
        self.end.moment()
    }

    /// The change that made it as it is.
    pub fn revision(&self) -> Revision {
        Revision(self.revision.number())
    }

    /// Whether it works at a moment, or in a way, in which an earlier entry of the same value does not.
    pub(super) fn outlives(&self, earlier: &Self) -> bool {
        let works = |entry: &Self| entry.state() == KeyState::Active && !entry.is_suspended();
        works(self) && (!works(earlier) || self.expires() > earlier.expires())
    }

    /// Whether the use of the key is an alarm.
    pub fn is_tripwire(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_tripwire)
    }

    pub(super) fn kind(&self) -> KeyKind {
        match self.principal.kind() {
            Kind::Pair => KeyKind::Pair,
            Kind::Public => KeyKind::Public,
            Kind::Secret => KeyKind::Secret,
        }
    }

    /// Since when a key that works has this value; `None` of a key that does not, of a tripwire, and of a value that it had
    /// before.
    pub(super) fn minted(&self, now: Timestamp) -> Option<Timestamp> {
        let works = self.state() == KeyState::Active && !self.is_suspended() && now < self.expires();
        let counts = works && self.minted != u32::MAX && !self.is_tripwire();
        counts.then(|| Timestamp::from_millis(i64::from(self.minted) * 1000))
    }

    /// The name of the upstream credential that requests of this key are sent on with, where its account has one.
    pub fn credential(&self) -> Option<&str> {
        self.rare.as_ref()?.credential.as_deref()
    }

    /// Whether the account stops it.
    pub fn is_suspended(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.is_suspended)
    }

    /// The change that makes such an entry, for the value with that digest.
    pub(super) fn to_change(&self, digest: Digest) -> Change {
        let rare = self.rare.as_deref();
        let end = Some(self.expires()).filter(|end| *end < Timestamp::MAX);
        let is_former = self.minted == u32::MAX;
        let created = Timestamp::from_millis(if is_former { 0 } else { i64::from(self.minted) * 1000 });
        let rights = self.principal.rights();
        let affiliation = Affiliation {
            is_suspended: self.is_suspended(),
            credential: self.credential().map(Into::into),
            children: self.principal.children().map(Arc::clone).unwrap_or_default(),
        };
        let record = KeyRecord {
            // An id is one: it came from one.
            id: KeyId::parse(self.id().as_str()).unwrap_or_else(|| KeyId::derive(&digest)),
            kind: self.kind(),
            name: Box::default(),
            account: self.principal.account().map(Into::into),
            grant: GrantSpec::from_header(rights.words()),
            state: self.state(),
            created,
            changed: created,
            not_before: rare.map(|rare| rare.not_before).filter(|start| *start > Timestamp::MIN),
            expires: end.filter(|_| !is_former),
            attributes: rights.attributes().into(),
            allow_from: rare.map_or_else(Vec::new, |rare| rare.allow_from.to_vec()),
            note: None,
            value: KeyValue {
                digest,
                prefix: Box::default(),
                last_four: Box::default(),
                site: None,
                created,
                until: is_former.then(|| end.unwrap_or(Timestamp::MAX)),
                // Of one that was ended for good the moment is before all others.
                is_ended: is_former && end == Some(Timestamp::MIN),
                last_used: None,
            },
            former: Vec::new(),
            last_used: None,
            is_tripwire: self.is_tripwire(),
        };
        let account = (!affiliation.is_plain()).then(|| Arc::new(affiliation));
        Change { revision: self.revision(), record, account }
    }

    /// A number that another key has who may do something else, for someone else or with another credential. Sub-accounts are
    /// left out: a new one must not end what goes on under the others.
    pub fn mark(&self) -> u64 {
        self.principal.mark() ^ self.rare.as_ref().map_or(0, |rare| rare.mark)
    }

    /// Whether it is a public key, which stands in the place for these and in no other.
    pub fn is_public(&self) -> bool {
        self.principal.kind() == Kind::Public
    }

    /// Whether the key may be presented with that id as one that is no public key: a pair is, with its own; every other key
    /// comes alone.
    pub fn is_named(&self, id: Option<&[u8]>) -> bool {
        match (self.principal.kind(), id) {
            // Whoever has the secret may learn nothing of the id by trying, nor by how long it takes.
            (Kind::Pair, Some(id)) => self.id().as_bytes().ct_eq(id).into(),
            (Kind::Pair, None) | (Kind::Public, _) | (Kind::Secret, Some(_)) => false,
            (Kind::Secret, None) => true,
        }
    }

    /// Appends the header lines that tell the upstream who calls, each with its CRLF: `X-ScopeGate-Key-Id`,
    /// `X-ScopeGate-Account` where there is one, `X-ScopeGate-Scopes`.
    pub fn write_identity(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"X-ScopeGate-Key-Id: ");
        out.extend_from_slice(self.id().as_bytes());
        if let Some(account) = self.principal.account() {
            out.extend_from_slice(b"\r\nX-ScopeGate-Account: ");
            out.extend_from_slice(account.as_bytes());
        }
        out.extend_from_slice(b"\r\nX-ScopeGate-Scopes: ");
        out.extend_from_slice(self.principal.rights().words().as_bytes());
        out.extend_from_slice(b"\r\n");
    }
}

impl Rare {
    /// What of it a record has, if anything.
    fn of(change: &Change, is_named_otherwise: bool) -> Option<Self> {
        let (record, account) = (&change.record, change.account.as_deref());
        let credential = account.and_then(|account| account.credential.as_deref());
        let rare = Self {
            mark: credential.map_or(0, mark),
            is_suspended: account.is_some_and(|account| account.is_suspended),
            credential: credential.map(Into::into),
            id: is_named_otherwise.then(|| record.id.as_str().into()),
            not_before: record.not_before.unwrap_or(Timestamp::MIN),
            allow_from: record.allow_from.as_slice().into(),
            is_tripwire: record.is_tripwire,
        };
        let usual = rare.id.is_none()
            && record.not_before.is_none()
            && rare.allow_from.is_empty()
            && !rare.is_tripwire
            && !rare.is_suspended
            && rare.credential.is_none();
        (!usual).then_some(rare)
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

fn rights(change: &Change, vocabulary: &Vocabulary) -> Rights {
    let record = &change.record;
    let kind = match record.kind {
        KeyKind::Pair => Kind::Pair,
        KeyKind::Public => Kind::Public,
        KeyKind::Secret => Kind::Secret,
    };
    let grant = match &record.grant {
        GrantSpec::Custom(scopes) => Grant::Custom(vocabulary.intern_all(scopes.iter().map(|scope| &**scope))),
        GrantSpec::Full => Grant::Full,
        GrantSpec::ReadOnly => Grant::ReadOnly,
    };
    Rights::new(kind, (grant, record.grant.to_header()), attributes(record))
}

/// Those of the record. The sub-accounts of its account stand in the account.
///
/// A record of an older version may name the attribute `account` itself. It adds nothing to an account. Where there is none, the
/// key stays shut out of what the attribute shut it out of, and what it opened is shut as well.
fn attributes(record: &KeyRecord) -> Box<[(Box<str>, Box<str>)]> {
    let (own, others): (Vec<_>, Vec<_>) = record.attributes.iter().partition(|(name, _)| &**name == ACCOUNT);
    let is_of_nobody = record.account.is_none() && !own.is_empty();
    let nobody = is_of_nobody.then(|| (ACCOUNT.into(), NOBODY.into()));
    others.into_iter().cloned().chain(nobody).collect()
}

fn mark(credential: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    credential.hash(&mut hasher);
    hasher.finish()
}
