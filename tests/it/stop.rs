//! SIGTERM: answers in flight are finished, then the process ends well.

mod leaving; // What becomes of requests between the signal and the end.

use std::time::{Duration, Instant};

use tokio::task::spawn_local;

use crate::http2::eventually;
use crate::support::http2::{Caller, read, run};
use crate::support::{Call, Gateway, OK, PATIENCE, Setup, Upstream, lasted, until};

/// An upstream that answers `/api/profiles` when the test says `go`, and everything else at once.
fn slow_upstream() -> Upstream {
    Upstream::start(|connection| {
        while let Some(request) = connection.request() {
            if request.target() == "/api/profiles" {
                connection.note("in flight");
                connection.wait_for("go");
            }
            connection.send(OK);
        }
    })
}

#[test]
fn an_answer_in_flight_is_finished_and_the_exit_is_clean() {
    for signal in ["TERM", "INT"] {
        let upstream = slow_upstream();
        let gateway = Gateway::in_front_of(&upstream);
        let key = gateway.key(&["--full"]);
        let mut client = gateway.connect();
        client.send(Call::get("/api/profiles").key(&key).bytes());
        upstream.wait_for("in flight");
        gateway.process.signal(signal);
        until("new connections to be refused", || {
            std::net::TcpStream::connect(gateway.address()).is_err().then_some(())
        });
        assert!(gateway.process.exited().is_none(), "it waits for the answer");
        upstream.allow("go");
        let answer = client.read();
        assert_eq!((answer.status(), answer.body_text().as_str(), answer.whole), (200, "ok", true));
        client.assert_closed();
        assert_eq!(gateway.process.exit_code(), 0, "{}", gateway.process.said());
    }
}

#[test]
fn an_idle_gateway_with_open_connections_ends_at_once() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let mut idle = gateway.connect();
    assert_eq!(idle.send(Call::get("/api/profiles").key(&key).bytes()).read().status(), 200);
    let mut silent = gateway.connect();
    // An empty line behind a body is not the beginning of the next request.
    let mut blank = gateway.connect();
    let post = [Call::post("/api/profiles").key(&key).body("{}").bytes(), b"\r\n".to_vec()].concat();
    assert_eq!(blank.send(post).read().status(), 200);
    let begun = Instant::now();
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    blank.assert_closed();
    idle.assert_closed();
    silent.assert_closed();
}

#[test]
fn it_is_not_ready_while_it_still_accepts() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("drain: { delay: 5s }").start();
    let key = gateway.key(&["--full"]);
    gateway.process.signal("TERM");
    until("it to be unready", || (!gateway.is_ready()).then_some(()));
    assert_eq!(gateway.admin("/livez").status(), 200);
    assert_eq!(gateway.get("/api/profiles", &key).status(), 200, "still accepting for drain.delay");
    assert_eq!(gateway.process.exit_code(), 0);
}

/// A gateway whose drain is short, with a full key.
fn hasty(upstream: &Upstream) -> (Gateway, String) {
    let gateway = Setup::new(upstream).config("drain: { timeout: 500ms }").start();
    let key = gateway.key(&["--full"]);
    (gateway, key)
}

/// Ends the gateway, which takes as long as the drain and little more.
fn end(gateway: &Gateway) {
    let begun = Instant::now();
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0, "{}", gateway.process.said());
    let took = begun.elapsed();
    assert!(lasted(took, Duration::from_millis(500)) && took < PATIENCE, "{took:?}");
}

