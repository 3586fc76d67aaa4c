use super::super::*;
use super::support::*;

fn fault(route: &str) -> BuildError {
    Draft::new().try_spec(written(route)).unwrap_err().remove(0)
}

#[test]
fn a_template_that_no_request_could_have_is_refused() {
    for template in [
        "a",
        "",
        "//",
        "/a//b",
        "/a//",
        "/.",
        "/a/..",
        "/%2e",
        "/a%2Fb",
        "/a%5C",
        "/a%00",
        "/a%",
        "/a%zz",
        "/a%2541",
        "/a;b",
        "/a%3Bb",
        "/a?b",
        "/a#b",
        "/a b",
        "/a\x7f",
        "/%FF",
        "/%20",
        "/a\\b",
        "/a*",
        "/*",
        "/{}",
        "/{*}",
        "/{a b}",
        "/{*rest}/x",
        "/{*rest}/",
        "/{a}/{a}",
        "/{a}/{*a}",
    ] {
        let fault = fault(&format!("GET {template}"));
        assert_eq!(fault.part, Part::Template, "{template}: {fault}");
        assert_eq!(fault.subject, template);
        assert!(fault.help.is_some(), "{template}");
    }
}

#[test]
fn a_parameter_with_text_beside_it_is_reserved() {
    for template in ["/{sid}.json", "/{id}:cancel", "/v{n}", "/{a}{b}", "/{a}-{b}", "/{*rest}.x", "/a}", "/{a"] {
        assert_eq!(fault(&format!("GET {template}")).kind, FaultKind::Reserved, "{template}");
    }
}

#[test]
fn an_unknown_method_is_refused_with_the_nearest_one() {
    assert_eq!(fault("PSOT /a").help.as_deref(), Some("did you mean `POST`?"));
    assert_eq!(fault("get /a").help.as_deref(), Some("did you mean `GET`?"));
    assert_eq!(fault("PROPFIND /a").kind, FaultKind::Unknown);
    assert_eq!(fault("TRACE /a").kind, FaultKind::Contradiction);
    assert_eq!(fault("GET|GET /a").kind, FaultKind::Duplicate);
}

#[test]
fn methods_in_a_list_with_commas_are_told_how_to_stand_together() {
    let told = |methods: &str| {
        let spec = RouteSpec { methods: owned(&[methods]), ..written("GET /a") };
        let fault = Draft::new().try_spec(spec).unwrap_err().remove(0);
        (fault.kind, fault.help.unwrap_or_default())
    };
    assert_eq!(told("GET,POST"), (FaultKind::Malformed, "write `GET|POST`".to_owned()));
    assert_eq!(told("GET,HEAD,PUT"), (FaultKind::Malformed, "write `GET|HEAD|PUT`".to_owned()));
    let all = "methods are GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS and ANY, in capitals";
    assert_eq!(told("GET,PROPFIND"), (FaultKind::Unknown, all.to_owned()));
    assert_eq!(told("PROPFIND"), (FaultKind::Unknown, all.to_owned()));
}

#[test]
fn a_star_alone_is_told_what_to_write_in_its_place() {
    let help = |template: &str| fault(&format!("GET {template}")).help.unwrap_or_default();
    assert_eq!(help("/a/*"), "write `/a/{*rest}` for all that follow, or `/a/{name}` for one segment");
    assert_eq!(help("/a/**"), "write `/a/{*rest}` for all that follow, or `/a/{name}` for one segment");
    let elsewhere = "write `{name}` for one segment or `{*name}` at the end for all that follow";
    assert_eq!(help("/a/b*"), elsewhere);
    assert_eq!(help("/*/b"), elsewhere);
}

#[test]
fn a_template_is_checked_without_a_policy_as_within_one() {
    assert_eq!(check_template("/a/{id}"), Ok(()));
    assert_eq!(check_template("/a//b").map_err(|fault| fault.kind), Err(FaultKind::Malformed));
}

#[test]
fn templates_that_no_path_tells_apart_are_one_and_may_share_no_method() {
    let mut draft = Draft::new();
    draft.try_spec(written("GET /jobs/{id}")).unwrap();
    draft.try_spec(written("POST /jobs/{job_id}")).unwrap();
    let fault = draft.try_spec(written("PUT|GET /jobs/{job_id}")).unwrap_err().remove(0);
    assert_eq!((fault.kind, fault.part, fault.other_line), (FaultKind::Duplicate, Part::Method, Some(1)));
    assert_eq!(fault.message, "`/jobs/{job_id}` and `/jobs/{id}` match the same paths, and both have GET");
    let gate = draft.finish();
    assert_eq!(gate.label("POST /jobs/1").as_deref(), Some("POST /jobs/{job_id}"));
    assert_eq!(gate.ask("PUT /jobs/1", &[]), "route_not_allowed", "a refused entry adds none of its methods");
}

