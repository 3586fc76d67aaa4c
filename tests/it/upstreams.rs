//! Upstreams that refuse, reset, stall, break off, lie; pools; TLS; Unix sockets.

mod reuse; // A connection that served one request serves the next one, or is done with.

use std::time::{Duration, Instant};

use crate::support::certificate::Authority;
use crate::support::upstream::Connection;
use crate::support::{Call, Gateway, Message, OK, PATIENCE, Setup, Upstream, Vacant, lasted, until};

/// One worker, so that there is one pool and it is known which connection comes next.
const ONE_POOL: &str = "workers: 1";

/// A gateway with one pool and a full key in front of a script.
fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Upstream, Gateway, String) {
    start_with(script, "")
}

fn start_with(script: impl Fn(&mut Connection) + Send + Sync + 'static, lines: &str) -> (Upstream, Gateway, String) {
    let upstream = Upstream::start(script);
    let gateway = Setup::new(&upstream).upstream(lines).config(ONE_POOL).start();
    let key = full_key(&gateway);
    (upstream, gateway, key)
}

/// A full key that is in force, without a request to the upstream.
fn full_key(gateway: &Gateway) -> String {
    let key = gateway.create_key(&["--full"]);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    key
}

#[track_caller]
fn assert_fault(answer: &Message, status: u16, code: &str) {
    assert_eq!((answer.status(), answer.code().as_str()), (status, code), "{}", answer.text());
    assert_eq!(answer.field("retry-after"), (status == 503).then_some("1"));
    assert!(
        answer.field("proxy-status").is_some_and(|about| about.starts_with("scopegate; error=")),
        "{}",
        answer.text()
    );
}

#[test]
fn an_upstream_that_refuses_is_unavailable_and_worth_a_retry() {
    let nobody = Vacant::new();
    let gateway = Setup::for_url(&nobody.url()).start();
    let key = full_key(&gateway);
    assert_fault(&gateway.get("/api/profiles", &key), 503, "upstream_unreachable");
    assert_fault(&gateway.answer(&Call::post("/api/profiles").key(&key).body("{}")), 503, "upstream_unreachable");
}

#[test]
fn an_upstream_name_that_does_not_resolve_is_unavailable() {
    let gateway = Setup::for_url("http://no-such-host.invalid:80").start();
    let key = full_key(&gateway);
    assert_fault(&gateway.get("/api/profiles", &key), 503, "upstream_unreachable");
}

#[test]
fn an_upstream_that_comes_back_is_used_again() {
    let place = Vacant::new();
    let upstream = Upstream::on(place.listen(), |connection| connection.answer_all(OK.as_bytes()));
    let gateway = Setup::new(&upstream).start();
    let key = gateway.key(&["--full"]);
    drop(upstream);
    // Connections that the old one left may still be answered by its threads; new ones are refused.
    until("the upstream to be gone", || std::net::TcpStream::connect(place.address).is_err().then_some(()));
    assert!([200, 502, 503].contains(&gateway.get("/api/profiles", &key).status()));
    let back = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nback";
    let _upstream = Upstream::on(place.listen(), |connection| connection.answer_all(back));
    until("the new upstream's answer", || (gateway.get("/api/profiles", &key).body_text() == "back").then_some(()));
}

