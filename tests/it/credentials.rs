//! Where a key is taken from and removed by exact bytes; the upstream's own credential.

use crate::support::{Call, Gateway, Message, Setup, Upstream, base64, until};

/// A gateway that takes keys from everywhere where a secret key can stand.
fn start_accepting_everything(upstream: &Upstream, more: &str) -> Gateway {
    let accept =
        "  accept: [bearer, {scheme: Klaviyo-API-Key}, {header: X-Api-Key}, basic, {query: api_key}, {cookie: sg_key}]";
    Setup::new(upstream).keys(accept).upstream(more).start()
}

/// A head as the upstream sees it, without the lines that the gateway adds to every request.
fn caller_lines(request: &Message) -> Vec<String> {
    let head = String::from_utf8_lossy(&request.head).into_owned();
    let added = ["x-scopegate-", "x-forwarded-", "x-request-id:", "via:"];
    let own = |line: &&str| !line.is_empty() && !added.iter().any(|name| line.to_ascii_lowercase().starts_with(name));
    head.split("\r\n").filter(own).map(str::to_owned).collect()
}

#[test]
fn a_key_is_taken_from_each_place_and_nothing_else_changes() {
    let upstream = Upstream::ok();
    let gateway = start_accepting_everything(&upstream, "");
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let basic = base64(format!("{key}:").as_bytes());
    // What the caller sends after the Host line, and what is left of it.
    let places = [
        (
            "/api/profiles",
            format!("A: 1\r\nAuthorization: Bearer {key}\r\nB: 2\r\n"),
            "/api/profiles",
            "A: 1\r\nB: 2\r\n",
        ),
        ("/api/profiles", format!("authorization: bearer   {key}\r\n"), "/api/profiles", ""),
        ("/api/profiles", format!("Authorization: Klaviyo-API-Key {key}\r\n"), "/api/profiles", ""),
        ("/api/profiles", format!("Authorization: klaviyo-api-key {key}\r\n"), "/api/profiles", ""),
        ("/api/profiles", format!("X-Api-Key: {key}\r\nA: 1\r\n"), "/api/profiles", "A: 1\r\n"),
        ("/api/profiles", format!("x-api-KEY:{key}\r\n"), "/api/profiles", ""),
        ("/api/profiles", format!("Authorization: Basic {basic}\r\n"), "/api/profiles", ""),
        ("/api/profiles?api_key=KEY", String::new(), "/api/profiles", ""),
        ("/api/profiles?api_key=KEY&b=%7E", String::new(), "/api/profiles?b=%7E", ""),
        ("/api/profiles?a=1&api_key=KEY", String::new(), "/api/profiles?a=1", ""),
        ("/api/profiles?a=1&api_key=KEY&b=2", String::new(), "/api/profiles?a=1&b=2", ""),
        ("/api/profiles", format!("Cookie: sg_key={key}\r\n"), "/api/profiles", ""),
        ("/api/profiles", format!("Cookie: a=1; sg_key={key}; b=2\r\n"), "/api/profiles", "Cookie: a=1; b=2\r\n"),
        ("/api/profiles", format!("Cookie: sg_key={key}; b=2\r\n"), "/api/profiles", "Cookie: b=2\r\n"),
        ("/api/profiles", format!("Cookie: a=1; sg_key={key}\r\n"), "/api/profiles", "Cookie: a=1\r\n"),
    ];
    for (target, fields, forwarded, left) in places {
        let sent = format!("GET {} HTTP/1.1\r\nHost: api.test\r\n{fields}\r\n", target.replace("KEY", &key));
        let answer = gateway.connect().send(&sent).read();
        assert_eq!(answer.status(), 200, "{sent}{}", answer.text());
        let request = upstream.requests().pop().expect("a request");
        let expected = format!("GET {forwarded} HTTP/1.1\r\nHost: api.test\r\n{left}");
        let mut expected: Vec<_> =
            expected.split("\r\n").filter(|line| !line.is_empty()).map(str::to_lowercase).collect();
        let mut lines: Vec<_> = caller_lines(&request).iter().map(|line| line.to_lowercase()).collect();
        // Where the Host line stands is the gateway's business; the order of all else is the caller's.
        expected[1..].sort_by_key(|line| !line.starts_with("host:"));
        lines[1..].sort_by_key(|line| !line.starts_with("host:"));
        assert_eq!(lines, expected, "{sent}");
    }
    assert!(!upstream.everything().contains(&key), "the upstream has seen a key");
    assert!(!upstream.everything().contains(&basic), "the upstream has seen a key in base64");
}

