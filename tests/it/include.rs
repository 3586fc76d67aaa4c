//! Ruled query parameters: every member of `include` needs its own scope, however it is written.

use crate::support::{Gateway, Setup, Upstream, strings};

#[test]
fn each_member_asks_for_its_scope_on_top_of_the_route() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--scopes", "profiles:read,lists:read"]);
    for (query, missing) in [
        ("", [].as_slice()),
        ("?include=", &[]),
        ("?include=lists", &[]),
        ("?include=lists,,lists", &[]),
        ("?fields[profile]=email", &[]),
        ("?include=segments", &["segments:read"]),
        ("?include=lists,segments", &["segments:read"]),
        ("?include=lists&include=segments", &["segments:read"]),
        ("?include=lists%2Csegments", &["segments:read"]),
        ("?inc%6Cude=segments", &["segments:read"]),
        ("?include=lists.segments", &["segments:read"]),
        ("?x=1&include=segments&y=2", &["segments:read"]),
    ] {
        let answer = gateway.get(&format!("/api/profiles/1{query}"), &key);
        if missing.is_empty() {
            assert_eq!(answer.status(), 200, "{query}: {}", answer.text());
        } else {
            assert_eq!(answer.code(), "insufficient_scope", "{query}");
            assert_eq!(strings(&answer.json()["missing"]), missing, "{query}");
        }
    }
}

#[test]
fn a_member_that_the_route_does_not_list_is_refused_even_to_a_full_key() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    for (target, member) in [
        ("/api/profiles/1?include=secrets", "secrets"),
        ("/api/profiles/1?include=lists,secrets", "secrets"),
        ("/api/profiles/1?include=+lists", " lists"),
        ("/api/profiles/1?include=Lists", "Lists"),
        ("/api/profiles?include=lists", "lists"),
    ] {
        let answer = gateway.get(target, &key);
        assert_eq!((answer.status(), answer.code().as_str()), (403, "query_not_allowed"), "{target}");
        let body = answer.json();
        assert_eq!((body["parameter"].as_str(), body["member"].as_str()), (Some("include"), Some(member)), "{target}");
    }
    gateway.assert_nothing_passed(&upstream, &key);
}

#[test]
fn a_name_that_only_some_servers_read_as_the_parameter_is_ambiguous() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    for query in [
        "include[]=lists",
        "include[0]=lists",
        "include%5B%5D=lists",
        "Include=lists",
        "INCLUDE=lists",
        "include+=lists",
        "+include=lists",
        "include%20=lists",
        "include%00=lists",
        "inc%256Cude=lists",
        "inc%25256Cude=lists",
        "include=li%2573ts",
        "a=1;include=lists",
        "[include]=lists",
        "include]=lists",
        "include[x]=lists",
        "include%00x=lists",
        "%u0069nclude=lists",
        "%c4%b0nclude=lists",
    ] {
        let answer = gateway.get(&format!("/api/profiles/1?{query}"), &key);
        assert_eq!((answer.status(), answer.code().as_str()), (400, "ambiguous_query"), "{query}");
    }
    gateway.assert_nothing_passed(&upstream, &key);
}

#[test]
fn the_query_goes_on_byte_for_byte() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    for target in [
        "/api/profiles/1?include=lists%2Csegments&b=%7e&a=&&x",
        "/api/profiles/1?",
        "/api/profiles/%24custom%3A%3A%3Aid?q=a+b%20c",
    ] {
        assert_eq!(gateway.get(target, &key).status(), 200, "{target}");
        assert_eq!(upstream.requests().pop().expect("a request").target(), target);
    }
}

#[test]
fn brackets_count_where_the_policy_lets_them() {
    let upstream = Upstream::ok();
    let policy = "version: 1\nbase: /api\nparameters:\n  expand: { list: brackets, members: { customer: customers:read } }\n\
                  routes:\n  GET /whoami: { auth: key }\n  GET /charges:\n    scopes: [charges:read]\n    query: { expand: [customer] }\n";
    let gateway = Setup::new(&upstream).policy(policy).start();
    let key = gateway.key(&["--scopes", "charges:read"]);
    for name in ["expand", "expand[]", "expand[0]", "expand%5B%5D"] {
        let answer = gateway.get(&format!("/api/charges?{name}=customer"), &key);
        assert_eq!(strings(&answer.json()["missing"]), ["customers:read"], "{name}");
    }
    assert_eq!(gateway.get("/api/charges", &key).status(), 200);
}
