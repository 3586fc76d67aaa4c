//! Callers of HTTP/2 before an upstream of HTTP/1.1.

mod grpc; // How callers of gRPC are refused, and how long their messages may take.

use std::future::poll_fn;

use bytes::Bytes;
use h2::Reason;
use http::HeaderMap;

use super::eventually;
use crate::support::http2::{Caller, read, run};
use crate::support::{Call, Gateway, Setup, Upstream};

/// The gateway's number of open connections on a side.
fn open(gateway: &Gateway, side: &str) -> f64 {
    gateway.metric("scopegate_connections", &[side])
}

#[test]
fn a_request_over_http_2_is_judged_and_forwarded_as_over_http_1() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.head("GET", "/api/profiles?x=%41", &key).header("te", "trailers");
        let head = head.header("cookie", "a=b").header("cookie", "c=d").header("x-own", "1").header("x-own", "2");
        let answer = caller.call(head).await.expect("an answer");
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"ok".as_slice()));
        assert_eq!(answer.field("content-length"), "2");
        assert!(!answer.field("x-request-id").is_empty());
    });
    let request = upstream.requests().pop().expect("a request");
    assert_eq!(request.start, "GET /api/profiles?x=%41 HTTP/1.1");
    assert_eq!(request.field("host"), Some(gateway.address().to_string().as_str()));
    assert_eq!(request.field("cookie"), Some("a=b; c=d"));
    assert_eq!(request.all("x-own"), ["1", "2"]);
    assert_eq!(request.field("via"), Some("2.0 scopegate"));
    assert_eq!(
        (request.has("authorization"), request.has("te"), request.has("transfer-encoding")),
        (false, false, false)
    );
    assert_eq!(request.field("x-scopegate-scopes"), Some("profiles:read"));
    assert!(!upstream.everything().contains(&key), "no key passes");
}

#[test]
fn a_body_goes_on_by_its_length_or_in_chunks() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        for length in [Some("11"), None] {
            let mut head = caller.head("POST", "/api/profiles", &key);
            if let Some(length) = length {
                head = head.header("content-length", length);
            }
            let (response, mut stream) = caller.begin(head).await;
            stream.send_data(Bytes::from_static(b"hello "), false).expect("data");
            stream.send_data(Bytes::from_static(b"world"), false).expect("data");
            let mut trailers = HeaderMap::new();
            trailers.insert("x-sum", "1".parse().expect("a value"));
            stream.send_trailers(trailers).expect("trailers");
            assert_eq!(read(response).await.expect("an answer").status, 200);
        }
    });
    let requests = upstream.requests();
    let [.., measured, chunked] = requests.as_slice() else { panic!("two requests") };
    assert_eq!((measured.field("content-length"), measured.body_text().as_str()), (Some("11"), "hello world"));
    assert_eq!((chunked.field("transfer-encoding"), chunked.body_text().as_str()), (Some("chunked"), "hello world"));
    assert!(chunked.trailers.is_empty(), "HTTP/1.1 gets no trailers of the caller's");
}

#[test]
fn every_target_gets_the_same_verdict_as_over_http_1() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes("  ANY /{*rest}: { auth: key }\n  GET /own: a:read\n").start();
    let key = gateway.key(&["--no-scopes"]);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        for target in [
            "/api/a",
            "/api/a/",
            "/api/own",
            "/api/Own",
            "/api/own/",
            "/api/a%20b",
            "/api/a?b=%zz",
            "/api/a?b#",
            "/api/a//b",
            "/api/a/../b",
            "/api/./a",
            "/api/a/%2e%2e/b",
            "/api/a%2fb",
            "/api/a%5cb",
            "/api/a%00b",
            "/api/a%252fb",
            "/api/a;b",
            "/api/a%",
            "/api/a%zz",
            "/api/a%0ab",
            "//api/a",
            "/other",
            "/api/a?_method=DELETE",
            "/api/a?x={y}",
            "/api/$a:b@c",
        ] {
            let before = gateway.get(target.trim_end_matches('#'), &key);
            let head = caller.head("GET", "/", &key).uri(format!("http://{}{target}", gateway.address()));
            let after = caller.call(head).await.expect("an answer");
            assert_eq!(after.status, before.status(), "{target}");
            if before.status() == 200 {
                let seen = upstream.requests();
                let [.., over_1, over_2] = seen.as_slice() else { panic!("two requests") };
                assert_eq!(over_1.target(), over_2.target(), "what is forwarded is what was judged");
            } else {
                assert_eq!(after.code(), before.code(), "{target}");
            }
        }
    });
}