#[test]
fn nobody_is_told_to_repeat_a_request_that_the_api_had_when_the_drain_was_over() {
    for call in [Call::get("/api/profiles"), Call::post("/api/profiles").body("{}")] {
        let upstream = slow_upstream();
        let (gateway, key) = hasty(&upstream);
        let mut client = gateway.connect();
        client.send(call.key(&key).bytes());
        upstream.wait_for("in flight");
        end(&gateway);
        let answer = client.read();
        assert_eq!((answer.status(), answer.code().as_str(), answer.whole), (504, "upstream_timeout", true));
        assert_eq!((answer.field("retry-after"), answer.field("connection")), (None, Some("close")));
        assert!(answer.body_text().contains("may have been carried out"), "{}", answer.text());
        client.assert_closed();
        let said = gateway.process.last_words();
        let line = said.lines().find(|line| line.contains("\"status\":504")).expect("its line");
        assert!(line.contains("\"code\":\"upstream_timeout\""), "{line}");
        assert!(line.contains("\"reason\":\"The gateway is being stopped"), "{line}");
    }
}

#[test]
fn a_stream_without_an_answer_is_told_so_when_the_drain_is_over() {
    let upstream = slow_upstream();
    let (gateway, key) = hasty(&upstream);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let (plain, grpc) = (
            caller.head("GET", "/api/profiles", &key),
            caller.head("POST", "/api/profiles", &key).header("content-type", "application/grpc"),
        );
        let (response, mut stream) = caller.begin(plain).await;
        stream.send_data(bytes::Bytes::new(), true).expect("data");
        let waiting = spawn_local(read(response));
        // Its own body is still on its way.
        let (response, _sending) = caller.begin(grpc).await;
        let calling = spawn_local(read(response));
        eventually("the requests upstream", || {
            upstream.noted("in flight") > 0 && upstream.everything().contains("application/grpc")
        })
        .await;
        gateway.process.signal("TERM");
        let answer = waiting.await.expect("a task").expect("an answer");
        assert_eq!((answer.status, answer.code().as_str(), answer.reset), (504, "upstream_timeout", None));
        let answer = calling.await.expect("a task").expect("an answer");
        assert_eq!((answer.status, answer.field("grpc-status"), answer.alone), (200, "4", true));
    });
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn a_request_whose_upstream_is_still_being_dialled_is_told_so_when_the_drain_is_over() {
    // It accepts, and never shakes hands.
    let upstream = Upstream::start(|connection| {
        connection.until("anything");
    });
    let url = upstream.url().replace("http:", "https:").replace("127.0.0.1", "localhost");
    let gateway = Setup::for_url(&url)
        .upstream("  timeouts: { connect: 60s }")
        .routes("  GET /open: { auth: anyone }\n")
        .config("drain: { timeout: 500ms }")
        .start();
    let mut client = gateway.connect();
    client.send(Call::get("/api/open").bytes());
    until("a connection", || (upstream.connections() > 0).then_some(()));
    end(&gateway);
    let answer = client.read();
    assert_eq!((answer.status(), answer.code().as_str()), (503, "overloaded"));
    assert_eq!(answer.field("retry-after"), Some("1"), "nothing of it was sent");
}

#[test]
fn an_answer_that_has_begun_is_cut_when_the_drain_is_over_and_is_logged_with_the_reason() {
    let upstream = Upstream::start(|connection| {
        while connection.request().is_some_and(|request| request.target() != "/api/profiles") {
            connection.send(OK);
        }
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
        connection.wait_for_close();
    });
    let (gateway, key) = hasty(&upstream);
    let mut client = gateway.connect();
    client.send(Call::get("/api/profiles").key(&key).bytes());
    client.read_head();
    client.read_until("half");
    end(&gateway);
    let (rest, _) = client.read_to_end();
    assert_eq!(rest.escape_ascii().to_string(), "\\r\\n", "neither an end nor another answer");
    let said = gateway.process.last_words();
    let line = said.lines().find(|line| line.contains("\"path\":\"/api/profiles\"")).expect("its line");
    assert!(line.contains("\"status\":200") && line.contains("\"code\":\"upstream_timeout\""), "{line}");
    let why = "\"reason\":\"The gateway was stopped before the API's answer was complete (`drain.timeout`).\"";
    assert!(line.contains(why), "{line}");
}
