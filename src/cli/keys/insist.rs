//! Changes that end something: another process that writes for long, as an import of many keys does, puts them off and does not
//! refuse them.

use std::time::Duration;

use crate::cli::Console;
use crate::store::{KeyStore, StoreError};

/// How long it waits in silence.
const SILENCE: Duration = Duration::from_secs(2);
/// How long it waits at once from then on. SQLite lets nobody stand in line: whoever asks often comes soonest.
const TURN: Duration = Duration::from_secs(10);

/// Makes a change as soon as no other process is writing, and says that it waits where that takes long.
///
/// # Errors
/// As the change, but for [`StoreError::Locked`].
pub(in crate::cli) fn insist<T>(
    store: &mut dyn KeyStore,
    console: &mut Console,
    mut change: impl FnMut(&mut dyn KeyStore) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    store.set_patience(SILENCE)?;
    let mut is_told = false;
    loop {
        match change(store) {
            Err(StoreError::Locked { path }) if !is_told => {
                is_told = true;
                console.note(format_args!(
                    "Another process is writing to {}: waiting until it is done. Ctrl-C leaves all as it was.",
                    path.display()
                ));
                store.set_patience(TURN)?;
            }
            Err(StoreError::Locked { .. }) => {}
            done => return done,
        }
    }
}
