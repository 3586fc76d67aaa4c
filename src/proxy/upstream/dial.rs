//! How a server of the upstream is connected to, and why it is not.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};

use crate::proxy::error::Reach;
use crate::proxy::stream::{Stream, alive};
use crate::snapshot::tls::fault::{CERTIFICATE_REFUSED, HANDSHAKE_FAILED, NO_H2, Other, in_words};
use crate::snapshot::{Protocol, Server, Timeouts, UpstreamAddress};
use crate::telemetry::label::Side;

use super::{Lease, Open, Origin, Pool, names};

/// How long to wait before a refused connection is tried again.
const DIAL_PAUSE: Duration = Duration::from_millis(5);

impl Pool {
    /// Dials the upstream: each of its addresses once, and again if they refuse, for at most `timeouts.connect` each
    /// time. The log says when it became unreachable and when it is back, not each failure in between.
    ///
    /// # Errors
    /// Why it cannot be reached, or that there was no socket to be had for `timeouts.connect`.
    pub(crate) async fn dial(&self, origin: &Origin, timeouts: &Timeouts, retries: u32) -> Result<Lease, DialFault> {
        let socket = self.socket(timeouts.connect).await?;
        let dialled = match self.dial_known(origin, timeouts, retries).await {
            // The name may stand for other addresses by now.
            Err(_) if names::is_news(&origin.server, timeouts.connect).await => {
                self.dial_known(origin, timeouts, 0).await
            }
            dialled => dialled,
        };
        match &dialled {
            Ok(_) if self.unreachable.replace(false) => {
                tracing::info!(server = &*origin.server.name(), "the upstream is reachable again");
            }
            Err(error) if is_timeout(error) && timeouts.connect < origin.patience => {}
            Err(error) if !self.unreachable.replace(true) => tell_unreachable(&origin.server, error),
            _ => {}
        }
        match dialled {
            Ok(lease) => Ok(Lease { socket: Some(socket), ..lease }),
            Err(error) if is_timeout(&error) => Err(DialFault::TooSlow),
            Err(error) => Err(DialFault::Unreachable(Reach::of(&origin.server, &error))),
        }
    }

    async fn dial_known(&self, origin: &Origin, timeouts: &Timeouts, retries: u32) -> io::Result<Lease> {
        let addresses = names::addresses(&origin.server, timeouts.connect).await?;
        self.learn(&addresses);
        let mut turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let (mut untried, mut left) = (addresses.len().saturating_sub(1), retries);
        loop {
            let peer = turn.checked_rem(addresses.len()).and_then(|place| addresses.get(place)).copied();
            let error = match timeout(timeouts.connect, connect(origin, peer)).await {
                Ok(Ok(stream)) => {
                    let open = Open::new(&self.cells, Side::Upstream);
                    return Ok(Lease { stream, reused: false, quiet: false, peer, _open: Some(open), socket: None });
                }
                Ok(Err(error)) => error,
                Err(_) => io::Error::from(io::ErrorKind::TimedOut),
            };
            turn = turn.wrapping_add(1);
            if untried > 0 {
                untried -= 1;
                continue;
            }
            if left == 0 || is_timeout(&error) {
                return Err(error);
            }
            left -= 1;
            tokio::time::sleep(DIAL_PAUSE).await;
        }
    }
}

/// Why a request gets no connection to the upstream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum DialFault {
    /// There was no socket to be had, which says nothing about the upstream.
    NoSocket,
    /// It is there, and takes no WebSockets over HTTP/2.
    NoWebSockets,
    /// It was not there in the time that the request gives it.
    TooSlow,
    Unreachable(Reach),
}

fn is_timeout(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::TimedOut
}

impl Reach {
    /// What kept a request from `server`.
    fn of(server: &Server, error: &io::Error) -> Self {
        // Elsewhere these kinds mean something else.
        match error.kind() {
            CERTIFICATE_REFUSED if server.tls.is_some() => Self::CertificateRefused,
            HANDSHAKE_FAILED if server.tls.is_some() => Self::HandshakeFailed,
            _ => Self::Away,
        }
    }
}

fn tell_unreachable(server: &Server, error: &io::Error) {
    let name = &*server.name();
    if Reach::of(server, error) != Reach::Away {
        tracing::warn!(server = name, %error, "TLS with the upstream fails; requests are answered 503, or go to other servers, until it succeeds");
    } else if server.standing.is_some() {
        tracing::warn!(server = name, %error, "a server of the upstream cannot be reached; requests go to the others");
    } else {
        tracing::warn!(server = name, %error, "the upstream cannot be reached; requests are answered 503 until it is back");
    }
}

async fn connect(origin: &Origin, peer: Option<SocketAddr>) -> io::Result<Stream> {
    match &origin.server.address {
        UpstreamAddress::Unix(path) => UnixStream::connect(path).await.map(Stream::Unix),
        UpstreamAddress::Tcp { .. } => {
            let peer = peer.ok_or(io::ErrorKind::HostUnreachable)?;
            let stream = TcpStream::connect(peer).await?;
            stream.set_nodelay(true)?;
            alive::watch(&stream);
            alive::let_rest(&stream, origin.stall);
            match &origin.server.tls {
                None => Ok(Stream::Tcp(stream)),
                Some((settings, name)) => {
                    let connector = TlsConnector::from(Arc::clone(settings));
                    let stream = connector.connect(name.clone(), stream).await;
                    let stream =
                        stream.map_err(|error| in_words(&error, Other::Upstream(origin.protocol)).unwrap_or(error))?;
                    if origin.protocol == Protocol::H2 && stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                        return Err(io::Error::new(HANDSHAKE_FAILED, NO_H2));
                    }
                    Ok(Stream::Tls(Box::new(TlsStream::Client(stream))))
                }
            }
        }
    }
}
