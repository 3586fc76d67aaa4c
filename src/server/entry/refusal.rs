//! Connections that are turned away before a request is read from them, and what the log says of them.

use std::fmt;
use std::io;
use std::net::IpAddr;

use tokio::net::TcpStream;
use tracing::field::display;

use crate::proxy::worker::Worker;
use crate::server::proxy_protocol::Malformed;
use crate::snapshot::tls::fault::{Other, in_words};
use crate::telemetry::label::Refusal as Label;

/// Why a connection is turned away before a request is read from it.
pub(super) enum Refusal {
    /// A request in cleartext on a listener that ends TLS: it can be answered.
    Cleartext(TcpStream),
    /// The process is ending.
    Draining,
    /// There are as many connections as there may be.
    Full,
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
    /// The address has as many connections as it may have: so many.
    TooMany(usize),
    /// There is no certificate any more.
    Unprepared,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cleartext(_) => f.write_str("a request in cleartext came to a port that speaks TLS"),
            Self::Draining => f.write_str("the process is ending"),
            Self::Full => f.write_str("there are as many connections as limits.connections allows"),
            Self::Gone(error) => write!(f, "the caller went away before the TLS handshake was done ({error})"),
            Self::Handshake(error) => {
                let words = in_words(error, Other::Caller);
                write!(f, "the TLS handshake failed: {}", words.as_ref().unwrap_or(error))
            }
            Self::Late => f.write_str("no TLS handshake or PROXY header within limits.header_timeout"),
            Self::NotTls => f.write_str("what came is neither TLS nor HTTP"),
            Self::ProxyHeader(malformed) => malformed.fmt(f),
            Self::Stranger => f.write_str("the address is not in proxy_protocol, and this listener serves nobody else"),
            Self::TooMany(most) => {
                write!(f, "the address has {most} connections, as many as limits.connections_per_address allows")
            }
            Self::Unprepared => f.write_str("there is no certificate to show"),
        }
    }
}

impl Refusal {
    /// What it is counted as, and its name among those that are told apart in the log. `None` for what is nobody's fault.
    fn reason(&self) -> Option<(Label, &'static str)> {
        Some(match self {
            // Load balancers look whether the port is open, all the time.
            Self::Draining | Self::Gone(_) => return None,
            Self::Cleartext(_) => (Label::Handshake, "cleartext"),
            Self::Full => (Label::Connections, "connections"),
            Self::Handshake(_) => (Label::Handshake, "handshake"),
            Self::Late => (Label::Timeout, "timeout"),
            Self::NotTls => (Label::Handshake, "not TLS"),
            Self::ProxyHeader(_) => (Label::ProxyHeader, "PROXY header"),
            Self::Stranger => (Label::ProxyHeader, "stranger"),
            Self::TooMany(_) => (Label::PerAddress, "per address"),
            Self::Unprepared => (Label::Handshake, "no certificate"),
        })
    }

    /// Counts the refusal and tells the log of it: at level debug, and now and then of one for each reason at level info.
    pub(super) fn tell(&self, client: Option<IpAddr>, worker: &Worker) {
        let client = client.map(display);
        tracing::debug!(client, "connection refused: {self}");
        let Some((label, name)) = self.reason() else { return };
        worker.cells.refused(label);
        if let Some(others) = worker.throttle.pass(name) {
            tracing::info!(client, others, "connection refused: {self}");
        }
    }
}
