use super::super::*;
use super::support::*;

fn alternatives() -> Gate {
    Draft::new()
        .open(
            "DELETE /domains/{name}",
            AccessSpec::Scopes {
                all_of: owned(&["base:use"]),
                any_of: vec![owned(&["account:admin"]), owned(&["domains:read", "domains:delete"])],
            },
        )
        .finish()
}

#[test]
fn every_scope_of_a_list_must_be_held() {
    let gate = Draft::new().route("PATCH /p", &["p:read", "p:write"]).finish();
    assert_eq!(gate.ask("PATCH /p", &["p:read", "p:write"]), "allow");
    assert_eq!(gate.ask("PATCH /p", &["p:read"]), "insufficient_scope");
    assert_eq!(gate.ask("PATCH /p", &[]), "insufficient_scope");
}

#[test]
fn one_alternative_must_be_held_whole_and_the_scopes_beside_it_too() {
    let gate = alternatives();
    let request = "DELETE /domains/x";
    assert_eq!(gate.ask(request, &["base:use", "account:admin"]), "allow");
    assert_eq!(gate.ask(request, &["base:use", "domains:read", "domains:delete"]), "allow");
    assert_eq!(gate.ask(request, &["base:use", "domains:read"]), "insufficient_scope");
    assert_eq!(gate.ask(request, &["account:admin"]), "insufficient_scope");
}

#[test]
fn the_alternative_that_lacks_fewest_is_told_and_the_first_on_ties() {
    let gate = alternatives();
    let tie = gate.explain("DELETE /domains/x", &["base:use", "domains:read"]).trace;
    assert_eq!(tie.missing, ["account:admin"]);
    assert_eq!(tie.required, ["account:admin", "base:use"]);
    assert_eq!(tie.any_of, [vec!["account:admin"], vec!["domains:delete", "domains:read"]]);
    let held = gate.explain("DELETE /domains/x", &["domains:read", "domains:delete"]).trace;
    assert_eq!(held.missing, ["base:use"]);
    assert_eq!(held.required, ["base:use", "domains:delete", "domains:read"]);
}

#[test]
fn nothing_is_implied_unless_declared() {
    let gate = Draft::new().route("GET /p", &["p:read"]).route("POST /p", &["p:write"]).finish();
    assert_eq!(gate.ask("GET /p", &["p:write"]), "insufficient_scope");
}

#[test]
fn declared_implication_reaches_as_far_as_it_goes_and_one_way() {
    let gate = Draft::new()
        .scope("p:admin", &["p:write"])
        .scope("p:write", &["p:read"])
        .scope("p:read", &[])
        .scope("loop:a", &["loop:b"])
        .scope("loop:b", &["loop:a"])
        .route("GET /p", &["p:read"])
        .route("DELETE /p", &["p:admin"])
        .route("GET /loop", &["loop:a"])
        .finish();
    assert_eq!(gate.ask("GET /p", &["p:admin"]), "allow");
    assert_eq!(gate.ask("DELETE /p", &["p:write", "p:read"]), "insufficient_scope");
    assert_eq!(gate.ask("GET /loop", &["loop:b"]), "allow");
}

#[test]
fn full_is_every_scope_and_read_only_those_that_read_and_what_they_imply() {
    let mut draft = Draft::new()
        .scope("p:read", &["meta:see"])
        .scope("meta:see", &[])
        .scope("p:write", &[])
        .reading_scope("EXPORT")
        .route("GET /p", &["p:read"])
        .route("GET /meta", &["meta:see"])
        .route("GET /export", &["EXPORT"])
        .route("POST /p", &["p:write"])
        .open("GET /closed", AccessSpec::Deny);
    let error = draft.try_spec(RouteSpec {
        access: AccessSpec::Scopes { all_of: owned(&["EXPORTS"]), any_of: Vec::new() },
        ..written("GET /typo")
    });
    assert_eq!(error.unwrap_err()[0].help.as_deref(), Some("did you mean `EXPORT`?"));
    let gate = draft.finish();
    let reader = key_with(Grant::ReadOnly);
    for (request, answer) in [
        ("GET /p", "allow"),
        ("GET /meta", "allow"),
        ("GET /export", "allow"),
        ("POST /p", "insufficient_scope"),
        ("GET /closed", "route_not_allowed"),
        ("GET /none", "route_not_allowed"),
    ] {
        assert_eq!(gate.ask_as(request, &Caller::Known(&reader)), answer, "{request}");
    }
    let target = gate.policy.judge(&parsed("GET /p")).unwrap();
    let trace = gate.policy.decide(&Caller::Known(&reader), &target).trace();
    assert_eq!(trace.granted, ["EXPORT", "meta:see", "p:read"]);
    assert_eq!(gate.ask_full("POST /p"), "allow");
    assert_eq!(gate.ask_full("GET /closed"), "route_not_allowed");
}

