//! Who is asking, as far as the gateway could tell before the policy is asked.

use std::cmp::Ordering;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::scope::Grant;

/// An authenticated caller: the part of a key record that decisions need. Small, and a clone shares what it holds: a million
/// keys have few different rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    account: Option<Arc<Account>>,
    rights: Arc<Rights>,
}

/// Whom keys belong to: one copy for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    mark: u64,
    name: Box<str>,
    /// The accounts below it, in order: there may be thousands.
    children: Arc<[Box<str>]>,
}

/// What keys may do, whosever they are: one copy for all that may do the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rights {
    mark: u64,
    kind: Kind,
    grant: Grant,
    words: Box<str>,
    attributes: Box<[(Box<str>, Box<str>)]>,
}

impl Principal {
    /// A key with these rights, of an account or of none.
    pub const fn new(account: Option<Arc<Account>>, rights: Arc<Rights>) -> Self {
        Self { account, rights }
    }

    /// Whom the key belongs to.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref().map(Account::name)
    }

    /// The accounts below that of the key, in order.
    #[must_use]
    pub fn children(&self) -> Option<&Arc<[Box<str>]>> {
        self.account.as_deref().map(Account::children)
    }

    /// What the key may do, whosever it is.
    #[must_use]
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Which routes the key may be used on at all.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.rights.kind
    }

    /// What the key holds.
    #[must_use]
    pub fn grant(&self) -> &Grant {
        &self.rights.grant
    }

    /// Every value that the key has of `attribute`. `account` has the key's own account first, then its children.
    pub fn values<'p>(&'p self, attribute: &'p str) -> impl Iterator<Item = &'p str> {
        let account = self.account.as_deref().filter(|_| attribute == "account");
        let family = account
            .into_iter()
            .flat_map(|account| std::iter::once(account.name()).chain(account.children.iter().map(|child| &**child)));
        family.chain(self.others(attribute))
    }

    /// Whether one of the values that the key has of `attribute` is what is looked for: `order` tells how a value stands to it.
    pub(super) fn has_value(&self, attribute: &str, order: impl Fn(&str) -> Ordering) -> bool {
        let account = self.account.as_deref().filter(|_| attribute == "account");
        account.is_some_and(|account| {
            order(account.name()).is_eq() || account.children.binary_search_by(|child| order(child)).is_ok()
        }) || self.others(attribute).any(|value| order(value).is_eq())
    }

    fn others<'p>(&'p self, attribute: &'p str) -> impl Iterator<Item = &'p str> {
        let others = self.rights.attributes.iter().filter(move |(name, _)| &**name == attribute);
        others.map(|(_, value)| &**value)
    }

    /// A number that another caller has who may do something else, or for someone else.
    #[must_use]
    pub fn mark(&self) -> u64 {
        let account = self.account.as_ref().map_or(0, |account| account.mark);
        self.rights.mark ^ account.rotate_left(1)
    }
}

impl Account {
    /// The account of that name.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self::with_children(name, Arc::default())
    }

    /// The account of that name, with those below it, which its keys are bound to as well.
    pub fn with_children(name: impl Into<Box<str>>, mut children: Arc<[Box<str>]>) -> Self {
        if !children.is_sorted() {
            let mut sorted = children.to_vec();
            sorted.sort_unstable();
            children = sorted.into();
        }
        let name = name.into();
        Self { mark: mark(&name), name, children }
    }

    /// The accounts below it, in order.
    #[must_use]
    pub const fn children(&self) -> &Arc<[Box<str>]> {
        &self.children
    }

    /// Its name, as keys have it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Rights {
    /// The rights that a grant gives to keys of a kind. `words` are the grant as the upstream is told it. `attributes` are name
    /// and value of what such a key is bound to; a name may stand more than once: each value is as good as another. The account
    /// need not be repeated there.
    #[must_use]
    pub fn new(
        kind: Kind,
        (grant, words): (Grant, impl Into<Box<str>>),
        attributes: Box<[(Box<str>, Box<str>)]>,
    ) -> Self {
        let words = words.into();
        // A new child must not end what goes on under the others.
        let own: Vec<_> = attributes.iter().filter(|(name, _)| &**name != "account").collect();
        Self { mark: mark(&(kind, &words, own)), kind, grant, words, attributes }
    }

    /// The grant as the upstream is told it: `lists:read profiles:read`, `*`, `*:read`.
    #[must_use]
    pub fn words(&self) -> &str {
        &self.words
    }

    /// Name and value of what the key is bound to.
    #[must_use]
    pub fn attributes(&self) -> &[(Box<str>, Box<str>)] {
        &self.attributes
    }
}

/// Equal values have one number, and different ones have different numbers as far as 64 bits can tell them apart.
fn mark(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl Hash for Account {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.mark);
    }
}

impl Hash for Rights {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.mark);
    }
}

/// The kind of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
    /// The key was laid to be found: it opens nothing, and whoever uses it is told what the holder of an ended key is told.
    Tripwire,
    /// No record has its digest.
    Unknown,
}
