//! Accounts: whom keys belong to. They nest one level, and what becomes of one becomes of its keys.
//!
//! INVARIANT: nothing that happens to an account changes a record of a key. A key works where its own record says so and no
//! account above it says otherwise; so enabling an account brings its keys back as they were, and none that was ended. The
//! parent and the credential of an account never change, and a deletion is final.

use std::collections::HashMap;
use std::sync::Arc;

use super::leak::holds_key;
use super::lifecycle::{LONGEST_NAME, is_line};
use super::visible::short;
use super::{KeyRecord, KeyState, Timestamp};

/// The longest name of an upstream credential, in bytes.
const LONGEST_CREDENTIAL: usize = 64;

/// What is known of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRecord {
    /// What keys name it by: 1 to 128 visible ASCII characters, unique in a store for ever.
    pub id: Box<str>,
    /// What people call it.
    pub name: Box<str>,
    /// The account that it is a sub-account of. Never changes.
    pub parent: Option<Box<str>>,
    /// Whether its keys may work.
    pub state: AccountState,
    /// The name of the upstream credential that requests of its keys are sent on with. Never changes.
    pub credential: Option<Box<str>>,
    /// When it was made.
    pub created: Timestamp,
    /// When its state last changed.
    pub changed: Timestamp,
}

/// Whether the keys of an account may work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountState {
    /// They may.
    Active,
    /// It is gone for good. Its id is not given again.
    Deleted,
    /// They may not, nor may those of its sub-accounts, until it is enabled again.
    Disabled,
}

/// What is asked for when an account is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAccount {
    /// Its id.
    pub id: Box<str>,
    /// Its name; the id where there is none.
    pub name: Option<Box<str>>,
    /// The account that it shall be a sub-account of.
    pub parent: Option<Box<str>>,
    /// The upstream credential of its keys.
    pub credential: Option<Box<str>>,
}

/// What may happen to an account that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountTransition {
    /// End it for good.
    Delete,
    /// Stop its keys and those of its sub-accounts for a while.
    Disable,
    /// Let them work again.
    Enable,
}

/// What stands in the way of the deletion of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Keys that may work now or once they are enabled.
    pub keys: usize,
    /// Sub-accounts.
    pub children: usize,
}

/// What a key has of its account, beside the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Affiliation {
    /// The account, or the one above it, is disabled or gone.
    pub is_suspended: bool,
    /// The name of the account's upstream credential, or of that of the account above it.
    pub credential: Option<Box<str>>,
    /// The sub-accounts of the account, in order, which a key of it is bound to as well. One copy for all keys of it.
    pub children: Arc<[Box<str>]>,
}

impl AccountState {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleted => "deleted",
            Self::Disabled => "disabled",
        }
    }
}

/// Makes the record of a new account under `parent`, which is the one that it names.
///
/// # Errors
/// What was asked for cannot be: each [`AccountError`] says what and how to mend it.
pub fn create(new: NewAccount, parent: Option<&AccountRecord>, now: Timestamp) -> Result<AccountRecord, AccountError> {
    let texts = [Some(&new.id), new.name.as_ref(), new.parent.as_ref(), new.credential.as_ref()];
    if texts.into_iter().flatten().any(|text| holds_key(text)) {
        return Err(AccountError::Key);
    }
    if !is_new_account(&new.id) {
        return Err(AccountError::Id(new.id));
    }
    let name = new.name.unwrap_or_else(|| new.id.clone());
    if name.trim().is_empty() || !is_line(&name, LONGEST_NAME) {
        return Err(AccountError::Name(name));
    }
    if let Some(credential) = new.credential.as_ref().filter(|name| !is_credential(name)) {
        return Err(AccountError::Credential(credential.clone()));
    }
    match (&new.parent, parent) {
        (None, _) => {}
        (Some(named), _) if *named == new.id => return Err(AccountError::Nested { id: new.id, parent: named.clone() }),
        (Some(_), Some(parent)) if parent.state == AccountState::Deleted => {
            return Err(AccountError::Deleted { id: parent.id.clone(), since: parent.changed });
        }
        (Some(_), Some(parent)) if parent.parent.is_some() => {
            return Err(AccountError::Nested { id: new.id, parent: parent.id.clone() });
        }
        (Some(_), Some(_)) => {}
        (Some(named), None) => return Err(AccountError::Unknown { id: named.clone(), near: None }),
    }
    Ok(AccountRecord {
        id: new.id,
        name,
        parent: new.parent,
        state: AccountState::Active,
        credential: new.credential,
        created: now,
        changed: now,
    })
}

impl AccountTransition {
    /// The word for it, as on the command line and in the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Disable => "disable",
            Self::Enable => "enable",
        }
    }

    /// The record after it. A transition to the state that the account is in already changes nothing, not even `changed`.
    ///
    /// # Errors
    /// An account that is deleted comes back by nothing; one with keys or sub-accounts cannot be deleted.
    pub fn apply(self, record: AccountRecord, holds: Holdings, now: Timestamp) -> Result<AccountRecord, AccountError> {
        let state = match self {
            Self::Delete => AccountState::Deleted,
            Self::Disable => AccountState::Disabled,
            Self::Enable => AccountState::Active,
        };
        if record.state == state {
            return Ok(record);
        }
        if record.state == AccountState::Deleted {
            return Err(AccountError::Deleted { id: record.id, since: record.changed });
        }
        if state == AccountState::Deleted && holds != Holdings::default() {
            return Err(AccountError::Holds { id: record.id, holds });
        }
        Ok(AccountRecord { state, changed: now, ..record })
    }
}

