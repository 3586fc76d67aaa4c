//! A log file that follows its name: whoever rotates logs renames the file, and the next lines go to a new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::LogFault;

/// How often it is looked whether the name still stands for the file.
const LOOK: Duration = Duration::from_secs(1);

/// A file that is appended to.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    /// The device and the number of the file.
    identity: (u64, u64),
    looked: Instant,
}

impl LogFile {
    pub(super) fn open(path: &Path) -> Result<Self, LogFault> {
        let opened = append_to(path);
        let (file, identity) = opened.map_err(|source| LogFault::Open { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file, identity, looked: Instant::now() })
    }

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
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            self.follow();
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(log: &mut LogFile, text: &str) {
        log.looked = Instant::now().checked_sub(LOOK).unwrap();
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
