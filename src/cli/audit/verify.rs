//! `scopegate audit verify`: whether every entry follows from the one before it, in a store or in an export.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{entries, tell_head};
use crate::cli::console::read_line;
use crate::cli::keys::StoreArgs;
use crate::cli::{Console, Exit, Failure};
use crate::store::audit::{self, Break, Chain, Head, Standing, Unlogged};

/// Check that no change was altered, taken out or cut off
///
/// Each entry has to follow from the one before it, and each key and account of the store has to be what the entries say: its
/// state, what it may do, its dates and its values. Exits with 3 where something does not hold, and names it. Whoever can write the
/// store could write the whole log anew: that shows by a head that was kept elsewhere alone.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// An export, or - for standard input [default: the log of the store]
    #[arg(value_hint = clap::ValueHint::FilePath, conflicts_with = "store")]
    file: Option<PathBuf>,
    /// Head that was kept elsewhere, as in 12:9f86…; the log has to have that entry
    #[arg(long, value_name = "NUMBER:HASH")]
    head: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &VerifyArgs, console: &mut Console) -> Result<Exit, Failure> {
    let kept = arguments.head.as_deref().map(head).transpose()?;
    let (chain, broken, standing) = match &arguments.file {
        Some(path) => {
            let (chain, broken) = of_file(path, kept, console)?;
            (chain, broken, Standing::default())
        }
        None => of_store(arguments, kept, console)?,
    };
    if arguments.json {
        console.print_json(&json!({
            "holds": broken.is_none(),
            "entries": chain.length(),
            "first": chain.first(),
            "head": chain.head().map(ToString::to_string),
            "broken": broken.as_ref().map(|broken| json!({ "number": broken.number, "what": broken.what })),
            "changed_past_it": standing.unlogged.iter().map(stray).collect::<Vec<_>>(),
            "keys_with_older_entries": standing.lacking,
            "older_than_the_one_before": chain.steps_back(),
        }))?;
    }
    warn(&chain, &standing, console);
    match (broken, chain.head()) {
        (Some(broken), _) => {
            let before = match chain.length() {
                0 => String::new(),
                count => format!("; what holds before it: {}", entries(count)),
            };
            let message = format!("the audit does not hold: {broken}{before}");
            Err(Failure::Told { exit: Exit::Denied, message })
        }
        (None, None) => {
            console.note("The audit has no entries.");
            Ok(Exit::Done)
        }
        (None, Some(head)) => {
            let from = chain.first().filter(|first| *first > 1).map(|first| format!(" from entry {first} on"));
            let many = chain.length() > 1;
            console.note(format_args!(
                "{}{} {}.",
                entries(chain.length()),
                from.unwrap_or_default(),
                if many { "hold" } else { "holds" }
            ));
            tell_head(head, console);
            Ok(Exit::Done)
        }
    }
}

/// What does not break the log, and ought to be known.
fn warn(chain: &Chain, standing: &Standing, console: &mut Console) {
    if let [first, rest @ ..] = chain.steps_back() {
        let others = match rest.len() {
            0 => String::new(),
            1 => ", and so is 1 other".to_owned(),
            count => format!(", and so are {count} others"),
        };
        console.warn(format_args!(
            "entry {first} is older than the one before it{others}: a clock went back there, or was set by whoever made the change"
        ));
    }
    if standing.lacking > 0 {
        let keys = if standing.lacking == 1 { "1 key".to_owned() } else { format!("{} keys", standing.lacking) };
        console.note(format_args!(
            "The entries of {keys} are of an older version, which said less: what they do not say was not compared."
        ));
    }
}

fn stray(stray: &Unlogged) -> Value {
    let (sort, id, what) = stray.parts();
    json!({ sort: id, "what": what })
}

fn head(text: &str) -> Result<Head, Failure> {
    Head::parse(text).ok_or_else(|| {
        Failure::usage(
            "--head is no head: write the number of an entry, a colon and its hash of 64 hexadecimal digits, as export and verify say them",
        )
    })
}

/// Looks at every entry up to the first that does not hold.
fn of_store(
    arguments: &VerifyArgs,
    kept: Option<Head>,
    console: &mut Console,
) -> Result<(Chain, Option<Break>, Standing), Failure> {
    let mut store = arguments.store.open(console)?;
    let (mut chain, mut broken) = (Chain::whole(kept), None);
    let read = store.verify(&mut |entry| {
        if broken.is_none() {
            broken = chain.follow(&entry.to_json()).err();
        }
    });
    let standing = read.map_err(Failure::failed)?;
    let broken = broken.or_else(|| chain.finish(Some(&standing)).err());
    Ok((chain, broken, standing))
}

fn of_file(path: &Path, kept: Option<Head>, console: &mut Console) -> Result<(Chain, Option<Break>), Failure> {
    let is_input = path.as_os_str() == "-";
    let fault = |error: &std::io::Error| match is_input {
        true => Failure::io("standard input cannot be read", error),
        false => Failure::io(format_args!("{} cannot be read", path.display()), error),
    };
    let mut input: Box<dyn BufRead> = match is_input {
        true => console.take_input(),
        false => Box::new(BufReader::new(File::open(path).map_err(|error| fault(&error))?)),
    };
    let mut chain = Chain::part(kept);
    while let Some(line) = read_line(&mut *input).map_err(|error| fault(&error))? {
        // What is no JSON is no entry, and the chain says so.
        let line = audit::read_line(&line).unwrap_or(Value::Null);
        if let Err(broken) = chain.follow(&line) {
            return Ok((chain, Some(broken)));
        }
    }
    let broken = chain.finish(None).err();
    Ok((chain, broken))
}
