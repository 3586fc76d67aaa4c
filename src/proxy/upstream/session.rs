//! One connection of HTTP/2 to the upstream, and the streams on it.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use h2::client::SendRequest;
use http::uri::Scheme;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::proxy::error::Reach;
use crate::proxy::h2::outlet::Piece;
use crate::proxy::h2::traffic::Traffic;
use crate::proxy::watch::Moment;

use super::motion::Motion;
use super::{DialFault, Pool};

/// Requests at once on one connection, however many more the upstream would take.
pub(super) const STREAMS: usize = 100;
/// What the library takes an upstream to say of its streams before it has said anything. No upstream says it: the numbers of
/// SETTINGS have 32 bits (RFC 9113 6.5.1).
pub(super) const UNSAID: usize = usize::MAX - 1;
/// Streams that may be given up in a time before the connection carries no further one: an upstream may hold as much for an
/// attack, and end the connection with all that is on it (Node by default from 1000 on).
const RESETS: usize = 100;
const RESETS_WITHIN: Duration = Duration::from_secs(30);
/// What becomes of a request whose connection ends before it carries anything.
pub(super) const AWAY: DialFault = DialFault::Unreachable(Reach::Away);

/// One connection.
pub(super) struct Session {
    /// Opens streams; `None` once no further one is to begin. Without it the connection ends with its last stream.
    pub(super) sender: RefCell<Option<SendRequest<Piece>>>,
    pub(super) scheme: Scheme,
    pub(super) streams: Cell<usize>,
    pub(super) quiet_since: Cell<Moment>,
    /// It carried a stream before.
    pub(super) used: Cell<bool>,
    /// The upstream answered on it.
    pub(super) answered: Cell<bool>,
    /// It answered no PING: it is the gateway that ends it.
    pub(super) silent: Cell<bool>,
    pub(super) motion: Rc<Motion>,
    /// Where it leads to.
    pub(super) peer: Option<SocketAddr>,
    pub(super) settings: watch::Sender<Settings>,
    pub(super) traffic: Rc<Traffic>,
    /// How many streams had been given up at this moment.
    pub(super) resets: Cell<(usize, Moment)>,
}

/// Whether the upstream has sent its settings, which come first (RFC 9113 3.4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Settings {
    Awaited,
    /// They are there, or of no use any more.
    Known,
    /// The connection ended without them.
    Never,
}

/// How many streams at once the upstream has said that it takes, once it has.
pub(super) fn streams_said(sender: &SendRequest<Piece>) -> Option<usize> {
    Some(sender.current_max_send_streams()).filter(|said| *said != UNSAID)
}

impl Session {
    /// The upstream takes another stream. Of one that has said nothing yet it is not known: a single stream is tried on it.
    pub(super) fn has_room(&self) -> bool {
        let most = |sender: &SendRequest<Piece>| streams_said(sender).map_or(1, |said| said.clamp(1, STREAMS));
        self.sender.borrow().as_ref().is_some_and(|sender| self.streams.get() < most(sender))
    }

    pub(super) fn is_awaited(&self) -> bool {
        *self.settings.borrow() == Settings::Awaited
    }

    /// Tells those who wait for the upstream's settings that they are there.
    pub(super) fn settle(&self) {
        if self.is_awaited() && self.sender.borrow().as_ref().is_none_or(|sender| streams_said(sender).is_some()) {
            self.settings.send_replace(Settings::Known);
        }
    }

    /// Tells them that the connection is over.
    pub(super) fn end(&self) {
        if self.is_awaited() {
            self.settings.send_replace(Settings::Never);
        }
    }

    /// Waits until the upstream has sent its settings.
    ///
    /// # Errors
    /// It has not for `patience`, or its connection is over.
    pub(super) async fn settled(&self, patience: Duration) -> Result<(), DialFault> {
        let mut settings = self.settings.subscribe();
        let known = timeout(patience, settings.wait_for(|settings| *settings != Settings::Awaited)).await;
        match known {
            Ok(Ok(settings)) if *settings == Settings::Known => Ok(()),
            Ok(_) => Err(AWAY),
            Err(_) => Err(DialFault::TooSlow),
        }
    }

    /// So many streams were given up on it that the upstream may mind.
    pub(super) fn is_worn(&self, now: Moment) -> bool {
        let (all, (before, since)) = (self.traffic.resets(), self.resets.get());
        if since.after(RESETS_WITHIN) <= now {
            self.resets.set((all, now));
        }
        all.saturating_sub(before) > RESETS
    }

    /// Whether the upstream takes WebSockets on it (RFC 8441 3); `None` where it takes nothing more.
    pub(super) fn takes_websockets(&self) -> Option<bool> {
        self.sender.borrow().as_ref().map(SendRequest::is_extended_connect_protocol_enabled)
    }

    /// The upstream may still be asked on it: it did not say goodbye.
    pub(super) fn is_usable(&self) -> bool {
        let cx = &mut Context::from_waker(Waker::noop());
        let mut sender = self.sender.borrow_mut();
        sender.as_mut().is_some_and(|sender| !matches!(sender.poll_ready(cx), Poll::Ready(Err(_))))
    }
}

/// Counts a stream of a connection until it is dropped.
pub(super) struct Counted {
    pub(super) session: Rc<Session>,
    pub(super) pool: Rc<Pool>,
}

impl Counted {
    pub(super) fn new(session: Rc<Session>, pool: Rc<Pool>) -> Self {
        session.streams.set(session.streams.get() + 1);
        Self { session, pool }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.session.streams.set(self.session.streams.get().saturating_sub(1));
        self.session.quiet_since.set(self.pool.watch.now());
    }
}
