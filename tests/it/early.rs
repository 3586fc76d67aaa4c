//! What comes before its time: 100 and 103, answers and refusals while the caller is still sending.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::upstream::Connection;
use crate::support::{Call, Ending, Gateway, OK, PATIENCE, Setup, Upstream, until};

fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Upstream, Gateway, String) {
    start_with("", script)
}

fn start_with(lines: &str, script: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Upstream, Gateway, String) {
    let upstream = Upstream::start(script);
    let gateway = Setup::new(&upstream).config(lines).start();
    let key = gateway.create_key(&["--full"]);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    (upstream, gateway, key)
}

/// The head of a POST of five bytes that waits to be told to go on.
fn expecting(key: &str) -> String {
    format!(
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    )
}

#[test]
fn a_body_that_the_upstream_does_not_ask_for_is_asked_for_after_a_second_and_once() {
    let (_upstream, gateway, key) = start(|connection| {
        let Some(mut request) = connection.request_head() else { return };
        connection.rest(&mut request);
        // It says so when it has the body already: the caller has heard it.
        connection.send(["HTTP/1.1 100 Continue\r\n\r\n", OK].concat());
    });
    let mut client = gateway.connect();
    let begun = Instant::now();
    client.send(expecting(&key));
    assert_eq!(client.read_head().status(), 100);
    assert!(begun.elapsed() >= Duration::from_millis(700), "the upstream is waited for: {:?}", begun.elapsed());
    let answer = client.send_more("hello").read();
    assert_eq!((answer.status(), answer.interim.len()), (200, 0));
}

/// The time of the body began with the request, so that where it was shorter than the wait for the upstream it was always over.
#[test]
fn the_time_for_a_body_begins_when_it_is_asked_for() {
    let (_upstream, gateway, key) = start_with("limits: { body_stall: 700ms }", |connection| {
        // It keeps its connection: a second request may cross with the end of one.
        while let Some(mut request) = connection.request_head() {
            connection.rest(&mut request);
            connection.send(OK);
        }
    });
    let asked = || {
        let mut client = gateway.connect();
        client.send(expecting(&key));
        assert_eq!(client.read_head().status(), 100);
        client
    };
    assert_eq!(asked().send_more("hello").read().status(), 200);
    let (mut silent, begun) = (asked(), Instant::now());
    assert_eq!(silent.read().code(), "request_timeout");
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
}

#[test]
fn a_body_that_came_with_its_head_is_not_asked_for() {
    let (upstream, gateway, key) = start(|connection| connection.answer_all(OK.as_bytes()));
    let answer = gateway.connect().send(expecting(&key) + "hello").read();
    assert_eq!((answer.status(), answer.interim.len()), (200, 0));
    let request = upstream.next_request();
    assert_eq!((request.has("expect"), request.body_text().as_str()), (false, "hello"));
}

#[test]
fn an_answer_in_the_place_of_100_ends_both_connections() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request_head();
        connection.send("HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\nno");
        connection.wait_for_close();
    });
    let mut client = gateway.connect();
    // What comes instead of the body is no request: nobody can tell it from a body.
    let answer = client.send(expecting(&key)).read();
    assert_eq!((answer.status(), answer.field("connection"), answer.interim.len()), (422, Some("close"), 0));
    let _ = client.try_send(Call::get("/api/smuggled").key(&key).bytes());
    client.assert_closed();
    upstream.wait_for("gone");
    assert!(!upstream.everything().contains("smuggled"));
}

#[test]
fn interim_answers_are_kept_from_callers_of_http_1_0() {
    let (_upstream, gateway, key) = start(|connection| {
        connection.request();
        connection.send(["HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", OK].concat());
    });
    let mut client = gateway.connect();
    client.send(format!("GET /api/profiles HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n"));
    assert_eq!(client.read_head().status(), 200);
}

/// Sends more than anybody takes and reads nothing meanwhile, as many clients do; then the answer.
fn send_without_reading(gateway: &Gateway, head: &str) -> (String, Ending) {
    let mut stream = TcpStream::connect(gateway.address()).expect("a connection");
    stream.set_write_timeout(Some(Duration::from_millis(200))).expect("a timeout");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(head.as_bytes()).expect("the head");
    let block = vec![b'b'; 1 << 16];
    let stopped = loop {
        if let Err(error) = stream.write(&block) {
            break error;
        }
    };
    assert!(matches!(stopped.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "cut off while sending: {stopped}");
    let mut answer = Vec::new();
    let ending = match stream.read_to_end(&mut answer) {
        Ok(_) => Ending::Closed,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ending::Reset,
        Err(error) => panic!("{error}"),
    };
    (String::from_utf8_lossy(&answer).into_owned(), ending)
}

#[test]
fn a_refusal_reaches_a_caller_that_sends_on_before_it_reads() {
    let (upstream, gateway, key) = start(|connection| connection.answer_all(OK.as_bytes()));
    for framing in ["Content-Length: 1000000000", "Transfer-Encoding: chunked"] {
        let (answer, ending) = send_without_reading(
            &gateway,
            &format!("POST /api/secret HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{framing}\r\n\r\n"),
        );
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("route_not_allowed"), "{answer}");
        assert_eq!(ending, Ending::Closed);
    }
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn an_early_answer_of_the_upstream_reaches_a_caller_that_sends_on_before_it_reads() {
    let (_upstream, gateway, key) = start(|connection| {
        connection.request_head();
        connection.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nmuch");
        connection.wait_for_close();
    });
    let (answer, ending) = send_without_reading(
        &gateway,
        &format!(
            "POST /api/profiles HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: 1000000000\r\n\r\n"
        ),
    );
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.ends_with("\r\n\r\nmuch"), "{answer}");
    assert_eq!(ending, Ending::Closed);
}

/// A caller that took nothing for too long was cut off in order, and an answer without chunks looked whole.
#[test]
fn an_answer_to_http_1_0_that_stalls_ends_in_a_reset() {
    let (upstream, gateway, key) = start_with("limits: { write_stall: 400ms }", |connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        let block = [&b"10000\r\n"[..], &vec![b'd'; 1 << 16], b"\r\n"].concat();
        while connection.send(&block) {}
        connection.note("cut");
    });
    let mut client = gateway.connect();
    client.send(format!("GET /api/files/a HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n"));
    upstream.wait_for("cut");
    let (bytes, ending) = client.read_to_end();
    assert!(bytes.starts_with(b"HTTP/1.1 200") || bytes.is_empty());
    assert_eq!(ending, Ending::Reset);
}
