//! The end of the process, as all its threads see it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

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

    /// Ends a drain that is under way here and now.
    pub(super) fn hasten(&self) {
        self.sender.send_if_modified(|phase| {
            let is_under_way = matches!(phase, Phase::Draining { .. });
            if is_under_way {
                let now = Instant::now();
                *phase = Phase::Draining { accept_until: now, deadline: now };
            }
            is_under_way
        });
    }

    /// When a drain that is under way ends; now where none is.
    pub(super) fn deadline(&self) -> std::time::Instant {
        match *self.sender.borrow() {
            Phase::Draining { deadline, .. } => deadline.into_std(),
            Phase::Over | Phase::Serving => std::time::Instant::now(),
        }
    }

    /// Workers have ended.
    pub(super) fn finish(&self) {
        self.sender.send_replace(Phase::Over);
    }

    /// Resolves when it has begun.
    pub(super) async fn begun(&self) {
        self.reached(|phase| (phase == Phase::Serving).then_some(None)).await;
    }

    /// Resolves when connections are no longer to be accepted.
    pub(super) async fn accepting_ended(&self) {
        self.reached(|phase| match phase {
            Phase::Draining { accept_until, .. } => Some(Some(accept_until)),
            Phase::Over => None,
            Phase::Serving => Some(None),
        })
        .await;
    }

    /// Resolves when what is in flight is to be given up.
    pub(super) async fn timed_out(&self) {
        self.reached(|phase| match phase {
            Phase::Draining { deadline, .. } => Some(Some(deadline)),
            Phase::Over => None,
            Phase::Serving => Some(None),
        })
        .await;
    }

    /// Resolves when workers have ended.
    pub(super) async fn over(self) {
        // The sender lives as long as this, so the wait cannot fail.
        let _ = self.sender.subscribe().wait_for(|phase| *phase == Phase::Over).await;
    }

    /// Resolves as soon as `awaits` says `None` of the phase: there is nothing to await; or once the moment has come that it
    /// awaits, if it knows one.
    async fn reached(&self, awaits: impl Fn(Phase) -> Option<Option<Instant>>) {
        let mut receiver = self.sender.subscribe();
        loop {
            let phase = *receiver.borrow_and_update();
            let Some(moment) = awaits(phase) else { return };
            let comes = async {
                match moment {
                    Some(moment) => sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = comes => return,
                changed = receiver.changed() => if changed.is_err() { return },
            }
        }
    }
}
