//! Callers whose frames are made by hand, and do what no library would.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::support::{Gateway, OK, PATIENCE, Setup, Upstream, until};

const OPEN: &str = "  GET|POST /x: { auth: anyone }\n";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const ACK: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

/// The codes of RFC 9113 7.
const PROTOCOL_ERROR: u32 = 1;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

#[derive(Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// The number at `place`, such as the code of an error.
    pub(super) fn number(&self, place: usize) -> u32 {
        u32::from_be_bytes(self.payload[place..place + 4].try_into().expect("four bytes"))
    }
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A head without compression, of names that the static table has (RFC 7541 appendix A).
pub(super) fn head(method: u8, path: &str) -> Vec<u8> {
    let mut block = vec![method, 0x86];
    for (name, value) in [(0x04, path), (0x01, "a.test")] {
        block.extend_from_slice(&[name, u8::try_from(value.len()).expect("a short value")]);
        block.extend_from_slice(value.as_bytes());
    }
    block
}

pub(super) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &head(0x82, "/api/x"))
}

fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &head(0x83, "/api/x"))
}

pub(super) struct Raw(TcpStream);

impl Raw {
    pub(super) fn connect(address: SocketAddr) -> Raw {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_read_timeout(Some(PATIENCE)).expect("a read timeout");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        let mut raw = Raw(stream);
        raw.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
        raw
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("bytes that are taken");
    }

    /// The next frame; `None` at the end of the connection.
    pub(super) fn next(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        match self.0.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                panic!("no frame within {PATIENCE:?}")
            }
            Err(_) => return None,
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).ok()?;
        let stream = u32::from_be_bytes(head[5..].try_into().expect("four bytes"));
        Some(Frame { kind: head[3], flags: head[4], stream, payload })
    }

    /// The next frame of that kind on that stream, which is not an acknowledgement.
    pub(super) fn next_of(&mut self, kind: u8, stream: u32) -> Frame {
        loop {
            let frame = self.next().unwrap_or_else(|| panic!("frame {kind} on {stream}, and the connection ended"));
            if (frame.kind, frame.stream) == (kind, stream) && (kind != PING || frame.flags & ACK == 0) {
                return frame;
            }
        }
    }

    fn assert_ends(&mut self) {
        while self.next().is_some() {}
    }
}

fn gateway(upstream: &Upstream, config: &str) -> Gateway {
    Setup::new(upstream).routes(OPEN).config(config).start()
}

#[test]
fn frames_without_use_are_bounded() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, "");
    let setting = [0, 4, 0, 0, 255, 255];
    let update = 1_u32.to_be_bytes();
    let floods: [(&str, Vec<u8>); 8] = [
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("PONG", frame(PING, ACK, 0, &[0; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &setting)),
        ("PRIORITY", frame(PRIORITY, 0, 5, &[0, 0, 0, 0, 16])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &update)),
        ("empty DATA", frame(DATA, 0, 1, &[])),
        ("padding", frame(DATA, 8, 1, &[3, 0, 0, 0])),
        ("a frame that nobody knows", frame(99, 0, 0, b"x")),
    ];
    for (what, useless) in floods {
        let mut caller = Raw::connect(gateway.address());
        caller.send(&post(1));
        // The socket may be gone before all of them are there.
        let _ = caller.0.write_all(&useless.repeat(1100));
        let goodbye = caller.next_of(GOAWAY, 0);
        assert_eq!(goodbye.number(4), ENHANCE_YOUR_CALM, "{what}");
        caller.assert_ends();
    }
    let mut caller = Raw::connect(gateway.address());
    caller.send(&frame(HEADERS, 0, 1, &head(0x82, "/api/x")));
    let _ = caller.0.write_all(&frame(CONTINUATION, 0, 1, &[]).repeat(50));
    assert_eq!(caller.next_of(GOAWAY, 0).number(4), ENHANCE_YOUR_CALM, "empty CONTINUATION");
    drop(caller);
    wait_for_cut(&gateway, "flood", 9.0);
}

/// Waits until so many connections were cut for that reason, and the log has said so.
fn wait_for_cut(gateway: &Gateway, reason: &str, count: f64) {
    let label = format!("reason=\"{reason}\"");
    let cut = || gateway.metric("scopegate_cut_connections_total", &[&label]);
    until("the count", || (cut() == count).then_some(()));
    gateway.process.wait_for("a word in the log", |said| {
        said.lines().any(|line| line.contains("connection of HTTP/2 cut") && line.contains("127.0.0.1")).then_some(())
    });
}

/// Waits until one stream was refused for that reason, and the log has said so.
fn wait_for_refused(gateway: &Gateway, reason: &str, words: &str) {
    let label = format!("reason=\"{reason}\"");
    until("the count", || (gateway.metric("scopegate_refused_streams_total", &[&label]) == 1.0).then_some(()));
    gateway.process.wait_for("a word in the log", |said| {
        said.lines().any(|line| line.contains(words) && line.contains("127.0.0.1")).then_some(())
    });
}

#[test]
fn a_malformed_stream_is_counted_and_told() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, "");
    let mut caller = Raw::connect(gateway.address());
    // A field about the connection (RFC 9113 8.2.2), neither indexed nor compressed.
    let block = [head(0x82, "/api/x"), b"\0\x0aconnection\x01x".to_vec()].concat();
    caller.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block));
    assert_eq!(caller.next_of(RST_STREAM, 1).number(0), PROTOCOL_ERROR);
    wait_for_refused(&gateway, "malformed", "it is malformed");
    // A name in upper case ends the connection, as the library has it.
    let block = [head(0x82, "/api/x"), b"\0\x05Upper\x011".to_vec()].concat();
    caller.send(&frame(HEADERS, END_HEADERS | END_STREAM, 3, &block));
    caller.next_of(GOAWAY, 0);
    wait_for_cut(&gateway, "protocol", 1.0);
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_connection_that_is_cut_for_rapid_resets_is_counted_once_and_told() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, "limits: { h2_resets: 5/30s }");
    let mut caller = Raw::connect(gateway.address());
    let cancel = |stream| [get(stream), frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat();
    caller.send(&(0..50).flat_map(|number| cancel(2 * number + 1)).collect::<Vec<_>>());
    assert_eq!(caller.next_of(GOAWAY, 0).number(4), ENHANCE_YOUR_CALM);
    caller.assert_ends();
    wait_for_cut(&gateway, "resets", 1.0);
}

