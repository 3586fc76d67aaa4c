//! `scopegate keys …`: the records in a store, from the command line. None of it ever shows a key but what makes its value,
//! once.

pub(super) mod accounts;
pub(super) mod attributes;
mod create;
pub(super) mod insist;
mod issued;
mod replace;
pub(super) mod table;
mod transfer;
pub(super) mod usage;
pub(super) mod view;
pub(super) mod wait;

use std::fmt::Display;

use clap::{Args, Subcommand};
use serde_json::json;

use super::{ConfigArgs, Console, Exit, Failure, author, source};
use crate::config::{Keys, RotateAfter, StorePart};
use crate::key::lifecycle::Transition;
use crate::key::secret::{self, Checked};
use crate::key::{GrantSpec, KeyId, KeyRecord, KeyState, Timestamp};
use crate::store::follow::INTERVAL;
use crate::store::uses::KeyUse;
use crate::store::{self, KeyStore, Location, OpenMode, Outcome, Revision, Stamp, StoreError};

use accounts::Suspensions;
pub(super) use create::CreateArgs;
use replace::RotateArgs;
use table::Shown;
use transfer::{ExportArgs, ImportArgs};
use wait::{EndArgs, Patience};

/// Make, list and end keys
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    Create(Box<CreateArgs>),
    List(ListArgs),
    Show(KeyArgs),
    /// Make a key like another, with an id and a value of its own, and print it, this once
    ///
    /// It has the same name, grant, attributes and dates. A key that does not work cannot be cloned.
    Clone(KeyArgs),
    Rotate(RotateArgs),
    /// Give a pair a new secret and print it with its id, this once
    ///
    /// The secret that it has ends at once, or works beside the new one for as long as --overlap says.
    ResetSecret(RotateArgs),
    /// End the old values of a key at once, where an overlap lets them work beside the one that it has
    ///
    /// The value that it has works on, and no new one is made.
    EndOverlap(EndArgs),
    /// Switch a key off, until it is enabled again
    Disable(EndArgs),
    /// Switch a disabled key on again
    Enable(KeyArgs),
    /// End a key for good
    Revoke(EndArgs),
    /// End a key for good and take it out of the list
    ///
    /// Its id, name and dates are kept, and its value is never good again. What it might do stands in the audit alone.
    Delete(EndArgs),
    Import(Box<ImportArgs>),
    Export(ExportArgs),
}

/// Which store a command works on.
#[derive(Debug, Default, Args)]
pub(super) struct StoreArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// Key store, as in sqlite:scopegate.db or postgres://… [default: as configured]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
}

/// List every key of the store
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// List deleted keys, too
    #[arg(long)]
    deleted: bool,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Show one key
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// Id of the key, as in key_0123456789abcdef
    id: String,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: KeysArgs, console: &mut Console) -> Result<Exit, Failure> {
    match arguments.command {
        KeysCommand::Create(arguments) => create::run(*arguments, console),
        KeysCommand::List(arguments) => list(&arguments, console),
        KeysCommand::Show(arguments) => show(&arguments, console),
        KeysCommand::Clone(arguments) => replace::clone(&arguments, console),
        KeysCommand::Rotate(arguments) => replace::rotate(&arguments, Transition::Rotate, console),
        KeysCommand::ResetSecret(arguments) => replace::rotate(&arguments, Transition::ResetSecret, console),
        KeysCommand::EndOverlap(arguments) => replace::end_overlap(&arguments, console),
        KeysCommand::Disable(arguments) => end(&arguments, &Transition::Disable, console),
        KeysCommand::Enable(arguments) => change(&arguments, (&Transition::Enable, Patience::none()), console),
        KeysCommand::Revoke(arguments) => end(&arguments, &Transition::Revoke, console),
        KeysCommand::Delete(arguments) => end(&arguments, &Transition::Delete, console),
        KeysCommand::Import(arguments) => transfer::import(&arguments, console),
        KeysCommand::Export(arguments) => transfer::export(&arguments, console),
    }
}

impl StoreArgs {
    /// Opens the store that is there. Where a flag or a variable names it, no file is read: a key can be revoked
    /// while the configuration is being mended.
    pub(super) fn open(&self, console: &mut Console) -> Result<Box<dyn KeyStore>, Failure> {
        open(&self.config.store_location(self.store.as_deref())?, OpenMode::Existing, console)
    }

    /// Opens the store, and makes it where there is none.
    pub(super) fn make(&self, console: &mut Console) -> Result<Box<dyn KeyStore>, Failure> {
        open(&self.config.store_location(self.store.as_deref())?, OpenMode::Create, console)
    }

