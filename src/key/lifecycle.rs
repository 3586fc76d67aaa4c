//! How a key comes to be, and what may happen to it: functions from record to record.
//!
//! INVARIANT: a grant, an account, attributes, networks, whether it is a tripwire, and the dates between which a key works never change, save that a
//! deletion forgets all but the dates; a value's end only ever comes nearer. So no sequence of changes widens a grant or
//! lengthens a life; none leads out of [`KeyState::Revoked`] but to [`KeyState::Deleted`], and none out of that.

mod transition;

use ipnet::IpNet;

use super::digest::{Digest, Hasher};
use super::leak::holds_key;
use super::secret::{self, Secret};
use super::visible::{is_invisible, short};
use super::{GrantSpec, KeyId, KeyKind, KeyRecord, KeyState, KeyValue, SiteId, Timestamp};
use crate::policy::scope::is_scope_name;

pub use self::transition::{
    Fresh, LONGEST_OVERLAP, Replacement, Shortened, Transition, TransitionError, clone_key, shortened,
};

/// The attribute that says whom a key belongs to. A key has its account for it, and that account's sub-accounts, whatever its
/// record says: no other value of it opens anything.
pub const ACCOUNT: &str = "account";
/// The longest name and attribute value, in characters.
pub(super) const LONGEST_NAME: usize = 128;
/// The longest note, in characters.
const LONGEST_NOTE: usize = 1024;
/// The most scopes, attributes and networks that one key may have, each.
pub(crate) const MOST_ITEMS: usize = 1024;

/// What is asked for when a key is made.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// What its owner calls it.
    pub name: Box<str>,
    /// What sort of key it shall be.
    pub kind: KeyKind,
    /// Whom it shall belong to.
    pub account: Option<Box<str>>,
    /// What it shall be allowed.
    pub grant: GrantSpec,
    /// When it shall begin to work.
    pub not_before: Option<Timestamp>,
    /// When it shall end.
    pub expires: Option<Timestamp>,
    /// Attributes for `bind`.
    pub attributes: Vec<(Box<str>, Box<str>)>,
    /// Networks it shall be used from; empty for any.
    pub allow_from: Vec<IpNet>,
    /// A note.
    pub note: Option<Box<str>>,
    /// It shall be there to be found alone: its use is an alarm.
    pub is_tripwire: bool,
}

impl NewKey {
    /// A secret key with a name and a grant, and nothing optional.
    pub fn new(name: impl Into<Box<str>>, grant: GrantSpec) -> Self {
        Self {
            name: name.into(),
            kind: KeyKind::Secret,
            account: None,
            grant,
            not_before: None,
            expires: None,
            attributes: Vec::new(),
            allow_from: Vec::new(),
            note: None,
            is_tripwire: false,
        }
    }
}

/// What a store keeps in place of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imprint {
    /// The digest of the key.
    pub digest: Digest,
    /// The prefix it was minted under; empty for a key that came from elsewhere.
    pub prefix: Box<str>,
    /// Its last four characters; empty where they would tell too much of it.
    pub last_four: Box<str>,
    /// The key itself, where it is no secret: of a public key.
    pub site: Option<SiteId>,
}

impl Imprint {
    /// Takes the imprint of a key. Of a key that was not minted under `prefix` the last characters are kept only where
    /// at least 20 others stand before them.
    pub fn of(key: &Secret, prefix: &str, hasher: &Hasher) -> Self {
        let bytes = key.expose();
        let ours = secret::check(prefix, bytes) == secret::Checked::Ours;
        let tail = bytes.last_chunk::<4>().filter(|_| bytes.len() >= 24);
        Self {
            digest: hasher.digest(bytes),
            prefix: if ours { prefix.into() } else { Box::default() },
            last_four: tail.map(|tail| String::from_utf8_lossy(tail).into()).unwrap_or_default(),
            site: None,
        }
    }
}

