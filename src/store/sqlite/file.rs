//! The file below a SQLite store: made private, told from another one.

use std::fs::{File, Metadata, OpenOptions, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::store::{StoreError, warning};

/// Readable and writable by its owner alone. SQLite gives its -wal and -shm the mode of the database.
const MODE: u32 = 0o600;
/// What every SQLite database begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The files of stores that this process has open.
static OPEN: Mutex<Vec<Weak<File>>> = Mutex::new(Vec::new());

/// A file that is held open, and what it looked like when it was opened.
#[derive(Debug)]
pub(super) struct Opened {
    file: Arc<File>,
    look: Look,
}

/// What tells a file from another one, and what stands in it from what stood in it before. SQLite itself writes to the
/// file only now and then, when it takes in what has gathered beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Look {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Look {
    fn of(found: &Metadata) -> Self {
        Self {
            device: found.dev(),
            inode: found.ino(),
            size: found.size(),
            modified: (found.mtime(), found.mtime_nsec()),
            changed: (found.ctime(), found.ctime_nsec()),
        }
    }

    fn is_of_the_file_of(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// The look of what stands at `path`.
    fn at(path: &Path) -> Result<Self, StoreError> {
        path.metadata().map(|found| Self::of(&found)).map_err(|error| absent(path, &error))
    }
}

impl Opened {
    /// Opens the file that stands at `path`. One that this process has open already is not opened anew: closing either of the
    /// two would give up the locks of every connection to it.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let at_path = Look::at(path)?;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|file| file.strong_count() > 0);
        let is_same =
            |file: &Arc<File>| file.metadata().is_ok_and(|found| Look::of(&found).is_of_the_file_of(&at_path));
        let file = match open.iter().filter_map(Weak::upgrade).find(is_same) {
            Some(file) => file,
            None => {
                let file = Arc::new(File::open(path).map_err(|error| absent(path, &error))?);
                open.push(Arc::downgrade(&file));
                file
            }
        };
        let look = file.metadata().map_err(|error| io_fault(path, "read", &error))?;
        Ok(Self { file, look: Look::of(&look) })
    }

    /// How many bytes it had when it was opened.
    pub(super) fn size(&self) -> usize {
        usize::try_from(self.look.size).unwrap_or(usize::MAX)
    }

    /// Whether it is what stands at `path`, and nothing was written to it since.
    pub(super) fn is_as_it_was(&self, path: &Path) -> Result<bool, StoreError> {
        Ok(Look::at(path)? == self.look)
    }

    /// Looks at the first bytes before SQLite does, which would take a file of a few bytes for an empty database, and one
    /// that was written over for what it remembers of it.
    pub(super) fn refuse_what_is_no_database(&self, path: &Path) -> Result<(), StoreError> {
        let fault = |error| io_fault(path, "read", &error);
        if !self.file.metadata().map_err(fault)?.is_file() {
            return Err(StoreError::NotAStore { path: path.into(), what: "it is no regular file".into() });
        }
        let mut start = [0; MAGIC.len()];
        match self.file.read_exact_at(&mut start, 0) {
            Ok(()) if start == *MAGIC => Ok(()),
            Err(_) if self.file.metadata().map_err(fault)?.size() == 0 => Ok(()),
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(fault(error)),
            _ => Err(StoreError::NotAStore { path: path.into(), what: "it is no SQLite database".into() }),
        }
    }
}

/// Makes an empty file with mode 0600, whatever the umask, where there is none. Its name is on disk afterwards.
pub(super) fn make(path: &Path) -> Result<(), StoreError> {
    let fault = |error| io_fault(path, "make", &error);
    let file = match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(fault(error)),
    };
    // The umask can only have taken bits away.
    file.set_permissions(Permissions::from_mode(MODE)).map_err(fault)?;
    File::open(warning::folder_of(path)).and_then(|folder| folder.sync_all()).map_err(fault)
}

fn io_fault(path: &Path, doing: &'static str, error: &std::io::Error) -> StoreError {
    if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) {
        return StoreError::Disk { path: path.into(), doing, reason: error.to_string() };
    }
    let reason = match error.kind() {
        ErrorKind::ReadOnlyFilesystem => warning::MOUNTED_READ_ONLY.into(),
        ErrorKind::StorageFull => return StoreError::Full { path: path.into() },
        ErrorKind::NotFound => "there is no such folder; make it first".into(),
        ErrorKind::PermissionDenied => warning::why_denied(path),
        _ => error.to_string(),
    };
    StoreError::Io { path: path.into(), doing, reason }
}

/// Sees whether a store may be made or used at `path`, and touches nothing.
pub(super) fn probe(path: &Path) -> Result<(), StoreError> {
    match OpenOptions::new().read(true).write(true).open(path) {
        Ok(_) => Opened::open(path)?.refuse_what_is_no_database(path),
        Err(error) if error.kind() != ErrorKind::NotFound => Err(io_fault(path, "open", &error)),
        Err(_) if warning::folder_of(path).is_dir() => Ok(()),
        Err(error) => Err(io_fault(path, "make", &error)),
    }
}

fn absent(path: &Path, error: &std::io::Error) -> StoreError {
    match error.kind() {
        ErrorKind::NotFound => StoreError::Missing { path: path.into() },
        _ => io_fault(path, "read", error),
    }
}
