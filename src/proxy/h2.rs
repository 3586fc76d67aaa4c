//! HTTP/2: an adapter at each edge of the gateway, around the one form in which requests are judged and forwarded.
//!
//! Inside, everything is HTTP/1.1. A stream of a caller becomes a pipe that carries one request and its answer as HTTP/1.1
//! ([`inbound`]); a stream to the upstream does so from the other side ([`outbound`]). So each rule exists once: what is
//! refused, what is stripped, how a message is framed, how long anything may take, what is counted and logged.
//!
//! - Malformed at the level of HTTP/2 (RFC 9113 8.1.1): a stream error, by the `h2` crate, which this is written over.
//! - Malformed as HTTP/1.1, by the strict reading of [`crate::http1`]: an answer like over HTTP/1.1, mostly 400.
//! - Frames that carry nothing, in no proportion to those that do, end the connection ([`traffic`]).
//! - A stream that is reset is a caller that is gone: its pipe breaks, and the request to the upstream with it.
//! - An answer that is cut off ends in RST_STREAM, never as if it were complete.
//! - One that comes before the end of its request is not followed by a reset at once: it would be lost with some callers.
//! - An extended CONNECT for a WebSocket becomes the handshake of HTTP/1.1, and the 101 its 200 ([`websocket`]).
//! - The `h2` crate cuts `#` and what follows off a path before anybody sees it. So what is judged is what is forwarded.
//!
//! The `h2` crate is used without hyper on top: hyper cannot pass interim answers on, nor say why a connection ends.

pub(super) mod beat;
mod gather;
pub(super) mod head;
pub(crate) mod hold;
mod inbound;
mod inflow;
pub(super) mod outbound;
pub(crate) mod outlet;
mod parting;
mod send;
mod tally;
pub(super) mod traffic;
mod trailers;
mod websocket;
pub(crate) mod wire;

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::server::{Connection, Handshake, SendResponse};
use h2::{Reason, RecvStream};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use tokio::task::spawn_local;
use tracing::field::display;

use crate::telemetry::label::{Cut, StreamRefusal};

use super::buffer::Buffer;
use super::downstream::{self, Call, Peer};
use super::grpc;
use super::room::Room;
use super::stream::{Stream, pipe::Pipe};
use super::watch::{Moment, Slot, TICK};
use super::worker::Worker;

use beat::{Beat, Dead};
use hold::Hold;
use inbound::Inbound;
use inflow::Inflow;
use outlet::Piece;
use tally::{Counted, Tally};
use traffic::{Cork, Traffic};
use trailers::Filter;
use wire::{PREFACE, Wire};

/// How long a caller has to see that its connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// Serves a connection on which HTTP/2 is spoken, to its end. Some bytes of it were read before that was known.
pub(super) async fn serve(
    worker: &Rc<Worker>,
    (read, stream): (&mut Buffer, &mut Stream),
    (peer, slot): (Peer, &Slot),
) {
    let limits = worker.view().snapshot.config.limits.clone();
    let traffic = Traffic::of_caller(&worker.watch, PREFACE.len());
    let inflow = Inflow::new(&limits, Room::of_connection(&worker.room));
    let (buffers, hold) = (Some(&worker.buffers), Hold::new(&worker.buffers, inflow.room()));
    let wire = Wire { read, stream: &mut *stream, buffers, traffic: Rc::clone(&traffic), hold };
    let handshake = inflow.builder(&limits).handshake(wire);
    let Some(mut connection) = shake_hands(handshake, &traffic, (limits.header_timeout, slot)).await else {
        return;
    };
    let mut session = Session {
        beat: Beat::new(connection.ping_pong(), slot.now()),
        peer,
        tally: Rc::new(Tally::new(slot.now())),
        state: State::Open,
        due: None,
        traffic,
        inflow,
        worker,
        slot,
    };
    poll_fn(|cx| session.poll(&mut connection, cx)).await;
    let parted = matches!(session.state, State::Parted(_));
    drop(connection);
    if parted {
        parting::linger(stream, slot).await;
    }
}

