//! Where stores are, and how they are opened.

use std::path::PathBuf;
use std::time::Duration;

use super::{KeyStore, StoreError, file, follow, postgres, sqlite};
use crate::database::{self, Database};

/// Whether opening may make a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Make it if it is missing, bring its schema up to date if it is older: `serve`, `demo`, `keys create|import`.
    Create,
    /// Take it as it is: everything else.
    Existing,
}

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A key file, whose digests have this form.
    File(PathBuf, file::Form),
    /// A PostgreSQL database.
    Postgres(Box<Database>),
    /// A SQLite database.
    Sqlite(PathBuf),
}

impl Location {
    /// What [`KeyStore::place`] says of a store that is there.
    pub fn place(&self) -> String {
        match self {
            Self::File(path, _) => format!("file:{}", path.display()),
            Self::Postgres(database) => database.to_string(),
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
        }
    }

    /// Whether what is kept of the store at `place` is of this one, as far as names go. For a database that is so where one of its
    /// hosts and its name are the same: another user may log in.
    pub fn is_at(&self, place: &str) -> bool {
        match self {
            Self::File(..) | Self::Sqlite(_) => place == self.place(),
            Self::Postgres(database) => database.shares_a_host_with(place),
        }
    }

    /// Whether the store here can tell by itself whether it is the one that was at `place`. One in PostgreSQL has an id of its own,
    /// wherever it moves.
    pub fn may_know(&self, place: &str) -> bool {
        match self {
            Self::File(..) | Self::Sqlite(_) => place == self.place(),
            Self::Postgres(_) => place.starts_with(database::SCHEME),
        }
    }

    /// What [`KeyStore::rest`] says of a store that is there.
    pub const fn rest(&self) -> Duration {
        match self {
            Self::File(..) | Self::Sqlite(_) => follow::REST,
            Self::Postgres(_) => follow::REST_OF_A_FLEET,
        }
    }

    /// Whether a store there takes down how keys are used.
    pub const fn records_use(&self) -> bool {
        match self {
            Self::File(..) => false,
            Self::Postgres(_) | Self::Sqlite(_) => true,
        }
    }
}

/// Opens a store.
///
/// # Errors
/// What stands there is missing (with [`OpenMode::Existing`]), is no store, is newer or older than this program, or cannot
/// be read. Nothing is changed on disk then.
pub fn open(location: &Location, mode: OpenMode) -> Result<Box<dyn KeyStore>, StoreError> {
    match location {
        Location::File(path, form) => Ok(Box::new(file::KeyFile::open(path, *form)?)),
        Location::Postgres(database) => Ok(Box::new(postgres::Postgres::open(database, mode)?)),
        Location::Sqlite(path) => Ok(Box::new(sqlite::Sqlite::open(path, mode)?)),
    }
}

/// Sees whether a gateway could use a store, or make it, as far as that shows without touching anything.
///
/// # Errors
/// What [`open`] would say with [`OpenMode::Create`].
pub fn probe(location: &Location) -> Result<(), StoreError> {
    match location {
        Location::File(path, form) => file::KeyFile::probe(path, *form),
        Location::Postgres(database) => postgres::probe(database),
        Location::Sqlite(path) => sqlite::probe(path),
    }
}
