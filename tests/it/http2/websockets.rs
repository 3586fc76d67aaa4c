//! WebSockets over HTTP/2 (RFC 8441): what is one, who may, and how it ends.

mod ending; // By either side, by its key, by its idle time.
mod upstreams; // Before an upstream of HTTP/2.

use std::time::Duration;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use h2::Reason;
use h2::ext::Protocol;
use serde_json::Value;

use super::eventually;
use crate::support::http2::{Caller, Live, Upstream2, drain, run};
use crate::support::upstream::Connection;
use crate::support::wire::Message;
use crate::support::{Gateway, Setup, Upstream, stands_still, until};

const ROUTES: &str = "  GET /live: { scopes: live:read, upgrade: websocket }
  GET /plain: live:read
  GET /open: { auth: anyone, upgrade: websocket }
";

/// The close frame for a key that does not hold any more.
const INVALID_KEY: &[u8] = b"\x88\x0d\x03\xf0invalid_key";
const IDLE: &[u8] = b"\x88\x06\x03\xe9idle";

/// What an upstream answers that agrees to this handshake.
pub fn agreement(request: &Message) -> String {
    let nonce = request.field("sec-websocket-key").expect("a nonce");
    assert_eq!(STANDARD.decode(nonce).expect("base64").len(), 16, "{nonce}");
    let proof = [nonce.as_bytes(), b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let proof = STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &proof));
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nKeep-Alive: timeout=5\r\n\
         Sec-WebSocket-Accept: {proof}\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
    )
}

fn agree(connection: &mut Connection) -> bool {
    connection.request_head().is_some_and(|request| connection.send(agreement(&request)))
}

/// Agrees and sends back every word, up to `bye `, which it answers with its end.
fn echo(connection: &mut Connection) {
    if agree(connection) {
        loop {
            let word = connection.until(" ");
            if word.is_empty() || !connection.send(&word) || word == b"bye " {
                break;
            }
        }
        connection.note("over");
    }
}

fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Upstream, Gateway, String) {
    start_with("", script)
}

fn start_with(lines: &str, script: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Upstream, Gateway, String) {
    let upstream = Upstream::start(script);
    let gateway = Setup::new(&upstream).routes(ROUTES).config("workers: 1").config(lines).start();
    let key = key(&gateway, &["--scopes", "live:read"]);
    (upstream, gateway, key)
}

/// A key that is in force, without a request to the upstream.
fn key(gateway: &Gateway, grant: &[&str]) -> String {
    let key = gateway.create_key(grant);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    key
}

/// A tunnel through which a word has gone both ways.
async fn open(caller: &mut Caller, key: &str) -> Live {
    let head = caller.handshake("/api/live", key);
    let mut live = caller.open(head).await;
    say(&mut live, "hello ").await;
    live
}

/// Sends a frame with that word and reads it back.
async fn say(live: &mut Live, word: &str) {
    let frame = [&[0x81, word.len() as u8], word.as_bytes()].concat();
    live.say(&frame);
    live.hear(&frame).await;
}

#[test]
fn a_websocket_over_http_2_is_a_handshake_to_the_upstream_and_counted_once() {
    let (upstream, gateway, key) = start(|connection| {
        let request = connection.request_head().expect("a request");
        // The first frame may stand in the same segment.
        connection.send([agreement(&request), "early ".to_owned()].concat());
        let word = connection.until("back ");
        connection.send(word);
        connection.until("end");
    });
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        caller.get("/api/none", "").await;
        assert!(caller.requests.is_extended_connect_protocol_enabled());
        let head = caller.handshake("/api/live?room=1", &key).header("x-request-id", "tunnel-2");
        let head = head.header("sec-websocket-protocol", "chat, other").header("sec-websocket-extensions", "mux");
        // What a caller says of the nonce counts for nothing (RFC 8441 5.1).
        let head = head.header("sec-websocket-key", "mine").header("sec-websocket-key", "again");
        let mut live = caller.open(head).await;
        assert_eq!(
            (live.fields["x-request-id"].as_bytes(), live.fields["sec-websocket-protocol"].as_bytes()),
            (&b"tunnel-2"[..], &b"chat"[..])
        );
        for gone in
            ["connection", "upgrade", "keep-alive", "sec-websocket-accept", "content-length", "transfer-encoding"]
        {
            assert!(!live.fields.contains_key(gone), "{gone}");
        }
        live.hear(b"early ").await;
        live.say(b"over and back ");
        live.hear(b"over and back ").await;
        assert_eq!(gateway.metric("scopegate_requests_total", &["status=\"101\""]), 0.0, "it has not ended");
        live.say(b"end");
        assert_eq!(live.hear_out().await, (Vec::new(), None));
    });
    let request = upstream.next_request();
    assert_eq!(request.start, "GET /api/live?room=1 HTTP/1.1");
    assert_eq!(request.field("host"), Some(gateway.address().to_string().as_str()));
    assert_eq!((request.field("connection"), request.field("upgrade")), (Some("upgrade"), Some("websocket")));
    assert_eq!(request.all("sec-websocket-key").len(), 1);
    assert_eq!(
        (request.field("sec-websocket-protocol"), request.field("sec-websocket-extensions")),
        (Some("chat, other"), Some("mux"))
    );
    assert_eq!((request.field("origin"), request.field("via")), (Some("http://page.test"), Some("2.0 scopegate")));
    assert_eq!(request.field("x-scopegate-scopes"), Some("live:read"));
    for gone in ["authorization", "content-length", "transfer-encoding"] {
        assert!(!request.has(gone), "{gone}");
    }
    let line = gateway.process.wait_for("its line", |said| {
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["request_id"] == "tunnel-2")
    });
    assert_eq!((line["status"].as_u64(), line["decision"].as_str()), (Some(101), Some("allow")), "{line}");
    assert_eq!((line["bytes_in"].as_u64(), line["bytes_out"].as_u64()), (Some(17), Some(20)), "{line}");
    assert_eq!(gateway.metric("scopegate_requests_total", &["status=\"101\"", "route=\"GET /api/live\""]), 1.0);
}

