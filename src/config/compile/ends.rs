//! Addresses that cannot go together: of two listeners only one would get the place, and an upstream that is the gateway
//! itself would be asked in a circle.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Compile;
use crate::config::fault::{Fault, Severity};
use crate::config::read::{Fields, Reader};
use crate::config::source::Override;
use crate::config::{Address, Listen, Upstream, UpstreamAddress};
use crate::yaml::Span;

/// Every address of a configuration.
pub(super) struct Ends<'e> {
    pub(super) listen: &'e [Listen],
    pub(super) admin: SocketAddr,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) upstream: &'e Upstream,
}

/// Where an address was said.
#[derive(Clone, Copy)]
enum Said {
    /// By this flag or variable.
    Over(&'static str),
    In(Span),
    /// It is the default.
    Nowhere,
}

/// The name of a field, where it was said, and one of its addresses.
#[derive(Clone, Copy)]
struct End<'e> {
    field: &'static str,
    said: Said,
    address: &'e Address,
}

impl Compile<'_> {
    /// Tells of addresses that cannot go together, and of an admin listener that others can reach.
    pub(super) fn judge_ends(&mut self, reader: &mut Reader<'_>, fields: &Fields<'_>, ends: &Ends<'_>) {
        let said = |section: &str, names: &[&str], flag: Option<Override>| {
            let over = flag.and_then(|flag| self.source.find(flag)).map(|(label, _)| Said::Over(label));
            over.or_else(|| span(fields, section, names).map(Said::In)).unwrap_or(Said::Nowhere)
        };
        let listen = said("listen", &[], Some(Override::Listen));
        let admin = said("admin", &["listen"], Some(Override::Admin));
        let metrics = said("metrics", &["listen"], None);
        let upstream = said("upstream", &["url", "urls"], Some(Override::Upstream));
        let (at_admin, at_metrics) = (Address::Tcp(ends.admin), ends.metrics.map(Address::Tcp));
        let callers = ends.listen.iter().map(|one| End { field: "listen", said: listen, address: &one.address });
        let operators = [
            Some(End { field: "admin.listen", said: admin, address: &at_admin }),
            at_metrics.as_ref().map(|address| End { field: "metrics.listen", said: metrics, address }),
        ];
        let all: Vec<End<'_>> = callers.chain(operators.into_iter().flatten()).collect();
        for (number, later) in all.iter().enumerate() {
            for first in all.iter().take(number).filter(|first| meet(first, later)) {
                let message = format!(
                    "`{}` {} and `{}` {} cannot both be had",
                    first.field, first.address, later.field, later.address
                );
                self.say(
                    reader,
                    (Severity::Error, &[later.said, first.said]),
                    (&message, "give one of them another port"),
                );
            }
            if ends.upstream.urls.iter().any(|url| is_there(&url.address, later.address)) {
                let message = format!("the upstream is the gateway itself: `{}` is {}", later.field, later.address);
                self.say(reader, (Severity::Error, &[upstream]), (&message, "write where the API listens"));
            }
        }
        if !ends.admin.ip().is_loopback() {
            let message = format!("`admin.listen` can be reached from other machines at {}", ends.admin);
            let help = "write `127.0.0.1:9901`, and let `metrics.listen` serve probes and metrics to others";
            self.say(reader, (Severity::Warning, &[admin]), (&message, help));
        }
    }

    /// Notes a fault at the first of `places` that was said at all.
    fn say(&mut self, reader: &mut Reader<'_>, (severity, places): (Severity, &[Said]), (message, help): (&str, &str)) {
        let place = places.iter().find(|said| !matches!(said, Said::Nowhere)).unwrap_or(&Said::Nowhere);
        match (place, severity) {
            (Said::Over(label), severity) => {
                self.faults.push(Fault { severity, ..Fault::of(*label, message, help) });
            }
            (Said::In(span), Severity::Warning) => reader.warning(*span, message, help),
            (Said::In(span), Severity::Error) => reader.fault(*span, message, help),
            (Said::Nowhere, _) => reader.fault(Span::default(), message, help),
        }
    }
}

/// Where the file has a section or, where there are names, the first of them that is in it.
fn span(fields: &Fields<'_>, section: &str, names: &[&str]) -> Option<Span> {
    let node = fields.find(section)?.node;
    match names {
        [] => Some(node.span),
        names => names.iter().find_map(|name| node.entry(name)).map(|entry| entry.value.span),
    }
}