#[test]
fn a_scope_that_the_policy_does_not_know_is_kept_and_grants_nothing() {
    let gate = Draft::new().route("GET /p", &["p:read"]).finish();
    assert_eq!(gate.ask("GET /p", &["p:raed"]), "insufficient_scope");
    assert!(gate.policy.knows("p:read") && !gate.policy.knows("p:raed"));
    assert_eq!(gate.policy.nearest("p:raed"), Some("p:read"));
    assert_eq!(gate.explain("GET /p", &["p:raed"]).trace.granted, ["p:raed"]);
}

#[test]
fn without_a_vocabulary_every_name_in_the_policy_is_known() {
    let gate = Draft::new()
        .parameter("include", (List::Comma, false))
        .spec(RouteSpec {
            query: vec![(
                "include".to_owned(),
                RuleSpec::Own(vec![("lists".to_owned(), MemberSpec::Scopes(owned(&["lists:read"])))]),
            )],
            ..written("GET /p")
        })
        .route("GET /q", &["q:read"])
        .finish();
    let known: Vec<&str> = gate.policy.scopes().map(|(name, _)| name).collect();
    assert_eq!(known, ["lists:read", "q:read"]);
}

#[test]
fn a_keys_scopes_mean_the_same_under_the_next_policy() {
    let vocabulary = Vocabulary::new();
    let build = |routes: &[(&str, &str)]| {
        let mut builder = Policy::builder(Options::default(), &vocabulary);
        for (route, scope) in routes {
            let access = AccessSpec::Scopes { all_of: owned(&[scope]), any_of: Vec::new() };
            builder.route(RouteSpec { access, ..written(route) }).unwrap();
        }
        Gate { policy: builder.finish().unwrap(), vocabulary: vocabulary.clone() }
    };
    let first = build(&[("GET /a", "a:read"), ("GET /b", "b:read")]);
    let key = first.key(&["b:read", "later:read"]);
    let reader = key_with(Grant::ReadOnly);
    // The next one names other scopes first, and drops one.
    let second = build(&[("GET /z", "z:read"), ("GET /later", "later:read"), ("GET /b", "b:read")]);
    for gate in [&first, &second] {
        assert_eq!(gate.ask_as("GET /b", &Caller::Known(&key)), "allow");
        assert_eq!(gate.ask_as("GET /b", &Caller::Known(&reader)), "allow");
    }
    assert_eq!(first.ask_as("GET /a", &Caller::Known(&key)), "insufficient_scope");
    assert_eq!(second.ask_as("GET /z", &Caller::Known(&key)), "insufficient_scope");
    assert_eq!(second.ask_as("GET /later", &Caller::Known(&key)), "allow");
    assert_eq!(second.ask_as("GET /later", &Caller::Known(&reader)), "allow");
}

#[test]
fn sets_work_past_the_ids_that_fit_in_one_word() {
    let vocabulary = Vocabulary::new();
    let ids: Vec<ScopeId> = (0..400).map(|at| vocabulary.intern(&format!("s{at}"))).collect();
    let set: ScopeSet = ids.iter().copied().step_by(3).collect();
    let mut small: ScopeSet = [ids[0], ids[129], ids[399]].into_iter().collect();
    assert!(small.is_subset(&set) && !set.is_subset(&small) && set.intersects(&small));
    assert_eq!(set.iter().collect::<Vec<_>>(), ids.iter().copied().step_by(3).collect::<Vec<_>>());
    assert_eq!(set.difference(&small).len() + small.len(), set.len());
    assert_eq!(set.union(&small), set);
    assert_eq!(set.difference(&set), ScopeSet::new());
    assert!(set.difference(&set).is_empty() && !set.contains(ids[1]) && set.contains(ids[399]));
    assert!(!small.insert(ids[129]));
}

#[test]
fn a_policy_says_which_names_it_knows_and_what_each_brings_with_it() {
    let policy =
        Draft::new().scope("a:read", &[]).scope("a:write", &["a:read"]).scope("admin", &["a:write"]).finish().policy;
    let names = |set: ScopeSet| policy.names(&set);
    assert_eq!(names(policy.set_of(["admin", "nobody", "a:read"])), ["a:read", "admin"]);
    assert_eq!(names(policy.held_with("admin")), ["a:read", "a:write", "admin"]);
    assert_eq!(names(policy.held_with("a:write")), ["a:read", "a:write"]);
    assert_eq!(names(policy.held_with("a:read")), ["a:read"], "what implies nothing brings itself");
    assert_eq!(names(policy.held_with("nobody")), Vec::<String>::new());
}
