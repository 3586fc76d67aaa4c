//! The connections of an admin listener: not many at once, none for long, and the newest before the oldest.
//!
//! Whoever reaches the listener could otherwise hold descriptors until callers get none, by connections that say nothing, take
//! no answer, or never end; or keep all others out, until a probe that gets no answer has the process restarted.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// How long nothing is accepted after the system refused to give a connection.
const REST: Duration = Duration::from_millis(100);

/// What the clients of a listener may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections at once. For one more the oldest is cut off: a probe and a scrape take milliseconds.
    pub(super) most: usize,
    /// From the moment that a connection is ready for a request to the end of its head. So no connection is idle for longer.
    pub(super) head: Duration,
    /// From the start of a connection until it takes no further request.
    pub(super) life: Duration,
    /// After that, or after the shutdown, until it is cut off.
    pub(super) end: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { most: 64, head: Duration::from_secs(5), life: Duration::from_secs(30), end: Duration::from_secs(5) }
    }
}

/// Serves `router` within `bounds` until `shutdown` resolves; then lets the answers under way finish.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    bounds: Bounds,
    shutdown: impl Future<Output = ()> + Send + 'static,
) {
    let (running, ended) = watch::channel(());
    // Dropped with this future, and all connections with it.
    let mut connections = JoinSet::new();
    let mut by_age = VecDeque::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => by_age.retain(|connection: &AbortHandle| !connection.is_finished()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if by_age.len() >= bounds.most && let Some(oldest) = by_age.pop_front() {
                        oldest.abort();
                    }
                    by_age.push_back(connections.spawn(converse(stream, router.clone(), bounds, ended.clone())));
                }
                Err(error) => {
                    tracing::warn!(%error, "no connection can be accepted on the admin listener; trying again");
                    sleep(REST).await;
                }
            }
        }
    }
    drop((listener, running));
    while connections.join_next().await.is_some() {}
}

/// Answers the requests of one connection.
async fn converse(stream: TcpStream, router: Router, bounds: Bounds, mut ended: watch::Receiver<()>) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(bounds.head);
    let service = TowerToHyperService::new(router);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // A client that breaks off or is too slow is no fault of ours.
        _ = connection.as_mut() => return,
        _ = ended.changed() => {}
        () = sleep(bounds.life) => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = timeout(bounds.end, connection).await;
}

#[cfg(test)]
mod tests;