/// The beginning of a connection, as far as it comes in time.
async fn shake_hands<'c>(
    handshake: Handshake<OfCaller<'c>, Piece>,
    traffic: &Traffic,
    (most, slot): (Duration, &Slot),
) -> Option<Connection<OfCaller<'c>, Piece>> {
    let mut handshake = pin!(handshake);
    let deadline = slot.now().after(most);
    poll_fn(|cx| {
        traffic.begin_turn();
        slot.arm(deadline, cx);
        match handshake.as_mut().poll(cx) {
            Poll::Pending if slot.now() >= deadline => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
            Poll::Ready(connection) => Poll::Ready(connection.ok()),
        }
    })
    .await
}

/// The socket of a connection.
type OfCaller<'c> = Wire<'c, &'c mut Buffer, &'c mut Stream>;

/// One connection of a caller, apart from its socket.
struct Session<'s> {
    worker: &'s Rc<Worker>,
    peer: Peer,
    slot: &'s Slot,
    tally: Rc<Tally>,
    beat: Beat,
    state: State,
    /// Since when it is to end.
    due: Option<Moment>,
    traffic: Rc<Traffic>,
    inflow: Inflow,
}

/// Whether a connection takes further streams.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// A GOAWAY was sent, and a PING behind it: what is open is finished, and so is what the caller began before it saw that.
    Closing {
        since: Moment,
        /// Since then nothing is open, and only the caller's end is missing.
        quiet_since: Option<Moment>,
    },
    /// A GOAWAY with a reason was sent: what is open ends at this moment at the latest.
    Condemned(Moment),
    Open,
    /// A GOAWAY with the last stream was sent when that had ended: there is nothing more to come, by this moment at the latest.
    Parted(Moment),
}

