//! The spare copy of the keys, `keys.snapshot`: what a gateway starts from while its store is away.
//!
//! It holds digests and what deciding needs, no key and no name of one. A new one is written beside the old and put in its
//! place, so that there is a whole one at any moment. It says when what it says was last the truth; that moment is moved on in
//! place while nothing changes. INVARIANT: it is never moved on over a change that the copy lacks.
//!
//! A copy is believed where its checksum holds, it is of the same store, and nobody else could have written it; a fault makes
//! it as good as none, with the reason.

mod format;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod keeper;

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) use self::keeper::Desk;
pub use self::keeper::{Event, Keeper, Written};
use super::follow::Status;
use super::index::Index;
use super::{Change, Location, Revision, StoreWarning, warning};
use crate::key::Timestamp;

/// Readable and writable by its owner alone.
const MODE: u32 = 0o600;
/// How far ahead of this machine's clock the moment of a copy may be: clocks are put right by less.
const AHEAD: i64 = 60_000;

/// Where the copy is kept, and of which store.
#[derive(Clone, Debug)]
pub struct Spare {
    path: PathBuf,
    location: Location,
    /// Whether the store itself has said that the copy is of it.
    is_proven: bool,
    report: fn(&Event<'_>),
}

/// Where what was loaded into an index comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When the store was last read.
    pub contact: Timestamp,
    /// How far, in the numbers of the index.
    pub revision: Revision,
    /// What was added to the numbers of the store in the index.
    pub lift: u64,
    /// Where the store goes on, in its own words; see [`KeyStore::bookmark`](super::KeyStore::bookmark).
    pub bookmark: Option<Vec<u8>>,
}

/// Why a copy is not used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant means")]
pub enum SpareFault {
    #[error("it is damaged ({0})")]
    Damaged(&'static str),
    #[error("it cannot be {doing}: {reason}")]
    Io { doing: &'static str, reason: std::io::Error },
    #[error(
        "it is a copy of the key store {0}, and whether the one that keys.store names is the same only the database could say: as long as that does not answer, start with the former host beside the new one, as in `…@FORMER:5432,NEW:5432/NAME`, or with the former address"
    )]
    Moved(String),
    #[error("it was written by a newer scopegate (format {found}, this program knows {known})")]
    Newer { found: u32, known: u32 },
    #[error("its moment is still to come: the clock of this machine was put back, or is wrong")]
    Premature,
    #[error("it is a copy of another key store, {0}")]
    Stranger(String),
    #[error("{0}")]
    Untrusted(String),
}

/// A copy that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// Where its keys come from.
    pub past: Past,
    /// What may be unsafe about it.
    pub warnings: Vec<StoreWarning>,
}

impl Spare {
    /// The copy at `path`, of the store at `location`. `report` is told how keeping it goes, on another thread.
    pub fn new(path: PathBuf, location: Location, report: fn(&Event<'_>)) -> Self {
        Self { path, location, is_proven: false, report }
    }

    /// The same, where the store itself has said that the copy is of it, whatever its address was.
    #[must_use]
    pub fn proven(self) -> Self {
        Self { is_proven: true, ..self }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the keys of the copy into an index; `None` where there is none. Nothing is taken of one that has a fault.
    ///
    /// # Errors
    /// The copy cannot be used.
    pub fn load(&self, index: &Index) -> Result<Option<Loaded>, SpareFault> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(reason) => return Err(SpareFault::Io { doing: "read", reason }),
        };
        let found = file.metadata().map_err(reading)?;
        if !found.is_file() {
            return Err(SpareFault::Untrusted("it is no regular file".to_owned()));
        }
        if let Some(why) = warning::why_not_believed(&found) {
            return Err(SpareFault::Untrusted(why));
        }
        let readable = (found.mode() & 0o004 != 0)
            .then(|| StoreWarning::Readable { path: self.path.clone(), mode: found.mode() & 0o7777 });
        // Everything is read and found good before anything is taken over.
        let past = self.read(&mut file, &mut |_| {})?;
        let again = self.read(&mut file, &mut |change| index.apply(&change))?;
        if (again.revision, &again.bookmark) != (past.revision, &past.bookmark) {
            return Err(SpareFault::Damaged("it was written while it was read"));
        }
        Ok(Some(Loaded { past: again, warnings: readable.into_iter().collect() }))
    }