#[test]
fn the_same_key_in_two_places_is_one_key_and_leaves_both() {
    let upstream = Upstream::ok();
    let gateway = start_accepting_everything(&upstream, "");
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let answer = gateway.answer(&Call::get(&format!("/api/profiles?api_key={key}")).key(&key).field("X-Api-Key", &key));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    assert!(!upstream.everything().contains(&key));
}

#[test]
fn different_keys_or_one_header_twice_are_ambiguous_even_if_all_are_good() {
    let upstream = Upstream::ok();
    let gateway = start_accepting_everything(&upstream, "");
    let (one, two) = (gateway.key(&["--full"]), gateway.key(&["--full"]));
    let calls = [
        Call::get("/api/profiles").key(&one).field("X-Api-Key", &two),
        Call::get("/api/profiles").key("unknown").field("X-Api-Key", &one),
        Call::get(&format!("/api/profiles?api_key={two}")).key(&one),
        Call::get(&format!("/api/profiles?api_key={one}&api_key={two}")),
        Call::get("/api/profiles").key(&one).field("Cookie", &format!("sg_key={two}")),
        Call::get("/api/profiles").key(&one).key(&one),
        Call::get("/api/profiles").field("X-Api-Key", &one).field("x-api-key", &one),
    ];
    for call in calls {
        let answer = gateway.answer(&call);
        assert_eq!(
            (answer.status(), answer.code().as_str()),
            (400, "ambiguous_key"),
            "{}",
            String::from_utf8_lossy(&call.bytes())
        );
    }
    gateway.assert_nothing_passed(&upstream, &one);
}

#[test]
fn a_key_in_a_place_that_is_not_accepted_is_no_key() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).keys("  accept: [{header: X-Api-Key}]").start();
    let key = gateway.create_key(&["--full"]);
    let accepted = || gateway.answer(&Call::get("/api/whoami").field("X-Api-Key", &key));
    until("the key", || (accepted().status() == 200).then_some(()));
    let answer = gateway.get("/api/whoami", &key);
    assert_eq!((answer.status(), answer.code().as_str()), (401, "missing_key"));
    assert_eq!(gateway.answer(&Call::get(&format!("/api/whoami?api_key={key}"))).code(), "missing_key");
}

#[test]
fn each_accepted_scheme_has_its_challenge() {
    let upstream = Upstream::ok();
    let gateway =
        Setup::new(&upstream).keys("  accept: [bearer, {scheme: Klaviyo-API-Key}, {header: X-Api-Key}]").start();
    let answer = gateway.answer(&Call::get("/api/profiles"));
    assert_eq!(answer.all("www-authenticate"), ["Bearer realm=\"scopegate\"", "Klaviyo-API-Key realm=\"scopegate\""]);
    let gateway = Setup::new(&upstream).keys("  accept: [{header: X-Api-Key}]").start();
    assert_eq!(gateway.answer(&Call::get("/api/profiles")).all("www-authenticate"), ["Bearer realm=\"scopegate\""]);
}

#[test]
fn a_caller_without_a_key_is_told_where_one_may_stand() {
    let upstream = Upstream::ok();
    for (accept, detail, source) in [
        ("[bearer]", "send one as Authorization: Bearer KEY.", "{\"header\":\"Authorization\"}"),
        ("[{header: X-Key}]", "send one as X-Key: KEY.", "{\"header\":\"X-Key\"}"),
        ("[{query: api_key}]", "send one in the query as api_key=KEY.", "{\"parameter\":\"api_key\"}"),
        ("[{cookie: sg_key}]", "send one in the cookie sg_key.", "{\"header\":\"Cookie\"}"),
    ] {
        let gateway = Setup::new(&upstream).keys(&format!("  accept: {accept}")).config("errors: json-api").start();
        let answer = gateway.answer(&Call::get("/api/profiles"));
        assert_eq!(answer.status(), 401);
        let text = answer.body_text();
        assert!(text.contains(detail) && text.contains(&format!("\"source\":{source}")), "{accept}: {text}");
        let nowhere = gateway.answer(&Call::get("/api/nowhere").field("X-Request-Id", "a")).body_text();
        let known = gateway.answer(&Call::get("/api/profiles").field("X-Request-Id", "a")).body_text();
        assert_eq!(nowhere, known, "and nothing of routes");
    }
}

