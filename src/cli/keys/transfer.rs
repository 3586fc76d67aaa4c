//! `scopegate keys import|export`: many keys at once, from elsewhere and to it.

mod record;
mod row;

use std::collections::{HashMap, HashSet};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};

use self::record::Ground;
use self::row::Row;
use super::{StoreArgs, accounts};
use crate::cli::source::{self, IN_ITS_FOLDER};
use crate::cli::{ConfigArgs, Console, Exit, Failure, author};
use crate::config::{Config, Overrides};
use crate::key::digest::Hasher;
use crate::key::{GrantSpec, KeyRecord, KeyState, Timestamp};
use crate::policy::scope::Vocabulary;
use crate::store::{KeyStore, Location, OpenMode, Provenance, Revision, Stamp, Strangers};

/// So many faults are told; the rest are counted.
const MOST_FAULTS: usize = 50;

/// The form of a file of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Comma-separated values, the first line naming the fields
    Csv,
    /// JSON Lines, a map for each key
    Jsonl,
}

/// Take keys over that exist elsewhere, all of them or none
///
/// The file has a key on each line, as JSON Lines or CSV, with the fields of a key file (name, scopes or grant, and what is
/// optional), and the key as `key` or its digest as `sha256`. Every line that is wrong is named, and nothing is changed then.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// File of keys, or - for standard input
    #[arg(value_hint = clap::ValueHint::FilePath)]
    file: PathBuf,
    /// Form of the file [default: csv where its name ends so, else jsonl]
    #[arg(long, value_enum)]
    format: Option<Form>,
    /// Look at every line and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Make the accounts that keys name and that are not there
    #[arg(long)]
    create_accounts: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// Key store, as in sqlite:scopegate.db [default: as configured]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Policy that says which scopes there are [default: as configured]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    policy: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Print every key but itself, as JSON Lines; of a public key itself, too
///
/// A line has the fields that `keys import` reads. Deleted keys are left out.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// Print digests, too: with them the keys can be imported elsewhere, under the same pepper
    #[arg(long)]
    digests: bool,
    #[command(flatten)]
    store: StoreArgs,
}

/// Takes keys over.
pub(super) fn import(arguments: &ImportArgs, console: &mut Console) -> Result<Exit, Failure> {
    let loaded = arguments.config.load_or(IN_ITS_FOLDER, &Vocabulary::new(), |overrides| {
        overrides.store.clone_from(&arguments.store);
        overrides.policy.clone_from(&arguments.policy);
    })?;
    let now = Timestamp::now();
    let records = read(arguments, (&loaded.config, now), console)?;
    let location = source::location(&loaded.config.keys);
    // Where it is only a look, a store that is not there has no keys, and none is made.
    let is_there = !matches!(&location, Location::Sqlite(path) if !path.exists());
    if is_there || !arguments.dry_run {
        let mode = if arguments.dry_run { OpenMode::Existing } else { OpenMode::Create };
        let mut store = super::open(&location, mode, console)?;
        refuse(arguments, known(arguments, &records, &mut *store)?)?;
        let all: Vec<KeyRecord> = records.iter().map(|(_, record)| record.clone()).collect();
        if !arguments.dry_run && !all.is_empty() {
            let provenance = Provenance::Imported(strangers(arguments));
            let added = store.add(&all, provenance, Stamp { by: &author::name(), at: now });
            added.map_err(accounts::refusal)?;
            super::let_gateways_follow();
        }
    }
    let count = match records.len() {
        1 => "1 key".to_owned(),
        count => format!("{count} keys"),
    };
    console.note(format_args!("{count} {}.", if arguments.dry_run { "could be imported" } else { "imported" }));
    if arguments.json {
        let ids: Vec<&str> = records.iter().map(|(_, record)| record.id.as_str()).collect();
        console.print_json(&json!({ "count": ids.len(), "dry_run": arguments.dry_run, "ids": ids }))?;
    }
    Ok(Exit::Done)
}

/// The records of the file with their lines, all of them good and no two the same.
fn read(
    arguments: &ImportArgs,
    (config, now): (&Config, Timestamp),
    console: &mut Console,
) -> Result<Vec<(usize, KeyRecord)>, Failure> {
    let ground = Ground { config, hasher: Hasher::new(config.keys.pepper.as_ref()), now };
    let mut faults = Vec::new();
    let mut records: Vec<(usize, KeyRecord)> = Vec::new();
    let (mut ids, mut digests) = (HashMap::new(), HashMap::new());
    for row in rows(arguments, console)? {
        let line = row.line;
        match record::read(row, &ground) {
            Ok(record) => {
                if let Some(first) = digests.insert(record.value.digest, line) {
                    faults.push((line, format!("the key on line {first} is the same: each key is listed once")));
                } else if let Some(first) = ids.insert(record.id.clone(), line) {
                    faults.push((line, format!("the key on line {first} has the same id: give each its own, or none")));
                }
                records.push((line, record));
            }
            Err(told) => faults.extend(told.into_iter().map(|fault| (line, fault))),
        }
    }
    refuse(arguments, faults)?;
    Ok(records)
}

