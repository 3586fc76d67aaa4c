//! One immutable generation of everything that a request is judged and served by.
//!
//! A request uses one snapshot from start to end; a reload makes the next one and swaps the handle, so no request sees
//! half of two versions.

mod expiry;
pub mod reload;
mod rotation;
mod server;
pub mod tls;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use crate::config::UpstreamCredential;
use crate::key::digest::Hasher;
use crate::key::secret::Secret;
use crate::policy::{Access, Route};
use crate::telemetry::metrics::{Metrics, RouteCells};

/// The compiled configuration as requests see it. The proxy knows it through the snapshot alone: it cannot load one.
pub use crate::config::listen::Carrier;
pub use crate::config::{
    Accept, Config, Cors, ErrorFormat, HostRule, Limits, Mode, Origins, Protocol, Timeouts, TrustedProxies,
    Underscores, UpstreamAddress,
};
pub use server::{Resolved, Server, Standing, are_all_asked};

/// One generation of the configuration, with what is worked out from it once.
pub struct Snapshot {
    /// 1 for the first, then one more with each change.
    pub generation: u64,
    /// What the files say.
    pub config: Config,
    /// How a key becomes the digest that is looked up.
    pub hasher: Hasher,
    /// The servers of the upstream; at least one.
    pub servers: Vec<Server>,
    /// TLS settings towards callers; absent where no listener ends TLS.
    pub server_tls: Option<Arc<ServerConfig>>,
    credentials: Vec<CredentialLine>,
    /// For each route, where its upstream credential stands in `credentials`.
    credential_of: Vec<Choice>,
    /// What holds without a route.
    default_credential: Choice,
    /// Those that have names, in order, with where they stand in `credentials`.
    named_credentials: Box<[(Box<str>, usize)]>,
    /// For each route how long the upstream may take; nothing where no route says anything of it.
    timeouts_of: Box<[Timeouts]>,
    cells: Vec<Arc<RouteCells>>,
    no_route: Arc<RouteCells>,
}

/// Which upstream credential a request is sent on with.
#[derive(Clone, Copy, Debug)]
struct Choice {
    /// Where it stands among all.
    usual: Option<usize>,
    /// The one that the account of the key names takes its place.
    yields: bool,
}

/// The upstream has no credential of the name that an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoCredential;

/// An upstream credential as it is written on the wire.
#[derive(Debug)]
pub enum CredentialLine {
    /// `Name: value` with its line end.
    Header {
        /// The name of the field that it takes the place of.
        name: Box<str>,
        /// The whole line.
        line: Secret,
    },
    /// `name=value` in the query.
    Query {
        /// The name of the parameter that it takes the place of.
        name: Box<str>,
        /// The whole pair, percent-encoded.
        pair: Secret,
    },
}

impl CredentialLine {
    fn of(credential: &UpstreamCredential) -> Self {
        match credential {
            UpstreamCredential::Header { name, value } => Self::Header {
                name: name.clone(),
                line: Secret::new([name.as_bytes(), b": ", value.expose(), b"\r\n"].concat()),
            },
            UpstreamCredential::Query { name, value } => {
                Self::Query { name: name.clone(), pair: Secret::new([name.as_bytes(), b"=", value.expose()].concat()) }
            }
        }
    }
}

impl Snapshot {
    /// Works out what requests need.
    ///
    /// # Errors
    /// When TLS settings cannot be used; the text says why.
    pub fn build(generation: u64, config: Config, metrics: &Metrics) -> Result<Self, String> {
        let mut credentials = Vec::new();
        let default = config.upstream.credential.as_ref().map(|credential| {
            credentials.push(CredentialLine::of(credential));
            0
        });
        let first = credentials.len();
        credentials.extend(config.upstream.credentials.values().map(CredentialLine::of));
        let named: Box<[(Box<str>, usize)]> = config.upstream.credentials.keys().cloned().zip(first..).collect();
        // A route for anyone asks nobody who calls; one for public keys has a credential where it names one alone.
        let choice = |route: &Route| match (route.credential(), route.access()) {
            (Some(name), access) => Choice { usual: place(&named, name), yields: access != Access::Anyone },
            (None, Access::Anyone | Access::PublicKey) => Choice { usual: None, yields: false },
            (None, _) => Choice { usual: default, yields: true },
        };
        let routes = config.policy.routes();
        Ok(Self {
            generation,
            hasher: Hasher::new(config.keys.pepper.as_ref()),
            servers: Server::all(&config.upstream)?,
            server_tls: config.tls.as_ref().map(tls::server).transpose()?,
            default_credential: Choice { usual: default, yields: true },
            credential_of: routes.iter().map(choice).collect(),
            named_credentials: named,
            credentials,
            timeouts_of: timeouts(routes, config.upstream.timeouts),
            cells: routes.iter().map(|route| metrics.route(route.label())).collect(),
            no_route: metrics.no_route(),
            config,
        })
    }

