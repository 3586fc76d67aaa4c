//! What keys have to do with accounts, on the command line.

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::view;
use crate::cli::{Console, Failure};
use crate::key::account::{AccountError, AccountRecord, AccountState, Affiliation};
use crate::key::visible::escaped;
use crate::key::{KeyId, KeyKind, KeyRecord, KeyState, Timestamp};
use crate::policy::nearest;
use crate::store::{KeyStore, StoreError, Strangers};

/// The state of an active key that its account stops.
pub(in crate::cli) const ACCOUNT_DISABLED: &str = "account disabled";

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

/// Accounts that stop their keys, each with why.
pub(in crate::cli) struct Suspensions(HashMap<Box<str>, String>);

impl Suspensions {
    pub(in crate::cli) fn of(accounts: &[AccountRecord]) -> Self {
        let known: HashMap<&str, &AccountRecord> = accounts.iter().map(|account| (&*account.id, account)).collect();
        let each = Affiliation::of_each(accounts);
        let why = |account: &AccountRecord| {
            let above = account.parent.as_deref();
            let parent = above.and_then(|above| known.get(above).copied());
            let id = &account.id;
            let is_suspended = each.get(&**id).is_some_and(|affiliation| affiliation.is_suspended);
            is_suspended.then(|| match (account.state, above) {
                (AccountState::Active, Some(above)) => {
                    let state = parent.map_or("missing", |parent| parent.state.as_str());
                    format!("the account {above} is {state}, and {id} is a sub-account of it")
                }
                (state, _) => format!("the account {id} is {}", state.as_str()),
            })
        };
        Self(accounts.iter().filter_map(|account| Some((account.id.clone(), why(account)?))).collect())
    }

    /// Why keys of an account do not work; `None` where they may.
    pub(in crate::cli) fn of_account(&self, account: &str) -> Option<&str> {
        self.0.get(account).map(String::as_str)
    }

    /// Why a key does not work though it has not ended; `None` where its account lets it.
    pub(in crate::cli) fn of_key(&self, record: &KeyRecord) -> Option<&str> {
        let is_there = matches!(record.state, KeyState::Active | KeyState::Disabled);
        record.account.as_deref().filter(|_| is_there).and_then(|account| self.of_account(account))
    }

    /// The state as a caller meets it: of an active key the account has a say.
    pub(in crate::cli) fn state(&self, record: &KeyRecord, now: Timestamp) -> &'static str {
        match view::state(record, now) {
            "active" if self.of_key(record).is_some() => ACCOUNT_DISABLED,
            state => state,
        }
    }

    /// Puts into the JSON of a key what its account makes of it.
    pub(in crate::cli) fn complete(&self, object: &mut Value, record: &KeyRecord, now: Timestamp) {
        if let Value::Object(fields) = object {
            fields.insert("state".to_owned(), self.state(record, now).into());
            fields.insert("account_works".to_owned(), self.of_key(record).is_none().into());
        }
    }

    /// Says why keys do not work that are not disabled themselves, for a few accounts.
    pub(super) fn tell(&self, records: &[KeyRecord], console: &mut Console) {
        const FEW: usize = 3;
        let mut why: Vec<&str> = records.iter().filter_map(|record| self.of_key(record)).collect();
        why.sort_unstable();
        why.dedup();
        for why in why.iter().take(FEW) {
            let mut letters = why.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase()).unwrap_or_default();
            console.note(format_args!("{first}{}.", letters.as_str()));
        }
        if let Some(more) = why.len().checked_sub(FEW).filter(|more| *more > 0) {
            console.note(format_args!("{more} more accounts stop their keys: `scopegate accounts list` shows them."));
        }
    }
}

/// Says of a key that was just made that its account stops it.
pub(super) fn warn_of_suspended(store: &mut dyn KeyStore, record: &KeyRecord, console: &mut Console) {
    // The key is there: that its account cannot be asked is no reason not to show it.
    let accounts = store.accounts().unwrap_or_default();
    if let Some(why) = Suspensions::of(&accounts).of_key(record) {
        console.warn(format_args!("{why}, so the key does not work yet"));
    }
}

/// The credential of an account, its own or that of the one above it, where that is none of `known`.
pub(super) fn missing_credential<'a>(accounts: &'a [AccountRecord], id: &str, known: &[Box<str>]) -> Option<&'a str> {
    let find = |id: &str| accounts.iter().find(|account| *account.id == *id);
    let account = find(id)?;
    let above = || find(account.parent.as_deref()?)?.credential.as_deref();
    let credential = account.credential.as_deref().or_else(above)?;
    known.iter().all(|name| **name != *credential).then_some(credential)
}
