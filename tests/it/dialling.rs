//! While a connection to the upstream is dialled: who waits how long, who leaves, what comes meanwhile.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use h2::Reason;

use crate::http2::eventually;
use crate::keys::id_of;
use crate::support::certificate::Authority;
use crate::support::http2::{Caller, Upstream2, answer_ok, run};
use crate::support::{Call, Client, Gateway, OK, PATIENCE, Setup, Upstream, until};

/// The time that a route gives a dial which is to take longer.
const SHORT: Duration = Duration::from_millis(400);

const ROUTES: &str = "  GET|POST /x: { auth: anyone }\n  GET /held: { auth: key }\n";

/// An upstream of TLS that never says a word, and notes `gone` when a connection is given up.
fn mute() -> Upstream {
    Upstream::start(|connection| connection.wait_for_close())
}

/// A gateway in front of it that would dial for an hour, with room for one request.
fn patient(upstream: &Upstream) -> Gateway {
    let lines = "  timeouts: { connect: 1h }\n  max_pending: 1";
    Setup::for_url(&format!("https://{}", upstream.address()))
        .upstream(lines)
        .routes(ROUTES)
        .config("workers: 1")
        .start()
}

/// Nothing is left of a request: no connection, and nobody else is kept out.
fn assert_free(upstream: &Upstream, gateway: &Gateway) {
    let open = |side: &str| gateway.metric("scopegate_connections", &[&format!("side=\"{side}\"")]);
    until("rest", || (open("downstream") == 0.0 && open("upstream") == 0.0).then_some(()));
    let (before, mut next) = (upstream.connections(), gateway.connect());
    next.send(Call::get("/api/x").bytes());
    until("the next dial", || (upstream.connections() > before).then_some(()));
}

#[test]
fn a_caller_that_leaves_ends_the_dial() {
    let half = "POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf";
    // More than is read before the request has a connection.
    let long = format!("POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n{}", "a".repeat(40_000));
    let get = "GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n";
    let leave: [fn(Client); 2] = [drop, Client::reset];
    for (bytes, leave) in [(get, leave[0]), (half, leave[1]), (&long, leave[0]), (&long, leave[1])] {
        let upstream = mute();
        let gateway = patient(&upstream);
        let mut client = gateway.connect();
        client.send(bytes);
        until("a dial", || (upstream.connections() == 1).then_some(()));
        leave(client);
        upstream.wait_for("gone");
        assert_free(&upstream, &gateway);
        gateway.process.wait_for("its line", |said| said.contains("\"status\":499").then_some(()));
    }
}

#[test]
fn a_stream_that_is_given_up_ends_the_dial() {
    let upstream = mute();
    let gateway = patient(&upstream);
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        let (_response, mut stream) = caller.begin(caller.head("POST", "/api/x", "")).await;
        eventually("a dial", || upstream.connections() == 1).await;
        stream.send_reset(Reason::CANCEL);
        eventually("its end", || upstream.noted("gone") == 1).await;
    });
    assert_free(&upstream, &gateway);
}

#[test]
fn a_key_that_ends_ends_the_dial() {
    let upstream = mute();
    let gateway = patient(&upstream);
    let key = gateway.create_key(&["--full"]);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    let mut client = gateway.connect();
    client.send(Call::get("/api/held").key(&key).bytes());
    until("a dial", || (upstream.connections() == 1).then_some(()));
    gateway.run(&["keys", "revoke", &id_of(&gateway, &key)]).exits(0);
    let answer = client.read();
    assert_eq!((answer.status(), answer.code().as_str()), (401, "invalid_key"));
    upstream.wait_for("gone");
    drop(client);
    assert_free(&upstream, &gateway);
}

#[test]
fn what_a_caller_sends_while_a_connection_is_dialled_goes_on() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(&authority, |connection| {
        // The handshake begins with the first byte that is read.
        connection.wait_for("go");
        connection.answer_all(OK.as_bytes());
    });
    let setup = Setup::new(&upstream).upstream("  tls: { ca: ca.pem }\n  timeouts: { connect: 1h }").routes(ROUTES);
    std::fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("the certificate");
    let gateway = setup.start();
    let mut client = gateway.connect();
    client.send("POST /api/x HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
    until("a dial", || (upstream.connections() == 1).then_some(()));
    let next = "GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n";
    let body = "b".repeat(300_000);
    thread::scope(|scope| {
        scope.spawn(|| client.send(format!("{body}{next}")));
        upstream.allow("go");
    });
    assert_eq!((client.read().status(), client.read().status()), (200, 200));
    let seen = upstream.requests();
    assert_eq!((seen[0].body.len(), seen[1].body.len()), (300_000, 0));
}

