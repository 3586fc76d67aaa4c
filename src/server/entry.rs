//! From an accepted socket to the first byte of HTTP: whose connection it is, TLS, and how many there may be.

use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::{TlsAcceptor, TlsStream};
use zeroize::Zeroizing;

use crate::config::listen::Carrier;
use crate::proxy::downstream::{self, Peer};
use crate::proxy::error::{Overload, ProxyError};
use crate::proxy::stream::Stream;
use crate::proxy::watch::TICK;
use crate::proxy::worker::Worker;

use super::addresses::{Addresses, Entered};
use super::crowd::{Counted, Room};
use super::listener::Door;
use super::proxy_protocol;

mod refusal;

use refusal::Refusal;

/// How long a handshake may still take once the drain has begun.
const GRACE: Duration = Duration::from_secs(1);
/// The most of a PROXY header that is looked at in one go.
const AHEAD: usize = 512;
/// The most that TLS holds of an answer that the caller does not take, in bytes.
const HELD: usize = 32 * 1024;
/// The type of the first record of a TLS session (RFC 8446 5.1).
const HANDSHAKE: u8 = 0x16;

/// A socket that was accepted.
pub(super) enum Arrival {
    Tcp(TcpStream, IpAddr),
    Unix(UnixStream),
}

/// What a worker needs to let connections in.
pub(super) struct Hall {
    pub(super) worker: Rc<Worker>,
    pub(super) addresses: Arc<Addresses>,
}

impl Hall {
    /// Serves a connection to its end, or turns it away.
    pub(super) async fn admit(&self, door: &Door, arrival: Arrival, counted: &Counted) {
        let worker = Rc::clone(&self.worker);
        let (stream, address) = match arrival {
            Arrival::Unix(stream) => (Stream::Unix(stream), None),
            Arrival::Tcp(stream, address) if door.carrier == Carrier::Cleartext && door.proxies.is_empty() => {
                (Stream::Tcp(stream), Some(address))
            }
            // A handshake costs more than the answer is worth: the connection is closed without one.
            Arrival::Tcp(_, address) if self.room(counted) == Room::Full => {
                return Refusal::Full.tell(Some(address), &worker);
            }
            Arrival::Tcp(stream, address) => {
                // On the heap, so that connections without TLS do not hold room for it.
                let prepared = Box::pin(self.prepare(door, stream, (address, counted))).await;
                let Some((stream, peer, _entered)) = prepared else { return };
                return match stream.speaks_http2() {
                    true => downstream::serve_http2(worker, stream, peer).await,
                    false => downstream::serve(worker, stream, peer).await,
                };
            }
        };
        let peer = Peer { address, carrier: Carrier::Cleartext };
        // Its address first: what that has too many of takes no place from others.
        let (refusal, overload) = match self.count(address) {
            Err(refusal) => (refusal, Overload::ConnectionsOfAddress),
            Ok(_) if self.room(counted) == Room::Full => (Refusal::Full, Overload::Connections),
            Ok(_entered) => return downstream::serve(worker, stream, peer).await,
        };
        refusal.tell(address, &worker);
        if counted.step_aside() {
            downstream::turn_away(worker, stream, (peer, ProxyError::Overloaded(overload))).await;
        }
    }

    fn room(&self, counted: &Counted) -> Room {
        counted.take_place(self.worker.view().snapshot.config.limits.connections)
    }

    /// Counts a connection of this address, where there is a limit and the address is not that of a trusted proxy, behind
    /// which there are many callers.
    fn count(&self, address: Option<IpAddr>) -> Result<Option<Entered>, Refusal> {
        let view = self.worker.view();
        let config = &view.snapshot.config;
        let (Some(most), Some(address)) = (config.limits.connections_per_address, address) else { return Ok(None) };
        if config.trusted_proxies.has_address(address) {
            return Ok(None);
        }
        self.addresses.enter(address, most).map(Some).ok_or(Refusal::TooMany(most))
    }

