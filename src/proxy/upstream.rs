//! Connections to the upstream: dialled, kept for later, taken last in first out.
//!
//! INVARIANT: a connection is put back only when its last answer was complete, the request before it was sent whole,
//! no byte was left over and both sides agreed to keep it; it is taken only while it is silent. Any doubt drops it.
//! Otherwise one caller could be given another's answer.

mod sessions;

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{TlsConnector, TlsStream};

use crate::snapshot::{Protocol, Timeouts, UpstreamAddress};
use crate::telemetry::label::Side;
use crate::telemetry::metrics::WorkerCells;

use super::stream::Stream;
use super::watch::{Moment, TICK, Watch};

use sessions::Sessions;

/// How long to wait before a refused connection is tried again.
const DIAL_PAUSE: Duration = Duration::from_millis(5);

/// What the log says of an upstream that was asked for HTTP/2 and did not agree to it.
const NO_H2: &str = "the upstream did not agree to HTTP/2 in the TLS handshake (ALPN); write `upstream.protocol: h1`";

/// Where the upstream is and how it is reached: fixed for one generation of the configuration.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) address: UpstreamAddress,
    /// The TLS settings and the name that the certificate must bear; absent for cleartext.
    pub(crate) tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    pub(crate) protocol: Protocol,
}

/// One worker's idle connections to the upstream.
pub(crate) struct Pool {
    watch: Rc<Watch>,
    cells: Arc<WorkerCells>,
    idle: RefCell<Vec<Idle>>,
    /// Connections that carry many requests at once, where the upstream speaks HTTP/2.
    sessions: Sessions,
    /// Requests that wait for a connection or for the head of their answer.
    pending: Cell<usize>,
    /// What is left to spend on retries of requests that failed; each request earns a part of one.
    budget: Cell<f32>,
    /// The last attempt to connect failed.
    unreachable: Cell<bool>,
    /// Requests of an older generation still use this pool, and nobody prunes it.
    retired: Cell<bool>,
}

struct Idle {
    lease: Lease,
    since: Moment,
    /// Its last answer had no body by its status or method. An upstream that sends one all the same sends it a moment
    /// later, when nobody expects it: such a connection rests for a tick, and is asked for by the kernel after that.
    rest: Rest,
}

/// How long a connection is left alone before it is used again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Rest {
    None,
    Tick,
}

/// A connection that carries a request, or waits for the next one.
pub(crate) struct Lease {
    pub(crate) stream: Stream,
    /// It carried another request before: the upstream may have closed it meanwhile.
    pub(crate) reused: bool,
    /// Counts it among the open ones; `None` for a stream of a connection that counts itself.
    _open: Option<Open>,
}

#[cfg(test)]
impl Lease {
    /// A connection that a test made.
    pub(crate) fn of_test(stream: Stream, reused: bool, cells: &Arc<WorkerCells>) -> Self {
        Self { stream, reused, _open: Some(Open::new(cells, Side::Upstream)) }
    }
}

/// Counts a connection as open until it is dropped.
pub(crate) struct Open {
    cells: Arc<WorkerCells>,
    side: Side,
}

impl Open {
    pub(crate) fn new(cells: &Arc<WorkerCells>, side: Side) -> Self {
        cells.connection_opened(side);
        Self { cells: Arc::clone(cells), side }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.cells.connection_closed(self.side);
    }
}

/// Counts a request as pending until it is dropped.
pub(crate) struct Pending(Rc<Pool>);

impl Drop for Pending {
    fn drop(&mut self) {
        self.0.pending.set(self.0.pending.get().saturating_sub(1));
    }
}

/// Retries that may be made before requests have earned any.
const BUDGET_START: f32 = 3.0;
/// The most that can be saved up.
const BUDGET_MOST: f32 = 20.0;

impl Pool {
    pub(crate) fn new(watch: Rc<Watch>, cells: &Arc<WorkerCells>) -> Rc<Self> {
        Rc::new(Self {
            watch,
            cells: Arc::clone(cells),
            idle: RefCell::default(),
            sessions: Sessions::default(),
            pending: Cell::new(0),
            budget: Cell::new(BUDGET_START),
            unreachable: Cell::new(false),
            retired: Cell::new(false),
        })
    }

    /// Enters a request; `None` when `most` requests wait already.
    pub(crate) fn enter(self: &Rc<Self>, most: usize, earned: f32) -> Option<Pending> {
        if self.pending.get() >= most {
            return None;
        }
        self.budget.set((self.budget.get() + earned).min(BUDGET_MOST));
        Some(self.count())
    }

    /// Counts a request as pending that was let in before.
    pub(crate) fn count(self: &Rc<Self>) -> Pending {
        self.pending.set(self.pending.get() + 1);
        Pending(Rc::clone(self))
    }

    /// How many connections are kept.
    #[cfg(test)]
    pub(crate) fn idle(&self) -> usize {
        self.idle.borrow().len()
    }

