//! A connection that served one request serves the next one, or is done with.

use super::*;

#[test]
fn a_connection_is_used_again_and_the_last_one_first() {
    let (upstream, gateway, key) = start(|connection| connection.answer_all(OK.as_bytes()));
    for _ in 0..10 {
        assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
    }
    assert_eq!(upstream.connections(), 1);
}

#[test]
fn a_connection_that_went_stale_is_never_seen_by_a_caller() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request();
        connection.send(OK);
        connection.half_close();
        connection.note("closed");
    });
    for number in 1..=20 {
        let call = if number % 2 == 0 { Call::get("/api/profiles") } else { Call::post("/api/profiles").body("{}") };
        assert_eq!(gateway.answer(&call.key(&key)).status(), 200, "request {number}");
        // The FIN is there before the next request is sent.
        until("the close", || (upstream.noted("closed") == number).then_some(()));
    }
    assert_eq!(upstream.requests().len(), 20, "nothing was sent twice");
}

#[test]
fn a_bodyless_request_that_met_a_dying_connection_is_sent_once_more() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request();
        connection.send(OK);
        // Reads the second request and dies without an answer; the connection after it is well.
        if connection.number == 0 {
            connection.request();
        } else {
            connection.answer_all(OK.as_bytes());
        }
    });
    assert_eq!(gateway.get("/api/profiles/1", &key).status(), 200);
    assert_eq!(gateway.get("/api/profiles/2", &key).status(), 200);
    let targets: Vec<_> = upstream.requests().iter().map(|request| request.target().to_owned()).collect();
    assert_eq!(targets, ["/api/profiles/1", "/api/profiles/2", "/api/profiles/2"]);
}

#[test]
fn a_post_that_met_a_dying_connection_is_not_sent_again() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request();
        connection.send(OK);
        connection.request();
    });
    assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
    assert_fault(&gateway.answer(&Call::post("/api/profiles").key(&key).body("{}")), 502, "upstream_failed");
    assert_eq!(upstream.requests().len(), 2);
}

#[test]
fn bytes_after_an_answer_are_nobodys_answer() {
    let (upstream, gateway, key) = start(|connection| {
        while connection.request().is_some() {
            connection.send(
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray",
            );
        }
    });
    for _ in 0..5 {
        assert_eq!(gateway.get("/api/profiles", &key).body_text(), "mine");
    }
    assert_eq!(upstream.connections(), 5, "such a connection is not used again");
}

#[test]
fn bytes_that_come_while_a_connection_rests_are_nobodys_answer() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request();
        connection.send(OK);
        if connection.number == 0 {
            connection.wait_for("answered");
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nstray");
            connection.note("strayed");
        }
        connection.answer_all(OK.as_bytes());
    });
    assert_eq!(gateway.get("/api/profiles", &key).body_text(), "ok");
    upstream.allow("answered");
    upstream.wait_for("strayed");
    assert_eq!(gateway.get("/api/profiles", &key).body_text(), "ok");
}

#[test]
fn a_connection_whose_request_was_not_read_whole_is_not_used_again() {
    let (upstream, gateway, key) = start(|connection| {
        if connection.request_head().is_some() {
            connection.send(OK);
        }
        connection.wait_for_close();
    });
    let mut client = gateway.connect();
    client.send(format!(
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: 1000\r\n\r\nfirst"
    ));
    assert_eq!(client.read().status(), 200);
    upstream.wait_for("gone");
    assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
    assert_eq!(upstream.connections(), 2);
}

#[test]
fn an_answer_is_its_own_callers_under_load() {
    let (_upstream, gateway, key) = start(|connection| {
        while let Some(request) = connection.request() {
            let body = request.target().to_owned();
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    });
    std::thread::scope(|scope| {
        for caller in 0..8 {
            let (gateway, key) = (&gateway, &key);
            scope.spawn(move || {
                let mut client = gateway.connect();
                for number in 0..50 {
                    let target = format!("/api/profiles/{caller}-{number}");
                    assert_eq!(client.send(Call::get(&target).key(key).bytes()).read().body_text(), target);
                }
            });
        }
    });
}
