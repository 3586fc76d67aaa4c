//! Accounts as rows, and what their keys have of them.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::audit::{Deed, log};
use super::row::BadRow;
use crate::key::account::{self, AccountError, AccountRecord, AccountState, AccountTransition, Affiliation};
use crate::key::account::{Holdings, NewAccount};
use crate::key::{KeyId, KeyKind, KeyRecord, Timestamp, lifecycle};
use crate::policy::nearest;
use crate::store::audit::{ToldAccounts, Unlogged, of_account};
use crate::store::record::{Told, tell};
use crate::store::{Revision, Stamp, StoreError, Strangers};

/// The columns of a row, in the order that [`account()`] reads them.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, parent, disabled, credential, created, changed, deleted, revision FROM accounts ",
            $rest
        )
    };
}

const SELECT_ALL: &str = select!("ORDER BY id");
const SELECT_ONE: &str = select!("WHERE id = ?1");
/// One whose id differs by case alone.
const SELECT_ALIKE: &str = select!("WHERE id = ?1 COLLATE NOCASE AND id <> ?1 LIMIT 1");
/// An account, the one above it and those below it.
const SELECT_FAMILY: &str =
    select!("WHERE id = ?1 OR parent = ?1 OR id = (SELECT parent FROM accounts WHERE id = ?1) ORDER BY id");
const INSERT: &str = "INSERT INTO accounts (id, revision, name, parent, credential, created, changed) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)";
const UPDATE: &str = "UPDATE accounts SET revision = ?2, disabled = ?3, deleted = ?4, changed = ?5 WHERE id = ?1";

/// What the keys of one moment have of their accounts. Each account is looked at once.
pub(super) struct Affiliations {
    told: HashMap<Box<str>, Told>,
}

impl Affiliations {
    /// For few keys: accounts are looked at when a key of theirs comes.
    pub(super) fn of_few() -> Self {
        Self { told: HashMap::new() }
    }

    /// For every key.
    pub(super) fn of_all(moment: &Connection) -> Result<Self, BadRow> {
        let (accounts, own): (Vec<AccountRecord>, Vec<u64>) = read(moment, SELECT_ALL, None)?.into_iter().unzip();
        Ok(Self { told: tell(&accounts, &own) })
    }

    /// What keys of an account have of it. Of one that is not there they have that they do not work.
    pub(super) fn of(&mut self, moment: &Connection, id: &str) -> Result<Told, BadRow> {
        if let Some(told) = self.told.get(id) {
            return Ok(told.clone());
        }
        let (family, own): (Vec<AccountRecord>, Vec<u64>) = read(moment, SELECT_FAMILY, Some(id))?.into_iter().unzip();
        let none = || (Some(Arc::new(Affiliation::of_none())), Revision::START);
        // Of the others of the family not everything was read.
        let told = tell(&family, &own).remove(id).unwrap_or_else(none);
        self.told.insert(id.into(), told.clone());
        Ok(told)
    }
}

/// Every account.
pub(super) fn list(connection: &Connection) -> Result<Vec<AccountRecord>, BadRow> {
    Ok(read(connection, SELECT_ALL, None)?.into_iter().map(|(account, _)| account).collect())
}

/// The accounts that are not what all of the log says.
pub(super) fn hold_against(moment: &Connection, told: ToldAccounts) -> Result<Vec<Unlogged>, BadRow> {
    let known = read(moment, SELECT_ALL, None)?;
    let strange = told.unlogged(known.iter().map(|(account, revision)| (account, Revision(*revision))));
    Ok(strange.into_iter().map(Unlogged::Account).collect())
}

/// Adds an account.
pub(super) fn create(
    transaction: &Transaction<'_>,
    new: NewAccount,
    stamp: Stamp<'_>,
) -> Result<(AccountRecord, Revision), Refusal> {
    if let Some(known) = find(transaction, &new.id)? {
        return Err(match known.state {
            AccountState::Deleted => AccountError::Deleted { id: known.id, since: known.changed },
            AccountState::Active | AccountState::Disabled => AccountError::Exists(known.id),
        }
        .into());
    }
    if let Some((known, _)) = read(transaction, SELECT_ALIKE, Some(&new.id))?.pop() {
        return Err(AccountError::Alike { id: new.id, known: known.id }.into());
    }
    let parent = new.parent.as_deref().map(|parent| demand(transaction, parent)).transpose()?;
    let account = account::create(new, parent.as_ref(), stamp.at)?;
    let detail = of_account(&account);
    let deed = Deed { action: "create", key: None, account: Some(&account.id), detail: &detail };
    let revision = log(transaction, deed, stamp)?;
    transaction.prepare_cached(INSERT)?.execute(params![
        account.id,
        revision.0.cast_signed(),
        account.name,
        account.parent,
        account.credential,
        account.created.as_millis(),
    ])?;
    Ok((account, revision))
}

/// Takes an account through a transition; the revision is that of the change, where there is one.
pub(super) fn change(
    transaction: &Transaction<'_>,
    (id, transition): (&str, AccountTransition),
    stamp: Stamp<'_>,
) -> Result<(AccountRecord, Option<Revision>), Refusal> {
    let before = find(transaction, id)?.ok_or_else(|| unknown(transaction, id))?;
    let holds = holdings(transaction, id, stamp.at)?;
    let account = transition.apply(before.clone(), holds, stamp.at)?;
    if account == before {
        return Ok((account, None));
    }
    let detail = serde_json::json!({ "name": account.name });
    let deed = Deed { action: transition.as_str(), key: None, account: Some(id), detail: &detail };
    let revision = log(transaction, deed, stamp)?;
    transaction.execute(
        UPDATE,
        params![
            account.id,
            revision.0.cast_signed(),
            account.state == AccountState::Disabled,
            account.state == AccountState::Deleted,
            account.changed.as_millis(),
        ],
    )?;
    Ok((account, Some(revision)))
}

