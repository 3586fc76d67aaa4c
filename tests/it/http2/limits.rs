//! What a connection of HTTP/2 may take.

use std::future::poll_fn;

use bytes::Bytes;
use h2::Reason;

use super::eventually;
use crate::support::http2::{Caller, Upstream2, answer_ok, read, run};
use crate::support::{Call, Setup, Upstream};

const OPEN: &str = "  GET|POST /x: { auth: anyone }\n";

#[test]
fn a_head_over_its_limits_is_refused_by_name() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes(OPEN).start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let many = (0..120).fold(caller.head("GET", "/api/x", ""), |head, n| head.header(format!("x-{n}"), "1"));
        let large = caller.head("GET", "/api/x", "").header("x-large", "x".repeat(32 << 10));
        let long = caller.head("GET", &format!("/api/x?{}", "x".repeat(9000)), "");
        for (head, status, code, limit) in [
            (many, 431, "headers_too_large", "`limits.headers`"),
            (large, 431, "headers_too_large", "`limits.header_bytes`"),
            (long, 414, "target_too_long", "`limits.target_bytes`"),
        ] {
            let answer = caller.call(head).await.expect("an answer");
            assert_eq!((answer.status, answer.code().as_str()), (status, code));
            let body = String::from_utf8(answer.body).expect("text");
            assert!(body.contains(limit) && body.matches("`limits.").count() == 1, "{body}");
        }
        // Beyond twice the limits the answer is the library's, which has no body.
        for (kib, answered) in [(60, true), (100, false)] {
            let huge = caller.head("GET", "/api/x", "").header("x-large", "x".repeat(kib << 10));
            let answer = caller.call(huge).await.expect("an answer");
            assert_eq!((answer.status, answer.alone), (431, !answered));
            assert!(!answered || answer.code() == "headers_too_large");
        }
        let bare = || gateway.metric("scopegate_refused_streams_total", &["reason=\"head_too_large\""]);
        eventually("its count", || bare() == 1.0).await;
        assert_eq!(caller.get("/api/x", "").await.status, 200);
    });
}

#[test]
fn a_call_of_grpc_over_its_limits_is_refused_as_grpc() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes(OPEN).config("limits: { body_bytes: 10 }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let call = |caller: &Caller, target: &str| {
            caller.head("POST", target, "").header("content-type", "application/grpc+proto")
        };
        let many = (0..120).fold(call(&caller, "/api/x"), |head, n| head.header(format!("x-{n}"), "1"));
        let large = call(&caller, "/api/x").header("x-large", "x".repeat(32 << 10));
        let long = call(&caller, &format!("/api/x?{}", "x".repeat(9000)));
        let unexpected = call(&caller, "/api/x").header("expect", "more");
        let stated = call(&caller, "/api/x").header("content-length", "11");
        for (head, grpc, words) in [
            (many, "8", "`limits.headers`"),
            (large, "8", "`limits.header_bytes`"),
            (long, "8", "`limits.target_bytes`"),
            (stated, "8", "`limits.body_bytes`"),
            (unexpected, "3", "100-continue"),
        ] {
            let (response, _sending) = caller.begin(head).await;
            let answer = read(response).await.expect("an answer");
            assert_eq!((answer.status, answer.field("grpc-status"), answer.alone), (200, grpc, true), "{words}");
            assert!(answer.field("grpc-message").contains(words), "{}", answer.field("grpc-message"));
        }
        let counted = call(&caller, "/api/x");
        let (response, mut sending) = caller.begin(counted).await;
        sending.send_data(Bytes::from_static(b"more than ten"), false).expect("data");
        let answer = read(response).await.expect("an answer");
        assert_eq!((answer.status, answer.field("grpc-status")), (200, "8"));
    });
}

#[test]
fn a_connection_has_no_more_streams_than_it_may() {
    let upstream = Upstream::start(|connection| {
        while connection.request().is_some() {
            connection.wait_for("go");
            connection.send(crate::support::OK);
        }
    });
    let gateway = Setup::new(&upstream).routes(OPEN).config("limits: { h2_streams: 3 }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        caller.get("/api/none", "").await;
        assert_eq!(caller.requests.current_max_send_streams(), 3);
        let heads: Vec<_> = (0..5).map(|_| caller.head("GET", "/api/x", "")).collect();
        let mut calls = Vec::new();
        for head in heads {
            let mut requests = caller.requests.clone();
            calls.push(tokio::task::spawn_local(async move {
                poll_fn(|cx| requests.poll_ready(cx)).await.expect("a connection");
                let request = head.body(()).expect("a request");
                read(requests.send_request(request, true).expect("a stream").0).await
            }));
        }
        eventually("three requests upstream", || upstream.connections() == 3).await;
        upstream.allow("go");
        for call in calls {
            assert_eq!(call.await.expect("a task").expect("an answer").status, 200);
        }
        assert!(upstream.connections() <= 4, "the other two came later");
    });
}

#[test]
fn a_connection_whose_streams_are_given_up_too_often_is_closed() {
    let upstream = Upstream::start(|connection| {
        connection.request();
        connection.wait_for_close();
    });
    let gateway = Setup::new(&upstream).routes(OPEN).config("limits: { h2_resets: 5/30s }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        for number in 1..=6 {
            let head = caller.head("POST", "/api/x", "");
            let (_response, mut stream) = caller.begin(head).await;
            eventually("the request upstream", || upstream.connections() == number).await;
            stream.send_reset(Reason::CANCEL);
        }
        let ended = caller.over.await.expect("the connection's task");
        let reason = ended.expect_err("a GOAWAY").reason();
        assert_eq!(reason, Some(Reason::ENHANCE_YOUR_CALM));
    });
}

