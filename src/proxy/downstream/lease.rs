//! A connection to the upstream for one request: one that is kept, or a new one, for as long as somebody wants it.

use std::future::{Future as _, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::task::coop::unconstrained;

use crate::proxy::error::{Breach, Lateness, Overload, ProxyError, Reach};
use crate::proxy::exchange::End;
use crate::proxy::stream::Presence;
use crate::proxy::upstream::fleet::Server;
use crate::proxy::upstream::{DialFault, Lease};
use crate::proxy::watch::Moment;
use crate::proxy::worker::View;
use crate::proxy::{Plan, holder};
use crate::snapshot::{Protocol, Timeouts};

use super::Connection;

/// Why a request gets no connection to a server.
pub(super) enum Miss {
    /// The server cannot be reached. Nothing was sent, so that another one is as good.
    Away(Reach),
    /// That is the end of the request: no other server has sockets of its own, or more time.
    Over(End),
}

impl Connection {
    /// A connection to `server`: one that is kept, unless the request was tried on one already, or a new one.
    pub(super) async fn lease(
        &mut self,
        (view, server): (&Rc<View>, &Server),
        (plan, tried): (&Plan, bool),
        (timeouts, until): (&Timeouts, Moment),
    ) -> Result<Lease, Miss> {
        let Server { pool, origin, .. } = server;
        // Unconstrained: a task that has used up its turn would be told that every connection is silent.
        let take = unconstrained(poll_fn(|cx| Poll::Ready(pool.take(plan.replayable && self.looked, cx))));
        if !tried && let Some(lease) = take.await {
            return Ok(lease);
        }
        let upstream = &view.snapshot.config.upstream;
        // Where there are others, they are tried instead of this one again.
        let retries = if origin.server.standing.is_some() { 0 } else { upstream.retries.connect };
        // A caller of HTTP/1.1 holds one stream at a time: they have that of their worker.
        let room = &Rc::clone(self.stream.room().unwrap_or(&self.worker.room));
        // On the heap, and only while one is dialled: most requests find one that is kept.
        let mut dial = Box::pin(async {
            match origin.protocol {
                Protocol::H1 => pool.dial(origin, timeouts, retries).await,
                Protocol::H2 | Protocol::H2c if plan.upgrade => {
                    pool.stream_for_websocket((origin, room), timeouts, retries).await
                }
                Protocol::H2 | Protocol::H2c => pool.stream((origin, room), timeouts, retries).await,
            }
        });
        let mut waits = false;
        let dialled = poll_fn(|cx| {
            if let Poll::Ready(dialled) = dial.as_mut().poll(cx) {
                return Poll::Ready(Ok(dialled));
            }
            if !std::mem::replace(&mut waits, true) && holder::is_held(&self.ticket, view) {
                self.slot.outlast();
            }
            self.poll_unwanted((until, tried), cx).map(Err)
        })
        .await;
        if waits {
            self.slot.settle();
            // What begins now has its whole time.
            self.slot.read();
        }
        dialled.map_err(Miss::Over)?.map_err(|fault| miss(fault, (view, server), timeouts))
    }

    /// Ready when nobody wants the connection any more that is being dialled. What the caller sends meanwhile is kept.
    fn poll_unwanted(&mut self, (until, tried): (Moment, bool), cx: &mut Context<'_>) -> Poll<End> {
        if self.worker.is_over() {
            return Poll::Ready(End::Failed(match tried {
                // The server that was tried before may have carried it out.
                true => ProxyError::UpstreamTimeout(Lateness::Draining),
                false => ProxyError::Overloaded(Overload::Draining),
            }));
        }
        if self.slot.now() >= until {
            return Poll::Ready(End::Overdue { begun: false });
        }
        if self.slot.is_due() {
            match holder::ask(&self.worker, &self.ticket) {
                Ok(expires) => self.slot.hold_until(expires),
                Err(denial) => return Poll::Ready(End::KeyEnded(denial)),
            }
        }
        while self.input.has_room() {
            match self.worker.buffers.poll_fill(&mut self.stream, &mut self.input, cx) {
                Poll::Pending => break,
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(End::CallerGone),
            }
        }
        let until = if self.input.has_room() {
            until
        } else if self.stream.poll_presence(cx) == Presence::Here {
            // At the next sweep: where something waits to be read, nobody is woken by what comes after it.
            self.slot.now()
        } else {
            return Poll::Ready(End::CallerGone);
        };
        self.slot.arm(until, cx);
        Poll::Pending
    }
}

/// What a fault in dialling comes to for the request, and for the server where it is the server's.
fn miss(fault: DialFault, (view, server): (&View, &Server), timeouts: &Timeouts) -> Miss {
    let refused = |error| Miss::Over(End::Failed(error));
    let reach = match fault {
        DialFault::NoSocket => return refused(ProxyError::Overloaded(Overload::Sockets)),
        // It is well, and it takes no WebSockets.
        DialFault::NoWebSockets => return refused(ProxyError::UpstreamFailed(Breach::NoWebSockets)),
        // For those who wait longer it may be there.
        DialFault::TooSlow if timeouts.connect < server.origin.patience => return Miss::Away(Reach::Away),
        DialFault::TooSlow => Reach::Away,
        DialFault::Unreachable(reach) => reach,
    };
    view.fleet.note_failure(server, || {
        match reach {
            Reach::Away => "no connection could be made",
            Reach::CertificateRefused | Reach::HandshakeFailed => "TLS came to nothing",
        }
        .to_owned()
    });
    Miss::Away(reach)
}
