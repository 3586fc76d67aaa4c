//! What is a handshake and what is not, and what becomes of one that is not agreed to.

use super::*;

#[test]
fn what_follows_a_handshake_that_was_not_agreed_to_is_a_request_of_its_own() {
    let (upstream, gateway, key) = start(|connection| {
        connection.answer_all(b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 2\r\n\r\nno");
    });
    let mut client = gateway.connect();
    let behind = Call::get("/api/secret").field("X", "smuggled").key(&key);
    client.send([handshake("/api/live").key(&key).bytes(), behind.bytes()].concat());
    let answer = client.read();
    assert_eq!((answer.status(), answer.body_text().as_str()), (426, "no"));
    assert!(!answer.has("upgrade"));
    assert_eq!(client.read().status(), 403);
    assert!(!upstream.everything().contains("smuggled"));
    // It was an ordinary answer, and its connection is used again.
    assert_eq!(client.send(handshake("/api/live").key(&key).bytes()).read().status(), 426);
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn who_may_not_call_the_route_gets_no_tunnel() {
    let (upstream, gateway, _) = start(echo);
    let other = key(&gateway, &["--no-scopes"]);
    for (call, status) in [
        (handshake("/api/live"), 401),
        (handshake("/api/live").key(&other), 403),
        (handshake("/api/live?x=%2e%2e/").key("none"), 401),
    ] {
        assert_eq!(gateway.answer(&call).status(), status);
    }
    assert_eq!(upstream.connections(), 0);
    assert_eq!(gateway.connect().send(handshake("/api/open").bytes()).read_head().status(), 101);
}

#[test]
fn what_is_no_handshake_or_not_on_its_route_is_an_ordinary_request() {
    let (upstream, gateway, key) = start(|connection| connection.answer_all(OK.as_bytes()));
    let head = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n");
    let rest = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let cases = [
        ("another route", format!("{}Connection: Upgrade\r\nUpgrade: websocket\r\n{rest}\r\n", head("/api/plain"))),
        ("nothing asked", format!("{}\r\n", head("/api/live"))),
        (
            "h2c",
            format!(
                "{}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n{rest}\r\n",
                head("/api/live")
            ),
        ),
        ("h2c too", format!("{}Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n{rest}\r\n", head("/api/live"))),
        (
            "h2c as well",
            format!("{}Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n{rest}\r\n", head("/api/live")),
        ),
        (
            "h2c first",
            format!("{}Connection: Upgrade\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n{rest}\r\n", head("/api/live")),
        ),
        ("TLS", format!("{}Connection: Upgrade\r\nUpgrade: TLS/1.3\r\n{rest}\r\n", head("/api/live"))),
        ("no option", format!("{}Upgrade: websocket\r\n{rest}\r\n", head("/api/live"))),
        (
            "no key",
            format!(
                "{}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n",
                head("/api/live")
            ),
        ),
        (
            "another version",
            format!(
                "{}Connection: Upgrade\r\nUpgrade: websocket\r\n{}\r\n",
                head("/api/live"),
                rest.replace("13", "8")
            ),
        ),
        (
            "a body",
            format!(
                "{}Connection: Upgrade\r\nUpgrade: websocket\r\n{rest}Content-Length: 2\r\n\r\n{{}}",
                head("/api/live")
            ),
        ),
        (
            "chunks",
            format!(
                "{}Connection: Upgrade\r\nUpgrade: websocket\r\n{rest}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                head("/api/live")
            ),
        ),
        (
            "HEAD",
            format!(
                "{}Connection: Upgrade\r\nUpgrade: websocket\r\n{rest}\r\n",
                head("/api/live").replace("GET", "HEAD")
            ),
        ),
        (
            "HTTP/1.0",
            format!(
                "{}Connection: Upgrade\r\nUpgrade: websocket\r\n{rest}\r\n",
                head("/api/live").replace("1.1", "1.0")
            ),
        ),
    ];
    for (what, bytes) in cases {
        let answer = gateway.connect().send(bytes).read();
        assert_eq!(answer.status(), 200, "{what}: {}", answer.text());
        let request = upstream.next_request();
        for name in ["connection", "upgrade", "http2-settings"] {
            assert!(!request.has(name), "{what}: {}", request.text());
        }
    }
}

#[test]
fn a_handshake_that_goes_on_as_a_plain_get_is_told_of_with_its_route_and_the_mend() {
    let (_upstream, gateway, key) = start(|connection| connection.answer_all(OK.as_bytes()));
    let another_version = String::from_utf8(handshake("/api/live").key(&key).bytes()).expect("text").replace("13", "8");
    for (bytes, route, words) in [
        (handshake("/api/plain").key(&key).bytes(), "GET /api/plain", "write `upgrade: websocket` on it"),
        (another_version.into_bytes(), "GET /api/live", "it is no handshake of RFC 6455"),
    ] {
        // Both the line of the request and a word of warning.
        for _ in 0..2 {
            assert_eq!(gateway.connect().send(&bytes).read().status(), 200);
        }
        let told = |message: &str| {
            gateway.process.wait_for("its lines", |said| {
                let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                let lines: Vec<Value> = lines.filter(|line| line.to_string().contains(words)).collect();
                let count =
                    lines.iter().filter(|line| (line["message"] == "request") == (message == "request")).count();
                lines.iter().all(|line| line["route"] == route).then_some(count).filter(|count| *count > 0)
            })
        };
        until("both requests", || (told("request") == 2).then_some(()));
        assert_eq!(told("a warning"), 1, "once a minute is enough");
    }
}

#[test]
fn an_upstream_that_switches_unasked_or_to_something_else_has_failed() {
    let agreed = |from: &str, to: &str| AGREED.replace(from, to);
    let cases = [
        ("/api/plain", AGREED.to_owned()),
        ("/api/live", agreed("Upgrade: websocket", "Upgrade: h2c")),
        ("/api/live", agreed("Upgrade: websocket", "Upgrade: websocket, h2c")),
        ("/api/live", agreed("Upgrade: websocket\r\n", "")),
        ("/api/live", agreed("Connection: Upgrade\r\n", "")),
        ("/api/live", agreed("Connection: Upgrade", "Connection: Upgrade\r\nContent-Length: 2")),
        ("/api/live", agreed("Connection: Upgrade", "Connection: Upgrade\r\nTransfer-Encoding: chunked")),
        ("/api/live", agreed("HTTP/1.1", "HTTP/1.0")),
    ];
    for (target, bytes) in cases {
        let (upstream, gateway, key) = start(move |connection| {
            connection.request_head();
            connection.send(&bytes);
            connection.wait_for_close();
        });
        let mut client = gateway.connect();
        let behind = Call::get("/api/secret").field("X", "smuggled").key(&key);
        let answer = client.send([handshake(target).key(&key).bytes(), behind.bytes()].concat()).read();
        assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_failed"), "{}", answer.text());
        upstream.wait_for("gone");
        assert!(!upstream.everything().contains("smuggled"));
    }
    // Nobody who did not ask in these words is switched, whatever the route says.
    let (upstream, gateway, key) = start(|connection| {
        connection.request_head();
        connection.send(AGREED);
        connection.wait_for_close();
    });
    let answer = gateway.answer(&Call::get("/api/live").key(&key));
    assert_eq!((answer.status(), answer.code().as_str()), (502, "upstream_failed"));
    upstream.wait_for("gone");
}
