//! One worker: a thread with a runtime of its own, which accepts connections and serves them.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout_at};

use crate::proxy::downstream::{self, Peer};
use crate::proxy::stream::Stream;
use crate::proxy::watch::TICK;
use crate::proxy::worker::{Share, Worker};

use super::drain::Drain;
use super::listener::Listener;

/// How long accepting rests when the system has no descriptors left.
const REST: Duration = Duration::from_millis(100);

/// Connections of callers over all workers. Written when one opens or closes, never for a request.
static CONNECTIONS: AtomicUsize = AtomicUsize::new(0);

/// Starts the thread of one worker.
pub(super) fn start(number: usize, share: Share, listeners: Vec<Listener>, drain: Drain) -> io::Result<JoinHandle<()>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name(format!("worker-{number}")).spawn(move || {
        let local = LocalSet::new();
        let worker = Worker::new(share);
        local.block_on(&runtime, serve(Rc::clone(&worker), listeners, drain));
        // Requests that are cut now are still counted and logged.
        drop(local);
        worker.tick();
        // A name that is still being resolved does not hold up the end.
        runtime.shutdown_background();
    })
}

/// Accepts until the drain, then waits for what is in flight.
async fn serve(worker: Rc<Worker>, listeners: Vec<Listener>, drain: Drain) {
    let open = Rc::new(Cell::new(0_usize));
    let ticks = spawn_local(tick(Rc::clone(&worker)));
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| spawn_local(accept(Rc::clone(&worker), listener, Rc::clone(&open))))
        .collect();
    let deadline = drain.accepting_ended().await;
    for accepting in accepting {
        accepting.abort();
    }
    worker.drain();
    let emptied = timeout_at(deadline, async {
        while open.get() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    });
    if emptied.await.is_err() {
        tracing::warn!(connections = open.get(), "the drain timeout has passed; open connections are cut");
    }
    ticks.abort();
}

/// The sweep of this worker, for as long as it runs.
async fn tick(worker: Rc<Worker>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        worker.tick();
    }
}

/// A listener that is registered with the runtime.
enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Accepting {
    fn new(listener: Listener) -> io::Result<Self> {
        match listener {
            Listener::Tcp(listener) => TcpListener::from_std(listener).map(Self::Tcp),
            Listener::Unix(listener) => UnixListener::from_std(listener).map(Self::Unix),
        }
    }

    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Stream::Tcp(stream), Peer { address: Some(address.ip().to_canonical()) }))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                Ok((Stream::Unix(stream), Peer { address: None }))
            }
        }
    }
}

async fn accept(worker: Rc<Worker>, listener: Listener, open: Rc<Cell<usize>>) {
    let listener = match Accepting::new(listener) {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "a listener cannot be served"),
    };
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => start_connection(&worker, stream, peer, &open),
            Err(error) if is_transient(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be accepted; trying again");
                sleep(REST).await;
            }
        }
    }
}

/// True for a connection that was gone before it was accepted: the next one is as good as ever.
fn is_transient(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}

/// Counts a connection in the process and in its worker, until it is dropped.
struct Counted {
    open: Rc<Cell<usize>>,
}

impl Counted {
    fn new(open: &Rc<Cell<usize>>) -> (Self, usize) {
        open.set(open.get() + 1);
        let all = CONNECTIONS.fetch_add(1, Ordering::Relaxed) + 1;
        (Self { open: Rc::clone(open) }, all)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.set(self.open.get().saturating_sub(1));
        CONNECTIONS.fetch_sub(1, Ordering::Relaxed);
    }
}

fn start_connection(worker: &Rc<Worker>, stream: Stream, peer: Peer, open: &Rc<Cell<usize>>) {
    let (counted, all) = Counted::new(open);
    let most = worker.view().snapshot.config.limits.connections;
    let worker = Rc::clone(worker);
    spawn_local(async move {
        let _counted = counted;
        if all > most {
            downstream::turn_away(worker, stream, peer).await;
        } else {
            downstream::serve(worker, stream, peer).await;
        }
    });
}
