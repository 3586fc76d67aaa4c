//! A log file that follows its name: whoever rotates logs renames the file, and the next lines go to a new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::LogFault;

/// How often it is looked whether the name still stands for the file.
const LOOK: Duration = Duration::from_secs(1);

/// A file that is appended to. A thread of its own looks at the name, so that a log to which nothing is written keeps no
/// renamed or deleted file open either.
pub(super) struct LogFile(Arc<Mutex<Named>>);

/// A file and the name under which it was opened.
struct Named {
    path: PathBuf,
    file: File,
    /// The device and the number of the file.
    identity: (u64, u64),
}

impl LogFile {
    pub(super) fn open(path: &Path) -> Result<Self, LogFault> {
        let opened = append_to(path);
        let (file, identity) = opened.map_err(|source| LogFault::Open { path: path.to_owned(), source })?;
        let named = Arc::new(Mutex::new(Named { path: path.to_owned(), file, identity }));
        let followed = Arc::downgrade(&named);
        let thread = thread::Builder::new().name("log-name".to_owned());
        thread.spawn(move || follow_until_closed(&followed)).map_err(LogFault::Thread)?;
        Ok(Self(named))
    }

    fn lock(&self) -> MutexGuard<'_, Named> {
        // Each step leaves a whole file behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn follow_until_closed(file: &Weak<Mutex<Named>>) {
    loop {
        thread::sleep(LOOK);
        let Some(file) = file.upgrade() else { return };
        // Whoever holds it is writing, perhaps to a pipe that nobody reads.
        if let Ok(mut named) = file.try_lock() {
            named.follow();
        }
    }
}

impl Named {
    /// Goes over to the file that has the name by now. Where that cannot be opened the old one is written on: its lines
    /// are not lost.
    fn follow(&mut self) {
        let named = fs::metadata(&self.path).map(|metadata| identity(&metadata));
        if named.is_ok_and(|named| named == self.identity) {
            return;
        }
        if let Ok((file, identity)) = append_to(&self.path) {
            (self.file, self.identity) = (file, identity);
        }
    }
}

/// Appending keeps the lines of several writers, and a file that is cut short by logrotate, whole.
fn append_to(path: &Path) -> io::Result<(File, (u64, u64))> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let identity = identity(&file.metadata()?);
    Ok((file, identity))
}

fn identity(metadata: &fs::Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Write for LogFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.lock().file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().file.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn write(log: &mut LogFile, text: &str) {
        log.lock().follow();
        log.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn lines_after_a_rename_go_to_a_new_file_of_the_old_name() {
        let folder = tempfile::tempdir().unwrap();
        let (path, rotated) = (folder.path().join("gate.log"), folder.path().join("gate.log.1"));
        let mut log = LogFile::open(&path).unwrap();
        write(&mut log, "one\n");
        fs::rename(&path, &rotated).unwrap();
        write(&mut log, "two\n");
        write(&mut log, "three\n");
        assert_eq!(fs::read_to_string(&rotated).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\nthree\n");
    }

    #[test]
    fn a_file_that_was_deleted_is_let_go_though_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.log");
        let log = LogFile::open(&path).unwrap();
        let before = log.lock().identity;
        fs::remove_file(&path).unwrap();
        let begun = Instant::now();
        while log.lock().identity == before {
            assert!(begun.elapsed() < Duration::from_secs(30), "it is still open");
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(log.lock().file.metadata().unwrap().nlink(), 1);
        assert!(path.exists());
    }

    #[test]
    fn where_no_new_file_can_be_made_the_old_one_is_written_on() {
        let folder = tempfile::tempdir().unwrap();
        let (inner, away) = (folder.path().join("logs"), folder.path().join("away"));
        fs::create_dir(&inner).unwrap();
        let mut log = LogFile::open(&inner.join("gate.log")).unwrap();
        fs::rename(&inner, &away).unwrap();
        write(&mut log, "kept\n");
        assert_eq!(fs::read_to_string(away.join("gate.log")).unwrap(), "kept\n");
    }
}
