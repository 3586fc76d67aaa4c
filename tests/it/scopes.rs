//! Which scopes open which routes: lists, alternatives, levels, implication, precedence.

use crate::support::{Call, Gateway, Setup, Upstream, strings};

fn start(upstream: &Upstream, routes: &str) -> Gateway {
    Setup::new(upstream).routes(routes).start()
}

#[test]
fn a_list_of_scopes_needs_all_of_them() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream, "  PATCH /profiles/{id}: [profiles:read, profiles:write]\n");
    for (scopes, status) in [("profiles:read", 403), ("profiles:write", 403), ("profiles:read,profiles:write", 200)] {
        let key = gateway.key(&["--scopes", scopes]);
        let answer = gateway.answer(&Call::new("PATCH", "/api/profiles/1").key(&key));
        assert_eq!(answer.status(), status, "{scopes}");
    }
}

#[test]
fn writing_does_not_imply_reading_unless_the_policy_says_so() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream, "  GET /profiles: profiles:read\n  POST /profiles: profiles:write\n");
    let key = gateway.key(&["--scopes", "profiles:write"]);
    assert_eq!(gateway.get("/api/profiles", &key).status(), 403);
    let policy = "version: 1\nbase: /api\nscopes:\n  profiles:read: Read\n  profiles:write: { description: Write, implies: [profiles:read] }\n\
                  routes:\n  GET /whoami: { auth: key }\n  GET /profiles: profiles:read\n  POST /profiles: profiles:write\n";
    let gateway = Setup::new(&upstream).policy(policy).start();
    let writer = gateway.key(&["--scopes", "profiles:write"]);
    let reader = gateway.key(&["--scopes", "profiles:read"]);
    assert_eq!(gateway.get("/api/profiles", &writer).status(), 200);
    assert_eq!(gateway.answer(&Call::post("/api/profiles").key(&reader)).status(), 403);
}

#[test]
fn any_of_takes_one_alternative_and_describes_the_nearest() {
    let upstream = Upstream::ok();
    let gateway =
        start(&upstream, "  DELETE /domains/{name}:\n    any_of: [account:admin, [domains:read, domains:delete]]\n");
    for (scopes, status) in [("account:admin", 200), ("domains:read,domains:delete", 200), ("domains:read", 403)] {
        let key = gateway.key(&["--scopes", scopes]);
        assert_eq!(gateway.answer(&Call::new("DELETE", "/api/domains/a").key(&key)).status(), status, "{scopes}");
    }
    let none = gateway.key(&["--no-scopes"]);
    let body = gateway.answer(&Call::new("DELETE", "/api/domains/a").key(&none)).json();
    assert_eq!(strings(&body["missing"]), ["account:admin"], "the alternative that lacks fewest");
    assert_eq!(body["any_of"].as_array().map(Vec::len), Some(2), "{body}");
}

#[test]
fn the_levels_follow_the_policy() {
    let upstream = Upstream::ok();
    let policy = "version: 1\nbase: /api\nscopes:\n  a:read: Read\n  a:write: Write\n  reports: { description: Run reports, access: read }\n\
                  routes:\n  GET /whoami: { auth: key }\n  GET /a: a:read\n  POST /a: a:write\n  POST /reports: reports\n  GET /no: { auth: deny }\n";
    let gateway = Setup::new(&upstream).policy(policy).start();
    let (read, full) = (gateway.key(&["--read-only"]), gateway.key(&["--full"]));
    let calls = [
        ("GET", "/api/a", 200, 200),
        ("POST", "/api/a", 403, 200),
        ("POST", "/api/reports", 200, 200),
        ("GET", "/api/no", 403, 403),
    ];
    for (method, target, with_read, with_full) in calls {
        assert_eq!(
            gateway.answer(&Call::new(method, target).key(&read)).status(),
            with_read,
            "{method} {target}, read-only"
        );
        assert_eq!(
            gateway.answer(&Call::new(method, target).key(&full)).status(),
            with_full,
            "{method} {target}, full"
        );
    }
}

#[test]
fn a_literal_beats_a_parameter_and_a_parameter_beats_a_wildcard_with_backtracking() {
    let upstream = Upstream::ok();
    let routes = "  GET /p/{id}: by:id\n  GET /p/special: by:literal\n  GET /{*rest}: by:rest\n  GET /p/special/{x}/end: by:end\n  GET /p/{id}/{y}/other: by:other\n";
    let gateway = start(&upstream, routes);
    let none = gateway.key(&["--no-scopes"]);
    let cases = [
        ("/api/p/1", "by:id"),
        ("/api/p/special", "by:literal"),
        ("/api/p/special/1/end", "by:end"),
        ("/api/p/special/1/other", "by:other"),
        ("/api/p/special/1/neither", "by:rest"),
        ("/api/q", "by:rest"),
    ];
    for (target, scope) in cases {
        assert_eq!(strings(&gateway.get(target, &none).json()["required"]), [scope], "{target}");
    }
}

#[test]
fn a_method_that_the_chosen_path_lacks_is_not_handed_to_a_wider_one() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream, "  GET /p/special: p:read\n  ANY /p/{id}: p:any\n");
    let key = gateway.key(&["--full"]);
    assert_eq!(gateway.answer(&Call::post("/api/p/special").key(&key)).code(), "route_not_allowed");
    assert_eq!(gateway.answer(&Call::post("/api/p/1").key(&key)).status(), 200);
}

#[test]
fn a_segment_that_differs_from_a_literal_in_case_alone_matches_nothing() {
    let upstream = Upstream::ok();
    let gateway = start(&upstream, "  GET /p/special: p:admin\n  GET /p/{id}: p:read\n");
    let key = gateway.key(&["--scopes", "p:read"]);
    for target in ["/api/p/Special", "/api/p/SPECIAL", "/api/p/%53pecial"] {
        assert_eq!(gateway.get(target, &key).code(), "route_not_allowed", "{target}");
    }
    let answer = gateway.get("/api/p/%73pecial", &key);
    assert_eq!(answer.code(), "route_not_allowed", "servers that compare before they decode would take it for {{id}}");
}

#[test]
fn what_a_key_may_do_reaches_the_upstream_as_it_was_granted() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    for (grant, scopes) in [
        (["--scopes", "profiles:read,lists:read"].as_slice(), "lists:read profiles:read"),
        (&["--full"], "*"),
        (&["--read-only"], "*:read"),
    ] {
        let key = gateway.key(grant);
        gateway.get("/api/profiles", &key);
        let request = upstream.requests().pop().expect("the request");
        assert_eq!(request.field("x-scopegate-scopes"), Some(scopes));
    }
}