#[test]
fn a_stream_above_those_that_a_connection_may_have_is_refused_and_reaches_nobody() {
    let upstream = Upstream::start(|connection| {
        while connection.request().is_some() {
            connection.note("asked");
            connection.wait_for("go");
            connection.send(OK);
        }
    });
    let gateway = gateway(&upstream, "limits: { h2_streams: 3 }");
    let mut caller = Raw::connect(gateway.address());
    caller.send(&[get(1), get(3), get(5), get(7)].concat());
    assert_eq!(caller.next_of(RST_STREAM, 7).number(0), REFUSED_STREAM);
    wait_for_refused(&gateway, "refused", "it is above limits.h2_streams");
    until("the three others upstream", || (upstream.noted("asked") == 3).then_some(()));
    upstream.allow("go");
    for _ in 0..3 {
        let answer =
            until("an answer", || caller.next().filter(|frame| frame.kind == DATA && !frame.payload.is_empty()));
        assert!(answer.stream < 7 && answer.payload == b"ok", "{answer:?}");
    }
    // With room again the next is served.
    caller.send(&get(9));
    assert_eq!(caller.next_of(DATA, 9).payload, b"ok");
    assert_eq!(upstream.noted("asked"), 4);
}

#[test]
fn pings_beside_requests_and_room_for_what_comes_are_answered_for_ever() {
    let upstream = Upstream::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n{}", "x".repeat(300)));
    let gateway = gateway(&upstream, "");
    let mut caller = Raw::connect(gateway.address());
    for number in 0..600 {
        let stream = 2 * number + 1;
        caller.send(&get(stream));
        let answer = caller.next_of(DATA, stream);
        let length = u32::try_from(answer.payload.len()).expect("a short frame").to_be_bytes();
        caller.send(&[frame(WINDOW_UPDATE, 0, 0, &length), frame(PING, 0, 0, &[1; 8]).repeat(2)].concat());
    }
    caller.send(&frame(PING, 0, 0, &[9; 8]));
    until("the last answer", || {
        let frame = caller.next().expect("a connection that goes on");
        (frame.kind == PING && frame.flags & ACK != 0 && frame.payload == [9; 8]).then_some(())
    });
}

#[test]
fn a_goaway_waits_for_the_end_of_what_is_open() {
    let upstream = Upstream::start(|connection| {
        connection.request();
        connection.note("asked");
        connection.wait_for("go");
        connection.send(OK);
    });
    let gateway = gateway(&upstream, "limits: { requests_per_connection: 1 }");
    let mut caller = Raw::connect(gateway.address());
    caller.send(&get(1));
    upstream.wait_for("asked");
    caller.send(&frame(PING, 0, 0, &[9; 8]));
    let until = |caller: &mut Raw, kind: u8| -> Vec<u8> {
        let mut kinds = Vec::new();
        while kinds.last() != Some(&kind) {
            kinds.push(caller.next().expect("a connection that goes on").kind);
        }
        kinds
    };
    assert!(!until(&mut caller, PING).contains(&GOAWAY));
    upstream.allow("go");
    let kinds = until(&mut caller, GOAWAY);
    assert!(kinds.ends_with(&[DATA, GOAWAY]), "{kinds:?}");
}

#[test]
fn a_connection_that_was_quiet_is_told_where_it_ends() {
    let upstream = Upstream::ok();
    let gateway = gateway(&upstream, "limits: { idle: 2s }");
    let mut caller = Raw::connect(gateway.address());
    caller.send(&get(1));
    caller.next_of(DATA, 1);
    assert_eq!(caller.next_of(GOAWAY, 0).number(0), 1, "a later stream can be begun elsewhere");
}

#[test]
fn a_connection_whose_time_is_over_ends_though_its_caller_never_acknowledges_it() {
    for config in ["limits: { requests_per_connection: 1 }", "limits: { connection_age: 1s }"] {
        let upstream = Upstream::start(|connection| {
            connection.request();
            connection.note("asked");
            connection.wait_for("go");
            connection.send(OK);
        });
        let gateway = gateway(&upstream, config);
        let mut caller = Raw::connect(gateway.address());
        caller.send(&get(1));
        upstream.wait_for("asked");
        let goodbye = caller.next_of(GOAWAY, 0);
        assert_eq!(goodbye.number(0), u32::MAX >> 1, "a caller may have begun streams before it reads this");
        caller.next_of(PING, 0);
        // Nothing of it is acknowledged, and streams go on to be opened.
        let mut stream = 1;
        let refused = until("a stream to be refused", || {
            stream += 2;
            caller.send(&frame(HEADERS, END_HEADERS | END_STREAM, stream, &head(0x82, "/api/none")));
            let answer = loop {
                let frame = caller.next().expect("a connection that has an open stream");
                if frame.stream == stream {
                    break frame;
                }
            };
            (answer.kind == RST_STREAM).then_some(answer)
        });
        assert_eq!(refused.number(0), REFUSED_STREAM);
        upstream.allow("go");
        assert_eq!(caller.next_of(DATA, 1).payload, b"ok", "what was open is finished");
        caller.assert_ends();
    }
}