/// A frame of HTTP/2, put together by hand.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A field of a header block, neither indexed nor compressed (RFC 7541 6.2.2).
fn literal(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

#[test]
fn what_a_path_has_behind_a_number_sign_is_neither_judged_nor_forwarded() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes("  GET /a: { auth: anyone }\n  GET /b: { auth: deny }\n").start();
    let authority = gateway.address().to_string();
    for (number, path, forwarded) in
        [(1, "/api/a#/../b", Some("/api/a")), (2, "/api/a?x#&y", Some("/api/a?x")), (3, "/api/b#/../a", None)]
    {
        // A client of the `h2` crate would cut it off itself.
        let fields = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", &authority)];
        let block: Vec<u8> = fields.iter().flat_map(|(name, value)| literal(name, value)).collect();
        let frames = [frame(4, 0, 0, &[]), frame(1, 5, 1, &block)].concat();
        let mut client = gateway.connect();
        client.send([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &frames].concat());
        let seen = || gateway.metric("scopegate_requests_total", &["method=\"GET\""]) == f64::from(number);
        crate::support::until("the request", || seen().then_some(()));
        if let Some(forwarded) = forwarded {
            assert_eq!(upstream.next_request().target(), forwarded);
        }
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn no_key_is_logged_of_what_the_frames_carry() {
    let upstream = Upstream::ok();
    let setup =
        Setup::new(&upstream).keys("  accept: [bearer, query: key]").config("log: { level: trace, format: json }");
    let gateway = setup.start();
    let key = gateway.key(&["--full"]);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        assert_eq!(caller.get("/api/profiles", &key).await.status, 200);
        assert_eq!(caller.get(&format!("/api/profiles?key={key}"), "").await.status, 200);
    });
    gateway.process.signal("TERM");
    gateway.process.exit_code();
    assert!(!gateway.process.last_words().contains(&key));
}

#[test]
fn a_refusal_arrives_while_the_body_is_still_on_its_way() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.head("POST", "/api/profiles", "");
        let (response, mut stream) = caller.begin(head).await;
        stream.send_data(Bytes::from(vec![0; 10_000]), false).expect("data");
        assert_eq!(read(response).await.expect("an answer").code(), "missing_key");
        let reason = poll_fn(|cx| stream.poll_reset(cx)).await.expect("the end of the stream");
        assert_eq!(reason, Reason::NO_ERROR, "the caller may stop sending, and nothing went wrong");
        assert_eq!(caller.get("/api/health", "").await.status, 200, "the connection goes on");
    });
}

#[test]
fn an_answer_passes_with_its_interim_heads_and_its_trailers() {
    let upstream = Upstream::start(|connection| {
        while connection.request().is_some() {
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: x-hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\n\r\n");
            connection.send("2\r\nok\r\n0\r\nX-Sum: 7\r\nSet-Cookie: a=b\r\n\r\n");
        }
    });
    let gateway = Gateway::in_front_of(&upstream);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller
            .head("POST", "/api/health", "")
            .uri(format!("http://{}/api/health", gateway.address()))
            .method("GET");
        let (mut response, mut stream) = caller.begin(head).await;
        stream.send_data(Bytes::new(), true).expect("the end");
        let interim =
            poll_fn(|cx| response.poll_informational(cx)).await.expect("an interim answer").expect("its head");
        assert_eq!((interim.status().as_u16(), interim.headers()["link"].as_bytes()), (103, b"</a>".as_slice()));
        let answer = read(response).await.expect("an answer");
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"ok".as_slice()));
        for gone in ["connection", "keep-alive", "transfer-encoding", "x-hop"] {
            assert!(!answer.fields.contains_key(gone), "{gone}");
        }
        assert_eq!(answer.trailers["x-sum"], "7");
        assert_eq!(answer.trailers.len(), 1, "{:?}", answer.trailers);
    });
}

