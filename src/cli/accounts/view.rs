//! Accounts for a reader and for a program.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::cli::Failure;
use crate::cli::keys::accounts::Suspensions;
use crate::cli::keys::table::{self, Shown};
use crate::cli::keys::usage;
use crate::cli::keys::view::{day, state, to_json as key_to_json};
use crate::cli::stored;
use crate::config::RotateAfter;
use crate::key::account::{AccountRecord, AccountState};
use crate::key::visible::escaped;
use crate::key::{KeyRecord, KeyState, Timestamp};
use crate::store::uses::Count;
use crate::store::{KeyStore, StoreError};

/// The states of keys that are counted, in the order in which they are told.
const STATES: [&str; 4] = ["active", "disabled", "expired", "revoked"];

/// The accounts of a store with their keys, as they are now.
pub(super) struct Ledger {
    accounts: Vec<AccountRecord>,
    keys: HashMap<Box<str>, Vec<KeyRecord>>,
    suspensions: Suspensions,
    now: Timestamp,
}

/// How the keys of an account were used, all together.
pub(super) struct Uses {
    own: Count,
    /// Those of each sub-account, by its id.
    below: HashMap<Box<str>, Count>,
}

impl Uses {
    /// With those of the sub-accounts.
    fn all(&self) -> Count {
        self.below.values().fold(self.own, |mut sum, count| {
            sum.add(*count);
            sum
        })
    }
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
        let suspensions = Suspensions::of(&accounts);
        Ok(Self { accounts, keys, suspensions, now: Timestamp::now() })
    }

    /// How the keys of an account were used; `None` where the store takes nothing down.
    pub(super) fn uses(&self, account: &AccountRecord, store: &mut dyn KeyStore) -> Result<Option<Uses>, StoreError> {
        if !store.records_use() {
            return Ok(None);
        }
        let mut sum = |account: &AccountRecord| {
            self.keys(account).iter().try_fold(Count::NONE, |mut sum, key| {
                sum.add(store.use_of(&key.id)?.whole.unwrap_or(Count::NONE));
                Ok::<_, StoreError>(sum)
            })
        };
        let own = sum(account)?;
        let below = self.children(account).map(|child| Ok((child.id.clone(), sum(child)?)));
        Ok(Some(Uses { own, below: below.collect::<Result<_, StoreError>>()? }))
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
        match account.state {
            AccountState::Active if self.suspensions.of_account(&account.id).is_some() => "parent disabled".to_owned(),
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
            fields.insert("keys_work".to_owned(), self.suspensions.of_account(&account.id).is_none().into());
            fields.insert("key_counts".to_owned(), counts.into());
        }
        object
    }

    /// The same with its keys, its sub-accounts and their use.
    pub(super) fn to_long_json(&self, account: &AccountRecord, uses: Option<&Uses>) -> Value {
        let mut object = self.to_json(account);
        if let Value::Object(fields) = &mut object {
            let key = |key: &KeyRecord| {
                let mut object = key_to_json(key, self.now);
                self.suspensions.complete(&mut object, key, self.now);
                object
            };
            let child = |child: &AccountRecord| {
                let mut object = self.to_json(child);
                if let Value::Object(fields) = &mut object {
                    fields.insert("use".to_owned(), usage::sum_to_json(below(uses, child)));
                }
                object
            };
            let keys: Vec<Value> = self.keys(account).iter().map(key).collect();
            let children: Vec<&str> = self.children(account).map(|child| &*child.id).collect();
            fields.insert("use".to_owned(), usage::sum_to_json(uses.map(|uses| uses.own)));
            fields.insert("use_with_children".to_owned(), usage::sum_to_json(uses.map(Uses::all)));
            fields.insert("keys".to_owned(), keys.into());
            fields.insert("children".to_owned(), json!(children));
            fields.insert("sub_accounts".to_owned(), self.children(account).map(child).collect());
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
                day(Some(account.created), "-"),
            ]
        };
        let header = ["ID", "NAME", "STATE", "KEYS", "CREDENTIAL", "CREATED"];
        format!("{}", stored::table_of_ids(header, ordered.iter().map(row), width))
    }

    /// An account as names and values, those that are not set left out.
    pub(super) fn lines(&self, account: &AccountRecord, uses: Option<&Uses>) -> Vec<(&'static str, String)> {
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
            ("state", Some(self.standing(account))),
            ("credential", credential),
            ("created", Some(account.created.to_string())),
            ("changed", changed.map(|date| date.to_string())),
            ("keys", Some(in_words(self.counts(account)))),
        ];
        let mut lines: Vec<_> = lines.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        lines.extend(usage::sum_lines(uses.map(|uses| uses.own)));
        if let Some(uses) = uses.filter(|uses| !uses.below.is_empty()) {
            lines.push(("in all", format!("{}, with those of its sub-accounts", usage::requests(uses.all()))));
        }
        lines
    }

    /// The keys of an account as `keys list` shows them, and its sub-accounts with a line each; what there is of them.
    pub(super) fn tables(
        &self,
        account: &AccountRecord,
        uses: Option<&Uses>,
        (rotate_after, width): (RotateAfter, Option<usize>),
    ) -> Vec<String> {
        let (keys, children) = (self.keys(account), self.children(account));
        let shown =
            Shown { ages: (self.now, rotate_after), suspensions: &self.suspensions, width, hidden: Some("ACCOUNT") };
        let row = |child: &AccountRecord| {
            let count = below(uses, child);
            let last = count.filter(|count| *count != Count::NONE).map(|count| count.last);
            [
                child.id.to_string(),
                self.standing(child),
                in_words(self.counts(child)),
                count.map_or_else(|| "-".to_owned(), usage::requests),
                table::age(last, self.now, width),
            ]
        };
        let rows: Vec<_> = children.map(row).collect();
        let header = ["SUB-ACCOUNT", "STATE", "KEYS", "REQUESTS", "LAST USED"];
        let keys = (!keys.is_empty()).then(|| table::render(keys, &shown));
        let children = (!rows.is_empty()).then(|| format!("{}", stored::table_of_ids(header, rows, width)));
        [keys, children].into_iter().flatten().collect()
    }
}

/// How the keys of a sub-account were used.
fn below(uses: Option<&Uses>, child: &AccountRecord) -> Option<Count> {
    uses.and_then(|uses| uses.below.get(&child.id).copied())
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
