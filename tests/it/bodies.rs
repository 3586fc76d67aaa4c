//! Content streamed both ways: chunked, Expect, early answers, a gigabyte in constant memory.

use crate::support::upstream::Connection;
use crate::support::{Call, Gateway, OK, Setup, Upstream, stands_still, until};

/// What a body of any size may add to the memory of the gateway, in KiB.
const MEMORY: u64 = 16 * 1024;

fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> (Upstream, Gateway, String) {
    let upstream = Upstream::start(script);
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.create_key(&["--full"]);
    // Denials need no upstream: a key that is in force is told apart by another code.
    until("the key", || (gateway.get("/api/no-such-route", &key).status() == 403).then_some(()));
    (upstream, gateway, key)
}

#[test]
fn a_chunked_answer_passes_with_its_trailers() {
    let (_upstream, gateway, key) = start(|connection| {
        connection.answer_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nX-Sum: 7\r\n\r\n");
    });
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.send(Call::get("/api/profiles").key(&key).bytes()).read();
        assert_eq!((answer.body_text().as_str(), answer.whole), ("abcde", true));
        assert_eq!(answer.trailers, [("X-Sum".to_owned(), "7".to_owned())]);
        assert!(!answer.has("content-length"));
    }
}

#[test]
fn an_answer_that_ends_with_its_connection_is_given_an_end() {
    let (_upstream, gateway, key) = start(|connection| {
        connection.request();
        connection.send("HTTP/1.1 200 OK\r\n\r\nuntil the end");
    });
    let mut client = gateway.connect();
    for _ in 0..2 {
        let answer = client.send(Call::get("/api/profiles").key(&key).bytes()).read();
        assert_eq!((answer.body_text().as_str(), answer.whole), ("until the end", true));
        assert_eq!(answer.field("transfer-encoding"), Some("chunked"));
    }
}

#[test]
fn answers_that_have_no_body_are_not_waited_for() {
    let (_upstream, gateway, key) = start(|connection| {
        while let Some(request) = connection.request() {
            let status = request.target().rsplit('/').next().unwrap_or_default().to_owned();
            connection.send(format!("HTTP/1.1 {status} Whatever\r\n\r\n"));
        }
    });
    let mut client = gateway.connect();
    for status in [204, 304, 204] {
        let answer = client.send(Call::get(&format!("/api/profiles/{status}")).key(&key).bytes()).read();
        assert_eq!((answer.status(), answer.whole), (status, true));
        assert!(!answer.has("transfer-encoding"), "{}", answer.text());
    }
}

