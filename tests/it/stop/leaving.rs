//! From the signal to the end of the drain: nobody loses a request that came in time.

use std::fs;
use std::thread;

use crate::http2::eventually;
use crate::support::http2::{Caller, run};
use crate::support::{Call, Client, Gateway, OK, Setup, Upstream, until};

fn open(target: &str) -> Vec<u8> {
    Call::get(target).bytes()
}

fn leaving(drain: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::ok();
    let routes = "  GET /open: { auth: anyone }\n";
    let gateway = Setup::new(&upstream).routes(routes).config(&format!("drain: {drain}")).start();
    (upstream, gateway)
}

fn wait_until_it_leaves(gateway: &Gateway) {
    gateway.process.signal("TERM");
    until("it to be unready", || (!gateway.is_ready()).then_some(()));
}

/// Stops the process where it is. What it is sent meanwhile waits in the kernel, and it finds all of it at once.
fn stop(gateway: &Gateway) {
    gateway.process.signal("STOP");
    let status = format!("/proc/{}/status", gateway.process.id());
    until("it to stand still", || fs::read_to_string(&status).ok()?.contains("State:\tT").then_some(()));
}

#[test]
fn during_the_delay_each_answer_says_that_the_connection_ends() {
    let (_upstream, gateway) = leaving("{ delay: 3s }");
    let mut kept = gateway.connect();
    assert_eq!(kept.send(open("/api/open")).read().field("connection"), None);
    wait_until_it_leaves(&gateway);
    let mut fresh = gateway.connect();
    for client in [&mut kept, &mut fresh] {
        for target in ["/api/open", "/api/no-such-route"] {
            let answer = client.send(open(target)).read();
            assert_eq!(answer.field("connection"), Some("close"), "{}", answer.text());
            client.assert_closed();
            *client = gateway.connect();
        }
    }
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn during_the_delay_a_connection_of_http_2_ends_once_it_carried_something() {
    let (_upstream, gateway) = leaving("{ delay: 3s }");
    run(async {
        let mut used = Caller::connect(gateway.address()).await;
        assert_eq!(used.get("/api/open", "").await.status, 200);
        wait_until_it_leaves(&gateway);
        eventually("a GOAWAY", || !used.is_open()).await;
        let mut fresh = Caller::connect(gateway.address()).await;
        assert_eq!(fresh.get("/api/open", "").await.status, 200, "what it was opened for is answered");
        eventually("another GOAWAY", || !fresh.is_open()).await;
    });
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn a_request_that_the_kernel_has_when_the_drain_begins_is_answered() {
    let (_upstream, gateway) = leaving("{ delay: 0s }");
    let mut kept: Vec<Client> = (0..40).map(|_| gateway.connect()).collect();
    for client in &mut kept {
        assert_eq!(client.send(open("/api/open")).read().status(), 200);
    }
    stop(&gateway);
    for client in &mut kept {
        client.send(open("/api/open"));
    }
    gateway.process.signal("TERM");
    gateway.process.signal("CONT");
    for mut client in kept {
        let answer = client.read();
        assert_eq!((answer.status(), answer.whole), (200, true), "{}", answer.text());
        client.assert_closed();
    }
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn a_connection_that_the_kernel_has_when_the_drain_begins_is_served() {
    let (_upstream, gateway) = leaving("{ delay: 0s }");
    stop(&gateway);
    // More than the runtime accepts in one go.
    let waiting: Vec<Client> = (0..300)
        .map(|_| {
            let mut client = gateway.connect();
            client.send(open("/api/profiles"));
            client
        })
        .collect();
    gateway.process.signal("TERM");
    gateway.process.signal("CONT");
    for mut client in waiting {
        let answer = client.read();
        assert_eq!((answer.status(), answer.whole), (401, true), "{}", answer.text());
        client.assert_closed();
    }
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn callers_that_keep_their_connections_lose_no_request() {
    let (upstream, gateway) = leaving("{ delay: 1s }");
    let address = gateway.address();
    let callers: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(move || {
                let mut client = Client::connect(address);
                let mut answered = 1;
                while client.send(open("/api/open")).read().field("connection").is_none() {
                    answered += 1;
                }
                client.assert_closed();
                answered
            })
        })
        .collect();
    until("some requests", || (upstream.requests().len() > 100).then_some(()));
    wait_until_it_leaves(&gateway);
    for caller in callers {
        assert!(caller.join().expect("no request is lost") > 0);
    }
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn a_second_signal_ends_the_drain_at_once() {
    let upstream = Upstream::start(|connection| {
        let _ = connection.request();
        connection.note("in flight");
        connection.wait_for_close();
    });
    let gateway =
        Setup::new(&upstream).routes("  GET /open: { auth: anyone }\n").config("drain: { delay: 1h, timeout: 1h }");
    let gateway = gateway.start();
    let mut client = gateway.connect();
    client.send(open("/api/open"));
    upstream.wait_for("in flight");
    wait_until_it_leaves(&gateway);
    // Those of the first second count for nothing.
    let ended = || {
        gateway.process.signal("TERM");
        gateway.process.exited()
    };
    until("the end", ended);
    assert_eq!(client.read().field("connection"), Some("close"));
}

#[test]
fn a_signal_that_comes_twice_at_once_cuts_nothing_off() {
    let upstream = Upstream::start(|connection| {
        while connection.request().is_some() {
            connection.note("in flight");
            connection.wait_for("go");
            connection.send(OK);
        }
    });
    let gateway = Setup::new(&upstream).routes("  GET /open: { auth: anyone }\n").start();
    let mut client = gateway.connect();
    client.send(open("/api/open"));
    upstream.wait_for("in flight");
    for signal in ["TERM", "TERM", "INT"] {
        gateway.process.signal(signal);
    }
    until("it to be unready", || (!gateway.is_ready()).then_some(()));
    upstream.allow("go");
    assert_eq!(client.read().status(), 200);
    assert_eq!(gateway.process.exit_code(), 0);
}

#[test]
fn signals_that_rotate_the_logs_of_others_end_nothing() {
    let (_upstream, gateway) = leaving("{ delay: 0s }");
    for signal in ["USR1", "USR2"] {
        gateway.process.signal(signal);
        assert_eq!(gateway.answer(&Call::get("/api/open")).status(), 200, "{signal}");
    }
    assert!(gateway.process.exited().is_none());
}
