//! What the store must have of each account after what was done to it, acknowledged or not.

use serde_json::Value;

use super::doubt::Doubt;
use crate::support::Outcome;

/// A change of an account that there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AccountAct {
    Delete,
    Disable,
    Enable,
}

impl AccountAct {
    /// How the command line is told of it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Disable => "disable",
            Self::Enable => "enable",
        }
    }
}

/// How an account stands in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountStanding {
    pub(crate) state: String,
    parent: Option<String>,
}

impl AccountStanding {
    fn after(&self, act: AccountAct) -> Self {
        let state = match act {
            AccountAct::Delete => "deleted",
            AccountAct::Disable => "disabled",
            AccountAct::Enable => "active",
        };
        Self { state: state.into(), parent: self.parent.clone() }
    }
}

/// An account, and how it may stand.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) id: String,
    /// The account that it is a sub-account of.
    pub(crate) parent: Option<String>,
    /// The import that it was made by.
    pub(crate) batch: Option<String>,
    pub(crate) doubt: Doubt<AccountStanding>,
}

impl Account {
    /// One that was made, or may have been where that was not acknowledged.
    pub(crate) fn made(id: String, parent: Option<String>, is_sure: bool) -> Self {
        let fresh = AccountStanding { state: "active".into(), parent: parent.clone() };
        Self { id, parent, batch: None, doubt: Doubt::made(fresh, is_sure) }
    }

    /// The state, where there is no doubt.
    pub(crate) fn state(&self) -> Option<&str> {
        self.doubt.certain().map(|standing| &*standing.state)
    }

    /// Takes down a change; `is_told`: that it was acknowledged.
    pub(crate) fn take(&mut self, act: AccountAct, is_told: bool) {
        let after = |standing: &AccountStanding| standing.after(act);
        if is_told { self.doubt.acknowledge(after) } else { self.doubt.begin(after) }
    }

    /// Takes in how it stands in the list, and whether that settles a doubt.
    pub(crate) fn settle(&mut self, record: Option<&Value>) -> Outcome<Option<bool>> {
        let read = |record: &Value| -> Outcome<AccountStanding> {
            let text = |name: &str| record.get(name).and_then(Value::as_str).map(str::to_owned);
            Ok(AccountStanding { state: text("state").ok_or("an account lacks its state")?, parent: text("parent") })
        };
        let found = record.map(read).transpose()?;
        self.doubt.settle(&self.id, found)
    }
}
