//! One connection of a caller: read, judge, exchange, answer, again. Where its first bytes say HTTP/2, `h2` takes it over.

mod call;
mod ending;
mod forwarding;
mod lease;
mod slip;

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::io::AsyncWrite;

use crate::http1::head::{self, Excess, Framing, Version, has_begun, is_due};
use crate::snapshot::{Carrier, Limits};
use crate::telemetry::label::{Code, MethodLabel, Side};

use super::buffer::Buffer;
use super::caught::{Panicked, caught};
use super::error::{ProxyError, Slowness};
use super::h2;
use super::h2::wire::{NO_ROOM, Opening};
use super::reply::{self, Reply, Setting};
use super::stream::Stream;
use super::ticket::SWITCHED;
use super::upstream::Open;
use super::watch::{Moment, Slot, TICK};
use super::worker::{View, Worker};
use super::{Incoming, Plan, Verdict, handle};

pub(crate) use call::Call;
use slip::Slip;
pub(crate) use slip::Tickets;

/// After a refusal, what is still on its way is read so that the answer is not lost: at most this much, for this long.
pub(super) const LINGER_BYTES: usize = 64 * 1024;
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// Who connected, or whom a PROXY header named; `None` over a Unix socket.
    pub(crate) address: Option<IpAddr>,
    /// What HTTP came in.
    pub(crate) carrier: Carrier,
}

/// What a caller speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// What follows a request on its connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// Nothing: the caller is gone, or must see that the answer was cut off.
    Drop,
    /// It was no request but the start of HTTP/2.
    Http2,
    /// Nothing, once the caller has had the chance to read the answer.
    Linger,
    Request,
}

struct Connection {
    worker: Rc<Worker>,
    stream: Stream,
    peer: Peer,
    /// Of the request that is being read.
    call: Call,
    input: Buffer,
    slot: Slot,
    ticket: Slip,
    accepted: Moment,
    /// Nothing was read yet.
    fresh: bool,
    /// The runtime had its turn since the last request. Without it, it has seen nothing of what came to any socket meanwhile.
    looked: bool,
    /// What is spoken is not known yet.
    opening: bool,
    /// Requests that were read.
    requests: u64,
    /// A connection counts as open; a stream of one does not.
    _open: Option<Open>,
}

/// How a head is read.
struct Reading {
    /// The most bytes that may wait to be read as one.
    most: usize,
    header_timeout: Duration,
    limits: head::Limits,
    /// Until when the connection may be idle.
    deadline: Moment,
}

/// What was read of a request.
struct Read {
    view: Rc<View>,
    verdict: Verdict,
    /// The upstream's head, or an answer.
    out: Vec<u8>,
}

/// Serves a connection to its end.
pub(crate) async fn serve(worker: Rc<Worker>, stream: Stream, peer: Peer) {
    let mut connection = Connection::new(worker, stream, peer);
    loop {
        let next = {
            // Pinned where it is made: it is large, and would be moved for each request.
            let request = pin!(connection.serve_request());
            caught(request).await
        };
        match next {
            Ok(Next::Request) => {}
            // On the heap, as all that few connections come to: those that are idle do not hold room for it.
            Ok(Next::Linger) => return Box::pin(connection.linger()).await,
            Ok(Next::Drop) => return,
            Ok(Next::Http2) => return Box::pin(connection.serve_http2()).await,
            Err(Panicked) => return Box::pin(connection.answer_panic()).await,
        }
    }
}

/// Serves a connection on which HTTP/2 was agreed upon (ALPN `h2`), to its end.
pub(crate) async fn serve_http2(worker: Rc<Worker>, stream: Stream, peer: Peer) {
    Box::pin(Connection::new(worker, stream, peer).serve_http2()).await;
}

/// Serves one stream of HTTP/2: a connection that carries one request.
pub(super) async fn serve_stream(worker: Rc<Worker>, (stream, call): (Stream, Call), peer: Peer) {
    let mut connection = Connection::new(worker, stream, peer);
    connection.call = call;
    let next = {
        let request = pin!(connection.serve_request());
        caught(request).await
    };
    match next {
        Ok(Next::Linger) => connection.linger().await,
        Ok(Next::Drop | Next::Http2 | Next::Request) => {}
        Err(Panicked) => connection.answer_panic().await,
    }
}

