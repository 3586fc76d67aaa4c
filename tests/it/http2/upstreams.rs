//! Upstreams of HTTP/2, and what they are told.

mod again; // What is sent a second time.
mod worn; // Connections that are not used any further.

use std::sync::Arc;

use bytes::Bytes;
use h2::Reason;
use http::{HeaderMap, Response};

use super::eventually;
use crate::support::certificate::Authority;
use crate::support::http2::{Caller, Upstream2, answer_ok, read, run};
use crate::support::{Call, Gateway, Setup, Upstream, Vacant, until};

const ROUTES: &str = "  GET|POST /x: { auth: key }\n  GET /open: { auth: anyone }\n";

fn in_front_of(upstream: &Upstream2) -> Gateway {
    Setup::for_url(&upstream.url()).upstream("  protocol: h2c").routes(ROUTES).config("workers: 1").start()
}

#[test]
fn callers_of_http_1_reach_an_upstream_of_http_2() {
    let upstream = Upstream2::ok();
    let gateway = in_front_of(&upstream);
    let key = gateway.key(&["--no-scopes"]);
    let call =
        Call::post("/api/x?a=%41").key(&key).field("Connection", "x-hop").field("X-Hop", "1").field("TE", "gzip");
    let host = host_of(&call);
    let answer = gateway.answer(&call.chunks(&["abc", "de"]));
    assert_eq!((answer.status(), answer.body_text().as_str()), (200, "ok"), "{}", answer.text());
    let seen = upstream.seen().pop().expect("a request");
    assert_eq!((seen.method.as_str(), seen.body.as_slice()), ("POST", b"abcde".as_slice()));
    assert_eq!(seen.uri, format!("http://{host}/api/x?a=%41"));
    assert_eq!(seen.fields["te"], "trailers");
    assert_eq!(seen.fields["via"], "1.1 scopegate");
    for gone in ["connection", "x-hop", "transfer-encoding", "authorization", "host"] {
        assert!(!seen.fields.contains_key(gone), "{gone}");
    }
    assert!(seen.fields.contains_key("x-scopegate-key-id"));
}

fn host_of(call: &Call) -> String {
    let text = String::from_utf8(call.bytes()).expect("text");
    let line = text.lines().find_map(|line| line.strip_prefix("Host: ")).expect("a Host");
    line.to_owned()
}

#[test]
fn many_requests_share_one_connection() {
    let upstream = Upstream2::ok();
    let gateway = in_front_of(&upstream);
    let key = gateway.key(&["--no-scopes"]);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert_eq!(gateway.get("/api/x", &key).status(), 200);
                }
            });
        }
    });
    assert_eq!(upstream.connections(), 1);
    assert_eq!(gateway.metric("scopegate_connections", &["upstream"]), 1.0);
}

#[test]
fn trailers_pass_both_ways_between_two_sides_of_http_2_and_no_credential_among_them() {
    let upstream = Upstream2::start(|shared, request, mut respond| async move {
        shared.whole(request).await;
        let Ok(mut stream) = respond.send_response(Response::new(()), false) else { return };
        let _ = stream.send_data(Bytes::from_static(b"ok"), false);
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", "0".parse().expect("a value"));
        trailers.insert("set-cookie", "a=b".parse().expect("a value"));
        let _ = stream.send_trailers(trailers);
    });
    let gateway = Setup::for_url(&upstream.url())
        .upstream("  protocol: h2c\n  credential: { header: X-Vendor, value: real }")
        .routes(ROUTES)
        .start();
    let key = gateway.key(&["--no-scopes"]);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.head("POST", "/api/x", &key);
        let (response, mut stream) = caller.begin(head).await;
        stream.send_data(Bytes::from_static(b"abc"), false).expect("data");
        let mut trailers = HeaderMap::new();
        for name in ["x-sum", "x-api-key", "x-vendor", "x-scopegate-key-id", "authorization", "content-length", "x_odd"]
        {
            trailers.insert(name, key.parse().expect("a value"));
        }
        trailers.insert("x-sum", "7".parse().expect("a value"));
        stream.send_trailers(trailers).expect("trailers");
        let answer = read(response).await.expect("an answer");
        assert_eq!((answer.status, answer.reset), (200, None));
        assert_eq!(answer.trailers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["grpc-status"]);
    });
    let seen = upstream.seen().pop().expect("a request");
    assert_eq!(seen.trailers.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["x-sum"]);
    assert_eq!(seen.fields["x-vendor"], "real");
}

