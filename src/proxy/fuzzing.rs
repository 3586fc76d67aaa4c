//! Heads that are forwarded, heads that came by HTTP/2 and answers, for fuzz targets, which see this crate from outside. No
//! other build has it.

use std::net::{IpAddr, Ipv4Addr};

use crate::http1::body::{Body, Outgoing as OutgoingBody};
use crate::http1::head::{self, AnswerTo, Limits, ResponseFraming, Version};
use crate::key::secret::Secret;
use crate::policy::{Caller, Request};
use crate::snapshot::{Carrier, Config, CredentialLine};

use super::answer::{self, Frame};
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

/// When every answer of [`answered`] came.
pub const DATE: [u8; 29] = *b"Thu, 01 Jan 1970 00:00:00 GMT";

/// How an answer fits into the caller's connection.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    /// What was asked.
    pub to: AnswerTo,
    /// What the caller speaks.
    pub caller: Version,
    /// The origin of the page that called, where it may read the answer; otherwise empty.
    pub origin: &'a [u8],
    /// A page of another origin would have got another answer.
    pub varies: bool,
    /// The connection is to end after this answer, whatever its body.
    pub close: bool,
}

/// What a caller got.
#[derive(Clone, Debug)]
pub struct Written {
    /// Head and body, as far as the body came.
    pub wire: Vec<u8>,
    /// How much of the upstream's bytes belongs to the answer.
    pub consumed: usize,
    /// The body came to its end.
    pub whole: bool,
}

/// What the caller gets for the answer at the start of `bytes`, after which the upstream closes; of an interim one the head alone.
/// Nothing where it is refused, or switches protocols. The request id is `id-1`.
pub fn answered(bytes: &[u8], seat: &Seat<'_>) -> Option<Written> {
    let head = head::response(bytes, &Limits::default(), seat.to).ok()??;
    let mut wire = Vec::new();
    if head.status < 200 {
        answer::write_interim(&head, &mut wire);
        return Some(Written { wire, consumed: head.size, whole: true }).filter(|_| head.status != 101);
    }
    let mut body = Body::of_response(head.framing, seat.caller);
    let close = seat.close || body.outgoing() == OutgoingBody::UntilClose;
    let frame = Frame {
        version: seat.caller,
        answer_to: seat.to,
        request_id: b"id-1",
        date: DATE,
        origin: seat.origin,
        varies: seat.varies,
        close,
    };
    answer::write_head(&head, &body, &frame, &mut wire);
    let mut written = Written { wire, consumed: head.size, whole: body.is_done() };
    if !written.whole
        && let Ok(passed) = body.pass(bytes.get(head.size..)?, &mut written.wire)
    {
        written.consumed += passed.consumed;
        written.whole =
            passed.done || head.framing == ResponseFraming::UntilClose && body.finish(&mut written.wire).is_ok();
    }
    Some(written)
}
