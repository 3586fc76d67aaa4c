//! The three forms of an error body.

use crate::http1::write;
use crate::policy::Refusal;
use crate::snapshot::{Accept, ErrorFormat};

use super::{Reply, Setting, Source};

/// The media type of a form.
pub(super) fn media_type(format: ErrorFormat) -> &'static str {
    match format {
        ErrorFormat::JsonApi => "application/vnd.api+json",
        ErrorFormat::Mailjet => "application/json",
        ErrorFormat::Problem => "application/problem+json",
    }
}

/// Appends the body in the configured form.
pub(super) fn write(reply: &Reply<'_>, setting: &Setting<'_>, out: &mut Vec<u8>) {
    // Request ids are checked to be visible ASCII when they are taken over, so this is never the empty string.
    let request_id = std::str::from_utf8(setting.request_id).unwrap_or_default();
    match setting.format {
        ErrorFormat::JsonApi => write_json_api(reply, request_id, setting.accept, out),
        ErrorFormat::Mailjet => write_mailjet(reply, request_id, out),
        ErrorFormat::Problem => write_problem(reply, request_id, out),
    }
}

fn write_problem(reply: &Reply<'_>, request_id: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"urn:scopegate:problem:");
    // The code of a denial or an error: letters and `_`.
    out.extend_from_slice(reply.code.as_bytes());
    out.push(b'"');
    word(out, "title", reply.title);
    out.extend_from_slice(b",\"status\":");
    write::decimal(out, u64::from(reply.status));
    word(out, "code", reply.code);
    member(out, "detail", reply.detail);
    member(out, "request_id", request_id);
    if let Some(refusal) = reply.refusal {
        write_facts(refusal, out);
    }
    out.push(b'}');
}

fn write_json_api(reply: &Reply<'_>, request_id: &str, accept: &Accept, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"errors\":[{\"id\":");
    write_string(request_id, out);
    // JSON:API has the status as a string.
    out.extend_from_slice(b",\"status\":\"");
    write::decimal(out, u64::from(reply.status));
    out.push(b'"');
    word(out, "code", reply.code);
    word(out, "title", reply.title);
    member(out, "detail", reply.detail);
    if let Some(source) = reply.source {
        let (part, name) = match source {
            Source::Key => place_of_key(accept),
            Source::Parameter(name) => ("parameter", name),
        };
        out.extend_from_slice(b",\"source\":{\"");
        out.extend_from_slice(part.as_bytes());
        out.extend_from_slice(b"\":");
        write_string(name, out);
        out.push(b'}');
    }
    if let Some(refusal) = reply.refusal {
        let start = out.len();
        out.extend_from_slice(b",\"meta\":{");
        let first = out.len();
        write_facts(refusal, out);
        if out.len() == first {
            out.truncate(start);
        } else {
            // The comma before the first member.
            out.remove(first);
            out.push(b'}');
        }
    }
    out.extend_from_slice(b"}]}");
}

fn write_mailjet(reply: &Reply<'_>, request_id: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"ErrorIdentifier\":");
    write_string(request_id, out);
    out.extend_from_slice(b",\"StatusCode\":");
    write::decimal(out, u64::from(reply.status));
    member(out, "ErrorCode", reply.code);
    member(out, "ErrorMessage", reply.detail);
    out.push(b'}');
}

/// What a denial tells beyond its sentence, each with a comma before it. What is empty is left out.
fn write_facts(refusal: &Refusal<'_>, out: &mut Vec<u8>) {
    let mut told = |name, value: Option<&str>| value.map_or((), |value| member(out, name, value));
    told("route", refusal.route.as_deref());
    for (name, scopes) in [("required", &refusal.required), ("missing", &refusal.missing)] {
        if !scopes.is_empty() {
            begin_member(out, name);
            write_list(scopes, out, |scope, out| write_word(scope, out));
        }
    }
    if !refusal.any_of.is_empty() {
        begin_member(out, "any_of");
        write_list(&refusal.any_of, out, |scopes, out| {
            write_list(scopes, out, |scope, out| write_word(scope, out));
        });
    }
    let mut told = |name, value: Option<&str>| value.map_or((), |value| member(out, name, value));
    told("parameter", refusal.parameter.as_deref());
    told("member", refusal.member.as_deref());
}

/// Appends a member with a comma before it.
fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    begin_member(out, name);
    write_string(value, out);
}

/// The same with a text of this program: letters, digits, blanks and `_`.
fn word(out: &mut Vec<u8>, name: &str, value: &str) {
    begin_member(out, name);
    write_word(value, out);
}

fn begin_member(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_list<T>(items: &[T], out: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
    out.push(b'[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(b']');
}

/// Appends a string of JSON that stands for itself: one of this program's, or a scope, whose token has no quote, backslash or
/// control byte (RFC 6749 3.3).
fn write_word(text: &str, out: &mut Vec<u8>) {
    debug_assert!(text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\'));
    out.push(b'"');
    out.extend_from_slice(text.as_bytes());
    out.push(b'"');
}

/// Appends a string of JSON. Nearly all of them stand for themselves, byte for byte.
fn write_string(text: &str, out: &mut Vec<u8>) {
    // Without an early end, so that it is vectorised.
    let is_plain = text.bytes().fold(true, |plain, byte| plain & (byte >= b' ') & (byte != b'"') & (byte != b'\\'));
    if is_plain {
        out.push(b'"');
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
    } else {
        let written = serde_json::to_writer(out, text);
        debug_assert!(written.is_ok(), "writing a string into memory cannot fail");
    }
}

/// The first place where a key is looked for.
fn place_of_key(accept: &Accept) -> (&'static str, &str) {
    if accept.bearer || accept.basic || !accept.schemes.is_empty() {
        return ("header", "Authorization");
    }
    let header = accept.headers.first().map(|name| ("header", &**name));
    let parameter = || accept.query.first().map(|name| ("parameter", &**name));
    header.or_else(parameter).unwrap_or(("header", "Cookie"))
}

#[cfg(test)]
mod tests {
    use super::write_string;

    proptest::proptest! {
        #[test]
        fn strings_are_written_as_json_has_them(text in "(?s)[a-z é\"\\\\\u{0}-\u{1f}\u{7f}\u{1F600}]{0,40}") {
            let mut out = Vec::new();
            write_string(&text, &mut out);
            proptest::prop_assert_eq!(String::from_utf8(out).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }
}
