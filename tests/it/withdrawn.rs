//! What is open when its key ends, whatever it is and however the key ends: closed within a second, told why, and nobody else's.

use std::net::SocketAddr;
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::http2::agreement;
use crate::keys::{expiry_of, id_of};
use crate::support::http2::{Caller, drain, run};
use crate::support::upstream::Connection;
use crate::support::{Call, Client, Gateway, PATIENCE, Setup, Upstream, assert_prompt, until};
use crate::tunnels::handshake;

const ROUTES: &str = "  GET /events: live:read
  POST /calls: live:read
  GET /live: { scopes: live:read, upgrade: websocket }
";

/// What is held open, and how it is carried.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Server-sent events over HTTP/1.1.
    Events,
    /// A call of gRPC over HTTP/2 whose answer has begun.
    Grpc,
    /// A WebSocket over HTTP/1.1.
    WebSocket,
    /// A WebSocket over HTTP/2.
    WebSocket2,
}

const KINDS: [Kind; 4] = [Kind::Events, Kind::Grpc, Kind::WebSocket, Kind::WebSocket2];

impl Kind {
    /// What is read after what was read already, and how that ends, where the key is refused with `code`.
    fn ending(self, code: &str) -> String {
        match self {
            // No last chunk: it never looks whole.
            Self::Events => "\\r\\n, Closed".to_owned(),
            Self::Grpc => ", Some(INTERNAL_ERROR)".to_owned(),
            Self::WebSocket => format!("\\x88\\r\\x03\\xf0{code}, Closed"),
            Self::WebSocket2 => format!("\\x88\\r\\x03\\xf0{code}, None"),
        }
    }
}

/// How one of them ended, and when by either clock.
struct Ended {
    how: String,
    at: Instant,
    moment: Timestamp,
}