    /// Where the copy says that its store goes on; `None` where there is none, or it is of another store, as far as its store
    /// cannot tell by itself. Nothing is to be taken from this but a warning: the copy is not looked through.
    pub fn bookmark(&self) -> Option<Vec<u8>> {
        let file = File::open(&self.path).ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))?;
        let (place, bookmark) = format::read_start(BufReader::new(file)).ok()?;
        bookmark.filter(|_| self.location.may_know(&place))
    }

    fn read(&self, file: &mut File, tell: &mut dyn FnMut(Change)) -> Result<Past, SpareFault> {
        file.seek(SeekFrom::Start(0)).map_err(reading)?;
        let (place, past) = format::read(BufReader::new(file), tell)?;
        if !self.is_proven && !self.location.is_at(&place) {
            let is_akin = self.location.may_know(&place);
            return Err(if is_akin { SpareFault::Moved(place) } else { SpareFault::Stranger(place) });
        }
        if past.contact.as_millis() > Timestamp::now().as_millis().saturating_add(AHEAD) {
            return Err(SpareFault::Premature);
        }
        Ok(past)
    }

    /// Keeps the copy up to date with `index` from now on, on a thread of its own.
    pub(super) fn keep(self, index: Arc<Index>, status: Arc<Status>, desk: Arc<Desk>) -> std::io::Result<Keeper> {
        Keeper::start(self, index, status, desk)
    }

    /// Writes a whole new copy and puts it in the place of the old one, where the index is whole then. It is on disk when this
    /// returns.
    fn write(&self, past: &Past, whole: (&Index, &dyn Fn() -> bool)) -> Result<Option<Copied>, SpareFault> {
        let beside = self.beside();
        let written = self.write_beside(&beside, past, whole);
        if !matches!(written, Ok(Some(_))) {
            // What is left of it is of no use; where it cannot be removed the next attempt tells.
            let _ = std::fs::remove_file(&beside);
        }
        written
    }

    fn write_beside(
        &self,
        beside: &Path,
        past: &Past,
        (index, is_whole): (&Index, &dyn Fn() -> bool),
    ) -> Result<Option<Copied>, SpareFault> {
        match std::fs::remove_file(beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(writing(error)),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(MODE).open(beside);
        let file = file.map_err(writing)?;
        let mut out = BufWriter::with_capacity(1 << 18, file);
        out.write_all(&[0; format::PRELUDE]).map_err(writing)?;
        let mut body = format::Body::new(out, &self.location.place(), past).map_err(writing)?;
        let mut fault = None;
        index.tell(&mut |change| {
            if fault.is_none() {
                fault = body.add(&change).err();
            }
        });
        if let Some(error) = fault {
            return Err(writing(error));
        }
        let (out, digest) = body.finish().map_err(writing)?;
        let file = out.into_inner().map_err(|error| writing(error.into_error()))?;
        file.write_all_at(&format::prelude(&digest, past.contact), 0).map_err(writing)?;
        file.sync_all().map_err(writing)?;
        if !is_whole() {
            return Ok(None);
        }
        std::fs::rename(beside, &self.path).map_err(writing)?;
        let folder = File::open(warning::folder_of(&self.path)).and_then(|folder| folder.sync_all());
        folder.map_err(writing)?;
        Ok(Some(Copied { file, digest, slot: 0 }))
    }

    /// Where a copy is written before it is whole.
    fn beside(&self) -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(self.path.file_name().unwrap_or_default());
        name.push(format!(".{}", std::process::id()));
        self.path.with_file_name(name)
    }
}

/// A copy that this process has written.
struct Copied {
    file: File,
    digest: [u8; 32],
    /// Which of the two moments was written last: the other is written next, so that one of them always holds.
    slot: usize,
}

impl Copied {
    /// Whether it is what stands at `path`.
    fn is_at(&self, path: &Path) -> bool {
        let same =
            |one: &std::fs::Metadata, other: &std::fs::Metadata| (one.dev(), one.ino()) == (other.dev(), other.ino());
        self.file.metadata().ok().zip(path.metadata().ok()).is_some_and(|(ours, there)| same(&ours, &there))
    }

    /// Says that it was the truth at a later moment, too. A process that is killed leaves it to the system to write it out.
    fn mark(&mut self, contact: Timestamp) -> Result<(), SpareFault> {
        let slot = 1 - self.slot;
        let (offset, bytes) = format::slot(slot, &self.digest, contact);
        self.file.write_all_at(&bytes, offset).map_err(writing)?;
        self.slot = slot;
        Ok(())
    }
}

fn reading(reason: std::io::Error) -> SpareFault {
    match reason.kind() {
        ErrorKind::UnexpectedEof => SpareFault::Damaged("it ends too early"),
        ErrorKind::InvalidData => SpareFault::Damaged("it holds what no copy holds"),
        _ => SpareFault::Io { doing: "read", reason },
    }
}

fn writing(reason: std::io::Error) -> SpareFault {
    SpareFault::Io { doing: "written", reason }
}

#[cfg(test)]
mod tests;
