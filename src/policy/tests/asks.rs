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
