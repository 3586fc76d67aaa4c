//! What is said of each key that was found, and of what could not be read. Never the key.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::json;

use super::ledger::{Known, Ledger, Standing};
use crate::cli::keys::view;
use crate::cli::{Console, Exit, Failure};
use crate::config;
use crate::key::lifecycle::Imprint;
use crate::key::mask::Mask;
use crate::key::search::{Hit, Place};
use crate::key::visible::escaped;
use crate::key::{KeyValue, Timestamp};

/// What came of a scan so far.
#[derive(Debug, Default)]
pub(super) struct Report {
    json: bool,
    /// Streams that were read, or begun.
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Symbolic links that were not followed.
    pub(super) links: u64,
    /// Pipes, sockets and devices that were passed over.
    pub(super) special: u64,
    /// Where keys were found that are no tripwires.
    places: u64,
    /// Where tripwires were found: whoever laid them there wants them to be.
    tripwires: u64,
    /// In how many of the places a key works.
    working: u64,
    /// A command gives one of them a new value.
    is_rotated: bool,
    /// Something could not be read.
    is_partial: bool,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json, ..Self::default() }
    }

    /// Tells of a key in a file, or in the name of one.
    pub(super) fn find(
        &mut self,
        ledger: &Ledger,
        (path, hit, place): (&Path, &Hit, Option<Place>),
        console: &mut Console,
    ) -> Result<(), Failure> {
        let value = KeyValue::new(Imprint::of(&hit.secret, &hit.prefix, &ledger.hasher), Timestamp::MIN);
        let found = ledger.find(&value.digest);
        let known = found.flatten();
        let is_tripwire = known.is_some_and(|known| known.standing == Standing::Tripwire);
        self.tripwires += u64::from(is_tripwire);
        self.places += u64::from(!is_tripwire);
        self.working += u64::from(known.is_some_and(|known| known.standing.works()));
        let (path, shape) = (shown(ledger, path), view::shape(&value));
        let command = known.and_then(|known| ledger.command(known));
        self.is_rotated |= known.is_some_and(|known| known.standing == Standing::Live) && command.is_some();
        if self.json {
            return console.print_json(&json!({
                "path": path,
                "line": place.map(|place| place.line),
                "column": place.map(|place| place.column),
                "key": shape,
                "status": found.map(|known| known.map_or("unknown", |known| known.standing.as_str())),
                "id": known.map(|known| known.id.as_str()),
                "name": known.map(|known| &*known.name),
                "until": known.and_then(|known| known.until).map(|until| until.to_string()),
                "command": command,
            }));
        }
        let path = escaped(&path);
        let at = place.map_or_else(|| " (its name)".to_owned(), |place| format!(":{}:{}", place.line, place.column));
        let told = match found {
            None => String::new(),
            Some(None) => " is unknown to the store".to_owned(),
            Some(Some(known)) => format!(" {}", sentence(known, command.as_deref())),
        };
        console.print(format_args!("{path}{at}: {shape}{told}"))
    }

    /// Tells of what cannot be read.
    pub(super) fn miss(
        &mut self,
        ledger: &Ledger,
        (path, error): (&Path, &io::Error),
        console: &mut Console,
    ) -> Result<(), Failure> {
        self.is_partial = true;
        let (path, why) = (shown(ledger, path), config::said(error));
        console.warn(format_args!("{path} cannot be read: {why}"));
        if self.json { console.print_json(&json!({ "path": path, "error": why.to_string() })) } else { Ok(()) }
    }

    /// The scan did not come to its end.
    pub(super) fn fail(&mut self) {
        self.is_partial = true;
    }

    /// Sums up what came of it.
    pub(super) fn close(&self, console: &mut Console) {
        let read = format!("{} searched ({})", count(self.files, "file"), size(self.bytes));
        let links = (self.links > 0).then(|| format!("{} not followed", count(self.links, "symbolic link")));
        let special =
            (self.special > 0).then(|| format!("{} passed over", count(self.special, "pipe, socket or device")));
        let looked: Vec<String> = [Some(read), links, special].into_iter().flatten().collect();
        console.note(format_args!("{}.", looked.join(", ")));
        if self.tripwires > 0 {
            console.note(format_args!("{} found, which is no leak.", count(self.tripwires, "tripwire")));
        }
        let lacking = if self.is_partial { " in what could be read" } else { "" };
        match (self.places, self.working) {
            (0, _) if self.tripwires > 0 => console.note(format_args!("No other key was found{lacking}.")),
            (0, _) => console.note(format_args!("No key was found{lacking}.")),
            (places, 0) => console.note(format_args!("{} found{lacking}.", count(places, "key"))),
            (places, working) => {
                let verb = if working == 1 { "works" } else { "work" };
                console.note(format_args!("{} found{lacking}, of which {working} {verb}.", count(places, "key")));
                if self.is_rotated {
                    console.note("A rotation ends the old value at once: give the new one to whoever uses the key.");
                }
            }
        }
    }

    pub(super) fn exit(&self) -> Exit {
        match (self.places, self.is_partial) {
            (0, false) => Exit::Done,
            (0, true) => Exit::Unread,
            (1.., _) => Exit::Found,
        }
    }
}

/// What is known of a key, and what is to be done.
fn sentence(known: &Known, command: Option<&str>) -> String {
    let until = known.until.map(|until| format!(" until {until}")).unwrap_or_default();
    let standing = match known.standing {
        Standing::Deleted => "is deleted".to_owned(),
        Standing::Disabled => "is disabled".to_owned(),
        Standing::Ended => "is an old value that has ended".to_owned(),
        Standing::Expired => "has expired".to_owned(),
        Standing::Live => "is live".to_owned(),
        Standing::Retiring => format!("is an old value that works{until}"),
        Standing::Revoked => "is revoked".to_owned(),
        Standing::Tripwire => "is a tripwire, which opens nothing".to_owned(),
    };
    let mend = match command {
        Some(command) => format!("; {command}"),
        None if known.standing.works() => "; take it out of the key file".to_owned(),
        None => String::new(),
    };
    format!("{standing}: {} ({}){mend}", known.id, escaped(&known.name))
}

/// A path without the keys in it.
fn shown(ledger: &Ledger, path: &Path) -> String {
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    for prefix in ledger.prefixes() {
        bytes = Mask::new(prefix).over(&bytes).bytes().into_owned();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn count(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {}", what.replacen(" or ", "s or ", 1).replace(',', "s,") + "s"),
    }
}

/// Bytes in the largest unit of which there is one.
fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];
    match UNITS.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit),
        None => count(bytes, "byte"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_counts_are_words() {
        let sizes = [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (1_000, "1.0 kB"), (25_980_000_000, "25.9 GB")];
        assert!(sizes.iter().all(|(bytes, text)| size(*bytes) == *text));
        assert_eq!(count(1, "pipe, socket or device"), "1 pipe, socket or device");
        assert_eq!(count(3, "pipe, socket or device"), "3 pipes, sockets or devices");
    }
}
