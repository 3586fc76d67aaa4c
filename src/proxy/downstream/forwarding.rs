//! From a request that was allowed to the end of its exchange: a connection to the upstream, and another try where that is
//! safe.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Instant;

use crate::proxy::error::{Breach, Lateness, Overload, ProxyError, Reach};
use crate::proxy::exchange::{self, End, Ends, Fate};
use crate::proxy::ticket::SWITCHED;
use crate::proxy::upstream::Pending;
use crate::proxy::upstream::fleet::Server;
use crate::proxy::watch::Moment;
use crate::proxy::worker::View;
use crate::proxy::{Plan, h2};
use crate::snapshot;
use crate::telemetry::access::CALLER_GONE;

use super::lease::Miss;
use super::{Connection, Next};

/// What a caller is told whose target the upstream's protocol cannot carry.
const UNSENDABLE: &str = "The target has a byte that HTTP/2, which the API speaks, cannot carry: percent-encode it.";

/// What becomes of a request that takes too long in all.
const OVERDUE: ProxyError = ProxyError::UpstreamTimeout(Lateness::Whole);

/// What becomes of a request for which there is no server at all.
const UNREACHABLE: End = End::Failed(ProxyError::UpstreamUnreachable(Reach::Away));

impl Connection {
    /// Forwards a request that was allowed, again where that is safe, and relays or makes the answer.
    pub(super) async fn forward(&mut self, view: &Rc<View>, plan: &Plan, head: &[u8]) -> Next {
        let protocol = view.snapshot.config.upstream.protocol;
        let (end, now) = match self.worker.gate.enter(view.max_pending, view.earned) {
            Some(_) if protocol != snapshot::Protocol::H1 && !h2::outbound::is_sendable(head) => {
                (End::Failed(ProxyError::BadRequest(UNSENDABLE)), self.worker.clock())
            }
            pending @ Some(_) => self.exchange(view, plan, (head, pending)).await,
            None => (End::Failed(ProxyError::Overloaded(Overload::Pending)), self.worker.clock()),
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
                self.ticket.cut(OVERDUE);
                self.ticket.close(&self.worker, view, now);
                return Next::Drop;
            }
            End::Overdue { begun: false } => OVERDUE,
            End::KeyEnded(denial) => return self.end_with_key(view, denial, plan).await,
            End::Failed(error) => error,
            // It may be sent again, which callers do with a 503 and not with a 502.
            End::Unanswered { fate: Fate::Refused, .. } => ProxyError::Overloaded(Overload::Refused),
            End::Unanswered { fate, .. } => ProxyError::UpstreamFailed(fate.breach()),
        };
        let close = self.answer_error(view, error, Some(plan)).await;
        self.ticket.close(&self.worker, view, self.worker.clock());
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
        // Read anew: a head that came in pieces set the coarse clock when its first byte was there.
        let until = timeouts.request.map_or(Moment::NEVER, |most| self.slot.read().after(most));
        let mut fresh = false;
        // What the upstream did nothing of may be sent once more in any case.
        let mut retries = upstream.retries.idempotent.min(if plan.replayable { u32::MAX } else { 1 });
        let mut again = None;
        let mut connects = upstream.retries.connect;
        let Some(mut server) = view.fleet.choose() else { return (UNREACHABLE, self.worker.clock()) };
        let mut tried = Vec::new();
        loop {
            let _active = server.begin();
            self.ticket.server = view.fleet.place(server);
            let lease = match self.lease((view, server), (plan, fresh), (timeouts, until)).await {
                Ok(lease) => lease,
                Err(Miss::Over(end)) => return (end, self.worker.clock()),
                Err(Miss::Away(reach)) => {
                    tried.push(server);
                    let Some(other) = view.fleet.other(&tried).filter(|_| connects > 0) else {
                        return (End::Failed(ProxyError::UpstreamUnreachable(reach)), self.worker.clock());
                    };
                    (connects, server) = (connects - 1, other);
                    continue;
                }
            };
            let head = &*addressed(head, view, server);
            let ends = Ends {
                worker: &self.worker,
                view,
                server,
                plan,
                slot: &self.slot,
                down: &mut self.stream,
                input: &mut self.input,
                head,
                ticket: &mut self.ticket,
                pending: &mut pending,
                timeouts,
                until,
                again: &mut again,
            };
            let (end, now) = exchange::run(ends, lease).await;
            self.note((view, server), &end);
            let End::Unanswered { fate, .. } = end else { return (end, now) };
            // A connection that went stale in the pool is nobody's fault: it costs no budget, but it is a retry.
            let is_free = fate == Fate::Unread && !fresh;
            let may = retries > 0 && (plan.replayable || again.is_some());
            if !(may && (is_free || self.worker.gate.spend_retry(view.earned))) {
                return (end, now);
            }
            if !is_free {
                tried.push(server);
                server = view.fleet.other(&tried).unwrap_or(server);
            }
            (retries, fresh) = (retries - 1, true);
            self.count_retry();
        }
    }

    fn count_retry(&mut self) {
        self.ticket.retries += 1;
        self.worker.cells.retried();
    }

    /// Lets the fleet know how `server` did, as far as an exchange that ended so can tell.
    fn note(&self, (view, server): (&View, &Server), end: &End) {
        use Lateness::{Silent, Stalled, Untaken};
        use ProxyError::{UpstreamFailed, UpstreamTimeout};
        match end {
            // It was noted when the tunnel began.
            _ if self.ticket.status == SWITCHED => {}
            End::Complete { .. } => view.fleet.note_answer(server, self.ticket.status),
            // It answered, if not in a way that a CONNECT can be told: no caller can make a server look ill.
            End::Failed(UpstreamFailed(Breach::NotSwitched)) => {}
            // It is a route that waits less than others.
            End::Failed(UpstreamTimeout(Silent)) | End::Cut(UpstreamTimeout(Stalled)) if self.is_hasty(view) => {}
            End::Unanswered { reused: false, fate } => {
                view.fleet.note_failure(server, || fate.breach().detail().into_owned());
            }
            End::Cut(error @ (UpstreamFailed(_) | UpstreamTimeout(Silent | Stalled | Untaken)))
            | End::Failed(error @ (UpstreamFailed(_) | UpstreamTimeout(Silent | Untaken))) => {
                view.fleet.note_failure(server, || error.detail(&view.snapshot.config.limits).into_owned());
            }
            _ => {}
        }
    }

    /// The route has a time of its own for an answer, shorter than `upstream.timeouts.response`.
    fn is_hasty(&self, view: &View) -> bool {
        view.snapshot.timeouts(self.ticket.route).response < view.snapshot.config.upstream.timeouts.response
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
