use super::super::*;
use super::support::*;

fn open() -> Gate {
    Draft::new()
        .open("ANY /{*rest}", AccessSpec::Anyone)
        .open("GET /", AccessSpec::Anyone)
        .spec(RouteSpec { encoded_slash: true, access: AccessSpec::Anyone, ..written("GET /files/{name}") })
        .open("POST /files/{name}", AccessSpec::Anyone)
        .finish()
}

#[test]
fn a_path_that_a_server_would_part_as_a_query_is_refused_where_that_would_say_something() {
    let gate = Draft::new()
        .parameter("include", (List::Comma, false))
        .route("GET /x/{id}", &["x"])
        .route("GET /x/{id}/y", &["x"])
        .finish();
    for path in [
        "/x/1%3Finclude=lists",
        "/x/1&include=lists",
        "/x/1%26include%3Dlists",
        "/x/1%3F_method=DELETE",
        "/x/1&include=a/y",
    ] {
        assert_eq!(gate.ask(&format!("GET {path}"), &["x"]), "ambiguous_path", "{path}");
    }
    for path in ["/x/what%3Fnow", "/x/a&b=c", "/x/a%26b/y"] {
        assert_eq!(gate.ask(&format!("GET {path}"), &["x"]), "allow", "{path}");
    }
}

#[test]
fn a_path_with_two_readings_is_refused_whoever_asks() {
    let gate = open();
    let refused = [
        "/a/../b",
        "/..",
        "/.",
        "/a/.",
        "/a/./b",
        "/%2e",
        "/a/%2E%2e/b",
        "/a/.%2e",
        "/%252e%252e/a",
        "/a//b",
        "//a",
        "//",
        "/a//",
        "/a%2Fb",
        "/a%5Cb",
        "/a%5cb",
        "/a%00",
        "/a;b",
        "/a;b=c/d",
        "/a%3Bb",
        "/a%2541",
        "/a%25%34%31",
        "/a%",
        "/a%4",
        "/a%zz",
        "/a#b",
        "/a?b#c",
        "/a\\b",
        "/a\tb",
        "/a\x7f",
        "/a\u{e9}",
        "/a?b\n",
        "/a?\u{e9}",
        "a",
        "*",
        "",
        "?",
        "host:80",
        "http:///a",
        "http://u@host/a",
        "ftp://host/a",
        "http:/a",
        "/a%0A",
        "/a%1fb",
        "/a%7f",
        "/%c0%ae%c0%ae/a",
        "/a%c0%afb",
        "/%e0%80%ae",
        "/%FF",
        "/a/...",
        "/a/..%3f",
        "/admin%3F/a",
        "/admin%23/",
        "/%3F/a",
        "/%3F",
        "/a/%3fx",
        "/a/%23x",
        "/a/..%23x",
        "/a/..%20",
        "/a/%20../b",
        "/a/%2e%20%3Fx",
        "/a/%20/b",
        "/a/%2f",
        "/a%25u002fb",
    ];
    for target in refused {
        assert_eq!(gate.ask(&format!("GET {target}"), &[]), "ambiguous_path", "{target:?}");
    }
}

#[test]
fn a_path_with_one_reading_passes() {
    let gate = open();
    let sound = [
        "/",
        "/a",
        "/a/",
        "/.well-known/x",
        "/a..b",
        "/a%20b",
        "/%24custom%3A%3A%3Aid",
        "/a%25",
        "/a%25zz",
        "/%E2%82%AC",
        "/a?x=%",
        "/a?x=..//;",
        "/a?",
        "/a?x\\y",
        "http://host/a",
        "HTTPS://host:8443/a?b",
        "http://[::1]:80/a",
        "http://host?x=1",
        "/a%23b",
        "/a|b",
        "/a%3Fb",
        "/%20a",
        "/a.",
        "/...a",
        "/a%40b.org",
        "/%e2%82%ac.",
    ];
    for target in sound {
        assert_eq!(gate.ask(&format!("GET {target}"), &[]), "allow", "{target:?}");
    }
}

#[test]
fn an_encoded_slash_is_for_the_parameters_of_a_route_that_allows_it() {
    let gate = open();
    assert_eq!(gate.ask("GET /files/a%2Fb", &[]), "allow");
    assert_eq!(gate.ask("GET /files/a%2fb", &[]), "allow");
    assert_eq!(gate.ask("POST /files/a%2Fb", &[]), "ambiguous_path");
    assert_eq!(gate.ask("PUT /files/a%2Fb", &[]), "ambiguous_path");
    assert_eq!(gate.ask("GET /fil%2Fes/a", &[]), "ambiguous_path");
    for climbing in ["..%2Fa", "a%2F..", "a%2f..%2fb", "%2e%2e%2Fa", ".%2Fa", "%2F", "%2Fa", "%2f%2fb", "a%2f..%3f"] {
        assert_eq!(gate.ask(&format!("GET /files/{climbing}"), &[]), "ambiguous_path", "{climbing}");
    }
}

#[test]
fn the_parts_of_a_target_are_the_callers_bytes() {
    let gate = open();
    let target = gate.policy.judge(&parsed("GET http://Host:80/a%20b/?q=%41")).unwrap();
    assert_eq!(target.authority(), Some(&b"Host:80"[..]));
    assert_eq!((target.path(), target.query()), (&b"/a%20b/"[..], Some(&b"q=%41"[..])));
    assert_eq!(target.segments(), ["a b"]);
}

#[test]
fn segments_are_shown_without_control_bytes() {
    let target = "GET /a%C2%85[31m";
    let gate = open();
    assert_eq!(gate.policy.judge(&parsed(target)).unwrap().segments(), ["a\\xc2\\x85[31m"]);
}

