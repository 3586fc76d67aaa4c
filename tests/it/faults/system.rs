//! A clock and a disk that do what a test says, for a process that is started so.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::support::Setup;

/// What is wrong with the system, as a process sees it that was set up with [`System::over`].
pub struct System {
    folder: TempDir,
}

impl System {
    /// A system that is well. The library that stands between it and the process is compiled here, by the C compiler that built
    /// the crate's own dependencies.
    pub fn new() -> System {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("system.c");
        fs::write(&source, include_str!("system.c")).expect("the source");
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O1", "-o"]).arg(folder.path().join("system.so")).arg(source);
        assert!(compile.status().expect("a C compiler").success());
        System { folder }
    }

    /// Has the gateway, and every command of its files, see this system.
    pub fn over(&self, setup: Setup) -> Setup {
        let folder = self.folder.path().to_str().expect("a name");
        setup.environment("LD_PRELOAD", &format!("{folder}/system.so")).environment("FAULTS", folder)
    }

    /// Sets the wall clock so many seconds ahead of the real one.
    pub fn set_clock(&self, ahead: i64) {
        let new = self.folder.path().join("new");
        fs::write(&new, ahead.to_string()).expect("the time");
        fs::rename(new, self.folder.path().join("clock")).expect("its place");
    }

    /// From now on the disk is as said.
    pub fn spoil(&self, disk: Disk) {
        fs::write(self.folder.path().join(disk.name()), "").expect("a file");
    }

    /// The disk is well again.
    pub fn mend(&self, disk: Disk) {
        fs::remove_file(self.folder.path().join(disk.name())).expect("a disk that is not well");
    }
}

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug)]
pub enum Disk {
    /// A database can neither be read nor written: EIO, by the C library.
    Broken,
    /// No file can be written: ENOSPC.
    Full,
    /// What is written cannot be made to last: EIO of fsync alone.
    Unsure,
}

impl Disk {
    fn name(self) -> &'static str {
        match self {
            Disk::Broken => "broken",
            Disk::Full => "full",
            Disk::Unsure => "unsure",
        }
    }
}
