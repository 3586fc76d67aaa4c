//! Calls by pages of other origins: preflights are answered here, and answers are made readable for allowed origins
//! (the CORS protocol of the Fetch standard).

use crate::http1::head::RequestHead;
use crate::http1::write;
use crate::snapshot::{Cors, Origins};

use super::reply::Setting;

/// The methods that a preflight allows: the same for every target, so that it tells nothing of routes.
const METHODS: &[u8] = b"GET, HEAD, POST, PUT, PATCH, DELETE";

/// What an answer says of the origin of a request, where it is one that may call: the origin, or `*` where all may, so that
/// no browser shows a page what was answered to credentials. A field that is given twice allows nothing.
pub(crate) fn origin<'b>(cors: Option<&Cors>, head: &RequestHead<'b>) -> Option<&'b [u8]> {
    let cors = cors?;
    let mut given = values(head, b"origin");
    let origin = given.next().filter(|origin| cors.origins.allow(origin))?;
    let allowed = if cors.origins == Origins::Any { b"*" } else { origin };
    given.next().is_none().then_some(allowed)
}

/// True for a preflight: the browser's question whether a request may be sent, which carries no key.
pub(crate) fn is_preflight(head: &RequestHead<'_>) -> bool {
    head.method == b"OPTIONS" && values(head, b"access-control-request-method").next().is_some()
}

fn values<'b>(head: &RequestHead<'b>, name: &'static [u8]) -> impl Iterator<Item = &'b [u8]> {
    let named = head.fields.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
    named.map(|field| field.value)
}

/// Appends the answer to a preflight from an allowed origin.
pub(crate) fn write_preflight(cors: &Cors, setting: &Setting<'_>, out: &mut Vec<u8>) {
    write::status_line(out, 204, b"No Content");
    write::field(out, b"date", &setting.date);
    write::field(out, b"x-request-id", setting.request_id);
    write_allowed(setting.origin, out);
    write::field(out, b"vary", b"Origin");
    write::field(out, b"access-control-allow-methods", METHODS);
    if !cors.headers.is_empty() {
        write::field(out, b"access-control-allow-headers", cors.headers.as_bytes());
    }
    write::number_field(out, b"access-control-max-age", cors.max_age.as_secs());
    setting.connection.write(out);
    write::end_of_head(out);
}

/// Appends what lets a page of this origin read an answer. Whether the answer would be another for another page, which
/// caches must know, is for the caller to say: a refusal is never stored.
pub(crate) fn write_allowed(origin: &[u8], out: &mut Vec<u8>) {
    if !origin.is_empty() {
        write::field(out, b"access-control-allow-origin", origin);
    }
}
