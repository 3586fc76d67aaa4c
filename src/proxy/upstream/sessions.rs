//! Connections of HTTP/2 to the upstream: shared by many requests at once, dialled when the streams of the others are used up.
//!
//! A request does not get the connection but a pipe, whose other end is a stream of it. The pipe is never kept for another
//! request. While one connection is being dialled, everybody who needs one waits for it, as long as he has time, and shares the
//! outcome.

mod dialling;

use std::cell::{Cell, RefCell};
use std::future::{Future as _, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use h2::client::{Builder, Connection};
use http::uri::Scheme;
use tokio::sync::watch;
use tokio::task::spawn_local;

use crate::proxy::buffer::Buffer;
use crate::proxy::exchange::Fate;
use crate::proxy::h2::beat::{Beat, Dead, Pace};
use crate::proxy::h2::hold::Hold;
use crate::proxy::h2::outbound::{self, Opener};
use crate::proxy::h2::outlet::Piece;
use crate::proxy::h2::traffic::Traffic;
use crate::proxy::h2::wire::Wire;
use crate::proxy::room::Room;
use crate::proxy::stream::Stream;
use crate::proxy::stream::pipe::Pipe;
use crate::snapshot::Timeouts;
use crate::telemetry::throttle::Throttle;

use super::motion::{Motion, Noted};
use super::session::{AWAY, Counted, STREAMS, Session, Settings, UNSAID};
use super::windows::{self, Windows};
use super::{DialFault, Lease, Open, Origin, Pool, Socket};
use dialling::Dialling;

/// The most bytes of an answer that may be on their way on one stream. A connection has room for that on all of its streams, so
/// that callers who take nothing of their answers keep nobody else waiting.
const STREAM_WINDOW: u32 = windows::MOST;
const CONNECTION_WINDOW: u32 = STREAM_WINDOW * STREAMS as u32;
/// What the pieces of data may cost that came in one go and that no stream had its turn to take yet: as many as the window of
/// a stream has bytes, at the 256 bytes that the library counts for each.
const PIECES: usize = 256 * STREAM_WINDOW as usize;
/// Bytes of a request body that a stream holds while the connection is busy.
const SEND_BUFFER: usize = 64 << 10;
/// What the head of an answer may take, as HTTP/2 counts it; judged in full once it is HTTP/1.1.
const HEADER_LIST: u32 = 80 << 10;
/// How often a request waits for yet another connection where the one that it waited for has gone away.
const AGAIN: u32 = 2;
/// How long the upstream has to see that its connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

/// The socket of a connection.
pub(super) type OfUpstream = Wire<'static, Buffer, Noted>;

/// What counts a connection for as long as it is there.
type Counts = (Option<Open>, Option<Socket>);

/// The connections of one pool.
#[derive(Default)]
pub(super) struct Sessions {
    open: RefCell<Vec<Rc<Session>>>,
    dialling: RefCell<Option<Dialling>>,
    /// The log was told that the upstream does not keep to HTTP/2.
    garbled: Cell<bool>,
    /// How the connections are asked whether they are there.
    pace: Cell<Pace>,
    throttle: Throttle,
}

/// A connection is being dialled until this is dropped, however the dialling ends.
struct UnderWay<'s>(&'s Sessions);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *self.0.dialling.borrow_mut() = None;
    }
}

impl Sessions {
    /// A connection with room for a stream, or one of which that is not known yet. Those that the upstream has given up are
    /// left out from now on.
    fn find(&self) -> Option<Rc<Session>> {
        let mut open = self.open.borrow_mut();
        open.retain(|session| session.is_usable());
        let with_room = open.iter().find(|session| session.has_room());
        with_room.or_else(|| open.iter().find(|session| session.is_awaited())).cloned()
    }

    /// Opens no further stream on any of them: each ends with its last one.
    pub(super) fn retire(&self) {
        for session in self.open.take() {
            session.sender.take();
        }
    }

    /// Closes those that carry nothing.
    pub(super) fn give_up_idle(&self) {
        self.open.borrow_mut().retain(|session| {
            let stays = session.streams.get() > 0;
            if !stays {
                session.sender.take();
            }
            stays
        });
    }

    /// Opens no further stream on those whose address `is_gone`.
    pub(super) fn leave(&self, is_gone: impl Fn(Option<SocketAddr>) -> bool) {
        self.open.borrow_mut().retain(|session| {
            let stays = !is_gone(session.peer);
            if !stays {
                session.sender.take();
            }
            stays
        });
    }

