//! `scopegate accounts …`: whom keys belong to.

mod view;

use clap::{Args, Subcommand};
use serde_json::json;

use super::keys::insist::insist;
use super::keys::wait::{self, Patience, WaitArgs};
use super::keys::{StoreArgs, let_gateways_follow, print_lines, tell_state};
use super::{Console, Exit, Failure, author};
use crate::key::Timestamp;
use crate::key::account::{AccountError, AccountRecord, AccountState, AccountTransition, NewAccount};
use crate::key::visible::escaped;
use crate::policy::nearest;
use crate::store::{AccountOutcome, Stamp, StoreError};
use view::Ledger;

/// Make, list and stop the accounts that keys belong to
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(super) struct AccountsArgs {
    #[command(subcommand)]
    command: AccountsCommand,
}

#[derive(Debug, Subcommand)]
enum AccountsCommand {
    Create(CreateArgs),
    List(ListArgs),
    /// Show an account with its keys, its sub-accounts, and how they were used
    Show(AccountArgs),
    /// Stop the keys of an account and of its sub-accounts, until it is enabled again
    Disable(EndArgs),
    /// Let the keys of an account work again, each as it was
    Enable(AccountArgs),
    /// End an account that has neither keys that may work nor sub-accounts
    ///
    /// Its id, name and dates are kept, and the id is not given again.
    Delete(EndArgs),
}

