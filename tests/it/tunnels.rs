//! WebSocket: what is a handshake, what is not, and when a tunnel ends.

mod closing; // What the API is told when the gateway ends a tunnel.
mod handshake; // What is a handshake and what is not.
mod standing; // What a tunnel says of the server behind it.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::keys::id_of;
use crate::support::upstream::Connection;
use crate::support::{Call, Client, Ending, Gateway, OK, PATIENCE, Setup, Upstream, lasted, stands_still, until};

const ROUTES: &str = "  GET /live: { scopes: live:read, upgrade: websocket }
  GET /plain: live:read
  GET /open: { auth: anyone, upgrade: websocket }
";

/// What an upstream answers that agrees.
const AGREED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nKeep-Alive: timeout=5\r\n\r\n";

/// Close frames of the gateway: 1008 with the code of a refusal, and 1001.
const INVALID_KEY: &[u8] = b"\x88\x0d\x03\xf0invalid_key";
/// 1013: it may be tried again later.
const STORE_AWAY: &[u8] = b"\x88\x17\x03\xf5key_store_unavailable";
const IDLE: &[u8] = b"\x88\x06\x03\xe9idle";
const DRAINING: &[u8] = b"\x88\x0a\x03\xe9draining";

pub fn handshake(target: &str) -> Call {
    Call::get(target)
        .field("Connection", "keep-alive, Upgrade")
        .field("Upgrade", "websocket")
        .field("Sec-WebSocket-Version", "13")
        .field("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Upstream, Gateway, String) {
    start_with("", script)
}

/// One worker, so that it is known which upstream connection comes next.
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

/// Answers 101 and sends back every word, up to `bye `, which it answers with its end.
fn echo(connection: &mut Connection) {
    if connection.request_head().is_none() || !connection.send(AGREED) {
        return;
    }
    loop {
        let word = connection.until(" ");
        if word.is_empty() || !connection.send(&word) || word == b"bye " {
            break;
        }
    }
    connection.note("over");
}

/// A tunnel through which words have gone both ways.
fn open(gateway: &Gateway, key: &str) -> Client {
    let mut client = gateway.connect();
    let answer = client.send(handshake("/api/live").key(key).bytes()).read_head();
    assert_eq!(answer.status(), 101, "{}", answer.text());
    say(&mut client, "hello ");
    client
}

/// Sends a frame with that word and reads it back.
fn say(client: &mut Client, word: &str) {
    let frame = [&[0x81, word.len() as u8], word.as_bytes()].concat();
    client.send_more(&frame).read_until(&frame);
}

fn requests(gateway: &Gateway, labels: &[&str]) -> f64 {
    gateway.metric("scopegate_requests_total", labels)
}

#[test]
fn a_websocket_is_tunnelled_both_ways_and_counted_once_at_its_end() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request_head();
        // The first frame may stand in the same segment.
        connection.send([AGREED, "early "].concat());
        let words = connection_echo(connection);
        connection.send(words);
        connection.until("end");
    });
    let mut client = gateway.connect();
    let call =
        handshake("/api/live").key(&key).field("Sec-WebSocket-Protocol", "chat").field("X-Request-Id", "tunnel-1");
    let answer = client.send(call.bytes()).read_head();
    assert_eq!(
        (answer.status(), answer.field("upgrade"), answer.field("connection")),
        (101, Some("websocket"), Some("upgrade"))
    );
    assert_eq!(answer.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!((answer.field("x-request-id"), answer.has("keep-alive")), (Some("tunnel-1"), false));
    client.read_until("early ");
    client.send_more("over and back ").read_until("over and back ");
    assert_eq!(requests(&gateway, &["status=\"101\""]), 0.0, "it has not ended");
    client.send_more("end");
    client.assert_closed();
    drop(client);

    let request = upstream.next_request();
    assert_eq!((request.field("connection"), request.field("upgrade")), (Some("upgrade"), Some("websocket")));
    assert_eq!(request.field("sec-websocket-key"), Some("dGhlIHNhbXBsZSBub25jZQ=="));
    assert_eq!((request.field("sec-websocket-protocol"), request.has("authorization")), (Some("chat"), false));
    let line = gateway.process.wait_for("its line", |said| {
        let lines = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["request_id"] == "tunnel-1")
    });
    assert_eq!((line["status"].as_u64(), line["decision"].as_str()), (Some(101), Some("allow")), "{line}");
    assert_eq!((line["bytes_in"].as_u64(), line["bytes_out"].as_u64()), (Some(17), Some(20)), "{line}");
    until("the count", || (requests(&gateway, &["status=\"101\"", "route=\"GET /api/live\""]) == 1.0).then_some(()));
}

/// The next three words.
fn connection_echo(connection: &mut Connection) -> Vec<u8> {
    [connection.until(" "), connection.until(" "), connection.until(" ")].concat()
}

