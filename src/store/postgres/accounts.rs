//! Accounts as rows, and what their keys have of them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio_postgres::Row;

use super::audit::{Deed, Log};
use super::change::BATCH;
use super::fault::Fault;
use super::link::Session;
use super::unreadable::Unreadable;
use super::value::{Value, get, number, values};
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
            "SELECT id, name, parent, disabled, credential, created, changed, deleted, revision FROM scopegate.accounts ",
            $rest
        )
    };
}

const SELECT_ALL: &str = select!("ORDER BY id");
const SELECT_SOME: &str = select!("WHERE id = ANY($1)");
/// One whose id differs by case alone.
const SELECT_ALIKE: &str = select!("WHERE lower(id) = lower($1) AND id <> $1 LIMIT 1");
/// One whose id differs by case alone from one of these, and that one.
const SELECT_ALL_ALIKE: &str = "SELECT a.id, n FROM unnest($1::text[]) AS t (n) \
    JOIN scopegate.accounts a ON lower(a.id) = lower(n) AND a.id <> n LIMIT 1";
/// Accounts, those above them and those below them.
const SELECT_FAMILIES: &str = select!(
    "WHERE id = ANY($1) OR parent = ANY($1) OR id IN (SELECT parent FROM scopegate.accounts WHERE id = ANY($1))"
);
/// Accounts and those below them, and of others those above them.
const FAMILIES: &str = "SELECT id FROM scopegate.accounts WHERE id = ANY($1) OR parent = ANY($1) \
    UNION SELECT parent FROM scopegate.accounts WHERE id = ANY($2) AND parent IS NOT NULL";
const INSERT: &str = "INSERT INTO scopegate.accounts (id, revision, name, parent, credential, created, changed) \
    VALUES ($1, $2, $3, $4, $5, $6, $6)";
const INSERT_BARE: &str = "INSERT INTO scopegate.accounts (id, revision, name, created, changed) \
    SELECT i, r, n, $4, $4 FROM unnest($1::text[], $2::bigint[], $3::text[]) AS t (i, r, n)";
const UPDATE: &str =
    "UPDATE scopegate.accounts SET revision = $2, disabled = $3, deleted = $4, changed = $5 WHERE id = $1";

/// What the keys of one moment have of their accounts.
pub(super) struct Affiliations(HashMap<Box<str>, Told>);

impl Affiliations {
    /// For every key.
    pub(super) fn of_all(session: &Session<'_>, unreadable: &mut Unreadable) -> Result<Self, Fault> {
        Self::of(session, (SELECT_ALL, &[]), unreadable)
    }

    /// For the keys of some accounts.
    pub(super) fn of_some(
        session: &Session<'_>,
        accounts: &[&str],
        unreadable: &mut Unreadable,
    ) -> Result<Self, Fault> {
        match accounts.is_empty() {
            true => Ok(Self(HashMap::new())),
            // Of the others of their families not everything is read.
            false => Self::of(session, (SELECT_FAMILIES, values![accounts]), unreadable),
        }
    }