#[test]
fn an_upload_that_is_given_up_before_a_full_window_is_reset_and_makes_room_for_others() {
    let upstream = Upstream2::start(|shared, request, mut respond| async move {
        if request.uri().query() == Some("stalls") {
            // What is not read takes up the window of the whole connection.
            shared.note("stalled");
            let reason = poll_fn(|cx| respond.poll_reset(cx)).await;
            shared.note(if reason.is_ok_and(|reason| reason == Reason::CANCEL) { "cancelled" } else { "lost" });
        } else if shared.whole(request).await.is_some() {
            answer_ok(&mut respond);
        }
    });
    let setup = Setup::for_url(&upstream.url()).upstream("  protocol: h2c").routes(OPEN);
    let gateway = setup.config("workers: 1\nlimits: { body_stall: 1s }").start();
    let mut client = gateway.connect();
    client.send(Call::post("/api/x?stalls").body(vec![b'x'; 128 << 10]).bytes());
    upstream.wait_for("stalled");
    drop(client);
    upstream.wait_for("cancelled");
    let answer = gateway.answer(&Call::post("/api/x").body("small"));
    assert_eq!((answer.status(), upstream.connections()), (200, 1), "{}", answer.text());
}

#[test]
fn a_connection_without_streams_is_closed_after_its_idle_time() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes(OPEN).config("limits: { idle: 2s }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        assert_eq!(caller.get("/api/x", "").await.status, 200);
        assert!(caller.over.await.expect("the connection's task").is_ok(), "in order");
    });
}

#[test]
fn a_connection_ends_after_as_many_requests_as_it_may_carry() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes(OPEN).config("limits: { requests_per_connection: 2 }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        for _ in 0..2 {
            assert_eq!(caller.get("/api/x", "").await.status, 200);
        }
        assert!(caller.over.await.expect("the connection's task").is_ok(), "in order");
    });
}

#[test]
fn a_connection_ends_when_it_is_old() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes(OPEN).config("limits: { connection_age: 1s }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        assert_eq!(caller.get("/api/x", "").await.status, 200);
        assert!(caller.over.await.expect("the connection's task").is_ok(), "in order");
    });
}

#[test]
fn a_drain_finishes_the_streams_and_says_goodbye() {
    let upstream = Upstream::start(|connection| {
        connection.request();
        connection.note("asked");
        connection.wait_for("go");
        connection.send(crate::support::OK);
    });
    let gateway = Setup::new(&upstream).routes(OPEN).start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.head("POST", "/api/x", "");
        let (response, mut stream) = caller.begin(head).await;
        stream.send_data(Bytes::from_static(b"x"), true).expect("data");
        let waiting = tokio::task::spawn_local(read(response));
        eventually("the request upstream", || upstream.noted("asked") == 1).await;
        gateway.process.signal("TERM");
        eventually("it to be unready", || !gateway.is_ready()).await;
        assert!(caller.is_open(), "callers there are that lose what is open by a GOAWAY");
        upstream.allow("go");
        let answer = waiting.await.expect("a task").expect("an answer");
        assert_eq!((answer.status, answer.body.as_slice()), (200, b"ok".as_slice()));
        assert!(caller.over.await.expect("the connection's task").is_ok(), "in order");
    });
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn a_caller_whose_streams_go_on_is_told_of_the_end_when_half_of_its_time_is_over() {
    let upstream = Upstream::start(|connection| {
        connection.request();
        connection.note("asked");
        connection.wait_for("go");
        connection.send(crate::support::OK);
    });
    let gateway = Setup::new(&upstream).routes(OPEN).config("drain: { delay: 2s, timeout: 10s }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let (response, mut stream) = caller.begin(caller.head("POST", "/api/x", "")).await;
        stream.send_data(Bytes::new(), true).expect("data");
        eventually("the request upstream", || upstream.noted("asked") == 1).await;
        gateway.process.signal("TERM");
        eventually("a GOAWAY", || !caller.is_open()).await;
        upstream.allow("go");
        assert_eq!(read(response).await.expect("an answer").status, 200);
    });
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn a_caller_who_takes_nothing_costs_little_memory_and_loses_the_stream() {
    let upstream = Upstream::start(|connection| {
        connection.request_head();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let block = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        while connection.send(&block) {}
        connection.note("gone");
    });
    let gateway = Setup::new(&upstream).routes(OPEN).config("limits: { write_stall: 2s }").start();
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let before = gateway.memory("VmRSS");
        let mut streams = Vec::new();
        for _ in 0..20 {
            let head = caller.head("POST", "/api/x", "");
            let (response, stream) = caller.begin(head).await;
            streams.push((response.await.expect("an answer"), stream));
        }
        eventually("the upstream to be rid of all", || upstream.noted("gone") == 20).await;
        let grown = gateway.memory("VmHWM").saturating_sub(before);
        assert!(grown < 20 * 1024, "{grown} KiB for 20 streams");
        assert_eq!(caller.get("/api/none", "").await.status, 401, "the connection goes on");
    });
}