#[test]
fn who_may_not_call_the_route_gets_no_tunnel_and_the_answer_that_any_request_gets() {
    let (upstream, gateway, fit) = start(echo);
    let other = key(&gateway, &["--no-scopes"]);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        for (target, key, status, code) in [
            ("/api/live", "", 401, "missing_key"),
            ("/api/live", "sg_nobody", 401, "invalid_key"),
            ("/api/live", &other, 403, "insufficient_scope"),
            ("/api/live/../live", &fit, 400, "ambiguous_path"),
            // It counts as GET, on a route with `upgrade`.
            ("/api/plain", &fit, 403, "route_not_allowed"),
            ("/api/plain", "", 401, "missing_key"),
            ("/api/none", &fit, 403, "route_not_allowed"),
        ] {
            let head = caller.handshake(target, key);
            let answer = caller.ask(head).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{target}");
            assert_eq!((answer.field("content-type"), answer.reset), ("application/problem+json", None));
        }
        // As a call of gRPC it would be refused with a 200, which to a CONNECT is success.
        let head = caller.handshake("/api/live", &other).header("content-type", "application/grpc");
        assert_eq!(caller.ask(head).await.status, 403);
        assert_eq!(upstream.connections(), 0);
        let head = caller.handshake("/api/open", "");
        assert_eq!(caller.open(head).await.fields["sec-websocket-protocol"], "chat");
        open(&mut caller, &fit).await;
    });
}

#[test]
fn a_connect_that_is_no_handshake_of_a_websocket_goes_nowhere() {
    let (upstream, gateway, key) = start(echo);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let plain = caller.head("CONNECT", "", &key).uri(gateway.address().to_string());
        let udp = caller.handshake("/api/live", &key).extension(Protocol::from_static("connect-udp"));
        let case = caller.handshake("/api/live", &key).extension(Protocol::from_static("WebSocket"));
        let bare = caller.head("CONNECT", "/api/live", &key).extension(Protocol::from_static("websocket"));
        let old = caller.head("CONNECT", "/api/live", &key).extension(Protocol::from_static("websocket"));
        let old = old.header("sec-websocket-version", "8");
        let twice = caller.handshake("/api/live", &key).header("sec-websocket-version", "13");
        let length = caller.handshake("/api/live", &key).header("content-length", "0");
        for (what, head, status, code) in [
            ("plain", plain, 403, "route_not_allowed"),
            ("UDP", udp, 403, "route_not_allowed"),
            ("another case", case, 403, "route_not_allowed"),
            ("no version", bare, 400, "bad_request"),
            ("another version", old, 400, "bad_request"),
            ("two versions", twice, 400, "bad_request"),
            ("a length", length, 400, "bad_request"),
        ] {
            let answer = caller.ask(head).await;
            assert_eq!((answer.status, answer.code().as_str()), (status, code), "{what}");
        }
        assert_eq!(caller.get("/api/none", &key).await.status, 403, "the connection goes on");
    });
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_websocket_on_a_route_that_has_none_is_refused_with_the_mend_in_the_answer_and_in_the_log() {
    let (_upstream, gateway, key) = start(echo);
    let mend = "write `upgrade: websocket` on it";
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.handshake("/api/plain", &key);
        let answer = caller.ask(head).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "route_not_allowed"));
        let body = String::from_utf8(answer.body).expect("text");
        assert!(body.contains(mend), "{body}");
    });
    for what in ["\"level\":\"warn\"", "\"reason\":"] {
        let line = gateway.process.wait_for(what, |said| {
            said.lines().find(|line| line.contains(what) && line.contains(mend)).map(str::to_owned)
        });
        assert!(line.contains("\"route\":\"GET /api/plain\""), "{line}");
    }
}