#[test]
fn an_authorization_of_another_scheme_passes_untouched() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let value = "Digest username=\"a\", nonce=\"b==\"";
    let answer = gateway.answer(&Call::get("/api/profiles").field("X-Api-Key", &key).field("Authorization", value));
    assert_eq!(answer.status(), 200);
    assert_eq!(upstream.requests().pop().expect("a request").field("authorization"), Some(value));
}

#[test]
fn the_upstreams_credential_replaces_whatever_the_caller_sent() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream)
        .upstream("  credential: { header: Authorization, value: \"Klaviyo-API-Key ${env:REAL_KEY}\" }");
    let gateway = setup.environment("REAL_KEY", "pk_the-real-one").start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    for call in [
        Call::get("/api/profiles").key(&key),
        Call::get("/api/profiles").field("X-Api-Key", &key),
        Call::get("/api/profiles").field("X-Api-Key", &key).field("Authorization", "Digest mine"),
    ] {
        assert_eq!(gateway.answer(&call).status(), 200);
        let request = upstream.requests().pop().expect("a request");
        assert_eq!(request.all("authorization"), ["Klaviyo-API-Key pk_the-real-one"], "{}", request.text());
    }
    // A caller that names the field away is refused, or gets nothing by it.
    for names in ["Authorization", "close, authorization"] {
        let answer = gateway.answer(&Call::get("/api/profiles").key(&key).field("Connection", names));
        assert!([200, 400].contains(&answer.status()), "{}", answer.text());
        for request in upstream.requests() {
            assert_eq!(request.all("authorization"), ["Klaviyo-API-Key pk_the-real-one"], "{}", request.text());
        }
    }
    assert!(!upstream.everything().contains(&key));
}

#[test]
fn a_credential_may_go_into_the_query_or_be_basic() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).upstream("  credential: { query: api_key, value: real-secret }").start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    for (target, forwarded) in [
        ("/api/profiles", "/api/profiles?api_key=real-secret"),
        ("/api/profiles?a=1", "/api/profiles?a=1&api_key=real-secret"),
    ] {
        assert_eq!(gateway.get(target, &key).status(), 200);
        assert_eq!(upstream.requests().pop().expect("a request").target(), forwarded);
    }
    assert_eq!(gateway.get("/api/profiles?api_key=mine", &key).status(), 200);
    let target = upstream.requests().pop().expect("a request").target().to_owned();
    assert_eq!(target, "/api/profiles?api_key=real-secret", "the caller's own is replaced");
    let gateway = Setup::new(&upstream)
        .upstream("  credential: { basic: { username: \"user\", password: \"pass word\" } }")
        .start();
    let key = gateway.key(&["--scopes", "profiles:read"]);
    assert_eq!(gateway.get("/api/profiles", &key).status(), 200);
    let expected = format!("Basic {}", base64(b"user:pass word"));
    assert_eq!(upstream.requests().pop().expect("a request").field("authorization"), Some(expected.as_str()));
}

#[test]
fn a_route_may_name_a_credential_and_a_route_for_anyone_gets_none_by_itself() {
    let upstream = Upstream::ok();
    let lines = "  credential: { header: Authorization, value: Bearer main }\n  credentials:\n    sms: { header: Authorization, value: Bearer sms }";
    let routes = "  GET /main: a:read\n  GET /sms: { scopes: a:read, credential: sms }\n  GET /open: { auth: anyone }\n  GET /open-sms: { auth: anyone, credential: sms }\n";
    let gateway = Setup::new(&upstream).upstream(lines).routes(routes).start();
    let key = gateway.key(&["--scopes", "a:read"]);
    for (target, value) in [
        ("/api/main", Some("Bearer main")),
        ("/api/sms", Some("Bearer sms")),
        ("/api/open", None),
        ("/api/open-sms", Some("Bearer sms")),
    ] {
        assert_eq!(gateway.get(target, &key).status(), 200, "{target}");
        assert_eq!(upstream.requests().pop().expect("a request").field("authorization"), value, "{target}");
    }
}