/// True where only one of two listeners would get its address. Port 0 is another port each time.
fn meet(one: &End<'_>, other: &End<'_>) -> bool {
    let (Address::Tcp(a), Address::Tcp(b)) = (one.address, other.address) else { return false };
    // Two of `listen` that are the same are told already, and one that is for IPv6 leaves IPv4 to the other.
    let both_of_callers = one.field == other.field;
    let takes_all = |one: IpAddr, other: IpAddr| {
        one.is_unspecified() && (one.is_ipv4() == other.is_ipv4() || one.is_ipv6() && !both_of_callers)
    };
    a.port() == b.port()
        && a.port() != 0
        && ((a.ip() == b.ip() && !both_of_callers)
            || (a != b && (takes_all(a.ip(), b.ip()) || takes_all(b.ip(), a.ip()))))
}

/// True where whoever connects to `upstream` comes to a listener on `listen`.
fn is_there(upstream: &UpstreamAddress, listen: &Address) -> bool {
    match (upstream, listen) {
        (UpstreamAddress::Unix(path), Address::Unix(own)) => path == own,
        (UpstreamAddress::Tcp { host, port, .. }, Address::Tcp(own)) => {
            let ip = match &**host {
                "localhost" => Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
                host => host.parse().ok(),
            };
            // Whoever connects to the unspecified address comes to this machine.
            let is_here = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
            let takes = |ip: IpAddr| {
                own.ip() == ip || own.ip().is_unspecified() && is_here(ip) && (own.is_ipv6() || ip.is_ipv4())
            };
            own.port() == *port && ip.is_some_and(takes)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meet_in((one, a): (&'static str, &str), (other, b): (&'static str, &str)) -> bool {
        let (a, b) = (Address::Tcp(a.parse().unwrap()), Address::Tcp(b.parse().unwrap()));
        let end = |field, address| End { field, said: Said::Nowhere, address };
        let (one, other) = (end(one, &a), end(other, &b));
        assert_eq!(meet(&one, &other), meet(&other, &one));
        meet(&one, &other)
    }

    #[test]
    fn two_listeners_meet_where_one_takes_what_the_other_wants() {
        let (listen, admin) = ("listen", "admin.listen");
        assert!(meet_in((listen, "127.0.0.1:1"), (admin, "127.0.0.1:1")));
        assert!(meet_in((listen, "0.0.0.0:1"), (admin, "127.0.0.1:1")));
        assert!(meet_in((listen, "[::]:1"), (admin, "127.0.0.1:1")));
        assert!(meet_in((listen, "0.0.0.0:1"), (listen, "127.0.0.1:1")));
        assert!(!meet_in((listen, "[::]:1"), (listen, "0.0.0.0:1")), "the one leaves IPv4 to the other");
        assert!(!meet_in((listen, "0.0.0.0:1"), (admin, "[::1]:1")));
        assert!(!meet_in((listen, "127.0.0.1:1"), (admin, "127.0.0.2:1")));
        assert!(!meet_in((listen, "127.0.0.1:1"), (admin, "127.0.0.1:2")));
        assert!(!meet_in((listen, "127.0.0.1:0"), (admin, "127.0.0.1:0")));
    }

    #[test]
    fn an_upstream_is_the_gateway_where_it_is_an_address_of_this_machine_that_is_listened_on() {
        let is_there = |host: &str, listen: &str| {
            let upstream = UpstreamAddress::Tcp { host: host.into(), port: 1, tls: false };
            is_there(&upstream, &Address::Tcp(listen.parse().unwrap()))
        };
        for (host, listen) in [
            ("127.0.0.1", "127.0.0.1:1"),
            ("localhost", "127.0.0.1:1"),
            ("127.0.0.1", "0.0.0.0:1"),
            ("localhost", "[::]:1"),
            ("::1", "[::]:1"),
            ("10.1.2.3", "10.1.2.3:1"),
            ("0.0.0.0", "0.0.0.0:1"),
        ] {
            assert!(is_there(host, listen), "{host} {listen}");
        }
        for (host, listen) in [
            ("127.0.0.1", "127.0.0.1:2"),
            ("localhost", "[::1]:1"),
            ("::1", "0.0.0.0:1"),
            ("10.1.2.3", "0.0.0.0:1"),
            ("api", "0.0.0.0:1"),
            ("127.0.0.2", "127.0.0.1:1"),
        ] {
            assert!(!is_there(host, listen), "{host} {listen}");
        }
    }
}
