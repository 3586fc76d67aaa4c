//! One server of the upstream: where it is, how it is trusted, and how it is doing.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use arc_swap::ArcSwap;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use crate::config::{Upstream, UpstreamAddress, UpstreamUrl};

use super::tls;

/// One server of the upstream.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where to connect.
    pub address: UpstreamAddress,
    /// `host[:port]`, as `Host` calls it.
    pub authority: Box<str>,
    /// TLS settings and the name that the certificate must bear; absent for cleartext.
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    /// What its name stands for.
    pub resolved: Arc<Resolved>,
    /// How it is doing, where another could be asked in its place.
    pub standing: Option<Arc<Standing>>,
    /// How it is doing, where it is the only one: it is asked all the same, and the metrics tell.
    pub alone: Option<Arc<Standing>>,
}

impl Server {
    /// The servers of an upstream, all in good standing.
    pub(super) fn all(upstream: &Upstream) -> Result<Vec<Self>, String> {
        let several = upstream.urls.len() > 1;
        let of = |url: &UpstreamUrl| {
            Ok(Self {
                address: url.address.clone(),
                authority: url.authority.clone(),
                tls: tls::client(upstream, url)?,
                resolved: Arc::new(Resolved::of(&url.address)),
                standing: several.then(Arc::default),
                alone: (!several).then(Arc::default),
            })
        };
        upstream.urls.iter().map(of).collect()
    }

    /// What the log calls it: `host[:port]`, or the path of its socket.
    pub fn name(&self) -> Cow<'_, str> {
        match &self.address {
            UpstreamAddress::Tcp { .. } => Cow::Borrowed(&self.authority),
            UpstreamAddress::Unix(path) => Cow::Owned(format!("unix:{}", path.display())),
        }
    }

    /// Takes over from the servers before what is known of this one.
    pub(super) fn succeed(&mut self, before: &[Self]) {
        let Some(known) = before.iter().find(|known| known.address == self.address) else { return };
        self.resolved = Arc::clone(&known.resolved);
        if self.standing.is_some() && known.standing.is_some() {
            self.standing.clone_from(&known.standing);
        }
        if self.alone.is_some() && known.alone.is_some() {
            self.alone.clone_from(&known.alone);
        }
    }

    /// True unless it failed as often in a row as `health.eject_after` says.
    pub fn is_up(&self) -> bool {
        !self.standing.iter().chain(&self.alone).any(|standing| standing.is_out())
    }

    /// True where connections to the one may serve as connections to the other. TLS settings are files that may have
    /// been renewed, so connections with TLS are never taken over.
    pub fn is(&self, other: &Self) -> bool {
        self.address == other.address && self.tls.is_none() && other.tls.is_none()
    }
}

/// The addresses that the name of a server stood for when it was last looked up; none before that.
#[derive(Debug)]
pub struct Resolved {
    addresses: ArcSwap<Vec<SocketAddr>>,
    /// The address was written as such: there is nothing to look up.
    fixed: bool,
}

impl Resolved {
    fn of(address: &UpstreamAddress) -> Self {
        let literal = match address {
            UpstreamAddress::Tcp { host, port, .. } => host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, *port)),
            UpstreamAddress::Unix(_) => None,
        };
        let fixed = literal.is_some() || matches!(address, UpstreamAddress::Unix(_));
        Self { addresses: ArcSwap::from_pointee(literal.into_iter().collect()), fixed }
    }

    /// True for an address that was written as such.
    pub fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// The addresses that are known.
    pub fn addresses(&self) -> Arc<Vec<SocketAddr>> {
        self.addresses.load_full()
    }

    /// Takes over what a look-up found; true where that is something else than before. Nothing found changes nothing:
    /// a name server that is away takes no upstream with it.
    pub fn update(&self, mut found: Vec<SocketAddr>) -> bool {
        // Resolvers turn the list with each answer.
        found.sort_unstable();
        found.dedup();
        let changed = !found.is_empty() && **self.addresses.load() != found;
        if changed {
            self.addresses.store(Arc::new(found));
        }
        changed
    }
}

/// True where more than half of the `servers` are out, so that all are asked: so few would break down under the load of all,
/// and when that many fail it may be their judge who errs.
pub fn are_all_asked<'s>(servers: impl Iterator<Item = &'s Server>) -> bool {
    let (mut all, mut out) = (0_usize, 0_usize);
    for server in servers {
        all += 1;
        out += usize::from(server.standing.as_ref().is_some_and(|standing| standing.is_out()));
    }
    out * 2 > all
}

/// How a server is doing, as all workers and the health check have seen it.
///
/// One that failed several times in a row is out: requests go to the others, until the health check brings it back. Where there
/// are no others its next answer does.
#[derive(Debug, Default)]
pub struct Standing {
    /// Failures since the last success.
    failures: AtomicU32,
    out: AtomicBool,
}

impl Standing {
    /// Requests go to others where there are any.
    pub fn is_out(&self) -> bool {
        self.out.load(Ordering::Relaxed)
    }

    /// Notes an answer that shows the server at work.
    pub fn succeed(&self) {
        // Almost always there is nothing to write, and what is not written is shared without cost.
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// Notes an answer of a server that is asked although it is out.
    pub fn recover(&self) {
        self.succeed();
        if self.is_out() {
            self.come_back();
        }
    }

    /// Notes a failure; true where it is the one that puts the server out.
    pub fn fail(&self, most: u32) -> bool {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        failures >= most && !self.out.swap(true, Ordering::Relaxed)
    }

    /// Lets requests come again.
    pub fn come_back(&self) {
        self.failures.store(0, Ordering::Relaxed);
        self.out.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Resolved {
        Resolved::of(&UpstreamAddress::Tcp { host: "api.internal".into(), port: 80, tls: false })
    }

    fn address(last: u8) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, last], 80))
    }

    #[test]
    fn a_name_server_that_finds_nothing_takes_no_address_away() {
        let resolved = named();
        assert!(resolved.update(vec![address(1)]));
        assert!(!resolved.update(Vec::new()));
        assert_eq!(*resolved.addresses(), [address(1)]);
    }

    #[test]
    fn the_same_addresses_in_another_order_are_no_news() {
        let resolved = named();
        assert!(resolved.update(vec![address(2), address(1)]));
        assert!(!resolved.update(vec![address(1), address(2), address(1)]));
        assert!(resolved.update(vec![address(1), address(3)]));
    }

    #[test]
    fn an_address_that_is_written_as_such_is_never_looked_up() {
        let fixed = Resolved::of(&UpstreamAddress::Tcp { host: "::1".into(), port: 80, tls: false });
        assert!(fixed.is_fixed());
        assert_eq!(fixed.addresses().len(), 1);
        assert!(!named().is_fixed());
    }

    #[test]
    fn failures_count_only_in_a_row_and_put_a_server_out_once() {
        let standing = Standing::default();
        assert!(!standing.fail(2));
        standing.succeed();
        assert!(!standing.fail(2));
        assert!(!standing.is_out());
        assert!(standing.fail(2));
        assert!(!standing.fail(2), "it is out already");
        standing.succeed();
        assert!(standing.is_out(), "a late answer does not bring it back");
        standing.come_back();
        assert!(!standing.is_out() && !standing.fail(2));
    }
}