/// Make an account
#[derive(Debug, Args)]
struct CreateArgs {
    /// Id of the account, which keys name it by: 1 to 128 ASCII letters, digits and ._-~@+:
    id: String,
    /// What people call it [default: the id]
    #[arg(long)]
    name: Option<String>,
    /// Account that it is a sub-account of; accounts nest one level
    #[arg(long, value_name = "ID")]
    parent: Option<String>,
    /// Upstream credential that requests of its keys are sent on with, by its name in upstream.credentials
    ///
    /// Without one a sub-account has that of its parent, and any other account those of the routes. An account that has one
    /// is never sent on with another.
    #[arg(long, value_name = "NAME")]
    credential: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// List every account, with how many keys it has
#[derive(Debug, Args)]
struct ListArgs {
    /// List deleted accounts, too
    #[arg(long)]
    deleted: bool,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct AccountArgs {
    /// Id of the account
    id: String,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An account that is to end, and whether to wait for it.
#[derive(Debug, Args)]
struct EndArgs {
    #[command(flatten)]
    wait: WaitArgs,
    #[command(flatten)]
    account: AccountArgs,
}

pub(super) fn run(arguments: AccountsArgs, console: &mut Console) -> Result<Exit, Failure> {
    match arguments.command {
        AccountsCommand::Create(arguments) => create(arguments, console),
        AccountsCommand::List(arguments) => list(&arguments, console),
        AccountsCommand::Show(arguments) => show(&arguments, console),
        AccountsCommand::Disable(arguments) => end(&arguments, AccountTransition::Disable, console),
        AccountsCommand::Enable(arguments) => {
            change(&arguments, (AccountTransition::Enable, Patience::none()), console)
        }
        AccountsCommand::Delete(arguments) => end(&arguments, AccountTransition::Delete, console),
    }
}

fn create(arguments: CreateArgs, console: &mut Console) -> Result<Exit, Failure> {
    let stamp = Stamp { by: &author::name(), at: Timestamp::now() };
    if let Some(credential) = &arguments.credential {
        refuse_missing(credential, &arguments.store, console)?;
    }
    let mut store = arguments.store.make(console)?;
    let new = NewAccount {
        id: arguments.id.into(),
        name: arguments.name.map(Into::into),
        parent: arguments.parent.map(Into::into),
        credential: arguments.credential.map(Into::into),
    };
    let account = store.create_account(new, stamp).map_err(refusal)?;
    if arguments.json {
        console.print_json(&view::to_json(&account))?;
    }
    let below = account.parent.as_ref().map(|parent| format!(", a sub-account of {parent}"));
    console.note(format_args!("Made the account {}{}.", account.id, below.unwrap_or_default()));
    let_gateways_follow();
    Ok(Exit::Done)
}

fn list(arguments: &ListArgs, console: &mut Console) -> Result<Exit, Failure> {
    let ledger = Ledger::read(&mut *arguments.store.open(console)?)?;
    let there = |account: &&AccountRecord| arguments.deleted || account.state != AccountState::Deleted;
    let accounts: Vec<&AccountRecord> = ledger.accounts().iter().filter(there).collect();
    if arguments.json {
        let accounts: Vec<_> = accounts.iter().map(|account| ledger.to_json(account)).collect();
        console.print_json(&json!({ "accounts": accounts }))?;
    } else if accounts.is_empty() {
        console.note("The store has no accounts. `scopegate accounts create` makes one.");
    } else {
        console.print(ledger.table(&accounts, console.width()))?;
    }
    Ok(Exit::Done)
}

fn show(arguments: &AccountArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mut store = arguments.store.open(console)?;
    let ledger = Ledger::read(&mut *store)?;
    let Some(account) = ledger.accounts().iter().find(|account| *account.id == *arguments.id) else {
        let there = ledger.accounts().iter().filter(|account| account.state != AccountState::Deleted);
        let near = nearest(&arguments.id, there.map(|account| &*account.id)).map(Into::into);
        return Err(Failure::failed(AccountError::Unknown { id: arguments.id.as_str().into(), near }));
    };
    let uses = ledger.uses(account, &mut *store).map_err(Failure::failed)?;
    let uses = uses.as_ref();
    if arguments.json {
        console.print_json(&ledger.to_long_json(account, uses))?;
    } else {
        print_lines(ledger.lines(account, uses), console)?;
        for table in ledger.tables(account, uses, (arguments.store.rotate_after(), console.width())) {
            console.print("")?;
            console.print(table)?;
        }
    }
    if let Some(credential) = &account.credential {
        warn_of_missing(credential, &arguments.store, console);
    }
    Ok(Exit::Done)
}

fn end(arguments: &EndArgs, transition: AccountTransition, console: &mut Console) -> Result<Exit, Failure> {
    change(&arguments.account, (transition, arguments.wait.patience()?), console)
}

fn change(
    arguments: &AccountArgs,
    (transition, patience): (AccountTransition, Patience),
    console: &mut Console,
) -> Result<Exit, Failure> {
    let stamp = Stamp { by: &author::name(), at: Timestamp::now() };
    let mut store = arguments.store.open(console)?;
    let changed = match transition {
        AccountTransition::Enable => store.change_account(&arguments.id, transition, stamp),
        AccountTransition::Delete | AccountTransition::Disable => {
            insist(&mut *store, console, |store| store.change_account(&arguments.id, transition, stamp))
        }
    };
    let patience = patience.begun_now();
    let AccountOutcome { account, revision } = changed.map_err(Failure::failed)?;
    let json = arguments.json.then(|| view::to_json(&account));
    let what = format_args!("The account {}", account.id);
    tell_state((&what, account.state.as_str(), revision), (&*store, patience), console);
    wait::settle(&mut *store, (revision, patience), json, console)
}

/// What cannot be is the fault of whoever asked; all else is the store's.
fn refusal(error: StoreError) -> Failure {
    match error {
        StoreError::Account(error @ (AccountError::Deleted { .. } | AccountError::Exists(_))) => Failure::failed(error),
        StoreError::Account(error) => Failure::usage(error),
        other => Failure::failed(other),
    }
}

/// Refuses a credential that the configuration lacks: what an account is made with it keeps. Where there is no configuration to
/// ask, it says that nobody has looked.
fn refuse_missing(credential: &str, store: &StoreArgs, console: &mut Console) -> Result<(), Failure> {
    let Some(known) = store.part().and_then(|part| part.credentials) else {
        console.warn(format_args!(
            "no configuration could be read, so that nobody has looked whether upstream.credentials has `{}`",
            escaped(credential)
        ));
        return Ok(());
    };
    missing(credential, &known).map_or(Ok(()), |near| {
        Err(Failure::usage(format_args!(
            "upstream.credentials has no `{}`{}: write it there first, then make the account",
            escaped(credential),
            near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
        )))
    })
}

/// Says that the configuration lacks the credential that an account has. Where there is none to ask, nothing is said.
fn warn_of_missing(credential: &str, store: &StoreArgs, console: &mut Console) {
    let Some(known) = store.part().and_then(|part| part.credentials) else { return };
    if let Some(near) = missing(credential, &known) {
        let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        console.warn(format_args!(
            "upstream.credentials has no `{credential}`{near} Until it does, requests of this account are refused"
        ));
    }
}

/// Whether a credential is none of these, and then which of them is nearest to it.
fn missing<'k>(credential: &str, known: &'k [Box<str>]) -> Option<Option<&'k str>> {
    let is_there = known.iter().any(|name| **name == *credential);
    (!is_there).then(|| nearest(credential, known.iter().map(|name| &**name)))
}
