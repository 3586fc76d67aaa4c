//! What the log says of accounts, held against the accounts that are there. Their records say little, so all of it is compared:
//! one that was edited past the log does not come of its entries.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Entry;
use crate::key::account::{AccountRecord, AccountState};
use crate::store::Revision;

/// The accounts that a log tells of, entry by entry from the first one on.
#[derive(Debug, Default)]
pub struct ToldAccounts(BTreeMap<Box<str>, Told>);

/// An account as its entries leave it.
#[derive(Debug)]
struct Told {
    record: AccountRecord,
    /// The number of the last of them.
    last: u64,
    /// The log does not say when it was made: it is older than entries about accounts.
    is_older: bool,
}

impl ToldAccounts {
    /// Takes in the next entry.
    pub fn follow(&mut self, entry: &Entry) {
        let (None, Some(id)) = (&entry.key, &entry.account) else { return };
        let said = |name: &str| entry.detail.as_ref()?.get(name).and_then(Value::as_str).map(Box::from);
        let told = self.0.entry(id.clone()).or_insert_with(|| {
            let record = AccountRecord {
                id: id.clone(),
                name: said("name").unwrap_or_else(|| id.clone()),
                parent: said("parent"),
                state: AccountState::Active,
                credential: said("credential"),
                created: entry.at,
                changed: entry.at,
            };
            Told { record, last: entry.number, is_older: &*entry.action != "create" }
        });
        match &*entry.action {
            "delete" => told.record.state = AccountState::Deleted,
            "disable" => told.record.state = AccountState::Disabled,
            "enable" => told.record.state = AccountState::Active,
            _ => {}
        }
        (told.record.changed, told.last) = (entry.at, entry.number);
    }

    /// The accounts, by id, that are not what its entries say, have none, or are missing. `accounts` are all there are, each
    /// with the number of its last change: [`Revision::START`] for one that is older than entries about accounts, which has
    /// nothing but its id then.
    pub fn unlogged<'a>(mut self, accounts: impl Iterator<Item = (&'a AccountRecord, Revision)>) -> Vec<Box<str>> {
        let is_as_told = |account: &AccountRecord, last: Revision, told: Option<Told>| match told {
            Some(Told { mut record, last: told, is_older }) => {
                if is_older {
                    record.created = account.created;
                }
                told == last.0 && record == *account
            }
            None => last == Revision::START && is_plain(account),
        };
        let mut strange: Vec<Box<str>> = accounts
            .filter_map(|(account, last)| {
                let told = self.0.remove(&account.id);
                (!is_as_told(account, last, told)).then(|| account.id.clone())
            })
            .collect();
        // Those that are left have entries alone.
        strange.extend(self.0.into_keys());
        strange.sort_unstable();
        strange
    }
}

/// Whether an account has nothing but its id.
fn is_plain(account: &AccountRecord) -> bool {
    let AccountRecord { id, name, parent, state, credential, created, changed } = account;
    name == id && parent.is_none() && credential.is_none() && *state == AccountState::Active && created == changed
}
