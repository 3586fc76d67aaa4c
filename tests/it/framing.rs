//! Messages whose end two readers could see at different places: refused, nothing passes.

use crate::support::{Gateway, Upstream, until};

/// Heads that are refused as they stand. KEY is a key that may do everything; what follows the head would be a request of its
/// own to a reader that takes the head in another way.
const REFUSED: &[(&str, &str)] = &[
    (
        "length and chunked",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked and length",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ),
    (
        "two lengths that differ",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    ),
    (
        "two lengths that agree",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    ),
    ("a list of lengths", "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length: 5, 5\r\n\r\nhello"),
    ("a length with a plus", "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length: +5\r\n\r\nhello"),
    ("a negative length", "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length: -5\r\n\r\nhello"),
    ("a length in hexadecimal", "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length: 0x5\r\n\r\nhello"),
    ("a length with a space", "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length: 1 0\r\n\r\nhello"),
    ("an empty length", "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length:\r\n\r\nhello"),
    (
        "a length beyond 64 bits",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length: 18446744073709551621\r\n\r\nhello",
    ),
    ("a length in words", "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length: five\r\n\r\nhello"),
    ("another coding", "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n"),
    (
        "a coding before chunked",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a coding after chunked",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "two transfer fields",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("identity", "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: identity\r\n\r\n"),
    ("nearly chunked", "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    (
        "quoted chunked",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked with a parameter",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    ),
    ("an empty coding", "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n"),
    (
        "a vertical tab in a coding",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked in HTTP/1.0",
        "POST /api/profiles HTTP/1.0\r\nHost: a\r\nKEY\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a space before the colon",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "a space before the colon of a length",
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nContent-Length : 5\r\n\r\nhello",
    ),
    ("a tab before the colon", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nX\t: 1\r\n\r\n"),
    ("a space in a name", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nX Y: 1\r\n\r\n"),
    ("an empty name", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\n: 1\r\n\r\n"),
    ("a line without a colon", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nnonsense\r\n\r\n"),
    ("a sign in a name", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nX(: 1\r\n\r\n"),
    ("a folded line", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nX: 1\r\n 2\r\n\r\n"),
    ("a first line that begins with a space", "GET /api/profiles HTTP/1.1\r\n Host: a\r\nHost: a\r\nKEY\r\n\r\n"),
    ("bare line feeds", "GET /api/profiles HTTP/1.1\nHost: a\nKEY\n\n"),
    ("one bare line feed", "GET /api/profiles HTTP/1.1\r\nHost: a\nKEY\r\n\r\n"),
    ("a bare line feed at the end", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\n\n"),
    ("a bare carriage return", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nX: 1\rY: 2\r\n\r\n"),
    ("NUL in a value", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nX: a\0b\r\n\r\n"),
    ("a control byte in a value", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nX: a\x01b\r\n\r\n"),
    ("DEL in a value", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nX: a\x7fb\r\n\r\n"),
    ("no host", "GET /api/profiles HTTP/1.1\r\nKEY\r\n\r\n"),
    ("two hosts", "GET /api/profiles HTTP/1.1\r\nHost: a\r\nHost: a\r\nKEY\r\n\r\n"),
    ("a host that is not the authority", "GET http://b/api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\n\r\n"),
    ("a host without the port of the authority", "GET http://a:81/api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\n\r\n"),
    ("an empty host", "GET /api/profiles HTTP/1.1\r\nHost:\r\nKEY\r\n\r\n"),
    ("a space in the host", "GET /api/profiles HTTP/1.1\r\nHost: a b\r\nKEY\r\n\r\n"),
    ("two hosts in one", "GET /api/profiles HTTP/1.1\r\nHost: a, b\r\nKEY\r\n\r\n"),
    ("a path in the host", "GET /api/profiles HTTP/1.1\r\nHost: a/b\r\nKEY\r\n\r\n"),
    ("a user in the host", "GET /api/profiles HTTP/1.1\r\nHost: u@a\r\nKEY\r\n\r\n"),
    ("two spaces in the request line", "GET  /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\n\r\n"),
    ("a space in the target", "GET /api/pro files HTTP/1.1\r\nHost: a\r\nKEY\r\n\r\n"),
    ("a tab in the request line", "GET\t/api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\n\r\n"),
    ("a space before the method", " GET /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\n\r\n"),
    ("a method that is no token", "G@T /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\n\r\n"),
    ("no version", "GET /api/profiles\r\nHost: a\r\nKEY\r\n\r\n"),
    ("a version in small letters", "GET /api/profiles http/1.1\r\nHost: a\r\nKEY\r\n\r\n"),
    ("a version of three digits", "GET /api/profiles HTTP/1.10\r\nHost: a\r\nKEY\r\n\r\n"),
    ("a version that is none", "GET /api/profiles HTTP/9.9\r\nHost: a\r\nKEY\r\n\r\n"),
    ("a space after the version", "GET /api/profiles HTTP/1.1 \r\nHost: a\r\nKEY\r\n\r\n"),
];

/// What a reader that was led astray would take for a request.
const SMUGGLED: &str = "GET /api/profiles/smuggled HTTP/1.1\r\nHost: a\r\nKEY\r\n\r\n";

fn with_key(text: &str, key: &str) -> String {
    text.replace("KEY", &format!("Authorization: Bearer {key}"))
}

#[test]
fn a_head_that_can_be_read_in_two_ways_is_refused_and_closed() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    for (what, head) in REFUSED {
        let mut client = gateway.connect();
        // The gateway may close before it has taken the rest.
        let _ = client.try_send(with_key(head, &key) + &with_key(SMUGGLED, &key));
        let answer = client.read();
        assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"), "{what}");
        assert_eq!(answer.field("connection"), Some("close"), "{what}");
        client.assert_closed();
    }
    gateway.assert_nothing_passed(&upstream, &key);
}

#[test]
fn chunks_that_can_be_read_in_two_ways_are_refused_and_the_upstream_never_sees_their_end() {
    let upstream = Upstream::start(|connection| {
        while let Some(mut request) = connection.request_head() {
            if !connection.rest(&mut request) {
                connection.note("cut");
                return;
            }
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }
    });
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let bodies = [
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("a negative size", "-5\r\nhello\r\n0\r\n\r\n"),
        ("a size with a plus", "+5\r\nhello\r\n0\r\n\r\n"),
        ("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("a size with a space before it", " 5\r\nhello\r\n0\r\n\r\n"),
        ("a size with a space after it", "5 \r\nhello\r\n0\r\n\r\n"),
        ("a size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("a size that is no number", "five\r\nhello\r\n0\r\n\r\n"),
        ("a bare line feed after the size", "5\nhello\r\n0\r\n\r\n"),
        ("a bare line feed after the data", "5\r\nhello\n0\r\n\r\n"),
        ("more data than the size says", "5\r\nhello!\r\n0\r\n\r\n"),
        ("a bare line feed in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"),
        ("a bare carriage return in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("a bare line feed at the end", "5\r\nhello\r\n0\r\n\n"),
        ("a trailer that is no field", "5\r\nhello\r\n0\r\nnonsense\r\n\r\n"),
    ];
    for (what, body) in bodies {
        let mut client = gateway.connect();
        let head =
            with_key("POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: chunked\r\n\r\n", &key);
        let _ = client.try_send(head + body + &with_key(SMUGGLED, &key));
        let answer = client.read();
        assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"), "{what}");
        client.assert_closed();
    }
    assert_eq!(gateway.get("/api/whoami", &key).status(), 200);
    assert!(!upstream.everything().contains("smuggled"));
    let whole = upstream.requests().iter().filter(|request| request.method() == "POST" && request.whole).count();
    assert_eq!(whole, 0, "a body with a fault came to an end at the upstream");
}

#[test]
fn extensions_that_are_too_long_are_refused_and_the_upstream_never_sees_their_end() {
    let upstream = Upstream::start(|connection| {
        // What is refused at once may leave a connection on which nothing was sent.
        let whole = connection.request_head().is_some_and(|mut request| connection.rest(&mut request));
        connection.note(if whole { "whole" } else { "cut" });
    });
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.create_key(&["--full"]);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    let head = with_key("POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\nTransfer-Encoding: chunked\r\n\r\n", &key);
    let one = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(300));
    let many = format!("1;{}\r\na\r\n", "x".repeat(200)).repeat(100) + "0\r\n\r\n";
    for body in [one, many] {
        let mut client = gateway.connect();
        let _ = client.try_send(head.clone() + &body);
        let answer = client.read();
        assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"));
        client.assert_closed();
    }
    until("the ends of the uploads", || (upstream.noted("cut") == upstream.connections()).then_some(()));
}

#[test]
fn an_expectation_that_is_not_known_cannot_be_met() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let answer =
        gateway.answer(&crate::support::Call::get("/api/profiles").key(&key).field("Expect", "the-impossible"));
    assert_eq!(answer.status(), 417);
    gateway.assert_nothing_passed(&upstream, &key);
}

#[test]
fn what_the_upstream_gets_has_one_framing_that_the_gateway_wrote() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let head = with_key("POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\n", &key);
    let chunked = "transfer-encoding:chunked\r\n\r\n005;name=\"value\"\r\nhello\r\nA;x\r\n0123456789\r\n00\r\nX-Trailer: 1\r\n\r\n";
    assert_eq!(gateway.connect().send(format!("{head}{chunked}")).read().status(), 200);
    let request = upstream.requests().pop().expect("a request");
    assert_eq!(request.body, b"hello0123456789");
    assert_eq!((request.field("transfer-encoding"), request.has("content-length")), (Some("chunked"), false));
    assert!(request.trailers.is_empty(), "the caller's trailers are dropped: {:?}", request.trailers);
    assert!(!String::from_utf8_lossy(&request.body_wire).contains(';'), "chunk extensions are dropped");
    assert_eq!(gateway.connect().send(format!("{head}content-length: 005\r\n\r\nhello")).read().status(), 200);
    let request = upstream.requests().pop().expect("a request");
    assert_eq!((request.field("content-length"), request.has("transfer-encoding")), (Some("5"), false));
    assert_eq!(gateway.connect().send(format!("{head}Content-Length: 0\r\n\r\n")).read().status(), 200);
    assert_eq!(upstream.requests().pop().expect("a request").field("content-length"), Some("0"));
}

#[test]
fn a_caller_that_goes_away_within_its_body_never_looks_complete() {
    let upstream = Upstream::start(|connection| {
        let Some(mut request) = connection.request_head() else {
            return;
        };
        connection.note("head");
        let whole = connection.rest(&mut request);
        connection.note(if whole { "whole" } else { "cut" });
    });
    let gateway = Gateway::in_front_of(&upstream);
    // The upstream answers nothing, not even about the key.
    let key = gateway.create_key(&["--full"]);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    let framings = ["Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"];
    for (framing, count) in framings.into_iter().zip(1..) {
        let mut client = gateway.connect();
        client.send(with_key("POST /api/profiles HTTP/1.1\r\nHost: a\r\nKEY\r\n", &key) + framing);
        // One that goes before there is a connection to the upstream is never sent there.
        until("the head", || (upstream.noted("head") == count).then_some(()));
        client.half_close();
        let (rest, _) = client.read_to_end();
        assert!(!rest.starts_with(b"HTTP/1.1 2"), "{}", rest.escape_ascii());
        until("the cut", || (upstream.noted("cut") == count).then_some(()));
    }
    assert_eq!(upstream.noted("whole"), 0);
}