#[test]
fn a_caller_who_goes_away_resets_the_upstreams_stream() {
    let upstream = Upstream2::start(|shared, request, mut respond| async move {
        let path = request.uri().path().to_owned();
        let mut body = request.into_body();
        if path == "/api/x" {
            let started = respond.send_response(Response::new(()), false);
            shared.note("begun");
            if let Ok(mut stream) = started {
                let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
                assert_eq!(reason.ok(), Some(Reason::CANCEL));
                shared.note("reset");
            }
        } else {
            while body.data().await.is_some() {}
            answer_ok(&mut respond);
        }
    });
    let gateway = in_front_of(&upstream);
    let key = gateway.key(&["--no-scopes"]);
    let mut client = gateway.connect();
    client.send(Call::get("/api/x").key(&key).bytes());
    upstream.wait_for("begun");
    drop(client);
    upstream.wait_for("reset");
    assert_eq!(gateway.get("/api/whoami", &key).status(), 200, "the connection goes on");
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_stream_that_the_upstream_resets_is_502_before_its_answer_and_broken_off_after_it() {
    let upstream = Upstream2::start(|shared, request, mut respond| async move {
        match request.uri().query() {
            Some("before") => respond.send_reset(Reason::INTERNAL_ERROR),
            Some("after") => {
                let head = Response::builder().header("content-length", "5").body(()).expect("a head");
                if let Ok(mut stream) = respond.send_response(head, false) {
                    let _ = stream.send_data(Bytes::from_static(b"abc"), false);
                    // Otherwise the reset overtakes what is not written yet.
                    shared.sent().await;
                    stream.send_reset(Reason::INTERNAL_ERROR);
                }
            }
            _ => {
                shared.whole(request).await;
                answer_ok(&mut respond);
            }
        }
    });
    let gateway = in_front_of(&upstream);
    let key = gateway.key(&["--no-scopes"]);
    let answer = gateway.answer(&Call::post("/api/x?before").key(&key).body("x"));
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_failed"));
    assert!(!gateway.get("/api/x?after", &key).whole);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        assert_eq!(caller.get("/api/x?before", &key).await.status, 502);
        assert_eq!(caller.get("/api/x?after", &key).await.reset, Some(Reason::INTERNAL_ERROR));
    });
}

#[test]
fn messages_go_both_ways_at_once() {
    let upstream = Upstream2::start(|_, request, mut respond| async move {
        let Ok(mut stream) = respond.send_response(Response::new(()), false) else { return };
        let mut body = request.into_body();
        while let Some(Ok(data)) = body.data().await {
            let _ = body.flow_control().release_capacity(data.len());
            let _ = stream.send_data(data, false);
        }
        let _ = stream.send_data(Bytes::new(), true);
    });
    let gateway = in_front_of(&upstream);
    // Its own key is asked for with a route that echoes nothing.
    let key = gateway.create_key(&["--no-scopes"]);
    until("the key", || (gateway.get("/api/none", &key).status() == 403).then_some(()));
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.head("POST", "/api/x", &key);
        let (response, mut stream) = caller.begin(head).await;
        let mut body = response.await.expect("an answer before the request is over").into_body();
        for number in 0..50 {
            let message = format!("message {number}");
            stream.send_data(Bytes::from(message.clone()), false).expect("data");
            assert_eq!(body.data().await.expect("an echo").expect("its data"), message);
        }
        stream.send_data(Bytes::new(), true).expect("the end");
        assert!(body.data().await.is_none_or(|data| data.is_ok_and(|data| data.is_empty())));
    });
}

#[test]
fn an_upstream_with_tls_is_asked_for_http_2_and_one_that_has_none_is_told_of() {
    let authority = Authority::new();
    for (protocols, status) in [(&[b"h2".to_vec()][..], 200), (&[][..], 503), (&[b"http/1.1".to_vec()][..], 503)] {
        let mut tls = (*authority.server("localhost")).clone();
        tls.alpn_protocols = protocols.to_vec();
        let upstream = Upstream2::start_with(Some(Arc::new(tls)), |shared, request, mut respond| async move {
            shared.whole(request).await;
            answer_ok(&mut respond);
        });
        let url = format!("https://localhost:{}", upstream.address.port());
        // On a busy machine a handshake takes longer than the second that it has by default.
        let lines = "  protocol: h2\n  tls: { ca: ca.pem }\n  timeouts: { connect: 20s }";
        let setup = Setup::for_url(&url).upstream(lines).routes(ROUTES);
        std::fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("the certificate");
        let gateway = setup.start();
        assert_eq!(gateway.get("/api/open", "").status(), status, "{protocols:?}");
        if status == 200 {
            assert!(upstream.seen().pop().expect("a request").uri.starts_with("https://localhost:"));
        } else {
            gateway.process.wait_for("what is wrong", |said| said.contains("upstream.protocol: h1").then_some(()));
        }
    }
}

#[test]
fn an_upstream_that_does_not_speak_http_2_has_failed_and_the_log_says_why() {
    let upstream = Upstream::start(|connection| {
        connection.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        connection.wait_for_close();
    });
    let gateway = Setup::new(&upstream).upstream("  protocol: h2c").routes(ROUTES).start();
    let answer = gateway.answer(&Call::get("/api/open"));
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_failed"));
    gateway.process.wait_for("what is wrong", |said| said.contains("does not keep to HTTP/2").then_some(()));
}

#[test]
fn an_upstream_that_is_not_there_is_unavailable_to_everybody_who_waits() {
    let nobody = Vacant::new();
    let gateway = Setup::for_url(&nobody.url()).upstream("  protocol: h2c").routes(ROUTES).start();
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                let answer = gateway.answer(&Call::get("/api/open"));
                assert_eq!((answer.status(), answer.code().as_str()), (503, "upstream_unreachable"));
            });
        }
    });
}

