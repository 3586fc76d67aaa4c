//! Answers that come before the end of their request: they arrive with callers that throw away what a reset follows.

use std::thread::park_timeout;
use std::time::{Duration, Instant};

use super::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PING, RST_STREAM, Raw, WINDOW_UPDATE, frame, get, head,
};
use crate::support::upstream::Connection;
use crate::support::{Gateway, Setup, Upstream, until};

const NO_ERROR: u32 = 0;
/// The bytes of one frame, which may not be more (RFC 9113 4.2).
const PIECE: usize = 16 << 10;
/// What may be on its way on a stream of a caller that has acknowledged no settings (RFC 9113 6.9.2).
const WINDOW: usize = 65_535;
/// What is read after an answer.
const MOST: usize = 64 << 10;

/// The start of a POST with a body, and with a key where there is one.
fn post(path: &str, key: &str) -> Vec<u8> {
    let mut block = head(0x83, path);
    if !key.is_empty() {
        let credential = format!("Bearer {key}");
        block.extend_from_slice(&[0x0f, 0x08, u8::try_from(credential.len()).expect("a short value")]);
        block.extend_from_slice(credential.as_bytes());
    }
    frame(HEADERS, END_HEADERS, 1, &block)
}

/// The status of the answer on stream 1 that was read to its end, as the first byte of its head has it (RFC 7541 6.1).
fn answer(caller: &mut Raw) -> Vec<u8> {
    let start = caller.next_of(HEADERS, 1).payload;
    while caller.next_of(DATA, 1).flags & END_STREAM == 0 {}
    start
}

/// Everything that came on stream 1 until now.
fn until_now(caller: &mut Raw) -> Vec<Frame> {
    let mut came = Vec::new();
    caller.send(&frame(PING, 0, 0, &[7; 8]));
    loop {
        let frame = caller.next().expect("a connection that goes on");
        if frame.kind == PING && frame.flags & ACK != 0 {
            return came;
        }
        if frame.stream == 1 {
            came.push(frame);
        }
    }
}

fn assert_no_reset(caller: &mut Raw, when: &str) {
    let came = until_now(caller);
    assert!(came.iter().all(|frame| frame.kind != RST_STREAM), "{when}: {came:?}");
}

/// Ends the body some time after the answer, and sees the stream end by itself.
fn assert_patient(caller: &mut Raw, what: &str) {
    park_timeout(Duration::from_millis(200));
    assert_no_reset(caller, &format!("{what}, before the body"));
    caller.send(&frame(DATA, END_STREAM, 1, b"the body"));
    assert_no_reset(caller, &format!("{what}, after it"));
    caller.send(&get(3));
    loop {
        let frame = caller.next().expect("a connection that goes on");
        assert_ne!((frame.kind, frame.stream), (RST_STREAM, 1), "{what}, later");
        if frame.stream == 3 && frame.flags & END_STREAM != 0 {
            return;
        }
    }
}

fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Upstream, Gateway, String) {
    let upstream = Upstream::start(script);
    let gateway = Setup::new(&upstream).start();
    let key = gateway.create_key(&["--full"]);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    (upstream, gateway, key)
}

#[test]
fn a_refusal_is_not_followed_by_a_reset_while_its_caller_sends() {
    let (_upstream, gateway, _) = start(|_| {});
    let mut caller = Raw::connect(gateway.address());
    caller.send(&post("/api/profiles", ""));
    answer(&mut caller);
    assert_patient(&mut caller, "a refusal");
}

#[test]
fn an_early_answer_of_the_upstream_is_not_followed_by_a_reset_and_its_connection_is_let_go() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request_head();
        connection.send("HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\nno");
        connection.wait_for_close();
    });
    let mut caller = Raw::connect(gateway.address());
    caller.send(&post("/api/profiles", &key));
    assert_eq!(answer(&mut caller)[0], 0x8c, "400, by its place in the static table");
    upstream.wait_for("gone");
    assert_patient(&mut caller, "an early answer");
}

#[test]
fn an_upload_that_ends_with_its_key_is_answered_without_a_reset() {
    let (upstream, gateway, key) = start(|connection| {
        let Some(mut request) = connection.request_head() else { return };
        connection.note("begun");
        connection.rest(&mut request);
        connection.note("cut");
    });
    let mut caller = Raw::connect(gateway.address());
    caller.send(&[post("/api/profiles", &key), frame(DATA, 0, 1, b"a")].concat());
    upstream.wait_for("begun");
    let list = gateway.run(&["keys", "list", "--json"]).exits(0).json();
    gateway.run(&["keys", "revoke", list["keys"][0]["id"].as_str().expect("an id")]).exits(0);
    answer(&mut caller);
    upstream.wait_for("cut");
    assert_patient(&mut caller, "a key that ended");
}

#[test]
fn a_caller_that_sends_nothing_more_is_reset_after_a_second() {
    let (_upstream, gateway, _) = start(|_| {});
    let mut caller = Raw::connect(gateway.address());
    let begun = Instant::now();
    caller.send(&post("/api/profiles", ""));
    answer(&mut caller);
    assert_eq!(caller.next_of(RST_STREAM, 1).number(0), NO_ERROR);
    // The gateway looks at its clock four times a second.
    assert!(begun.elapsed() > Duration::from_millis(600), "{:?}", begun.elapsed());
    caller.send(&get(3));
    caller.next_of(HEADERS, 3);
}

#[test]
fn a_caller_that_sends_on_and_on_is_reset_after_64_kib() {
    let (_upstream, gateway, _) = start(|_| {});
    let mut caller = Raw::connect(gateway.address());
    caller.send(&post("/api/profiles", ""));
    answer(&mut caller);
    let (mut room, mut sent) = (WINDOW, 0);
    let reason = loop {
        while room >= PIECE {
            caller.send(&frame(DATA, 0, 1, &[0; PIECE]));
            (room, sent) = (room - PIECE, sent + PIECE);
        }
        let frame = caller.next().expect("a connection that goes on");
        match (frame.kind, frame.stream) {
            (WINDOW_UPDATE, 1) => room += frame.number(0) as usize,
            (RST_STREAM, 1) => break frame.number(0),
            _ => {}
        }
    };
    assert_eq!(reason, NO_ERROR);
    assert!(sent > MOST && sent <= MOST + WINDOW, "{sent}");
    caller.send(&get(3));
    caller.next_of(HEADERS, 3);
}
