//! How many sockets to the upstream the process has, over all workers: a caller of HTTP/2 may ask for as many as it has
//! streams, and descriptors that have run out would stop everybody.
//!
//! Counted when a socket is opened and closed, never for a request. A request that finds none left waits until one is
//! closed or given back; while anybody waits, sockets that carry nothing are closed instead of kept, in every worker.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// The sockets of all workers.
#[derive(Debug)]
pub(crate) struct Sockets {
    open: AtomicUsize,
    /// What the configuration in force allows.
    allowed: AtomicUsize,
    /// What the limit on open files leaves for them.
    files: usize,
    waiting: AtomicUsize,
    closed: Notify,
}

/// One socket, counted until it is dropped.
#[derive(Debug)]
pub(super) struct Socket(Arc<Sockets>);

impl Drop for Socket {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
        if self.0.is_wanted() {
            self.0.closed.notify_one();
        }
    }
}

/// Counts a request as waiting until it is dropped.
struct Waiting<'s>(&'s Sockets);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Sockets {
    /// Room for as many as there are `files`, until the configuration allows fewer.
    pub(crate) fn new(files: usize) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            allowed: AtomicUsize::new(usize::MAX),
            files,
            waiting: AtomicUsize::new(0),
            closed: Notify::new(),
        })
    }

    /// Sets how many the configuration allows.
    pub(crate) fn allow(&self, most: usize) {
        if self.allowed.swap(most, Ordering::SeqCst) < most {
            // There may be room for all who wait.
            self.closed.notify_waiters();
        }
    }

    /// Somebody waits for a socket: none is to be kept for later.
    pub(super) fn is_wanted(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > 0
    }

    /// One more, where there may be one more.
    pub(super) fn reserve(self: &Arc<Self>) -> Option<Socket> {
        let most = self.allowed.load(Ordering::SeqCst).min(self.files);
        let more = |open: usize| (open < most).then_some(open + 1);
        self.open.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more).ok()?;
        Some(Socket(Arc::clone(self)))
    }

    /// The same, as soon as there is room; `None` where there was none for `patience`.
    pub(super) async fn wait(self: &Arc<Self>, patience: Duration) -> Option<Socket> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _waiting = Waiting(self);
        let reserved = async {
            loop {
                // Registered before the look, so that nothing that is closed after it is missed.
                let mut closed = pin!(self.closed.notified());
                closed.as_mut().enable();
                if let Some(socket) = self.reserve() {
                    return socket;
                }
                closed.await;
            }
        };
        timeout(patience, reserved).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(1);

    #[tokio::test]
    async fn there_are_as_many_as_there_may_be_and_who_waits_gets_the_next() {
        let sockets = Sockets::new(3);
        sockets.allow(2);
        let mut open: Vec<Socket> = (0..2).map(|_| sockets.reserve().unwrap()).collect();
        assert!(sockets.reserve().is_none());
        sockets.allow(5);
        open.push(sockets.reserve().unwrap());
        assert!(sockets.reserve().is_none(), "open files are fewer than the configuration wants");
        assert!(sockets.wait(SHORT).await.is_none() && !sockets.is_wanted(), "nobody waits any more");
        let (got, ()) = tokio::join!(biased; sockets.wait(LONG), async {
            assert!(sockets.is_wanted());
            open.pop();
        });
        assert!(got.is_some() && sockets.reserve().is_none());
    }

    #[tokio::test]
    async fn whoever_waits_is_let_in_when_the_configuration_allows_more() {
        let sockets = Sockets::new(5);
        sockets.allow(1);
        let _only = sockets.reserve().unwrap();
        let (one, two, ()) = tokio::join!(biased; sockets.wait(LONG), sockets.wait(LONG), async {
            sockets.allow(1);
            sockets.allow(3);
        });
        assert!(one.is_some() && two.is_some() && sockets.reserve().is_none());
    }

    #[tokio::test]
    async fn a_socket_that_is_closed_for_one_who_has_left_is_not_lost_for_the_next() {
        let sockets = Sockets::new(1);
        let only = sockets.reserve().unwrap();
        let (left, got, ()) = tokio::join!(biased; sockets.wait(SHORT), sockets.wait(LONG), async {
            tokio::time::sleep(2 * SHORT).await;
            drop(only);
        });
        assert!(left.is_none() && got.is_some());
    }
}
