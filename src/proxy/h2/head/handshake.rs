//! The handshake of a WebSocket, which HTTP/2 has as an extended CONNECT (RFC 8441) and HTTP/1.1 as an upgrade.
//!
//! The nonce and the proof that it was read are of HTTP/1.1 alone (RFC 8441 5.1): they are made up on the way in and left
//! out on the way out.

use h2::ext::Protocol;
use http::header::{SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY};
use http::uri::Scheme;
use http::{Method, Request, Response, StatusCode, request, response};

use crate::http1::head::Kind;
use crate::http1::write;
use crate::proxy::upgrade::{self, Nonce};

use super::{Written, write_lines};

const PROTOCOL: &str = "websocket";

/// Whether a caller asks for a WebSocket. A CONNECT for anything else is a CONNECT.
pub(in crate::proxy) fn is_asked<B>(request: &Request<B>) -> bool {
    let protocol = request.extensions().get::<Protocol>();
    request.method() == Method::CONNECT && protocol.is_some_and(|protocol| protocol.as_str() == PROTOCOL)
}

/// Appends the caller's handshake as HTTP/1.1 has it, with this nonce. `None` where it is no request.
pub(in crate::proxy) fn write(parts: &request::Parts, nonce: Nonce, out: &mut Vec<u8>) -> Option<()> {
    let target = parts.uri.path_and_query()?.as_str().as_bytes();
    let target = target.starts_with(b"/").then_some(target)?;
    write_lines(parts, (b"GET", target), &[SEC_WEBSOCKET_KEY], out)?;
    upgrade::write(out);
    nonce.write(out);
    write::end_of_head(out);
    Some(())
}

/// The agreement that the gateway passes on, as an answer of HTTP/2.
pub(in crate::proxy::h2) fn agreement(head: Written<'_>) -> Option<Response<()>> {
    let mut answer = head.answer()?;
    *answer.status_mut() = StatusCode::OK;
    answer.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
    Some(answer)
}

/// The nonce of a request that the gateway wrote, where it is a handshake.
pub(in crate::proxy::h2) fn nonce(head: Written<'_>) -> Option<Nonce> {
    head.value(Kind::Upgrade)?;
    let is_nonce = |name: &[u8]| name.eq_ignore_ascii_case(SEC_WEBSOCKET_KEY.as_str().as_bytes());
    head.fields().find(|(name, _)| is_nonce(name)).and_then(|(_, value)| Nonce::read(value))
}

/// The extended CONNECT of such a request.
pub(in crate::proxy::h2) fn request(head: Written<'_>, scheme: &Scheme) -> Option<Request<()>> {
    let mut request = head.request_by(Method::CONNECT, scheme)?;
    request.headers_mut().remove(SEC_WEBSOCKET_KEY);
    request.extensions_mut().insert(Protocol::from_static(PROTOCOL));
    Some(request)
}

/// Appends the upstream's agreement as HTTP/1.1 has it, with the proof that this nonce was read.
pub(in crate::proxy::h2) fn write_agreement(parts: &response::Parts, nonce: Nonce, out: &mut Vec<u8>) {
    write::status_line(out, StatusCode::SWITCHING_PROTOCOLS.as_u16(), b"Switching Protocols");
    let fields = parts.headers.iter().filter(|(name, _)| **name != SEC_WEBSOCKET_ACCEPT);
    // A tunnel has no length.
    for (name, value) in fields.filter(|(name, _)| **name != http::header::CONTENT_LENGTH) {
        write::field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    upgrade::write(out);
    nonce.write_proof(out);
    write::end_of_head(out);
}
