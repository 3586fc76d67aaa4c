//! One request and its answer: who gets through, and what exactly a refusal says.

mod timing; // When a head must be whole, and how long a connection may rest before one.

use crate::support::{Call, Gateway, Message, Setup, Upstream, strings};

/// What every answer that the gateway makes itself has in common.
#[track_caller]
fn assert_own_answer(answer: &Message, status: u16, code: &str) {
    assert_eq!(answer.status(), status, "{}", answer.text());
    assert_eq!(answer.field("content-type"), Some("application/problem+json"));
    assert_eq!(answer.field("cache-control"), Some("no-store"));
    let about = answer.field("proxy-status").expect("Proxy-Status");
    assert!(about.starts_with("scopegate; error="), "{about}");
    let body = answer.json();
    assert_eq!(body["type"], format!("urn:scopegate:problem:{code}"));
    assert_eq!(body["status"], status);
    assert_eq!(body["code"], code);
    assert_eq!(
        body["request_id"].as_str(),
        answer.field("x-request-id"),
        "the body and the header name the same request"
    );
    for name in ["title", "detail"] {
        assert!(body[name].as_str().is_some_and(|text| !text.is_empty()), "{name} in {body}");
    }
}

#[test]
fn a_key_with_the_scope_gets_the_answer_of_the_upstream_as_it_is() {
    let upstream = Upstream::answering("HTTP/1.1 201 Made so\r\nX-Own: a\r\nx-own: b\r\nContent-Length: 3\r\n\r\nyes");
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.create_key(&["--scopes", "profiles:read"]);
    crate::support::until("the key", || (gateway.get("/api/profiles", &key).status() == 201).then_some(()));
    let answer = gateway.get("/api/profiles?page%5Bsize%5D=2", &key);
    assert_eq!((answer.status(), answer.body_text().as_str(), answer.whole), (201, "yes", true));
    assert_eq!(answer.all("x-own"), ["a", "b"]);
    assert!(answer.has("x-request-id") && !answer.has("proxy-status"));
    assert!(upstream.requests().iter().any(|request| request.target() == "/api/profiles?page%5Bsize%5D=2"));
}

#[test]
fn a_request_without_a_key_is_challenged_without_an_error() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let answer = gateway.answer(&Call::get("/api/profiles"));
    assert_own_answer(&answer, 401, "missing_key");
    assert_eq!(answer.all("www-authenticate"), ["Bearer realm=\"scopegate\""]);
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_key_that_nobody_made_is_invalid_whatever_its_form() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let real = gateway.key(&["--full"]);
    let mut mistyped = real.clone();
    mistyped.replace_range(10..11, if real[10..11] == *"a" { "b" } else { "a" });
    let long = "k".repeat(300);
    for key in [mistyped.as_str(), "sg_", "sg_short", "pk_0123456789abcdef", &real[..real.len() - 1], &long] {
        let answer = gateway.get("/api/profiles", key);
        assert_own_answer(&answer, 401, "invalid_key");
        let challenge = answer.field("www-authenticate").expect("a challenge");
        assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"invalid_token\""), "{challenge}");
        assert!(!answer.text().contains(key), "the answer holds the key that was presented");
    }
    gateway.assert_nothing_passed(&upstream, &real);
}

#[test]
fn a_missing_scope_is_named_in_the_body_and_in_the_headers() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let answer = gateway.get("/api/profiles/1?include=lists", &key);
    assert_own_answer(&answer, 403, "insufficient_scope");
    let body = answer.json();
    assert_eq!(strings(&body["required"]), ["lists:read", "profiles:read"]);
    assert_eq!(strings(&body["missing"]), ["lists:read"]);
    assert_eq!(body["route"], "GET /api/profiles/{id}");
    let detail = body["detail"].as_str().expect("a detail");
    assert!(detail.contains("lists:read") && detail.contains("include"), "{detail}");
    assert_eq!(
        answer.field("www-authenticate"),
        Some("Bearer error=\"insufficient_scope\", scope=\"lists:read profiles:read\"")
    );
    let about = answer.field("proxy-status").expect("Proxy-Status");
    assert!(about.contains("details=\"missing lists:read\""), "{about}");
    gateway.assert_nothing_passed(&upstream, &key);
}

#[test]
fn a_route_or_method_that_the_policy_lacks_is_not_allowed_even_to_a_full_key() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let calls = [
        ("GET", "/api/unknown"),
        ("GET", "/profiles"),
        ("GET", "/api/profiles/"),
        ("PUT", "/api/profiles"),
        ("get", "/api/profiles"),
    ];
    let refused = [
        ("OPTIONS", "/api/profiles"),
        ("TRACE", "/api/profiles"),
        ("GET", "/api/internal/x"),
        ("GET", "/api"),
        ("GET", "/"),
    ];
    for (method, target) in calls.into_iter().chain(refused) {
        let answer = gateway.answer(&Call::new(method, target).key(&key));
        assert_own_answer(&answer, 403, "route_not_allowed");
    }
    gateway.assert_nothing_passed(&upstream, &key);
}

