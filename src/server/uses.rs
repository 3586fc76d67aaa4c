//! The recorder of how keys are used, as the process has it: what it asks, and what the log and the metrics say of it.

use std::sync::Arc;
use std::time::Duration;

use crate::policy::Vocabulary;
use crate::snapshot::Handle;
use crate::store::follow::Status;
use crate::store::uses::{Event, Recorder};
use crate::store::{Location, StoreError};

use super::keys;
use crate::telemetry::metrics::{Metrics, UseWrites};

/// How long it rests while the configuration wants nothing recorded: what was counted before is still written.
const IDLE: Duration = Duration::from_secs(10);

/// Starts it, by a connection of its own: a write that takes long must not hold up the follower. Where the store is away, it
/// begins to write when the store comes; one that the follower could not reach is not asked at once. `None` where the store
/// takes no use down.
pub(super) fn start(
    (location, store): (&Location, &Status),
    vocabulary: Vocabulary,
    handle: &Arc<Handle>,
) -> Result<Option<Recorder>, StoreError> {
    if !location.records_use() {
        return Ok(None);
    }
    let mut reach = keys::reach(location);
    if store.is_up()
        && let Err(error) = reach.store()
        && !error.is_absence()
    {
        return Err(error);
    }
    let handle = Arc::clone(handle);
    let interval = move || handle.load().config.keys.record_use.unwrap_or(IDLE);
    Recorder::start(reach, vocabulary, interval, report).map(Some)
}

/// Lets metrics say how it fares.
pub(super) fn wire(recorder: &Recorder, metrics: &Metrics) {
    let status = Arc::clone(recorder.status());
    metrics.use_writes_from(move || UseWrites {
        failed: status.failed(),
        lost: status.lost(),
        written: status.written(),
    });
}

/// What the log says of it.
fn report(event: &Event<'_>) {
    match event {
        Event::Failed(error) => {
            tracing::warn!(%error, "how keys were used cannot be written down at the moment; it is kept until it can")
        }
        Event::Lost(requests) => {
            tracing::error!(
                requests,
                "the process ends, and how keys were used in its last requests is not written down"
            )
        }
        Event::Recovered => tracing::info!("how keys are used is written down again"),
    }
}
