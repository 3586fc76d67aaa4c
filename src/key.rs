//! Keys: what is known of them, and what may happen to them. Pure: no store, no clock but [`Timestamp::now`].
//!
//! FLOOR 0. The life of a key:
//!
//! 1. An operator asks for one: a name and a grant ([`lifecycle::NewKey`]).
//! 2. [`secret::Secret::mint`] draws it; a checksum tells a mistyped key from a stranger's.
//! 3. [`digest::Hasher`] makes the digest, the only form that is ever stored.
//! 4. [`lifecycle::create`] makes the record; a store persists it, and only then do gateways learn of it.
//! 5. The secret is shown once. Nothing has a second way to it.
//! 6. Requests are looked up by digest. The record may be disabled and enabled again ([`lifecycle::Transition`]), and be
//!    given a new value, the old one working until an overlap ends. A clone is a new record.
//! 7. A revoke ends it for good, a deletion does and takes it out of sight; the record stays as its tombstone. What a key
//!    may do never changes: there is no function for it.

pub mod account;
pub mod digest;
pub mod leak;
pub mod lifecycle;
pub mod mask;
pub mod search;
pub mod secret;
pub mod site;
pub mod timestamp;
mod value;
pub mod visible;

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, LazyLock};

use ipnet::IpNet;

use self::digest::{Digest, Hasher};
use self::secret::{MintError, Secret};
pub use self::site::SiteId;
pub use self::timestamp::{DateError, Timestamp};
pub use self::value::KeyValue;

/// The public name of a key record: `key_` and 16 base62 characters when made here, 32 hexadecimal digits for a pair, or
/// what a key file says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Box<str>);

impl KeyId {
    /// How many characters an id may have.
    pub const MOST: usize = 64;

    /// Draws a new id of the form that keys of a kind have: 95 random bits, or 128 for the visible id of a pair.
    ///
    /// # Errors
    /// An operating system without randomness.
    pub fn mint(kind: KeyKind) -> Result<Self, MintError> {
        match kind {
            KeyKind::Pair => {
                let random = secret::random_bytes::<16>()?;
                Ok(Self(random.iter().map(|byte| format!("{byte:02x}")).collect()))
            }
            KeyKind::Public | KeyKind::Secret => {
                let mut random = Vec::with_capacity(16);
                secret::append_random(&mut random, 16)?;
                Ok(Self::from_characters(random.into_iter()))
            }
        }
    }

    /// The id of a key that was given none: it follows from the digest, so it is the same after every load, and the
    /// digest does not follow from it.
    pub fn derive(digest: &Digest) -> Self {
        // Prepared once for all keys.
        static MIXER: LazyLock<Hasher> = LazyLock::new(|| Hasher::new(Some(&Secret::new("scopegate key id"))));
        let mixed = MIXER.digest(digest.as_bytes());
        Self::from_characters(mixed.as_bytes().iter().take(16).map(|byte| secret::base62(u32::from(*byte))))
    }

    /// Reads an id: 1 to [`MOST`](Self::MOST) ASCII letters, digits, `_`, `-` or `.`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        ((1..=Self::MOST).contains(&text.len()) && text.bytes().all(allowed)).then(|| Self(text.into()))
    }

    /// The id as text. It is safe in a header, a log line and a shell.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn from_characters(characters: impl Iterator<Item = u8>) -> Self {
        let mut id = *b"key_0000000000000000";
        for (place, character) in id.iter_mut().skip("key_".len()).zip(characters) {
            *place = character;
        }
        Self(String::from_utf8_lossy(&id).into())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

/// What sort of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// A visible id and a secret, sent as HTTP Basic.
    Pair,
    /// A site id that identifies an account and opens routes marked `auth: public-key` alone.
    Public,
    /// A private key.
    Secret,
}

impl KeyKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Pair, Self::Public, Self::Secret];

    /// The word for it, as in `--kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pair => "pair",
            Self::Public => "public",
            Self::Secret => "secret",
        }
    }

    /// The kind that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Whether a key works, apart from its dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyState {
    /// It works.
    Active,
    /// Ended for good and out of sight: what it might do is forgotten, its id, name and dates are kept.
    Deleted,
    /// Switched off, until it is enabled again.
    Disabled,
    /// Ended for good.
    Revoked,
}

impl KeyState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Active, Self::Deleted, Self::Disabled, Self::Revoked];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleted => "deleted",
            Self::Disabled => "disabled",
            Self::Revoked => "revoked",
        }
    }

    /// The state that a word names.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.as_str())
    }
}