/// Makes the record of a new key.
///
/// # Errors
/// What was asked for cannot be: each [`NewKeyError`] says what and how to mend it.
pub fn create(new: NewKey, id: KeyId, imprint: Imprint, now: Timestamp) -> Result<KeyRecord, NewKeyError> {
    check(&new)?;
    if let Some(end) = new.expires.filter(|end| *end <= now) {
        return Err(NewKeyError::Expired(end));
    }
    Ok(adopt(new, id, imprint, now))
}

/// Makes the record of a key that exists elsewhere already, and so may be past its end. It must have passed [`check`].
pub fn adopt(new: NewKey, id: KeyId, imprint: Imprint, created: Timestamp) -> KeyRecord {
    let grant = match new.grant {
        GrantSpec::Custom(scopes) if !scopes.is_sorted_by(|one, next| one < next) => {
            GrantSpec::custom(scopes.iter().cloned())
        }
        good => good,
    };
    KeyRecord {
        id,
        kind: new.kind,
        name: new.name,
        account: new.account,
        grant,
        state: KeyState::Active,
        created,
        changed: created,
        not_before: new.not_before,
        expires: new.expires,
        attributes: new.attributes,
        allow_from: new.allow_from,
        note: new.note,
        value: KeyValue::new(imprint, created),
        former: Vec::new(),
        last_used: None,
        is_tripwire: new.is_tripwire,
    }
}

/// Checks what can be checked without a clock.
///
/// # Errors
/// As [`create`], but for [`NewKeyError::Expired`].
pub fn check(new: &NewKey) -> Result<(), NewKeyError> {
    if new.kind == KeyKind::Public {
        check_public(new)?;
    }
    if let Some(what) = leaks(new) {
        return Err(NewKeyError::Key(what));
    }
    if new.name.trim().is_empty() || !is_line(&new.name, LONGEST_NAME) {
        return Err(NewKeyError::Name(new.name.clone()));
    }
    if let Some(account) = new.account.as_ref().filter(|account| !is_account(account)) {
        return Err(NewKeyError::Account(account.clone()));
    }
    let scopes = if let GrantSpec::Custom(scopes) = &new.grant { &**scopes } else { &[] };
    if let Some(scope) = scopes.iter().find(|scope| !is_scope_name(scope)) {
        return Err(NewKeyError::Scope((&**scope).into()));
    }
    if new.is_tripwire && new.grant != GrantSpec::nothing() {
        return Err(NewKeyError::Tripwire);
    }
    if new.attributes.iter().any(|(name, _)| &**name == ACCOUNT) {
        return Err(NewKeyError::AccountAttribute);
    }
    if let Some((name, _)) = new.attributes.iter().find(|(name, value)| !is_attribute(name, value)) {
        return Err(NewKeyError::Attribute(name.clone()));
    }
    if new.note.as_ref().is_some_and(|note| !is_line(note, LONGEST_NOTE)) {
        return Err(NewKeyError::Note);
    }
    let counts = [("scopes", scopes.len()), ("attributes", new.attributes.len()), ("networks", new.allow_from.len())];
    if let Some((what, _)) = counts.into_iter().find(|(_, count)| *count > MOST_ITEMS) {
        return Err(NewKeyError::TooMany(what));
    }
    match (new.not_before, new.expires) {
        (Some(begin), Some(expires)) if expires <= begin => Err(NewKeyError::NeverValid { begin, expires }),
        _ => Ok(()),
    }
}

/// What of it holds a key of ours: all of this is shown, logged and written into the audit.
fn leaks(new: &NewKey) -> Option<&'static str> {
    let is_of = |text: &Option<Box<str>>| text.as_deref().is_some_and(holds_key);
    let scopes = if let GrantSpec::Custom(scopes) = &new.grant { &**scopes } else { &[] };
    let places = [
        ("name", holds_key(&new.name)),
        ("note", is_of(&new.note)),
        ("account", is_of(&new.account)),
        ("attributes", new.attributes.iter().any(|(name, value)| holds_key(name) || holds_key(value))),
        ("scopes", scopes.iter().any(|scope| holds_key(scope))),
    ];
    places.into_iter().find(|(_, holds)| *holds).map(|(what, _)| what)
}