/// Answers a connection that no request is read from: by a GOAWAY where it turns out at once to be one of HTTP/2.
pub(crate) async fn turn_away(worker: Rc<Worker>, stream: Stream, (peer, error): (Peer, ProxyError)) {
    let mut connection = Connection::new(worker, stream, peer);
    let (now, wall) = connection.worker.clocks();
    connection.ticket.restart(now, wall, peer.address);
    if connection.begins_http2().await {
        connection.say_goodbye(error).await;
    } else {
        connection.refuse(error).await;
    }
}

impl Drop for Connection {
    /// A request that is cut in the middle, by the end of the process, is counted and logged like any other.
    fn drop(&mut self) {
        if self.ticket.open {
            let (view, now) = (self.judged_under(), self.worker.clock());
            self.ticket.close(&self.worker, &view, now);
        }
        // A head that never came to its end, or was not taken.
        self.input.erase(self.input.len());
    }
}

impl Connection {
    fn new(worker: Rc<Worker>, stream: Stream, peer: Peer) -> Self {
        let slot = worker.watch.enter();
        Self {
            peer,
            call: Call::Other,
            input: Buffer::default(),
            ticket: Slip::new(&worker),
            accepted: slot.read(),
            slot,
            fresh: true,
            looked: true,
            opening: !stream.is_virtual(),
            requests: 0,
            _open: (!stream.is_virtual()).then(|| Open::new(&worker.cells, Side::Downstream)),
            stream,
            worker,
        }
    }

    /// Hands everything from the first byte on to HTTP/2, for the life of the connection.
    async fn serve_http2(&mut self) {
        self.ticket.give_back();
        h2::serve(&self.worker, (&mut self.input, &mut self.stream), (self.peer, &self.slot)).await;
        self.worker.buffers.reclaim(&mut self.input);
    }

    async fn serve_request(&mut self) -> Next {
        let Read { view, verdict, out } = match self.read_request().await {
            Ok(read) => read,
            Err(next) => return next,
        };
        let next = match verdict {
            Verdict::More => Next::Drop,
            Verdict::Forward(plan) => {
                // Should it panic, it is answered as what it is.
                self.call = if plan.grpc { Call::Grpc } else { Call::Other };
                self.input.erase(plan.size);
                // On the heap, and only for as long as it takes: a connection that is idle does not hold room for it.
                Box::pin(self.forward(&view, &plan, &out)).await
            }
            Verdict::Reply { close } => {
                self.ticket.begun = true;
                self.input.erase(self.ticket.head_bytes);
                let sent = self.write_all(&view, &out).await;
                self.ticket.close(&self.worker, &view, self.worker.clock());
                match (sent, close) {
                    (Err(_), _) => Next::Drop,
                    (Ok(()), true) => Next::Linger,
                    (Ok(()), false) => Next::Request,
                }
            }
        };
        self.worker.return_output(out);
        self.looked = false;
        next
    }

    /// Reads until there is a verdict, or something else than a request.
    async fn read_request(&mut self) -> Result<Read, Next> {
        let Reading { most, header_timeout, limits, mut deadline } = self.reading();
        if !self.stream.is_virtual() {
            self.call = Call::Other;
        }
        let mut judged = 0;
        let mut begun = false;
        loop {
            if has_begun(self.input.filled()) {
                if !begun {
                    begun = true;
                    let (now, wall) = self.worker.clocks();
                    deadline = self.slot.now().after(header_timeout);
                    self.ticket.restart(now, wall, self.peer.address);
                }
                if self.is_http2() {
                    self.ticket.abandon();
                    return Err(Next::Http2);
                }
                if !self.opening && is_due(self.input.filled(), judged, &limits) {
                    if let Some(read) = self.judge() {
                        return Ok(read);
                    }
                    judged = self.input.len();
                }
            }
            // Where no byte waits there is room for some: a read takes it.
            if !self.input.is_empty() && !self.worker.buffers.make_room(&mut self.input, most) {
                Box::pin(self.refuse(ProxyError::HeadersTooLarge(Excess::Bytes))).await;
                return Err(Next::Drop);
            }
            match self.fill(deadline).await {
                Ok(1..) => self.fresh = false,
                Err(error) if error.kind() == io::ErrorKind::TimedOut && begun => {
                    Box::pin(self.refuse(ProxyError::RequestTimeout(Slowness::Head))).await;
                    return Err(Next::Drop);
                }
                Ok(0) | Err(_) => {
                    // Half a head is no request.
                    self.ticket.abandon();
                    self.stream.end_session();
                    return Err(Next::Drop);
                }
            }
        }
    }