#[test]
fn an_upstream_that_breaks_the_protocol_has_failed() {
    let head = "The head of the API's answer is malformed. ";
    let grammar = |what: &str| ("http_protocol_error", format!("{head}{what}."));
    let broken = [
        ("", ("connection_terminated", "The API closed the connection before it had answered.".to_owned())),
        ("garbage\r\n\r\n", grammar("The version is neither HTTP/1.0 nor HTTP/1.1")),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n",
            ("http_response_incomplete", "The API broke its answer off.".to_owned()),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            grammar("Content-Length stands beside Transfer-Encoding"),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
            grammar("Content-Length is given twice"),
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
            grammar("Content-Length is given twice"),
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok", grammar("Content-Length is not a number below 2^63")),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok",
            grammar("Transfer-Encoding is not exactly one chunked"),
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            grammar("A field name is empty, has bytes that no token has, or a space before its colon"),
        ),
        ("HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 0\r\n\r\n", grammar("A field value has a control byte")),
        (
            "HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\nContent-Length: 0\r\n\r\n",
            grammar("A line of the head is folded or starts with a space"),
        ),
        ("HTTP/1.1 200 OK\r\nX: 1\rY: 2\r\nContent-Length: 0\r\n\r\n", grammar("A field value has a control byte")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n", grammar("A line of the head does not end in CR LF")),
        ("HTTP/1.1 200 OK\nContent-Length: 0\n\n", grammar("A line of the head does not end in CR LF")),
        ("HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n", grammar("The status line is not a code and a reason")),
        ("HTTP/1.1 999999 OK\r\nContent-Length: 0\r\n\r\n", grammar("The status line is not a code and a reason")),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
            ("http_upgrade_failed", "The API switched protocols without being asked.".to_owned()),
        ),
        ("HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", grammar("The version is neither HTTP/1.0 nor HTTP/1.1")),
    ];
    let bytes = broken.each_ref().map(|(bytes, _)| *bytes);
    let (upstream, gateway, key) = start(move |connection| {
        let Some(request) = connection.request() else { return };
        let place: usize = request.field("x-place").and_then(|place| place.parse().ok()).expect("a place");
        connection.send(bytes[place]);
    });
    for (place, (bytes, (kind, words))) in broken.iter().enumerate() {
        let call = Call::post("/api/profiles").key(&key).field("X-Place", &place.to_string());
        let answer = gateway.answer(&call.field("X-Request-Id", &format!("broken-{place}")).body("{}"));
        assert_fault(&answer, 502, "upstream_failed");
        let about = format!("scopegate; error={kind}; details=\"{words}\"");
        assert_eq!(answer.field("proxy-status"), Some(about.as_str()), "{bytes:?}");
        assert_eq!(answer.json()["detail"], words.as_str(), "{bytes:?}");
        let line = gateway.process.wait_for("its line", |said| {
            said.lines().find(|line| line.contains(&format!("\"broken-{place}\""))).map(str::to_owned)
        });
        assert!(line.contains(&format!("\"reason\":\"{words}\"")), "{line}");
        assert_eq!(upstream.requests().len(), place + 1, "a POST is never sent twice: {bytes:?}");
    }
}

#[test]
fn an_upstream_that_resets_has_failed() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request();
        connection.reset();
    });
    assert_fault(&gateway.answer(&Call::post("/api/profiles").key(&key).body("{}")), 502, "upstream_failed");
    assert_eq!(upstream.requests().len(), 1);
    assert_fault(&gateway.get("/api/profiles", &key), 502, "upstream_failed");
}

#[test]
fn interim_heads_without_end_are_a_failure() {
    let (_upstream, gateway, key) = start(|connection| {
        connection.request();
        while connection.send("HTTP/1.1 103 Early Hints\r\nX: 1\r\n\r\n") {}
    });
    let mut client = gateway.connect();
    client.send(Call::get("/api/profiles").key(&key).bytes());
    let mut interim = 0;
    let last = loop {
        let head = client.read_head();
        if head.status() >= 200 {
            break head;
        }
        interim += 1;
        assert!(interim <= 8, "more than eight interim heads passed");
    };
    assert_eq!(last.status(), 502);
}

#[test]
fn an_upstream_that_is_too_slow_times_out_when_it_should() {
    let (_upstream, gateway, key) = start_with(
        |connection| {
            connection.request();
            connection.stall();
        },
        "  timeouts: { response: 400ms }",
    );
    let begun = Instant::now();
    assert_fault(&gateway.get("/api/profiles", &key), 504, "upstream_timeout");
    let took = begun.elapsed();
    assert!(lasted(took, Duration::from_millis(400)) && took < PATIENCE / 2, "{took:?}");
}

#[test]
fn a_trickling_head_does_not_extend_the_deadline() {
    let (_upstream, gateway, key) = start_with(
        |connection| {
            connection.request();
            connection.send("HTTP/1.1 200 OK\r\n");
            while connection.send("X: 1\r\n") {
                std::thread::park_timeout(Duration::from_millis(50));
            }
        },
        "  timeouts: { response: 400ms }",
    );
    assert_fault(&gateway.get("/api/profiles", &key), 504, "upstream_timeout");
}

/// Answers in two parts: what is good, and with what it breaks off.
const BROKEN: &[(&str, &str)] = &[
    ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", ""),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", ""),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf", ""),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "0\r\n"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "nonsense\r\n\r\n"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "0x1\r\n!\r\n0\r\n\r\n"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "0\r\nX: 1\r\n 2\r\n\r\n"),
];

