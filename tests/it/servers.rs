//! An upstream of several servers: who is asked, who is left out, who comes back.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::upstream::Connection;
use crate::support::{Call, Gateway, OK, Setup, Upstream, Vacant, until};

/// One worker, and nobody who was left out comes back during a test.
const FOR_GOOD: &str = "  health: { interval: 1h, eject_after: 3 }";

const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";

fn start(urls: &[String], lines: &str) -> (Gateway, String) {
    let gateway = Setup::for_servers(urls).upstream(lines).config("workers: 1").start();
    let key = gateway.create_key(&["--full"]);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    (gateway, key)
}

/// A server that is well or not, as the switch says.
fn switched() -> (Upstream, Arc<AtomicBool>) {
    let well = Arc::new(AtomicBool::new(true));
    let switch = Arc::clone(&well);
    let script = move |connection: &mut Connection| {
        while connection.request().is_some() {
            connection.send(if well.load(Ordering::SeqCst) { OK } else { UNAVAILABLE });
        }
    };
    (Upstream::start(script), switch)
}

fn statuses(gateway: &Gateway, key: &str, count: usize) -> Vec<u16> {
    (0..count).map(|_| gateway.get("/api/profiles", key).status()).collect()
}

#[test]
fn requests_are_shared_out_among_the_servers() {
    let servers = [Upstream::ok(), Upstream::ok(), Upstream::ok()];
    let (gateway, key) = start(&servers.each_ref().map(Upstream::url), "");
    assert!(statuses(&gateway, &key, 300).iter().all(|status| *status == 200));
    for server in &servers {
        assert!(server.requests().len() > 40, "{}", server.requests().len());
    }
}

#[test]
fn a_server_that_is_busy_is_asked_less_than_one_that_is_not() {
    // The first never answers: what it was given stays under way.
    let slow = Upstream::start(|connection| {
        connection.request();
        connection.wait_for_close();
    });
    let quick = Upstream::ok();
    let (gateway, key) = start(&[slow.url(), quick.url()], "");
    let call = Call::get("/api/profiles").key(&key);
    let mut waiting = Vec::new();
    // Whoever is drawn first when nobody is busy: sooner or later it is the slow one.
    while slow.requests().is_empty() {
        let before = quick.requests().len();
        let mut client = gateway.connect();
        client.send(call.bytes());
        until("a request", || (!slow.requests().is_empty() || quick.requests().len() > before).then_some(()));
        if slow.requests().is_empty() {
            assert_eq!(client.read().status(), 200);
        } else {
            waiting.push(client);
        }
    }
    assert!(statuses(&gateway, &key, 50).iter().all(|status| *status == 200));
    assert_eq!(slow.requests().len(), 1);
}

#[test]
fn a_server_that_takes_no_connection_is_seen_by_no_caller_and_left_out() {
    let (nobody, well) = (Vacant::new(), Upstream::ok());
    let (gateway, key) = start(&[nobody.url(), well.url()], FOR_GOOD);
    let posts = || gateway.answer(&Call::post("/api/profiles").key(&key).body("{}")).status();
    assert!((0..40).all(|_| posts() == 200));
    gateway.process.wait_for("the word of it", |said| said.contains("requests go to the others").then_some(()));
    gateway.process.wait_for("its end", |said| said.contains("failed several times in a row").then_some(()));
}

#[test]
fn a_server_that_says_503_is_left_out_after_as_many_as_are_configured() {
    let (well, ill) = (Upstream::ok(), Upstream::answering(UNAVAILABLE));
    let (gateway, key) = start(&[ill.url(), well.url()], FOR_GOOD);
    let seen = statuses(&gateway, &key, 200);
    assert_eq!(seen.iter().filter(|status| **status == 503).count(), 3);
    assert_eq!(ill.requests().len(), 3);
}

#[test]
fn the_figures_say_which_server_is_left_out_by_its_name() {
    let (well, ill) = (Upstream::ok(), Upstream::answering(UNAVAILABLE));
    let (gateway, key) = start(&[ill.url(), well.url()], FOR_GOOD);
    let up =
        |server: &Upstream| gateway.metric("scopegate_upstream_up", &[&format!("server=\"{}\"", server.address())]);
    assert_eq!((up(&well), up(&ill)), (1.0, 1.0));
    statuses(&gateway, &key, 200);
    assert_eq!((up(&well), up(&ill)), (1.0, 0.0));
    assert_eq!(gateway.metric("scopegate_upstream_panic", &[]), 0.0);
}

