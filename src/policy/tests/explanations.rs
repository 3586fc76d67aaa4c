use super::super::*;
use super::support::*;

fn profiles() -> Gate {
    let include = vec![("lists".to_owned(), MemberSpec::Scopes(owned(&["lists:read"])))];
    Draft::with(Options { base: "/api".to_owned(), ..Options::default() })
        .parameter("include", (List::Comma, false))
        .spec(RouteSpec {
            access: AccessSpec::Scopes { all_of: owned(&["profiles:read"]), any_of: Vec::new() },
            query: vec![("include".to_owned(), RuleSpec::Own(include))],
            ..written("GET /profiles/{id}")
        })
        .route("POST /profiles/{id}", &["profiles:write"])
        .route("GET /{*rest}", &["rest:read"])
        .open("GET /closed", AccessSpec::Deny)
        .finish()
}

#[test]
fn the_reason_names_the_member_that_asked_for_a_scope() {
    let trace = profiles().explain("GET /api/profiles/1?include=lists", &["profiles:read"]).trace;
    assert_eq!(
        trace.reason,
        "The key lacks lists:read, which include=lists asks for on GET /api/profiles/{id}; use a key that holds it."
    );
    assert_eq!((trace.decision, trace.status, trace.code), ("deny", 403, Some("insufficient_scope")));
    assert_eq!(trace.required, ["lists:read", "profiles:read"]);
    assert_eq!((trace.granted, trace.missing), (owned(&["profiles:read"]), owned(&["lists:read"])));
    let because = |scope: &str, from: &str| Because { scope: scope.to_owned(), from: from.to_owned() };
    let expected = [because("lists:read", "include=lists"), because("profiles:read", "GET /api/profiles/{id}")];
    assert_eq!(trace.because, expected);
}

#[test]
fn the_reason_names_the_route_where_it_asks_itself() {
    let gate = profiles();
    assert_eq!(
        gate.explain("POST /api/profiles/1", &[]).trace.reason,
        "The key lacks profiles:write, which POST /api/profiles/{id} asks for; use a key that holds it."
    );
    assert_eq!(
        gate.explain("GET /api/profiles/1?include=lists", &[]).trace.reason,
        "The key lacks lists:read, which include=lists asks for, and profiles:read, which GET /api/profiles/{id} asks for; use a key that holds them."
    );
}

#[test]
fn a_scope_that_a_member_and_its_route_ask_for_is_told_with_the_member() {
    let include = vec![("lists".to_owned(), MemberSpec::Scopes(owned(&["r"])))];
    let gate = Draft::new()
        .parameter("include", (List::Comma, false))
        .spec(RouteSpec {
            access: AccessSpec::Scopes { all_of: owned(&["r"]), any_of: Vec::new() },
            query: vec![("include".to_owned(), RuleSpec::Own(include))],
            ..written("GET /a")
        })
        .finish();
    let trace = gate.explain("GET /a?include=lists", &[]).trace;
    assert_eq!(trace.reason, "The key lacks r, which include=lists asks for on GET /a; use a key that holds it.");
    assert_eq!(trace.because.iter().map(|because| &*because.from).collect::<Vec<_>>(), ["GET /a", "include=lists"]);
}

#[test]
fn what_was_asked_for_before_a_denied_member_is_told_too() {
    let trace = profiles().explain("GET /api/profiles/1?include=lists,tags", &["profiles:read"]).trace;
    assert_eq!((trace.code, trace.member.as_deref()), (Some("query_not_allowed"), Some("tags")));
    assert_eq!(trace.required, ["lists:read", "profiles:read"]);
}

