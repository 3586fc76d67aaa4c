//! Every sentence that a decision or a denial says, in one picture.

use super::super::*;
use super::support::*;

/// A policy that can be missed in every way.
fn gate() -> Gate {
    let members =
        vec![("lists".to_owned(), MemberSpec::Scopes(owned(&["lists:read"]))), ("tags".to_owned(), MemberSpec::Deny)];
    let any_of = vec![owned(&["admin"]), owned(&["read", "delete"]), owned(&["a", "b", "c"])];
    Draft::new()
        .bind("account", "account")
        .parameter("include", (List::Comma, false))
        .open("GET /health", AccessSpec::Anyone)
        .open("GET /events", AccessSpec::PublicKey)
        .open("ANY /closed", AccessSpec::Deny)
        .spec(RouteSpec { unbound: owned(&["account"]), ..written("GET /me") })
        .route("GET|POST /profiles", &["profiles:read"])
        .spec(RouteSpec {
            access: AccessSpec::Scopes { all_of: owned(&["profiles:read"]), any_of: Vec::new() },
            query: vec![("include".to_owned(), RuleSpec::Own(members))],
            ..written("GET /profiles/{id}")
        })
        .route("GET /accounts/{account}", &[])
        .route("GET /carts/", &["carts:read"])
        .route("GET /run.php", &["run"])
        .open("DELETE /x", AccessSpec::Scopes { all_of: Vec::new(), any_of })
        .finish()
}

/// `request: reason`, from a caller of each sort.
fn said(gate: &Gate, request: &str, caller: &Caller<'_>) -> String {
    let reason = match gate.policy.judge(&parsed(request)) {
        Err(denial) => denial.detail().to_owned(),
        Ok(target) => gate.policy.decide(caller, &target).explain().trace.reason,
    };
    format!("{request}\n    {reason}")
}

#[test]
fn the_sentences_of_decisions() {
    let gate = gate();
    let key = |scopes| gate.key(scopes);
    let of_account = key(&["profiles:read"]).of_account("acme");
    let public = key(&[]).of_kind(Kind::Public);
    let (nothing, profiles, both) = (key(&[]), key(&["profiles:read"]), key(&["profiles:read", "lists:read"]));
    let asked = [
        ("GET /health", Caller::Anonymous),
        ("GET /me", Caller::Known(&nothing)),
        ("GET /events", Caller::Known(&public)),
        ("GET /events", Caller::Known(&nothing)),
        ("GET /me", Caller::Known(&public)),
        ("GET /profiles", Caller::Known(&profiles)),
        ("GET /profiles/1?include=lists", Caller::Known(&both)),
        ("GET /profiles/1?include=lists", Caller::Known(&profiles)),
        ("GET /profiles/1?include=lists", Caller::Known(&nothing)),
        ("GET /profiles/1?include=tags", Caller::Known(&profiles)),
        ("GET /profiles/1?include=other", Caller::Known(&profiles)),
        ("GET /profiles/1?include=list", Caller::Known(&profiles)),
        ("GET /profiles?include=lists", Caller::Known(&profiles)),
        ("GET /profiles/1?Include=lists", Caller::Known(&profiles)),
        ("GET /profiles/1?options.include=lists", Caller::Known(&profiles)),
        ("GET /profiles/1?next=%2Fx%3Fa%26include=lists", Caller::Known(&profiles)),
        ("DELETE /x", Caller::Known(&nothing)),
        ("GET /closed", Caller::Known(&nothing)),
        ("GET /nowhere", Caller::Known(&nothing)),
        ("PUT /profiles", Caller::Known(&nothing)),
        ("GET /Profiles", Caller::Known(&nothing)),
        ("GET /profiles/", Caller::Known(&nothing)),
        ("GET /carts", Caller::Known(&nothing)),
        ("GET /health.json", Caller::Known(&nothing)),
        ("GET /run.php/x", Caller::Known(&nothing)),
        ("GET /p%72ofiles", Caller::Known(&nothing)),
        ("GET /accounts/other", Caller::Known(&of_account)),
        ("GET /accounts/acme", Caller::Known(&profiles)),
        ("GET /profiles", Caller::Known(&of_account)),
    ];
    let told: Vec<String> = asked.iter().map(|(request, caller)| said(&gate, request, caller)).collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_sentences_of_requests_that_no_caller_may_send() {
    let gate = gate();
    let targets = [
        "profiles",
        "/a#b",
        "/a b\\c",
        "/a/../b",
        "/a//b",
        "/a%5Cb",
        "/a%2Fb",
        "/a%252e",
        "/100%",
        "/a%FF",
        "/a;b",
        "/profiles?_method=DELETE",
    ];
    let nothing = gate.key(&[]);
    let told: Vec<String> = targets
        .iter()
        .map(|target| {
            let request = Request { method: b"GET", target: target.as_bytes(), override_header: false };
            let reason = match gate.policy.judge(&request) {
                Err(denial) => denial.detail().to_owned(),
                Ok(target) => gate.policy.decide(&Caller::Known(&nothing), &target).trace().reason,
            };
            format!("{target}\n    {reason}")
        })
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn the_sentences_of_callers_whom_no_route_is_told() {
    let gate = gate();
    let key = gate.key(&[]);
    let callers = [
        ("ambiguous", Caller::Ambiguous),
        ("anonymous", Caller::Anonymous),
        ("expired", Caller::Expired(&key)),
        ("disabled", Caller::Invalid(Invalid::Disabled)),
        ("unknown", Caller::Invalid(Invalid::Unknown)),
        ("misplaced", Caller::Misplaced(&key)),
        ("store away", Caller::StoreUnavailable),
    ];
    let target = gate.policy.judge(&parsed("GET /profiles")).unwrap();
    let told: Vec<String> = callers
        .iter()
        .map(|(who, caller)| format!("{who}\n    {}", gate.policy.decide(caller, &target).trace().reason))
        .collect();
    insta::assert_snapshot!(told.join("\n"));
}