#[test]
fn the_figures_say_of_a_single_server_that_it_fails_and_that_it_is_back() {
    let (only, well) = switched();
    let (gateway, key) = start(&[only.url()], FOR_GOOD);
    let up = || gateway.metric("scopegate_upstream_up", &[&format!("server=\"{}\"", only.address())]);
    assert_eq!(up(), 1.0);
    well.store(false, Ordering::SeqCst);
    assert_eq!(statuses(&gateway, &key, 2), [503; 2]);
    assert_eq!(up(), 1.0, "it takes three");
    assert_eq!(statuses(&gateway, &key, 1), [503]);
    until("the word of it", || (up() == 0.0).then_some(()));
    well.store(true, Ordering::SeqCst);
    assert_eq!(statuses(&gateway, &key, 1), [200], "it is asked all the same");
    until("the word of it", || (up() == 1.0).then_some(()));
}

#[test]
fn a_single_server_that_is_not_there_is_down() {
    let nobody = Vacant::new();
    let (gateway, key) = start(&[nobody.url()], FOR_GOOD);
    assert_eq!(gateway.metric("scopegate_upstream_up", &[]), 1.0);
    assert_eq!(statuses(&gateway, &key, 3), [503; 3]);
    until("the word of it", || (gateway.metric("scopegate_upstream_up", &[]) == 0.0).then_some(()));
}

#[test]
fn where_more_than_half_have_failed_the_log_and_the_figures_say_that_all_are_asked_and_why() {
    let ill = [Upstream::answering(UNAVAILABLE), Upstream::answering(UNAVAILABLE)];
    let (gateway, key) = start(&ill.each_ref().map(Upstream::url), FOR_GOOD);
    until("both to have failed", || {
        gateway.get("/api/profiles", &key);
        (gateway.process.said().matches("failed several times in a row").count() == 2).then_some(())
    });
    let said = gateway.process.said();
    let lines: Vec<_> = said.lines().filter(|line| line.contains("failed several times in a row")).collect();
    assert!(lines[0].contains("requests go to the others"), "{}", lines[0]);
    assert!(lines[1].contains("more than half have, so that all are asked"), "{}", lines[1]);
    assert!(lines.iter().all(|line| line.contains("\"why\":\"it answered 503\"")), "{lines:?}");
    assert_eq!(gateway.metric("scopegate_upstream_up", &[]), 2.0, "requests go to both");
    assert_eq!(gateway.metric("scopegate_upstream_panic", &[]), 1.0);
    let only = Gateway::in_front_of(&ill[0]);
    assert!(!only.admin("/metrics").body_text().contains("scopegate_upstream_panic"));
}

#[test]
fn the_log_names_the_server_that_was_asked_last_and_counts_what_was_sent_again() {
    let deaf = Upstream::start(|connection| drop(connection.request()));
    let well = Upstream::ok();
    let (gateway, key) = start(&[deaf.url(), well.url()], "  health: { interval: 1h, eject_after: 1000 }");
    until("a request to the one that does not answer", || {
        assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
        (!deaf.requests().is_empty()).then_some(())
    });
    let of = |line: &&str| line.contains("\"path\":\"/api/profiles\"");
    let again = gateway.process.wait_for("the line", |said| {
        said.lines().filter(of).find(|line| line.contains("\"retries\":1")).map(str::to_owned)
    });
    let name = format!("\"upstream\":\"{}\"", well.address());
    assert!(again.contains(&name), "{again}");
    assert_eq!(gateway.metric("scopegate_upstream_retries_total", &[]), 1.0);
    // Neither is there where it says nothing.
    let only = Gateway::in_front_of(&well);
    let key = only.key(&["--full"]);
    only.get("/api/profiles", &key);
    let line = only.process.wait_for("the line", |said| said.lines().find(of).map(str::to_owned));
    assert!(!line.contains("\"upstream\":") && !line.contains("retries"), "{line}");
}

#[test]
fn a_success_in_between_keeps_a_server_in() {
    let turns = Upstream::start(|connection| {
        while connection.request().is_some() {
            connection.send(UNAVAILABLE);
            connection.request();
            connection.send(OK);
        }
    });
    let nobody = Vacant::new();
    let (gateway, key) = start(&[turns.url(), nobody.url()], FOR_GOOD);
    let seen = statuses(&gateway, &key, 40);
    assert_eq!(seen.iter().filter(|status| **status == 503).count(), 20, "{seen:?}");
}

