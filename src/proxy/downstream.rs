//! One HTTP/1.1 connection of a caller: read, judge, exchange, answer, again.

use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::http1::head::{AnswerTo, Version, is_due};
use crate::telemetry::label::Side;

use super::buffer::Buffer;
use super::error::ProxyError;
use super::exchange::{self, End, Ends, UNANSWERED};
use super::reply::{self, Reply, Setting};
use super::stream::Stream;
use super::ticket::{CALLER_GONE, Ticket};
use super::upstream::{Lease, Open, Pending};
use super::watch::Slot;
use super::worker::{View, Worker};
use super::{Incoming, Plan, Verdict, handle};

/// After a refusal, what is still on its way is read so that the answer is not lost: at most this much, for this long.
const LINGER_BYTES: usize = 64 * 1024;
const LINGER: Duration = Duration::from_secs(1);

/// Who is at the other end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// `None` over a Unix socket.
    pub(crate) address: Option<IpAddr>,
}

/// What follows a request on its connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// Nothing: the caller is gone, or must see that the answer was cut off.
    Drop,
    /// Nothing, once the caller has had the chance to read the answer.
    Linger,
    Request,
}

struct Connection {
    worker: Rc<Worker>,
    stream: Stream,
    peer: Peer,
    input: Buffer,
    slot: Slot,
    ticket: Ticket,
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
    let _open = Open::new(&worker.cells, Side::Downstream);
    let slot = worker.watch.enter();
    let (now, wall) = worker.clocks();
    let ticket = Ticket::new(now, wall, peer.address);
    let mut connection = Connection { worker, stream, peer, input: Buffer::default(), slot, ticket };
    loop {
        match connection.serve_request().await {
            Next::Request => {}
            Next::Linger => return connection.linger().await,
            Next::Drop => return,
        }
    }
}

/// Answers a connection that is one too many.
pub(crate) async fn turn_away(worker: Rc<Worker>, stream: Stream, peer: Peer) {
    let slot = worker.watch.enter();
    let (now, wall) = worker.clocks();
    let mut ticket = Ticket::new(now, wall, peer.address);
    ticket.id = worker.request_ids.next();
    let mut connection = Connection { worker, stream, peer, input: Buffer::default(), slot, ticket };
    let view = connection.worker.view();
    connection.answer_error(&view, ProxyError::Overloaded, None).await;
    connection.linger().await;
}

impl Connection {
    async fn serve_request(&mut self) -> Next {
        let Some(Read { view, verdict, out }) = self.read_request().await else {
            return Next::Drop;
        };
        let next = match verdict {
            Verdict::More => Next::Drop,
            Verdict::Forward(plan) => {
                self.input.consume(plan.size);
                self.forward(&view, &plan, &out).await
            }
            Verdict::Reply { close } => {
                self.input.consume(self.ticket.head_bytes);
                let sent = self.write_all(&view, &out).await;
                self.ticket.close(&self.worker, &view, self.worker.clocks().0);
                match (sent, close) {
                    (Err(_), _) => Next::Drop,
                    (Ok(()), true) => Next::Linger,
                    (Ok(()), false) => Next::Request,
                }
            }
        };
        self.worker.return_output(out);
        next
    }

    /// Reads until there is a verdict; `None` when the connection ends without one.
    async fn read_request(&mut self) -> Option<Read> {
        let view = self.worker.view();
        let limits = &view.snapshot.config.limits;
        let idle_until = self.slot.now().after(limits.idle);
        let mut head_until = None;
        let mut judged = 0;
        loop {
            if !self.input.is_empty() {
                if head_until.is_none() {
                    let (now, wall) = self.worker.clocks();
                    head_until = Some(self.slot.now().after(limits.header_timeout));
                    self.ticket.restart(now, wall);
                }
                if is_due(self.input.filled(), judged, &view.head_limits) {
                    if let Some(read) = self.judge() {
                        return Some(read);
                    }
                    judged = self.input.len();
                }
            } else if self.worker.is_draining() {
                return None;
            }
            let most = limits.header_bytes.saturating_add(limits.target_bytes);
            if !self.worker.buffers.make_room(&mut self.input, most) {
                self.refuse(&view, ProxyError::HeadersTooLarge).await;
                return None;
            }
            match self.fill(head_until.unwrap_or(idle_until)).await {
                Ok(1..) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut && head_until.is_some() => {
                    self.refuse(&view, ProxyError::RequestTimeout).await;
                    return None;
                }
                Ok(0) | Err(_) => return None,
            }
        }
    }