#[test]
fn a_key_of_the_wrong_kind_is_told_which_kind_is_right() {
    let gate = Draft::new().route("GET /a", &[]).open("POST /client", AccessSpec::PublicKey).finish();
    let reason = |request: &str, kind| {
        let key = gate.key(&[]).of_kind(kind);
        let target = gate.policy.judge(&parsed(request)).unwrap();
        gate.policy.decide(&Caller::Known(&key), &target).trace().reason
    };
    assert_eq!(reason("GET /a", Kind::Public), "GET /a does not take public keys; use a secret key.");
    for kind in [Kind::Secret, Kind::Pair] {
        assert_eq!(reason("POST /client", kind), "POST /client takes public keys alone; use a public key.");
    }
    assert_eq!(reason("POST /client", Kind::Public), "POST /client is open to any public key.");
}

#[test]
fn the_reason_tells_the_other_alternatives() {
    let any_of = vec![owned(&["admin"]), owned(&["read", "delete"])];
    let gate = Draft::new().open("DELETE /x", AccessSpec::Scopes { all_of: Vec::new(), any_of }).finish();
    assert_eq!(
        gate.explain("DELETE /x", &[]).trace.reason,
        "The key lacks admin, which DELETE /x asks for; use a key that holds it, or in place of what the route asks for, delete and read."
    );
}

#[test]
fn an_allowed_request_says_so() {
    let trace = profiles().explain("GET /api/profiles/1", &["profiles:read"]).trace;
    assert_eq!((trace.decision, trace.status, trace.code), ("allow", 200, None));
    assert_eq!(trace.route.as_deref(), Some("GET /api/profiles/{id}"));
    assert_eq!(trace.reason, "The key holds what GET /api/profiles/{id} asks for.");
    assert_eq!(trace.missing, Vec::<String>::new());
}

#[test]
fn a_missing_route_is_explained() {
    let gate = profiles();
    let reason = |request| gate.explain(request, &[]).trace.reason;
    assert!(reason("GET /none").starts_with("No route of the policy has this path"));
    assert_eq!(
        reason("DELETE /api/profiles/1"),
        "The policy has this path with GET and POST and not with DELETE; use one of its methods."
    );
    assert_eq!(
        reason("CONNECT /api/profiles/1"),
        "CONNECT is never served, whatever the policy says; use another method."
    );
    assert!(reason("TRACE /api/profiles/1").starts_with("TRACE is never served"));
    assert!(reason("GET /api/Profiles/1").contains("letter case"));
    assert_eq!(
        reason("GET /api/closed/"),
        "The policy has /api/closed without a final slash, and not with one; send the path without it."
    );
    assert!(reason("GET /api/closed").contains("closes GET /api/closed"));
}