#[test]
fn a_server_that_was_left_out_comes_back_when_its_time_is_over() {
    let ((ill, switch), well) = (switched(), Upstream::ok());
    let (gateway, key) = start(&[ill.url(), well.url()], "  health: { interval: 500ms, eject_after: 3 }");
    switch.store(false, Ordering::SeqCst);
    until("it is out", || {
        gateway.get("/api/profiles", &key);
        gateway.process.said().contains("failed several times in a row").then_some(())
    });
    switch.store(true, Ordering::SeqCst);
    gateway.process.wait_for("its return", |said| said.contains("is asked again").then_some(()));
    let before = ill.requests().len();
    until("a request", || {
        assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
        (ill.requests().len() > before).then_some(())
    });
}

#[test]
fn a_check_leaves_a_server_out_before_any_request_fails_and_brings_it_back() {
    let ((ill, switch), well) = (switched(), Upstream::ok());
    let checked = "  health: { path: /healthz?deep=1, interval: 5s, eject_after: 2 }\n  credential: { header: X-Real, value: geheim }";
    let (gateway, key) = start(&[ill.url(), well.url()], checked);
    let address = ill.address().to_string();
    let told = |what: &str| {
        let about = |line: &&str| line.contains(what) && line.contains(&address);
        gateway.process.wait_for(what, |said| said.lines().find(about).map(|_| ()));
    };
    switch.store(false, Ordering::SeqCst);
    told("failed several times in a row");
    assert!(statuses(&gateway, &key, 50).iter().all(|status| *status == 200));
    switch.store(true, Ordering::SeqCst);
    told("is asked again");
    let checks: Vec<_> = ill.requests().into_iter().filter(|request| request.target() == "/healthz?deep=1").collect();
    let check = checks.first().expect("a check");
    assert_eq!((check.field("host"), check.field("x-real")), (Some(&*address), None));
}

#[test]
fn where_more_than_half_are_out_all_are_asked() {
    let ((one, first), (two, second)) = (switched(), switched());
    let (gateway, key) = start(&[one.url(), two.url()], FOR_GOOD);
    for switch in [&first, &second] {
        switch.store(false, Ordering::SeqCst);
    }
    statuses(&gateway, &key, 20);
    for switch in [&first, &second] {
        switch.store(true, Ordering::SeqCst);
    }
    // Nobody waits for the hour to pass.
    assert!(statuses(&gateway, &key, 50).iter().all(|status| *status == 200));
    assert!(one.requests().len() > 10 && two.requests().len() > 10);
}

#[test]
fn a_request_without_a_body_that_met_a_dying_server_is_answered_by_another() {
    let dying = Upstream::start(|connection| {
        connection.request();
    });
    let well = Upstream::ok();
    let (gateway, key) = start(&[dying.url(), well.url()], FOR_GOOD);
    assert!(statuses(&gateway, &key, 20).iter().all(|status| *status == 200));
    assert!(!dying.requests().is_empty());
}

#[test]
fn a_post_that_met_a_dying_server_is_sent_to_no_other() {
    let dying = Upstream::start(|connection| {
        connection.request();
    });
    let well = Upstream::ok();
    let (gateway, key) = start(&[dying.url(), well.url()], FOR_GOOD);
    let post = || gateway.answer(&Call::post("/api/profiles").key(&key).body("{}")).status();
    let failed = (0..30).filter(|_| post() == 502).count();
    assert_eq!((failed, dying.requests().len()), (3, 3));
    assert_eq!(well.requests().len(), 27);
}

#[test]
fn each_server_is_called_by_its_own_name_where_the_url_says_it() {
    let servers = [Upstream::ok(), Upstream::ok()];
    let (gateway, key) = start(&servers.each_ref().map(Upstream::url), "  host: url");
    statuses(&gateway, &key, 40);
    for server in &servers {
        let (own, requests) = (server.address().to_string(), server.requests());
        assert!(!requests.is_empty());
        for request in requests {
            assert_eq!(request.field("host"), Some(&*own));
            assert_eq!(request.field("x-request-id").map(str::len), Some(32), "the rest of the head is whole");
        }
    }
}

#[test]
fn servers_may_come_and_go_by_a_reload() {
    let (one, two) = (Upstream::ok(), Upstream::ok());
    let (gateway, key) = start(&[one.url()], "");
    statuses(&gateway, &key, 5);
    let file = gateway.file("scopegate.yaml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let swap = |from: String, to: String| {
        std::fs::write(&file, text.replace(&from, &to)).expect("the change");
        gateway.process.signal("HUP");
    };
    swap(one.url(), format!("{}, {}", one.url(), two.url()));
    until("the second server", || {
        assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
        (!two.requests().is_empty()).then_some(())
    });
    assert_eq!(one.connections(), 1, "the connection to the first was kept");
    swap(one.url(), two.url());
    until("the first is left", || {
        let before = one.requests().len();
        statuses(&gateway, &key, 20);
        (one.requests().len() == before).then_some(())
    });
}

