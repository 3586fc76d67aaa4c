//! Connections to the upstream: dialled, kept for later, taken last in first out.
//!
//! INVARIANT: a connection is put back only when its last answer was complete, the request before it was sent whole,
//! no byte was left over and both sides agreed to keep it; it is taken only while it is silent. Any doubt drops it.
//! Otherwise one caller could be given another's answer.

pub(crate) mod fleet;
mod gate;
pub(crate) mod health;
mod names;
mod sessions;
mod sockets;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::snapshot::tls::fault::{CERTIFICATE_REFUSED, HANDSHAKE_FAILED, Other, in_words};
use crate::snapshot::{Protocol, Server, Timeouts, UpstreamAddress};
use crate::telemetry::label::Side;
use crate::telemetry::metrics::WorkerCells;

use super::error::Reach;
use super::stream::Stream;
use super::watch::{Moment, TICK, Watch};

pub(crate) use gate::{Gate, Pending};
use sessions::Sessions;
use sockets::Socket;
pub(crate) use sockets::Sockets;

/// How long to wait before a refused connection is tried again.
const DIAL_PAUSE: Duration = Duration::from_millis(5);

/// What the log says of an upstream that was asked for HTTP/2 and did not agree to it.
const NO_H2: &str =
    "the upstream did not agree to HTTP/2 in the TLS handshake (ALPN): should it be `upstream.protocol: h1`?";

/// Where a server of the upstream is and how it is reached: fixed for one generation of the configuration.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) server: Server,
    pub(crate) protocol: Protocol,
}

/// One worker's idle connections to one server of the upstream.
pub(crate) struct Pool {
    watch: Rc<Watch>,
    cells: Arc<WorkerCells>,
    idle: RefCell<Vec<Idle>>,
    /// Those of the process.
    sockets: Arc<Sockets>,
    /// Connections that carry many requests at once, where the upstream speaks HTTP/2.
    sessions: Sessions,
    /// The last attempt to connect failed.
    unreachable: Cell<bool>,
    /// Whose turn it is of the addresses.
    turn: Cell<usize>,
    /// What the name of the server stands for; empty until it was looked up.
    addresses: RefCell<Arc<Vec<SocketAddr>>>,
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
    /// Where it leads to; `None` for a Unix socket and for a stream of a connection.
    peer: Option<SocketAddr>,
    /// Counts it among the open ones; `None` for a stream of a connection that counts itself.
    _open: Option<Open>,
    /// Counts it among the sockets, likewise.
    socket: Option<Socket>,
}