#[test]
fn a_204_says_no_length_and_a_304_says_that_of_another_answer() {
    let (_upstream, gateway, key) = start(|connection| {
        while let Some(request) = connection.request() {
            let status = request.target().rsplit('/').next().unwrap_or_default().to_owned();
            connection.send(format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 3\r\n\r\n"));
        }
    });
    for method in ["GET", "HEAD"] {
        for (status, length) in [(204, None), (304, Some("3"))] {
            let answer = gateway.answer(&Call::new(method, &format!("/api/profiles/{status}")).key(&key));
            assert_eq!((answer.status(), answer.field("content-length")), (status, length), "{method}");
        }
    }
}

#[test]
fn each_piece_of_an_answer_is_passed_on_when_it_comes() {
    let (upstream, gateway, key) = start(|connection| {
        connection.request();
        connection.send(
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n7\r\ndata: 1\r\n",
        );
        connection.wait_for("seen");
        connection.send("7\r\ndata: 2\r\n0\r\n\r\n");
    });
    let mut client = gateway.connect();
    let mut head = client.send(Call::get("/api/profiles").key(&key).bytes()).read_head();
    // The second piece is sent only when the head of the first has been seen here.
    upstream.allow("seen");
    client.read_body(&mut head);
    assert_eq!((head.body_text().as_str(), head.whole), ("data: 1data: 2", true));
}

#[test]
fn each_piece_of_a_request_is_passed_on_when_it_comes() {
    let (upstream, gateway, key) = start(|connection| {
        let Some(mut request) = connection.request_head() else {
            return;
        };
        connection.note("head");
        connection.rest(&mut request);
        connection.note("rest");
        connection.send(OK);
    });
    let mut client = gateway.connect();
    client.send(format!(
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    upstream.wait_for("head");
    client.send_more("2\r\nhi\r\n0\r\n\r\n");
    assert_eq!(client.read().status(), 200);
}

#[test]
fn a_caller_that_waits_for_100_gets_it_from_the_upstream() {
    let (upstream, gateway, key) = start(|connection| {
        let Some(mut request) = connection.request_head() else {
            return;
        };
        connection.note(if request.field("expect") == Some("100-continue") { "expected" } else { "not expected" });
        connection.send("HTTP/1.1 100 Continue\r\n\r\n");
        connection.rest(&mut request);
        connection.send(format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}",
            request.body.len(),
            request.body_text()
        ));
    });
    let mut client = gateway.connect();
    client.send(format!("POST /api/profiles HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
    assert_eq!(client.read_head().status(), 100);
    assert_eq!(client.send_more("hello").read().body_text(), "hello");
    upstream.wait_for("expected");
}

#[test]
fn a_denied_request_is_never_told_to_go_on() {
    let (upstream, gateway, _key) = start(|connection| connection.answer_all(OK.as_bytes()));
    let mut client = gateway.connect();
    client.send("POST /api/profiles HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    let answer = client.read();
    assert_eq!((answer.status(), answer.interim.len()), (401, 0));
    client.assert_closed();
    assert!(upstream.requests().is_empty());
}

#[test]
fn an_answer_before_the_end_of_the_body_reaches_the_caller() {
    let (_upstream, gateway, key) = start(|connection| {
        if connection.request_head().is_some() {
            connection.send("HTTP/1.1 413 Too Large\r\nContent-Length: 4\r\nConnection: close\r\n\r\nmuch");
            connection.half_close();
            connection.wait_for_close();
        }
    });
    let mut client = gateway.connect();
    client.send(format!("POST /api/profiles HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: 1000000\r\n\r\nthe first bytes"));
    let answer = client.read();
    assert_eq!((answer.status(), answer.body_text().as_str(), answer.whole), (413, "much", true));
}

#[test]
fn early_hints_pass_and_come_before_the_answer() {
    let (_upstream, gateway, key) = start(|connection| {
        while connection.request().is_some() {
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });
    let answer = gateway.get("/api/profiles", &key);
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.interim.len(), 1);
    assert_eq!(answer.interim[0].field("link"), Some("</a.css>; rel=preload"));
}

#[test]
fn a_get_and_a_delete_may_have_a_body() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let mut client = gateway.connect();
    for method in ["GET", "DELETE"] {
        let call = Call::new(method, "/api/profiles/1").key(&key);
        for (call, framing) in [
            (call.clone().body("{\"data\":[]}"), (Some("11"), None)),
            (call.chunks(&["{\"data\"", ":[]}"]), (None, Some("chunked"))),
        ] {
            // Had it been left unread, what follows it on the same connection would be lost.
            assert_eq!(client.send(call.bytes()).read().status(), 200, "{method} with {framing:?}");
            let request = upstream.requests().pop().expect("a request");
            assert_eq!((request.method(), request.body_text().as_str()), (method, "{\"data\":[]}"));
            assert_eq!((request.field("content-length"), request.field("transfer-encoding")), framing, "{method}");
        }
    }
}

#[test]
fn a_body_over_its_limit_is_refused_when_it_is_announced_and_when_it_grows() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { body_bytes: 10 }").start();
    let key = gateway.key(&["--full"]);
    assert_eq!(gateway.answer(&Call::post("/api/profiles").key(&key).body("0123456789")).status(), 200);
    let announced = gateway.answer(&Call::post("/api/profiles").key(&key).body("0123456789a"));
    assert_eq!((announced.status(), announced.code().as_str()), (413, "body_too_large"));
    let grown = gateway.answer(&Call::post("/api/profiles").key(&key).chunks(&["01234", "56789", "a"]));
    assert_eq!((grown.status(), grown.code().as_str()), (413, "body_too_large"));
}

#[test]
fn a_body_that_stalls_is_told_so() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { body_stall: 300ms }").start();
    let key = gateway.key(&["--full"]);
    let mut client = gateway.connect();
    client.send(format!(
        "POST /api/profiles HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\nContent-Length: 10\r\n\r\nhalf"
    ));
    let answer = client.read();
    assert_eq!((answer.status(), answer.code().as_str()), (408, "request_timeout"));
    client.assert_closed();
}

/// The size of the large bodies. SCOPEGATE_TEST_BODY_MIB changes it: `tests/run` asks for the whole gigabyte.
fn large() -> u64 {
    let mebibytes =
        std::env::var("SCOPEGATE_TEST_BODY_MIB").ok().map_or(256, |text| text.parse().expect("a number of MiB"));
    mebibytes << 20
}

#[test]
fn a_large_upload_takes_no_memory() {
    let (_upstream, gateway, key) = start(|connection| {
        while let Some(mut request) = connection.request_head() {
            let count = connection.discard_rest(&mut request).to_string();
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{count}", count.len()));
        }
    });
    let block = vec![b'u'; 1 << 20];
    let before = gateway.memory("VmHWM:");
    for chunked in [false, true] {
        let mut client = gateway.connect();
        let framing =
            if chunked { "Transfer-Encoding: chunked".to_owned() } else { format!("Content-Length: {}", large()) };
        client.send(format!(
            "PUT /api/files/large HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {key}\r\n{framing}\r\n\r\n"
        ));
        for _ in 0..large() >> 20 {
            if chunked {
                client.send_more("100000\r\n").send_more(&block).send_more("\r\n");
            } else {
                client.send_more(&block);
            }
        }
        if chunked {
            client.send_more("0\r\n\r\n");
        }
        assert_eq!(client.read().body_text(), large().to_string());
    }
    let grown = gateway.memory("VmHWM:") - before;
    assert!(grown < MEMORY, "{grown} KiB more for {} bytes", large());
}

#[test]
fn a_large_download_takes_no_memory_even_if_the_caller_is_slow_to_begin() {
    let (upstream, gateway, key) = start(|connection| {
        let block = vec![b'd'; 1 << 20];
        while connection.request().is_some() {
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", large()));
            for _ in 0..large() >> 20 {
                if !connection.send(&block) {
                    return;
                }
                connection.note("a mebibyte");
            }
        }
    });
    let before = gateway.memory("VmHWM:");
    let mut client = gateway.connect();
    client.send(Call::get("/api/files/large").key(&key).bytes());
    // The caller reads nothing before the gateway takes nothing more. What the kernel holds is some 20 MiB in all, and 80 where its
    // limits are higher.
    let taken = until("the upstream to be held up", stands_still(|| upstream.noted("a mebibyte")));
    assert!(taken < 128, "{taken} MiB were taken");
    let mut head = client.read_head();
    assert_eq!(client.discard_body(&mut head), large());
    assert!(head.whole);
    let grown = gateway.memory("VmHWM:") - before;
    assert!(grown < MEMORY, "{grown} KiB more for {} bytes", large());
}

#[test]
fn a_caller_that_goes_away_ends_the_request_at_the_upstream() {
    let (upstream, gateway, key) = start(|connection| {
        if connection.request().is_some() {
            connection.note("request");
            connection.wait_for_close();
        }
    });
    let mut client = gateway.connect();
    client.send(Call::get("/api/profiles").key(&key).bytes());
    upstream.wait_for("request");
    client.reset();
    upstream.wait_for("gone");
}

#[test]
fn a_slow_reader_holds_up_nobody_else() {
    let (upstream, gateway, key) = start(|connection| {
        let block = vec![b'd'; 1 << 16];
        while let Some(request) = connection.request() {
            if request.target() == "/api/files/endless" {
                connection.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
                connection.note("endless");
                while connection.send("10000\r\n") && connection.send(&block) && connection.send("\r\n") {}
                connection.note("ended");
                return;
            }
            connection.send(OK);
        }
    });
    let mut slow = gateway.connect();
    slow.send(Call::get("/api/files/endless").key(&key).bytes());
    upstream.wait_for("endless");
    for _ in 0..20 {
        assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
    }
    slow.reset();
    upstream.wait_for("ended");
}
