//! From a request that was allowed to the end of its exchange: a connection to the upstream, and another try where that is
//! safe.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use tokio::task::coop::unconstrained;

use crate::proxy::error::ProxyError;
use crate::proxy::exchange::{self, End, Ends, UNANSWERED};
use crate::proxy::ticket::{CALLER_GONE, SWITCHED};
use crate::proxy::upstream::{Lease, Pending};
use crate::proxy::watch::Moment;
use crate::proxy::worker::View;
use crate::proxy::{Plan, h2};
use crate::snapshot;
use crate::telemetry::label::Code;

use super::{Connection, Next};

/// What a caller is told whose target the upstream's protocol cannot carry.
const UNSENDABLE: &str = "The target has a byte that HTTP/2, which the API speaks, cannot carry: percent-encode it.";

impl Connection {
    /// Forwards a request that was allowed, again where that is safe, and relays or makes the answer.
    pub(super) async fn forward(&mut self, view: &Rc<View>, plan: &Plan, head: &[u8]) -> Next {
        let (end, now) = match view.pool.enter(view.max_pending, view.earned) {
            Some(_) if view.origin.protocol != snapshot::Protocol::H1 && !h2::outbound::is_sendable(head) => {
                (End::Failed(ProxyError::BadRequest(UNSENDABLE)), self.worker.clocks().0)
            }
            pending @ Some(_) => self.exchange(view, plan, (head, pending)).await,
            None => (End::Failed(ProxyError::Overloaded), self.worker.clocks().0),
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
                self.ticket.code = Code::named(error.code());
                self.ticket.close(&self.worker, view, now);
                return Next::Drop;
            }
            End::KeyEnded(denial) => return self.end_with_key(view, denial, plan).await,
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
        let until = upstream.timeouts.request.map_or(Moment::NEVER, |most| self.slot.now().after(most));
        let mut fresh = false;
        let mut retries = if plan.replayable { upstream.retries.idempotent } else { 0 };
        loop {
            let lease = match self.lease(view, (plan, fresh), until).await {
                Ok(lease) => lease,
                Err(error) => return (End::Failed(error), self.worker.clocks().0),
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
                until,
            };
            let (end, now) = exchange::run(ends, lease).await;
            match end {
                // A connection that went stale in the pool is nobody's fault: it costs no budget, but it is a retry.
                End::Unanswered { reused: true } if plan.replayable && !fresh => retries = retries.saturating_sub(1),
                End::Unanswered { .. } if retries > 0 && view.pool.spend_retry() => retries -= 1,
                _ => return (end, now),
            }
            fresh = true;
        }
    }

    /// A connection to the upstream: one that is kept, unless a fresh one is wanted, or a new one.
    async fn lease(&self, view: &Rc<View>, (plan, fresh): (&Plan, bool), until: Moment) -> Result<Lease, ProxyError> {
        // Unconstrained: a task that has used up its turn would be told that every connection is silent.
        let take = unconstrained(poll_fn(|cx| Poll::Ready(view.pool.take(plan.replayable, cx))));
        if !fresh && let Some(lease) = take.await {
            return Ok(lease);
        }
        let upstream = &view.snapshot.config.upstream;
        let (timeouts, retries) = (&upstream.timeouts, upstream.retries.connect);
        let dial = async {
            match view.origin.protocol {
                snapshot::Protocol::H1 => view.pool.dial(&view.origin, timeouts, retries).await,
                snapshot::Protocol::H2 | snapshot::Protocol::H2c => {
                    view.pool.stream(&view.origin, timeouts, retries).await
                }
            }
        };
        if until == Moment::NEVER {
            return dial.await.map_err(|_| ProxyError::UpstreamUnreachable);
        }
        match tokio::time::timeout(until.since(self.slot.now()), dial).await {
            Ok(dialled) => dialled.map_err(|_| ProxyError::UpstreamUnreachable),
            Err(_) => Err(ProxyError::UpstreamTimeout),
        }
    }
}
