//! The request as the upstream gets it: the judged bytes, less what was for the gateway, plus what the gateway vouches for.
//!
//! Order matters. The caller's hop-by-hop fields go first (RFC 9110 7.6.1), then its credential, identity and forwarding
//! fields; only then are the gateway's own written, so that no `Connection` field can name them away. The upstream
//! credential is set last, over whatever the caller sent. The framing is always written by the gateway.

use std::io::Write as _;
use std::net::IpAddr;

use crate::http1::head::{Field, Framing, Kind, RequestHead, Version, named_by_connection};
use crate::http1::write;
use crate::policy::Target;
use crate::snapshot::CredentialLine;
use crate::snapshot::{Accept, Carrier, Config, HostRule, Underscores};
use crate::store::index::Entry;

use super::client::{self, Told};
use super::downstream::{Peer, Protocol};
use super::{credential, upgrade};

/// Everything beside the request head that the upstream's request is made of.
pub(crate) struct Outgoing<'a> {
    pub(crate) config: &'a Config,
    /// The target as it was judged.
    pub(crate) target: &'a Target<'a>,
    /// The caller's key, where it has one that counts.
    pub(crate) entry: Option<&'a Entry>,
    pub(crate) credential: Option<&'a CredentialLine>,
    pub(crate) request_id: &'a [u8],
    /// The other end of the connection.
    pub(crate) peer: Peer,
    /// Who calls, as far as it is believed; `None` where nobody knows.
    pub(crate) client: Option<IpAddr>,
    /// What the caller speaks.
    pub(crate) protocol: Protocol,
    /// The upstream is asked before the body is read.
    pub(crate) expect: bool,
    /// The upstream is offered a WebSocket.
    pub(crate) upgrade: bool,
    /// The field names in `Connection`, looked up only if there is one.
    pub(crate) has_connection: bool,
}

/// Appends the whole request head.
pub(crate) fn write_head(head: &RequestHead<'_>, outgoing: &Outgoing<'_>, out: &mut Vec<u8>) {
    let config = outgoing.config;
    out.extend_from_slice(head.method);
    out.push(b' ');
    write_target(head, outgoing, out);
    out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
    out.extend_from_slice(match &config.upstream.host {
        HostRule::Name(name) => name.as_bytes(),
        HostRule::Preserve => head.host,
        // Where another server is asked than the first, its own name is put in the place of this one.
        HostRule::Url => config.upstream.urls.first().map_or(&b""[..], |url| url.authority.as_bytes()),
    });
    out.extend_from_slice(b"\r\n");
    let told = client::told(head, &config.trusted_proxies, outgoing.peer.address);
    let trusted = config.trusted_proxies.has(outgoing.peer.address);
    for field in &head.fields {
        let named = outgoing.has_connection && named_by_connection(&head.fields, field.name);
        if !named && passes(field, outgoing, (trusted, told)) {
            write_field(field, config, out);
        }
    }
    write_framing(head.framing, outgoing.expect, out);
    if outgoing.upgrade {
        upgrade::write(out);
    }
    if let Some(entry) = outgoing.entry.filter(|_| config.identity_headers) {
        entry.write_identity(out);
    }
    write_forwarded(head, outgoing, (trusted, told), out);
    write::field(out, b"x-request-id", outgoing.request_id);
    out.extend_from_slice(match (outgoing.protocol, head.version) {
        (Protocol::Http2, _) => b"via: 2.0 scopegate\r\n",
        (Protocol::Http1, Version::Http10) => b"via: 1.0 scopegate\r\n",
        (Protocol::Http1, Version::Http11) => b"via: 1.1 scopegate\r\n",
    });
    if let Some(CredentialLine::Header { line, .. }) = outgoing.credential {
        out.extend_from_slice(line.expose());
    }
    out.extend_from_slice(b"\r\n");
}

/// The target without the caller's key, and with the upstream credential where that is a query parameter.
///
/// An absolute target goes on in origin form, as RFC 9112 3.2.2 has it: the path and query inside it, byte for byte.
fn write_target(head: &RequestHead<'_>, outgoing: &Outgoing<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    let accept = &outgoing.config.keys.accept;
    let joined;
    let target = if outgoing.target.authority().is_none() {
        head.target
    } else {
        let path = outgoing.target.path();
        joined = match outgoing.target.query() {
            Some(query) => [path, b"?", query].concat(),
            None => path.to_vec(),
        };
        &joined
    };
    match outgoing.credential {
        Some(CredentialLine::Query { name, pair }) => {
            write_without_parameter(accept, target, name.as_bytes(), out);
            let joint = if out.get(start..).is_some_and(|target| target.contains(&b'?')) { b'&' } else { b'?' };
            out.push(joint);
            out.extend_from_slice(pair.expose());
        }
        _ => credential::write_target(accept, target, out),
    }
}

/// As [`credential::write_target`], less every parameter that has the name of the upstream credential's, or that some server
/// would take for it.
fn write_without_parameter(accept: &Accept, target: &[u8], name: &[u8], out: &mut Vec<u8>) {
    let mut kept = Vec::with_capacity(target.len());
    credential::write_target(accept, target, &mut kept);
    let mark = kept.iter().position(|byte| *byte == b'?').unwrap_or(kept.len());
    let (path, query) = kept.split_at(mark);
    out.extend_from_slice(path);
    let Some((_, query)) = query.split_first() else { return };
    let mut joint = b'?';
    for piece in query.split(|byte| *byte == b'&') {
        // Some servers also part parameters at `;`.
        let names =
            piece.split(|byte| *byte == b';').map(|part| part.split(|byte| *byte == b'=').next().unwrap_or_default());
        if !names.into_iter().any(|given| credential::is_taken_for(given, name)) {
            out.push(joint);
            out.extend_from_slice(piece);
            joint = b'&';
        }
    }
}

