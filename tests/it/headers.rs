//! What is dropped, kept, added: hop-by-hop, identity, forwarded, Via, request ids.

use crate::support::http2::{Caller, run};
use crate::support::{Call, Gateway, Message, Setup, Upstream};

/// Sends `call` with a good key and gives what the upstream got.
fn forwarded(gateway: &Gateway, upstream: &Upstream, call: Call, key: &str) -> Message {
    let answer = gateway.answer(&call.key(key));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    upstream.requests().pop().expect("a request")
}

#[test]
fn fields_of_one_hop_end_here() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let call = Call::get("/api/profiles")
        .field("Connection", "keep-alive, X-Mine")
        .field("Connection", "x-also")
        .field("X-Mine", "1")
        .field("X-Also", "2")
        .field("X-Stays", "3")
        .field("Keep-Alive", "timeout=5")
        .field("Proxy-Connection", "keep-alive")
        .field("Proxy-Authorization", "Basic eDp5")
        .field("TE", "gzip")
        .field("Trailer", "X-Sum")
        .field("Upgrade", "h2c")
        .field("HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA");
    let request = forwarded(&gateway, &upstream, call, &key);
    let gone = [
        "x-mine",
        "x-also",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
        "transfer-encoding",
        "content-length",
    ];
    for name in gone {
        assert!(!request.has(name), "{name} in {}", request.text());
    }
    assert_eq!(request.field("x-stays"), Some("3"));
    let connection = request.field("connection").unwrap_or_default().to_ascii_lowercase();
    assert!(["", "keep-alive"].contains(&connection.as_str()), "Connection: {connection}");
}

#[test]
fn values_and_their_order_are_kept() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let call = Call::get("/api/profiles")
        .field("X-List", "a, b")
        .field("Accept", "*/*;q=0.1")
        .field("x-list", "c")
        .field("X-Empty", "")
        .field("X-High", "caf\u{e9}");
    let request = forwarded(&gateway, &upstream, call, &key);
    assert_eq!(request.all("x-list"), ["a, b", "c"]);
    assert_eq!(request.field("accept"), Some("*/*;q=0.1"));
    assert_eq!(request.field("x-empty"), Some(""));
    assert_eq!(request.field("x-high"), Some("caf\u{e9}"));
}

#[test]
fn nobody_outside_can_say_who_they_are() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let call = Call::get("/api/profiles")
        .field("X-ScopeGate-Key-Id", "key_forged")
        .field("x-scopegate-scopes", "*")
        .field("X-SCOPEGATE-ACCOUNT", "forged")
        .field("X-ScopeGate-Anything", "forged")
        .field("X_ScopeGate_Key_Id", "forged")
        .field("X-ScopeGate_Scopes", "forged")
        .field("Connection", "X-ScopeGate-Key-Id, X-ScopeGate-Scopes");
    let request = forwarded(&gateway, &upstream, call, &key);
    let id = request.field("x-scopegate-key-id").expect("the id of the key");
    assert!(
        id.len() == 20 && id.starts_with("key_") && id[4..].chars().all(|letter| letter.is_ascii_alphanumeric()),
        "{id}"
    );
    assert_eq!(request.field("x-scopegate-scopes"), Some("profiles:read"));
    assert!(!request.text().contains("forged"), "{}", request.text());
}

#[test]
fn punctuation_that_a_server_reads_as_a_hyphen_makes_no_name_another() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    for odd in "!#$%&'*+.^_`|~".chars() {
        let mut head = format!("GET /api/profiles HTTP/1.1\r\nHost: api.test\r\nAuthorization: Bearer {key}\r\n");
        for name in [
            "X-ScopeGate-Scopes",
            "X-ScopeGate-Key-Id",
            "X-Forwarded-For",
            "X-Real-IP",
            "X-Original-URL",
            "Content-Length",
            "Transfer-Encoding",
        ] {
            head += &format!("{}: forged\r\n", name.replace('-', &odd.to_string()));
        }
        let answer = gateway.connect().send(format!("{head}X{odd}Y: kept\r\n\r\n")).read();
        assert_eq!(answer.status(), 200, "{odd}: {}", answer.text());
        let request = upstream.requests().pop().expect("a request");
        assert!(!request.text().contains("forged"), "{odd}: {}", request.text());
        assert_eq!(request.text().contains("kept"), odd != '_', "{odd}: {}", request.text());
        let name = format!("X{odd}HTTP{odd}Method{odd}Override");
        let call = Call::get("/api/profiles").key(&key).field(&name, "DELETE");
        assert_eq!(gateway.answer(&call).code(), "method_override", "{name}");
    }
}