#[test]
fn without_a_key_a_route_that_exists_and_one_that_does_not_answer_the_same() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let bodies = ["/api/profiles", "/api/no-such-thing", "/api/internal/x"].map(|target| {
        let mut body = gateway.answer(&Call::get(target)).json();
        body["request_id"] = serde_json::Value::Null;
        body
    });
    assert_eq!(bodies[0]["code"], "missing_key");
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
}

#[test]
fn a_route_for_anyone_needs_no_key_and_passes_none_on() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    for call in [Call::get("/api/health"), Call::get("/api/health").key("sg_not-a-key")] {
        assert_eq!(gateway.answer(&call).status(), 200);
        let request = upstream.next_request();
        assert!(!request.has("authorization") && !request.has("x-scopegate-key-id"), "{}", request.text());
    }
}

#[test]
fn head_follows_get_and_its_answers_have_no_body() {
    let upstream = Upstream::start(|connection| {
        while let Some(request) = connection.request() {
            let body = if request.method() == "HEAD" { "" } else { "hello" };
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{body}"));
        }
    });
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let mut client = gateway.connect();
    for (target, key, status) in
        [("/api/profiles", key.as_str(), 200), ("/api/profiles", "sg_x", 401), ("/api/files/a", &key, 403)]
    {
        let answer = client.send(Call::new("HEAD", target).key(key).bytes()).read();
        assert_eq!(answer.status(), status);
        assert!(answer.field("content-length").is_some_and(|length| length != "0"), "{}", answer.text());
    }
    // Had a body followed one of them, this answer would not be found at its place.
    let answer = client.send(Call::get("/api/profiles").key(&key).bytes()).read();
    assert_eq!((answer.status(), answer.body_text().as_str()), (200, "hello"));
}

#[test]
fn so_have_answers_to_a_head_that_is_refused_before_it_is_read() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { header_timeout: 300ms }").start();
    for (head, status) in [
        ("HEAD /api/health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), 400),
        ("\r\nHEAD /api/health HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("HEAD /api/health HTTP/1.1\r\nHost: a".to_owned(), 408),
        (format!("HEAD /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000)), 414),
        ("HEAD /api/health HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n".to_owned(), 417),
        (format!("HEAD /api/health HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "a".repeat(40_000)), 431),
    ] {
        let (answer, _) = gateway.connect().send(head).read_to_end();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{status}: {answer}");
        assert_eq!(answer.find("\r\n\r\n"), Some(answer.len() - 4), "{answer}");
        assert!(answer.contains("\r\ncontent-length: ") && !answer.contains("\r\ncontent-length: 0\r\n"), "{answer}");
    }
}

#[test]
fn a_connection_serves_allowed_and_denied_requests_one_after_another() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let mut client = gateway.connect();
    for _ in 0..3 {
        assert_eq!(client.send(Call::get("/api/profiles").key(&key).bytes()).read().status(), 200);
        assert_eq!(client.send(Call::get("/api/profiles").bytes()).read().status(), 401);
        assert_eq!(client.send(Call::get("/api/files/a").key(&key).bytes()).read().status(), 403);
    }
}

#[test]
fn requests_sent_in_one_go_are_answered_in_their_order() {
    let upstream = Upstream::start(|connection| {
        while let Some(request) = connection.request() {
            let body = request.target().to_owned();
            connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
        }
    });
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let targets: Vec<_> = (0..10).map(|number| format!("/api/profiles/{number}")).collect();
    let mut client = gateway.connect();
    client.send(targets.iter().flat_map(|target| Call::get(target).key(&key).bytes()).collect::<Vec<_>>());
    for target in &targets {
        assert_eq!(client.read().body_text(), *target);
    }
}

#[test]
fn a_head_may_come_byte_by_byte() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let mut client = gateway.connect();
    for byte in Call::get("/api/profiles").key(&key).bytes() {
        client.send_more([byte]);
    }
    assert_eq!(client.read().status(), 200);
}

#[test]
fn http_1_0_is_served_and_closed_unless_it_asks_to_stay() {
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let mut client = gateway.connect();
    client.send(format!("GET /api/profiles HTTP/1.0\r\nHost: api.test\r\nAuthorization: Bearer {key}\r\n\r\n"));
    let answer = client.read();
    assert_eq!((answer.status(), answer.body_text().as_str()), (200, "ok"));
    assert!(!answer.has("transfer-encoding"), "HTTP/1.0 knows no chunks: {}", answer.text());
    client.assert_closed();
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send("GET /api/profiles HTTP/1.0\r\nHost: api.test\r\nConnection: keep-alive\r\n\r\n");
        let answer = client.read();
        assert_eq!(answer.status(), 401);
        assert!(
            answer.field("connection").is_some_and(|value| value.eq_ignore_ascii_case("keep-alive")),
            "{}",
            answer.text()
        );
    }
}

#[test]
fn a_caller_that_says_close_is_closed_after_its_answer() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let mut client = gateway.connect();
    let answer = client.send(Call::get("/api/profiles").key(&key).field("Connection", "close").bytes()).read();
    assert_eq!((answer.status(), answer.field("connection")), (200, Some("close")));
    client.assert_closed();
}

#[test]
fn a_refusal_before_the_body_was_read_closes_the_connection() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let mut client = gateway.connect();
    client.send("POST /api/profiles HTTP/1.1\r\nHost: api.test\r\nContent-Length: 100\r\n\r\nhalf");
    let answer = client.read();
    assert_own_answer(&answer, 401, "missing_key");
    assert_eq!(answer.field("connection"), Some("close"));
    client.assert_closed();
}

