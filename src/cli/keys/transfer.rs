//! `scopegate keys import|export`: many keys at once, from elsewhere and to it.
//!
//! Here is what comes in; `export` has what goes out.

mod account;
mod export;
mod record;
mod row;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::json;

use self::account::{Listed, Plan};
use self::record::Ground;
use self::row::Row;
use super::accounts;
use crate::cli::{ConfigArgs, Console, Exit, Failure, author, source};
use crate::config::Keys;
use crate::key::account::AccountRecord;
use crate::key::digest::Hasher;
use crate::key::{KeyRecord, Timestamp};
use crate::store::{KeyStore, Location, OpenMode, Provenance, Revision, Stamp, Strangers};

pub(super) use self::export::{ExportArgs, export};

/// So many faults are told; of the rest the lines.
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
/// optional), and the key as `key` or its digest as `sha256`. A line of JSON with "record": "account" describes an account: id,
/// name, parent, credential, state. Every line that is wrong is named, and nothing is changed then.
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
    /// Make the accounts that are not there: as the file describes them, or with nothing but the id that keys name
    #[arg(long)]
    create_accounts: bool,
    /// Take keys of 8 to 15 bytes, too, which can be guessed
    #[arg(long)]
    allow_short: bool,
    #[command(flatten)]
    config: ConfigArgs,
    /// Key store, as in sqlite:scopegate.db or postgres://… [default: as configured]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Policy that says which scopes there are [default: as configured]
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    policy: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Takes keys over.
pub(super) fn import(arguments: &ImportArgs, console: &mut Console) -> Result<Exit, Failure> {
    let keys = arguments.config.keys_part(arguments.store.clone())?.keys;
    let now = Timestamp::now();
    let Batch { records, listed, short } = read(arguments, (&keys, now), console)?;
    let location = source::location(&keys);
    let made = take(arguments, (&records, listed), (&location, now), console)?;
    let count = match records.len() {
        1 => "1 key".to_owned(),
        count => format!("{count} keys"),
    };
    made.tell(arguments, console);
    console.note(format_args!("{count} {}.", if arguments.dry_run { "could be imported" } else { "imported" }));
    if short > 0 {
        let pepper = if keys.pepper.is_none() { ", the more so as keys.pepper is not set" } else { "" };
        console.warn(format_args!(
            "shorter than {} bytes: {short} of them; such a key can be guessed, and found by its digest{pepper}; `keys rotate` gives it a longer value",
            record::USUAL_LEAST
        ));
    }
    if arguments.json {
        let ids: Vec<&str> = records.iter().map(|(_, record)| record.id.as_str()).collect();
        let accounts: Vec<&str> = made.described.iter().chain(&made.bare).map(String::as_str).collect();
        let dry_run = arguments.dry_run;
        console.print_json(&json!({ "count": ids.len(), "dry_run": dry_run, "ids": ids, "accounts": accounts }))?;
    }
    Ok(Exit::Done)
}

/// Adds what the file holds to the store, or sees that it could be.
fn take(
    arguments: &ImportArgs,
    (records, listed): (&[(usize, KeyRecord)], Vec<Listed>),
    (location, now): (&Location, Timestamp),
    console: &mut Console,
) -> Result<Made, Failure> {
    // Where it is only a look, a store that is not there has no keys, and none is made.
    if arguments.dry_run && matches!(location, Location::Sqlite(path) if !path.exists()) {
        let plan = plan(arguments, (listed, &[]), now)?;
        return Ok(Made::of(&plan, records, &[]));
    }
    let mode = if arguments.dry_run { OpenMode::Existing } else { OpenMode::Create };
    let mut store = super::open(location, mode, console)?;
    let accounts = store.accounts().map_err(Failure::failed)?;
    let plan = plan(arguments, (listed, &accounts), now)?;
    refuse(arguments, known(arguments, (records, &accounts), &mut *store)?)?;
    let made = Made::of(&plan, records, &accounts);
    if !arguments.dry_run {
        let stamp = Stamp { by: &author::name(), at: now };
        plan.carry_out(&mut *store, stamp).map_err(accounts::refusal)?;
        let all: Vec<KeyRecord> = records.iter().map(|(_, record)| record.clone()).collect();
        if !all.is_empty() {
            let provenance = Provenance::Imported(strangers(arguments));
            store.add(&all, provenance, stamp).map_err(accounts::refusal)?;
        }
        super::let_gateways_follow();
    }
    Ok(made)
}

/// What a file holds.
struct Batch {
    /// The keys with their lines, all of them good and no two the same.
    records: Vec<(usize, KeyRecord)>,
    /// The accounts that it describes.
    listed: Vec<Listed>,
    /// How many of the keys are shorter than is usual.
    short: usize,
}

/// The accounts that an import makes.
#[derive(Default)]
struct Made {
    /// As the file describes them.
    described: Vec<String>,
    /// With nothing but an id: the file has keys of them alone.
    bare: Vec<String>,
}

