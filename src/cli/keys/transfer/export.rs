//! `scopegate keys export`: every key but itself, in lines that `keys import` reads.

use clap::Args;
use serde_json::{Map, Value, json};

use super::account;
use crate::cli::keys::{StoreArgs, view};
use crate::cli::{Console, Exit, Failure};
use crate::key::account::AccountState;
use crate::key::visible::escaped;
use crate::key::{GrantSpec, KeyRecord, KeyState, Timestamp};

/// Print every key but itself, as JSON Lines; of a public key itself, too
///
/// A line has the fields that `keys import` reads. Deleted keys are left out, and so is what a key was before a rotation.
#[derive(Debug, Args)]
pub(in crate::cli::keys) struct ExportArgs {
    /// Print digests and accounts, too: with them the keys can be imported elsewhere, under the same pepper
    #[arg(long)]
    digests: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Prints every key but itself.
pub(in crate::cli::keys) fn export(arguments: &ExportArgs, console: &mut Console) -> Result<Exit, Failure> {
    let digests = arguments.digests.then(|| digest_name(&arguments.store)).transpose()?;
    let mut store = arguments.store.open(console)?;
    let records = store.list().map_err(Failure::failed)?;
    if digests.is_some() {
        let accounts = store.accounts().map_err(Failure::failed)?;
        for account in accounts.iter().filter(|account| account.state != AccountState::Deleted) {
            console.print(account::line(account))?;
        }
    }
    let now = Timestamp::now();
    for record in records.iter().filter(|record| record.state != KeyState::Deleted) {
        console.print(line(record, digests))?;
        let can_work = matches!(record.state, KeyState::Active | KeyState::Disabled) && !record.is_expired(now);
        let lost = digests.iter().filter(|_| can_work).flat_map(|_| &record.former);
        for value in lost.filter(|value| !value.is_over(now)) {
            let end = record.end_of(value).map(|end| format!(" until {end}")).unwrap_or_default();
            console.warn(format_args!(
                "{} ({}) has an old value {} that works{end} and is not exported: elsewhere it is refused",
                record.id,
                escaped(&record.name),
                view::shape(value)
            ));
        }
    }
    Ok(Exit::Done)
}

/// What digests of the store are called: it depends on the pepper.
fn digest_name(store: &StoreArgs) -> Result<&'static str, Failure> {
    let part = store.config.store_part(store.store.clone()).map_err(Failure::Faults)?;
    Ok(if part.is_peppered { "hmac_sha256" } else { "sha256" })
}

/// A record as a line that can be imported, but for its key; what is not set is left out.
fn line(record: &KeyRecord, digest: Option<&str>) -> Value {
    let mut fields = Map::new();
    let mut put = |name: &str, value: Option<Value>| fields.extend(value.map(|value| (name.to_owned(), value)));
    let text = |text: &str| Some(Value::from(text));
    let date = |date: Timestamp| Value::from(date.to_string());
    put("id", text(record.id.as_str()));
    put("name", text(&record.name));
    put("kind", text(record.kind.as_str()));
    put("state", text(record.state.as_str()));
    match &record.grant {
        GrantSpec::Custom(scopes) => put("scopes", Some(scopes.iter().map(|scope| &**scope).collect())),
        GrantSpec::Full => put("grant", text("full")),
        GrantSpec::ReadOnly => put("grant", text("read-only")),
    }
    put("tripwire", record.is_tripwire.then_some(Value::Bool(true)));
    put("account", record.account.as_deref().map(Value::from));
    put("attrs", (!record.attributes.is_empty()).then(|| attributes(record)));
    let networks: Vec<String> = record.allow_from.iter().map(ToString::to_string).collect();
    put("allow_from", (!networks.is_empty()).then(|| json!(networks)));
    put("created", Some(date(record.created)));
    put("not_before", record.not_before.map(date));
    put("expires", record.expires.map(date));
    put("note", record.note.as_deref().map(Value::from));
    put("key", record.value.site.as_ref().map(|site| site.as_str().into()));
    put("prefix", text(&record.value.prefix).filter(|_| !record.value.prefix.is_empty()));
    put("last_four", text(&record.value.last_four).filter(|_| !record.value.last_four.is_empty()));
    if let Some(name) = digest.filter(|_| record.value.site.is_none()) {
        put(name, Some(record.value.digest.to_hex().into()));
    }
    Value::Object(fields)
}

/// Each name with all its values.
fn attributes(record: &KeyRecord) -> Value {
    let mut map = Map::new();
    for (name, value) in &record.attributes {
        let values = map.entry(&**name).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(Value::from(&**value));
        }
    }
    Value::Object(map)
}
