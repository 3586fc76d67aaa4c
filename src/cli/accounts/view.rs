//! Accounts for a reader and for a program.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::keys::accounts;
use crate::cli::keys::view::{long_grant, shape, state, to_json as key_to_json};
use crate::cli::stored;
use crate::key::account::{AccountRecord, AccountState};
use crate::key::visible::escaped;
use crate::key::{KeyRecord, KeyState, Timestamp};
use crate::store::KeyStore;

/// The states of keys that are counted, in the order in which they are told.
const STATES: [&str; 4] = ["active", "disabled", "expired", "revoked"];

/// The accounts of a store with their keys, as they are now.
pub(super) struct Ledger {
    accounts: Vec<AccountRecord>,
    keys: HashMap<Box<str>, Vec<KeyRecord>>,
    now: Timestamp,
}

impl Ledger {
    /// Reads all of them. Where a key file lists no accounts, those that its keys name are there.
    pub(super) fn read(store: &mut dyn KeyStore) -> Result<Self, Failure> {
        let mut accounts = store.accounts().map_err(Failure::failed)?;
        let mut keys: HashMap<Box<str>, Vec<KeyRecord>> = HashMap::new();
        for record in store.list().map_err(Failure::failed)? {
            if let Some(account) = record.account.clone().filter(|_| record.state != KeyState::Deleted) {
                keys.entry(account).or_default().push(record);
            }
        }
        let known: HashSet<Box<str>> = accounts.iter().map(|account| account.id.clone()).collect();
        for (id, keys) in keys.iter().filter(|(id, _)| !known.contains(*id)) {
            let made = keys.iter().map(|key| key.created).min().unwrap_or(Timestamp::MIN);
            accounts.push(AccountRecord {
                id: id.clone(),
                name: id.clone(),
                parent: None,
                state: AccountState::Active,
                credential: None,
                created: made,
                changed: made,
            });
        }
        accounts.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(Self { accounts, keys, now: Timestamp::now() })
    }

    /// Every account, by id.
    pub(super) fn accounts(&self) -> &[AccountRecord] {
        &self.accounts
    }

    fn keys(&self, account: &AccountRecord) -> &[KeyRecord] {
        self.keys.get(&account.id).map_or(&[], Vec::as_slice)
    }

    fn children(&self, account: &AccountRecord) -> impl Iterator<Item = &AccountRecord> {
        let is_child =
            |other: &&AccountRecord| other.parent.as_ref() == Some(&account.id) && other.state != AccountState::Deleted;
        self.accounts.iter().filter(is_child)
    }

    /// How many keys of an account are in each of the states.
    fn counts(&self, account: &AccountRecord) -> [usize; 4] {
        let count = |word: &str| self.keys(account).iter().filter(|key| state(key, self.now) == word).count();
        STATES.map(count)
    }

    /// The state, and whether the account above stops it.
    fn standing(&self, account: &AccountRecord) -> String {
        let by_parent = accounts::suspended(&self.accounts).contains(&*account.id);
        match account.state {
            AccountState::Active if by_parent => "disabled with its parent".to_owned(),
            state => state.as_str().to_owned(),
        }
    }

    /// An account as JSON, with how many keys it has.
    pub(super) fn to_json(&self, account: &AccountRecord) -> Value {
        let mut object = to_json(account);
        if let Value::Object(fields) = &mut object {
            let counts = STATES.into_iter().zip(self.counts(account));
            let counts: serde_json::Map<String, Value> =
                counts.map(|(word, count)| (word.to_owned(), count.into())).collect();
            let suspended = accounts::suspended(&self.accounts).contains(&*account.id);
            fields.insert("keys_work".to_owned(), (!suspended).into());
            fields.insert("key_counts".to_owned(), counts.into());
        }
        object
    }