/// A public key identifies an account, and nothing else is to be said of it but a name and attributes.
fn check_public(new: &NewKey) -> Result<(), NewKeyError> {
    let has_no_scopes = new.grant == GrantSpec::nothing();
    let excess = [
        (!has_no_scopes, "scopes and no level: it opens the routes for public keys, and no others"),
        (new.is_tripwire, "alarm: everybody may know it"),
        (
            new.not_before.is_some() || new.expires.is_some(),
            "first and no last day: switch it off by `keys disable`, or end it by `keys revoke`",
        ),
        (!new.allow_from.is_empty(), "networks: pages send it from everywhere"),
    ];
    match (excess.into_iter().find(|(is_there, _)| *is_there), &new.account) {
        (Some((_, what)), _) => Err(NewKeyError::Public(what)),
        (None, None) => Err(NewKeyError::NoAccount),
        (None, Some(_)) => Ok(()),
    }
}

/// Why a key cannot be made as asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant means")]
pub enum NewKeyError {
    #[error("the account `{}` is no account id: use 1 to 128 visible ASCII characters", short(.0))]
    Account(Box<str>),
    #[error(
        "the attribute `{ACCOUNT}` cannot be given: it is the account that the key belongs to, so name that (`--account`, or `account` in a file)"
    )]
    AccountAttribute,
    #[error(
        "the attribute `{}` cannot be: names are 1 to 64 ASCII letters, digits, `_` or `-`, values 1 to {LONGEST_NAME} characters without control or invisible ones",
        short(.0)
    )]
    Attribute(Box<str>),
    #[error("the key would have expired at {0}, which is past: choose a later date")]
    Expired(Timestamp),
    #[error(
        "a key stands in the {0}, where everybody would read it: leave it out, and where others may have seen it, rotate it"
    )]
    Key(&'static str),
    #[error(
        "the name \"{}\" cannot be: use 1 to {LONGEST_NAME} characters, not all blank, without control or invisible ones",
        short(.0)
    )]
    Name(Box<str>),
    #[error("the key would expire at {expires} and begin only at {begin}: choose a later end")]
    NeverValid { begin: Timestamp, expires: Timestamp },
    #[error("a public key says which account it is: name its account")]
    NoAccount,
    #[error(
        "the note is too long, or has control or invisible characters: use at most {LONGEST_NOTE} characters, all of them visible"
    )]
    Note,
    #[error("a public key has no {0}")]
    Public(&'static str),
    #[error(
        "`{}` is no scope: use visible ASCII characters without `\"`, `\\`, `,` and `*` (for every scope, use the level full)",
        short(.0)
    )]
    Scope(Box<str>),
    #[error("too many {0} for one key: at most {MOST_ITEMS}")]
    TooMany(&'static str),
    #[error("a tripwire opens nothing: give it neither scopes nor a level")]
    Tripwire,
}

/// Text of one line that cannot play tricks on a terminal or a log.
pub(super) fn is_line(text: &str, longest: usize) -> bool {
    // Most texts are of this sort, and none of its characters is invisible.
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (is_plain && text.len() <= longest) || (text.chars().count() <= longest && !text.chars().any(is_invisible))
}

/// Whether it can be an account: 1 to 128 visible ASCII characters, since it stands in a header and, for `bind`, in a
/// path.
pub fn is_account(account: &str) -> bool {
    (1..=LONGEST_NAME).contains(&account.len()) && account.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_attribute(name: &str, value: &str) -> bool {
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(in_name) && !value.is_empty() && is_line(value, LONGEST_NAME)
}

#[cfg(test)]
mod tests;
