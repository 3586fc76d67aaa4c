//! Connections that end before HTTP begins, and what the log says of them.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::server::proxy_protocol::Malformed;
use crate::telemetry::label::Refusal as Label;
use crate::telemetry::metrics::WorkerCells;

/// The log is told of one refusal in this time, and how many there were beside it.
const PAUSE: Duration = Duration::from_secs(60);

/// Why a connection ends before HTTP begins.
pub(super) enum Refusal {
    /// A request in cleartext on a listener that ends TLS: it can be answered.
    Cleartext(TcpStream),
    /// The process is ending.
    Draining,
    /// The other side went away.
    Gone(io::Error),
    /// The TLS handshake failed.
    Handshake(io::Error),
    /// The handshake, or the PROXY header, took longer than `limits.header_timeout`.
    Late,
    /// The first byte is neither of TLS nor of HTTP.
    NotTls,
    ProxyHeader(Malformed),
    /// The address is not one that may send a PROXY header, and the listener wants one.
    Stranger,
    /// The address has as many connections as it may have.
    TooMany,
    /// There is no certificate any more.
    Unprepared,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cleartext(_) => f.write_str("a request in cleartext came to a port that speaks TLS"),
            Self::Draining => f.write_str("the process is ending"),
            Self::Gone(error) => write!(f, "the caller went away before the TLS handshake was done ({error})"),
            Self::Handshake(error) => write!(f, "the TLS handshake failed: {error}"),
            Self::Late => f.write_str("no TLS handshake or PROXY header within limits.header_timeout"),
            Self::NotTls => f.write_str("what came is neither TLS nor HTTP"),
            Self::ProxyHeader(malformed) => malformed.fmt(f),
            Self::Stranger => f.write_str("the address is not in proxy_protocol, and this listener serves nobody else"),
            Self::TooMany => f.write_str("the address has limits.connections_per_address connections"),
            Self::Unprepared => f.write_str("there is no certificate to show"),
        }
    }
}

impl Refusal {
    fn label(&self) -> Option<Label> {
        match self {
            // Load balancers look whether the port is open, all the time.
            Self::Draining | Self::Gone(_) => None,
            Self::Handshake(_) | Self::NotTls | Self::Unprepared | Self::Cleartext(_) => Some(Label::Handshake),
            Self::Late => Some(Label::Timeout),
            Self::ProxyHeader(_) | Self::Stranger => Some(Label::ProxyHeader),
            Self::TooMany => Some(Label::PerAddress),
        }
    }
}

/// Tells the log of refusals, of each at level debug and now and then of one at level info, and counts them.
#[derive(Default)]
pub(in crate::server) struct Refusals {
    told: Cell<Option<Instant>>,
    /// Since one was told.
    others: Cell<u64>,
}

impl Refusals {
    pub(super) fn tell(&self, refusal: &Refusal, client: IpAddr, cells: &WorkerCells) {
        tracing::debug!(%client, "connection refused: {refusal}");
        let Some(label) = refusal.label() else { return };
        cells.refused(label);
        let now = Instant::now();
        if self.told.get().is_some_and(|told| now.duration_since(told) < PAUSE) {
            self.others.set(self.others.get() + 1);
            return;
        }
        self.told.set(Some(now));
        let others = self.others.replace(0);
        tracing::info!(%client, others, "connection refused: {refusal}");
    }
}