#[test]
fn a_method_override_is_refused_before_anything_else() {
    let gate = open();
    let overridden = Request { override_header: true, ..parsed("GET /a/../b") };
    assert_eq!(gate.policy.judge(&overridden).unwrap_err(), Denial::MethodOverride);
    for query in [
        "_method=DELETE",
        "a=1&_method=",
        "_METHOD=x",
        "%5Fmethod=x",
        "%255fmethod=x",
        "_method[]=x",
        "a;_method=x",
        ".method=x",
        "%2Emethod=x",
        "_method%00x=x",
        "[_method]=x",
        "_method]=x",
        "x=1;.method=x",
        " method=x",
        "+method=x",
        "_method[x]=x",
        "%u005fmethod=x",
        "?_method=x",
    ] {
        assert_eq!(gate.ask(&format!("GET /a?{query}"), &[]), "method_override", "{query}");
    }
    for query in ["method=x", "my_method=x", "a=_method", "_methods=x", "x[_method]=x", "x.method=1", "-x=1"] {
        assert_eq!(gate.ask(&format!("GET /a?{query}"), &[]), "allow", "{query}");
    }
}

#[test]
fn the_method_overrides_of_other_vendors_are_refused_too() {
    let gate = open();
    for query in [
        "_HttpMethod=PATCH",
        "_httpmethod",
        "_http_method=PUT",
        "X-HTTP-Method-Override=DELETE",
        "x-http-method-override=delete",
        "x_http_method=PUT",
        "X-Method-Override=PUT",
        "x.http.method=PUT",
        "x%2Dmethod-override=PUT",
        "x[http_method=PUT",
        "a=1%26_HttpMethod=PATCH",
        "a;x-http-method=PUT",
    ] {
        assert_eq!(gate.ask(&format!("GET /a?{query}"), &[]), "method_override", "{query}");
    }
    // What is a filter in a GET asks a server for something else in a POST.
    for query in [
        "method=DELETE",
        "METHOD=delete",
        "method[]=PUT",
        "m%65thod=%44ELETE",
        "method=%2544ELETE",
        "method=+get",
        "$httpMethod=PUT",
        "%24.httpMethod=PUT",
        "http_method=MERGE",
        "Http-Method=OPTIONS",
        "a=1%26method=DELETE",
        "a=1%26method%3DDELETE",
        "a;method=DELETE",
        "method%3DDELETE",
    ] {
        assert_eq!(gate.ask(&format!("POST /a?{query}"), &[]), "method_override", "{query}");
        assert_eq!(gate.ask(&format!("GET /a?{query}"), &[]), "allow", "{query}");
    }
    assert_eq!(gate.ask("GET /a/1&method=DELETE", &[]), "ambiguous_path");
    for query in [
        "method=get",
        "method=GET",
        "method=artist.getInfo",
        "method=",
        "method",
        "method=DELETED",
        "methods=DELETE",
        "my_method=DELETE",
        "x=DELETE",
        "x-method=DELETE",
        "x-http-methods=DELETE",
        "httpMethods=POST",
        "http=POST",
        "metho=PUT",
        "h=PUT&m=PUT",
        "a=1%26method=x",
        "%6Detric=PUT",
    ] {
        assert_eq!(gate.ask(&format!("GET /a?{query}"), &[]), "allow", "{query}");
    }
    assert_eq!(gate.ask("POST /a?method=POST", &[]), "allow");
}

#[test]
fn a_parameter_called_method_that_the_policy_rules_is_no_override() {
    let rules = vec![("DELETE".to_owned(), MemberSpec::Allow), ("PUT".to_owned(), MemberSpec::Deny)];
    let gate = Draft::new()
        .parameter("method", (List::None, false))
        .parameter("_method", (List::None, false))
        .spec(RouteSpec { query: vec![("method".to_owned(), RuleSpec::Own(rules))], ..written("POST /logs") })
        .finish();
    assert_eq!(gate.ask("POST /logs?method=DELETE", &[]), "allow");
    assert_eq!(gate.ask("POST /logs?method=PUT", &[]), "query_not_allowed");
    assert_eq!(gate.ask("POST /logs?Method=DELETE", &[]), "method_override");
    assert_eq!(
        gate.ask("POST /logs?_method=DELETE", &[]),
        "method_override",
        "which nothing but an override is called"
    );
}

#[test]
fn dropping_override_headers_lets_the_request_on_but_not_a_query_that_is_never_rewritten() {
    let options = Options { method_override: MethodOverride::Drop, ..Options::default() };
    let gate = Draft::with(options).open("GET /a", AccessSpec::Anyone).finish();
    let overridden = Request { override_header: true, ..parsed("GET /a") };
    assert!(gate.policy.judge(&overridden).is_ok());
    assert_eq!(gate.ask("GET /a?_method=PUT", &[]), "method_override");
}

#[test]
fn a_target_that_another_policy_judged_is_denied() {
    let (one, other) = (open(), Draft::new().route("GET /a", &["a"]).finish());
    let target = one.policy.judge(&parsed("GET /a")).unwrap();
    let decision = other.policy.decide(&Caller::Anonymous, &target);
    assert_eq!(decision.denial(), Some(Denial::MissingKey));
}

#[test]
fn no_debug_output_holds_a_query() {
    let gate = open();
    let request = parsed("GET /a?api_key=sg_secret");
    let target = gate.policy.judge(&request).unwrap();
    let decision = gate.policy.decide(&Caller::Anonymous, &target);
    for printed in [format!("{request:?}"), format!("{target:?}"), format!("{decision:?}")] {
        assert!(printed.contains("GET") && !printed.contains("sg_secret"), "{printed}");
        assert!(!printed.contains("115, 103"), "{printed}");
    }
}