/// Sees that the accounts of new keys are there, and have no other public key; makes those that may be made.
pub(super) fn admit(
    transaction: &Transaction<'_>,
    records: &[KeyRecord],
    (strangers, stamp): (Strangers, Stamp<'_>),
) -> Result<(), Refusal> {
    let mut seen: HashSet<&str> = HashSet::new();
    for record in records {
        let Some(account) = record.account.as_deref().filter(|account| seen.insert(account)) else { continue };
        match find(transaction, account)?.map(|known| known.state) {
            Some(AccountState::Active | AccountState::Disabled) => {}
            None if strangers == Strangers::Made => {
                let new = NewAccount { id: account.into(), name: None, parent: None, credential: None };
                create(transaction, new, stamp)?;
            }
            None | Some(AccountState::Deleted) => return Err(unknown(transaction, account)),
        }
    }
    Ok(())
}

/// Sees that a record which is about to be added is not a second public key of its account.
pub(super) fn refuse_second(transaction: &Transaction<'_>, record: &KeyRecord) -> Result<(), Refusal> {
    if record.kind != KeyKind::Public || !matches!(record.state.as_str(), "active" | "disabled") {
        return Ok(());
    }
    let sql = "SELECT id FROM keys WHERE account = ?1 AND kind = 'public' AND state <> 'revoked'";
    let mut query = transaction.prepare_cached(sql)?;
    let first: Option<String> = query.query_row([&record.account], |row| row.get(0)).optional()?;
    match (first.as_deref().and_then(KeyId::parse), &record.account) {
        (Some(first), Some(account)) => Err(Refusal::SecondPublic { account: account.clone(), first }),
        _ => Ok(()),
    }
}

/// Why nothing is written.
pub(super) enum Refusal {
    Account(AccountError),
    Bad(BadRow),
    SecondPublic { account: Box<str>, first: KeyId },
    Sql(rusqlite::Error),
}

impl Refusal {
    /// The same, as a fault of the store at `path`.
    pub(super) fn at(self, path: &Path) -> StoreError {
        match self {
            Self::Account(error) => error.into(),
            Self::Bad(row) => row.at(path),
            Self::SecondPublic { account, first } => StoreError::SecondPublic { account, first },
            Self::Sql(error) => super::fault(path, "write to", &error),
        }
    }
}

impl From<AccountError> for Refusal {
    fn from(error: AccountError) -> Self {
        Self::Account(error)
    }
}

impl From<BadRow> for Refusal {
    fn from(row: BadRow) -> Self {
        Self::Bad(row)
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

fn find(connection: &Connection, id: &str) -> Result<Option<AccountRecord>, BadRow> {
    Ok(read(connection, SELECT_ONE, Some(id))?.pop().map(|(account, _)| account))
}

/// An account that has to be there.
fn demand(connection: &Connection, id: &str) -> Result<AccountRecord, Refusal> {
    let there = find(connection, id)?.filter(|account| account.state != AccountState::Deleted);
    there.ok_or_else(|| unknown(connection, id))
}

/// There is no account of that id; perhaps one of nearly the same was meant.
fn unknown(connection: &Connection, id: &str) -> Refusal {
    let known = match list(connection) {
        Ok(known) => known,
        Err(bad) => return bad.into(),
    };
    let there = known.iter().filter(|account| account.state != AccountState::Deleted);
    let near = nearest(id, there.map(|account| &*account.id)).map(Into::into);
    AccountError::Unknown { id: id.into(), near }.into()
}

/// What an account has that keeps it from being deleted.
fn holdings(connection: &Connection, id: &str, now: Timestamp) -> rusqlite::Result<Holdings> {
    let count = |sql: &str, values: &[&dyn rusqlite::ToSql]| {
        connection.prepare_cached(sql)?.query_row(values, |row| row.get::<_, i64>(0))
    };
    let keys =
        "SELECT count(*) FROM keys WHERE account = ?1 AND state <> 'revoked' AND (expires IS NULL OR expires > ?2)";
    let children = "SELECT count(*) FROM accounts WHERE parent = ?1 AND deleted = 0";
    let whole = |count: i64| usize::try_from(count).unwrap_or(usize::MAX);
    Ok(Holdings { keys: whole(count(keys, &[&id, &now.as_millis()])?), children: whole(count(children, &[&id])?) })
}

fn read(connection: &Connection, sql: &str, id: Option<&str>) -> Result<Vec<(AccountRecord, u64)>, BadRow> {
    let mut query = connection.prepare_cached(sql)?;
    let mut rows = query.query(rusqlite::params_from_iter(id))?;
    let mut known = Vec::new();
    while let Some(row) = rows.next()? {
        known.push((account(row)?, row.get::<_, i64>(8)?.cast_unsigned()));
    }
    Ok(known)
}

fn account(row: &Row<'_>) -> Result<AccountRecord, BadRow> {
    let id: Box<str> = row.get(0)?;
    if !lifecycle::is_account(&id) {
        return Err(BadRow::new(format!("an account has the id {id:?}, which cannot be")));
    }
    let state = match (row.get(7)?, row.get(3)?) {
        (true, _) => AccountState::Deleted,
        (false, true) => AccountState::Disabled,
        (false, false) => AccountState::Active,
    };
    Ok(AccountRecord {
        id,
        name: row.get(1)?,
        parent: row.get(2)?,
        state,
        credential: row.get(4)?,
        created: Timestamp::from_millis(row.get(5)?),
        changed: Timestamp::from_millis(row.get(6)?),
    })
}
