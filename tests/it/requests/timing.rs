//! When a head must be whole, and how long a connection may rest before one.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, park_timeout};
use std::time::{Duration, Instant};

use super::*;
use crate::support::{Client, PATIENCE, lasted};

#[test]
fn a_head_by_the_byte_has_no_more_time_than_one_that_stops() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { header_timeout: 1s }").start();
    let mut stream = TcpStream::connect(gateway.address()).expect("a connection");
    let mut client = Client::on(stream.try_clone().expect("the same connection"));
    let answered = AtomicBool::new(false);
    let begun = Instant::now();
    thread::scope(|scope| {
        client.send("GET /api/profiles HTTP/1.1\r\nHost: a\r\nX-Slow: ");
        // Each byte comes well within the time that the whole head has.
        scope.spawn(|| {
            while !answered.load(Ordering::Relaxed) && begun.elapsed() < PATIENCE && stream.write_all(b"x").is_ok() {
                park_timeout(Duration::from_millis(50));
            }
        });
        assert_own_answer(&client.read(), 408, "request_timeout");
        let took = begun.elapsed();
        answered.store(true, Ordering::Relaxed);
        assert!(lasted(took, Duration::from_secs(1)) && took < PATIENCE / 2, "{took:?}");
    });
    client.assert_closed();
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_connection_may_rest_for_longer_than_a_head_may_take() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { header_timeout: 500ms, idle: 20s }").start();
    let mut client = gateway.connect();
    // Before its first request, and between two.
    for _ in 0..2 {
        park_timeout(Duration::from_secs(2));
        assert_eq!(client.send(Call::get("/api/health").bytes()).read().status(), 200);
    }
}

/// It was the beginning of a request, which never came to its end: 408, counted as a denial.
#[test]
fn an_empty_line_behind_a_body_is_no_request() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { header_timeout: 300ms, idle: 2s }").start();
    let key = gateway.key(&["--full"]);
    let post = String::from_utf8(Call::post("/api/profiles").key(&key).body("{}").bytes()).expect("text");
    for line in ["\r\n", "\r"] {
        let (mut client, begun) = (gateway.connect(), Instant::now());
        assert_eq!(client.send(format!("{post}{line}")).read().status(), 200);
        client.assert_closed();
        assert!(begun.elapsed() > Duration::from_secs(1), "it is idle: {:?}", begun.elapsed());
        let mut client = gateway.connect();
        assert_eq!(client.send(format!("{post}{line}")).read().status(), 200);
        let rest = &"\r\n"[line.len()..];
        assert_eq!(client.send(format!("{rest}{post}")).read().status(), 200, "one may be there before a request");
    }
    assert_eq!(gateway.metric("scopegate_denials_total", &["code=\"request_timeout\""]), 0.0);
}
