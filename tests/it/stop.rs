//! SIGTERM: answers in flight are finished, then the process ends well.

use std::time::{Duration, Instant};

use crate::support::{Call, Gateway, OK, Setup, Upstream, until};

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
    let begun = Instant::now();
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    idle.assert_closed();
    silent.assert_closed();
}

#[test]
fn it_is_not_ready_while_it_still_accepts() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("drain: { delay: 2s }").start();
    let key = gateway.key(&["--full"]);
    gateway.process.signal("TERM");
    until("it to be unready", || (!gateway.is_ready()).then_some(()));
    assert_eq!(gateway.admin("/livez").status(), 200);
    assert_eq!(gateway.get("/api/profiles", &key).status(), 200, "still accepting for drain.delay");
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn a_request_that_never_ends_is_cut_when_the_drain_is_over() {
    let upstream = slow_upstream();
    let gateway = Setup::new(&upstream).config("drain: { timeout: 500ms }").start();
    let key = gateway.key(&["--full"]);
    let mut client = gateway.connect();
    client.send(Call::get("/api/profiles").key(&key).bytes());
    upstream.wait_for("in flight");
    let begun = Instant::now();
    gateway.process.signal("TERM");
    assert_eq!(gateway.process.exit_code(), 0);
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(500) && took < Duration::from_secs(10), "{took:?}");
    let (bytes, _) = client.read_to_end();
    assert!(!bytes.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&bytes));
}