    /// An account that cannot be read is as one that is not there: no key of it works, nor of those below it.
    fn of(
        session: &Session<'_>,
        (sql, given): (&str, &[Value<'_>]),
        unreadable: &mut Unreadable,
    ) -> Result<Self, Fault> {
        let known = read_but(session, (sql, given), |fault| match fault {
            Fault::Bad(what) => {
                unreadable.note(what);
                Ok(())
            }
            other => Err(other),
        })?;
        let (accounts, own): (Vec<AccountRecord>, Vec<u64>) = known.into_iter().unzip();
        Ok(Self(tell(&accounts, &own)))
    }

    /// What keys of an account have of it. Of one that is not there they have that they do not work.
    pub(super) fn told(&self, account: &str) -> Told {
        let of_none = || (Some(Arc::new(Affiliation::of_none())), Revision::START);
        self.0.get(account).cloned().unwrap_or_else(of_none)
    }
}

/// Some accounts and those below them, and of others those above them.
pub(super) fn families(session: &Session<'_>, (some, others): (&[&str], &[&str])) -> Result<Vec<Box<str>>, Fault> {
    session.query(FAMILIES, values![some, others])?.iter().map(|row| get(row, 0)).collect()
}

/// Every account.
pub(super) fn list(session: &Session<'_>) -> Result<Vec<AccountRecord>, Fault> {
    Ok(read(session, SELECT_ALL, &[])?.into_iter().map(|(account, _)| account).collect())
}

/// The accounts that are not what all of the log says.
pub(super) fn hold_against(session: &Session<'_>, told: ToldAccounts) -> Result<Vec<Unlogged>, Fault> {
    let known = read(session, SELECT_ALL, &[])?;
    let strange = told.unlogged(known.iter().map(|(account, revision)| (account, Revision(*revision))));
    Ok(strange.into_iter().map(Unlogged::Account).collect())
}

/// Adds an account.
pub(super) fn create(log: &mut Log<'_, '_>, new: NewAccount, stamp: Stamp<'_>) -> Result<AccountRecord, Fault> {
    let session = log.session();
    if let Some(known) = find(session, &new.id)? {
        return Err(match known.state {
            AccountState::Deleted => AccountError::Deleted { id: known.id, since: known.changed },
            AccountState::Active | AccountState::Disabled => AccountError::Exists(known.id),
        }
        .into());
    }
    if let Some((known, _)) = read(session, SELECT_ALIKE, values![&*new.id])?.pop() {
        return Err(AccountError::Alike { id: new.id, known: known.id }.into());
    }
    let parent = new.parent.as_deref().map(|parent| demand(session, parent)).transpose()?;
    let account = account::create(new, parent.as_ref(), stamp.at)?;
    let detail = of_account(&account);
    let revision = log.add(Deed { action: "create", key: None, account: Some(&account.id), detail: &detail }, stamp);
    log.flush(stamp)?;
    session.execute(
        INSERT,
        values![
            &*account.id,
            revision.0.cast_signed(),
            &*account.name,
            account.parent.as_deref(),
            account.credential.as_deref(),
            account.created.as_millis(),
        ],
    )?;
    Ok(account)
}

/// Takes an account through a transition; the revision is that of the change, where there is one.
pub(super) fn change(
    log: &mut Log<'_, '_>,
    (id, transition): (&str, AccountTransition),
    stamp: Stamp<'_>,
) -> Result<(AccountRecord, Option<Revision>), Fault> {
    let session = log.session();
    let Some(before) = find(session, id)? else { return Err(unknown(session, id)) };
    let holds = holdings(session, id, stamp.at)?;
    let account = transition.apply(before.clone(), holds, stamp.at)?;
    if account == before {
        return Ok((account, None));
    }
    let detail = serde_json::json!({ "name": account.name });
    let revision = log.add(Deed { action: transition.as_str(), key: None, account: Some(id), detail: &detail }, stamp);
    log.flush(stamp)?;
    session.execute(
        UPDATE,
        values![
            &*account.id,
            revision.0.cast_signed(),
            account.state == AccountState::Disabled,
            account.state == AccountState::Deleted,
            account.changed.as_millis(),
        ],
    )?;
    Ok((account, Some(revision)))
}

/// Sees that the accounts of new keys are there; makes those that may be made.
pub(super) fn admit(
    log: &mut Log<'_, '_>,
    records: &[KeyRecord],
    (strangers, stamp): (Strangers, Stamp<'_>),
) -> Result<(), Fault> {
    let session = log.session();
    let mut seen: HashSet<&str> = HashSet::new();
    let named: Vec<&str> =
        records.iter().filter_map(|record| record.account.as_deref()).filter(|account| seen.insert(account)).collect();
    if named.is_empty() {
        return Ok(());
    }
    let known = read(session, SELECT_SOME, values![named.clone()])?;
    let known: HashMap<&str, AccountState> = known.iter().map(|(known, _)| (&*known.id, known.state)).collect();
    let mut new = Vec::new();
    for account in named {
        match known.get(account) {
            Some(AccountState::Active | AccountState::Disabled) => {}
            None if strangers == Strangers::Made => new.push(account),
            None | Some(AccountState::Deleted) => return Err(unknown(session, account)),
        }
    }
    create_bare(log, &new, stamp)
}

/// Adds accounts that have nothing but an id, and that are not there. The numbers of many are given out at once: each statement
/// that gives one leaves a version of the head behind, which every later one of the transaction has to pass.
fn create_bare(log: &mut Log<'_, '_>, ids: &[&str], stamp: Stamp<'_>) -> Result<(), Fault> {
    let mut in_any_case: HashMap<String, &str> = HashMap::new();
    for id in ids {
        if let Some(known) = in_any_case.insert(id.to_ascii_lowercase(), id) {
            return Err(AccountError::Alike { id: (*id).into(), known: known.into() }.into());
        }
    }
    let session = log.session();
    for ids in ids.chunks(BATCH) {
        if let Some(row) = session.query_one(SELECT_ALL_ALIKE, values![ids])? {
            return Err(AccountError::Alike { id: get(&row, 1)?, known: get(&row, 0)? }.into());
        }
        let (mut accounts, mut revisions) = (Vec::with_capacity(ids.len()), Vec::with_capacity(ids.len()));
        for id in ids {
            let new = NewAccount { id: (*id).into(), name: None, parent: None, credential: None };
            let account = account::create(new, None, stamp.at)?;
            let detail = of_account(&account);
            let deed = Deed { action: "create", key: None, account: Some(&account.id), detail: &detail };
            revisions.push(log.add(deed, stamp).0.cast_signed());
            accounts.push(account);
        }
        log.flush(stamp)?;
        let names: Vec<&str> = accounts.iter().map(|account| &*account.name).collect();
        session.execute(INSERT_BARE, values![ids, revisions, names, stamp.at.as_millis()])?;
    }
    Ok(())
}

/// Sees that records which are about to be added are not second public keys of their accounts.
pub(super) fn refuse_second(session: &Session<'_>, records: &[KeyRecord]) -> Result<(), Fault> {
    let works = |record: &&KeyRecord| matches!(record.state.as_str(), "active" | "disabled");
    let public: Vec<&KeyRecord> =
        records.iter().filter(|record| record.kind == KeyKind::Public).filter(works).collect();
    let accounts: Vec<&str> = public.iter().filter_map(|record| record.account.as_deref()).collect();
    if accounts.is_empty() {
        return Ok(());
    }
    let sql = "SELECT account, id FROM scopegate.keys \
        WHERE account = ANY($1) AND kind = 'public' AND state <> 'revoked'";
    let mut first: HashMap<Box<str>, KeyId> = HashMap::new();
    for row in session.query(sql, values![accounts])? {
        first.extend(
            KeyId::parse(get(&row, 1)?)
                .map(|id| (get(&row, 0), id))
                .and_then(|(account, id)| Some((account.ok()?, id))),
        );
    }
    for record in public {
        let Some(account) = &record.account else { continue };
        if let Some(first) = first.insert(account.clone(), record.id.clone()) {
            return Err(StoreError::SecondPublic { account: account.clone(), first }.into());
        }
    }
    Ok(())
}

fn find(session: &Session<'_>, id: &str) -> Result<Option<AccountRecord>, Fault> {
    Ok(read(session, SELECT_SOME, values![vec![id]])?.pop().map(|(account, _)| account))
}

/// An account that has to be there.
fn demand(session: &Session<'_>, id: &str) -> Result<AccountRecord, Fault> {
    let there = find(session, id)?.filter(|account| account.state != AccountState::Deleted);
    there.ok_or_else(|| unknown(session, id))
}

/// There is no account of that id; perhaps one of nearly the same was meant.
fn unknown(session: &Session<'_>, id: &str) -> Fault {
    let known = match list(session) {
        Ok(known) => known,
        Err(fault) => return fault,
    };
    let there = known.iter().filter(|account| account.state != AccountState::Deleted);
    let near = nearest(id, there.map(|account| &*account.id)).map(Into::into);
    AccountError::Unknown { id: id.into(), near }.into()
}

/// What an account has that keeps it from being deleted.
fn holdings(session: &Session<'_>, id: &str, now: Timestamp) -> Result<Holdings, Fault> {
    let sql = "SELECT (SELECT count(*) FROM scopegate.keys \
            WHERE account = $1 AND state <> 'revoked' AND (expires IS NULL OR expires > $2)), \
        (SELECT count(*) FROM scopegate.accounts WHERE parent = $1 AND NOT deleted)";
    let Some(row) = session.query_one(sql, values![id, now.as_millis()])? else { return Ok(Holdings::default()) };
    let whole = |column| number(&row, column).map(|count| usize::try_from(count).unwrap_or(usize::MAX));
    Ok(Holdings { keys: whole(0)?, children: whole(1)? })
}

fn read(session: &Session<'_>, sql: &str, given: &[Value<'_>]) -> Result<Vec<(AccountRecord, u64)>, Fault> {
    read_but(session, (sql, given), Err)
}

/// The same, with a say about those that cannot be read.
fn read_but(
    session: &Session<'_>,
    (sql, given): (&str, &[Value<'_>]),
    mut pass_over: impl FnMut(Fault) -> Result<(), Fault>,
) -> Result<Vec<(AccountRecord, u64)>, Fault> {
    let mut known = Vec::new();
    let note = |row: &Row| match account_and_revision(row) {
        Ok(account) => {
            known.push(account);
            Ok(())
        }
        Err(fault) => pass_over(fault),
    };
    // What is given nothing reads them all.
    if given.is_empty() {
        session.each_of_many(sql, given, note)?
    } else {
        session.each(sql, given, note)?
    }
    Ok(known)
}

fn account_and_revision(row: &Row) -> Result<(AccountRecord, u64), Fault> {
    let account = account(row)?;
    match number(row, 8) {
        Ok(revision) => Ok((account, revision)),
        Err(_) => Err(Fault::Bad(format!("the account {} has a number of a change that cannot be", account.id))),
    }
}

fn account(row: &Row) -> Result<AccountRecord, Fault> {
    let id: Box<str> = get(row, 0)?;
    if !lifecycle::is_account(&id) {
        return Err(Fault::Bad(format!("an account has the id {id:?}, which cannot be")));
    }
    let state = match (get(row, 7)?, get(row, 3)?) {
        (true, _) => AccountState::Deleted,
        (false, true) => AccountState::Disabled,
        (false, false) => AccountState::Active,
    };
    Ok(AccountRecord {
        id,
        name: get(row, 1)?,
        parent: get(row, 2)?,
        state,
        credential: get(row, 4)?,
        created: Timestamp::from_millis(get(row, 5)?),
        changed: Timestamp::from_millis(get(row, 6)?),
    })
}
