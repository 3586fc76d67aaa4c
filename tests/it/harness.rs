//! The harness itself: the raw client against the raw upstream, without a gateway between them.

use crate::support::wire::find;
use crate::support::{Call, Client, Ending, OK, Upstream, base64};

#[test]
fn the_upstream_records_the_exact_bytes_of_a_request() {
    let upstream = Upstream::ok();
    let call = Call::post("/a?b=%41").field("x-Odd_Name", "  two  spaces ").chunks(&["abc", "de"]);
    let answer = Client::connect(upstream.address()).send(call.bytes()).read();
    assert_eq!((answer.status(), answer.body_text().as_str(), answer.whole), (200, "ok", true));
    let request = upstream.next_request();
    assert_eq!((request.method(), request.target()), ("POST", "/a?b=%41"));
    assert_eq!(request.body, b"abcde");
    assert!(find(&request.head, b"x-Odd_Name:   two  spaces \r\n").is_some());
    assert_eq!(upstream.everything().as_bytes(), call.bytes());
}

#[test]
fn a_connection_is_kept_for_several_requests() {
    let upstream = Upstream::ok();
    let mut client = Client::connect(upstream.address());
    for target in ["/1", "/2", "/3"] {
        assert_eq!(client.send(Call::get(target).bytes()).read().status(), 200);
    }
    assert_eq!((upstream.connections(), upstream.requests().len()), (1, 3));
}

#[test]
fn a_reset_and_a_close_are_told_apart() {
    let upstream = Upstream::start(|connection| {
        if connection.request().is_some_and(|request| request.target() == "/reset") {
            connection.reset();
        }
    });
    for (target, ending) in [("/reset", Ending::Reset), ("/close", Ending::Closed)] {
        let mut client = Client::connect(upstream.address());
        client.send(Call::get(target).bytes());
        assert_eq!(client.read_to_end(), (Vec::new(), ending), "{target}");
    }
}

#[test]
fn an_answer_that_breaks_off_is_not_whole() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let upstream = Upstream::start(move |connection| {
            connection.request();
            connection.send(answer);
        });
        let answer = Client::connect(upstream.address()).send(Call::get("/").bytes()).read();
        assert_eq!((answer.body.as_slice(), answer.whole), (b"abc".as_slice(), false));
    }
}

#[test]
fn an_answer_may_trickle_with_interim_heads_and_trailers() {
    let upstream = Upstream::start(|connection| {
        connection.request();
        connection.trickle("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        connection.trickle("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n");
        connection.half_close();
        connection.wait_for_close();
    });
    let answer = Client::connect(upstream.address()).send(Call::get("/").bytes()).read();
    assert_eq!(answer.interim.iter().map(|head| head.status()).collect::<Vec<_>>(), [103]);
    assert_eq!((answer.status(), answer.body_text().as_str(), answer.whole), (200, "ok", true));
    assert_eq!(answer.trailers, [("X-Sum".to_owned(), "7".to_owned())]);
    upstream.wait_for("gone");
}

#[test]
fn an_answer_to_head_has_no_body() {
    let upstream = Upstream::start(|connection| {
        while connection.request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n");
        }
    });
    let mut client = Client::connect(upstream.address());
    for _ in 0..2 {
        let answer = client.send(Call::new("HEAD", "/").bytes()).read();
        assert_eq!((answer.status(), answer.body.len(), answer.whole), (200, 0, true));
    }
}

#[test]
fn a_script_can_answer_before_the_body_and_wait_for_the_test() {
    let upstream = Upstream::start(|connection| {
        let Some(mut request) = connection.request_head() else {
            return;
        };
        connection.note("head");
        connection.wait_for("go");
        connection.send(OK);
        assert_eq!(connection.discard_rest(&mut request), 4);
        connection.note("rest");
    });
    let mut client = Client::connect(upstream.address());
    client.send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    upstream.wait_for("head");
    upstream.allow("go");
    assert_eq!(client.read().status(), 200);
    client.send_more("rest");
    upstream.wait_for("rest");
}

#[test]
fn base64_is_that_of_rfc_4648() {
    let vectors = [
        ("", ""),
        ("f", "Zg=="),
        ("fo", "Zm8="),
        ("foo", "Zm9v"),
        ("foob", "Zm9vYg=="),
        ("fooba", "Zm9vYmE="),
        ("foobar", "Zm9vYmFy"),
    ];
    for (plain, encoded) in vectors {
        assert_eq!(base64(plain.as_bytes()), encoded);
    }
}
