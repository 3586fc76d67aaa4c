//! How long the upstream may take: over all requests, and over those of a route that says otherwise.

use std::thread::park_timeout;
use std::time::{Duration, Instant};

use crate::support::certificate::Authority;
use crate::support::{Call, Gateway, Message, OK, PATIENCE, Setup, Upstream, lasted, until};

/// The time that a test gives the upstream where it is to run out.
const SHORT: Duration = Duration::from_millis(400);
/// The same where something is to happen before it does.
const AMPLE: Duration = Duration::from_secs(3);

/// A gateway before `upstream`: what holds for all routes, and what `/own` says of itself.
fn start(url: &str, all: &str, own: &str) -> Gateway {
    let routes = format!("  GET /usual: {{ auth: anyone }}\n  GET /own: {{ auth: anyone, timeouts: {{ {own} }} }}\n");
    Setup::for_url(url).upstream(&format!("  timeouts: {{ {all} }}")).routes(&routes).start()
}

/// An answer, and that it took no less than `least` and far less than patience.
#[track_caller]
fn late(gateway: &Gateway, target: &str, least: Duration) -> Message {
    let begun = Instant::now();
    let answer = gateway.answer(&Call::get(target));
    let took = begun.elapsed();
    assert!(lasted(took, least) && took < PATIENCE / 2, "{target} took {took:?}");
    answer
}

/// Answers `/api/own` when the test says so, and nothing else ever.
fn answering_own_alone() -> Upstream {
    Upstream::start(|connection| {
        let Some(request) = connection.request() else { return };
        if request.target() == "/api/own" {
            connection.wait_for("go");
            connection.send(OK);
        }
        connection.stall();
    })
}

#[test]
fn a_route_may_wait_less_for_an_answer_than_others() {
    let upstream = Upstream::start(|connection| {
        connection.request();
        connection.stall();
    });
    let gateway = start(&upstream.url(), "response: 1h", "response: 400ms");
    let answer = late(&gateway, "/api/own", SHORT);
    assert_eq!((answer.status(), answer.code().as_str()), (504, "upstream_timeout"));
}

#[test]
fn a_route_may_wait_longer_for_an_answer_than_others() {
    let upstream = answering_own_alone();
    let gateway = start(&upstream.url(), "response: 400ms", "response: 1h");
    let mut own = gateway.connect();
    own.send(Call::get("/api/own").bytes());
    upstream.next_request();
    assert_eq!(late(&gateway, "/api/usual", SHORT).status(), 504);
    // One tick of the worker later than the other's, its own would have been over, too.
    park_timeout(SHORT);
    upstream.allow("go");
    assert_eq!(own.read().status(), 200);
}

#[test]
fn a_route_may_bound_its_whole_exchange() {
    let upstream = Upstream::start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        connection.wait_for_close();
    });
    let gateway = start(&upstream.url(), "request: none", "request: 3s");
    let answer = late(&gateway, "/api/own", AMPLE);
    assert_eq!((answer.status(), answer.whole), (200, false));
    upstream.wait_for("gone");
}

#[test]
fn a_route_may_take_as_long_as_it_likes_where_others_may_not() {
    let upstream = answering_own_alone();
    let gateway = start(&upstream.url(), "request: 400ms", "request: none");
    let mut own = gateway.connect();
    own.send(Call::get("/api/own").bytes());
    upstream.next_request();
    assert_eq!(late(&gateway, "/api/usual", SHORT).status(), 504);
    park_timeout(SHORT);
    upstream.allow("go");
    assert_eq!(own.read().status(), 200);
}

#[test]
fn a_route_may_say_how_long_a_connection_may_take() {
    // Takes connections and never says a word of TLS.
    let upstream = Upstream::start(|connection| connection.stall());
    let gateway = start(&format!("https://{}", upstream.address()), "connect: 1h", "connect: 400ms");
    let answer = late(&gateway, "/api/own", SHORT);
    assert_eq!((answer.status(), answer.code().as_str()), (503, "upstream_unreachable"));
}

#[test]
fn an_upstream_that_was_slow_to_be_reached_has_its_whole_time_for_an_answer() {
    let authority = Authority::new();
    // Sooner or later the clock that deadlines are held against is far behind when the request has been sent.
    for slowness in [50, 100, 150, 200, 240].map(Duration::from_millis) {
        let upstream = Upstream::start_tls(&authority, move |connection| {
            // The handshake begins with the first byte that is read.
            std::thread::sleep(slowness);
            connection.request();
            connection.stall();
        });
        let lines = "  tls: { ca: ca.pem }\n  timeouts: { connect: 1h, response: 400ms }";
        let setup = Setup::new(&upstream).upstream(lines).routes("  GET /own: { auth: anyone }\n");
        std::fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("the certificate");
        let gateway = setup.start();
        let begun = Instant::now();
        assert_eq!(gateway.answer(&Call::get("/api/own")).status(), 504);
        let took = begun.elapsed();
        assert!(took >= slowness + SHORT, "{took:?} after {slowness:?}");
    }
}