impl Made {
    fn of(plan: &Plan, records: &[(usize, KeyRecord)], there: &[AccountRecord]) -> Self {
        let described: Vec<String> = plan.ids().map(str::to_owned).collect();
        let named: BTreeSet<&str> = records.iter().filter_map(|(_, record)| record.account.as_deref()).collect();
        let is_known =
            |id: &str| there.iter().any(|account| *account.id == *id) || described.iter().any(|account| account == id);
        let bare = named.into_iter().filter(|id| !is_known(id)).map(str::to_owned).collect();
        Self { described, bare }
    }

    fn tell(&self, arguments: &ImportArgs, console: &mut Console) {
        let done = if arguments.dry_run { "could be made" } else { "made" };
        if !self.described.is_empty() {
            console.note(format_args!("Accounts {done} as the file describes them: {}.", self.described.join(", ")));
        }
        if !self.bare.is_empty() {
            let bare = self.bare.join(", ");
            console.note(format_args!("Accounts {done} with neither parent nor credential: {bare}."));
        }
    }
}

fn plan(
    arguments: &ImportArgs,
    (listed, there): (Vec<Listed>, &[AccountRecord]),
    now: Timestamp,
) -> Result<Plan, Failure> {
    Plan::new(listed, there, (strangers(arguments), now)).or_else(|faults| {
        refuse(arguments, faults)?;
        Ok(Plan::default())
    })
}

/// All that the file holds, if nothing of it is wrong.
fn read(arguments: &ImportArgs, (keys, now): (&Keys, Timestamp), console: &mut Console) -> Result<Batch, Failure> {
    let rows = rows(arguments, console)?;
    if rows.is_empty() {
        return Err(invalid(format_args!("{} has no keys: nothing was imported", place(arguments))));
    }
    // The policy says which scopes there are, and nothing else of a key.
    let has_scopes = rows.iter().any(|row| row.has("scopes")) || arguments.policy.is_some();
    let policy = has_scopes.then(|| arguments.config.policy_part(arguments.policy.clone())).transpose()?;
    let least = if arguments.allow_short { record::LEAST } else { record::USUAL_LEAST };
    let ground = Ground { keys, policy, hasher: Hasher::new(keys.pepper.as_ref()), least, short: Cell::new(0), now };
    let mut faults = Vec::new();
    let mut records: Vec<(usize, KeyRecord)> = Vec::new();
    let mut listed = Vec::new();
    let (mut ids, mut digests) = (HashMap::new(), HashMap::new());
    for row in rows {
        let line = row.line;
        if row.has(account::MARK) {
            match account::read(row) {
                Ok(account) => listed.push(account),
                Err(fault) => faults.push((line, fault)),
            }
            continue;
        }
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
    Ok(Batch { records, listed, short: ground.short.get() })
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
        Some(Form::Csv) => {
            row::of_csv(&text, &record::FIELDS).map_err(|fault| invalid(format_args!("{name}:1: {fault}")))
        }
        Some(Form::Jsonl) | None => Ok(row::of_json(&text)),
    }
}

const fn strangers(arguments: &ImportArgs) -> Strangers {
    if arguments.create_accounts { Strangers::Made } else { Strangers::Refused }
}

/// What the store has already of the records, and what it lacks of their accounts.
fn known(
    arguments: &ImportArgs,
    (records, there): (&[(usize, KeyRecord)], &[AccountRecord]),
    store: &mut dyn KeyStore,
) -> Result<Vec<(usize, String)>, Failure> {
    let (mut ids, mut digests) = (HashSet::new(), HashSet::new());
    let mut roll = accounts::Roll::new(there, strangers(arguments));
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
    let lines: Vec<usize> = faults.iter().skip(MOST_FAULTS).map(|(line, _)| *line).collect();
    let mut said: Vec<String> =
        faults.into_iter().take(MOST_FAULTS).map(|(line, fault)| format!("{name}:{line}: {fault}")).collect();
    if count > MOST_FAULTS {
        said.push(format!("{name}: {} more faults, on these lines: {}", count - MOST_FAULTS, in_spans(lines)));
    }
    said.push("nothing was imported".to_owned());
    Err(invalid(said.join("\n       ")))
}

/// The numbers of lines, those in a row as one: `51 to 60, 72`.
fn in_spans(mut lines: Vec<usize>) -> String {
    lines.sort_unstable();
    let rows = lines.chunk_by(|one, next| next - one <= 1);
    let spans = rows.filter_map(|row| match (row.first()?, row.last()?) {
        (one, last) if one == last => Some(one.to_string()),
        (first, last) => Some(format!("{first} to {last}")),
    });
    spans.collect::<Vec<_>>().join(", ")
}

fn invalid(message: impl Display) -> Failure {
    Failure::Told { exit: Exit::Failed, message: message.to_string() }
}

fn place(arguments: &ImportArgs) -> String {
    if arguments.file == Path::new("-") { "standard input".to_owned() } else { arguments.file.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_in_a_row_are_said_as_one() {
        assert_eq!(in_spans(vec![72, 51, 53, 52, 52, 80, 81]), "51 to 53, 72, 80 to 81");
        assert_eq!(in_spans(vec![7]), "7");
    }
}