#[test]
fn an_absolute_target_is_judged_by_its_path_and_served_for_the_hosts_that_are_named() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("hosts: [api.test]").start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    upstream.next_request();
    let absolute = |host: &str, path: &str| {
        let request =
            format!("GET http://{host}{path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n");
        gateway.connect().send(request).read()
    };
    assert_eq!(absolute("api.test", "/api/profiles").status(), 200);
    let request = upstream.next_request();
    assert_eq!((request.target(), request.field("host")), ("/api/profiles", Some("api.test")));
    assert_eq!(absolute("API.test", "/api/profiles").status(), 200, "the case of a host means nothing");
    assert_own_answer(&absolute("api.test", "/api/files/a"), 403, "insufficient_scope");
    assert_own_answer(&absolute("other.test", "/api/profiles"), 421, "misdirected_request");
    let two_hosts = gateway.get("http://other.test/api/profiles", &key);
    assert_own_answer(&two_hosts, 400, "bad_request");
    assert_eq!(upstream.requests().len(), 3, "the harness's own request, and the two that were served");
}

#[test]
fn a_host_that_is_not_named_is_misdirected() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("hosts: [api.test]").start();
    let key = gateway.key(&["--full"]);
    let answer = gateway
        .connect()
        .send(format!("GET /api/profiles HTTP/1.1\r\nHost: evil.test\r\nAuthorization: Bearer {key}\r\n\r\n"))
        .read();
    assert_own_answer(&answer, 421, "misdirected_request");
    gateway.assert_nothing_passed(&upstream, &key);
}

#[test]
fn heads_over_their_limits_are_refused_by_name() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let target = format!("/api/profiles?a={}", "a".repeat(9000));
    assert_own_answer(&gateway.get(&target, &key), 414, "target_too_long");
    let many =
        (0..120).fold(Call::get("/api/profiles").key(&key), |call, number| call.field(&format!("X-{number}"), "1"));
    assert_own_answer(&gateway.answer(&many), 431, "headers_too_large");
    let large = (0..20).fold(Call::get("/api/profiles").key(&key), |call, number| {
        call.field(&format!("X-{number}"), &"v".repeat(2000))
    });
    assert_own_answer(&gateway.answer(&large), 431, "headers_too_large");
    gateway.assert_nothing_passed(&upstream, &key);
}

#[test]
fn a_call_of_grpc_whose_head_is_over_its_limits_or_late_is_refused_as_grpc_where_it_is_known_for_one() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { header_timeout: 1s }").start();
    let call = "POST /a.B/C HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web+proto\r\n";
    let large = format!("{call}X: {}\r\n\r\n", "x".repeat(40_000));
    for (bytes, status, grpc) in [
        (large.as_str(), 200, Some("8")),
        (call, 200, Some("4")),
        // Nothing was said of it yet.
        ("POST /a.B/C HTTP/1.1\r\nHost: a\r\n", 408, None),
        // What is malformed may say what it likes.
        (&format!("{call}Content-Length: 1\r\nContent-Length: 1\r\n\r\n"), 400, None),
    ] {
        let mut client = gateway.connect();
        let answer = client.send(bytes).read();
        assert_eq!((answer.status(), answer.field("grpc-status")), (status, grpc), "{}", answer.text());
        client.assert_closed();
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_head_that_comes_too_slowly_is_told_so_and_closed() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { header_timeout: 300ms }").start();
    let mut client = gateway.connect();
    client.send("GET /api/profiles HTTP/1.1\r\nHost: api");
    assert_own_answer(&client.read(), 408, "request_timeout");
    client.assert_closed();
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("limits: { idle: 1s }").start();
    let mut client = gateway.connect();
    assert_eq!(client.send(Call::get("/api/health").bytes()).read().status(), 200);
    client.assert_closed();
}

#[test]
fn a_gateway_may_listen_on_a_unix_socket() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream);
    let path = setup.folder().join("gateway.sock");
    let gateway = setup.listen(&format!("unix:{}", path.display())).start();
    let answer = crate::support::Client::connect_unix(&gateway.file("gateway.sock"))
        .send(Call::get("/api/health").bytes())
        .read();
    assert_eq!(answer.status(), 200);
}
