//! Files, read whole and never beyond a limit, and remembered by what was read.
//!
//! INVARIANT: what one load reads is one version. A symlink leads to one place throughout a load, so a folder that is
//! swapped by one is seen as it was or as it is; and where a file is not any more what was read of it, the load is none.

mod links;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use links::Links;

/// Reads files for one load, and remembers each.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(Rc<RefCell<Read>>);

/// What a load has read.
#[derive(Debug, Default)]
struct Read {
    links: Links,
    /// By the path that was asked for.
    marks: BTreeMap<PathBuf, Mark>,
    /// By the path that it led to.
    places: BTreeMap<PathBuf, Mark>,
}

/// What was read of a file: compared later to tell whether it has changed since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    limit: u64,
    contents: u64,
}

/// Every file that a load read, or looked for, as it was then.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched(BTreeMap<PathBuf, Mark>);

impl Watched {
    /// Where they are.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }

    /// True while each of them would be read as it was.
    pub fn is_current(&self) -> bool {
        are_current(&self.0)
    }
}

impl Files {
    /// The bytes of the file at `path`; in one sentence what is wrong, where it cannot be read or has more than `limit`.
    pub(super) fn read_bytes(&self, path: &Path, limit: u64) -> Result<Vec<u8>, String> {
        let mut read = self.0.borrow_mut();
        let place = if is_stream(path) { None } else { read.links.resolve(path) };
        let taken = take(place.as_deref().unwrap_or(path), limit);
        // A file that is read twice in one load counts as it was the first time.
        let mark = Mark::of(&taken, limit);
        read.marks.entry(path.to_owned()).or_insert(mark);
        if let Some(place) = place {
            // What is missing may have been removed behind a link that leads elsewhere by now.
            let place = if taken.is_ok() { place } else { path.to_owned() };
            read.places.entry(place).or_insert(mark);
        }
        drop(read);
        let bytes = taken.map_err(|error| said(&error))?;
        if bytes.len() as u64 > limit {
            return Err(format!("it has more than {limit} bytes"));
        }
        Ok(bytes)
    }

    /// The text of the file at `path`, likewise.
    pub(super) fn read_text(&self, path: &Path, limit: u64) -> Result<String, String> {
        let bytes = self.read_bytes(path, limit)?;
        String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            format!("it is not UTF-8 (byte {})", at + 1)
        })
    }

    /// What was read so far.
    pub(super) fn watched(&self) -> Watched {
        Watched(self.0.borrow().marks.clone())
    }

    /// Whether everything that was read is still as it was, in the place where it was read: then it was all there at once.
    pub(super) fn is_one_version(&self) -> bool {
        are_current(&self.0.borrow().places)
    }
}

impl Mark {
    fn of(taken: &std::io::Result<Vec<u8>>, limit: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        taken.as_ref().map_err(std::io::Error::kind).hash(&mut hasher);
        Self { limit, contents: hasher.finish() }
    }
}

fn are_current(marks: &BTreeMap<PathBuf, Mark>) -> bool {
    marks.iter().all(|(path, mark)| Mark::of(&take(path, mark.limit), mark.limit) == *mark)
}

/// Whether it can be read once alone: a pipe of the shell. Its link in `/proc` leads to no path.
fn is_stream(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// The file, and one byte more than the limit where it has that.
fn take(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What an operator needs of an error of the system.
pub fn said(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => {
            let text = error.to_string();
            // The number of an error says nothing to whoever reads its text.
            text.split_once(" (os error ").map_or(text.as_str(), |(words, _)| words).to_owned()
        }
    }
}