/// True for a field of the caller's that goes on.
fn passes(field: &Field<'_>, outgoing: &Outgoing<'_>, (trusted, told): (bool, Told)) -> bool {
    let config = outgoing.config;
    let of_its_kind = match field.kind {
        Kind::Connection
        | Kind::ContentLength
        | Kind::Expect
        | Kind::HopByHop
        | Kind::Host
        | Kind::Identity
        | Kind::Lookalike
        | Kind::MethodOverride
        | Kind::RequestId
        | Kind::Te
        | Kind::Trailer
        | Kind::TransferEncoding
        | Kind::Upgrade
        | Kind::UrlOverride => false,
        Kind::XForwarded => trusted,
        // Beside `X-Forwarded-For` it may be the caller's own invention.
        Kind::Forwarded => told == Told::Forwarded,
        // Written anew, with what a trusted proxy said in front.
        Kind::XForwardedFor | Kind::XForwardedHost | Kind::XForwardedProto | Kind::XRealIp => false,
        Kind::Underscore => config.underscores == Underscores::Allow,
        Kind::Authorization | Kind::ContentType | Kind::Cookie | Kind::Date | Kind::Other | Kind::Via => true,
    };
    of_its_kind && !credential::is_whole_field(&config.keys.accept, field) && !is_replaced(outgoing.credential, field)
}

fn write_field(field: &Field<'_>, config: &Config, out: &mut Vec<u8>) {
    if field.kind == Kind::Cookie && !config.keys.accept.cookies.is_empty() {
        credential::write_cookie(&config.keys.accept, field, out);
    } else {
        write::field(out, field.name, field.value);
    }
}

/// True for a field that the upstream credential takes the place of.
fn is_replaced(credential: Option<&CredentialLine>, field: &Field<'_>) -> bool {
    matches!(credential, Some(CredentialLine::Header { name, .. }) if credential::resembles(field.name, name.as_bytes()))
}

/// Exactly one of `Content-Length` and `Transfer-Encoding`, or none for a request without a body.
fn write_framing(framing: Framing, expect: bool, out: &mut Vec<u8>) {
    match framing {
        Framing::None => {}
        Framing::Length(length) => {
            out.extend_from_slice(b"content-length: ");
            write::decimal(out, length);
            out.extend_from_slice(b"\r\n");
        }
        Framing::Chunked => out.extend_from_slice(b"transfer-encoding: chunked\r\n"),
    }
    if expect {
        out.extend_from_slice(b"expect: 100-continue\r\n");
    }
}

/// `X-Forwarded-For|Proto|Host`: a trusted proxy's are continued, anybody else's were dropped. What else a trusted proxy
/// says of the caller is continued, too, in its own form.
fn write_forwarded(head: &RequestHead<'_>, outgoing: &Outgoing<'_>, (trusted, told): (bool, Told), out: &mut Vec<u8>) {
    let fields = if trusted { head.fields.as_slice() } else { &[] };
    let value_of = |kind: Kind| fields.iter().filter(move |field| field.kind == kind).map(|field| field.value);
    out.extend_from_slice(b"x-forwarded-for: ");
    for value in value_of(Kind::XForwardedFor).filter(|value| !value.is_empty()) {
        out.extend_from_slice(value);
        out.extend_from_slice(b", ");
    }
    if told == Told::Forwarded {
        write_address(outgoing.client, out);
        out.extend_from_slice(b", ");
    }
    write_address(outgoing.peer.address, out);
    out.extend_from_slice(b"\r\n");
    let own = match outgoing.peer.carrier {
        Carrier::Cleartext => b"http".as_slice(),
        Carrier::Tls => b"https",
    };
    write::field(out, b"x-forwarded-proto", value_of(Kind::XForwardedProto).next().unwrap_or(own));
    write::field(out, b"x-forwarded-host", value_of(Kind::XForwardedHost).next().unwrap_or(head.host));
    if value_of(Kind::XRealIp).next().is_some() {
        out.extend_from_slice(b"x-real-ip: ");
        write_address(outgoing.client, out);
        out.extend_from_slice(b"\r\n");
    }
    if told == Told::Forwarded {
        let (open, close) = match outgoing.peer.address.is_some_and(|address| address.to_canonical().is_ipv6()) {
            // A colon must be quoted, and an IPv6 address be in brackets (RFC 7239 6).
            true => (b"forwarded: for=\"[".as_slice(), b"]\"\r\n".as_slice()),
            false => (b"forwarded: for=".as_slice(), b"\r\n".as_slice()),
        };
        out.extend_from_slice(open);
        write_address(outgoing.peer.address, out);
        out.extend_from_slice(close);
    }
}

/// An IP address as text; IPv4 without the formatting machinery, since every request has one. RFC 7239 6.3 has the word for
/// a caller without an address.
fn write_address(address: Option<IpAddr>, out: &mut Vec<u8>) {
    match address.map(|address| address.to_canonical()) {
        None => out.extend_from_slice(b"unknown"),
        Some(IpAddr::V4(address)) => {
            write::dotted(out, address.octets());
        }
        Some(IpAddr::V6(address)) => {
            let written = write!(out, "{address}");
            debug_assert!(written.is_ok(), "writing into memory cannot fail");
        }
    }
}

#[cfg(test)]
mod tests;