    fn tell_flood(&self) {
        if let Some(others) = self.throttle.pass("flood") {
            tracing::warn!(others, "connection of HTTP/2 cut: the upstream sends frames of no use");
        }
    }

    fn remove(&self, session: &Rc<Session>) {
        session.sender.take();
        self.open.borrow_mut().retain(|other| !Rc::ptr_eq(other, session));
    }
}

impl Pool {
    /// A stream for one request, on a connection that is there or on a new one. What it holds is counted in `room`.
    pub(crate) async fn stream(
        self: &Rc<Self>,
        (origin, room): (&Origin, &Rc<Room>),
        timeouts: &Timeouts,
        retries: u32,
    ) -> Result<Lease, DialFault> {
        self.place(origin, timeouts, retries).await.map(|place| self.start(place, room))
    }

    /// As [`Self::stream`], for a WebSocket.
    ///
    /// # Errors
    /// [`DialFault::NoWebSockets`] where the upstream takes none, among others.
    pub(crate) async fn stream_for_websocket(
        self: &Rc<Self>,
        (origin, room): (&Origin, &Rc<Room>),
        timeouts: &Timeouts,
        retries: u32,
    ) -> Result<Lease, DialFault> {
        for _ in 0..=AGAIN {
            let place = self.place(origin, timeouts, retries).await?;
            // One that says nothing of it in this time takes none.
            let _ = place.session.settled(timeouts.connect).await;
            match place.session.takes_websockets() {
                Some(true) => return Ok(self.start(place, room)),
                Some(false) => return Err(DialFault::NoWebSockets),
                None => {}
            }
        }
        Err(AWAY)
    }

    /// The place of a stream on a connection that has room for it: one that is there or a new one. How much room there is
    /// the upstream says first of all; until it has, everybody but one waits for that.
    async fn place(self: &Rc<Self>, origin: &Origin, timeouts: &Timeouts, retries: u32) -> Result<Counted, DialFault> {
        let mut again = AGAIN;
        loop {
            match self.sessions.find() {
                Some(session) if session.has_room() => return Ok(Counted::new(session, Rc::clone(self))),
                Some(session) => {
                    match session.settled(timeouts.connect).await {
                        // It went away before it was asked anything: nothing speaks against another one.
                        Err(fault) if fault == AWAY && again > 0 => again -= 1,
                        settled => settled?,
                    }
                    continue;
                }
                None => {}
            }
            let dialling = self.sessions.dialling.borrow().clone();
            let mut dialling = match dialling {
                Some(dialling) => dialling,
                None => self.start_dialling(origin.clone(), *timeouts, retries),
            };
            match dialling.wait(timeouts.connect).await {
                Some(Ok(())) => {}
                // It was for somebody who waits less.
                Some(Err(DialFault::NoSocket | DialFault::TooSlow)) if dialling.patience < timeouts.connect => {}
                Some(Err(fault)) => return Err(fault),
                None => return Err(DialFault::TooSlow),
            }
        }
    }

    /// Lets a task of its own carry a stream, from the pipe whose other end is the lease.
    fn start(&self, counted: Counted, room: &Rc<Room>) -> Lease {
        let (near, far) = Pipe::pair(room);
        let reused = counted.session.used.replace(true);
        let sender = counted.session.sender.borrow().clone();
        spawn_local(async move {
            let (session, Some(sender)) = (&counted.session, sender) else { return };
            let answered = || {
                session.answered.set(true);
                counted.pool.sessions.garbled.set(false);
            };
            let opener = Opener { sender, scheme: &session.scheme, watch: &counted.pool.watch };
            outbound::carry(&far, opener, answered).await;
            if session.silent.get() {
                far.explain(Fate::Silent);
            }
        });
        Lease { stream: Stream::Pipe(near), reused, quiet: false, peer: None, _open: None, socket: None }
    }

    /// Dials in a task of its own, which serves the connection from then on: a caller that goes away ends neither.
    /// It is dialled for all, so that whoever waits less than others does not end it for them.
    fn start_dialling(self: &Rc<Self>, origin: Origin, timeouts: Timeouts, retries: u32) -> Dialling {
        let (tell, outcome) = watch::channel(None);
        let patience = timeouts.connect.max(origin.patience);
        let timeouts = Timeouts { connect: patience, ..timeouts };
        let dialling = Dialling { patience, outcome };
        *self.sessions.dialling.borrow_mut() = Some(dialling.clone());
        let pool = Rc::clone(self);
        spawn_local(async move {
            let under_way = UnderWay(&pool.sessions);
            let dialled = pool.dial_session(&origin, &timeouts, retries).await;
            drop(under_way);
            match dialled {
                Ok((session, connection, counts)) => {
                    pool.sessions.open.borrow_mut().push(Rc::clone(&session));
                    // Nobody may wait any more.
                    let _ = tell.send(Some(Ok(())));
                    pool.drive(&session, connection, (&origin, timeouts.idle)).await;
                    drop(counts);
                }
                Err(fault) => drop(tell.send(Some(Err(fault)))),
            }
        });
        dialling
    }