#[test]
fn no_caller_sets_the_proxy_of_a_program_behind_cgi() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let call = Call::get("/api/profiles").field("Proxy", "http://evil.test").field("pROXY", "http://evil.test");
    assert!(!forwarded(&gateway, &upstream, call, &key).text().contains("evil"));
}

#[test]
fn identity_can_be_kept_from_the_upstream_and_is_then_still_nobodys_to_forge() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("identity: { headers: false }").start();
    let key = gateway.key(&["--full"]);
    let request =
        forwarded(&gateway, &upstream, Call::get("/api/profiles").field("X-ScopeGate-Key-Id", "forged"), &key);
    assert!(!request.text().to_ascii_lowercase().contains("x-scopegate-"), "{}", request.text());
}

#[test]
fn names_with_an_underscore_are_dropped_unless_allowed() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    assert!(!forwarded(&gateway, &upstream, Call::get("/api/profiles").field("X_Odd", "1"), &key).has("x_odd"));
    let gateway = Setup::new(&upstream).config("headers: { underscores: allow }").start();
    let key = gateway.key(&["--full"]);
    let call = Call::get("/api/profiles").field("X_Odd", "1").field("X_ScopeGate_Key_Id", "forged");
    let request = forwarded(&gateway, &upstream, call, &key);
    assert_eq!(request.field("x_odd"), Some("1"));
    assert!(!request.text().contains("forged"), "identity stays ours in every spelling: {}", request.text());
}

#[test]
fn where_a_request_comes_from_is_told_and_not_believed() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let call = Call::get("/api/profiles")
        .field("X-Forwarded-For", "6.6.6.6")
        .field("X-Forwarded-Proto", "https")
        .field("X-Forwarded-Host", "evil.test")
        .field("X-Forwarded-Prefix", "/evil")
        .field("X-Forwarded-Port", "666")
        .field("Forwarded", "for=6.6.6.6;host=evil.test")
        .field("X-Original-URL", "/evil")
        .field("X-Rewrite-URL", "/evil");
    let request = forwarded(&gateway, &upstream, call, &key);
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-host"), Some("api.test"));
    for word in ["6.6.6.6", "evil", "666"] {
        assert!(!request.text().contains(word), "{word} in {}", request.text());
    }
}

#[test]
fn a_trusted_proxy_is_believed_and_added_to() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("trusted_proxies: [127.0.0.0/8]").start();
    let key = gateway.key(&["--full"]);
    let call = Call::get("/api/profiles")
        .field("X-Forwarded-For", "203.0.113.9")
        .field("X-Forwarded-Proto", "https")
        .field("X-Forwarded-Host", "shop.test");
    let request = forwarded(&gateway, &upstream, call, &key);
    assert_eq!(request.all("x-forwarded-for").join(", "), "203.0.113.9, 127.0.0.1");
    assert_eq!(request.field("x-forwarded-proto"), Some("https"));
    assert_eq!(request.field("x-forwarded-host"), Some("shop.test"));
}

#[test]
fn via_names_the_gateway_after_those_before_it() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    assert_eq!(forwarded(&gateway, &upstream, Call::get("/api/profiles"), &key).field("via"), Some("1.1 scopegate"));
    let request = forwarded(&gateway, &upstream, Call::get("/api/profiles").field("Via", "1.0 first"), &key);
    assert_eq!(request.all("via").join(", "), "1.0 first, 1.1 scopegate");
}

