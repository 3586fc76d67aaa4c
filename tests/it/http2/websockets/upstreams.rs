//! WebSockets towards an upstream that is spoken to by HTTP/2.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use h2::ext::Protocol;
use http::{Request, Response};

use super::super::eventually;
use super::{INVALID_KEY, ROUTES, key, open};
use crate::keys::id_of;
use crate::support::http2::{Caller, Upstream2, run};
use crate::support::{Call, Ending, Gateway, Setup};

const LARGE: usize = 400 << 10;

/// A server of WebSockets over HTTP/2: sends back what it gets, and says how it ended.
fn live_upstream() -> Upstream2 {
    Upstream2::start_websockets(|shared, request: Request<h2::RecvStream>, mut respond| async move {
        let protocol = request.extensions().get::<Protocol>().map(|protocol| protocol.as_str().to_owned());
        let (parts, mut body) = request.into_parts();
        shared.note(&format!("{} {} {:?}", parts.method, parts.uri, protocol));
        let names: Vec<_> = parts.headers.keys().map(|name| name.as_str()).collect();
        shared.note(&names.join(","));
        if parts.uri.query() == Some("large") {
            if let Ok(mut stream) = respond.send_response(Response::new(()), false) {
                let _ = stream.send_data(Bytes::from(vec![b'x'; LARGE]), true);
            }
            // Nobody listens any more: the stream is reset for NO_ERROR behind its end.
            return;
        }
        if parts.uri.query() == Some("refuse") {
            let head = Response::builder().status(403).body(()).expect("a head");
            if let Ok(mut stream) = respond.send_response(head, false) {
                let _ = stream.send_data(Bytes::from_static(b"not you"), true);
            }
            return;
        }
        let head = Response::builder().header("sec-websocket-protocol", "chat").body(()).expect("a head");
        let Ok(mut stream) = respond.send_response(head, false) else { return };
        loop {
            match body.data().await {
                Some(Ok(data)) => {
                    let _ = body.flow_control().release_capacity(data.len());
                    let mut over = data.ends_with(b"bye ");
                    if let [0x88, _, mask @ ..] = &*data {
                        let (mask, payload) = mask.split_at(4);
                        let code: Vec<u8> = payload.iter().zip(mask).map(|(byte, mask)| byte ^ mask).take(2).collect();
                        shared.note(&format!("closed: {}", u16::from_be_bytes([code[0], code[1]])));
                        over = true;
                    }
                    let _ = stream.send_data(data, over);
                }
                Some(Err(error)) => return shared.note(&format!("reset: {:?}", error.reason())),
                None => {
                    shared.note("ended");
                    let _ = stream.send_data(Bytes::new(), true);
                    return;
                }
            }
        }
    })
}

fn in_front_of(upstream: &Upstream2) -> (Gateway, String) {
    let setup = Setup::for_url(&upstream.url()).upstream("  protocol: h2c").routes(ROUTES).config("workers: 1");
    let gateway = setup.start();
    let key = key(&gateway, &["--scopes", "live:read"]);
    (gateway, key)
}