#[cfg(test)]
impl Lease {
    /// A connection that a test made.
    pub(crate) fn of_test(stream: Stream, reused: bool, cells: &Arc<WorkerCells>) -> Self {
        Self { stream, reused, peer: None, _open: Some(Open::new(cells, Side::Upstream)), socket: None }
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

impl Pool {
    pub(crate) fn new(watch: Rc<Watch>, cells: &Arc<WorkerCells>, sockets: &Arc<Sockets>) -> Rc<Self> {
        Rc::new(Self {
            watch,
            cells: Arc::clone(cells),
            idle: RefCell::default(),
            sockets: Arc::clone(sockets),
            sessions: Sessions::default(),
            unreachable: Cell::new(false),
            turn: Cell::new(0),
            addresses: RefCell::default(),
            retired: Cell::new(false),
        })
    }

    /// How many connections are kept.
    #[cfg(test)]
    pub(crate) fn idle(&self) -> usize {
        self.idle.borrow().len()
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
        let unwanted = self.retired.get() || self.sockets.is_wanted() || self.is_gone(lease.peer);
        if unwanted || !lease.stream.is_drained() {
            return;
        }
        lease.reused = true;
        self.idle.borrow_mut().push(Idle { lease, since: self.watch.now(), rest });
    }

    /// Drops the connections that the upstream has closed, those to where it is no more, and those that were idle for
    /// longer than `most`; all of them while somebody, in whichever worker, waits for a socket.
    pub(crate) fn prune(&self, server: &Server, most: Duration, cx: &mut Context<'_>) {
        self.learn(&server.resolved.addresses());
        if self.sockets.is_wanted() {
            self.give_up_idle();
        }
        let now = self.watch.now();
        self.idle.borrow_mut().retain(|idle| idle.since.after(most) > now && !idle.lease.stream.has_news(cx));
    }

    /// Closes what carries nothing.
    fn give_up_idle(&self) {
        self.idle.borrow_mut().clear();
        self.sessions.give_up_idle();
    }

    /// A socket to dial with. Where there are as many as there may be, the next one that is closed, within `patience`.
    ///
    /// # Errors
    /// [`DialFault::NoSocket`] where none was.
    async fn socket(&self, patience: Duration) -> Result<Socket, DialFault> {
        if let Some(socket) = self.sockets.reserve() {
            return Ok(socket);
        }
        self.give_up_idle();
        self.sockets.wait(patience).await.ok_or(DialFault::NoSocket)
    }

    /// Dials the upstream: each of its addresses once, and again if they refuse, for at most `timeouts.connect` each
    /// time. The log says when it became unreachable and when it is back, not each failure in between.
    ///
    /// # Errors
    /// Why it cannot be reached, or that there was no socket to be had for `timeouts.connect`.
    pub(crate) async fn dial(&self, origin: &Origin, timeouts: &Timeouts, retries: u32) -> Result<Lease, DialFault> {
        let socket = self.socket(timeouts.connect).await?;
        let dialled = match self.dial_known(origin, timeouts, retries).await {
            // The name may stand for other addresses by now.
            Err(_) if names::is_news(&origin.server, timeouts.connect).await => {
                self.dial_known(origin, timeouts, 0).await
            }
            dialled => dialled,
        };
        match &dialled {
            Ok(_) if self.unreachable.replace(false) => {
                tracing::info!(server = &*origin.server.name(), "the upstream is reachable again");
            }
            Err(error) if !self.unreachable.replace(true) => tell_unreachable(&origin.server, error),
            _ => {}
        }
        match dialled {
            Ok(lease) => Ok(Lease { socket: Some(socket), ..lease }),
            Err(error) => Err(DialFault::Unreachable(Reach::of(&origin.server, &error))),
        }
    }

    async fn dial_known(&self, origin: &Origin, timeouts: &Timeouts, retries: u32) -> io::Result<Lease> {
        let addresses = names::addresses(&origin.server, timeouts.connect).await?;
        self.learn(&addresses);
        let mut turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let (mut untried, mut left) = (addresses.len().saturating_sub(1), retries);
        loop {
            let peer = turn.checked_rem(addresses.len()).and_then(|place| addresses.get(place)).copied();
            let error = match timeout(timeouts.connect, connect(origin, peer)).await {
                Ok(Ok(stream)) => {
                    let open = Open::new(&self.cells, Side::Upstream);
                    return Ok(Lease { stream, reused: false, peer, _open: Some(open), socket: None });
                }
                Ok(Err(error)) => error,
                Err(_) => io::Error::from(io::ErrorKind::TimedOut),
            };
            turn = turn.wrapping_add(1);
            if untried > 0 {
                untried -= 1;
                continue;
            }
            if left == 0 || error.kind() == io::ErrorKind::TimedOut {
                return Err(error);
            }
            left -= 1;
            tokio::time::sleep(DIAL_PAUSE).await;
        }
    }

    /// Takes note of what the name of the server stands for. Connections to other addresses carry no further request.
    fn learn(&self, addresses: &Arc<Vec<SocketAddr>>) {
        if Arc::ptr_eq(&self.addresses.borrow(), addresses) {
            return;
        }
        *self.addresses.borrow_mut() = Arc::clone(addresses);
        self.idle.borrow_mut().retain(|idle| !self.is_gone(idle.lease.peer));
        self.sessions.leave(|peer| self.is_gone(peer));
    }

    /// True for an address that the name of the server stands for no more.
    fn is_gone(&self, peer: Option<SocketAddr>) -> bool {
        let addresses = self.addresses.borrow();
        peer.is_some_and(|peer| !addresses.is_empty() && !addresses.contains(&peer))
    }
}

/// Why a request gets no connection to the upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DialFault {
    /// There was no socket to be had, which says nothing about the upstream.
    NoSocket,
    /// It is there, and takes no WebSockets over HTTP/2.
    NoWebSockets,
    Unreachable(Reach),
}

impl Reach {
    /// What kept a request from `server`.
    fn of(server: &Server, error: &io::Error) -> Self {
        // Elsewhere these kinds mean something else.
        match error.kind() {
            CERTIFICATE_REFUSED if server.tls.is_some() => Self::CertificateRefused,
            HANDSHAKE_FAILED if server.tls.is_some() => Self::HandshakeFailed,
            _ => Self::Away,
        }
    }
}

fn tell_unreachable(server: &Server, error: &io::Error) {
    let name = &*server.name();
    if Reach::of(server, error) != Reach::Away {
        tracing::warn!(server = name, %error, "TLS with the upstream fails; requests are answered 503, or go to other servers, until it succeeds");
    } else if server.standing.is_some() {
        tracing::warn!(server = name, %error, "a server of the upstream cannot be reached; requests go to the others");
    } else {
        tracing::warn!(server = name, %error, "the upstream cannot be reached; requests are answered 503 until it is back");
    }
}

async fn connect(origin: &Origin, peer: Option<SocketAddr>) -> io::Result<Stream> {
    match &origin.server.address {
        UpstreamAddress::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        UpstreamAddress::Tcp { .. } => {
            let peer = peer.ok_or(io::ErrorKind::HostUnreachable)?;
            let stream = TcpStream::connect(peer).await?;
            stream.set_nodelay(true)?;
            match &origin.server.tls {
                None => Ok(Stream::Tcp(stream)),
                Some((settings, name)) => {
                    let connector = TlsConnector::from(Arc::clone(settings));
                    let stream = connector.connect(name.clone(), stream).await;
                    let stream = stream.map_err(|error| in_words(&error, Other::Upstream).unwrap_or(error))?;
                    if origin.protocol == Protocol::H2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                        return Err(io::Error::new(HANDSHAKE_FAILED, NO_H2));
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
        let pool = Pool::new(Watch::new(), &cells, &Sockets::new(2));
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

    #[test]
    fn a_connection_to_an_address_that_the_name_has_lost_carries_no_further_request() {
        let cells = Metrics::new(1).worker(0).unwrap();
        let pool = Pool::new(Watch::new(), &cells, &Sockets::new(2));
        let address = |last| SocketAddr::from(([10, 0, 0, last], 80));
        let lease = |last| {
            let (stream, _) = Scripted::new(script(b"", &[1], (1, 0)));
            Lease { peer: Some(address(last)), ..Lease::of_test(Stream::Scripted(stream), false, &cells) }
        };
        pool.learn(&Arc::new(vec![address(1), address(2)]));
        pool.put(lease(1));
        pool.put(lease(2));
        pool.learn(&Arc::new(vec![address(2), address(3)]));
        assert_eq!(pool.idle(), 1);
        // One that carried a request meanwhile is not kept either.
        pool.put(lease(1));
        assert_eq!(pool.idle(), 1);
        pool.put(lease(3));
        assert_eq!(pool.idle(), 2);
    }
}