    /// Opens the store that is there, with what the configuration says of how values are made.
    fn open_configured(&self, console: &mut Console) -> Result<(Keys, Box<dyn KeyStore>), Failure> {
        let keys = self.config.keys_part(self.store.clone())?.keys;
        let store = open(&source::location(&keys), OpenMode::Existing, console)?;
        Ok((keys, store))
    }

    /// What the configuration says without any secret, where there is one to ask.
    pub(super) fn part(&self) -> Option<StorePart> {
        self.config.store_part(self.store.clone()).ok()
    }

    /// When keys ought to be given new values. Where there is no configuration to ask, as if it said nothing of it.
    pub(super) fn rotate_after(&self) -> RotateAfter {
        self.part().map(|part| part.rotate_after).unwrap_or_default()
    }
}

/// Opens a store and says what may be unsafe about it.
fn open(location: &Location, mode: OpenMode, console: &mut Console) -> Result<Box<dyn KeyStore>, Failure> {
    let store = store::open(location, mode).map_err(Failure::failed)?;
    store.warnings().iter().for_each(|warning| console.warn(warning));
    Ok(store)
}

/// Waits until running gateways have come by, before the command ends: `KEY=$(scopegate keys create …); curl …` must not be
/// refused. They ask the store once in an interval; the second interval is for what they find.
///
/// INVARIANT: what a change has made is printed before. Whoever stops the command while it waits must not lose a key.
pub(super) fn let_gateways_follow() {
    std::thread::sleep(2 * INTERVAL);
}

fn list(arguments: &ListArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mut store = arguments.store.open(console)?;
    let mut records = store.list().map_err(Failure::failed)?;
    let suspensions = Suspensions::of(&store.accounts().map_err(Failure::failed)?);
    let all = records.len();
    records.retain(|record| arguments.deleted || record.state != KeyState::Deleted);
    let ages = (Timestamp::now(), arguments.store.rotate_after());
    if arguments.json {
        let to_json = |record: &KeyRecord| {
            let mut object = view::to_json_with_age(record, ages);
            suspensions.complete(&mut object, record, ages.0);
            object
        };
        let keys: Vec<_> = records.iter().map(to_json).collect();
        console.print_json(&json!({ "keys": keys, "records_use": store.records_use() }))?;
    } else if all == 0 {
        console.note("The store has no keys. `scopegate keys create` makes one.");
    } else if records.is_empty() {
        console.note("All keys of the store are deleted: --deleted lists them. `scopegate keys create` makes one.");
    } else {
        let shown = Shown { ages, suspensions: &suspensions, width: console.width(), hidden: None };
        console.print(table::render(&records, &shown))?;
        if !store.records_use() {
            console.note(format_args!("When they were last used is {}.", usage::NOT_RECORDED));
        }
        suspensions.tell(&records, console);
    }
    Ok(Exit::Done)
}

fn show(arguments: &KeyArgs, console: &mut Console) -> Result<Exit, Failure> {
    let id = parse_id(&arguments.id)?;
    let mut store = arguments.store.open(console)?;
    let found = store.find(&id).map_err(Failure::failed)?;
    let Some(record) = found else { return Err(unknown(&mut *store, &id)) };
    let used = usage::find(&mut *store, &record).map_err(Failure::failed)?;
    let suspensions = Suspensions::of(&store.accounts().map_err(Failure::failed)?);
    print_record((&record, used.as_ref(), &suspensions), arguments, console)?;
    report_unknown(&record, &arguments.store, console);
    if let Some(why) = suspensions.of_key(&record) {
        console.warn(format_args!("{why}, so the key does not work"));
    }
    Ok(Exit::Done)
}

fn end(arguments: &EndArgs, transition: &Transition, console: &mut Console) -> Result<Exit, Failure> {
    change(&arguments.key, (transition, arguments.wait.patience()?), console)
}

fn change(
    arguments: &KeyArgs,
    (transition, patience): (&Transition, Patience),
    console: &mut Console,
) -> Result<Exit, Failure> {
    let id = parse_id(&arguments.id)?;
    let stamp = Stamp { by: &author::name(), at: Timestamp::now() };
    let mut store = arguments.store.open(console)?;
    let changed = match transition {
        Transition::Enable => store.change(&id, transition, stamp),
        _ => insist::insist(&mut *store, console, |store| store.change(&id, transition, stamp)),
    };
    let patience = patience.begun_now();
    let Outcome { record, revision } = match changed {
        Ok(outcome) => outcome,
        Err(StoreError::Unknown(id)) => return Err(unknown(&mut *store, &id)),
        Err(error) => return Err(Failure::failed(error)),
    };
    let json = arguments.json.then(|| view::to_json(&record, stamp.at));
    let what = format_args!("{id} ({})", record.name);
    tell_state((&what, record.state.as_str(), revision), (&*store, patience), console);
    wait::settle(&mut *store, (revision, patience), json, console)
}