    /// True where the first bytes of the connection are those of HTTP/2. While they may be, nothing is judged.
    fn is_http2(&mut self) -> bool {
        if !self.opening {
            return false;
        }
        let opening = Opening::of(self.input.filled());
        self.opening = opening == Opening::Undecided;
        opening == Opening::Http2
    }

    /// The same of a connection that is not served. The bytes have a tick to come.
    async fn begins_http2(&mut self) -> bool {
        let deadline = self.slot.now().after(TICK);
        while Opening::of(self.input.filled()) == Opening::Undecided {
            if !matches!(self.fill(deadline).await, Ok(1..)) {
                return false;
            }
        }
        Opening::of(self.input.filled()) == Opening::Http2
    }

    fn protocol(&self) -> Protocol {
        if self.stream.is_virtual() { Protocol::Http2 } else { Protocol::Http1 }
    }

    /// The limits for reading a head, and until when the connection may be idle. Nothing of the generation is held while
    /// it is.
    fn reading(&self) -> Reading {
        let now = self.slot.now();
        self.worker.look(|view| {
            let Limits { header_bytes, target_bytes, header_timeout, idle, .. } = view.snapshot.config.limits;
            let most = header_bytes.saturating_add(target_bytes);
            Reading { most, header_timeout, limits: view.head_limits, deadline: now.after(idle) }
        })
    }

    /// Judges what was read so far, under the generation in force now.
    fn judge(&mut self) -> Option<Read> {
        let view = self.worker.view();
        // Whatever becomes of it: a route is a number that means nothing under another policy.
        self.ticket.view = Some(Rc::clone(&view));
        let mut out = self.worker.borrow_output();
        let last = self.is_last(&view.snapshot.config.limits);
        let mut incoming = Incoming {
            input: self.input.filled(),
            peer: &self.peer,
            protocol: self.protocol(),
            last,
            call: self.call,
            ticket: &mut self.ticket,
            out: &mut out,
        };
        match handle(&self.worker, &view, &mut incoming) {
            Verdict::More => {
                self.ticket.view = None;
                self.worker.return_output(out);
                None
            }
            verdict => {
                self.requests += 1;
                Some(Read { view, verdict, out })
            }
        }
    }

    /// The generation that the request was judged under; the one in force where it was not judged.
    fn judged_under(&mut self) -> Rc<View> {
        self.ticket.view.take().unwrap_or_else(|| self.worker.view())
    }

    /// True where the request that is being read is the last that this connection takes.
    fn is_last(&self, limits: &Limits) -> bool {
        self.worker.is_leaving()
            || limits.requests_per_connection.is_some_and(|most| self.requests + 1 >= most)
            || limits.connection_age.is_some_and(|most| self.accepted.after(most) <= self.slot.now())
    }

    /// Reads once. `TimedOut` at the deadline, `Interrupted` when an idle connection is to end for a drain,
    /// or any when the drain is over.
    async fn fill(&mut self, deadline: Moment) -> io::Result<usize> {
        self.worker.buffers.fit(&mut self.input, self.stream.room());
        let mut waited = false;
        poll_fn(|cx| {
            if !std::mem::replace(&mut waited, true) && self.stream.is_quiet(cx) {
                self.worker.buffers.reclaim(&mut self.input);
            } else if let Poll::Ready(read) = self.worker.buffers.poll_fill(&mut self.stream, &mut self.input, cx) {
                return Poll::Ready(read);
            }
            if self.slot.now() >= deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            // A connection that was accepted just before the drain may have its first request on the way.
            let graced = self.fresh && self.slot.now() < self.accepted.after(TICK);
            let ends = self.worker.is_draining() && !has_begun(self.input.filled()) && !graced;
            // The runtime may not have seen yet what the kernel has: a request that came in time is not thrown away.
            let idles = ends && (self.stream.is_virtual() || self.stream.is_silent());
            if idles || self.worker.is_over() {
                return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
            }
            let deadline = if ends { self.slot.now().after(TICK) } else { deadline };
            let deadline = if graced { deadline.min(self.accepted.after(TICK)) } else { deadline };
            self.slot.arm(deadline, cx);
            self.looked = true;
            self.ticket.give_back();
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests;