#[test]
fn literals_that_differ_in_case_are_one_where_case_does_not_count() {
    let options = Options { case: PathCase::Insensitive, ..Options::default() };
    let mut draft = Draft::with(options);
    draft.try_spec(written("GET /Users")).unwrap();
    assert_eq!(draft.try_spec(written("GET /users")).unwrap_err()[0].other_line, Some(1));
    let mut draft = Draft::new();
    draft.try_spec(written("GET /Users")).unwrap();
    draft.try_spec(written("GET /users")).unwrap();
}

#[test]
fn empty_lists_never_mean_all() {
    let scopes = |all_of: &[&str], any_of: Vec<Vec<String>>| AccessSpec::Scopes { all_of: owned(all_of), any_of };
    for access in [scopes(&[], vec![]), scopes(&["a"], vec![vec![]])] {
        let fault = Draft::new().try_spec(RouteSpec { access, ..written("GET /a") }).unwrap_err().remove(0);
        assert_eq!((fault.kind, fault.part), (FaultKind::Empty, Part::Access));
    }
    assert_eq!(fault(" /a").kind, FaultKind::Unknown);
    let no_method = RouteSpec { methods: Vec::new(), ..written("GET /a") };
    assert_eq!(Draft::new().try_spec(no_method).unwrap_err()[0].kind, FaultKind::Empty);
}

#[test]
fn names_that_are_no_scopes_are_refused() {
    for name in ["", "a b", "a,b", "*", "a:*", "\"a\"", "a\\b", "\u{e9}", "a\n"] {
        let access = AccessSpec::Scopes { all_of: owned(&[name]), any_of: Vec::new() };
        let fault = Draft::new().try_spec(RouteSpec { access, ..written("GET /a") }).unwrap_err().remove(0);
        assert_eq!(fault.part, Part::Scope, "{name:?}");
        assert!(Draft::new().builder.declare_scope(name, ScopeInfo::default()).is_err(), "{name:?}");
    }
    for name in ["profiles:read", "PAYMENTS_READ", "chat:write:user", "https://x/y.z"] {
        assert!(scope::is_scope_name(name), "{name}");
    }
}

#[test]
fn all_that_is_wrong_with_a_route_is_told_at_once() {
    let mut draft = Draft::new().scope("a:read", &[]);
    let faults = draft
        .try_spec(RouteSpec {
            access: AccessSpec::Scopes { all_of: owned(&["a:reed", "b"]), any_of: Vec::new() },
            query: vec![("include".to_owned(), RuleSpec::Own(Vec::new()))],
            credential: Some(String::new()),
            unbound: owned(&["account"]),
            ..written("FETCH /a*")
        })
        .unwrap_err();
    let parts: Vec<Part> = faults.iter().map(|fault| fault.part).collect();
    let expected =
        [Part::Method, Part::Template, Part::Scope, Part::Scope, Part::Parameter, Part::Credential, Part::Unbound];
    assert_eq!(parts, expected);
    assert_eq!(faults[2].help.as_deref(), Some("did you mean `a:read`?"));
}

#[test]
fn implied_scopes_must_be_declared() {
    let draft = Draft::new().scope("a:write", &["a:raed"]).scope("a:read", &[]);
    let faults = draft.builder.finish().unwrap_err();
    assert_eq!((faults[0].part, &*faults[0].subject), (Part::Scope, "a:raed"));
    assert_eq!(faults[0].help.as_deref(), Some("did you mean `a:read`?"));
}

#[test]
fn a_base_is_a_path_without_a_slash_at_its_end() {
    for base in ["/", "/api/", "api", "/a//b", "/{*rest}", "/a;b"] {
        let draft = Draft::with(Options { base: base.to_owned(), ..Options::default() });
        let faults = draft.builder.finish().unwrap_err();
        assert_eq!(faults[0].part, Part::Base, "{base}");
    }
    let gate =
        Draft::with(Options { base: "/v1/{tenant}".to_owned(), ..Options::default() }).route("GET /", &[]).finish();
    assert_eq!(gate.ask("GET /v1/acme/", &[]), "allow");
}

#[test]
fn parameters_that_a_lenient_server_would_confuse_cannot_both_be_declared() {
    let mut draft = Draft::new().parameter("include", (List::Comma, false));
    for name in ["include", "Include", "include[]", "include "] {
        let fault = draft.builder.declare_parameter(name, ParameterSpec::default()).unwrap_err();
        assert_eq!((fault.kind, fault.part), (FaultKind::Duplicate, Part::Parameter), "{name}");
        assert_eq!(fault.message.contains("declared twice"), name == "include", "{fault}");
        assert_eq!(fault.message.contains("for `include`"), name != "include", "{fault}");
    }
    assert!(draft.builder.declare_parameter("", ParameterSpec::default()).is_err());
}