#[test]
fn nothing_of_the_callers_goes_on_before_the_upstream_has_agreed() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request_head();
        let silent = connection.is_silent_for(Duration::from_millis(400));
        connection.note(if silent { "silent" } else { "spoke" });
        connection.send(AGREED);
        connection.until("too early");
        connection.note("then");
    });
    let mut client = gateway.connect();
    client.send(handshake("/api/live").key(&key).bytes()).send_more("too early");
    upstream.wait_for("then");
    assert_eq!((upstream.noted("silent"), upstream.noted("spoke")), (1, 0));
}

#[test]
fn the_end_of_one_direction_is_passed_on_and_the_other_goes_on() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request_head();
        connection.send(AGREED);
        if connection.until("never said") == b"last words" {
            connection.send("and mine");
        }
        connection.half_close();
        connection.note("ended");
    });
    let mut client = gateway.connect();
    client.send(handshake("/api/live").key(&key).bytes()).read_head();
    client.send_more("last words").half_close();
    assert_eq!(client.read_to_end(), (b"and mine".to_vec(), Ending::Closed));
    upstream.wait_for("ended");

    let (upstream, gateway, key) = start(|connection| {
        connection.request_head();
        connection.send(AGREED);
        connection.half_close();
        let heard = connection.until("!") == b"still here!";
        connection.note(if heard { "heard" } else { "lost" });
    });
    let mut client = gateway.connect();
    client.send(handshake("/api/live").key(&key).bytes()).read_head();
    client.assert_closed();
    client.send_more("still here!");
    upstream.wait_for("heard");
}

#[test]
fn a_reader_that_stalls_holds_the_sender_up_and_no_memory() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request_head();
        connection.send(AGREED);
        let block = vec![b'd'; 1 << 20];
        let mut sent = 0;
        while sent < 256 && connection.send(&block) {
            sent += 1;
            connection.note("a mebibyte");
        }
        connection.note(if sent < 256 { "held up" } else { "all taken" });
    });
    let before = gateway.memory("VmHWM:");
    let mut client = gateway.connect();
    client.send(handshake("/api/live").key(&key).bytes()).read_head();
    client.read_until("dddd");
    // What the kernel holds of it on either side is some 20 MiB in all, and 80 where its limits are higher.
    let taken = until("the sender to be held up", stands_still(|| upstream.noted("a mebibyte")));
    assert!(taken < 128, "{taken} MiB were taken");
    let grown = gateway.memory("VmHWM:") - before;
    assert!(grown < 16 * 1024, "{grown} KiB more");
    client.reset();
    upstream.wait_for("held up");
}

#[test]
fn a_tunnel_in_which_nothing_moves_is_closed() {
    let (upstream, gateway, key) = start_with("limits: { idle: 5s }", echo);
    let mut client = open(&gateway, &key);
    // As long as something moves it stays, in either direction, and longer than it may be idle.
    for _ in 0..6 {
        std::thread::park_timeout(Duration::from_secs(1));
        say(&mut client, "more ");
    }
    assert_eq!(client.read_to_end(), (IDLE.to_vec(), Ending::Closed));
    upstream.wait_for("over");
}

#[test]
fn no_tunnel_is_idle_before_its_time_whenever_it_last_said_something() {
    let idle = Duration::from_secs(2);
    let (_upstream, gateway, key) = start_with("limits: { idle: 2s }", echo);
    std::thread::scope(|scope| {
        for phase in 0..10 {
            let (gateway, key) = (&gateway, &key);
            scope.spawn(move || {
                let mut client = open(gateway, key);
                // Clocks are looked at four times a second.
                std::thread::park_timeout(Duration::from_millis(25 * phase));
                let begun = Instant::now();
                say(&mut client, "last ");
                assert_eq!(client.read_to_end().0, IDLE);
                assert!(lasted(begun.elapsed(), idle), "{:?}", begun.elapsed());
            });
        }
    });
}

#[test]
fn a_tunnel_ends_with_the_drain_at_the_latest_and_is_counted() {
    let (_upstream, gateway, key) = start_with("drain: { timeout: 3s }", echo);
    let mut client = open(&gateway, &key);
    let begun = Instant::now();
    gateway.process.signal("TERM");
    say(&mut client, "still ");
    assert_eq!(gateway.process.exit_code(), 0);
    let took = begun.elapsed();
    assert!(lasted(took, Duration::from_secs(3)) && took < PATIENCE, "{took:?}");
    assert_eq!(client.read_to_end(), (DRAINING.to_vec(), Ending::Closed));
    let said = gateway.process.last_words();
    assert!(said.lines().any(|line| line.contains("\"status\":101")), "{said}");
}