    /// Reads what comes before HTTP, within the time that a request's head may take; `None` for a connection that was
    /// refused.
    async fn prepare(
        &self,
        door: &Door,
        stream: TcpStream,
        (near, counted): (IpAddr, &Counted),
    ) -> Option<(Stream, Peer, Option<Entered>)> {
        let within = self.worker.view().snapshot.config.limits.header_timeout;
        let prepared = tokio::select! {
            prepared = timeout(within, self.unwrap(door, stream, near)) => prepared.unwrap_or(Err(Refusal::Late)),
            () = self.drained() => Err(Refusal::Draining),
        };
        if let Err(refusal) = &prepared {
            refusal.tell(Some(near), &self.worker);
        }
        match prepared {
            Ok(prepared) => Some(prepared),
            Err(Refusal::Cleartext(stream)) => {
                let peer = Peer { address: Some(near), carrier: Carrier::Cleartext };
                let error = ProxyError::BadRequest("A request in cleartext came to a port that speaks TLS; use https.");
                if counted.step_aside() {
                    downstream::turn_away(Rc::clone(&self.worker), Stream::Tcp(stream), (peer, error)).await;
                }
                None
            }
            Err(_) => None,
        }
    }

    /// Resolves soon after the drain has begun: a handshake that is under way may come to its end, and a connection that
    /// is silent does not hold up the process.
    async fn drained(&self) {
        while !self.worker.is_draining() {
            sleep(TICK).await;
        }
        sleep(GRACE).await;
    }

    async fn unwrap(
        &self,
        door: &Door,
        mut stream: TcpStream,
        near: IpAddr,
    ) -> Result<(Stream, Peer, Option<Entered>), Refusal> {
        let mut address = near;
        if !door.proxies.is_empty() {
            if !door.proxies.iter().any(|network| network.contains(&near)) {
                return Err(Refusal::Stranger);
            }
            address = read_proxy_header(&mut stream).await?.unwrap_or(near);
        }
        let entered = self.count(Some(address))?;
        let peer = Peer { address: Some(address), carrier: door.carrier };
        let stream = match door.carrier {
            Carrier::Cleartext => Stream::Tcp(stream),
            Carrier::Tls => {
                let settings = self.worker.view().snapshot.server_tls.clone().ok_or(Refusal::Unprepared)?;
                Stream::Tls(Box::new(shake_hands(settings, stream).await?))
            }
        };
        Ok((stream, peer, entered))
    }
}

/// The address that a PROXY header gives, if it gives one. Nothing behind the header is read. What was looked at may hold the
/// key of the first request, and is overwritten.
async fn read_proxy_header(stream: &mut TcpStream) -> Result<Option<IpAddr>, Refusal> {
    // What is behind the header comes with its last piece, so no copy is left where the vector grows.
    let mut held = Zeroizing::new(Vec::new());
    let mut ahead = Zeroizing::new([0; AHEAD]);
    loop {
        let count = stream.peek(&mut *ahead).await.map_err(Refusal::Gone)?;
        if count == 0 {
            return Err(Refusal::Gone(io::ErrorKind::UnexpectedEof.into()));
        }
        let before = held.len();
        held.extend_from_slice(ahead.get(..count).unwrap_or_default());
        let header = proxy_protocol::parse(&held).map_err(Refusal::ProxyHeader)?;
        // What was looked at before was not a whole header: this one ends in what is looked at now.
        let taken = header.map_or(count, |header| header.size.saturating_sub(before));
        stream.read_exact(ahead.get_mut(..taken).unwrap_or_default()).await.map_err(Refusal::Gone)?;
        if let Some(header) = header {
            return Ok(header.source.map(|address| address.to_canonical()));
        }
    }
}

async fn shake_hands(settings: Arc<ServerConfig>, stream: TcpStream) -> Result<TlsStream<TcpStream>, Refusal> {
    let mut first = [0];
    // An HTTP request would be answered with an alert that nobody who speaks HTTP can read.
    match stream.peek(&mut first).await.map_err(Refusal::Gone)? {
        0 => return Err(Refusal::Gone(io::ErrorKind::UnexpectedEof.into())),
        _ if first[0].is_ascii_uppercase() => return Err(Refusal::Cleartext(stream)),
        _ if first[0] != HANDSHAKE => return Err(Refusal::NotTls),
        _ => {}
    }
    let bounded = |session: &mut ServerConnection| session.set_buffer_limit(Some(HELD));
    match TlsAcceptor::from(settings).accept_with(stream, bounded).await {
        Ok(stream) => Ok(TlsStream::Server(stream)),
        Err(error) if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) => {
            Err(Refusal::Handshake(error))
        }
        Err(error) => Err(Refusal::Gone(error)),
    }
}