impl Session<'_> {
    /// Ready when the connection is over.
    fn poll(&mut self, connection: &mut Connection<OfCaller<'_>, Piece>, cx: &mut Context<'_>) -> Poll<()> {
        self.traffic.begin_turn();
        self.traffic.cork(if self.is_parting() { Cork::End } else { Cork::Turn });
        loop {
            match connection.poll_accept(cx) {
                Poll::Ready(Some(Ok((_, respond)))) if self.is_closed() => self.refuse(respond),
                Poll::Ready(Some(Ok(stream))) => self.start(stream),
                Poll::Ready(ended) => {
                    self.note_refused();
                    if let Some(Err(error)) = ended {
                        self.note_end(&error);
                    }
                    return Poll::Ready(());
                }
                Poll::Pending if self.close_if_due(connection, cx) => {}
                Poll::Pending if self.traffic.uncork() => {}
                Poll::Pending => break,
            }
        }
        self.note_refused();
        let now = self.slot.now();
        let again = if self.inflow.poll(connection, cx).is_ready() { now.after(TICK) } else { Moment::NEVER };
        let until = match self.state {
            // Nobody says when the last stream has ended: it is looked for.
            State::Closing { quiet_since, .. } => quiet_since.unwrap_or(now).after(FAREWELL),
            State::Condemned(until) | State::Parted(until) => until,
            State::Open => self.parts_at(now),
        };
        let over = self.state != State::Open && until <= now;
        self.beat.note(self.traffic.moved());
        match self.beat.poll_dead(now, cx) {
            _ if over => return Poll::Ready(()),
            Poll::Ready(Dead::Silent) => {
                self.note_cut(Cut::NoPong);
                return Poll::Ready(());
            }
            Poll::Ready(Dead::Gone) => return Poll::Ready(()),
            Poll::Pending => {}
        }
        self.slot.arm(until.min(self.beat.due()).min(again), cx);
        Poll::Pending
    }

    /// The connection is over: the `h2` crate has bounds of its own, for streams that are given up before they are taken, for
    /// heads without end and for streams at fault, and does not say which of them it was; and it ends what is no HTTP/2.
    fn note_end(&self, error: &h2::Error) {
        let ours = error.is_go_away() && error.is_library() && !matches!(self.state, State::Condemned(_));
        match error.reason() {
            Some(Reason::ENHANCE_YOUR_CALM) if ours => {
                let most = self.worker.view().snapshot.config.limits.h2_resets.count;
                self.note_cut(if self.traffic.resets() > most { Cut::Resets } else { Cut::Flood });
            }
            Some(reason) if ours && reason != Reason::NO_ERROR => self.note_cut(Cut::Protocol),
            _ => {}
        }
    }

    /// Counts the streams that got nothing but an error of HTTP/2, and tells the log of them now and then.
    fn note_refused(&self) {
        for (reason, count) in self.traffic.take_refused() {
            self.worker.cells.refused_streams(reason, count);
            let client = self.peer.address.map(display);
            let (name, said) = match reason {
                StreamRefusal::HeadTooLarge => {
                    ("large head", "its head is above twice limits.header_bytes and limits.headers")
                }
                StreamRefusal::Malformed => ("malformed stream", "it is malformed"),
                StreamRefusal::Other => ("faulty stream", "its caller breaks the rules of HTTP/2"),
                StreamRefusal::Refused => ("refused stream", "it is above limits.h2_streams, or the connection ends"),
            };
            tracing::debug!(client, count, "stream of HTTP/2 refused: {said}");
            if let Some(others) = self.worker.throttle.pass_many(name, count) {
                tracing::info!(client, others, "stream of HTTP/2 refused: {said}");
            }
        }
    }

    /// Counts the connection as cut for what its caller did, and tells the log of it now and then.
    fn note_cut(&self, reason: Cut) {
        self.worker.cells.cut(reason);
        let client = self.peer.address.map(display);
        let said = match reason {
            Cut::Flood => "its caller sends frames of no use, heads without end, or streams at fault",
            Cut::NoPong => "its caller does not answer a PING",
            Cut::Protocol => "its caller breaks the rules of HTTP/2",
            Cut::Resets => "its caller gives up more streams than limits.h2_resets has it",
        };
        tracing::debug!(client, "connection of HTTP/2 cut: {said}");
        if let Some(others) = self.worker.throttle.pass(reason.as_str()) {
            tracing::info!(client, others, "connection of HTTP/2 cut: {said}");
        }
    }

    /// The caller was told that the connection ends, and has had the time to see it. The `h2` crate would take streams until
    /// its PING is acknowledged, which a caller may never do.
    fn is_closed(&self) -> bool {
        matches!(self.state, State::Closing { since, .. } if since.after(FAREWELL) <= self.slot.now())
    }

    /// Says that nothing was done with a stream that comes too late (RFC 9113 8.7).
    fn refuse(&self, mut respond: SendResponse<Piece>) {
        respond.send_reset(Reason::REFUSED_STREAM);
        self.tally.note_reset(self.worker);
    }

    /// Serves one stream as a connection of HTTP/1.1 that carries one request.
    fn start(&self, (request, respond): (Request<RecvStream>, SendResponse<Piece>)) {
        self.traffic.serves(respond.stream_id().as_u32());
        let view = self.worker.view();
        let stall = view.snapshot.config.limits.write_stall;
        let slot = self.worker.watch.enter();
        let traffic = Rc::clone(&self.traffic);
        // To a CONNECT the 200 of such a refusal would be success.
        let of_grpc = |value: &HeaderValue| grpc::is_type(value.as_bytes());
        let is_call = request.method() != Method::CONNECT && request.headers().get(CONTENT_TYPE).is_some_and(of_grpc);
        let call = if is_call { Call::Grpc } else { Call::Other };
        let inbound = Inbound { request, respond, filter: Filter(view), stall, slot, traffic };
        let counted = Counted::new(&self.tally, self.worker);
        let (worker, peer) = (Rc::clone(self.worker), self.peer);
        let (near, far) = Pipe::pair(self.inflow.room());
        // Boxed here, and not by the runtime: it is large, and would be moved at each step on the way there.
        spawn_local(Box::pin(async move {
            {
                // Both are pinned where they are made: they are large, and would be moved for each stream.
                let carried = pin!(async {
                    if inbound::carry(inbound, far).await.is_err() {
                        counted.tally.note_reset(&counted.worker);
                    }
                });
                let served = pin!(downstream::serve_stream(worker, (Stream::Pipe(near), call), peer));
                tokio::join!(carried, served);
            }
            drop(counted);
        }));
    }
}