    /// Takes over from the snapshot before this one what has not changed since: TLS sessions can be resumed for as long
    /// as the certificate is the same. Where `tls` is gone, its listeners are still there, and never become cleartext.
    /// A server that is out stays out.
    pub fn succeed(&mut self, before: &Self) {
        if self.config.tls.is_none() || self.config.tls == before.config.tls {
            self.server_tls.clone_from(&before.server_tls);
        }
        for server in &mut self.servers {
            server.succeed(&before.servers);
        }
    }

    /// Whether callers or the upstream are talked to by TLS.
    pub fn uses_tls(&self) -> bool {
        self.server_tls.is_some() || self.servers.iter().any(|server| server.tls.is_some())
    }

    /// Tells the metrics when the certificates expire. For a snapshot that is in force: one that a reload refuses says
    /// nothing of itself.
    pub fn tell_expiry(&self, metrics: &Metrics) {
        for (label, certificate) in expiry::certificates(&self.config) {
            metrics.set_expiry(label, certificate.map(|certificate| certificate.expires.as_seconds()));
        }
    }

    /// The upstream credential of the route at this place in the policy; without a route, which only shadow mode
    /// forwards, the one that routes have by default. Where a route has one at all, that which the account of the key names
    /// takes its place.
    ///
    /// # Errors
    /// The account names one that there is not: it never falls back to another.
    pub fn credential(
        &self,
        route: Option<usize>,
        account: Option<&str>,
    ) -> Result<Option<&CredentialLine>, NoCredential> {
        let choice = match route {
            Some(route) => self.credential_of.get(route).copied().unwrap_or(Choice { usual: None, yields: false }),
            None => self.default_credential,
        };
        let at = match account.filter(|_| choice.yields) {
            Some(name) => Some(place(&self.named_credentials, name).ok_or(NoCredential)?),
            None => choice.usual,
        };
        Ok(at.and_then(|at| self.credentials.get(at)))
    }

    /// How long the upstream may take over requests of the route at this place in the policy.
    pub fn timeouts(&self, route: Option<usize>) -> &Timeouts {
        route.and_then(|route| self.timeouts_of.get(route)).unwrap_or(&self.config.upstream.timeouts)
    }

    /// Where requests of this route are counted.
    pub fn cells(&self, route: Option<usize>) -> &Arc<RouteCells> {
        route.and_then(|route| self.cells.get(route)).unwrap_or(&self.no_route)
    }
}

/// Where the credential of a name stands.
fn place(named: &[(Box<str>, usize)], name: &str) -> Option<usize> {
    let at = named.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
    named.get(at).map(|(_, place)| *place)
}

/// Those of each route, where any has its own.
fn timeouts(routes: &[Route], usual: Timeouts) -> Box<[Timeouts]> {
    match routes.iter().all(|route| route.timeouts().is_empty()) {
        true => Box::default(),
        false => routes.iter().map(|route| usual.with(route.timeouts())).collect(),
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("generation", &self.generation).finish_non_exhaustive()
    }
}

/// Where the snapshot in force is found.
#[derive(Debug)]
pub struct Handle {
    current: ArcSwap<Snapshot>,
    generation: AtomicU64,
}

impl Handle {
    /// A handle on the first snapshot.
    pub fn new(snapshot: Snapshot) -> Self {
        Self { generation: AtomicU64::new(snapshot.generation), current: ArcSwap::from_pointee(snapshot) }
    }

    /// The snapshot in force.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The number of the snapshot in force: cheaper than to load it, for a worker that holds one.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Puts the next snapshot in force.
    pub fn swap(&self, next: Snapshot) {
        let generation = next.generation;
        self.current.store(Arc::new(next));
        self.generation.store(generation, Ordering::Release);
    }
}
