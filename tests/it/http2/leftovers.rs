//! What still comes of a request that nobody reads, or not yet: it holds little, and keeps nobody else waiting.

use std::time::Instant;

use super::frames::{
    ACK, DATA, END_HEADERS, END_STREAM, HEADERS, PING, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, frame, head,
};
use crate::support::{Gateway, PATIENCE, Setup, Upstream, stands_still, until};

/// As many streams as a connection may have.
const STREAMS: u32 = 128;
/// Frames of one byte that come on each.
const FRAMES: usize = 440;
/// What a connection may hold, in KiB, with so many streams: far less than a frame of the library for each byte.
const HELD: u64 = 6 << 10;
/// What may be on its way on a stream of a caller that has acknowledged no settings (RFC 9113 6.9.2).
const WINDOW: usize = 65_535;

fn number(index: u32) -> u32 {
    2 * index + 1
}

fn post(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &head(0x83, path))
}

/// An extended CONNECT for a WebSocket (RFC 8441 4), without compression.
fn handshake(stream: u32) -> Vec<u8> {
    let block = [
        b"\x02\x07CONNECT",
        &head(0x83, "/api/open")[1..],
        b"\x00\x09:protocol\x09websocket\x00\x15sec-websocket-version\x0213",
    ];
    frame(HEADERS, END_HEADERS, stream, &block.concat())
}

/// A caller that takes nothing of any answer but its head.
fn caller_without_room(gateway: &Gateway) -> Raw {
    let mut caller = Raw::connect(gateway.address());
    caller.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    caller
}

/// Waits until the gateway has read all that was sent.
fn assert_read(caller: &mut Raw) {
    caller.send(&frame(PING, 0, 0, &[7; 8]));
    loop {
        let frame = caller.next().expect("a connection that goes on");
        if frame.kind == PING && frame.flags & ACK != 0 {
            return;
        }
    }
}

fn assert_little_is_held(gateway: &Gateway, before: u64) {
    let held = until("memory that stands still", stands_still(|| gateway.memory("RssAnon") as usize)) as u64;
    let held = held.saturating_sub(before);
    assert!(held < HELD, "{held} KiB");
}

#[test]
fn bodies_of_refused_requests_hold_little_though_they_come_byte_by_byte_and_the_answers_are_not_taken() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("workers: 1").start();
    let before = gateway.memory("RssAnon");
    let mut caller = caller_without_room(&gateway);
    caller.send(&(0..STREAMS).flat_map(|index| post(number(index), "/api/profiles")).collect::<Vec<_>>());
    (0..STREAMS).for_each(|_| while caller.next().expect("an answer").kind != HEADERS {});
    caller.send(&(0..STREAMS).flat_map(|index| frame(DATA, 0, number(index), b"x")).collect::<Vec<_>>().repeat(FRAMES));
    assert_read(&mut caller);
    assert_little_is_held(&gateway, before);
}

#[test]
fn what_comes_byte_by_byte_before_a_websocket_is_agreed_to_holds_little() {
    let upstream = Upstream::start(|connection| {
        connection.request_head();
        connection.note("asked");
        connection.stall();
    });
    let route = "  GET /open: { auth: anyone, upgrade: websocket }\n";
    let gateway = Setup::new(&upstream).routes(route).config("workers: 1").start();
    let before = gateway.memory("RssAnon");
    let mut caller = Raw::connect(gateway.address());
    caller.send(&(0..STREAMS).flat_map(|index| handshake(number(index))).collect::<Vec<_>>());
    until("all handshakes", || (upstream.noted("asked") == STREAMS as usize).then_some(()));
    caller.send(&(0..STREAMS).flat_map(|index| frame(DATA, 0, number(index), b"x")).collect::<Vec<_>>().repeat(FRAMES));
    assert_read(&mut caller);
    assert_little_is_held(&gateway, before);
}

#[test]
fn bodies_that_nobody_reads_keep_no_other_upload_on_their_connection_waiting() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes("  POST /x: { auth: anyone }\n").config("workers: 1").start();
    let mut caller = caller_without_room(&gateway);
    // As many as fill the window that a connection begins with.
    let refused = 32;
    let calls = (0..=refused).flat_map(|index| post(number(index), "/api/profiles"));
    caller.send(&calls.collect::<Vec<_>>());
    // The last one is taken, and reset in the end: by then nobody reads the others, which came before.
    let last = number(refused);
    caller.send(&frame(WINDOW_UPDATE, 0, last, &1024_u32.to_be_bytes()));
    let mut room = WINDOW;
    loop {
        let frame = caller.next().expect("a connection that goes on");
        match (frame.kind, frame.stream) {
            (WINDOW_UPDATE, 0) => room += frame.number(0) as usize,
            (RST_STREAM, stream) if stream == last => break,
            _ => {}
        }
    }
    for index in 0..refused {
        for piece in [0; WINDOW].chunks(16 << 10) {
            caller.send(&frame(DATA, 0, number(index), piece));
            room -= piece.len();
        }
    }
    let start = Instant::now();
    while room < WINDOW {
        let frame = caller.next().expect("a connection that goes on");
        if (frame.kind, frame.stream) == (WINDOW_UPDATE, 0) {
            room += frame.number(0) as usize;
        }
        assert!(start.elapsed() < PATIENCE, "{room} bytes of room");
    }
    let own = number(refused + 1);
    caller.send(&post(own, "/api/x"));
    for (place, piece) in [0; WINDOW].chunks(16 << 10).enumerate() {
        caller.send(&frame(DATA, if place == 3 { END_STREAM } else { 0 }, own, piece));
    }
    assert_eq!(caller.next_of(HEADERS, own).payload[0], 0x88, "200, by its place in the static table");
}