#[test]
fn a_sane_request_id_is_kept_and_an_insane_one_replaced() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let round_trip = |given: Option<&str>| {
        let call = Call::get("/api/profiles").key(&key);
        let answer = gateway.answer(&given.map_or(call.clone(), |id| call.field("X-Request-Id", id)));
        let request = upstream.requests().pop().expect("a request");
        let id = answer.field("x-request-id").expect("a request id").to_owned();
        assert_eq!(request.field("x-request-id"), Some(id.as_str()), "upstream and caller see the same id");
        id
    };
    assert_eq!(round_trip(Some("Root-1.23_ab")), "Root-1.23_ab");
    let (one, two) = (round_trip(None), round_trip(None));
    assert!(one.len() >= 16 && one != two, "{one} {two}");
    for insane in ["", "with space", "semi;colon\"quote", &"x".repeat(500)] {
        let id = round_trip(Some(insane));
        assert!(id != insane && !id.is_empty(), "{insane:?} gave {id:?}");
    }
    let answer = gateway.answer(&Call::get("/api/profiles").field("X-Request-Id", "kept-on-denials"));
    assert_eq!((answer.status(), answer.field("x-request-id")), (401, Some("kept-on-denials")));
}

#[test]
fn the_host_is_preserved_or_replaced_as_configured() {
    let upstream = Upstream::ok();
    let address = upstream.address().to_string();
    for (lines, host) in [
        ("", "api.test"),
        ("  host: preserve", "api.test"),
        ("  host: url", address.as_str()),
        ("  host: other.test", "other.test"),
    ] {
        let gateway = Setup::new(&upstream).upstream(lines).start();
        let key = gateway.key(&["--full"]);
        assert_eq!(
            forwarded(&gateway, &upstream, Call::get("/api/profiles"), &key).field("host"),
            Some(host),
            "{lines}"
        );
    }
}

#[test]
fn an_answer_loses_its_hop_fields_and_keeps_the_rest_in_order() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nProxy-Authenticate: Basic\r\nUpgrade: h2c\r\n\
         Set-Cookie: a=1\r\nX-Own: yes\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
    );
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let answer = gateway.get("/api/profiles", &key);
    for name in ["x-hop", "proxy-authenticate", "upgrade", "proxy-status"] {
        assert!(!answer.has(name), "{name} in {}", answer.text());
    }
    assert_eq!(answer.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(answer.field("x-own"), Some("yes"));
}

#[test]
fn an_answer_without_a_date_gets_the_one_of_its_arrival_and_no_other_does() {
    let date = "Tue, 15 Nov 1994 08:12:31 GMT";
    let upstream = Upstream::start(move |connection| {
        while let Some(request) = connection.request() {
            connection.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
            if request.target().ends_with("dated") {
                connection.send(format!("DATE: {date}\r\n"));
            }
            if request.target().ends_with("named-away") {
                connection.send(format!("Date: {date}\r\nConnection: date\r\n"));
            }
            connection.send("\r\n");
        }
    });
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    assert_eq!(gateway.get("/api/profiles/dated", &key).field("date"), Some(date));
    let is_now = |date: &str| {
        let given = jiff::fmt::rfc2822::parse(date).expect("a date").timestamp();
        date.len() == 29 && date.ends_with(" GMT") && given.duration_until(jiff::Timestamp::now()).as_secs().abs() < 60
    };
    for target in ["/api/profiles", "/api/profiles/named-away"] {
        let answer = gateway.get(target, &key);
        assert!(answer.field("date").is_some_and(is_now), "{}", answer.text());
        assert!(!answer.interim[0].has("date"), "an interim answer needs none");
    }
    run(async {
        let mut caller = Caller::connect(gateway.address()).await;
        assert_eq!(caller.get("/api/profiles/dated", &key).await.field("date"), date);
        let answer = caller.get("/api/profiles", &key).await;
        assert!(is_now(answer.field("date")), "{answer:?}");
    });
}
