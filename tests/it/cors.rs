//! Pages of other origins: preflights are answered before a key is missed, and refusals can be read.

use crate::support::{Call, Gateway, Setup, Upstream};

const PAGE: &str = "https://app.example";

fn start(upstream: &Upstream) -> Gateway {
    Setup::new(upstream)
        .config("cors: { origins: [\"https://app.example\", \"http://localhost:5173\"], headers: [Authorization, X-Thing], max_age: 5m }")
        .start()
}

fn preflight(origin: &str, target: &str) -> Call {
    Call::new("OPTIONS", target).field("Origin", origin).field("Access-Control-Request-Method", "PATCH")
}

#[test]
fn a_preflight_is_answered_without_a_key_and_without_the_upstream() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    for target in ["/api/profiles", "/api/no/such/route?include=lists"] {
        let answer = gateway.answer(&preflight(PAGE, target));
        assert_eq!(answer.status(), 204, "{}", answer.text());
        assert_eq!(answer.field("access-control-allow-origin"), Some(PAGE));
        assert_eq!(answer.field("access-control-allow-methods"), Some("GET, HEAD, POST, PUT, PATCH, DELETE"));
        assert_eq!(answer.field("access-control-allow-headers"), Some("Authorization, X-Thing"));
        assert_eq!(answer.field("access-control-max-age"), Some("300"));
        assert_eq!(answer.field("vary"), Some("Origin"));
    }
    gateway.assert_nothing_passed(&upstream, &gateway.key(&["--no-scopes"]));
}

#[test]
fn another_origin_and_a_path_with_two_readings_get_what_they_always_get() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    for origin in ["https://evil.example", "https://app.example.evil", "null", "https://APP.example"] {
        let answer = gateway.answer(&preflight(origin, "/api/profiles"));
        assert_eq!(answer.status(), 401, "{origin}");
        assert!(!answer.has("access-control-allow-origin"), "{origin}");
    }
    let twice = preflight(PAGE, "/api/profiles").field("Origin", PAGE);
    assert_eq!(gateway.answer(&twice).status(), 401);
    assert_eq!(gateway.answer(&preflight(PAGE, "/api/../profiles")).status(), 400);
    assert_eq!(gateway.answer(&Call::new("OPTIONS", "/api/profiles").field("Origin", PAGE)).status(), 401);
    gateway.assert_nothing_passed(&upstream, &gateway.key(&["--no-scopes"]));
}

#[test]
fn a_page_can_read_refusals_and_answers() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    let refused = gateway.answer(&Call::get("/api/profiles").field("Origin", PAGE));
    assert_eq!((refused.status(), refused.field("access-control-allow-origin")), (401, Some(PAGE)));
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let served = gateway.answer(&Call::get("/api/profiles").key(&key).field("Origin", PAGE));
    assert_eq!((served.status(), served.field("access-control-allow-origin")), (200, Some(PAGE)));
    assert_eq!(upstream.requests().pop().expect("a request").field("origin"), Some(PAGE), "the upstream may look, too");
    let other = gateway.answer(&Call::get("/api/profiles").key(&key).field("Origin", "https://evil.example"));
    assert!(!other.has("access-control-allow-origin"));
}

#[test]
fn a_cache_is_told_that_answers_differ_by_origin_whoever_asked_first() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    for origin in [None, Some(PAGE), Some("https://evil.example")] {
        let call = Call::get("/api/profiles").key(&key);
        let call = origin.into_iter().fold(call, |call, origin| call.field("Origin", origin));
        assert_eq!(gateway.answer(&call).all("vary"), ["Origin"], "{origin:?}");
    }
}

#[test]
fn what_the_upstream_says_about_origins_stands() {
    let upstream = Upstream::answering(
        "HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: https://its.own\r\nContent-Length: 0\r\n\r\n",
    );
    let gateway = start(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let answer = gateway.answer(&Call::get("/api/profiles").key(&key).field("Origin", PAGE));
    assert_eq!(answer.all("access-control-allow-origin"), ["https://its.own"]);
}

#[test]
fn without_the_setting_nothing_is_said_about_origins() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let answer = gateway.answer(&preflight(PAGE, "/api/profiles"));
    assert_eq!(answer.status(), 401);
    assert!(!answer.has("access-control-allow-origin") && !answer.has("vary"));
}

/// With an exact origin a browser would also show the page what was answered to the user's cookies.
#[test]
fn where_every_page_may_call_the_answer_names_none_of_them() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).config("cors: { origins: [\"*\"] }").start();
    let answer = gateway.answer(&Call::get("/api/health").field("Origin", "https://any.example"));
    assert_eq!((answer.status(), answer.field("access-control-allow-origin")), (200, Some("*")));
    let preflight = gateway.answer(&preflight("https://any.example", "/api/profiles"));
    assert_eq!((preflight.status(), preflight.field("access-control-allow-origin")), (204, Some("*")));
}
