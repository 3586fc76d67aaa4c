//! `scopegate keys rotate|reset-secret|clone`: a new value for a key that there is, or for another like it.

use clap::Args;

use super::{KeyArgs, StoreArgs, accounts, issued, parse_id, view};
use crate::cli::{Console, Exit, Failure, author};
use crate::config::{Config, RotateAfter};
use crate::key::lifecycle::{Fresh, Replacement, Transition};
use crate::key::secret::Secret;
use crate::key::timestamp::parse_span;
use crate::key::{KeyId, KeyKind, KeyRecord, Timestamp};
use crate::store::{KeyStore, Outcome, Stamp, StoreError};

/// Give a key a new value and print it, this once
///
/// The value that it has ends at once, or works beside the new one for as long as --overlap says. The new value alone goes
/// to standard output, everything said about it to standard error.
#[derive(Debug, Args)]
pub(super) struct RotateArgs {
    /// Id of the key, as in key_0123456789abcdef
    id: String,
    /// How long what is in use now goes on working: 30m, 24h, 7d; 90d at most
    #[arg(long, value_name = "TIME", default_value = "0s")]
    overlap: String,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON, the new value in it
    #[arg(long)]
    json: bool,
}

/// What a new value is for.
pub(super) type Kind = fn(Replacement) -> Transition;

/// Gives a key a new value.
pub(super) fn rotate(arguments: &RotateArgs, kind: Kind, console: &mut Console) -> Result<Exit, Failure> {
    let id = parse_id(&arguments.id)?;
    let overlap = parse_span(&arguments.overlap).map_err(Failure::usage)?;
    let (config, mut store) = arguments.store.open_configured(console)?;
    let (secret, imprint) = issued::mint(&config.keys)?;
    let stamp = Stamp { by: &author::name(), at: Timestamp::now() };
    let made = store.change(&id, &kind(Replacement { imprint, overlap }), stamp);
    let record = settle(made, &mut *store, &id)?;
    super::let_gateways_follow();
    console.note(format_args!("{id} ({}) has a new value.", record.name));
    tell_of_old(&record, stamp.at, console);
    let again = format!("`scopegate keys {} {id}` makes another", kind_word(&record));
    show(&secret, &record, (json(arguments.json, &config), &again), console)
}

/// Makes a key like another.
pub(super) fn clone(arguments: &KeyArgs, console: &mut Console) -> Result<Exit, Failure> {
    let of = parse_id(&arguments.id)?;
    let (config, mut store) = arguments.store.open_configured(console)?;
    let original = store.find(&of).map_err(Failure::failed)?;
    let Some(original) = original else { return Err(super::unknown(&mut *store, &of)) };
    let (secret, imprint) = issued::mint(&config.keys)?;
    let id = KeyId::mint(original.kind).map_err(Failure::failed)?;
    let stamp = Stamp { by: &author::name(), at: Timestamp::now() };
    let made = store.clone_key(&of, Fresh { id, imprint }, stamp);
    let record = settle(made, &mut *store, &of)?;
    super::let_gateways_follow();
    let grant = view::long_grant(&record);
    console.note(format_args!("Made {} ({}), a clone of {of}: {grant}.", record.id, record.name));
    view::tell_dates(&record, console);
    accounts::warn_of_suspended(&mut *store, &record, console);
    let again = format!("`scopegate keys revoke {}`, then make another", record.id);
    show(&secret, &record, (json(arguments.json, &config), &again), console)
}

fn json(wanted: bool, config: &Config) -> Option<RotateAfter> {
    wanted.then_some(config.keys.rotate_after)
}

fn settle(made: Result<Outcome, StoreError>, store: &mut dyn KeyStore, id: &KeyId) -> Result<KeyRecord, Failure> {
    match made {
        Ok(outcome) => Ok(outcome.record),
        Err(StoreError::Unknown(_)) => Err(super::unknown(store, id)),
        Err(error) => Err(Failure::failed(error)),
    }
}

/// Says until when the values work that came before the one that a key has now.
fn tell_of_old(record: &KeyRecord, now: Timestamp, console: &mut Console) {
    for (place, value) in record.former.iter().enumerate() {
        let shape = view::shape(value);
        match record.end_of(value).filter(|end| *end > now) {
            Some(end) => console.note(format_args!("The old value {shape} works until {end}.")),
            None if place == 0 => {
                console.note(format_args!("The old value {shape} has ended. Running gateways know within 200 ms."))
            }
            None => {}
        }
    }
}

fn kind_word(record: &KeyRecord) -> &'static str {
    match record.kind {
        KeyKind::Pair => "reset-secret",
        KeyKind::Public | KeyKind::Secret => "rotate",
    }
}

/// From here on the value is in force: if it cannot be shown, that must be said, and what is to be done then.
fn show(
    secret: &Secret,
    record: &KeyRecord,
    (json, again): (Option<RotateAfter>, &str),
    console: &mut Console,
) -> Result<Exit, Failure> {
    issued::print(secret, record, json, console).map_err(|_| {
        Failure::failed(format_args!(
            "the new value is in force but could not be printed, and cannot be shown again: {again}"
        ))
    })?;
    Ok(Exit::Done)
}
