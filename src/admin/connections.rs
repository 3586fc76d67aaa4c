//! The connections of an admin listener: not many at once, none for long.
//!
//! Whoever reaches the listener could otherwise hold descriptors until callers get none, by connections that say nothing, take
//! no answer, or never end.

use std::pin::pin;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// How long nothing is accepted after the system refused to give a connection.
const REST: Duration = Duration::from_millis(100);

/// What the clients of a listener may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections at once. More of them wait in the listener's queue, where they cost no descriptor.
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
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < bounds.most => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(stream, router.clone(), bounds, ended.clone()));
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