    /// Judges what was read so far, under the generation in force now.
    fn judge(&mut self) -> Option<Read> {
        let view = self.worker.view();
        let mut out = self.worker.borrow_output();
        let mut incoming =
            Incoming { input: self.input.filled(), peer: &self.peer, ticket: &mut self.ticket, out: &mut out };
        match handle(&self.worker, &view, &mut incoming) {
            Verdict::More => {
                self.worker.return_output(out);
                None
            }
            verdict => Some(Read { view, verdict, out }),
        }
    }

    /// Reads once. `TimedOut` at the deadline, `Interrupted` when an idle connection is to end for a drain.
    async fn fill(&mut self, deadline: super::watch::Moment) -> io::Result<usize> {
        poll_fn(|cx| {
            if let Poll::Ready(read) = self.worker.buffers.poll_fill(&mut self.stream, &mut self.input, cx) {
                return Poll::Ready(read);
            }
            if self.slot.now() >= deadline {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            if self.worker.is_draining() && self.input.is_empty() {
                return Poll::Ready(Err(io::ErrorKind::Interrupted.into()));
            }
            self.slot.arm(deadline, cx);
            Poll::Pending
        })
        .await
    }

    /// Forwards a request that was allowed, again where that is safe, and relays or makes the answer.
    async fn forward(&mut self, view: &Rc<View>, plan: &Plan, head: &[u8]) -> Next {
        let (end, now) = match view.pool.enter(view.max_pending, view.earned) {
            pending @ Some(_) => self.exchange(view, plan, (head, pending)).await,
            None => (End::Failed(ProxyError::Overloaded), self.worker.clocks().0),
        };
        let error = match end {
            End::Complete { close } => {
                self.ticket.close(&self.worker, view, now);
                return if close { Next::Linger } else { Next::Request };
            }
            End::CallerGone | End::Cut => {
                if end == End::CallerGone {
                    self.ticket.status = CALLER_GONE;
                } else if plan.version == Version::Http10 {
                    // A body without a length would look whole to a caller that sees the connection end in order.
                    self.stream.reset_on_close();
                }
                self.ticket.close(&self.worker, view, now);
                return Next::Drop;
            }
            End::Failed(error) => error,
            End::Unanswered { .. } => ProxyError::UpstreamFailed(UNANSWERED),
        };
        let close = self.answer_error(view, error, Some(plan)).await;
        self.ticket.close(&self.worker, view, self.worker.clocks().0);
        if close { Next::Linger } else { Next::Request }
    }

    async fn exchange(
        &mut self,
        view: &Rc<View>,
        plan: &Plan,
        (head, mut pending): (&[u8], Option<Pending>),
    ) -> (End, Instant) {
        let upstream = &view.snapshot.config.upstream;
        let mut fresh = false;
        let mut retries = if plan.replayable { upstream.retries.idempotent } else { 0 };
        loop {
            let lease = match self.lease(view, plan, fresh).await {
                Ok(lease) => lease,
                Err(_) => return (End::Failed(ProxyError::UpstreamUnreachable), self.worker.clocks().0),
            };
            let ends = Ends {
                worker: &self.worker,
                view,
                plan,
                slot: &self.slot,
                down: &mut self.stream,
                input: &mut self.input,
                head,
                ticket: &mut self.ticket,
                pending: &mut pending,
            };
            let (end, now) = exchange::run(ends, lease).await;
            match end {
                // A connection that went stale in the pool is nobody's fault and costs no budget.
                End::Unanswered { reused: true } if plan.replayable && !fresh => {}
                End::Unanswered { .. } if retries > 0 && view.pool.spend_retry() => retries -= 1,
                _ => return (end, now),
            }
            fresh = true;
        }
    }

    async fn lease(&self, view: &Rc<View>, plan: &Plan, fresh: bool) -> io::Result<Lease> {
        if !fresh && let Some(lease) = poll_fn(|cx| Poll::Ready(view.pool.take(plan.replayable, cx))).await {
            return Ok(lease);
        }
        let upstream = &view.snapshot.config.upstream;
        view.pool.dial(&view.origin, &upstream.timeouts, upstream.retries.connect).await
    }

    /// Writes an error answer; true when the connection ends after it.
    async fn answer_error(&mut self, view: &View, error: ProxyError, plan: Option<&Plan>) -> bool {
        let config = &view.snapshot.config;
        // Only a request without a body is known to be read whole here.
        let close = plan.is_none_or(|plan| !plan.replayable || !plan.keep_alive) || self.worker.is_draining();
        let mut out = self.worker.borrow_output();
        self.ticket.refuse(error);
        let setting = Setting {
            accept: &config.keys.accept,
            format: config.errors,
            request_id: self.ticket.id.as_bytes(),
            date: self.worker.watch.date(),
            origin: &self.ticket.origin,
            head: plan.is_some_and(|plan| plan.answer_to == AnswerTo::Head),
            connection: reply::Connection::of(plan.map_or(Version::Http11, |plan| plan.version), close),
            grpc: plan.is_some_and(|plan| plan.grpc),
        };
        self.ticket.bytes_out = Reply::error(error).write(&setting, &mut out) as u64;
        let sent = self.write_all(view, &out).await;
        self.worker.return_output(out);
        close || sent.is_err()
    }

    /// Answers bytes that never became a request, counts them, and ends the connection.
    async fn refuse(&mut self, view: &View, error: ProxyError) {
        self.ticket.id = self.worker.request_ids.next();
        self.answer_error(view, error, None).await;
        self.ticket.close(&self.worker, view, self.worker.clocks().0);
        self.linger().await;
    }

    /// Writes and flushes, for as long as the caller takes some of it in time.
    async fn write_all(&mut self, view: &View, out: &[u8]) -> io::Result<()> {
        let stall = view.snapshot.config.limits.write_stall;
        let mut deadline = self.slot.now().after(stall);
        let mut left = out;
        poll_fn(|cx| {
            while !left.is_empty() {
                let Poll::Ready(wrote) = Pin::new(&mut self.stream).poll_write(cx, left) else {
                    if self.slot.now() >= deadline {
                        return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                    }
                    self.slot.arm(deadline, cx);
                    return Poll::Pending;
                };
                let count = wrote?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                left = left.get(count..).unwrap_or_default();
                deadline = self.slot.now().after(stall);
            }
            Pin::new(&mut self.stream).poll_flush(cx)
        })
        .await
    }

    /// Ends the connection so that the answer arrives: a close with unread bytes would reset it (RFC 9112 9.6).
    async fn linger(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let deadline = self.slot.now().after(LINGER);
        let mut left = LINGER_BYTES;
        self.input.consume(self.input.len());
        while left > 0 {
            let read = poll_fn(|cx| {
                if self.slot.now() >= deadline {
                    return Poll::Ready(Ok(0));
                }
                self.slot.arm(deadline, cx);
                self.worker.buffers.poll_fill(&mut self.stream, &mut self.input, cx)
            });
            match read.await {
                Ok(count @ 1..) => left = left.saturating_sub(count),
                Ok(0) | Err(_) => break,
            }
            self.input.consume(self.input.len());
        }
        self.worker.buffers.reclaim(&mut self.input);
    }
}