#[test]
fn what_the_upstream_does_not_agree_to_is_never_called_a_success() {
    type Change = fn(String) -> String;
    let cases: [(Change, u16); 6] = [
        (|_| "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno".to_owned(), 426),
        (|_| "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_owned(), 502),
        (|_| "HTTP/1.1 204 No Content\r\n\r\n".to_owned(), 502),
        (|agreed| agreed.replace("Upgrade: websocket", "Upgrade: h2c"), 502),
        (|agreed| agreed.replace("Accept: ", "Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX: "), 502),
        (|agreed| agreed.replace("Sec-WebSocket-Accept", "X"), 502),
    ];
    for (change, status) in cases {
        let (upstream, gateway, key) = start(move |connection| {
            while let Some(request) = connection.request_head() {
                connection.send(change(agreement(&request)));
            }
            connection.note("gone");
        });
        run(async {
            let mut caller = Caller::connect(gateway.address()).await;
            let head = caller.handshake("/api/live", &key);
            let (response, mut sending) = caller.begin(head).await;
            let _ = sending.send_data(Bytes::from_static(b"GET /api/secret HTTP/1.1\r\nHost: a\r\n\r\n"), false);
            let answer = crate::support::http2::read(response).await.expect("an answer");
            assert_eq!((answer.status, answer.reset), (status, None));
            if status == 502 {
                assert_eq!(answer.code(), "upstream_failed");
            } else {
                assert_eq!(answer.body, b"no");
            }
        });
        assert_eq!(upstream.requests().len(), 1, "what follows the handshake is no request");
    }
}

#[test]
fn no_caller_makes_a_server_look_ill_by_asking_it_for_a_websocket() {
    let (plain, framed) = ([Upstream::ok(), Upstream::ok()], [Upstream2::ok(), Upstream2::ok()]);
    let urls = [plain.each_ref().map(Upstream::url), framed.each_ref().map(Upstream2::url)];
    for (urls, protocol) in urls.iter().zip(["h1", "h2c"]) {
        let upstream = format!("  protocol: {protocol}\n  health: {{ interval: 1h, eject_after: 3 }}");
        let gateway = Setup::for_servers(urls).routes(ROUTES).upstream(&upstream).config("workers: 1").start();
        run(async {
            let mut caller = Caller::connect(gateway.address()).await;
            for _ in 0..20 {
                let head = caller.handshake("/api/open", "");
                assert_eq!(caller.ask(head).await.status, 502);
            }
        });
        assert_eq!(gateway.metric("scopegate_upstream_up", &[]), 2.0, "{protocol}");
    }
}

#[test]
fn nothing_of_the_callers_goes_on_before_the_upstream_has_agreed_not_even_its_end() {
    let (upstream, gateway, key) = start(|connection| {
        let Some(request) = connection.request_head() else { return };
        let silent = connection.is_silent_for(Duration::from_millis(400));
        connection.note(if silent { "silent" } else { "spoke" });
        connection.send(agreement(&request));
        let heard = connection.until("never said");
        connection.send("and back");
        connection.note(if heard == b"too early" { "then" } else { "lost" });
    });
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.handshake("/api/live", &key);
        let (response, mut sending) = caller.begin(head).await;
        sending.send_data(Bytes::from_static(b"too early"), true).expect("an open stream");
        let mut body = response.await.expect("an answer").into_body();
        let mut heard = Vec::new();
        drain(&mut body, &mut heard).await.expect("an end in order");
        assert_eq!(heard, b"and back");
    });
    upstream.wait_for("then");
    assert_eq!((upstream.noted("silent"), upstream.noted("spoke")), (1, 0));
}

#[test]
fn a_reader_that_stalls_holds_the_sender_up_and_no_memory() {
    let (upstream, gateway, key) = start(|connection| {
        agree(connection);
        let block = vec![b'd'; 1 << 20];
        let mut sent = 0;
        while sent < 256 && connection.send(&block) {
            sent += 1;
            connection.note("a mebibyte");
        }
        connection.note(if sent < 256 { "held up" } else { "all taken" });
    });
    let before = gateway.memory("VmHWM:");
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.handshake("/api/live", &key);
        let mut live = caller.open(head).await;
        live.hear(b"dddd").await;
        // What the kernel holds of it is some 10 MiB, and 40 where its limits are higher; a stream has no more than its window.
        let mut held_up = stands_still(|| upstream.noted("a mebibyte"));
        eventually("the sender to be held up", || held_up().is_some()).await;
        let taken = upstream.noted("a mebibyte");
        assert!(taken < 128, "{taken} MiB were taken");
        let grown = gateway.memory("VmHWM:") - before;
        assert!(grown < 16 * 1024, "{grown} KiB more");
        live.sending.send_reset(Reason::CANCEL);
        eventually("the end of it upstream", || upstream.noted("held up") == 1).await;
    });
}