fn handshake(target: &str, key: &str) -> Call {
    let call = Call::get(target).field("Connection", "Upgrade").field("Upgrade", "websocket").key(key);
    call.field("Sec-WebSocket-Version", "13").field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

#[test]
fn a_websocket_towards_an_upstream_of_http_2_is_an_extended_connect() {
    let upstream = live_upstream();
    let (gateway, key) = in_front_of(&upstream);
    // From a caller of HTTP/1.1, who checks the proof himself; it is the first request on its connection.
    let mut client = gateway.connect();
    let answer = client.send(handshake("/api/live?a=%41", &key).bytes()).read_head();
    assert_eq!(answer.status(), 101, "{}", answer.text());
    assert_eq!(answer.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!((answer.field("upgrade"), answer.field("sec-websocket-protocol")), (Some("websocket"), Some("chat")));
    client.send_more("over and back ").read_until("over and back ");
    let host = handshake("/", "");
    let host = String::from_utf8(host.bytes()).expect("text");
    let host = host.lines().find_map(|line| line.strip_prefix("Host: ")).expect("a Host").to_owned();
    upstream.wait_for(&format!("CONNECT http://{host}/api/live?a=%41 Some(\"websocket\")"));
    client.send_more("bye ").read_until("bye ");
    client.half_close();
    client.assert_closed();
    upstream.wait_for("ended");
    // From a caller of HTTP/2, on the same connection to the upstream.
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let mut live = open(&mut caller, &key).await;
        live.end();
        assert_eq!(live.hear_out().await, (Vec::new(), None));
        let head = caller.handshake("/api/live?refuse", &key);
        let answer = caller.ask(head).await;
        assert_eq!((answer.status, answer.body.as_slice(), answer.reset), (403, b"not you".as_slice(), None));
    });
    assert_eq!(upstream.connections(), 1);
    let notes = upstream.notes();
    let names = notes.iter().find(|note| note.contains("sec-websocket-version")).expect("the names of its fields");
    for gone in ["sec-websocket-key", "connection", "upgrade", "authorization", "te"] {
        assert!(!names.split(',').any(|name| name == gone), "{gone}: {names}");
    }
}

#[test]
fn what_an_upstream_of_http_2_said_before_it_stopped_to_listen_arrives_whole() {
    let upstream = live_upstream();
    let (gateway, key) = in_front_of(&upstream);
    let mut client = gateway.connect();
    assert_eq!(client.send(handshake("/api/live?large", &key).bytes()).read_head().status(), 101);
    // There is no room for all of it on the way, so the end and the reset are there before it is.
    std::thread::park_timeout(Duration::from_millis(300));
    let (heard, ending) = client.read_to_end();
    assert_eq!((heard.len(), ending), (LARGE, Ending::Closed));
}

#[test]
fn an_upstream_of_http_2_is_told_when_the_key_goes_and_sees_a_reset_when_the_caller_does() {
    let upstream = live_upstream();
    let (gateway, _) = in_front_of(&upstream);
    let noted = |what: &str| upstream.notes().iter().filter(|note| *note == what).count();
    let first = key(&gateway, &["--full"]);
    let mut client = gateway.connect();
    client.send(handshake("/api/live", &first).bytes()).read_head();
    client.send_more("\u{1}\u{2}hi").read_until("hi");
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let live = open(&mut caller, &first).await;
        gateway.run(&["keys", "revoke", &id_of(&gateway, &first)]).exits(0);
        assert_eq!(live.hear_out().await, (INVALID_KEY.to_vec(), None));
        // The upstream ends its stream first (RFC 6455, 7.1.1), and gets nothing behind the close frame, not even an end:
        // servers that have done with a stream when they answered it take an empty DATA frame for an error.
        eventually("both to be told", || noted("closed: 1008") == 2 && noted("reset: Some(CANCEL)") == 2).await;
        assert_eq!(noted("ended"), 0);
        let second = key(&gateway, &["--full"]);
        let mut live = open(&mut caller, &second).await;
        live.sending.send_reset(Reason::CANCEL);
        eventually("the third to end", || noted("reset: Some(CANCEL)") == 3).await;
    });
    assert_eq!(client.read_to_end().0, INVALID_KEY);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn an_upstream_of_http_2_that_takes_no_websockets_is_502_and_is_not_asked() {
    let upstream = Upstream2::ok();
    let (gateway, key) = in_front_of(&upstream);
    let answer = gateway.answer(&handshake("/api/live", &key));
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_failed"), "{}", answer.text());
    assert!(answer.body_text().contains("RFC 8441"), "{}", answer.text());
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let head = caller.handshake("/api/live", &key);
        assert_eq!(caller.ask(head).await.status, 502);
        assert_eq!(caller.get("/api/plain", &key).await.status, 200, "other requests pass");
    });
    assert_eq!(upstream.seen().len(), 1);
}
