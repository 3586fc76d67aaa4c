//! What an upstream can do wrong, one after the other to one gateway that has hardly room for any: whatever a fault left behind
//! would be missed by those after it.

use std::time::{Duration, Instant};

use crate::support::upstream::Connection;
use crate::support::{Call, Gateway, OK, Setup, Upstream, Vacant, lasted};

/// How often each fault happens.
const TIMES: usize = 6;

/// One permit to wait for the upstream, and as many sockets to it as there may be callers: eight.
const NARROW: &str = "workers: 1\nlimits: { connections: 8 }";
/// What is seen at once is no time that ran out: there is none that does before the test gives up.
const PATIENT: &str = "  max_pending: 1\n  timeouts: { connect: 1h, response: 1h, request: none }";
const ROUTES: &str = "  GET /well: { auth: anyone }
  GET|POST /at-once/{name}: { auth: anyone }
  GET|POST /response/{name}: { auth: anyone, timeouts: { response: 300ms } }
  GET|POST /request/{name}: { auth: anyone, timeouts: { request: 1500ms } }
";

/// How soon a fault is seen: the first segment of its path, and the time that runs out.
type Soon = (&'static str, Duration);

const AT_ONCE: Soon = ("at-once", Duration::ZERO);
const RESPONSE: Soon = ("response", Duration::from_millis(300));
/// Long enough for the head of an answer to come before it is over.
const REQUEST: Soon = ("request", Duration::from_millis(1500));
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

/// A fault: its name in the path, what the upstream sends, what it does then, what the caller sees, and how soon.
type Fault = (&'static str, &'static str, Then, Seen, Soon);

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
    ("stalls-in-its-body", HALF, Stalls, Broken, RESPONSE),
    ("stalls-within-a-chunk", HALF_A_CHUNK, Stalls, Broken, REQUEST),
    ("dies-within-a-length", HALF, Closes, Broken, AT_ONCE),
    ("dies-within-a-chunk", HALF_A_CHUNK, Closes, Broken, AT_ONCE),
    ("half-closes-within-its-body", A_CHUNK, HalfCloses, Broken, AT_ONCE),
    ("half-closes-behind-its-answer", OK, HalfCloses, Whole, AT_ONCE),
    ("sends-too-much", TWO, Closes, Whole, AT_ONCE),
];

/// Does what the path asks for, and answers everything else.
fn act(connection: &mut Connection) {
    while let Some(request) = connection.request() {
        let name = request.target().rsplit('/').next();
        if let Some(fault) = FAULTS.iter().find(|fault| Some(fault.0) == name) {
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

fn descriptors(gateway: &Gateway) -> f64 {
    gateway.metric("process_open_fds", &[])
}

#[test]
fn each_fault_of_the_upstream_has_its_answer_in_time_and_leaves_nothing_behind() {
    let upstream = Upstream::start(act);
    let gateway = Setup::new(&upstream).upstream(PATIENT).routes(ROUTES).config(NARROW).start();
    let well = Call::get("/api/well");
    assert_eq!(see(&gateway, &well).0, Whole);
    gateway.wait_for_rest();
    let before = descriptors(&gateway);
    for (name, _, _, expected, (soon, least)) in FAULTS {
        let target = format!("/api/{soon}/{name}");
        for number in 0..TIMES {
            let call = if number % 2 == 0 { Call::get(&target) } else { Call::post(&target).body("{}") };
            let sent = upstream.requests().len();
            let (seen, took) = see(&gateway, &call);
            assert_eq!(seen, *expected, "{name}");
            assert!(lasted(took, *least) && took < *least + SLACK, "{name} took {took:?}");
            let again = upstream.requests().len() - sent;
            assert!(again == 1 || (again == 2 && number % 2 == 0), "{name}: sent {again} times");
            // The one permit is free, and the connection that is taken is a good one.
            assert_eq!(see(&gateway, &well).0, Whole, "after {name}");
        }
    }
    gateway.wait_for_rest();
    assert!(descriptors(&gateway) <= before + 2.0, "{} descriptors, {before} before", descriptors(&gateway));
    gateway.process.signal("TERM");
    let said = gateway.process.last_words();
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_server_that_refuses_costs_no_permit_and_no_time() {
    let nobody = Vacant::new();
    let gateway = Setup::for_url(&nobody.url()).upstream(PATIENT).routes(ROUTES).config(NARROW).start();
    for _ in 0..3 * TIMES {
        let (seen, took) = see(&gateway, &Call::get("/api/well"));
        assert_eq!(seen, Refused(503, "upstream_unreachable"));
        assert!(took < SLACK, "{took:?}");
    }
    gateway.wait_for_rest();
    // It comes back, and is used by the next request.
    let _back = Upstream::on(nobody.listen(), |connection| connection.answer_all(OK.as_bytes()));
    assert_eq!(see(&gateway, &Call::get("/api/well")).0, Whole);
}
