//! What is sent to an upstream of HTTP/2 a second time, and what is not.

use super::*;

#[test]
fn a_request_that_the_upstream_refused_is_sent_again_where_that_is_safe() {
    let refused = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = Arc::clone(&refused);
    let upstream = Upstream2::start(move |shared, request, mut respond| {
        let first = request.uri().path() == "/api/x" && count.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
        async move {
            if first {
                respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                shared.whole(request).await;
                answer_ok(&mut respond);
            }
        }
    });
    let gateway = in_front_of(&upstream);
    let key = gateway.key(&["--no-scopes"]);
    assert_eq!(gateway.get("/api/x", &key).status(), 200);
    assert_eq!(refused.load(std::sync::atomic::Ordering::SeqCst), 2);
}

#[test]
fn what_the_upstream_says_that_it_did_nothing_of_is_sent_once_more_body_and_all() {
    let upstream = Upstream2::start(move |shared, request, mut respond| {
        async move {
            if shared.notes_first("seen") || request.uri().query() == Some("never") {
                // The body has come by then.
                let mut body = request.into_body();
                while let Some(Ok(data)) = body.data().await {
                    let _ = body.flow_control().release_capacity(data.len());
                }
                respond.send_reset(Reason::REFUSED_STREAM);
            } else {
                shared.whole(request).await;
                answer_ok(&mut respond);
            }
        }
    });
    let gateway = in_front_of(&upstream);
    let key = gateway.create_key(&["--no-scopes"]);
    until("the key", || (gateway.get("/api/none", &key).status() == 403).then_some(()));
    let post = |target: &str| Call::post(target).key(&key);
    assert_eq!(gateway.answer(&post("/api/x").chunks(&["abc", "de"])).status(), 200);
    assert_eq!(upstream.seen().pop().expect("a request").body, b"abcde");
    let refused = gateway.answer(&post("/api/x?never").body("x"));
    assert_eq!(
        (refused.status(), refused.code().as_str(), refused.field("retry-after")),
        (503, "overloaded", Some("1"))
    );
    assert!(refused.text().contains("has done nothing of this one (REFUSED_STREAM)"), "{}", refused.text());
    assert_eq!(upstream.notes().len(), 4, "once more, and not again");
    let large = "a".repeat(1 << 20);
    assert_eq!(gateway.answer(&post("/api/x?never").body(&large)).status(), 503);
    assert_eq!(upstream.notes().len(), 5, "a body that is not kept whole is not sent again");
}

#[test]
fn what_came_behind_the_last_stream_of_a_connection_is_sent_on_another_for_nothing() {
    let upstream = Upstream::start(|connection| {
        connection.until("hello");
        connection.send(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00");
        if connection.number == 0 {
            // GOAWAY: no stream was taken up, and no error.
            connection.send(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00");
        } else {
            // The status 200, and the end of the stream.
            connection.send(b"\x00\x00\x01\x01\x05\x00\x00\x00\x01\x88");
        }
        connection.wait_for_close();
    });
    let lines = "  protocol: h2c\n  retries: { budget: 0% }";
    let gateway = Setup::for_url(&upstream.url()).upstream(lines).routes(ROUTES).config("workers: 1").start();
    let key = gateway.create_key(&["--no-scopes"]);
    until("the key", || (gateway.get("/api/none", &key).status() == 403).then_some(()));
    assert_eq!(gateway.answer(&Call::post("/api/x").key(&key).body("hello")).status(), 200);
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn what_an_upstream_may_have_carried_out_before_it_went_away_is_not_sent_again() {
    let upstream = Upstream::start(|connection| {
        connection.until("hello");
        connection.send(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00");
        // GOAWAY: the first stream was the last that was taken up. No answer comes to it.
        connection.send(b"\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00");
    });
    let gateway = Setup::for_url(&upstream.url()).upstream("  protocol: h2c").routes(ROUTES).start();
    let key = gateway.create_key(&["--no-scopes"]);
    until("the key", || (gateway.get("/api/none", &key).status() == 403).then_some(()));
    let answer = gateway.answer(&Call::post("/api/x").key(&key).body("hello"));
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_failed"), "{}", answer.text());
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn no_more_is_asked_of_an_upstream_at_once_than_it_takes_though_it_says_so_late() {
    let upstream = Upstream2::start_late(
        h2::server::Builder::new().max_concurrent_streams(5),
        |shared, request, mut respond| async move {
            if shared.whole(request).await.is_some() {
                answer_ok(&mut respond);
            }
        },
    );
    let lines = "  protocol: h2c\n  retries: { budget: 0% }";
    let gateway = Setup::for_url(&upstream.url()).upstream(lines).routes(ROUTES).config("workers: 1").start();
    let key = gateway.create_key(&["--no-scopes"]);
    until("the key", || (gateway.get("/api/none", &key).status() == 403).then_some(()));
    let mut clients: Vec<_> = (0..30).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send(Call::post("/api/x").key(&key).body("hello").bytes());
    }
    for client in &mut clients {
        let answer = client.read();
        assert_eq!(answer.status(), 200, "{}", answer.text());
    }
    assert_eq!(upstream.seen().len(), 30);
}