/// What a key may do, in words; what the levels mean is up to the policy in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GrantSpec {
    /// These scopes, sorted and without repetition. None at all is a key that authenticates and opens nothing more. A clone shares
    /// them, and what reads many keys has each name once: many keys have the same.
    Custom(Arc<[Arc<str>]>),
    /// Every scope.
    Full,
    /// Every scope that reads.
    ReadOnly,
}

impl GrantSpec {
    /// A grant of the scopes named, in order and without repetition.
    pub fn custom(scopes: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        let mut scopes: Vec<Arc<str>> = scopes.into_iter().map(Into::into).collect();
        scopes.sort_unstable();
        scopes.dedup();
        Self::Custom(scopes.into())
    }

    /// A grant of no scope.
    pub fn nothing() -> Self {
        Self::Custom(Arc::default())
    }

    /// What `X-ScopeGate-Scopes` says of it: the scopes, `*` for full, `*:read` for read-only.
    pub fn to_header(&self) -> String {
        match self {
            Self::Custom(scopes) => scopes.join(" "),
            Self::Full => "*".into(),
            Self::ReadOnly => "*:read".into(),
        }
    }

    /// The grant that [`to_header`](Self::to_header) says so of.
    pub fn from_header(words: &str) -> Self {
        match words {
            "*" => Self::Full,
            "*:read" => Self::ReadOnly,
            scopes => Self::custom(scopes.split_ascii_whitespace()),
        }
    }
}

/// Everything that is kept of a key: all but the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Its public name, unique in a store.
    pub id: KeyId,
    /// What sort of key it is.
    pub kind: KeyKind,
    /// What its owner calls it; need not be unique.
    pub name: Box<str>,
    /// Whom it belongs to.
    pub account: Option<Box<str>>,
    /// What it may do. Never changes, but for a deletion, which leaves nothing of it.
    pub grant: GrantSpec,
    /// Whether it works, apart from its dates.
    pub state: KeyState,
    /// When it was made.
    pub created: Timestamp,
    /// When its state or its value last changed.
    pub changed: Timestamp,
    /// It does not work before this moment.
    pub not_before: Option<Timestamp>,
    /// It does not work at this moment or later.
    pub expires: Option<Timestamp>,
    /// Values that `bind` compares path parameters with. A name may stand more than once. Never changes.
    pub attributes: Vec<(Box<str>, Box<str>)>,
    /// The networks it may be used from; empty for any.
    pub allow_from: Vec<IpNet>,
    /// What an operator wants to remember.
    pub note: Option<Box<str>>,
    /// The value that it has now.
    pub value: KeyValue,
    /// The values that it had before, the latest first: all of them, since each is refused by name for ever.
    pub former: Vec<KeyValue>,
    /// When it was last used, as far as is recorded.
    pub last_used: Option<Timestamp>,
    /// It has no scopes, and is there to be found: whoever uses it has looked where no key belongs. Never changes.
    pub is_tripwire: bool,
}

impl KeyRecord {
    /// Every value that it ever had, the one that it has now first.
    pub fn values(&self) -> impl Iterator<Item = &KeyValue> {
        std::iter::once(&self.value).chain(&self.former)
    }

    /// When one of its values ends: with the key, or before it.
    pub fn end_of(&self, value: &KeyValue) -> Option<Timestamp> {
        [self.expires, value.until].into_iter().flatten().min()
    }

    /// Whether its end has come.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

/// Reads what `--from` and `allow_from` take: a network (`10.0.0.0/8`) or one address, of either family.
///
/// Bits beyond the prefix are cleared and IPv4 written as IPv6 (`::ffff:10.0.0.0/104`) becomes IPv4, so that what is
/// shown is what is in force.
///
/// # Errors
/// Text that is neither.
pub fn parse_network(text: &str) -> Result<IpNet, NetworkError> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let network = network.map_err(|_| NetworkError(text.into()))?.trunc();
    let IpNet::V6(v6) = network else {
        return Ok(network);
    };
    match (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) {
        (Some(v4), Some(length)) => IpNet::new(v4.into(), length).map_err(|_| NetworkError(text.into())),
        _ => Ok(network),
    }
}

/// Text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no network: write an address (203.0.113.7) or an address and a prefix length (10.0.0.0/8, 2001:db8::/32)"
)]
pub struct NetworkError(Box<str>);

#[cfg(test)]
mod tests;