/// Tells what a change of a state came to: what was changed, the state that it has, and the change; `None` where it had that
/// state already.
pub(super) fn tell_state(
    (what, state, revision): (&dyn Display, &str, Option<Revision>),
    (store, patience): (&dyn KeyStore, Patience),
    console: &mut Console,
) {
    match revision {
        Some(_) if patience.is_asked() => console.note(format_args!("{what} is {state} now.")),
        Some(_) => {
            let delay = store.delay().as_millis();
            console.note(format_args!("{what} is {state} now. Running gateways usually know within {delay} ms."));
        }
        None => console.note(format_args!("{what} was {state} already.")),
    }
}

/// No key has this id; one may have it for its name.
fn unknown(store: &mut dyn KeyStore, id: &KeyId) -> Failure {
    let records = store.list().unwrap_or_default();
    not_found(id, records.iter().map(|record| (record.id.as_str(), &*record.name)))
}

/// None of `keys`, each with its id and its name, has this id; one may have it for its name.
pub(super) fn not_found<'k>(id: &KeyId, keys: impl Iterator<Item = (&'k str, &'k str)>) -> Failure {
    let named: Vec<&str> = keys.filter(|(_, name)| *name == id.as_str()).map(|(id, _)| id).collect();
    match named.as_slice() {
        [] => Failure::failed(StoreError::Unknown(id.clone())),
        [only] => Failure::failed(format_args!("no key has the id {id}; of that name is {only}")),
        ids => Failure::failed(format_args!("no key has the id {id}; of that name are {}", ids.join(" and "))),
    }
}

/// Reads an id. The text is not repeated where it may be a key that was given by mistake.
pub(super) fn parse_id(text: &str) -> Result<KeyId, Failure> {
    // A pair stands there as `ID:SECRET`.
    let secret = text.rsplit_once(':').map_or(text, |(_, secret)| secret);
    let looks_like_a_key =
        secret.rsplit_once('_').is_some_and(|(prefix, _)| secret::check(prefix, secret.as_bytes()) == Checked::Ours);
    if looks_like_a_key {
        return Err(Failure::usage(
            "that is a key, not the id of one; `scopegate keys list` shows the ids. Where others may have seen it, revoke it",
        ));
    }
    KeyId::parse(text).ok_or_else(|| {
        Failure::usage(
            "that is no key id: an id is `key_` and 16 letters and digits, or 32 digits and letters for a pair; `scopegate keys list` shows them all",
        )
    })
}

/// Prints a record for a reader or a program.
fn print_record(
    (record, used, suspensions): (&KeyRecord, Option<&KeyUse>, &Suspensions),
    arguments: &KeyArgs,
    console: &mut Console,
) -> Result<(), Failure> {
    let ages = (Timestamp::now(), arguments.store.rotate_after());
    if arguments.json {
        let mut object = view::to_json_with_use(record, used, ages);
        suspensions.complete(&mut object, record, ages.0);
        return console.print_json(&object);
    }
    print_lines(view::lines((record, used), suspensions, ages), console)
}

/// Prints names and values, a line each.
pub(super) fn print_lines(lines: Vec<(&'static str, String)>, console: &mut Console) -> Result<(), Failure> {
    lines.into_iter().try_for_each(|(name, value)| console.print(format_args!("{name:<12}{value}")))
}

/// Says which scopes of a key the policy in force does not know. Where there is no policy to ask, nothing is said.
fn report_unknown(record: &KeyRecord, arguments: &StoreArgs, console: &mut Console) {
    let GrantSpec::Custom(scopes) = &record.grant else {
        return;
    };
    let Ok(policy) = arguments.config.policy_part(None) else {
        return;
    };
    for scope in scopes.iter().filter(|scope| !policy.knows(scope)) {
        console.warn(format_args!("the policy does not know the scope {scope}, so it grants nothing"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::secret::Secret;

    #[test]
    fn a_key_given_for_an_id_is_never_repeated() {
        let key = Secret::mint("sg").unwrap();
        let text = std::str::from_utf8(key.expose()).unwrap();
        let Err(Failure::Told { exit, message }) = parse_id(text) else { panic!("a key is no id") };
        assert_eq!(exit, Exit::Usage);
        assert!(message.starts_with("that is a key") && !message.contains(text), "{message}");
    }

    #[test]
    fn an_id_is_read() {
        assert_eq!(parse_id("key_0123456789abcdef").unwrap().as_str(), "key_0123456789abcdef");
        assert_eq!(parse_id("no id").unwrap_err().exit(), Exit::Usage);
    }
}