#[test]
fn a_route_that_waits_less_than_others_says_nothing_of_the_servers() {
    let quiet = || {
        Upstream::start(|connection| {
            connection.request();
            connection.stall();
        })
    };
    let all = "  timeouts: { connect: 1h, response: 1h }\n  health: { interval: 1h, eject_after: 1 }";
    for (scheme, own, status) in [("https", "connect", 503), ("http", "response", 504)] {
        let servers = [quiet(), quiet()].map(|server| (format!("{scheme}://{}", server.address()), server));
        let routes = format!("  GET /own: {{ auth: anyone, timeouts: {{ {own}: 400ms }} }}\n");
        let urls = servers.each_ref().map(|(url, _)| url.clone());
        let gateway = Setup::for_servers(&urls).upstream(all).routes(&routes).config("workers: 1").start();
        for _ in 0..2 {
            assert_eq!(gateway.answer(&Call::get("/api/own")).status(), status);
        }
        let said = gateway.process.said();
        assert!(!said.contains("failed several times") && !said.contains("cannot be reached"), "{said}");
        for (_, server) in &servers {
            let name = format!("server=\"{}\"", server.address());
            assert_eq!(gateway.metric("scopegate_upstream_up", &[&name]), 1.0);
        }
    }
}

/// A way to an upstream on which no byte passes before it is opened.
struct Gate {
    address: SocketAddr,
    dials: Arc<AtomicUsize>,
    open: Arc<(std::sync::Mutex<bool>, std::sync::Condvar)>,
}

impl Gate {
    fn before(upstream: SocketAddr) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let gate =
            Gate { address: listener.local_addr().expect("its address"), dials: Arc::default(), open: Arc::default() };
        let (dials, open) = (Arc::clone(&gate.dials), Arc::clone(&gate.open));
        thread::spawn(move || {
            while let Ok((caller, _)) = listener.accept() {
                dials.fetch_add(1, Ordering::SeqCst);
                let open = Arc::clone(&open);
                thread::spawn(move || {
                    let (is_open, opened) = &*open;
                    let shut = is_open.lock().expect("the gate");
                    let waited = opened.wait_timeout_while(shut, PATIENCE, |is_open| !*is_open).expect("the gate");
                    drop(waited);
                    pass(&caller, &TcpStream::connect(upstream).expect("the upstream"));
                });
            }
        });
        gate
    }

    fn dials(&self) -> usize {
        self.dials.load(Ordering::SeqCst)
    }

    fn open(&self) {
        *self.open.0.lock().expect("the gate") = true;
        self.open.1.notify_all();
    }
}

/// Passes bytes on, both ways, until both have ended.
fn pass(one: &TcpStream, other: &TcpStream) {
    thread::scope(|scope| {
        for (mut from, mut to) in [(one, other), (other, one)] {
            scope.spawn(move || {
                // A side that is gone takes nothing more.
                let _ = io::copy(&mut from, &mut to).and_then(|_| to.shutdown(Shutdown::Write));
            });
        }
    });
}

/// A gateway before an upstream of HTTP/2 behind a gate, where `/api/own` has a `connect` of its own.
fn behind_gate(usual: &str, own: &str) -> (Upstream2, Gate, Gateway) {
    let authority = Authority::new();
    let mut tls = (*authority.server("localhost")).clone();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let upstream = Upstream2::start_with(Some(Arc::new(tls)), |shared, request, mut respond| async move {
        if shared.whole(request).await.is_some() {
            answer_ok(&mut respond);
        }
    });
    let gate = Gate::before(upstream.address);
    let lines = format!("  protocol: h2\n  tls: {{ ca: ca.pem }}\n  timeouts: {{ connect: {usual} }}");
    let routes = format!("{ROUTES}  GET /own: {{ auth: anyone, timeouts: {{ connect: {own} }} }}\n");
    let url = format!("https://localhost:{}", gate.address.port());
    let setup = Setup::for_url(&url).upstream(&lines).routes(&routes).config("workers: 1");
    std::fs::write(setup.folder().join("ca.pem"), authority.pem()).expect("the certificate");
    (upstream, gate, setup.start())
}

#[test]
fn a_dial_that_many_wait_for_is_not_over_for_all_when_the_shortest_time_is() {
    let (upstream, gate, gateway) = behind_gate("1h", "400ms");
    let late = |gateway: &Gateway| {
        let begun = Instant::now();
        let answer = gateway.answer(&Call::get("/api/own"));
        assert_eq!((answer.status(), answer.code().as_str()), (503, "upstream_unreachable"));
        assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
    };
    // Once it is who began the dial, and once he joins those who wait longer.
    late(&gateway);
    let mut usual = gateway.connect();
    usual.send(Call::get("/api/x").bytes());
    late(&gateway);
    gate.open();
    assert_eq!(usual.read().status(), 200);
    assert_eq!((gate.dials(), upstream.connections()), (1, 1));
    assert_eq!(gateway.answer(&Call::get("/api/own")).status(), 200);
    assert!(!gateway.process.said().contains("cannot be reached"));
}

#[test]
fn who_has_more_time_than_a_dial_that_failed_dials_again() {
    let (_upstream, gate, gateway) = behind_gate("400ms", "1h");
    let (mut usual, mut own) = (gateway.connect(), gateway.connect());
    usual.send(Call::get("/api/x").bytes());
    until("a dial", || (gate.dials() == 1).then_some(()));
    own.send(Call::get("/api/own").bytes());
    assert_eq!(usual.read().status(), 503);
    until("another dial", || (gate.dials() == 2).then_some(()));
    gate.open();
    assert_eq!(own.read().status(), 200);
}