    async fn dial_session(
        &self,
        origin: &Origin,
        timeouts: &Timeouts,
        retries: u32,
    ) -> Result<(Rc<Session>, Connection<OfUpstream, Piece>, Counts), DialFault> {
        let Lease { stream, peer, _open: open, socket, .. } = self.dial(origin, timeouts, retries).await?;
        let mut builder = Builder::new();
        builder
            .enable_push(false)
            .initial_window_size(Windows::FIRST)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_max_send_streams(UNSAID)
            .max_header_list_size(HEADER_LIST)
            .max_send_buffer_size(SEND_BUFFER)
            .data_frame_budget(PIECES);
        let motion = Motion::new(&self.watch);
        let noted = Noted { stream, motion: Rc::clone(&motion), full: false };
        let traffic = Traffic::of_upstream(&self.watch);
        let (read, hold) = (Buffer::default(), Hold::none());
        let wire = Wire { read, stream: noted, buffers: None, traffic: Rc::clone(&traffic), hold };
        let (sender, connection) = builder.handshake(wire).await.map_err(|_| AWAY)?;
        let session = Rc::new(Session {
            sender: RefCell::new(Some(sender)),
            scheme: if origin.server.tls.is_some() { Scheme::HTTPS } else { Scheme::HTTP },
            streams: Cell::new(0),
            quiet_since: Cell::new(self.watch.now()),
            used: Cell::new(false),
            answered: Cell::new(false),
            silent: Cell::new(false),
            motion,
            peer,
            settings: watch::Sender::new(Settings::Awaited),
            traffic,
            resets: Cell::new((0, self.watch.now())),
        });
        Ok((session, connection, (open, socket)))
    }

    /// Serves a connection to its end: it is closed when it was quiet for `idle`, and dropped when the upstream is gone.
    async fn drive(
        self: &Rc<Self>,
        session: &Rc<Session>,
        mut connection: Connection<OfUpstream, Piece>,
        (origin, idle): (&Origin, Duration),
    ) {
        let slot = self.watch.enter();
        let mut beat = Beat::paced(connection.ping_pong(), slot.now(), self.sessions.pace.get());
        let mut windows = Windows::default();
        let mut connection = pin!(connection);
        let ended = poll_fn(|cx| {
            session.traffic.begin_turn();
            windows.adapt(&mut connection, session.streams.get(), slot.now());
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended.err());
            }
            session.settle();
            let now = slot.now();
            if self.retired.get() {
                self.sessions.retire();
            }
            if session.is_worn(now) {
                // What is open on it is finished.
                self.sessions.remove(session);
            }
            if session.traffic.is_spent() {
                self.sessions.tell_flood();
                return Poll::Ready(None);
            }
            let quiet_since = if session.streams.get() == 0 { session.quiet_since.get() } else { now };
            let until = quiet_since.after(idle);
            if until <= now {
                // No stream begins on it from now on.
                self.sessions.remove(session);
            }
            beat.note(session.motion.last());
            let dead = beat.poll_dead(now, cx);
            session.silent.set(dead == Poll::Ready(Dead::Silent));
            if until.after(FAREWELL) <= now || dead.is_ready() {
                return Poll::Ready(None);
            }
            let next = if until <= now { until.after(FAREWELL) } else { until };
            slot.arm(next.min(beat.due()), cx);
            Poll::Pending
        });
        let ended = ended.await;
        session.end();
        self.sessions.remove(session);
        if session.silent.get() && session.streams.get() > 0 {
            let (server, requests) = (&*origin.server.name(), session.streams.get());
            tracing::warn!(
                server,
                requests,
                "the upstream has not answered a PING in time; its connection is closed, and the requests on it have failed"
            );
        }
        let goodbye = |error: &h2::Error| error.is_go_away() && error.is_remote();
        if let Some(error) = ended.filter(|error| !session.answered.get() && !goodbye(error))
            && !self.sessions.garbled.replace(true)
        {
            tracing::warn!(%error, "the upstream does not keep to HTTP/2; should upstream.protocol be h1?");
        }
    }
}

#[cfg(test)]
mod tests;