    /// Spends one retry, if there is one to spend.
    pub(crate) fn spend_retry(&self) -> bool {
        let left = self.budget.get() - 1.0;
        if left >= 0.0 {
            self.budget.set(left);
        }
        left >= 0.0
    }

    /// The connection that was put back last, if it is still silent. One that is to carry a request which cannot be
    /// sent twice is asked for by the kernel, too.
    pub(crate) fn take(&self, replayable: bool, cx: &mut Context<'_>) -> Option<Lease> {
        loop {
            let Idle { lease, rest, .. } = {
                let mut idle = self.idle.borrow_mut();
                let rested = |idle: &Idle| idle.rest == Rest::None || idle.since.after(TICK) <= self.watch.now();
                let last = idle.iter().rposition(rested)?;
                idle.remove(last)
            };
            if !lease.stream.has_news(cx) && ((replayable && rest == Rest::None) || lease.stream.is_silent()) {
                return Some(lease);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(crate) fn put(&self, lease: Lease) {
        self.keep(lease, Rest::None);
    }

    /// Keeps nothing from now on: another pool has taken this one's place.
    pub(crate) fn retire(&self) {
        self.retired.set(true);
        self.sessions.retire();
        self.idle.borrow_mut().clear();
    }

    /// Keeps a connection whose last answer had no body by its status or method: it rests first.
    pub(crate) fn put_to_rest(&self, lease: Lease) {
        self.keep(lease, Rest::Tick);
    }

    fn keep(&self, mut lease: Lease, rest: Rest) {
        if self.retired.get() || !lease.stream.is_drained() {
            return;
        }
        lease.reused = true;
        self.idle.borrow_mut().push(Idle { lease, since: self.watch.now(), rest });
    }

    /// Drops the connections that the upstream has closed and those that were idle for longer than `most`.
    pub(crate) fn prune(&self, most: Duration, cx: &mut Context<'_>) {
        let now = self.watch.now();
        self.idle.borrow_mut().retain(|idle| idle.since.after(most) > now && !idle.lease.stream.has_news(cx));
    }

    /// Dials the upstream, again if it refuses, for at most `timeouts.connect` each time. The log says when it became
    /// unreachable and when it is back, not each failure in between.
    pub(crate) async fn dial(&self, origin: &Origin, timeouts: &Timeouts, retries: u32) -> io::Result<Lease> {
        let mut left = retries;
        loop {
            let attempt = tokio::time::timeout(timeouts.connect, connect(origin)).await;
            let error = match attempt {
                Ok(Ok(stream)) => {
                    if self.unreachable.replace(false) {
                        tracing::info!("the upstream is reachable again");
                    }
                    let open = Open::new(&self.cells, Side::Upstream);
                    return Ok(Lease { stream, reused: false, _open: Some(open) });
                }
                Ok(Err(error)) => error,
                Err(_) => io::Error::from(io::ErrorKind::TimedOut),
            };
            if left == 0 || error.kind() == io::ErrorKind::TimedOut {
                if !self.unreachable.replace(true) {
                    tracing::warn!(%error, "the upstream cannot be reached; requests are answered 503 until it is back");
                }
                return Err(error);
            }
            left -= 1;
            tokio::time::sleep(DIAL_PAUSE).await;
        }
    }
}

async fn connect(origin: &Origin) -> io::Result<Stream> {
    match &origin.address {
        UpstreamAddress::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        UpstreamAddress::Tcp { host, port, .. } => {
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let stream = TcpStream::connect((host, *port)).await?;
            stream.set_nodelay(true)?;
            match &origin.tls {
                None => Ok(Stream::Tcp(stream)),
                Some((settings, name)) => {
                    let connector = TlsConnector::from(Arc::clone(settings));
                    let stream = connector.connect(name.clone(), stream).await?;
                    if origin.protocol == Protocol::H2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                        return Err(io::Error::other(NO_H2));
                    }
                    Ok(Stream::Tls(Box::new(TlsStream::Client(stream))))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::exchange::tests::script;
    use crate::proxy::stream::scripted::Scripted;
    use crate::telemetry::metrics::Metrics;

    #[test]
    fn a_pool_that_another_has_replaced_keeps_nothing_and_gives_nothing() {
        let cells = Metrics::new(1).worker(0).unwrap();
        let pool = Pool::new(Watch::new(), &cells);
        let lease = || {
            let (stream, _) = Scripted::new(script(b"", &[1], (1, 0)));
            Lease::of_test(Stream::Scripted(stream), false, &cells)
        };
        let mut cx = Context::from_waker(std::task::Waker::noop());
        pool.put(lease());
        assert!(pool.take(true, &mut cx).is_some_and(|lease| lease.reused));
        pool.put(lease());
        pool.retire();
        assert_eq!(pool.idle(), 0);
        // Requests that were under way when it was replaced give their connections back later.
        pool.put(lease());
        pool.put_to_rest(lease());
        assert_eq!(pool.idle(), 0);
        assert!(pool.take(true, &mut cx).is_none());
    }
}
