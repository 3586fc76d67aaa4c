//! `scopegate scan PATH…`: our keys in files, where no key belongs, and what is known of each.

mod ledger;
mod report;
mod walk;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;

use self::ledger::Ledger;
use self::report::Report;
use self::walk::Step;
use super::{ConfigArgs, Console, Exit, Failure};
use crate::key::search::Search;
use crate::key::secret;

/// What is scanned where `-` is written.
const STANDARD_INPUT: &str = "standard input";

/// Find keys in files and folders, without knowing them
///
/// A key is known by its prefix and its checksum, in text and in binary files. What is compressed, encoded or encrypted is
/// searched as it is: `git log -p --all | scopegate scan -` looks through the history of a repository. Symbolic links are
/// followed where they are named, not where they are met in a folder.
///
/// Exits with 0 where everything was read and no key was found, with 1 where a key was found, and with 2 where none was
/// found and something could not be read. A tripwire is told and is no finding, where the store is there to know it.
#[derive(Debug, Args)]
pub(super) struct ScanArgs {
    /// Files and folders, or - for standard input
    #[arg(required = true, value_name = "PATH", value_hint = clap::ValueHint::AnyPath)]
    paths: Vec<PathBuf>,
    /// What keys begin with; may be repeated. Then only a configuration or a store that is named is asked what is known of
    /// the keys [default: as the configuration and the store have it, or sg]
    #[arg(long = "prefix", value_name = "PREFIX")]
    prefixes: Vec<String>,
    #[command(flatten)]
    config: ConfigArgs,
    /// Key store that knows which keys work, as in sqlite:scopegate.db or postgres://… [default: as configured]
    #[arg(long, value_name = "STORE")]
    store: Option<String>,
    /// Print JSON, a line for each place
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &ScanArgs, console: &mut Console) -> Result<Exit, Failure> {
    let mut report = Report::new(arguments.json);
    // Whatever fails, 1 is for keys that were found.
    match scan(arguments, &mut report, console) {
        Ok(()) => report.close(console),
        Err(Failure::Gone) => report.fail(),
        Err(failure) => {
            console.tell(&failure);
            report.fail();
        }
    }
    Ok(report.exit())
}

fn scan(arguments: &ScanArgs, report: &mut Report, console: &mut Console) -> Result<(), Failure> {
    if let Some(none) = arguments.prefixes.iter().find(|prefix| !secret::is_prefix(prefix)) {
        return Err(Failure::usage(format_args!(
            "`{none}` cannot be the prefix of keys: write 1 to 16 ASCII letters and digits, with `_` between them at most"
        )));
    }
    let ledger = Ledger::open(arguments, console)?;
    let mut scanner = Scanner { search: Search::new(ledger.prefixes()), ledger: &ledger, report };
    for path in &arguments.paths {
        if path == Path::new("-") {
            let mut input = console.take_input();
            scanner.read(&mut *input, Path::new(STANDARD_INPUT), console)?;
        } else {
            walk::walk(path, &mut |step| scanner.step(step, console))?;
        }
    }
    Ok(())
}

/// Opens a file without waiting for it: what calls itself one in /proc and the like may have nothing to read yet, and for ever.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

struct Scanner<'s> {
    search: Search,
    ledger: &'s Ledger,
    report: &'s mut Report,
}

impl Scanner<'_> {
    fn step(&mut self, step: Step<'_>, console: &mut Console) -> Result<(), Failure> {
        match step {
            Step::File(path) => {
                self.look_at_name(path, console)?;
                match open(path) {
                    Ok(mut file) => self.read(&mut file, path, console),
                    Err(error) => self.report.miss(self.ledger, (path, &error), console),
                }
            }
            Step::Folder(path) => self.look_at_name(path, console),
            Step::Link => {
                self.report.links += 1;
                Ok(())
            }
            Step::Special => {
                self.report.special += 1;
                Ok(())
            }
            Step::Unreadable(path, error) => self.report.miss(self.ledger, (path, &error), console),
        }
    }

    /// Looks through a whole stream, block by block.
    fn read(&mut self, input: &mut dyn Read, path: &Path, console: &mut Console) -> Result<(), Failure> {
        self.search.begin();
        self.report.files += 1;
        loop {
            let count = match input.read(self.search.room()) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return self.report.miss(self.ledger, (path, &error), console),
            };
            self.report.bytes += count as u64;
            for hit in self.search.take(count) {
                self.report.find(self.ledger, (path, &hit, Some(hit.place)), console)?;
            }
        }
    }

    /// A file may be named as a key is, too.
    fn look_at_name(&mut self, path: &Path, console: &mut Console) -> Result<(), Failure> {
        self.search.begin();
        let mut name = path.file_name().map(OsStr::as_bytes).unwrap_or_default();
        while !name.is_empty() {
            let count = name.read(self.search.room()).unwrap_or_default();
            for hit in self.search.take(count) {
                self.report.find(self.ledger, (path, &hit, None), console)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, Mode};

    use super::*;

    #[test]
    fn nobody_is_waited_for_who_may_never_write_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(open(&path).unwrap().read(&mut [0]).unwrap(), 0);
    }
}
