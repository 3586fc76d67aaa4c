//! From a request that was allowed to the end of its exchange: a connection to the upstream, and another try where that is
//! safe.

use std::borrow::Cow;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use tokio::task::coop::unconstrained;

use crate::proxy::error::{Breach, Lateness, Overload, ProxyError, Reach};
use crate::proxy::exchange::{self, End, Ends};
use crate::proxy::ticket::SWITCHED;
use crate::proxy::upstream::fleet::Server;
use crate::proxy::upstream::{DialFault, Lease, Pending};
use crate::proxy::watch::Moment;
use crate::proxy::worker::View;
use crate::proxy::{Plan, h2};
use crate::snapshot::{self, Timeouts};
use crate::telemetry::access::CALLER_GONE;

use super::{Connection, Next};

/// What a caller is told whose target the upstream's protocol cannot carry.
const UNSENDABLE: &str = "The target has a byte that HTTP/2, which the API speaks, cannot carry: percent-encode it.";

/// What becomes of a request over which the upstream takes too long.
const LATE: ProxyError = ProxyError::UpstreamTimeout(Lateness::Silent);

/// What becomes of a request for which there is no server at all.
const UNREACHABLE: End = End::Failed(ProxyError::UpstreamUnreachable(Reach::Away));

impl Connection {
    /// Forwards a request that was allowed, again where that is safe, and relays or makes the answer.
    pub(super) async fn forward(&mut self, view: &Rc<View>, plan: &Plan, head: &[u8]) -> Next {
        let protocol = view.snapshot.config.upstream.protocol;
        let (end, now) = match self.worker.gate.enter(view.max_pending, view.earned) {
            Some(_) if protocol != snapshot::Protocol::H1 && !h2::outbound::is_sendable(head) => {
                (End::Failed(ProxyError::BadRequest(UNSENDABLE)), self.worker.clocks().0)
            }
            pending @ Some(_) => self.exchange(view, plan, (head, pending)).await,
            None => (End::Failed(ProxyError::Overloaded(Overload::Pending)), self.worker.clocks().0),
        };
        let error = match end {
            End::Complete { close } => {
                self.ticket.close(&self.worker, view, now);
                return if close { Next::Linger } else { Next::Request };
            }
            End::CallerGone => {
                // A tunnel has had its answer.
                if self.ticket.status != SWITCHED {
                    self.ticket.status = CALLER_GONE;
                }
                self.ticket.close(&self.worker, view, now);
                return Next::Drop;
            }
            End::Cut(error) => {
                self.ticket.cut(error);
                self.ticket.close(&self.worker, view, now);
                return Next::Drop;
            }
            End::Overdue { begun: true } => {
                self.ticket.cut(LATE);
                self.ticket.close(&self.worker, view, now);
                return Next::Drop;
            }
            End::Overdue { begun: false } => LATE,
            End::KeyEnded(denial) => return self.end_with_key(view, denial, plan).await,
            End::Failed(error) => error,
            End::Unanswered { .. } => ProxyError::UpstreamFailed(Breach::Unanswered),
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
        let timeouts = view.snapshot.timeouts(self.ticket.route);
        let until = timeouts.request.map_or(Moment::NEVER, |most| self.slot.read().after(most));
        let mut fresh = false;
        let mut retries = if plan.replayable { upstream.retries.idempotent } else { 0 };
        let mut connects = upstream.retries.connect;
        let Some(mut server) = view.fleet.choose() else { return (UNREACHABLE, self.worker.clocks().0) };
        let mut tried = Vec::new();
        loop {
            let _active = server.begin();
            let lease = match self.lease((view, server), (plan, fresh), (timeouts, until)).await {
                Ok(lease) => lease,
                // It is well, and it takes no WebSockets.
                Err(error @ ProxyError::UpstreamFailed(_)) => return (End::Failed(error), self.worker.clocks().0),
                // It is no fault of the server: no other has sockets of its own, or more time.
                Err(error @ (ProxyError::Overloaded(_) | ProxyError::UpstreamTimeout(_))) => {
                    return (End::Failed(error), self.worker.clocks().0);
                }
                Err(error) => {
                    view.fleet.note_failure(server);
                    tried.push(server);
                    match view.fleet.other(&tried).filter(|_| connects > 0) {
                        // Nothing was sent: another server is as good.
                        Some(other) => (connects, server) = (connects - 1, other),
                        None => return (End::Failed(error), self.worker.clocks().0),
                    }
                    continue;
                }
            };
            let head = &*addressed(head, view, server);
            let ends = Ends {
                worker: &self.worker,
                view,
                pool: &server.pool,
                plan,
                slot: &self.slot,
                down: &mut self.stream,
                input: &mut self.input,
                head,
                ticket: &mut self.ticket,
                pending: &mut pending,
                timeouts,
                until,
            };
            let (end, now) = exchange::run(ends, lease).await;
            self.note(view, server, &end);
            match end {
                // A connection that went stale in the pool is nobody's fault: it costs no budget, but it is a retry.
                End::Unanswered { reused: true } if retries > 0 && !fresh => retries -= 1,
                End::Unanswered { .. } if retries > 0 && self.worker.gate.spend_retry() => {
                    retries -= 1;
                    tried.push(server);
                    server = view.fleet.other(&tried).unwrap_or(server);
                }
                _ => return (end, now),
            }
            fresh = true;
        }
    }

    /// Lets the fleet know how `server` did, as far as an exchange that ended so can tell.
    fn note(&self, view: &View, server: &Server, end: &End) {
        match end {
            End::Complete { .. } => view.fleet.note_answer(server, self.ticket.status),
            // It answered, if not in a way that a CONNECT can be told: no caller can make a server look ill.
            End::Failed(ProxyError::UpstreamFailed(Breach::NotSwitched)) => {}
            End::Unanswered { reused: false }
            | End::Cut(ProxyError::UpstreamFailed(_) | LATE)
            | End::Failed(ProxyError::UpstreamFailed(_) | LATE) => {
                view.fleet.note_failure(server);
            }
            _ => {}
        }
    }

    /// A connection to the upstream: one that is kept, unless a fresh one is wanted, or a new one.
    async fn lease(
        &self,
        (view, server): (&Rc<View>, &Server),
        (plan, fresh): (&Plan, bool),
        (timeouts, until): (&Timeouts, Moment),
    ) -> Result<Lease, ProxyError> {
        let Server { pool, origin, .. } = server;
        // Unconstrained: a task that has used up its turn would be told that every connection is silent.
        let take = unconstrained(poll_fn(|cx| Poll::Ready(pool.take(plan.replayable, cx))));
        if !fresh && let Some(lease) = take.await {
            return Ok(lease);
        }
        let upstream = &view.snapshot.config.upstream;
        // Where there are others, they are tried instead of this one again.
        let retries = if origin.server.standing.is_some() { 0 } else { upstream.retries.connect };
        let dial = async {
            match origin.protocol {
                snapshot::Protocol::H1 => pool.dial(origin, timeouts, retries).await,
                snapshot::Protocol::H2 | snapshot::Protocol::H2c if plan.upgrade => {
                    pool.stream_for_websocket(origin, timeouts, retries).await
                }
                snapshot::Protocol::H2 | snapshot::Protocol::H2c => pool.stream(origin, timeouts, retries).await,
            }
        };
        let failed = |fault| match fault {
            DialFault::NoSocket => ProxyError::Overloaded(Overload::Sockets),
            DialFault::NoWebSockets => ProxyError::UpstreamFailed(Breach::NoWebSockets),
            DialFault::Unreachable(reach) => ProxyError::UpstreamUnreachable(reach),
        };
        let mut dial = pin!(dial);
        poll_fn(|cx| {
            if let Poll::Ready(dialled) = dial.as_mut().poll(cx) {
                return Poll::Ready(dialled.map_err(failed));
            }
            if self.worker.is_over() {
                return Poll::Ready(Err(match fresh {
                    // The server that was tried before may have carried it out.
                    true => ProxyError::UpstreamTimeout(Lateness::Draining),
                    false => ProxyError::Overloaded(Overload::Draining),
                }));
            }
            if self.slot.now() >= until {
                return Poll::Ready(Err(LATE));
            }
            self.slot.arm(until, cx);
            Poll::Pending
        })
        .await
    }
}

/// The head for `server`: with its own name as `Host`, which is always the first field, where it was written for another.
fn addressed<'h>(head: &'h [u8], view: &View, server: &Server) -> Cow<'h, [u8]> {
    if !server.is_named_in_host(view) {
        return Cow::Borrowed(head);
    }
    let authority = &server.origin.server.authority;
    let mut lines = head.splitn(3, |byte| *byte == b'\n');
    let (start, _, rest) = (lines.next(), lines.next(), lines.next());
    [start.unwrap_or_default(), b"\nhost: ", authority.as_bytes(), b"\r\n", rest.unwrap_or_default()].concat().into()
}
