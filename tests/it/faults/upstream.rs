//! What an upstream can do wrong, one after the other to one gateway that has hardly room for any: whatever a fault left behind
//! would be missed by those after it.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::support::upstream::Connection;
use crate::support::{Call, Gateway, OK, Setup, Upstream, until};

/// How often each fault happens.
const TIMES: usize = 6;

/// One permit to wait for the upstream, and four sockets to it.
const NARROW: &str = "workers: 1\nlimits: { connections: 8 }";
const TIMEOUTS: &str = "  max_pending: 1\n  timeouts: { connect: 2s, response: 300ms, request: 900ms }";
const ROUTES: &str = "  GET /well: { auth: anyone }\n  GET|POST /fault/{name}: { auth: anyone }\n";

/// The least that a fault takes: nothing, or the time that runs out.
const AT_ONCE: Duration = Duration::ZERO;
const RESPONSE: Duration = Duration::from_millis(300);
const REQUEST: Duration = Duration::from_millis(900);
/// What an answer may take beyond that on a machine that is busy. Where it is not, it is a tick of the worker's clock at most.
const SLACK: Duration = Duration::from_secs(8);

/// What a caller sees of a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Seen {
    /// An answer of the gateway's.
    Refused(u16, &'static str),
    /// The beginning of an answer, and never its end.
    Broken,
    /// The answer, whole.
    Whole,
}

use Seen::{Broken, Refused, Whole};

