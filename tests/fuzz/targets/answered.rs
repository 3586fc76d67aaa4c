//! What callers get: the answer of an upstream, written for a caller of either version, is read by a naive reader and by hyper's
//! client as what hyper's client reads in the original, with nothing in it that ends at this hop.
//!
//! The first byte of the input says how the answer fits into the caller's connection; what the upstream sent follows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::http1::head::{AnswerTo, Limits, ResponseFraming, Version};
use scopegate::http1::{ResponseHead, response};
use scopegate::proxy::fuzzing::{DATE, Seat, answered};
use scopegate_fuzz::answers::{self, Answer, End, Fields};
use scopegate_fuzz::client;
use scopegate_fuzz::hyper::sorted;

const ORIGIN: &[u8] = b"https://page.test";

/// Fields that are of one connection alone (RFC 9110, 7.6.1), and those that the gateway says itself.
const OF_ONE_HOP: [&str; 12] = [
    "connection",
    "content-length",
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((flags, bytes)) = bytes.split_first() else { return };
    let is = |bit: u8| flags & 1 << bit != 0;
    let seat = Seat {
        to: if is(0) { AnswerTo::Head } else { AnswerTo::Other },
        caller: if is(1) { Version::Http10 } else { Version::Http11 },
        origin: if is(2) { ORIGIN } else { b"" },
        varies: is(3),
        close: is(4),
    };
    let Some(written) = answered(bytes, &seat) else { return };
    let head = response(bytes, &Limits::default(), seat.to).expect("it was read").expect("it was whole");
    let sent = answers::read(&written.wire);
    assert_eq!((sent.status, sent.reason), (head.status, head.reason));
    if head.status < 200 {
        let mut meant = kept(&head);
        meant.retain(|(name, _)| name != "x-request-id");
        assert_eq!((sent.fields, sent.rest), (meant, &b""[..]));
        return;
    }
    let end = sent.end(seat.to == AnswerTo::Head);
    assert_eq!(sent.fields, meant(&head, &seat, end));
    let closes = sent.all("connection") == [b"close"];
    assert!(closes || end != End::Closed, "the caller waits for ever");
    let again = client::read(&written.wire, seat.to == AnswerTo::Head).expect("hyper reads what is sent");
    assert_eq!((again.status, &again.fields), (sent.status, &sorted(sent.fields.clone())));
    if written.whole {
        reads_alike(&bytes[..written.consumed], &sent, (end, &seat));
        let (data, trailers) = sent.body(end);
        assert_eq!(again.body, Some((data, sorted(trailers))));
    } else {
        // Where the connection alone tells the end, it is reset.
        assert!(again.body.is_none() || end == End::Closed, "what broke off looks whole");
    }
});

/// The body is that of the original, and its trailers are among those.
fn reads_alike(original: &[u8], sent: &Answer<'_>, (end, seat): (End, &Seat<'_>)) {
    let original = client::read(original, seat.to == AnswerTo::Head).expect("hyper reads what is accepted");
    let (data, trailers) = original.body.expect("a whole body");
    let (sent_data, sent_trailers) = sent.body(end);
    assert_eq!(sent_data, data);
    assert!(sent_trailers.iter().all(|trailer| trailers.contains(trailer)), "a trailer that nobody sent");
}

/// The fields of the upstream's that go on.
fn kept(head: &ResponseHead<'_>) -> Fields {
    let given: Fields = head
        .fields
        .iter()
        .map(|field| (String::from_utf8_lossy(field.name).to_ascii_lowercase(), field.value.to_vec()))
        .collect();
    let is_named = |name: &str| {
        let mut values = given.iter().filter(|(other, _)| other == "connection").map(|(_, value)| value);
        values.any(|value| {
            value.split(|byte| *byte == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
        })
    };
    // An answer without a host is none the poorer; one that names it as an option does not lose it.
    let stays = |name: &str| !OF_ONE_HOP.contains(&name) && (!is_named(name) || name == "host");
    given.iter().filter(|(name, _)| stays(name)).cloned().collect()
}

/// What the caller is to be told, field by field.
fn meant(head: &ResponseHead<'_>, seat: &Seat<'_>, end: End) -> Fields {
    let to_head = seat.to == AnswerTo::Head;
    let mut fields = kept(head);
    fields.retain(|(name, _)| name != "x-request-id");
    let mut add = |name: &str, value: &[u8]| fields.push((name.to_owned(), value.to_vec()));
    let says = |name: &str| head.fields.iter().any(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
    if !kept(head).iter().any(|(name, _)| name == "date") {
        add("date", &DATE);
    }
    match (head.framing, head.content_length) {
        (ResponseFraming::Length(length), _) => add("content-length", length.to_string().as_bytes()),
        // What a GET would have got (RFC 9110, 8.6).
        (ResponseFraming::None, Some(length)) if head.status == 304 || to_head && head.status != 204 => {
            add("content-length", length.to_string().as_bytes());
        }
        (ResponseFraming::None, _) => {}
        (ResponseFraming::Chunked | ResponseFraming::UntilClose, _) => match seat.caller {
            Version::Http10 => assert_eq!(end, End::Closed),
            Version::Http11 => add("transfer-encoding", b"chunked"),
        },
    }
    add("x-request-id", b"id-1");
    if !says("access-control-allow-origin") {
        if !seat.origin.is_empty() {
            add("access-control-allow-origin", seat.origin);
        }
        if seat.varies {
            add("vary", b"Origin");
        }
    }
    if seat.close || end == End::Closed {
        add("connection", b"close");
    } else if seat.caller == Version::Http10 {
        add("connection", b"keep-alive");
    }
    fields
}
