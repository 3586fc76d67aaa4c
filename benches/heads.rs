//! Heads for the benches of reading and writing.

use std::hint::black_box;

use scopegate::http1::head::{AnswerTo, request_into, response_into};
use scopegate::http1::{Limits, RequestHead, ResponseHead, write};

/// Ten fields, as an SDK sends them.
pub(crate) const REQUEST: &[u8] = b"GET /api/profiles/01HZX3Q5?include=lists,segments&page%5Bsize%5D=50 HTTP/1.1\r\n\
    Host: api.example.com\r\n\
    User-Agent: python-requests/2.32.3\r\n\
    Accept: application/vnd.api+json\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Connection: keep-alive\r\n\
    Authorization: Bearer sg_5Jx0aYtR1bK8mQ2vW7cN4dZ9eL3fH6gT0uXy\r\n\
    Revision: 2026-10-15\r\n\
    X-Request-Id: 6f1c7a52-9c1f-4a1d-8f27-0c7d3d1a9b11\r\n\
    Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n\
    Cache-Control: no-cache\r\n\r\n";

/// Seven, as an API does.
pub(crate) const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Sat, 21 Nov 2026 10:00:00 GMT\r\n\
    Content-Type: application/vnd.api+json\r\n\
    Content-Length: 1024\r\n\
    Cache-Control: no-store\r\n\
    RateLimit-Remaining: 149\r\n\
    Vary: Accept, Cookie\r\n\
    Server: upstream\r\n\r\n";

/// Whether the bytes are a whole head of a request, read as the gateway does: into a head that is not moved.
pub(crate) fn is_request(bytes: &[u8], limits: &Limits) -> bool {
    let mut head = RequestHead::unread();
    let is_whole = request_into(bytes, limits, &mut head) == Ok(true);
    black_box(&head);
    is_whole
}

/// The same of an answer.
pub(crate) fn is_response(bytes: &[u8], limits: &Limits) -> bool {
    let mut head = ResponseHead::unread();
    let is_whole = response_into((bytes, AnswerTo::Other), limits, &mut head) == Ok(true);
    black_box(&head);
    is_whole
}

/// Writes a request line and each field, as the path of a request does it, less the choice of what goes on.
pub(crate) fn write_fields(head: &RequestHead<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(head.method);
    out.push(b' ');
    out.extend_from_slice(head.target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for field in &head.fields {
        write::field(out, field.name, field.value);
    }
    write::end_of_head(out);
}