/// The lines of the file.
fn rows(arguments: &ImportArgs, console: &mut Console) -> Result<Vec<Row>, Failure> {
    let name = place(arguments);
    let bytes = if arguments.file == Path::new("-") {
        console.read_to_end()?
    } else {
        fs::read(&arguments.file).map_err(|error| Failure::io(format_args!("{name} cannot be read"), &error))?
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        invalid(format_args!("{name}:{line}: the file is not UTF-8 text from here on: save it as UTF-8"))
    })?;
    let by_name = || arguments.file.extension().filter(|end| end.eq_ignore_ascii_case("csv")).map(|_| Form::Csv);
    match arguments.format.or_else(by_name) {
        Some(Form::Csv) => row::of_csv(&text).map_err(|fault| invalid(format_args!("{name}:1: {fault}"))),
        Some(Form::Jsonl) | None => Ok(row::of_json(&text)),
    }
}

const fn strangers(arguments: &ImportArgs) -> Strangers {
    if arguments.create_accounts { Strangers::Made } else { Strangers::Refused }
}

/// What the store has already of the records, and what it lacks of their accounts.
fn known(
    arguments: &ImportArgs,
    records: &[(usize, KeyRecord)],
    store: &mut dyn KeyStore,
) -> Result<Vec<(usize, String)>, Failure> {
    let (mut ids, mut digests) = (HashSet::new(), HashSet::new());
    let there = store.accounts().map_err(Failure::failed)?;
    let mut roll = accounts::Roll::new(&there, strangers(arguments));
    let told = store.load(Revision::START, &mut |change| {
        digests.extend(change.record.values().map(|value| value.digest));
        roll.note(&change.record);
        ids.insert(change.record.id);
    });
    told.map_err(Failure::failed)?;
    let mut of_one = |(line, record): &(usize, KeyRecord)| {
        if let Some(what) = roll.objection(record) {
            return Some((*line, what));
        }
        let what = if digests.contains(&record.value.digest) {
            "a key of the store has, or had, the same value"
        } else if ids.contains(&record.id) {
            "a key of the store has the same id"
        } else {
            return None;
        };
        Some((*line, what.to_owned()))
    };
    Ok(records.iter().filter_map(&mut of_one).collect())
}

/// Names every line that is wrong, if there is one.
fn refuse(arguments: &ImportArgs, faults: Vec<(usize, String)>) -> Result<(), Failure> {
    if faults.is_empty() {
        return Ok(());
    }
    let (name, count) = (place(arguments), faults.len());
    let mut said: Vec<String> =
        faults.into_iter().take(MOST_FAULTS).map(|(line, fault)| format!("{name}:{line}: {fault}")).collect();
    if count > MOST_FAULTS {
        said.push(format!("{} more faults are not listed", count - MOST_FAULTS));
    }
    said.push("nothing was imported".to_owned());
    Err(invalid(said.join("\n       ")))
}

fn invalid(message: impl Display) -> Failure {
    Failure::Told { exit: Exit::Failed, message: message.to_string() }
}

fn place(arguments: &ImportArgs) -> String {
    if arguments.file == Path::new("-") { "standard input".to_owned() } else { arguments.file.display().to_string() }
}

/// Prints every key but itself.
pub(super) fn export(arguments: &ExportArgs, console: &mut Console) -> Result<Exit, Failure> {
    let digests = arguments.digests.then(|| digest_name(&arguments.store)).transpose()?;
    let records = arguments.store.open(console)?.list().map_err(Failure::failed)?;
    for record in records.iter().filter(|record| record.state != KeyState::Deleted) {
        console.print(line(record, digests))?;
    }
    Ok(Exit::Done)
}

/// What digests of the store are called: it depends on the pepper.
fn digest_name(store: &StoreArgs) -> Result<&'static str, Failure> {
    let put = |overrides: &mut Overrides| overrides.store.clone_from(&store.store);
    let config = store.config.load_or(IN_ITS_FOLDER, &Vocabulary::new(), put)?.config;
    Ok(if config.keys.pepper.is_some() { "hmac_sha256" } else { "sha256" })
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
        GrantSpec::Custom(scopes) => put("scopes", Some(json!(scopes))),
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
