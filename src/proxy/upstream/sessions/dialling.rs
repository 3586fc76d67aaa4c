//! Waiting for a connection that is being dialled for all who need one.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::{AWAY, DialFault};

/// A connection that is being dialled.
#[derive(Clone)]
pub(super) struct Dialling {
    /// How long it may take.
    pub(super) patience: Duration,
    /// What comes of it: nothing yet, or whether it is there.
    pub(super) outcome: watch::Receiver<Option<Result<(), DialFault>>>,
}

impl Dialling {
    /// What comes of it within `patience`; `None` where it takes longer.
    pub(super) async fn wait(&mut self, patience: Duration) -> Option<Result<(), DialFault>> {
        // Who waits as long as it may take waits for all of its addresses.
        let patience = if patience < self.patience { patience } else { Duration::MAX };
        let outcome = timeout(patience, self.outcome.wait_for(Option::is_some)).await.ok()?;
        Some(outcome.ok().and_then(|outcome| *outcome).unwrap_or(Err(AWAY)))
    }
}