/// What an upstream does behind its bytes.
#[derive(Clone, Copy, Debug)]
enum Then {
    Closes,
    HalfCloses,
    /// Sends this ten thousand times, for as long as somebody takes it.
    Repeats(&'static str),
    Resets,
    /// Says nothing more.
    Stalls,
}

use Then::{Closes, HalfCloses, Repeats, Resets, Stalls};

/// A fault: its name in the path, what the upstream sends, what it does then, what the caller sees, the least time that takes.
type Fault = (&'static str, &'static str, Then, Seen, Duration);

const FAILED: Seen = Refused(502, "upstream_failed");
const TOO_SLOW: Seen = Refused(504, "upstream_timeout");

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
const HALF_A_CHUNK: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf";
const A_CHUNK: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n";
const TWO: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray";

const FAULTS: &[Fault] = &[
    ("resets", "", Resets, FAILED, AT_ONCE),
    ("closes", "", Closes, FAILED, AT_ONCE),
    ("half-closes", "", HalfCloses, FAILED, AT_ONCE),
    ("garbage", "\0\u{1}\u{2} 220 smtp.example ESMTP\r\n\r\n", Closes, FAILED, AT_ONCE),
    ("half-a-head", "HTTP/1.1 200 OK\r\nContent-Le", Closes, FAILED, AT_ONCE),
    ("switches-unasked", SWITCH, Stalls, FAILED, AT_ONCE),
    (
        "endless-head",
        "HTTP/1.1 200 OK\r\n",
        Repeats("X-Endless: a field of a head that has no end\r\n"),
        FAILED,
        AT_ONCE,
    ),
    ("interim", "", Repeats("HTTP/1.1 102 Processing\r\n\r\n"), FAILED, AT_ONCE),
    ("stalls", "", Stalls, TOO_SLOW, RESPONSE),
    ("stalls-in-its-head", "HTTP/1.1 200 OK\r\nContent-Length", Stalls, TOO_SLOW, RESPONSE),
    ("stalls-in-its-body", HALF, Stalls, Broken, REQUEST),
    ("dies-within-a-length", HALF, Closes, Broken, AT_ONCE),
    ("dies-within-a-chunk", HALF_A_CHUNK, Closes, Broken, AT_ONCE),
    ("half-closes-within-its-body", A_CHUNK, HalfCloses, Broken, AT_ONCE),
    ("half-closes-behind-its-answer", OK, HalfCloses, Whole, AT_ONCE),
    ("sends-too-much", TWO, Closes, Whole, AT_ONCE),
];

/// Does what the path asks for, and answers everything else.
fn act(connection: &mut Connection) {
    while let Some(request) = connection.request() {
        if let Some(name) = request.target().strip_prefix("/api/fault/") {
            let fault = FAULTS.iter().find(|fault| fault.0 == name).expect("a fault");
            connection.send(fault.1);
            return end(connection, fault.2);
        }
        connection.send(OK);
    }
}

fn end(connection: &mut Connection, then: Then) {
    match then {
        Closes => {}
        HalfCloses => {
            connection.half_close();
            connection.wait_for_close();
        }
        Repeats(bytes) => {
            let _all = (0..10_000).all(|_| connection.send(bytes));
        }
        Resets => connection.reset(),
        Stalls => connection.wait_for_close(),
    }
}

/// Sends `call`, and says what came of it and how long that took. The connection is at its end where the answer was broken off.
fn see(gateway: &Gateway, call: &Call) -> (Seen, Duration) {
    let begun = Instant::now();
    let answer = gateway.answer(call);
    let took = begun.elapsed();
    let seen = match (answer.status(), answer.whole) {
        (200, true) => Whole,
        (200, false) => Broken,
        (status, _) => {
            let code = ["upstream_failed", "upstream_timeout", "upstream_unreachable", "overloaded"];
            let found = answer.code();
            Refused(status, code.into_iter().find(|code| *code == found).unwrap_or("another code"))
        }
    };
    (seen, took)
}

/// Waits until nobody has anything open but the gateway, one idle connection to the upstream at most.
fn is_at_rest(gateway: &Gateway) -> Option<()> {
    let open = |side: &str| gateway.metric("scopegate_connections", &[&format!("side=\"{side}\"")]);
    (open("downstream") == 0.0 && open("upstream") <= 1.0).then_some(())
}

fn descriptors(gateway: &Gateway) -> f64 {
    gateway.metric("process_open_fds", &[])
}

#[test]
fn each_fault_of_the_upstream_has_its_answer_in_time_and_leaves_nothing_behind() {
    let upstream = Upstream::start(act);
    let gateway = Setup::new(&upstream).upstream(TIMEOUTS).routes(ROUTES).config(NARROW).start();
    let well = Call::get("/api/well");
    assert_eq!(see(&gateway, &well).0, Whole);
    until("rest", || is_at_rest(&gateway));
    let before = descriptors(&gateway);
    for (name, _, _, expected, least) in FAULTS {
        let target = format!("/api/fault/{name}");
        for number in 0..TIMES {
            let call = if number % 2 == 0 { Call::get(&target) } else { Call::post(&target).body("{}") };
            let sent = upstream.requests().len();
            let (seen, took) = see(&gateway, &call);
            assert_eq!(seen, *expected, "{name}");
            assert!(took >= *least && took < *least + SLACK, "{name} took {took:?}");
            let again = upstream.requests().len() - sent;
            assert!(again == 1 || (again == 2 && number % 2 == 0), "{name}: sent {again} times");
            // The one permit is free, and the connection that is taken is a good one.
            assert_eq!(see(&gateway, &well).0, Whole, "after {name}");
        }
    }
    until("rest", || is_at_rest(&gateway));
    assert!(descriptors(&gateway) <= before + 2.0, "{} descriptors, {before} before", descriptors(&gateway));
    assert!(!gateway.process.said().contains("panicked"));
}

#[test]
fn a_server_that_refuses_costs_no_permit_and_no_time() {
    let address = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let url = format!("http://{address}");
    let gateway = Setup::for_url(&url).upstream(TIMEOUTS).routes(ROUTES).config(NARROW).start();
    for _ in 0..3 * TIMES {
        let (seen, took) = see(&gateway, &Call::get("/api/well"));
        assert_eq!(seen, Refused(503, "upstream_unreachable"));
        assert!(took < SLACK, "{took:?}");
    }
    until("rest", || is_at_rest(&gateway));
    // It comes back, and is used by the next request.
    let listener = until("the port", || TcpListener::bind(address).ok());
    let back = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut block = [0; 4096];
        let _ = std::io::Read::read(&mut stream, &mut block);
        let _ = std::io::Write::write_all(&mut stream, OK.as_bytes());
    });
    assert_eq!(see(&gateway, &Call::get("/api/well")).0, Whole);
    back.join().expect("the upstream");
}
