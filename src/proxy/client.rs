//! Who calls: the other end of the connection or, where that is a trusted proxy, whom it says it speaks for.
//!
//! `X-Forwarded-For`, or `Forwarded` (RFC 7239) where there is none, is read from its end, which the nearest proxy wrote,
//! back to the first address that is not trusted: what stands before that anybody may have written. What is no address
//! makes the caller unknown, and an unknown caller is in no network.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::http1::head::{Kind, RequestHead};
use crate::snapshot::TrustedProxies;

/// Which fields of a head tell of the caller.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Told {
    Forwarded,
    /// Nothing does, or nobody who is trusted.
    Nothing,
    XForwardedFor,
}

/// Which fields are believed. Where both are there, `X-Forwarded-For` alone: it is what proxies write, and one that writes
/// it passes on whatever `Forwarded` its caller made up.
pub(crate) fn told(head: &RequestHead<'_>, trusted: &TrustedProxies, peer: Option<IpAddr>) -> Told {
    if !trusted.has(peer) {
        return Told::Nothing;
    }
    let has = |kind: Kind| head.fields.iter().any(|field| field.kind == kind);
    match (has(Kind::XForwardedFor), has(Kind::Forwarded)) {
        (true, _) => Told::XForwardedFor,
        (false, true) => Told::Forwarded,
        (false, false) => Told::Nothing,
    }
}

/// Finds the address in one element of a field.
type Read = fn(&[u8]) -> Option<IpAddr>;

/// The address of the caller; `None` where nobody knows it.
pub(crate) fn client(head: &RequestHead<'_>, trusted: &TrustedProxies, peer: Option<IpAddr>) -> Option<IpAddr> {
    let (kind, read): (Kind, Read) = match told(head, trusted, peer) {
        Told::Nothing => return peer,
        Told::Forwarded => (Kind::Forwarded, read_element),
        Told::XForwardedFor => (Kind::XForwardedFor, read_node),
    };
    let values = head.fields.iter().rev().filter(|field| field.kind == kind).map(|field| field.value);
    let elements = values.flat_map(|value| value.rsplit(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
    let mut nearest = peer;
    for element in elements.filter(|element| !element.is_empty()) {
        let address = read(element)?;
        nearest = Some(address);
        if !trusted.has_address(address) {
            break;
        }
    }
    nearest
}

/// An address, perhaps with a port: `192.0.2.1`, `192.0.2.1:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`.
fn read_node(node: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(node).ok()?;
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let address = match bare {
        Some(six) => std::net::Ipv6Addr::from_str(six).ok().map(IpAddr::from),
        None => IpAddr::from_str(text).ok().or_else(|| SocketAddr::from_str(text).ok().map(|address| address.ip())),
    };
    address.map(|address| address.to_canonical())
}

/// The `for` of one element of `Forwarded`: `for=192.0.2.1;proto=https`, `for="[2001:db8::1]:4711"`. Every pair must be
/// well-formed, so that a piece of a quoted string is never taken for an element.
fn read_element(element: &[u8]) -> Option<IpAddr> {
    let mut found = None;
    for pair in element.split(|byte| *byte == b';') {
        let pair = pair.trim_ascii();
        let equals = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair.get(..equals)?, pair.get(equals + 1..)?);
        let value = match value {
            [b'"', inner @ .., b'"'] => inner,
            token => token,
        };
        if name.is_empty() || value.is_empty() || value.iter().any(|byte| matches!(byte, b'"' | b'\\')) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"for") && found.replace(value).is_some() {
            return None;
        }
    }
    read_node(found?)
}

#[cfg(test)]
mod tests;
