//! Connections to the upstream: dialled, kept for later, taken last in first out.
//!
//! INVARIANT: a connection is put back only when its last answer was complete, the request before it was sent whole,
//! no byte was left over and both sides agreed to keep it; it is taken only while nothing is known to have come on it. Any
//! doubt drops it. Otherwise one caller could be given another's answer.
//!
//! What is known is what the runtime has seen, and for some requests what the kernel says: see [`Pool::take`]. An answer that
//! nobody asked for and that comes later than that is the next caller's: HTTP/1.1 has nothing to tell it by.

mod dial;
pub(crate) mod fleet;
mod gate;
pub(crate) mod health;
mod motion;
mod names;
mod session;
mod sessions;
mod sockets;
mod windows;

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use crate::snapshot::{Protocol, Server};
use crate::telemetry::label::Side;
use crate::telemetry::metrics::WorkerCells;

use super::stream::Stream;
use super::watch::{Moment, TICK, Watch};

pub(crate) use dial::DialFault;
pub(crate) use gate::{Gate, Pending};
use sessions::Sessions;
use sockets::Socket;
pub(crate) use sockets::Sockets;

/// Where a server of the upstream is and how it is reached: fixed for one generation of the configuration.
#[derive(Clone)]
pub(crate) struct Origin {
    pub(crate) server: Server,
    pub(crate) protocol: Protocol,
    /// `upstream.timeouts.connect`. That somebody who waits less had no connection says nothing about the server.
    pub(crate) patience: Duration,
    /// The longest that it may take nothing of what is sent: `limits.body_stall`, or `limits.write_stall` of a tunnel.
    pub(crate) stall: Duration,
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
    /// It was [quiet](Stream::is_quiet) when it was taken: nothing can be read of it before its task has waited, and the first
    /// read is spared.
    ///
    /// INVARIANT: the waker that [`Pool::take`] left with the socket is that of the task that runs the exchange, and that task
    /// waits for nothing between there and its first look for an answer, which ends this. A task that had waited meanwhile might
    /// have been woken by the answer already, and nobody would wake it again.
    pub(crate) quiet: bool,
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
        Self { stream, reused, quiet: false, peer: None, _open: Some(Open::new(cells, Side::Upstream)), socket: None }
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

    /// The connection that was put back last, if it is still silent as far as the runtime has `seen`. Where that is not enough,
    /// the kernel is asked: for a request that cannot be sent twice, and where the runtime had no turn since the last answer.
    pub(crate) fn take(&self, seen: bool, cx: &mut Context<'_>) -> Option<Lease> {
        loop {
            let Idle { mut lease, rest, .. } = {
                let mut idle = self.idle.borrow_mut();
                let rested = |idle: &Idle| idle.rest == Rest::None || idle.since.after(TICK) <= self.watch.now();
                let last = idle.iter().rposition(rested)?;
                idle.remove(last)
            };
            lease.quiet = lease.stream.is_quiet(cx);
            if (lease.quiet || !lease.stream.has_news(cx)) && ((seen && rest == Rest::None) || lease.stream.is_silent())
            {
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
