//! What keys have to do with accounts, on the command line.

use std::collections::{HashMap, HashSet};

use crate::cli::Failure;
use crate::key::account::{AccountError, AccountRecord, AccountState, Affiliation};
use crate::key::visible::escaped;
use crate::key::{KeyId, KeyKind, KeyRecord, KeyState};
use crate::policy::nearest;
use crate::store::{StoreError, Strangers};

/// Why a key was not made: what was asked for names an account that is not there, or the store says no.
pub(super) fn refusal(error: StoreError) -> Failure {
    match error {
        StoreError::Account(AccountError::Unknown { id, near }) => Failure::usage(AccountError::Unknown { id, near }),
        other => Failure::failed(other),
    }
}

/// The accounts of a store and their public keys, which keys that are to be added are held against.
pub(super) struct Roll {
    there: HashSet<Box<str>>,
    public: HashMap<Box<str>, KeyId>,
    strangers: Strangers,
}

impl Roll {
    pub(super) fn new(accounts: &[AccountRecord], strangers: Strangers) -> Self {
        let there = accounts.iter().filter(|account| account.state != AccountState::Deleted);
        Self { there: there.map(|account| account.id.clone()).collect(), public: HashMap::new(), strangers }
    }

    /// Takes down that a key is there.
    pub(super) fn note(&mut self, record: &KeyRecord) {
        let can_work = matches!(record.state, KeyState::Active | KeyState::Disabled);
        if let Some(account) = record.account.as_ref().filter(|_| record.kind == KeyKind::Public && can_work) {
            self.public.insert(account.clone(), record.id.clone());
        }
    }

    /// What keeps a key from being added; one that can be is there from then on.
    pub(super) fn objection(&mut self, record: &KeyRecord) -> Option<String> {
        let account = record.account.as_ref()?;
        if self.strangers == Strangers::Refused && !self.there.contains(account) {
            let near = nearest(account, self.there.iter().map(|id| &**id));
            let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let shown = escaped(account);
            return Some(format!(
                "there is no account `{shown}`{near}: make it by `scopegate accounts create`, or all that are missing with --create-accounts"
            ));
        }
        let first = self.public.get(account).filter(|_| record.kind == KeyKind::Public).cloned();
        self.note(record);
        first.map(|first| format!("the account {account} has a public key already: {first}"))
    }
}

/// Which accounts stop their keys.
pub(in crate::cli) fn suspended(accounts: &[AccountRecord]) -> HashSet<&str> {
    let find = |id: &str| accounts.iter().find(|account| *account.id == *id);
    let is_suspended = |account: &&AccountRecord| {
        let parent = account.parent.as_deref().and_then(find);
        Affiliation::of(account, parent, std::iter::empty()).is_suspended
    };
    accounts.iter().filter(is_suspended).map(|account| &*account.id).collect()
}