impl Holdings {
    /// Whether a key keeps its account from being deleted: one that has ended does not.
    pub fn counts(record: &KeyRecord, now: Timestamp) -> bool {
        matches!(record.state, KeyState::Active | KeyState::Disabled) && !record.is_expired(now)
    }
}

impl Affiliation {
    /// What keys have of an account, from it, the one above it and those below it. Of those below, the ones that are deleted
    /// are none.
    pub fn of<'a>(
        account: &AccountRecord,
        parent: Option<&AccountRecord>,
        children: impl Iterator<Item = &'a AccountRecord>,
    ) -> Self {
        // One that names a parent which is not there is under nobody's eyes.
        let is_orphan = account.parent.is_some() && parent.is_none();
        let stops = |account: &AccountRecord| account.state != AccountState::Active;
        let there = children.filter(|child| child.state != AccountState::Deleted);
        let mut there: Vec<Box<str>> = there.map(|child| child.id.clone()).collect();
        there.sort_unstable();
        Self {
            is_suspended: is_orphan || stops(account) || parent.is_some_and(stops),
            credential: account.credential.clone().or_else(|| parent.and_then(|parent| parent.credential.clone())),
            children: there.into(),
        }
    }

    /// What keys have of each of some accounts, by the id of the account. Each account is looked at once, however many there are.
    pub fn of_each(accounts: &[AccountRecord]) -> HashMap<&str, Self> {
        let by_id: HashMap<&str, &AccountRecord> = accounts.iter().map(|account| (&*account.id, account)).collect();
        let mut below: HashMap<&str, Vec<&AccountRecord>> = HashMap::new();
        for child in accounts {
            if let Some(parent) = &child.parent {
                below.entry(parent).or_default().push(child);
            }
        }
        let of = |account: &AccountRecord| {
            let parent = account.parent.as_deref().and_then(|parent| by_id.get(parent).copied());
            Self::of(account, parent, below.get(&*account.id).into_iter().flatten().copied())
        };
        accounts.iter().map(|account| (&*account.id, of(account))).collect()
    }

    /// What a key has of an account that is not there: it does not work.
    pub fn of_none() -> Self {
        Self { is_suspended: true, ..Self::default() }
    }

    /// Whether it says no more than that the account is there.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether an account may be made with this id. It stands in headers, in logs and, for `bind`, in a segment of a path, where it
/// must mean nothing else and be written in one way. Older accounts have others
/// ([`is_account`](super::lifecycle::is_account)).
fn is_new_account(id: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-~@+:".contains(&byte);
    (1..=LONGEST_NAME).contains(&id.len())
        && id.bytes().all(allowed)
        && id.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '_')
}

/// A name that can stand in `upstream.credentials`, and in a sentence.
fn is_credential(name: &str) -> bool {
    (1..=LONGEST_CREDENTIAL).contains(&name.len()) && is_line(name, LONGEST_CREDENTIAL)
}

/// Why an account cannot be made or changed as asked, or a key cannot be of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant means")]
pub enum AccountError {
    #[error(
        "`{}` differs by the case of letters alone from the account {known}, and people would take one for the other: choose another id",
        short(.id)
    )]
    Alike { id: Box<str>, known: Box<str> },
    #[error("the name of an upstream credential \"{}\" cannot be: use 1 to {LONGEST_CREDENTIAL} characters, without control or invisible ones", short(.0))]
    Credential(Box<str>),
    #[error("the account {id} was deleted at {since}, and that is final: choose another id")]
    Deleted { id: Box<str>, since: Timestamp },
    #[error("there is an account {0} already: `scopegate accounts show {0}` shows it")]
    Exists(Box<str>),
    #[error("the account {id} cannot be deleted: it has {}; revoke or delete these first, or disable the account", in_words(.holds))]
    Holds { id: Box<str>, holds: Holdings },
    #[error(
        "`{}` cannot be the id of an account: use 1 to 128 ASCII letters, digits and `._-~@+:`, with a letter, a digit or `_` first",
        short(.0)
    )]
    Id(Box<str>),
    #[error(
        "a key stands in the account's id, name or credential, where everybody would read it: leave it out, and where others may have seen it, rotate it"
    )]
    Key,
    #[error("the name of an account \"{}\" cannot be: use 1 to {LONGEST_NAME} characters, not all blank, without control or invisible ones", short(.0))]
    Name(Box<str>),
    #[error("{id} cannot be a sub-account of {parent}, which is one itself: accounts nest one level")]
    Nested { id: Box<str>, parent: Box<str> },
    #[error("there is no account `{}`{}: `scopegate accounts create` makes one, `scopegate accounts list` shows them all", short(.id), near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    Unknown { id: Box<str>, near: Option<Box<str>> },
}

fn in_words(holds: &Holdings) -> String {
    let count = |count: usize, one: &str, many: &str| match count {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{count} {many}")),
    };
    let both = [
        count(holds.keys, "key that has not ended", "keys that have not ended"),
        count(holds.children, "sub-account", "sub-accounts"),
    ];
    both.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests;
