//! What a policy asks for, one at a time, and the policy without it.

use super::super::*;
use super::support::*;

fn told(policy: &Policy) -> Vec<String> {
    let ask = |ask: Ask| {
        let routes: Vec<&str> = ask.routes.iter().filter_map(|id| policy.route(*id)).map(Route::label).collect();
        format!("{} {:?} {}", routes.join(", "), ask.part, ask.scopes.join("+"))
    };
    policy.asks().into_iter().map(ask).collect()
}

fn any_of(all_of: &[&str], any_of: &[&[&str]]) -> AccessSpec {
    AccessSpec::Scopes { all_of: owned(all_of), any_of: any_of.iter().map(|names| owned(names)).collect() }
}

#[test]
fn what_something_else_brings_with_it_is_not_asked_for() {
    let policy = Draft::new()
        .scope("read", &[])
        .scope("write", &["read"])
        .scope("admin", &[])
        .route("GET /a", &["read", "write"])
        .open("GET /b", any_of(&["read"], &[&["write"], &["write", "admin"]]))
        .open("GET /c", any_of(&["write"], &[&["read", "admin"], &["admin"]]))
        .finish()
        .policy;
    let expected = [
        "GET /a AllOf write",
        "GET /b Alternative(0) write",
        "GET /b InAlternative(0) write",
        "GET /b InAlternative(1) write",
        "GET /c AllOf write",
        "GET /c InAlternative(0) admin",
        "GET /c InAlternative(1) admin",
    ];
    assert_eq!(told(&policy), expected);
    assert_eq!(policy.asked(), ["admin", "read", "write"]);
}

#[test]
fn the_policy_is_whole_again_after_a_look_without_an_ask() {
    let mut policy = Draft::new().open("GET /a", any_of(&["x"], &[&["y"], &["z"]])).finish().policy;
    let before = told(&policy);
    assert_eq!(before.len(), 5, "{before:?}");
    for ask in policy.asks() {
        let without = policy.without(&ask, told);
        assert!(without != before, "{ask:?}");
        assert_eq!(told(&policy), before);
    }
}

#[test]
fn without_an_alternative_the_others_are_left() {
    let access = any_of(&[], &[&["x"], &["y"], &["z"]]);
    let Gate { mut policy, vocabulary } = Draft::new().open("GET /a", access).finish();
    let opening = |policy: &Policy| -> Vec<&str> {
        let target = policy.judge(&parsed("GET /a")).unwrap();
        let opens = |scope: &&str| {
            let key = key_with(Grant::Custom(vocabulary.intern_all([*scope])));
            policy.decide(&Caller::Known(&key), &target).is_allow()
        };
        ["x", "y", "z"].into_iter().filter(opens).collect()
    };
    for ask in policy.asks().into_iter().filter(|ask| ask.part == AskPart::Alternative(1)) {
        assert_eq!(policy.without(&ask, opening), ["x", "z"]);
    }
    assert_eq!(opening(&policy), ["x", "y", "z"]);
}

#[test]
fn a_single_alternative_is_asked_for_by_its_scopes_alone() {
    let policy = Draft::new().open("GET /a", any_of(&[], &[&["x", "y"]])).finish().policy;
    assert_eq!(told(&policy), ["GET /a InAlternative(0) x", "GET /a InAlternative(0) y"]);
}

fn asking(scope: &str) -> MemberSpec {
    MemberSpec::Scopes(owned(&[scope]))
}

/// Two parameters with a member of the same name, and two routes that take over the declaration of one of them.
fn with_members() -> Gate {
    let declared = ParameterSpec {
        members: vec![("lists".to_owned(), asking("lists:read")), ("tags".to_owned(), asking("tags:read"))],
        ..ParameterSpec::default()
    };
    let mut draft = Draft::new().parameter("fields", (List::None, false));
    draft.builder.declare_parameter("include", declared).unwrap();
    let own = |rules: &[(&str, MemberSpec)]| {
        RuleSpec::Own(rules.iter().map(|(member, rule)| ((*member).to_owned(), rule.clone())).collect())
    };
    let of_own = [("lists", asking("own:read")), ("free", MemberSpec::Allow), ("*", asking("rest:read"))];
    draft
        .spec(RouteSpec {
            query: vec![
                ("include".to_owned(), RuleSpec::Declared(owned(&["lists", "tags"]))),
                ("fields".to_owned(), own(&of_own)),
            ],
            access: AccessSpec::Scopes { all_of: owned(&["tags:read"]), any_of: Vec::new() },
            ..written("GET /a")
        })
        .spec(RouteSpec {
            query: vec![
                ("include".to_owned(), RuleSpec::Declared(owned(&["lists"]))),
                ("fields".to_owned(), own(&of_own[..1])),
            ],
            access: AccessSpec::Scopes { all_of: owned(&["lists:read"]), any_of: Vec::new() },
            ..written("GET /b")
        })
        .finish()
}

#[test]
fn a_declared_member_asks_once_for_all_routes_and_one_of_a_route_for_itself() {
    let member = |parameter: &str, member: &str| format!("Member {{ parameter: {parameter:?}, member: {member:?} }}");
    let expected = [
        "GET /a AllOf tags:read".to_owned(),
        format!("GET /a {} rest:read", member("fields", "*")),
        format!("GET /a {} own:read", member("fields", "lists")),
        // The second of the two asks for it anyway; that the first does not is what counts.
        format!("GET /a, GET /b {} lists:read", member("include", "lists")),
        "GET /b AllOf lists:read".to_owned(),
        format!("GET /b {} own:read", member("fields", "lists")),
    ];
    let policy = with_members().policy;
    assert_eq!(told(&policy), expected);
    assert_eq!(policy.asked(), ["lists:read", "own:read", "rest:read", "tags:read"]);
}

#[test]
fn without_what_a_member_asks_for_that_member_alone_passes() {
    let Gate { mut policy, vocabulary } = with_members();
    let key = key_with(Grant::Custom(vocabulary.intern_all(["tags:read"])));
    let passing = |policy: &Policy| -> Vec<&str> {
        let members = ["include=lists", "fields=lists", "fields=other", "fields=free"];
        let passes = |member: &&str| {
            let target = format!("/a?{member}");
            let request = Request { method: b"GET", target: target.as_bytes(), override_header: false };
            let judged = policy.judge(&request).unwrap();
            policy.decide(&Caller::Known(&key), &judged).is_allow()
        };
        members.into_iter().filter(passes).collect()
    };
    assert_eq!(passing(&policy), ["fields=free"]);
    for (scope, gained) in
        [("lists:read", "include=lists"), ("own:read", "fields=lists"), ("rest:read", "fields=other")]
    {
        let of_a_member = |ask: &Ask| ask.scopes == [scope] && ask.part != AskPart::AllOf;
        let ask = policy.asks().into_iter().find(of_a_member).unwrap();
        assert_eq!(policy.without(&ask, passing), [gained, "fields=free"]);
        assert_eq!(passing(&policy), ["fields=free"], "the policy is whole again");
    }
}