#[test]
fn an_explanation_tells_what_a_route_says_of_time() {
    let gateway = start("http://127.0.0.1:9", "response: 1h", "response: 90s, request: none");
    let told = gateway.run(&["explain", "GET", "/api/own"]).exits(0).stdout;
    assert!(told.contains("timeouts  response: 90s, request: none"), "{told}");
    assert!(!gateway.run(&["explain", "GET", "/api/usual"]).exits(0).stdout.contains("timeouts"));
}

#[test]
fn an_answer_that_came_in_time_is_one_however_late_the_gateway_gets_to_read_it() {
    let upstream = Upstream::start(|connection| {
        if connection.request().is_some() {
            connection.note("asked");
            connection.wait_for("stopped");
            connection.send(OK);
            connection.note("answered");
            connection.wait_for_close();
        }
    });
    let limit = Duration::from_secs(3);
    let gateway = Setup::new(&upstream).upstream("  timeouts: { response: 3s, request: 3s }").start();
    let key = gateway.create_key(&["--full"]);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    let mut client = gateway.connect();
    client.send(Call::get("/api/profiles").key(&key).bytes());
    upstream.wait_for("asked");
    gateway.process.signal("STOP");
    upstream.allow("stopped");
    upstream.wait_for("answered");
    // As a machine that was frozen for longer than any timeout.
    std::thread::sleep(limit + Duration::from_secs(1));
    gateway.process.signal("CONT");
    assert_eq!(client.read().status(), 200);
}

#[test]
fn an_answer_of_known_length_must_go_on_in_time_and_may_take_as_long_as_it_does() {
    let upstream = Upstream::start(|connection| {
        while let Some(request) = connection.request() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
            for byte in ["a", "b", "c"] {
                connection.send(byte);
                park_timeout(SHORT);
            }
            if request.target().ends_with("own") {
                connection.stall();
            }
            connection.send("d");
        }
    });
    let gateway = start(&upstream.url(), "response: 900ms", "response: 900ms");
    let slow = late(&gateway, "/api/usual", 3 * SHORT);
    assert_eq!((slow.body_text().as_str(), slow.whole), ("abcd", true));
    let cut = late(&gateway, "/api/own", 3 * SHORT);
    assert_eq!((cut.body_text().as_str(), cut.whole), ("abc", false));
    gateway.process.wait_for("its line", |said| {
        let why = "sent nothing more of its answer in time (`timeouts.response`)";
        said.lines().any(|line| line.contains("\"code\":\"upstream_timeout\"") && line.contains(why)).then_some(())
    });
}

#[test]
fn whoever_is_late_is_told_which_time_ran_out_and_so_is_the_log() {
    let upstream = Upstream::start(|connection| {
        // Neither read to its end nor answered.
        connection.request_head();
        connection.stall();
    });
    let cases = [
        ("  timeouts: { response: 400ms }", "", "GET", 504, "`timeouts.response`"),
        ("  timeouts: { request: 400ms }", "", "GET", 504, "`timeouts.request`"),
        ("", "limits: { header_timeout: 400ms }", "", 408, "`limits.header_timeout`"),
        ("", "limits: { body_stall: 400ms }", "POST", 408, "`limits.body_stall`"),
    ];
    for (lines, limits, method, status, name) in cases {
        let routes = "  GET|POST /slow: { auth: anyone }\n";
        let gateway = Setup::new(&upstream).upstream(lines).config(limits).routes(routes).start();
        let mut client = gateway.connect();
        client.send(match method {
            "" => "GET /api/slow HTTP/1.1\r\nHost: a\r\n".to_owned(),
            "GET" => "GET /api/slow HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            _ => "POST /api/slow HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n{".to_owned(),
        });
        let answer = client.read();
        assert_eq!(answer.status(), status, "{name}");
        assert!(answer.json()["detail"].as_str().expect("a sentence").contains(name), "{}", answer.text());
        assert!(answer.field("proxy-status").expect("a field").contains(name), "{}", answer.text());
        gateway.process.wait_for(name, |said| {
            said.lines().any(|line| line.contains("\"reason\":") && line.contains(name)).then_some(())
        });
    }
}