#[test]
fn an_answer_that_breaks_off_ends_in_a_reset() {
    for start in ["Content-Length: 5\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"] {
        let upstream = Upstream::start(move |connection| {
            if connection.request().is_some_and(|request| request.target() == "/api/health") {
                connection.send(format!("HTTP/1.1 200 OK\r\n{start}"));
            }
        });
        let gateway = Gateway::in_front_of(&upstream);
        run(async {
            let mut caller = Caller::connect(gateway.address()).await;
            let answer = caller.get("/api/health", "").await;
            assert_eq!((answer.body.as_slice(), answer.reset), (b"abc".as_slice(), Some(Reason::INTERNAL_ERROR)));
        });
    }
}

#[test]
fn a_stream_that_is_reset_cancels_the_request_and_frees_everything() {
    let upstream = Upstream::start(|connection| {
        if connection.request_head().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
            connection.wait_for_close();
        }
    });
    let gateway = Setup::new(&upstream).routes("  GET|POST /x: { auth: anyone }\n").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let mut streams = Vec::new();
        for _ in 0..10 {
            let head = caller.head("POST", "/api/x", "");
            let (response, stream) = caller.begin(head).await;
            streams.push((response.await.expect("an answer"), stream));
        }
        assert_eq!(
            (open(&gateway, "downstream"), open(&gateway, "upstream")),
            (1.0, 10.0),
            "streams are no connections"
        );
        drop(streams);
        eventually("the upstream's connections to end", || open(&gateway, "upstream") == 0.0).await;
        eventually("the requests to be counted", || {
            gateway.metric("scopegate_requests_total", &["route=\"POST /api/x\""]) == 10.0
        })
        .await;
        assert_eq!(open(&gateway, "downstream"), 1.0);
    });
    upstream.wait_for("gone");
    crate::support::until("the connection to end", || (open(&gateway, "downstream") == 0.0).then_some(()));
}

#[test]
fn a_host_that_differs_from_the_authority_is_refused() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let authority = gateway.address().to_string();
        for (host, status) in [("other.test", 400), (authority.as_str(), 200)] {
            let head = caller.head("GET", "/api/health", "").header("host", host);
            assert_eq!(caller.call(head).await.expect("an answer").status, status, "{host}");
        }
    });
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_caller_who_asks_first_is_told_to_go_on_only_when_he_may() {
    let upstream = Upstream::start(|connection| {
        while let Some(mut request) = connection.request_head() {
            if request.has("expect") {
                connection.send("HTTP/1.1 100 Continue\r\n\r\n");
            }
            connection.rest(&mut request);
            connection.send(crate::support::OK);
        }
    });
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.head("POST", "/api/profiles", &key).header("expect", "100-continue");
        let (mut response, mut stream) = caller.begin(head).await;
        let interim = poll_fn(|cx| response.poll_informational(cx)).await.expect("an answer").expect("its head");
        assert_eq!(interim.status(), 100);
        stream.send_data(Bytes::from_static(b"{}"), true).expect("data");
        assert_eq!(read(response).await.expect("an answer").status, 200);
        let head = caller.head("POST", "/api/profiles", "").header("expect", "100-continue");
        let (mut response, _stream) = caller.begin(head).await;
        assert!(poll_fn(|cx| response.poll_informational(cx)).await.is_none(), "no 100 for what is denied");
        assert_eq!(read(response).await.expect("an answer").status, 401);
    });
}

#[test]
fn http_1_is_spoken_on_the_same_port_and_never_after_http_2() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    assert_eq!(gateway.answer(&Call::get("/api/health")).status(), 200);
    let mut client = gateway.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /api/health HTTP/1.1\r\nHost: a\r\n\r\n");
    let (said, _) = client.read_to_end();
    assert!(!String::from_utf8_lossy(&said).contains("HTTP/1.1"), "no request is seen in it");
    let mut client = gateway.connect();
    client.send("GET /api/health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read().status(), 200);
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(client.read().status(), 400, "in the middle of HTTP/1.1 it is no request");
    assert_eq!(upstream.requests().len(), 2);
}
