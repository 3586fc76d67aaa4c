//! Accounts in a file of keys: lines that say what an account is, so that its keys may do elsewhere what they may do here.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::row::{Field, Row};
use crate::key::Timestamp;
use crate::key::account::{self, AccountError, AccountRecord, AccountState, AccountTransition, NewAccount};
use crate::key::visible::escaped;
use crate::store::{KeyStore, Stamp, StoreError, Strangers};

/// What tells such a line from one of a key: `"record": "account"`.
pub(super) const MARK: &str = "record";

/// The fields of such a line.
const FIELDS: [&str; 6] = ["credential", "id", "name", "parent", MARK, "state"];

/// An account that a line describes.
#[derive(Debug)]
pub(super) struct Listed {
    line: usize,
    new: NewAccount,
    state: AccountState,
}

/// The account as a line.
pub(super) fn line(account: &AccountRecord) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<&str>| fields.extend(value.map(|value| (name.to_owned(), value.into())));
    put(MARK, Some("account"));
    put("id", Some(&account.id));
    put("name", Some(&*account.name).filter(|name| **name != *account.id));
    put("parent", account.parent.as_deref());
    put("credential", account.credential.as_deref());
    put("state", Some(account.state.as_str()));
    Value::Object(fields)
}

/// The account of a line, or what is wrong with it.
pub(super) fn read(row: Row) -> Result<Listed, String> {
    let mut listed = Listed {
        line: row.line,
        new: NewAccount { id: Box::default(), name: None, parent: None, credential: None },
        state: AccountState::Active,
    };
    for (name, field) in row.fields? {
        let Field::Text(text) = field else { return Err(format!("`{}` is no text", escaped(&name))) };
        match (name.as_str(), text.as_str()) {
            (MARK, "account") => {}
            (MARK, _) => return Err(format!("`{MARK}` can only be account, and is left out where a line is a key")),
            ("state", "active") => listed.state = AccountState::Active,
            ("state", "disabled") => listed.state = AccountState::Disabled,
            ("state", _) => return Err("`state` is neither active nor disabled".to_owned()),
            ("id", _) => listed.new.id = text.into(),
            ("name", _) => listed.new.name = Some(text.into()),
            ("parent", _) => listed.new.parent = Some(text.into()),
            ("credential", _) => listed.new.credential = Some(text.into()),
            _ => {
                let known = FIELDS.join(", ");
                return Err(format!("unknown field `{}`: the fields of an account are {known}", escaped(&name)));
            }
        }
    }
    if listed.new.id.is_empty() { Err("`id` is missing: say which account this is".to_owned()) } else { Ok(listed) }
}

/// The accounts that are to be made, those first that others are below.
#[derive(Debug, Default)]
pub(super) struct Plan {
    missing: Vec<Listed>,
}

impl Plan {
    /// Holds what the lines say against the accounts of a store; all that is wrong, each with its line.
    pub(super) fn new(
        mut listed: Vec<Listed>,
        there: &[AccountRecord],
        (strangers, now): (Strangers, Timestamp),
    ) -> Result<Self, Vec<(usize, String)>> {
        listed.sort_by_key(|listed| (listed.new.parent.is_some(), listed.line));
        let mut known: HashMap<Box<str>, AccountRecord> =
            there.iter().map(|account| (account.id.clone(), account.clone())).collect();
        let (mut plan, mut faults) = (Self::default(), Vec::new());
        let mut lines = HashMap::new();
        for one in listed {
            let line = one.line;
            if let Some(first) = lines.insert(one.new.id.clone(), line) {
                faults.push((line, format!("the account on line {first} is the same: each is listed once")));
            } else if let Some(account) = known.get(&one.new.id) {
                faults.extend(one.differs(account).map(|fault| (line, fault)));
            } else if strangers == Strangers::Refused {
                let id = escaped(&one.new.id);
                faults.push((
                    line,
                    format!("there is no account `{id}`: make it, or all that are missing with --create-accounts"),
                ));
            } else {
                match account::create(one.new.clone(), one.new.parent.as_ref().and_then(|id| known.get(id)), now) {
                    Ok(account) => {
                        known.insert(account.id.clone(), account);
                        plan.missing.push(one);
                    }
                    Err(AccountError::Unknown { id, .. }) => {
                        faults
                            .push((line, format!("neither the store nor the file has the account `{}`", escaped(&id))));
                    }
                    Err(error) => faults.push((line, error.to_string())),
                }
            }
        }
        if faults.is_empty() { Ok(plan) } else { Err(faults) }
    }

    /// The ids of the accounts that are to be made.
    pub(super) fn ids(&self) -> impl Iterator<Item = &str> {
        self.missing.iter().map(|listed| &*listed.new.id)
    }

    /// Makes the accounts. One that is disabled is so before a key of it is there.
    pub(super) fn carry_out(self, store: &mut dyn KeyStore, stamp: Stamp<'_>) -> Result<(), StoreError> {
        for Listed { new, state, .. } in self.missing {
            let account = store.create_account(new, stamp)?;
            if state == AccountState::Disabled {
                store.change_account(&account.id, AccountTransition::Disable, stamp)?;
            }
        }
        Ok(())
    }
}

impl Listed {
    /// How the account of the store is another than that of the line, as far as it matters to keys.
    fn differs(&self, account: &AccountRecord) -> Option<String> {
        let id = escaped(&self.new.id);
        let shown = |word: &Option<Box<str>>| word.as_ref().map_or_else(|| "none".to_owned(), |word| escaped(word));
        if account.state == AccountState::Deleted {
            return Some(format!("the account `{id}` of the store was deleted, and that is final: choose another id"));
        }
        let pairs =
            [("parent", &self.new.parent, &account.parent), ("credential", &self.new.credential, &account.credential)];
        if let Some((what, here, there)) = pairs.into_iter().find(|(_, here, there)| here != there) {
            let (here, there) = (shown(here), shown(there));
            return Some(format!("the account `{id}` of the store has the {what} {there}, and here it has {here}"));
        }
        // Its keys must not work for having been moved; that they do not work here is up to whoever disabled it here.
        let opens = self.state == AccountState::Disabled && account.state == AccountState::Active;
        opens.then(|| format!("the account `{id}` is disabled here, and active in the store: disable it there first"))
    }
}