/// Opens what is asked for and keeps it open; notes `gone` when it is closed.
fn hold(connection: &mut Connection) {
    let Some(request) = connection.request_head() else { return };
    if request.target() == "/api/live" {
        connection.send(agreement(&request));
    } else {
        let kind = if request.method() == "POST" { "application/grpc" } else { "text/event-stream" };
        connection.send(format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n"));
        connection.send("Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    }
    connection.wait_for_close();
}

fn start() -> (Upstream, Gateway) {
    let upstream = Upstream::start(hold);
    let gateway = Setup::new(&upstream).routes(ROUTES).start();
    (upstream, gateway)
}

/// A key that is in force, without a request to the upstream.
fn key(gateway: &Gateway, grant: &[&str]) -> String {
    let key = gateway.create_key(grant);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    key
}

fn events(address: SocketAddr, key: &str) -> Client {
    let mut client = Client::connect(address);
    assert_eq!(client.send(Call::get("/api/events").key(key).bytes()).read_head().status(), 200);
    client.read_until("first");
    client
}

fn web_socket(address: SocketAddr, key: &str) -> Client {
    let mut client = Client::connect(address);
    assert_eq!(client.send(handshake("/api/live").key(key).bytes()).read_head().status(), 101);
    client
}

fn end_of(mut client: Client, opened: &Sender<()>) -> String {
    opened.send(()).expect("a test that waits");
    let (rest, ending) = client.read_to_end();
    format!("{}, {ending:?}", rest.escape_ascii())
}

async fn end_of_grpc(address: SocketAddr, key: &str, opened: &Sender<()>) -> String {
    let mut caller = Caller::connect(address).await;
    let head = caller.head("POST", "/api/calls", key).header("content-type", "application/grpc");
    let (response, _upload) = caller.begin(head).await;
    let mut body = response.await.expect("an answer").into_body();
    assert_eq!(body.data().await.expect("data").expect("data"), "first");
    opened.send(()).expect("a test that waits");
    let mut rest = Vec::new();
    let ended = drain(&mut body, &mut rest).await;
    format!("{}, {:?}", rest.escape_ascii(), ended.err().and_then(|error| error.reason()))
}

async fn end_of_web_socket(address: SocketAddr, key: &str, opened: &Sender<()>) -> String {
    let mut caller = Caller::connect(address).await;
    let live = caller.open(caller.handshake("/api/live", key)).await;
    opened.send(()).expect("a test that waits");
    let (rest, reset) = live.hear_out().await;
    format!("{}, {reset:?}", rest.escape_ascii())
}

/// Opens one of each kind, and waits for their ends in threads of their own.
fn open(gateway: &Gateway, key: &str) -> [JoinHandle<Ended>; 4] {
    KINDS.map(|kind| {
        let (opened, is_open) = mpsc::channel();
        let (address, key) = (gateway.address(), key.to_owned());
        let thread = thread::spawn(move || {
            let how = match kind {
                Kind::Events => end_of(events(address, &key), &opened),
                Kind::Grpc => run(end_of_grpc(address, &key, &opened)),
                Kind::WebSocket => end_of(web_socket(address, &key), &opened),
                Kind::WebSocket2 => run(end_of_web_socket(address, &key, &opened)),
            };
            Ended { how, at: Instant::now(), moment: Timestamp::now() }
        });
        is_open.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{kind:?} could not be opened"));
        thread
    })
}

#[test]
fn what_is_open_ends_within_a_second_of_the_command_that_ends_its_key_and_nothing_else_does() {
    let (upstream, gateway) = start();
    let other = key(&gateway, &["--full"]);
    let _bystanders = (events(gateway.address(), &other), web_socket(gateway.address(), &other));
    for (change, code) in [("revoke", "invalid_key"), ("disable", "invalid_key"), ("rotate", "expired_key")] {
        let end = |key: &str| drop(gateway.run(&["keys", change, &id_of(&gateway, key)]).exits(0));
        ends_by(&upstream, &gateway, (change, code), (&|| key(&gateway, &["--full"]), &end));
    }
}

/// Makes a key that is in force.
type Make<'f> = &'f dyn Fn() -> String;
/// Ends a key.
type End<'f> = &'f dyn Fn(&str);

/// Three times over: opens one of each kind with the key that `make` makes, and holds what `end` makes of them to its second and
/// its `code`.
fn ends_by(upstream: &Upstream, gateway: &Gateway, (change, code): (&str, &str), (make, end): (Make<'_>, End<'_>)) {
    let mut times = KINDS.map(|_| Vec::new());
    for _ in 0..3 {
        let before = upstream.noted("gone");
        let key = make();
        let held = open(gateway, &key);
        end(&key);
        let changed = Instant::now();
        for ((kind, held), times) in KINDS.iter().zip(held).zip(&mut times) {
            let ended = held.join().expect("an end");
            assert_eq!(ended.how, kind.ending(code), "{kind:?} after {change}");
            times.push(ended.at.saturating_duration_since(changed));
        }
        let gone = before + KINDS.len();
        until("the upstream's sides, and no others", || (upstream.noted("gone") == gone).then_some(()));
    }
    for (kind, times) in KINDS.iter().zip(times) {
        assert_prompt(&format!("{kind:?} after {change}"), times);
    }
}

#[test]
fn what_is_open_ends_within_a_second_of_the_command_that_disables_its_account_or_the_one_above_it() {
    let (upstream, gateway) = start();
    let account = |arguments: &[&str]| drop(gateway.run(&[&["accounts"], arguments].concat()).exits(0));
    account(&["create", "acme"]);
    account(&["create", "shop", "--parent", "acme"]);
    account(&["create", "other"]);
    let other = key(&gateway, &["--full", "--account", "other"]);
    let _bystanders = (events(gateway.address(), &other), web_socket(gateway.address(), &other));
    for (disabled, of) in [("acme", "acme"), ("acme", "shop"), ("shop", "shop")] {
        let make = || {
            account(&["enable", disabled]);
            key(&gateway, &["--full", "--account", of])
        };
        let change = format!("{disabled} is disabled, with a key of {of}");
        ends_by(&upstream, &gateway, (&change, "invalid_key"), (&make, &|_| account(&["disable", disabled])));
        account(&["enable", disabled]);
    }
}

#[test]
fn what_is_open_ends_within_a_second_of_the_expiry_of_its_key_and_not_before() {
    let (upstream, gateway) = start();
    let one = || {
        let key = key(&gateway, &["--full", "--expires", "10s"]);
        let expires = expiry_of(&gateway, &key);
        open(&gateway, &key).map(|held| {
            let ended = held.join().expect("an end");
            let late = ended.moment.duration_since(expires);
            assert!(!late.is_negative(), "it lived until {expires}, and ended at {}", ended.moment);
            (ended.how, late.unsigned_abs())
        })
    };
    let all = thread::scope(|scope| {
        let three = [(); 3].map(|()| scope.spawn(one));
        three.map(|one| one.join().expect("its ends"))
    });
    for (at, kind) in KINDS.iter().enumerate() {
        for each in &all {
            assert_eq!(each[at].0, kind.ending("expired_key"), "{kind:?}");
        }
        assert_prompt(
            &format!("{kind:?} after its expiry"),
            all.iter().map(|each| each[at].1).collect::<Vec<Duration>>(),
        );
    }
    until("the upstream's sides", || (upstream.noted("gone") == 3 * KINDS.len()).then_some(()));
}