    /// The same with its keys and its sub-accounts.
    pub(super) fn to_long_json(&self, account: &AccountRecord) -> Value {
        let mut object = self.to_json(account);
        if let Value::Object(fields) = &mut object {
            let keys: Vec<Value> = self.keys(account).iter().map(|key| key_to_json(key, self.now)).collect();
            let children: Vec<&str> = self.children(account).map(|child| &*child.id).collect();
            fields.insert("keys".to_owned(), keys.into());
            fields.insert("children".to_owned(), json!(children));
        }
        object
    }

    /// Accounts with a line each, sub-accounts behind the one that they belong to.
    pub(super) fn table(&self, accounts: &[&AccountRecord], width: Option<usize>) -> String {
        let mut ordered = accounts.to_vec();
        ordered.sort_by_key(|account| {
            (account.parent.as_ref().unwrap_or(&account.id), account.parent.is_some(), &account.id)
        });
        let row = |account: &&AccountRecord| {
            let id = if account.parent.is_some() { format!("\u{2514} {}", account.id) } else { account.id.to_string() };
            let name = if account.name == account.id { "-" } else { &account.name };
            [
                id,
                name.to_owned(),
                self.standing(account),
                in_words(self.counts(account)),
                account.credential.as_deref().unwrap_or("-").to_owned(),
                day(account.created),
            ]
        };
        let header = ["ID", "NAME", "STATE", "KEYS", "CREDENTIAL", "CREATED"];
        format!("{}", stored::table(header, ordered.iter().map(row), width))
    }

    /// An account as names and values, those that are not set left out.
    pub(super) fn lines(&self, account: &AccountRecord) -> Vec<(&'static str, String)> {
        let children: Vec<String> = self.children(account).map(|child| escaped(&child.id)).collect();
        let inherited = account.parent.as_deref().filter(|_| account.credential.is_none()).and_then(|parent| {
            let parent = self.accounts.iter().find(|other| *other.id == *parent)?;
            Some(format!("{}, of its parent", escaped(parent.credential.as_deref()?)))
        });
        let credential = account.credential.as_deref().map(escaped).or(inherited);
        let changed = Some(account.changed).filter(|changed| *changed != account.created);
        let lines = [
            ("id", Some(account.id.to_string())),
            ("name", Some(escaped(&account.name))),
            ("parent", account.parent.as_deref().map(escaped)),
            ("sub-accounts", Some(children.join(", ")).filter(|children| !children.is_empty())),
            ("state", Some(self.standing(account))),
            ("credential", credential),
            ("created", Some(account.created.to_string())),
            ("changed", changed.map(|date| date.to_string())),
            ("keys", Some(in_words(self.counts(account)))),
        ];
        lines.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }

    /// The keys of an account with a line each; `None` where it has none.
    pub(super) fn keys_table(&self, account: &AccountRecord, width: Option<usize>) -> Option<String> {
        let row = |key: &KeyRecord| {
            let last = key.last_used.map_or("-".to_owned(), |date| date.to_string());
            let name = key.name.to_string();
            [key.id.to_string(), name, shape(&key.value), long_grant(key), state(key, self.now).to_owned(), last]
        };
        let keys = self.keys(account);
        let header = ["ID", "NAME", "KEY", "GRANT", "STATE", "LAST USED"];
        (!keys.is_empty()).then(|| format!("{}", stored::table(header, keys.iter().map(row), width)))
    }
}

/// An account as JSON.
pub(super) fn to_json(account: &AccountRecord) -> Value {
    json!({
        "id": account.id,
        "name": account.name,
        "parent": account.parent,
        "state": account.state.as_str(),
        "credential": account.credential,
        "created": account.created.to_string(),
        "changed": account.changed.to_string(),
    })
}

fn in_words(counts: [usize; 4]) -> String {
    let told = STATES.into_iter().zip(counts).filter(|(_, count)| *count > 0);
    let told: Vec<String> = told.map(|(word, count)| format!("{count} {word}")).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

fn day(date: Timestamp) -> String {
    let text = date.to_string();
    text.split_once('T').map_or(text.as_str(), |(day, _)| day).to_owned()
}