#[test]
fn an_answer_that_an_upstream_breaks_off_breaks_the_tunnel() {
    let (_upstream, gateway, key) = start(|connection| {
        connection.request_head();
        connection.send([AGREED, "so far"].concat());
        connection.until("now");
        connection.reset();
    });
    let mut client = gateway.connect();
    client.send(handshake("/api/live").key(&key).bytes()).read_head();
    client.read_until("so far");
    client.send_more("now");
    client.assert_closed();
}

/// What the caller is told where its key is revoked.
fn ends_with(gateway: &Gateway, client: &mut Client, key: &str) -> Vec<u8> {
    gateway.run(&["keys", "revoke", &id_of(gateway, key)]).exits(0);
    let (told, ending) = client.read_to_end();
    assert_eq!(ending, Ending::Closed);
    told
}

#[test]
fn a_tunnel_within_a_frame_is_closed_without_a_word_and_one_whose_frame_is_there_after_it() {
    let (upstream, gateway, _) = start(|connection| {
        let Some(request) = connection.request_head() else { return };
        connection.send(AGREED);
        // A frame of five bytes, of which two come; a frame that is whole.
        connection.send(if request.target().ends_with("cut") { "\u{1}\u{5}he" } else { "\u{1}\u{5}hello" });
        connection.wait_for_close();
    });
    for (target, sent, close) in
        [("/api/live?cut", &b"\x01\x05he"[..], &b""[..]), ("/api/live", b"\x01\x05hello", INVALID_KEY)]
    {
        let key = key(&gateway, &["--full"]);
        let mut client = gateway.connect();
        client.send(handshake(target).key(&key).bytes()).read_head();
        client.read_until(sent);
        let told = ends_with(&gateway, &mut client, &key);
        assert_eq!(told.escape_ascii().to_string(), close.escape_ascii().to_string(), "{target}");
    }
    until("both ends", || (upstream.noted("gone") == 2).then_some(()));
}

#[test]
fn a_tunnel_for_anyone_does_not_depend_on_the_key_that_was_shown() {
    let (_upstream, gateway, other) = start(echo);
    let key = key(&gateway, &["--full"]);
    let mut client = gateway.connect();
    assert_eq!(client.send(handshake("/api/open").key(&key).bytes()).read_head().status(), 101);
    let mut witness = gateway.connect();
    witness.send(handshake("/api/live").key(&key).bytes()).read_head();
    ends_with(&gateway, &mut witness, &key);
    say(&mut client, "still here ");
    drop(open(&gateway, &other));
}

#[test]
fn a_key_that_a_file_no_longer_has_or_that_opens_less_ends_its_tunnels() {
    use sha2::Digest;
    let digest =
        |key: &str| sha2::Sha256::digest(key.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let entry =
        |key: &str, scopes: &str| format!("  - name: {key}\n    sha256: {}\n    scopes: [{scopes}]\n", digest(key));
    let upstream = Upstream::start(echo);
    let setup = Setup::new(&upstream).routes(ROUTES);
    let path = setup.folder().join("keys.yaml");
    let all = ["stays", "goes", "shrinks"].map(|key| entry(key, "live:read")).concat();
    std::fs::write(&path, format!("keys:\n{all}")).expect("the key file");
    let gateway = setup.with_key_file("keys.yaml").start();
    let [mut stays, mut goes, mut shrinks] = ["stays", "goes", "shrinks"].map(|key| open(&gateway, key));
    let less = format!("keys:\n{}{}", entry("stays", "live:read"), entry("shrinks", "other:read"));
    std::fs::write(path.with_extension("new"), less).expect("the new key file");
    std::fs::rename(path.with_extension("new"), &path).expect("its rename");
    for client in [&mut goes, &mut shrinks] {
        assert_eq!(client.read_to_end(), (INVALID_KEY.to_vec(), Ending::Closed));
    }
    say(&mut stays, "still here ");
}

#[test]
fn a_store_that_is_away_ends_no_tunnel_until_max_stale() {
    let (_upstream, gateway, key) = start(echo);
    let mut client = open(&gateway, &key);
    for name in ["keys.db", "keys.db-wal", "keys.db-shm"] {
        // What is not there need not be taken away.
        let _ = std::fs::rename(gateway.file(name), gateway.file(&format!("{name}.away")));
    }
    until("the store to be missed", || (gateway.metric("scopegate_store_up", &[]) == 0.0).then_some(()));
    // Longer than the gateway takes to ask.
    for _ in 0..4 {
        std::thread::park_timeout(Duration::from_millis(300));
        say(&mut client, "still here ");
    }
    let mut anyone = gateway.connect();
    assert_eq!(anyone.send(handshake("/api/open").key(&key).bytes()).read_head().status(), 101);
    crate::away::set_max_stale(&gateway, "0s");
    assert_eq!(client.read_to_end(), (STORE_AWAY.to_vec(), Ending::Closed), "what is known of its key is too old");
    say(&mut anyone, "still here ");
}