#[test]
fn an_answer_that_breaks_off_is_cut_where_its_head_has_gone_on() {
    for (good, bad) in BROKEN {
        for reset in [false, true] {
            let (upstream, gateway, key) = start(move |connection| {
                connection.request();
                connection.send(good);
                connection.wait_for("half has arrived");
                connection.send(bad);
                if reset {
                    connection.reset();
                }
            });
            let mut client = gateway.connect();
            client.send(Call::get("/api/profiles").key(&key).bytes());
            assert_eq!(client.read_head().status(), 200);
            client.read_until("half");
            upstream.allow("half has arrived");
            let (rest, _) = client.read_to_end();
            // What was read is within a chunk, or within the length: whatever follows, no end of the answer does.
            assert!([&b""[..], b"\r\n"].contains(&rest.as_slice()), "{good:?} {bad:?}: {:?}", rest.escape_ascii());
        }
    }
}

#[test]
fn an_answer_that_breaks_off_never_ends_cleanly() {
    for (good, bad) in BROKEN {
        for reset in [false, true] {
            let (_upstream, gateway, key) = start(move |connection| {
                connection.request();
                connection.send(format!("{good}{bad}"));
                if reset {
                    // A RST may overtake the bytes before it.
                    connection.reset();
                }
            });
            let mut client = gateway.connect();
            client.send(Call::get("/api/profiles").key(&key).bytes());
            let (got, _) = client.read_to_end();
            let got = String::from_utf8_lossy(&got).into_owned();
            // Its beginning was good and has gone on; no last chunk does, and no end of the length. Where the upstream resets,
            // the gateway may never have seen that.
            let cut = got.starts_with("HTTP/1.1 200 OK\r\n") && got.trim_ascii_end().ends_with("\r\nhalf");
            let refused = reset && got.starts_with("HTTP/1.1 502 ");
            assert!(cut || refused, "reset {reset}, {good:?} {bad:?}: {got}");
        }
    }
}

#[test]
fn the_upstream_may_be_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let upstream =
        Upstream::start_unix(&folder.path().join("api.sock"), |connection| connection.answer_all(OK.as_bytes()));
    let gateway = Setup::new(&upstream).config(ONE_POOL).start();
    let key = gateway.key(&["--full"]);
    let answer = gateway.get("/api/profiles", &key);
    assert_eq!((answer.status(), answer.body_text().as_str()), (200, "ok"));
    assert_eq!(upstream.requests().pop().expect("a request").field("host"), Some("api.test"));
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn the_upstream_may_speak_tls_under_an_authority_of_its_own() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(&authority, |connection| connection.answer_all(OK.as_bytes()));
    let setup = Setup::new(&upstream).upstream("  tls: { ca: ca.pem }").config(ONE_POOL);
    std::fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("the certificate");
    let gateway = setup.start();
    let key = gateway.key(&["--full"]);
    for _ in 0..3 {
        assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
    }
    let host = format!("localhost:{}", upstream.address().port());
    assert_eq!(
        upstream.requests().pop().expect("a request").field("host"),
        Some(host.as_str()),
        "https sends its own name on"
    );
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused() {
    let upstream = Upstream::start_tls(&Authority::new(), |connection| connection.answer_all(OK.as_bytes()));
    let setup = Setup::new(&upstream).upstream("  tls: { ca: ca.pem }");
    std::fs::write(setup.folder().join("ca.pem"), Authority::new().pem()).expect("the certificate of somebody else");
    let gateway = setup.start();
    let key = full_key(&gateway);
    assert_fault(&gateway.get("/api/profiles", &key), 503, "upstream_unreachable");
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_certificate_for_another_name_is_refused_unless_that_name_is_configured() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(&authority, |connection| connection.answer_all(OK.as_bytes()));
    let url = format!("https://127.0.0.1:{}", upstream.address().port());
    for (lines, status) in [("  tls: { ca: ca.pem }", 503), ("  tls: { ca: ca.pem, server_name: localhost }", 200)] {
        let setup = Setup::for_url(&url).upstream(lines);
        std::fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("the certificate");
        let gateway = setup.start();
        let key = full_key(&gateway);
        assert_eq!(gateway.get("/api/profiles", &key).status(), status, "{lines}");
    }
}
