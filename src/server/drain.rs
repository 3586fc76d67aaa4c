//! The end of the process, as all its threads see it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How far the end has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Connections are accepted until `accept_until`; what is in flight may take until `deadline`.
    Draining {
        accept_until: Instant,
        deadline: Instant,
    },
    /// Workers have ended; so may everything else.
    Over,
    Serving,
}

/// Tells every thread when to stop accepting and when to give up.
#[derive(Clone, Debug)]
pub struct Drain {
    sender: Arc<watch::Sender<Phase>>,
}

impl Drain {
    pub(super) fn new() -> Self {
        Self { sender: Arc::new(watch::Sender::new(Phase::Serving)) }
    }

    /// Begins: still accepting for `delay`, then finishing for at most `timeout`.
    pub(super) fn begin(&self, delay: Duration, timeout: Duration) {
        let accept_until = Instant::now() + delay;
        self.sender.send_replace(Phase::Draining { accept_until, deadline: accept_until + timeout });
    }

    /// Workers have ended.
    pub(super) fn finish(&self) {
        self.sender.send_replace(Phase::Over);
    }

    /// Resolves when connections are no longer to be accepted, with the moment at which to give up the rest.
    pub(super) async fn accepting_ended(&self) -> Instant {
        let mut receiver = self.sender.subscribe();
        let phase = receiver.wait_for(|phase| *phase != Phase::Serving).await.map(|phase| *phase);
        match phase {
            Ok(Phase::Draining { accept_until, deadline }) => {
                tokio::time::sleep_until(accept_until).await;
                deadline
            }
            _ => Instant::now(),
        }
    }

    /// Resolves when workers have ended.
    pub(super) async fn over(self) {
        // The sender lives as long as this, so the wait cannot fail.
        let _ = self.sender.subscribe().wait_for(|phase| *phase == Phase::Over).await;
    }
}
