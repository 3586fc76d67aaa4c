//! Heads that are forwarded and heads that came by HTTP/2, for fuzz targets, which see this crate from outside. No other
//! build has it.

use std::net::{IpAddr, Ipv4Addr};

use crate::http1::head::{self, Limits};
use crate::key::secret::Secret;
use crate::policy::{Caller, Request};
use crate::snapshot::{Carrier, Config, CredentialLine};

use super::downstream::{Peer, Protocol};
use super::forward::{self, Outgoing};
use super::h2::head::{Rest, handshake, write_request};
use super::upgrade::{self, Nonce};

/// The nonce of every handshake that [`translated`] writes.
pub const NONCE: &[u8] = b"dGhlIHNhbXBsZSBub25jZQ==";

/// The head of HTTP/1.1 that is judged where a caller sends this one by HTTP/2: nothing where its stream is reset instead.
/// The request's body says whether any follows.
pub fn translated(request: http::Request<bool>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let is_handshake = handshake::is_asked(&request);
    let (parts, follows) = request.into_parts();
    if is_handshake {
        handshake::write(&parts, Nonce::read(NONCE)?, &mut out)?;
    } else {
        let rest = if follows { Rest::Body } else { Rest::Nothing };
        write_request(&parts, rest, &mut out)?;
    }
    Some(out)
}

/// What the upstream gets for the head at the start of `bytes`, sent without a key: nothing where it is refused or denied.
/// The upstream credential is `Authorization: Bearer REAL`, the request id `id-1`, the caller 192.0.2.1.
pub fn forwarded(config: &Config, bytes: &[u8]) -> Option<Vec<u8>> {
    let head = head::request(bytes, &Limits::default()).ok()??;
    let override_header = head.fields.iter().any(|field| field.kind == head::Kind::MethodOverride);
    let target = config.policy.judge(&Request { method: head.method, target: head.target, override_header }).ok()?;
    let decision = config.policy.decide(&Caller::Anonymous, &target);
    let route = decision.route().filter(|_| decision.is_allow())?;
    let line = CredentialLine::Header {
        name: "Authorization".into(),
        line: Secret::new(&b"Authorization: Bearer REAL\r\n"[..]),
    };
    let address = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let outgoing = Outgoing {
        config,
        target: &target,
        entry: None,
        credential: Some(&line),
        request_id: b"id-1",
        peer: Peer { address: Some(address), carrier: Carrier::Cleartext },
        client: Some(address),
        protocol: Protocol::Http1,
        expect: head.expect_continue,
        upgrade: route.upgrade().is_some() && upgrade::is_offered(&head),
        has_connection: head.connection.names_fields,
    };
    let mut out = Vec::new();
    forward::write_head(&head, &outgoing, &mut out);
    Some(out)
}
