//! Answers that go on and on: each event at once, no timeout, an end with the key that opened them.

use std::time::Duration;

use crate::keys::id_of;
use crate::support::upstream::Connection;
use crate::support::{Call, Ending, Gateway, OK, Setup, Upstream, until};

fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Upstream, Gateway, String) {
    let upstream = Upstream::start(script);
    let gateway = Setup::new(&upstream).upstream("  timeouts: { response: 1500ms }").config("workers: 1").start();
    let key = key(&gateway);
    (upstream, gateway, key)
}

/// A key that is in force, without a request to the upstream.
fn key(gateway: &Gateway) -> String {
    let key = gateway.create_key(&["--full"]);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    key
}

/// Sends an event each time that the test has seen the one before it.
fn events(connection: &mut Connection) {
    let Some(request) = connection.request() else { return };
    let chunked = request.target().ends_with("chunked");
    connection.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n");
    connection.send(if chunked { "Transfer-Encoding: chunked\r\n\r\n" } else { "\r\n" });
    for number in 0..4 {
        let event = format!("data: {number}\n\n");
        let framed = format!("{:x}\r\n{event}\r\n", event.len());
        connection.send(if chunked { framed } else { event });
        connection.wait_for(&format!("seen {number} {}", request.target()));
    }
    connection.send(if chunked { "0\r\n\r\n" } else { "" });
    connection.half_close();
    connection.wait_for_close();
}

#[test]
fn each_event_comes_when_it_was_sent_however_it_is_framed_and_whoever_reads_it() {
    let (upstream, gateway, key) = start(events);
    for (target, version) in [("chunked", "1.1"), ("closed", "1.1"), ("old-chunked", "1.0"), ("old-closed", "1.0")] {
        let target = format!("/api/profiles/{target}");
        let mut client = gateway.connect();
        client.send(format!("GET {target} HTTP/{version}\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n"));
        let head = client.read_head();
        assert_eq!(head.field("transfer-encoding"), (version == "1.1").then_some("chunked"));
        for number in 0..4 {
            client.read_until(format!("data: {number}\n\n"));
            if number == 1 {
                // Longer than an answer may take to begin, and the tick of a clock.
                std::thread::park_timeout(Duration::from_secs(2));
            }
            upstream.allow(&format!("seen {number} {target}"));
        }
        if version == "1.1" {
            client.read_until("0\r\n\r\n");
        } else {
            assert_eq!(client.read_to_end(), (Vec::new(), Ending::Closed));
        }
    }
}

#[test]
fn a_long_poll_waits_as_long_as_an_answer_may_take_to_begin() {
    let upstream = Upstream::start(|connection| {
        connection.request();
        connection.wait_for("news");
        connection.send(OK);
    });
    // All that could be taken for the time of an answer is over before the news come.
    let limits = "limits: { header_timeout: 300ms, body_stall: 300ms, write_stall: 300ms, idle: 300ms }";
    let timeouts = "  timeouts: { connect: 300ms, idle: 300ms, response: 20s }";
    let gateway = Setup::new(&upstream).upstream(timeouts).config(limits).start();
    let key = key(&gateway);
    let mut client = gateway.connect();
    client.send(Call::get("/api/profiles").key(&key).bytes());
    upstream.next_request();
    std::thread::park_timeout(Duration::from_secs(2));
    upstream.allow("news");
    assert_eq!(client.read().status(), 200);
}

#[test]
fn a_stream_ends_with_its_key_and_never_looks_whole() {
    for (kind, version) in [("text/event-stream", "1.1"), ("application/grpc", "1.1"), ("application/x-ndjson", "1.0")]
    {
        let (upstream, gateway, key) = start(move |connection| {
            connection.request();
            connection.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n"
            ));
            connection.wait_for_close();
        });
        let mut client = gateway.connect();
        client.send(format!("GET /api/profiles HTTP/{version}\r\nHost: a\r\nAuthorization: Bearer {key}\r\n\r\n"));
        client.read_head();
        client.read_until("first");
        gateway.run(&["keys", "revoke", &id_of(&gateway, &key)]).exits(0);
        let (rest, ending) = client.read_to_end();
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{:?}", rest.escape_ascii());
        assert_eq!(ending, if version == "1.0" { Ending::Reset } else { Ending::Closed });
        upstream.wait_for("gone");
        until("its count", || {
            (gateway.metric("scopegate_denials_total", &["code=\"invalid_key\""]) >= 1.0).then_some(())
        });
    }
}