#[test]
fn a_denied_member_is_named_and_cannot_carry_control_bytes() {
    let gate = profiles();
    let trace = gate.explain("GET /api/profiles/1?include=%1b[2J%0d%0aX:%e2%82%ac", &["profiles:read"]).trace;
    assert_eq!(trace.parameter.as_deref(), Some("include"));
    assert_eq!(trace.member.as_deref(), Some("\\x1b[2J\\x0d\\x0aX:\\xe2\\x82\\xac"));
    assert!(trace.reason.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", trace.reason);
    let long = gate.explain(&format!("GET /api/profiles/1?include={}", "x".repeat(5000)), &[]).trace;
    assert!(long.reason.len() < 300);
}

#[test]
fn a_query_with_hundreds_of_members_is_told_with_some_of_its_reasons_and_all_of_its_scopes() {
    let members = |count: usize| (0..count).map(|at| format!("m{at:03}")).collect::<Vec<String>>();
    let rule = |member: String| {
        let scope = if member == "m299" { "last" } else { "r" };
        (member, MemberSpec::Scopes(owned(&[scope])))
    };
    let include = vec![("include".to_owned(), RuleSpec::Own(members(300).into_iter().map(rule).collect()))];
    let gate = Draft::new()
        .parameter("include", (List::Comma, false))
        .spec(RouteSpec { query: include, ..written("GET /a") })
        .finish();
    let told = |count: usize| {
        let trace = gate.explain(&format!("GET /a?include={}", members(count).join(",")), &[]).trace;
        (trace.because.len(), trace.required)
    };
    assert_eq!(told(255), (255, owned(&["r"])));
    assert_eq!(told(300), (256, owned(&["last", "r"])));
}

#[test]
fn an_ambiguous_parameter_is_named_as_the_policy_writes_it() {
    let trace = profiles().explain("GET /api/profiles/1?Include[]=lists", &[]).trace;
    assert_eq!((trace.code, trace.parameter.as_deref()), (Some("ambiguous_query"), Some("include")));
}

#[test]
fn the_steps_show_every_template_of_the_shape_the_most_specific_first() {
    let explanation = profiles().explain("GET /api/profiles/a%20b", &[]);
    assert_eq!(explanation.segments, ["api", "profiles", "a b"]);
    let candidate = |template: &str, methods: &[&'static str], chosen, line| Candidate {
        template: template.to_owned(),
        methods: methods.to_vec(),
        chosen,
        near_miss: None,
        line,
    };
    let expected =
        [candidate("/api/profiles/{id}", &["GET", "POST"], true, 1), candidate("/api/{*rest}", &["GET"], false, 3)];
    assert_eq!(explanation.candidates, expected);
}

#[test]
fn the_template_that_a_path_nearly_is_says_what_parts_them() {
    let explanation = profiles().explain("GET /api/Profiles/1/", &[]);
    let told: Vec<_> = explanation.candidates.iter().map(|one| (&*one.template, one.chosen, one.near_miss)).collect();
    assert_eq!(told, [("/api/profiles/{id}", false, Some(NearMiss::Spelling)), ("/api/{*rest}", false, None)]);
    assert!(explanation.final_slash && !profiles().explain("GET /api/profiles/1", &[]).final_slash);
}

#[test]
fn an_explanation_says_what_is_needed_whoever_asks() {
    let gate = profiles();
    let target = gate.policy.judge(&parsed("GET /api/profiles/1?include=lists")).unwrap();
    let trace = gate.policy.decide(&Caller::Anonymous, &target).explain().trace;
    assert_eq!((trace.status, trace.code), (401, Some("missing_key")));
    assert_eq!(trace.required, ["lists:read", "profiles:read"]);
    assert_eq!(trace.missing, trace.required);
}

#[test]
fn scopes_that_are_held_by_implication_are_named_with_what_implies_them() {
    let gate = Draft::new()
        .scope("a:read", &[])
        .scope("a:write", &["a:read"])
        .scope("admin", &["a:write"])
        .route("GET /a", &["a:read"])
        .finish();
    let implied = |scopes: &[&str]| -> Vec<(String, String)> {
        gate.explain("GET /a", scopes).implied.into_iter().map(|implied| (implied.scope, implied.by)).collect()
    };
    let pair = |scope: &str, by: &str| (scope.to_owned(), by.to_owned());
    assert_eq!(implied(&["a:write"]), [pair("a:read", "a:write")]);
    assert_eq!(implied(&["admin", "a:write"]), [pair("a:read", "a:write")]);
    assert_eq!(implied(&["admin"]), [pair("a:read", "admin"), pair("a:write", "admin")]);
    assert_eq!(implied(&["a:read"]), []);
}

#[test]
fn an_explanation_says_which_grants_would_do() {
    let gate = profiles();
    let sufficient = |request: &str| gate.explain(request, &[]).sufficient;
    let does = |scopes: &[&str], levels: &[&'static str]| {
        Some(Sufficient { attributes: Vec::new(), scopes: vec![owned(scopes)], levels: levels.to_vec() })
    };
    assert_eq!(
        sufficient("GET /api/profiles/1?include=lists"),
        does(&["lists:read", "profiles:read"], &["read-only", "full"])
    );
    assert_eq!(sufficient("POST /api/profiles/1"), does(&["profiles:write"], &["full"]));
    for request in ["GET /api/profiles/1?include=tags", "GET /api/closed", "PUT /api/profiles/1"] {
        assert_eq!(sufficient(request), None, "{request}");
    }
}
