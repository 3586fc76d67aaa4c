//! The admin listener: liveness, readiness, figures.

use crate::support::gateway::Port;
use crate::support::{Call, Client, Gateway, Setup, Upstream, until};

#[test]
fn a_gateway_that_runs_is_alive_and_ready() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    assert_eq!(gateway.admin("/livez").status(), 200);
    assert_eq!(gateway.admin("/readyz").status(), 200);
    assert_ne!(gateway.admin("/v1/keys").status(), 200);
    assert!(upstream.requests().is_empty());
}

#[test]
fn the_admin_endpoints_are_not_served_to_callers() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    for target in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(gateway.answer(&Call::get(target)).status(), 401, "{target}");
    }
}

#[test]
fn every_promised_figure_is_there_and_counts() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let mut client = gateway.connect();
    for _ in 0..3 {
        assert_eq!(client.send(Call::get("/api/profiles/1").key(&key).bytes()).read().status(), 200);
    }
    assert_eq!(client.send(Call::get("/api/profiles/1?include=lists").key(&key).bytes()).read().status(), 403);
    assert_eq!(client.send(Call::get("/api/profiles").bytes()).read().status(), 401);
    let requests = |labels: &[&str]| gateway.metric("scopegate_requests_total", labels);
    let route = "route=\"GET /api/profiles/{id}\"";
    until("the counts", || {
        let allowed = requests(&[route, "method=\"GET\"", "status=\"200\"", "decision=\"allow\""]);
        let denied = requests(&[route, "status=\"403\"", "decision=\"deny\""]);
        (allowed == 3.0 && denied == 1.0).then_some(())
    });
    assert_eq!(gateway.metric("scopegate_denials_total", &["code=\"insufficient_scope\""]), 1.0);
    assert_eq!(gateway.metric("scopegate_denials_total", &["code=\"missing_key\""]), 1.0);
    assert_eq!(gateway.metric("scopegate_request_duration_seconds_count", &[route]), 4.0);
    assert_eq!(gateway.metric("scopegate_upstream_duration_seconds_count", &[route]), 3.0);
    assert!(gateway.metric("scopegate_connections", &["side=\"downstream\""]) >= 1.0);
    assert!(gateway.metric("scopegate_connections", &["side=\"upstream\""]) >= 1.0);
    assert!(gateway.metric("scopegate_key_cache_lookups_total", &["result=\"hit\""]) >= 4.0);
    assert_eq!(gateway.metric("scopegate_keys_cached", &[]), 1.0);
    assert_eq!(gateway.metric("scopegate_policy_generation", &[]), 1.0);
    assert_eq!(gateway.metric("scopegate_store_up", &[]), 1.0);
    assert_eq!(gateway.metric("scopegate_last_reload_successful", &[]), 1.0);
    assert_eq!(gateway.metric("scopegate_upstream_up", &[]), 1.0);
    assert!(gateway.metric("process_resident_memory_bytes", &[]) > 0.0);
    let text = gateway.admin("/metrics");
    assert!(text.field("content-type").is_some_and(|value| value.starts_with("text/plain")), "{}", text.text());
    assert!(text.body_text().contains("# TYPE scopegate_reloads_total counter"));
}

#[test]
fn labels_never_come_from_a_caller() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let series = || {
        gateway
            .admin("/metrics")
            .body_text()
            .lines()
            .filter(|line| line.starts_with("scopegate_requests_total"))
            .count()
    };
    let odd = |number: usize| {
        let call = Call::new(&format!("INVENTED{number}"), &format!("/invented-{number}?invented={number}")).key(&key);
        gateway.answer(&call.field("X-Invented", "invented")).status()
    };
    assert_eq!(odd(0), 403);
    let before = until("the first count", || Some(series()).filter(|count| *count > 0));
    for number in 1..50 {
        assert_eq!(odd(number), 403);
        gateway.get(&format!("/api/profiles/{number}"), &format!("invented-{number}"));
    }
    until("the counts", || (gateway.metric("scopegate_denials_total", &["invalid_key"]) >= 49.0).then_some(()));
    let text = gateway.admin("/metrics").body_text();
    assert!(!text.to_lowercase().contains("invented"), "{text}");
    assert!(series() <= before + 2, "{text}");
}

#[test]
fn figures_may_have_a_listener_of_their_own() {
    let upstream = Upstream::ok();
    let held = Port::free();
    let port = held.address;
    let gateway = Setup::new(&upstream).config(&format!("metrics: {{ listen: \"{port}\" }}")).start();
    for target in ["/metrics", "/livez", "/readyz"] {
        assert_eq!(Client::connect(port).send(Call::get(target).bytes()).read().status(), 200, "{target}");
    }
    assert_eq!(Client::connect(port).send(Call::get("/v1/keys").bytes()).read().status(), 404);
    assert!(gateway.is_ready());
}
