use crate::http1::head::{self as http1, Limits};

use crate::proxy::upgrade::{self, Nonce};

use super::*;

fn parts(uri: &str, fields: &[(&str, &str)]) -> request::Parts {
    let mut request = http::Request::builder().method("POST").uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn written(parts: &request::Parts, rest: Rest) -> Vec<u8> {
    let mut out = Vec::new();
    write_request(parts, rest, &mut out).unwrap();
    out
}

/// What the strict reading says of it: `None` where it is good.
fn fault(parts: &request::Parts, rest: Rest) -> Option<String> {
    let bytes = written(parts, rest);
    match http1::request(&bytes, &Limits::default()) {
        Ok(Some(head)) => {
            assert_eq!(head.size, bytes.len(), "one head and nothing behind it");
            None
        }
        Ok(None) => Some("more".to_owned()),
        Err(fault) => Some(fault.to_string()),
    }
}

#[test]
fn a_request_is_written_as_http_1_has_it() {
    let request = parts("http://api.test/a?b=%41", &[("cookie", "a=b"), ("x-a", "1"), ("cookie", "c=d")]);
    let text = String::from_utf8(written(&request, Rest::Body)).unwrap();
    assert_eq!(
        text,
        "POST /a?b=%41 HTTP/1.1\r\nhost: api.test\r\nx-a: 1\r\ncookie: a=b; c=d\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    assert_eq!(fault(&request, Rest::Body), None);
    let request = parts("http://api.test/", &[("content-length", "3")]);
    assert!(!String::from_utf8(written(&request, Rest::Body)).unwrap().contains("transfer-encoding"));
}

#[test]
fn what_contradicts_itself_is_left_for_the_strict_reading_to_refuse() {
    for (uri, fields, says) in [
        ("http://api.test/", &[("host", "other.test")][..], "differs from the authority"),
        ("http://api.test/", &[("host", "api.test"), ("host", "api.test")], "twice"),
        ("http://api.test/", &[("host", "api.test"), ("host", "other.test")], "Host"),
        ("/", &[], "Host"),
        ("/", &[("host", "a"), ("host", "b")], "twice"),
        ("http://user@api.test/", &[], "Host"),
        ("http://api.test/", &[("content-length", "1"), ("content-length", "1")], "twice"),
        ("http://api.test/", &[("content-length", "+1")], "Content-Length"),
    ] {
        let fault = fault(&parts(uri, fields), Rest::Body);
        assert!(fault.as_ref().is_some_and(|fault| fault.contains(says)), "{says}: {uri} {fields:?}: {fault:?}");
    }
    for good in [&[("host", "API.test")][..], &[]] {
        assert_eq!(fault(&parts("http://api.test/", good), Rest::Nothing), None);
    }
    assert_eq!(fault(&parts("/", &[("host", "api.test")]), Rest::Nothing), None);
}

#[test]
fn a_field_that_http_2_has_not_is_never_written() {
    for name in ["connection", "transfer-encoding", "upgrade", "keep-alive", "proxy-connection"] {
        let parts = parts("http://api.test/", &[(name, "x")]);
        let mut out = Vec::new();
        assert_eq!(write_request(&parts, Rest::Nothing, &mut out), None, "{name}");
        let nonce = Nonce::draw().unwrap();
        assert_eq!(handshake::write(&parts, nonce, &mut out), None, "{name}");
    }
}

#[test]
fn a_connect_for_a_websocket_is_written_as_its_handshake() {
    let mut parts = parts("http://api.test/a?b", &[("sec-websocket-version", "13"), ("sec-websocket-key", "mine")]);
    parts.method = Method::CONNECT;
    let nonce = Nonce::draw().unwrap();
    let mut out = Vec::new();
    handshake::write(&parts, nonce, &mut out).unwrap();
    let head = http1::request(&out, &Limits::default()).unwrap().unwrap();
    assert!(upgrade::is_offered(&head));
    assert_eq!((head.method, head.target, head.host), (&b"GET"[..], &b"/a?b"[..], &b"api.test"[..]));
    assert_eq!(Nonce::of(&head), Some(nonce));
    // And back: neither the nonce nor what makes it an upgrade goes on by HTTP/2.
    let head = Written::read(&out).unwrap();
    assert_eq!(handshake::nonce(head), Some(nonce));
    let request = handshake::request(head, &Scheme::HTTPS).unwrap();
    assert!(handshake::is_asked(&request));
    assert_eq!(request.uri(), "https://api.test/a?b");
    assert_eq!(request.headers().keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["sec-websocket-version"]);
    for uri in ["*", "api.test"] {
        parts.uri = Uri::from_static(uri);
        assert_eq!(handshake::write(&parts, nonce, &mut Vec::new()), None, "{uri}");
    }
}

#[test]
fn a_written_head_goes_on_without_the_fields_of_one_hop() {
    let bytes = b"GET /a?b HTTP/1.1\r\nhost: api.test\r\nconnection: close\r\nkeep-alive: 1\r\nX-Own: a\tb\r\ncontent-length: 3\r\n\r\nabc";
    let head = Written::read(bytes).unwrap();
    assert_eq!(
        (head.size, head.request_framing(), head.answer_to()),
        (bytes.len() - 3, Framing::Length(3), AnswerTo::Other)
    );
    let request = head.request(&Scheme::HTTPS).unwrap();
    assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("GET", "https://api.test/a?b"));
    let names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["x-own", "content-length", "te"]);
    assert_eq!(request.headers()["x-own"], "a\tb");
}

#[test]
fn a_target_that_would_change_on_the_way_is_not_sent() {
    for target in ["/a#b", "/a<b", "/a?b=\"", "a", "/\u{e9}\u{1}"] {
        let bytes = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        let head = Written::read(bytes.as_bytes()).unwrap();
        assert!(head.path().is_none(), "{target}");
        assert!(head.request(&Scheme::HTTP).is_none(), "{target}");
    }
}

#[test]
fn the_content_of_an_answer_is_measured_unless_trailers_may_follow() {
    let answer = |status: u16, fields: &[(&str, &str)]| {
        let mut response = http::Response::builder().status(status);
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap().into_parts().0
    };
    for (parts, rest, to, content, line) in [
        (answer(200, &[("content-length", "3")]), Rest::Body, AnswerTo::Other, Content::Measured, "content-length: 3"),
        (answer(200, &[]), Rest::Body, AnswerTo::Other, Content::Chunked, "transfer-encoding: chunked"),
        (
            answer(200, &[("content-length", "3"), ("content-type", "application/grpc")]),
            Rest::Body,
            AnswerTo::Other,
            Content::Chunked,
            "transfer-encoding: chunked",
        ),
        (answer(200, &[]), Rest::Nothing, AnswerTo::Other, Content::None, "content-length: 0"),
        (answer(200, &[("content-length", "3")]), Rest::Nothing, AnswerTo::Head, Content::None, "content-length: 3"),
    ] {
        let mut out = Vec::new();
        assert_eq!(write_answer(&parts, rest, to, &mut out), content);
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains(line), "{text}");
        assert_eq!(text.matches("content-length").count() + text.matches("transfer-encoding").count(), 1, "{text}");
    }
}