#[test]
fn an_upload_ends_with_its_key_whatever_it_announced_and_is_told_so() {
    for start_of_body in ["Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n", "Content-Length: 1000000000000\r\n\r\na"] {
        let (upstream, gateway, key) = start(|connection| {
            let Some(mut request) = connection.request_head() else { return };
            connection.note("begun");
            let whole = connection.rest(&mut request);
            connection.note(if whole { "whole" } else { "cut" });
        });
        let mut client = gateway.connect();
        client
            .send(format!("POST /api/profiles HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{start_of_body}"));
        upstream.wait_for("begun");
        gateway.run(&["keys", "revoke", &id_of(&gateway, &key)]).exits(0);
        let answer = client.read();
        assert_eq!((answer.status(), answer.code().as_str()), (401, "invalid_key"));
        client.assert_closed();
        upstream.wait_for("cut");
    }
}

#[test]
fn an_answer_whose_length_is_known_is_finished_after_its_key() {
    let (upstream, gateway, key) = patient(|connection| {
        let Some(request) = connection.request() else { return };
        if request.target().ends_with("witness") {
            connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            connection.wait_for_close();
            return;
        }
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf");
        connection.wait_for("go");
        connection.send("done");
    });
    let [mut client, mut witness] = ["/api/profiles/1", "/api/profiles/witness"].map(|target| {
        let mut client = gateway.connect();
        client.send(Call::get(target).key(&key).bytes());
        client
    });
    let mut head = client.read_head();
    witness.read_head();
    gateway.run(&["keys", "revoke", &id_of(&gateway, &key)]).exits(0);
    // A stream of the same key is ended, and then there is time for another look at what its answers may do.
    witness.read_to_end();
    std::thread::park_timeout(Duration::from_millis(1500));
    upstream.allow("go");
    client.read_body(&mut head);
    assert_eq!((head.body_text().as_str(), head.whole), ("halfdone", true));
}

/// A gateway whose upstream may take its time, and a key.
fn patient(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Upstream, Gateway, String) {
    let upstream = Upstream::start(script);
    let gateway = Setup::new(&upstream).upstream("  timeouts: { response: 1h }").start();
    let key = key(&gateway);
    (upstream, gateway, key)
}

#[test]
fn a_request_that_waits_for_its_answer_ends_with_its_key_where_it_may_be_sent_again() {
    let (upstream, gateway, key) = patient(|connection| {
        connection.request();
        connection.note("waiting");
        connection.wait_for_close();
    });
    let mut client = gateway.connect();
    client.send(Call::get("/api/profiles").key(&key).bytes());
    upstream.wait_for("waiting");
    gateway.run(&["keys", "revoke", &id_of(&gateway, &key)]).exits(0);
    let answer = client.read();
    assert_eq!((answer.status(), answer.code().as_str()), (401, "invalid_key"));
    upstream.wait_for("gone");
}

#[test]
fn what_may_have_been_carried_out_is_told_after_its_key_but_never_as_a_stream() {
    for (answer, status, text) in
        [(OK, 200, "ok"), ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nsecret\r\n", 401, "invalid_key")]
    {
        let (upstream, gateway, key) = patient(move |connection| {
            connection.request();
            connection.note("waiting");
            connection.wait_for("go");
            connection.send(answer);
            connection.wait_for_close();
        });
        let mut client = gateway.connect();
        client.send(Call::post("/api/profiles").key(&key).body("{}").bytes());
        upstream.wait_for("waiting");
        gateway.run(&["keys", "revoke", &id_of(&gateway, &key)]).exits(0);
        until("the revoke", || (gateway.get("/api/no-such-route", &key).status() == 401).then_some(()));
        // Longer than the gateway takes to ask.
        std::thread::park_timeout(Duration::from_millis(700));
        upstream.allow("go");
        let answer = client.read();
        assert_eq!(answer.status(), status);
        assert!(answer.body_text().contains(text) && !answer.body_text().contains("secret"), "{}", answer.text());
    }
}
