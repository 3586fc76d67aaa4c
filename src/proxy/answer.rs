//! The upstream's answer as the caller gets it: hop-by-hop fields out, framing by us, the request id in.

use crate::http1::body::{Body, Outgoing};
use crate::http1::head::{AnswerTo, Kind, ResponseHead, Version, named_by_connection};
use crate::http1::write;

use super::{cors, upgrade};

/// How the answer fits into the caller's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) version: Version,
    pub(crate) answer_to: AnswerTo,
    pub(crate) request_id: &'a [u8],
    /// When it came, for an answer that does not say when it was made (RFC 9110 6.6.1).
    pub(crate) date: [u8; 29],
    /// The origin of the page that called, where it may read the answer; otherwise empty.
    pub(crate) origin: &'a [u8],
    /// A page of another origin would have got another answer.
    pub(crate) varies: bool,
    /// The connection ends after this answer.
    pub(crate) close: bool,
}

/// Appends the head of a final answer.
pub(crate) fn write_head(head: &ResponseHead<'_>, body: &Body, frame: &Frame<'_>, out: &mut Vec<u8>) {
    write::status_line(out, head.status, head.reason);
    write_dated_fields(head, &frame.date, out);
    match (body.outgoing(), head.content_length) {
        // What a GET would have got (RFC 9110 8.6). A 204 has no length at all, whatever was asked.
        (Outgoing::None, Some(length))
            if head.status == 304 || frame.answer_to == AnswerTo::Head && head.status != 204 =>
        {
            write::number_field(out, b"content-length", length);
        }
        (outgoing, _) => write::framing(out, outgoing),
    }
    write::field(out, b"x-request-id", frame.request_id);
    // What the upstream says about origins stands.
    if frame.varies || !frame.origin.is_empty() {
        write_origin_rule(head, frame, out);
    }
    match (frame.close, frame.version) {
        (true, _) => write::field(out, b"connection", b"close"),
        (false, Version::Http10) => write::field(out, b"connection", b"keep-alive"),
        (false, Version::Http11) => {}
    }
    write::end_of_head(out);
}

fn write_origin_rule(head: &ResponseHead<'_>, frame: &Frame<'_>, out: &mut Vec<u8>) {
    let is_rule = |name: &[u8]| name.eq_ignore_ascii_case(b"access-control-allow-origin");
    if head.fields.iter().any(|field| is_rule(field.name)) {
        return;
    }
    cors::write_allowed(frame.origin, out);
    if frame.varies {
        write::field(out, b"vary", b"Origin");
    }
}

/// Appends the head of an answer by which the upstream agrees to a WebSocket. With a `date` where it will be a final answer:
/// to a CONNECT.
pub(crate) fn write_switch(head: &ResponseHead<'_>, request_id: &[u8], date: Option<&[u8; 29]>, out: &mut Vec<u8>) {
    write::status_line(out, head.status, head.reason);
    match date {
        Some(date) => write_dated_fields(head, date, out),
        None => {
            write_fields(head, out);
        }
    }
    upgrade::write(out);
    write::field(out, b"x-request-id", request_id);
    write::end_of_head(out);
}

/// Appends an interim answer (100, 103 and the like).
pub(crate) fn write_interim(head: &ResponseHead<'_>, out: &mut Vec<u8>) {
    write::status_line(out, head.status, head.reason);
    write_fields(head, out);
    write::end_of_head(out);
}

fn write_dated_fields(head: &ResponseHead<'_>, date: &[u8; 29], out: &mut Vec<u8>) {
    if write_fields(head, out) == Dated::No {
        write::field(out, b"date", date);
    }
}

/// Whether a `Date` was among the fields that were written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dated {
    No,
    Yes,
}

fn write_fields(head: &ResponseHead<'_>, out: &mut Vec<u8>) -> Dated {
    let mut dated = Dated::No;
    for field in &head.fields {
        let stays = field.kind.is_hop_by_hop() || matches!(field.kind, Kind::ContentLength | Kind::RequestId);
        let named = head.connection.names_fields && named_by_connection(&head.fields, field.name);
        if !stays && !named {
            write::field(out, field.name, field.value);
            if field.kind == Kind::Date {
                dated = Dated::Yes;
            }
        }
    }
    dated
}
