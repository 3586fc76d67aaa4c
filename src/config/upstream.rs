//! The upstream: the HTTP API that is protected, and how it is spoken to.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::tls::{Certificate, Roots};
use crate::key::secret::Secret;
use crate::policy::RouteTimeouts;

pub(super) mod read;
mod urls;

/// The upstream and everything about speaking to it.
#[derive(Debug)]
pub struct Upstream {
    /// Where to connect: one server of the API or several, each with the same answers. All have TLS or none has.
    pub urls: Vec<UpstreamUrl>,
    /// What is spoken with it.
    pub protocol: Protocol,
    /// What `Host` says upstream.
    pub host: HostRule,
    /// The credential that replaces the caller's key where a route names none.
    pub credential: Option<UpstreamCredential>,
    /// The credentials that routes choose by name.
    pub credentials: BTreeMap<Box<str>, UpstreamCredential>,
    /// TLS towards the upstream; of use where the address says `tls`.
    pub tls: UpstreamTls,
    /// How long each stage may take.
    pub timeouts: Timeouts,
    /// What may be tried again, and how often.
    pub retries: Retries,
    /// When one of several servers is left out.
    pub health: Health,
    /// How many requests may wait for an upstream connection at once.
    pub max_pending: usize,
}

/// One server of the upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamUrl {
    /// Where to connect.
    pub address: UpstreamAddress,
    /// `host[:port]` as in the URL, lower-cased, a default port left out; `localhost` for a Unix socket.
    pub authority: Box<str>,
}

impl fmt::Display for UpstreamUrl {
    /// As it is written in the configuration; it holds no password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            UpstreamAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            UpstreamAddress::Tcp { tls: true, .. } => write!(f, "https://{}", self.authority),
            UpstreamAddress::Tcp { tls: false, .. } => write!(f, "http://{}", self.authority),
        }
    }
}

/// When one of several servers is left out, and when it is asked again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What is fetched to see how a server is; `None`: requests alone tell.
    pub path: Option<Box<str>>,
    /// How often it is fetched, and how long a server that failed is left out at first.
    pub interval: Duration,
    /// Failures in a row after which a server is left out.
    pub eject_after: u32,
}

/// Where the upstream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpstreamAddress {
    /// A TCP address; the host is a name or an IP address, without brackets.
    Tcp {
        /// Name or IP address.
        host: Box<str>,
        /// Port.
        port: u16,
        /// Whether the URL is `https`.
        tls: bool,
    },
    /// The path of a Unix socket.
    Unix(PathBuf),
}

/// What is spoken with the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    H1,
    /// HTTP/2 over TLS, agreed upon in the handshake (ALPN).
    H2,
    /// HTTP/2 over cleartext, without asking first.
    H2c,
}

/// What `Host` says upstream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRule {
    /// This name.
    Name(Box<str>),
    /// What the caller said.
    Preserve,
    /// The authority of the upstream's URL.
    Url,
}

/// A credential that is set on what is sent upstream. `basic` is compiled to a header.
#[derive(Debug)]
pub enum UpstreamCredential {
    /// A header field, set over whatever the caller sent.
    Header {
        /// Field name as written.
        name: Box<str>,
        /// Field value: visible ASCII and spaces.
        value: Secret,
    },
    /// A query parameter, set over whatever the caller sent.
    Query {
        /// Parameter name, percent-encoded for the wire.
        name: Box<str>,
        /// Parameter value, percent-encoded for the wire.
        value: Secret,
    },
}

/// TLS towards the upstream.
#[derive(Debug)]
pub struct UpstreamTls {
    /// Who may have signed the upstream's certificate.
    pub ca: Ca,
    /// What the gateway shows of itself.
    pub client: Option<Certificate>,
    /// The name that the certificate must bear, and that is sent as SNI; `None`: the URL's host.
    pub server_name: Option<Box<str>>,
}

/// Who may have signed the upstream's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ca {
    /// These alone.
    File(Roots),
    /// The roots of the system.
    System,
}

/// How long each stage of an exchange with the upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP connect and TLS handshake together.
    pub connect: Duration,
    /// From the last byte of the request to the head of the response.
    pub response: Duration,
    /// How long an unused connection is kept.
    pub idle: Duration,
    /// The whole exchange; `None`: unbounded.
    pub request: Option<Duration>,
}

impl Timeouts {
    /// Those of a route that says `own` of itself.
    #[must_use]
    pub fn with(self, own: &RouteTimeouts) -> Self {
        Self {
            connect: own.connect.unwrap_or(self.connect),
            response: own.response.unwrap_or(self.response),
            idle: self.idle,
            request: own.request.unwrap_or(self.request),
        }
    }
}

/// What may be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Further attempts to connect.
    pub connect: u32,
    /// Further attempts of an idempotent request that failed before any byte of a response.
    pub idempotent: u32,
    /// Retries may be at most this share of requests, in percent.
    pub budget_percent: u8,
}