#[test]
fn one_server_that_is_left_of_three_answers_everything() {
    let (well, nobody) = (Upstream::ok(), [Vacant::new(), Vacant::new()]);
    let (gateway, key) = start(&[nobody[0].url(), well.url(), nobody[1].url()], FOR_GOOD);
    assert!(statuses(&gateway, &key, 100).iter().all(|status| *status == 200));
}

#[test]
fn a_caller_who_takes_his_time_makes_no_server_look_ill() {
    let well = [Upstream::ok(), Upstream::ok()];
    let lines = "  timeouts: { request: 500ms }\n  health: { interval: 1h, eject_after: 1 }";
    let (gateway, key) = start(&well.each_ref().map(Upstream::url), lines);
    for _ in 0..3 {
        let mut slow = gateway.connect();
        slow.send(format!(
            "POST /api/profiles HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\ncontent-length: 9\r\n\r\n{{"
        ));
        assert_eq!(slow.read().status(), 504);
    }
    assert_eq!(gateway.metric("scopegate_upstream_up", &[]), 2.0);
}

#[test]
fn a_caller_who_takes_nothing_of_an_answer_and_still_sends_makes_no_server_look_ill() {
    // Both write for as long as it is taken, and read nothing meanwhile.
    let well = || {
        Upstream::start(|connection| {
            if connection.request_head().is_some() {
                connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                let piece = format!("10000\r\n{}\r\n", "a".repeat(0x10000));
                while connection.send(&piece) {}
            }
        })
    };
    let servers = [well(), well()];
    let gateway = Setup::for_servers(&servers.each_ref().map(Upstream::url))
        .upstream("  health: { interval: 1h, eject_after: 1 }")
        .config("workers: 1\nlimits: { body_stall: 1s, write_stall: 3s }")
        .start();
    let key = gateway.create_key(&["--full"]);
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    let mut caller = std::net::TcpStream::connect(gateway.address()).expect("a connection");
    let head = format!(
        "POST /api/profiles HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\ncontent-length: 9999999999\r\n\r\n"
    );
    caller.write_all(head.as_bytes()).expect("the head");
    caller.set_nonblocking(true).expect("a socket");
    let body = vec![b'a'; 1 << 20];
    until("the line of the request", || {
        let _ = caller.write(&body);
        gateway.process.said().contains("\"status\":499").then_some(())
    });
    assert_eq!(gateway.metric("scopegate_upstream_up", &[]), 2.0, "{}", gateway.process.said());
    assert_eq!(gateway.metric("scopegate_denials_total", &["upstream_timeout"]), 0.0);
}

#[test]
fn a_request_that_a_server_read_and_did_not_answer_costs_budget_on_every_connection() {
    let upstream = Upstream::start(|connection| {
        while connection.request().is_some_and(|request| request.method() == "GET") {
            connection.send(OK);
        }
    });
    let sent = |budget: &str| {
        let (gateway, key) = start(&[upstream.url()], &format!("  retries: {{ idempotent: 1, budget: {budget} }}"));
        let before = upstream.requests().len();
        let mut client = gateway.connect();
        for _ in 0..40 {
            assert_eq!(client.send(Call::get("/api/profiles").key(&key).bytes()).read().status(), 200);
            let delete = Call::new("DELETE", "/api/profiles/1").key(&key);
            assert_eq!(client.send(delete.bytes()).read().status(), 502);
        }
        upstream.requests().iter().skip(before).filter(|request| request.method() == "DELETE").count()
    };
    assert_eq!(sent("0%"), 40, "none may be sent again");
    // Three to begin with, one for each ten requests, and a few for those that made sure of the key.
    let most = sent("10%");
    assert!((41..=40 + 3 + 8 + 2).contains(&most), "{most}");
}

#[test]
fn a_connection_that_went_stale_is_a_retry_and_may_be_forbidden() {
    let stale = |retries: &str| {
        let upstream = Upstream::start(|connection| {
            connection.request();
            connection.send(OK);
            connection.request();
        });
        let (gateway, key) = start(&[upstream.url()], retries);
        statuses(&gateway, &key, 4)
    };
    assert_eq!(stale("  retries: { idempotent: 0 }"), [200, 502, 200, 502]);
    assert_eq!(stale("  retries: { idempotent: 1 }"), [200, 200, 200, 200]);
}