#[test]
fn a_target_that_http_2_cannot_carry_is_refused_before_it_is_sent() {
    let upstream = Upstream2::ok();
    let gateway = in_front_of(&upstream);
    for target in ["/api/open?a=<", "/api/open?a=>", "/api/open?a=\""] {
        let answer = gateway.answer(&Call::get(target));
        assert_eq!((answer.status(), answer.code().as_str()), (400, "bad_request"), "{target}");
    }
    for byte in (b'!'..=b'~').filter(|byte| !b"#%<>\"".contains(byte)) {
        let target = format!("/api/open?a={}", char::from(byte));
        assert_eq!(gateway.answer(&Call::get(&target)).status(), 200, "{target}");
        let uri = upstream.seen().pop().expect("a request").uri;
        assert!(uri.ends_with(&target), "{target} became {uri}");
    }
}

#[test]
fn a_connection_that_rests_for_too_long_is_closed_and_replaced() {
    let upstream = Upstream2::ok();
    let gateway = Setup::for_url(&upstream.url())
        .upstream("  protocol: h2c\n  timeouts: { idle: 300ms }")
        .routes(ROUTES)
        .config("workers: 1")
        .start();
    run(async {
        assert_eq!(gateway.answer(&Call::get("/api/open")).status(), 200);
        eventually("the idle connection to end", || gateway.metric("scopegate_connections", &["upstream"]) == 0.0)
            .await;
        assert_eq!(gateway.answer(&Call::get("/api/open")).status(), 200);
    });
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn an_upstream_that_says_goodbye_finishes_what_it_has_and_is_connected_to_anew() {
    let upstream = Upstream2::start(|shared, request, mut respond| async move {
        let leaves = request.headers().contains_key("x-goodbye");
        shared.whole(request).await;
        if leaves {
            shared.note("leaving");
            eventually("another connection", || shared.connections() == 2).await;
        }
        answer_ok(&mut respond);
    });
    let gateway = in_front_of(&upstream);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| gateway.answer(&Call::get("/api/open").field("X-Goodbye", "1")));
        upstream.wait_for("leaving");
        until("a request on another connection", || {
            assert_eq!(gateway.answer(&Call::get("/api/open")).status(), 200);
            (upstream.connections() == 2).then_some(())
        });
        assert_eq!(first.join().expect("an answer").status(), 200);
    });
}

#[test]
fn answers_without_a_body_stay_without_and_interim_ones_pass() {
    let upstream = Upstream2::start(|shared, request, mut respond| async move {
        let query = request.uri().query().unwrap_or_default().to_owned();
        shared.whole(request).await;
        let hints = Response::builder().status(103).header("link", "</a>").body(()).expect("a head");
        let _ = respond.send_informational(hints);
        let head = match query.as_str() {
            "head" => Response::builder().header("content-length", "5"),
            "304" => Response::builder().status(304).header("content-length", "7").header("etag", "\"a\""),
            status => Response::builder().status(status.parse::<u16>().expect("a status")),
        };
        let _ = respond.send_response(head.body(()).expect("a head"), true);
    });
    let gateway = in_front_of(&upstream);
    let mut client = gateway.connect();
    for (method, query, status, length) in [
        ("HEAD", "head", 200, Some("5")),
        ("GET", "204", 204, None),
        ("GET", "304", 304, Some("7")),
        ("GET", "200", 200, Some("0")),
    ] {
        let answer = client.send(Call::new(method, &format!("/api/open?{query}")).bytes()).read();
        assert_eq!((answer.status(), answer.field("content-length")), (status, length), "{query}");
        assert_eq!(answer.interim.iter().map(|head| head.status()).collect::<Vec<_>>(), [103], "{query}");
        assert!(answer.body.is_empty() && answer.whole && !answer.has("transfer-encoding"), "{query}");
    }
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        for (method, query, status) in
            [("HEAD", "head", 200), ("GET", "204", 204), ("GET", "304", 304), ("GET", "200", 200)]
        {
            let head = caller.head(method, &format!("/api/open?{query}"), "");
            let answer = caller.call(head).await.expect("an answer");
            assert_eq!(
                (answer.status, answer.body.len(), answer.alone, answer.reset),
                (status, 0, true, None),
                "{query}"
            );
        }
    });
}

#[test]
fn an_upstream_of_http_2_may_listen_on_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("up.sock");
    let listener = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    listener.set_nonblocking(true).expect("a listener for the runtime");
    std::thread::spawn(move || {
        run(async {
            let listener = tokio::net::UnixListener::from_std(listener).expect("a listener");
            let (stream, _) = listener.accept().await.expect("a connection");
            let mut connection = h2::server::handshake(stream).await.expect("a handshake");
            while let Some(Ok((_, mut respond))) = connection.accept().await {
                answer_ok(&mut respond);
            }
        });
    });
    let setup = Setup::for_url(&format!("unix:{}", path.display())).upstream("  protocol: h2c");
    let gateway = setup.routes(ROUTES).config("workers: 1").start();
    assert_eq!(gateway.answer(&Call::get("/api/open")).body_text(), "ok");
}
