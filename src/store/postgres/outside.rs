//! What shows of a store before anybody works with it.

use super::{DatabaseError, Postgres};
use crate::database::{Database, Tls};
use crate::store::{OpenMode, StoreError, StoreWarning};

/// What somebody between here and the database could do. Nothing is asked for it.
pub fn warnings_of(database: &Database) -> Vec<StoreWarning> {
    let place = database.to_string();
    match database.tls {
        Tls::Off if !database.is_local() => vec![StoreWarning::Cleartext { place }],
        Tls::Unproven if !database.is_local() => vec![StoreWarning::Unproven { place }],
        _ => Vec::new(),
    }
}

/// What would keep a gateway from using the store of a database, as far as it shows without touching anything.
///
/// # Errors
/// It cannot be used.
pub fn probe(database: &Database) -> Result<(), StoreError> {
    match Postgres::open(database, OpenMode::Existing) {
        // Whether it may be made does not show.
        Ok(_) | Err(StoreError::Database(DatabaseError::Missing { .. }) | StoreError::Older { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}
