//! Files, read whole and never beyond a limit, and remembered by what was read.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// Reads files for one load, and remembers each.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(Rc<RefCell<BTreeMap<PathBuf, Mark>>>);

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
        self.0.iter().all(|(path, mark)| Mark::of(&take(path, mark.limit), mark.limit) == *mark)
    }
}

impl Files {
    /// The bytes of the file at `path`; in one sentence what is wrong, where it cannot be read or has more than `limit`.
    pub(super) fn read_bytes(&self, path: &Path, limit: u64) -> Result<Vec<u8>, String> {
        let taken = take(path, limit);
        // A file that is read twice in one load counts as it was the first time.
        self.0.borrow_mut().entry(path.to_owned()).or_insert(Mark::of(&taken, limit));
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
        Watched(self.0.borrow().clone())
    }
}

impl Mark {
    fn of(taken: &std::io::Result<Vec<u8>>, limit: u64) -> Self {
        let mut hasher = DefaultHasher::new();
        taken.as_ref().map_err(std::io::Error::kind).hash(&mut hasher);
        Self { limit, contents: hasher.finish() }
    }
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
