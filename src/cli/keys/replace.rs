//! `scopegate keys rotate|reset-secret|clone`: a new value for a key that there is, or for another like it.

use std::time::Duration;

use clap::Args;

use super::insist::insist;
use super::wait::{self, EndArgs};
use super::{KeyArgs, StoreArgs, accounts, issued, parse_id, view};
use crate::cli::{Console, Exit, Failure, author};
use crate::config::RotateAfter;
use crate::key::lifecycle::{self, Fresh, Replacement, Transition};
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
    let (keys, mut store) = arguments.store.open_configured(console)?;
    let before = find(&mut *store, &id)?;
    let (secret, imprint) = issued::mint(&keys)?;
    let stamp = Stamp { by: &author::name(), at: Timestamp::now() };
    let transition = kind(Replacement { imprint, overlap });
    let made = insist(&mut *store, console, |store| store.change(&id, &transition, stamp));
    let record = settle(made, &mut *store, &id)?.record;
    console.note(format_args!("{id} ({}) has a new value.", record.name));
    tell_of_old((&before, &record), (stamp.at, Some(store.delay())), console);
    if record.is_tripwire {
        console.warn("it is a tripwire: what lies out there is the old value, so lay the new one in its place");
    }
    let again = format!("`scopegate keys {} {id}` makes another", kind_word(&record));
    show(&secret, &record, (arguments.json.then_some(keys.rotate_after), &again), console)
}

/// Makes a key like another.
pub(super) fn clone(arguments: &KeyArgs, console: &mut Console) -> Result<Exit, Failure> {
    let of = parse_id(&arguments.id)?;
    let (keys, mut store) = arguments.store.open_configured(console)?;
    let original = find(&mut *store, &of)?;
    let (secret, imprint) = issued::mint(&keys)?;
    let id = KeyId::mint(original.kind).map_err(Failure::failed)?;
    let stamp = Stamp { by: &author::name(), at: Timestamp::now() };
    let made = store.clone_key(&of, Fresh { id, imprint }, stamp);
    let record = settle(made, &mut *store, &of)?.record;
    let grant = view::long_grant(&record);
    console.note(format_args!("Made {} ({}), a clone of {of}: {grant}.", record.id, record.name));
    view::tell_dates(&record, console);
    accounts::warn_of_suspended(&mut *store, &record, console);
    let again = format!("`scopegate keys revoke {}`, then make another", record.id);
    show(&secret, &record, (arguments.json.then_some(keys.rotate_after), &again), console)
}

/// Ends the old values of a key, and makes no new one.
pub(super) fn end_overlap(arguments: &EndArgs, console: &mut Console) -> Result<Exit, Failure> {
    let (key, patience) = (&arguments.key, arguments.wait.patience()?);
    let id = parse_id(&key.id)?;
    let mut store = key.store.open(console)?;
    let before = find(&mut *store, &id)?;
    let stamp = Stamp { by: &author::name(), at: Timestamp::now() };
    let made = insist(&mut *store, console, |store| store.change(&id, &Transition::EndOverlap, stamp));
    let patience = patience.begun_now();
    let Outcome { record, revision } = settle(made, &mut *store, &id)?;
    if revision.is_some() {
        let delay = (!patience.is_asked()).then(|| store.delay());
        tell_of_old((&before, &record), (stamp.at, delay), console);
    } else {
        console.note(format_args!("{id} ({}) has no old value that works.", record.name));
    }
    let json = key.json.then(|| view::to_json(&record, stamp.at));
    wait::settle(&mut *store, (revision, patience), json, console)
}

fn find(store: &mut dyn KeyStore, id: &KeyId) -> Result<KeyRecord, Failure> {
    let found = store.find(id).map_err(Failure::failed)?;
    found.ok_or_else(|| super::unknown(store, id))
}

fn settle(made: Result<Outcome, StoreError>, store: &mut dyn KeyStore, id: &KeyId) -> Result<Outcome, Failure> {
    match made {
        Ok(outcome) => Ok(outcome),
        Err(StoreError::Unknown(_)) => Err(super::unknown(store, id)),
        Err(error) => Err(Failure::failed(error)),
    }
}

/// Says until when each value works that came before the one that a key has now, and of each that ends earlier than it was
/// to end, when that was; then within what time gateways know, unless they are waited for.
fn tell_of_old(
    (before, after): (&KeyRecord, &KeyRecord),
    (now, delay): (Timestamp, Option<Duration>),
    console: &mut Console,
) {
    let cut = lifecycle::shortened(before, after, now);
    for value in &after.former {
        let shape = view::shape(value);
        let earlier = cut.iter().find(|cut| cut.value.digest == value.digest);
        let was = earlier.and_then(|cut| cut.before);
        let end = after.end_of(value).filter(|end| *end > now);
        let said = match (end, earlier, was) {
            (Some(end), Some(_), Some(was)) => format!("works until {end}, where it was to work until {was}"),
            (Some(end), Some(_), None) => format!("works until {end}"),
            (Some(end), None, _) => format!("works until {end}, as before"),
            (None, Some(_), Some(was)) => format!("has ended, where it was to work until {was}"),
            (None, Some(_), None) => "has ended".to_owned(),
            (None, None, _) => continue,
        };
        console.note(format_args!("The old value {shape} {said}."));
    }
    if let Some(delay) = delay.filter(|_| cut.iter().any(|cut| cut.after <= now)) {
        console.note(format_args!("Running gateways usually know within {} ms.", delay.as_millis()));
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
    super::let_gateways_follow();
    Ok(Exit::Done)
}
