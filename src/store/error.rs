//! What goes wrong with stores, and how to mend it.

use std::path::PathBuf;

use super::{file, postgres};
use crate::key::KeyId;
use crate::key::account::AccountError;
use crate::key::lifecycle::TransitionError;

/// What is wrong with a store, or with what was asked of it.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant means")]
pub enum StoreError {
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("the key store {} is damaged ({what}): restore it from a backup", path.display())]
    Damaged { path: PathBuf, what: String },
    #[error(transparent)]
    Database(#[from] postgres::DatabaseError),
    #[error(
        "cannot {doing} the key store {}: the disk failed ({reason}); see what the system's log says of it (dmesg); `scopegate keys list` shows whether anything was changed",
        path.display()
    )]
    Disk { path: PathBuf, doing: &'static str, reason: String },
    #[error("{name} is in the key store already ({what}): each key is added once")]
    Duplicate { name: String, what: &'static str },
    #[error(
        "no audit is kept of {0}: whoever can edit the file changes its keys; keep it in git, and `git log -p -- {0}` says who changed what, and when",
        path.display()
    )]
    NoAudit { path: PathBuf },
    #[error("{}", file::describe(path, faults))]
    Faults { path: PathBuf, faults: Vec<file::FileFault> },
    #[error("no room is left for the key store {}: nothing was changed; free some space and try again", path.display())]
    Full { path: PathBuf },
    #[error("cannot {doing} the key store {}: {reason}", path.display())]
    Io { path: PathBuf, doing: &'static str, reason: String },
    #[error("the key store {} is busy: another process has been writing for too long; try again", path.display())]
    Locked { path: PathBuf },
    #[error(
        "the key store {} is empty: nothing was ever written there, or making it failed; `scopegate keys create` and `scopegate serve` make one of it",
        path.display()
    )]
    Empty { path: PathBuf },
    #[error(
        "no key store at {} any more: bring it back, from a backup where need be; make no new one meanwhile (`scopegate keys create` does): it would be empty, and gateways that are restarted then would let no key in and forget those that they know, in keys.snapshot, too",
        path.display()
    )]
    Lost { path: PathBuf },
    #[error("no key store at {}: `scopegate keys create` and `scopegate serve` make one", path.display())]
    Missing { path: PathBuf },
    #[error(
        "the key store {} was made by a newer scopegate (schema {found}, this program knows {known}): use that version",
        path.display()
    )]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{} is no key store ({what}): name another file, or move this one away", path.display())]
    NotAStore { path: PathBuf, what: String },
    #[error(
        "the key store {} was made by an older scopegate (schema {found}, this program needs {known}): `scopegate serve` and `scopegate keys create` bring it up to date",
        path.display()
    )]
    Older { path: PathBuf, found: i64, known: i64 },
    #[error("the keys in {} cannot be changed by command: edit the file, running gateways follow it", path.display())]
    ReadOnly { path: PathBuf },
    #[error(
        "another key store was put at {}: the keys in memory stay in force for as long as keys.max_stale says, or until the gateway restarts",
        path.display()
    )]
    Replaced { path: PathBuf },
    #[error(
        "the account {account} has a public key already, {first}: `scopegate keys show {first}` shows it; where it is to be replaced, revoke it first"
    )]
    SecondPublic { account: Box<str>, first: KeyId },
    #[error(transparent)]
    Transition(#[from] TransitionError),
    #[error("no key has the id {0}: `scopegate keys list` shows them all")]
    Unknown(KeyId),
}

impl StoreError {
    /// Whether the store may come back as it was, so that what is known of its keys is worth something meanwhile. A store that
    /// stands there and is no store, or of another version, is for somebody to mend.
    pub const fn is_absence(&self) -> bool {
        if let Self::Database(error) = self {
            return error.is_absence();
        }
        matches!(
            self,
            Self::Damaged { .. }
                | Self::Disk { .. }
                | Self::Io { .. }
                | Self::Locked { .. }
                | Self::Lost { .. }
                | Self::Missing { .. }
        )
    }

    /// Why whoever meets this does not follow a store that can be reached, in a few words for others; `None` where it cannot be reached,
    /// or may be followed again soon.
    pub const fn refusal(&self) -> Option<&'static str> {
        match self {
            Self::Database(error) => error.refusal(),
            Self::Damaged { .. } => Some("damaged"),
            Self::Newer { .. } => Some("a newer schema"),
            Self::Older { .. } => Some("an older schema"),
            _ => None,
        }
    }

    /// The same, told by somebody who knows keys of the store: one that is missing now was there, and is not to be made anew.
    #[must_use]
    pub fn into_loss(self) -> Self {
        match self {
            Self::Database(postgres::DatabaseError::Missing { place }) => {
                postgres::DatabaseError::Lost { place }.into()
            }
            Self::Missing { path } => Self::Lost { path },
            other => other,
        }
    }

    /// Whether it may pass by itself, so that a process that begins waits for it though it knows no key: a server that is not
    /// there yet. What is wrong with an address, a password or a right, or with a file, is told at once, and ends the start.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Database(error) if error.is_passing())
    }
}
