//! The path that is checked is the path that is sent; what could be read in two ways is refused.

use crate::support::{Call, Gateway, OK, Setup, Upstream};

#[test]
fn a_path_that_could_be_read_in_two_ways_is_refused() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).routes("  ANY /{*rest}: { auth: key }\n").start();
    let key = gateway.key(&["--full"]);
    for target in [
        "/api/a/../b",
        "/api/a/..",
        "/api/./a",
        "/api/a/%2e%2e/b",
        "/api/a/.%2E/b",
        "/api/a/%252e%252e/b",
        "/api/a%2fb",
        "/api/a%2Fb",
        "/api/a%5cb",
        "/api/a%00b",
        "/api/a%252fb",
        "/api/a%2541",
        "/api//a",
        "//api/a",
        "/api/a//",
        "/api/a;b",
        "/api/a;b=c/d",
        "/api/a%",
        "/api/a%4",
        "/api/a%zz",
        "/api/a#b",
        "/api/a\\b",
        "/api/a%0ab",
        "/api/%c0%ae%c0%ae/a",
        "/api/a/..%3f",
        "/api/a/%20..",
    ] {
        let answer = gateway.get(target, &key);
        assert_eq!((answer.status(), answer.code().as_str()), (400, "ambiguous_path"), "{target}");
    }
    gateway.assert_nothing_passed(&upstream, &key);
}

#[test]
fn a_target_that_is_no_path_is_refused() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    for (method, target) in
        [("GET", "*"), ("GET", "api/profiles"), ("GET", "?a"), ("GET", "api.test:80"), ("CONNECT", "api.test:443")]
    {
        let answer = gateway.answer(&Call::new(method, target).key(&key));
        assert!([400, 403].contains(&answer.status()), "{method} {target}: {}", answer.text());
    }
    gateway.assert_nothing_passed(&upstream, &key);
}

#[test]
fn an_encoded_slash_passes_where_the_route_allows_it_and_nowhere_else() {
    let upstream = Upstream::ok();
    let routes = "  GET /open/{name}: { scopes: [a:read], encoded_slash: allow }\n  GET /shut/{name}: a:read\n";
    let gateway = Setup::new(&upstream).routes(routes).start();
    let key = gateway.key(&["--scopes", "a:read"]);
    assert_eq!(gateway.get("/api/open/a%2Fb", &key).status(), 200);
    assert_eq!(upstream.requests().pop().expect("a request").target(), "/api/open/a%2Fb");
    assert_eq!(gateway.get("/api/shut/a%2Fb", &key).code(), "ambiguous_path");
    assert_eq!(gateway.get("/api/open/..%2Fb", &key).code(), "ambiguous_path");
}

#[test]
fn a_final_slash_never_leads_to_a_less_specific_route() {
    let upstream = Upstream::ok();
    let routes = "  GET /admin: { auth: deny }\n  GET /admin/export: adm:read\n  GET /{*rest}: a:read\n";
    let gateway = Setup::new(&upstream).routes(routes).start();
    let key = gateway.key(&["--scopes", "a:read,adm:read"]);
    for target in ["/api/admin/", "/api/admin/export/"] {
        assert_eq!(gateway.get(target, &key).code(), "route_not_allowed", "{target}");
    }
    gateway.assert_nothing_passed(&upstream, &key);
    assert_eq!(gateway.get("/api/other/", &key).status(), 200);
}

#[test]
fn without_a_key_an_encoded_slash_tells_nothing_of_routes() {
    let upstream = Upstream::ok();
    let routes = "  GET /open/{name}: { scopes: [a:read], encoded_slash: allow }\n  GET /shut/{name}: a:read\n";
    let gateway = Setup::new(&upstream).routes(routes).start();
    for target in ["/api/open/a%2Fb", "/api/shut/a%2Fb", "/api/none/a%2Fb"] {
        assert_eq!(gateway.answer(&Call::get(target)).code(), "missing_key", "{target}");
    }
}

#[test]
fn a_method_override_is_refused_or_dropped_as_the_policy_says() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "x-http-method-override"] {
        let answer = gateway.answer(&Call::get("/api/profiles").key(&key).field(name, "DELETE"));
        assert_eq!((answer.status(), answer.code().as_str()), (400, "method_override"), "{name}");
    }
    for query in ["_method=DELETE", ".method=DELETE", "[_method]=DELETE", "_method%00x=DELETE", "x=1;.method=DELETE"] {
        let answer = gateway.get(&format!("/api/profiles?{query}"), &key);
        assert_eq!((answer.status(), answer.code().as_str()), (400, "method_override"), "{query}");
    }
    gateway.assert_nothing_passed(&upstream, &key);
    let policy = "version: 1\nmethod_override: drop\nroutes:\n  GET /api/whoami: { auth: key }\n";
    let gateway = Setup::new(&upstream).policy(policy).start();
    let key = gateway.key(&["--full"]);
    assert_eq!(
        gateway.answer(&Call::get("/api/whoami").key(&key).field("X-HTTP-Method-Override", "DELETE")).status(),
        200
    );
    assert!(!upstream.requests().pop().expect("a request").has("x-http-method-override"));
}

#[test]
fn nothing_that_a_caller_or_the_upstream_says_chooses_the_upstream() {
    let upstream = Upstream::start(|connection| {
        while let Some(request) = connection.request() {
            // Where a client would go next.
            let onward = "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/\r\nAlt-Svc: h2=\":9\"\r\nContent-Length: 0\r\n\r\n";
            connection.send(if request.target() == "/api/whoami" { OK } else { onward });
        }
    });
    let elsewhere = Upstream::ok();
    let other = elsewhere.address().to_string();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read"]);
    let before = upstream.requests().len();
    let named = [
        "Forwarded",
        "X-Forwarded-Host",
        "X-Forwarded-Server",
        "X-Forwarded-For",
        "X-Host",
        "X-Original-Host",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Upstream",
        "Destination",
        "Proxy-Connection",
    ];
    let mut calls: Vec<String> =
        named.map(|name| format!("GET /api/profiles HTTP/1.1\r\nHost: api.test\r\n{name}: http://{other}/\r\n")).into();
    calls.push(format!("GET /api/profiles HTTP/1.1\r\nHost: {other}\r\n"));
    calls.push(format!("GET http://{other}/api/profiles HTTP/1.1\r\nHost: {other}\r\n"));
    calls.push(format!("GET /api/profiles?url=http://{other}/ HTTP/1.1\r\nHost: api.test\r\n"));
    for call in &calls {
        let answer = gateway.connect().send(format!("{call}Authorization: Bearer {key}\r\n\r\n")).read();
        assert_eq!(answer.status(), 307, "a redirect is the caller's to follow: {call}{}", answer.text());
    }
    for target in [format!("//{other}/api/profiles"), format!("@{other}/api/profiles"), other] {
        for method in ["GET", "CONNECT"] {
            let answer = gateway.answer(&Call::new(method, &target).key(&key));
            assert!([400, 403].contains(&answer.status()), "{method} {target}: {}", answer.text());
        }
    }
    assert_eq!(upstream.requests().len() - before, calls.len(), "each went where the configuration says");
    assert_eq!(elsewhere.connections(), 0, "nobody asked for anything else");
}
