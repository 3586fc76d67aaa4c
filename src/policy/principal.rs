//! Who is asking, as far as the gateway could tell before the policy is asked.

use super::scope::Grant;

/// An authenticated caller: the part of a key record that decisions need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Id of the key record (`key_…`); never the key.
    pub key_id: Box<str>,
    /// The name that the key's maker gave it.
    pub name: Box<str>,
    /// Whom the key belongs to.
    pub account: Option<Box<str>>,
    /// Which routes the key may be used on at all.
    pub kind: Kind,
    /// What the key holds.
    pub grant: Grant,
    /// Name and value of what the key is bound to. A name may stand more than once: each value is as good as another.
    /// The account need not be repeated here; its children stand here under the name `account`.
    pub attributes: Box<[(Box<str>, Box<str>)]>,
}

impl Principal {
    /// Every value that the key has of `attribute`. `account` has the key's own account first, then its children.
    pub fn values<'p>(&'p self, attribute: &'p str) -> impl Iterator<Item = &'p str> {
        let account = self.account.as_deref().filter(|_| attribute == "account");
        let others = self.attributes.iter().filter(move |(name, _)| &**name == attribute);
        account.into_iter().chain(others.map(|(_, value)| &**value))
    }
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A visible id with a secret, sent as HTTP Basic. Good wherever a secret key is.
    Pair,
    /// A site id: it identifies an account and opens routes marked `auth: public-key` alone.
    Public,
    /// A private key.
    Secret,
}

/// What became of the credential, before any route is looked at.
#[derive(Clone, Copy, Debug)]
pub enum Caller<'k> {
    /// Different keys in more than one place, or a key header given twice.
    Ambiguous,
    /// No credential at all.
    Anonymous,
    /// A key whose time is over.
    Expired(&'k Principal),
    /// A credential that is no usable key.
    Invalid(Invalid),
    /// A key in force.
    Known(&'k Principal),
    /// A key in force, sent from an address that it does not allow.
    Misplaced(&'k Principal),
    /// The key store cannot be asked and the key is not in memory.
    StoreUnavailable,
}

impl<'k> Caller<'k> {
    /// The key record behind the credential, where there is one, also when it is refused.
    #[must_use]
    pub fn principal(&self) -> Option<&'k Principal> {
        match self {
            Self::Expired(principal) | Self::Known(principal) | Self::Misplaced(principal) => Some(principal),
            Self::Ambiguous | Self::Anonymous | Self::Invalid(_) | Self::StoreUnavailable => None,
        }
    }
}

/// Why a credential is no usable key. Callers see one answer for all of these; logs may tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Invalid {
    /// The account of the key, or the one above it, is switched off for now.
    AccountDisabled,
    /// The key is ended for good, and what it might do forgotten.
    Deleted,
    /// The key is switched off for now.
    Disabled,
    /// It cannot be a key: wrong form, or a wrong checksum behind our prefix.
    Malformed,
    /// The secret of a pair without its id, or an id with what is no secret of its.
    Mismatched,
    /// The key's time has not begun.
    NotYetValid,
    /// The key is switched off for good.
    Revoked,
    /// No record has its digest.
    Unknown,
}