#[test]
fn rules_must_have_something_to_rule() {
    let rule = |rules: &[&str]| {
        let members = rules.iter().map(|member| ((*member).to_owned(), MemberSpec::Allow)).collect();
        vec![("include".to_owned(), RuleSpec::Own(members))]
    };
    let mut draft = Draft::new().parameter("include", (List::Comma, false));
    let mut kind = |spec: RouteSpec| draft.try_spec(spec).unwrap_err().remove(0).kind;
    assert_eq!(kind(RouteSpec { query: rule(&[]), ..written("GET /a") }), FaultKind::Empty);
    assert_eq!(kind(RouteSpec { query: rule(&["a", "a"]), ..written("GET /a") }), FaultKind::Duplicate);
    assert_eq!(kind(RouteSpec { query: rule(&["a,b"]), ..written("GET /a") }), FaultKind::Malformed);
    assert_eq!(
        kind(RouteSpec { query: [rule(&["a"]), rule(&["b"])].concat(), ..written("GET /a") }),
        FaultKind::Duplicate
    );
    for access in [AccessSpec::Anyone, AccessSpec::Deny] {
        assert_eq!(kind(RouteSpec { access, query: rule(&["a"]), ..written("GET /a") }), FaultKind::Contradiction);
    }
}

#[test]
fn bindings_must_have_something_to_bind() {
    let draft = Draft::new().bind("account", "acount").route("GET /{account}", &[]);
    let fault = draft.builder.finish().unwrap_err().remove(0);
    assert_eq!((fault.part, fault.help.as_deref()), (Part::Binding, Some("did you mean `account`?")));
    let mut draft = Draft::new().bind("account", "account");
    for (attribute, parameter, kind) in
        [("account", "other", FaultKind::Duplicate), ("", "other", FaultKind::Empty), ("owner", "", FaultKind::Empty)]
    {
        assert_eq!(draft.builder.bind(attribute, parameter).unwrap_err().kind, kind, "{attribute}: {parameter}");
    }
    let wildcard = draft.try_spec(written("GET /{*account}")).unwrap_err().remove(0);
    assert_eq!(wildcard.kind, FaultKind::Contradiction);
    let unbound = RouteSpec { unbound: owned(&["account"]), ..written("GET /{account}") };
    assert_eq!(draft.try_spec(unbound).unwrap_err()[0].part, Part::Unbound);
}

#[test]
fn an_upgrade_needs_the_method_of_a_handshake() {
    let build = |route| {
        Draft::new()
            .try_spec(RouteSpec { upgrade: Some(Upgrade::WebSocket), ..written(route) })
            .map_err(|faults| faults[0].kind)
    };
    for route in ["POST /a", "HEAD|PUT /a"] {
        assert_eq!(build(route), Err(FaultKind::Contradiction), "{route}");
    }
    for route in ["GET /a", "POST|GET /a", "ANY /a"] {
        assert!(build(route).is_ok(), "{route}");
    }
}

#[test]
fn an_encoded_slash_needs_a_parameter_to_stand_in() {
    let spec = RouteSpec { encoded_slash: true, ..written("GET /a/{*rest}") };
    assert_eq!(Draft::new().try_spec(spec).unwrap_err()[0].kind, FaultKind::Contradiction);
}

#[test]
fn a_template_has_a_hundred_and_twenty_eight_segments_at_most() {
    assert!(Draft::new().try_spec(written(&format!("GET {}", "/a".repeat(128)))).is_ok());
    assert_eq!(fault(&format!("GET {}", "/a".repeat(129))).kind, FaultKind::Malformed);
}

#[test]
fn what_is_wrong_with_a_segment_is_said() {
    for (segment, words) in [
        ("a b", "has a space"),
        ("a\t", "has a space or a control character"),
        ("a?b", "has one of `?`"),
        ("a%4", "has a `%` that two hex digits do not follow"),
        ("a%2fb", "has an encoded `/`"),
        ("a%1f", "has an encoded `/`, `\\`, `;` or control character"),
        ("%2e", "is a dot segment"),
        ("%FF", "is not UTF-8"),
        ("a%2541", "is encoded twice"),
        ("a*", "has a `*`"),
    ] {
        let fault = fault(&format!("GET /x/{segment}"));
        assert!(fault.message.contains(words), "{segment}: {fault}");
    }
}

#[test]
fn only_a_policy_that_declares_scopes_misses_some() {
    let names = owned(&["a:read", "a:raed", "b"]);
    assert_eq!(Draft::new().builder.check_declared_member("include", "x", &names), []);
    let faults = Draft::new().scope("a:read", &[]).builder.check_declared_member("include", "x", &names);
    let told: Vec<(&str, Option<&str>)> = faults.iter().map(|fault| (&*fault.subject, fault.help.as_deref())).collect();
    assert_eq!(told, [("a:raed", Some("did you mean `a:read`?")), ("b", Some("declare it under `scopes`"))]);
}
