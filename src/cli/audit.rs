//! `scopegate audit list|verify|export`: every change of a store, by whom, when and what, and whether the log of them is whole.

mod shown;
mod verify;

use std::collections::VecDeque;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::keys::{StoreArgs, parse_id};
use super::stored::table;
use super::{Console, Exit, Failure};
use crate::key::Timestamp;
use crate::key::timestamp::parse_span;
use crate::store::KeyStore;
use crate::store::audit::{Entry, Head};
use verify::VerifyArgs;

/// Show who changed which key when, and prove that no change was taken out
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, subcommand_required = true)]
pub(super) struct AuditArgs {
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    List(ListArgs),
    Verify(VerifyArgs),
    Export(ExportArgs),
}

/// List the changes of a store, the oldest first
#[derive(Debug, Args)]
struct ListArgs {
    /// Those of one key
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Those from a moment on: a span until now (7d) or a date (2027-01-31)
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Those before a moment: a span until now (7d) or a date (2027-01-31)
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// The last so many of them
    #[arg(long, value_name = "COUNT")]
    last: Option<usize>,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Print every change as JSON Lines, with what proves that none is missing
///
/// Each line has the hash of the one before it. `scopegate audit verify FILE` checks them, without a store.
#[derive(Debug, Args)]
struct ExportArgs {
    /// Begin behind this entry, the last one of an export before
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true, value_parser = clap::value_parser!(u64).range(..=i64::MAX.cast_unsigned()))]
    after: u64,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(arguments: AuditArgs, console: &mut Console) -> Result<Exit, Failure> {
    match arguments.command {
        AuditCommand::List(arguments) => list(&arguments, console),
        AuditCommand::Verify(arguments) => verify::run(&arguments, console),
        AuditCommand::Export(arguments) => export(&arguments, console),
    }
}

/// Tells every entry, until one of them cannot be taken.
fn read(
    store: &mut dyn KeyStore,
    after: u64,
    mut tell: impl FnMut(Entry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut taken = Ok(());
    let read = store.audit(after, &mut |entry| {
        if taken.is_ok() {
            taken = tell(entry);
        }
    });
    read.map_err(Failure::failed)?;
    taken
}

fn list(arguments: &ListArgs, console: &mut Console) -> Result<Exit, Failure> {
    let now = Timestamp::now();
    let key = arguments.key.as_deref().map(parse_id).transpose()?;
    let moment = |text: &Option<String>| text.as_deref().map(|text| moment(text, now)).transpose();
    let (since, until) = (moment(&arguments.since)?, moment(&arguments.until)?);
    let mut store = arguments.store.open(console)?;
    let mut entries = VecDeque::new();
    let mut is_empty = true;
    read(&mut *store, 0, |entry| {
        is_empty = false;
        let is_of_key = key.as_ref().is_none_or(|key| entry.key.as_deref() == Some(key.as_str()));
        if is_of_key && since.is_none_or(|since| entry.at >= since) && until.is_none_or(|until| entry.at < until) {
            entries.push_back(entry);
        }
        if arguments.last.is_some_and(|most| entries.len() > most) {
            entries.pop_front();
        }
        Ok(())
    })?;
    if arguments.json {
        let entries: Vec<Value> = entries.iter().map(Entry::to_json).collect();
        console.print_json(&json!({ "entries": entries }))?;
    } else if is_empty {
        console.note("Nothing was ever changed in the store.");
    } else if entries.is_empty() {
        console.note("No change is like that: `scopegate audit list` shows them all.");
    } else if let Some(width) = console.width() {
        let lines: Vec<String> = entries.iter().map(|entry| shown::lines(entry, width)).collect();
        console.print(lines.join("\n"))?;
    } else {
        let header = ["NUMBER", "AT", "BY", "ACTION", "KEY", "DETAIL"];
        console.print(table(header, entries.iter().map(shown::cells), None))?;
    }
    Ok(Exit::Done)
}

/// A moment that has passed: a date, or so long ago.
fn moment(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let ago = parse_span(text).ok().and_then(|span| i64::try_from(span.as_millis()).ok());
    match (Timestamp::parse_moment(text), ago) {
        (Ok(moment), _) => Ok(moment),
        (Err(_), Some(ago)) => Ok(Timestamp::from_millis(now.as_millis().saturating_sub(ago))),
        (Err(_), None) => Err(Failure::usage(format_args!(
            "`{text}` is no moment: write a day (2027-01-31), a time (2027-01-31T12:00:00Z) or a span until now (7d, 12h)"
        ))),
    }
}

fn export(arguments: &ExportArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mut store = arguments.store.open(console)?;
    let (mut head, mut count) = (None, 0_u64);
    read(&mut *store, arguments.after, |entry| {
        head = Some(Head { number: entry.number, hash: entry.hash.to_string().into() });
        count += 1;
        console.print_json(&entry.to_json())
    })?;
    match head {
        Some(head) => {
            console.note(format_args!("{} exported.", entries(count)));
            tell_head(&head, console);
        }
        None if arguments.after > 0 => console.note(format_args!("There is nothing behind entry {}.", arguments.after)),
        None => console.note("Nothing was ever changed in the store."),
    }
    Ok(Exit::Done)
}

fn entries(count: u64) -> String {
    if count == 1 { "1 entry".to_owned() } else { format!("{count} entries") }
}

/// Says what is to be kept elsewhere.
fn tell_head(head: &Head, console: &mut Console) {
    console.note(format_args!(
        "The head is {head}\nKeep it where whoever can write the store cannot: `scopegate audit verify --head` then proves all up to it."
    ));
}
