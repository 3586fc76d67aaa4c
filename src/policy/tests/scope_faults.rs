use super::super::*;
use super::support::*;

/// What is wrong with the one scope that a route asks for, `declared` being declared.
fn on_a_route(declared: &[&str], name: &str) -> Vec<BuildError> {
    let mut draft = declared.iter().fold(Draft::new(), |draft, name| draft.scope(name, &[]));
    let access = AccessSpec::Scopes { all_of: owned(&[name]), any_of: Vec::new() };
    draft.try_spec(RouteSpec { access, ..written("GET /a") }).err().unwrap_or_default()
}

/// The same where it is the rule of the member `include=m`.
fn of_a_member(declared: &[&str], names: &[&str]) -> Vec<BuildError> {
    let draft = declared.iter().fold(Draft::new(), |draft, name| draft.scope(name, &[]));
    let mut draft = draft.parameter("include", (List::Comma, false));
    let rules = vec![("m".to_owned(), MemberSpec::Scopes(owned(names)))];
    let query = vec![("include".to_owned(), RuleSpec::Own(rules))];
    draft.try_spec(RouteSpec { query, ..written("GET /a") }).err().unwrap_or_default()
}

#[test]
fn a_word_that_means_something_else_than_a_scope_is_told_how_to_say_that() {
    let choices =
        "write `{ auth: anyone }` (no key needed), `{ auth: key }` (any valid key) or `{ auth: deny }` (nobody)";
    let cases = [
        (&["deny", "False", "nobody"][..], "write `{ auth: deny }` to close the route to everybody"),
        (&["anyone"][..], "write `{ auth: anyone }` to open the route to callers without a key"),
        (&["key", "KEY"][..], "write `{ auth: key }` to open the route to any valid key"),
        (&["public-key"][..], "write `{ auth: public-key }` to open the route to public keys"),
        (&["full", "read-only"][..], "keys are granted that level, and routes name scopes"),
        (&["allow", "any", "none", "public", "True"][..], choices),
    ];
    for (words, mend) in cases {
        for word in words {
            for declared in [&[][..], &["other"]] {
                let faults = on_a_route(declared, word);
                let [fault] = &faults[..] else { panic!("{word}: {faults:?}") };
                assert_eq!((fault.kind, fault.part, &*fault.subject), (FaultKind::Reserved, Part::Scope, *word));
                let help = format!("{mend}; a scope of that name must be declared under `scopes`");
                assert_eq!(fault.help, Some(help), "{word}");
                let faults = of_a_member(declared, &[word]);
                let help = faults[0].help.clone().unwrap_or_default();
                assert!(help.starts_with("the rule of a member is a scope, a list of scopes, or alone"), "{help}");
            }
        }
    }
}

#[test]
fn a_word_that_means_something_else_is_a_scope_where_it_is_declared() {
    assert_eq!(on_a_route(&["deny"], "deny"), []);
    assert_eq!(of_a_member(&["public"], &["public"]), []);
}

#[test]
fn a_scope_that_is_not_declared_is_told_with_where_it_is_named() {
    let told = |faults: Vec<BuildError>| {
        faults.into_iter().map(|fault| (fault.message, fault.within)).collect::<Vec<(String, Vec<String>)>>()
    };
    assert_eq!(
        told(on_a_route(&["a"], "b:read")),
        [("a route names the scope `b:read`, which `scopes` does not declare".to_owned(), Vec::new())]
    );
    assert_eq!(
        told(of_a_member(&["a"], &["b:read"])),
        [("a member names the scope `b:read`, which `scopes` does not declare".to_owned(), owned(&["include", "m"]))]
    );
    assert_eq!(
        told(of_a_member(&[], &[])),
        [("a list of scopes is empty".to_owned(), owned(&["include", "m"]))],
        "an empty list is told with its place, too"
    );
    assert_eq!(
        told(Draft::new().scope("w", &["r"]).builder.finish().unwrap_err()),
        [("`w` implies the scope `r`, which `scopes` does not declare".to_owned(), owned(&["w"]))]
    );
}

#[test]
fn several_scopes_in_one_word_are_told_to_be_a_list() {
    let help = |name: &str| on_a_route(&[], name).remove(0).help.unwrap_or_default();
    assert_eq!(help("a b"), "write a list: `[a, b]`");
    assert_eq!(help("a, b,c"), "write a list: `[a, b, c]`");
    let form = "a scope is visible ASCII without `\"`, `\\`, `,` and `*`, such as `profiles:read`";
    for name in ["", " ", "a,", ",a", "a *", "\u{e9} a", "a*"] {
        assert_eq!(help(name), form, "{name:?}");
    }
}

#[test]
fn a_scope_that_a_route_names_is_known_where_none_is_declared() {
    let gate = Draft::new().route("GET /a", &["a:read"]).finish();
    let known: Vec<&str> = gate.policy.scopes().map(|(name, _)| name).collect();
    assert_eq!(known, ["a:read"]);
    let mut draft = Draft::new();
    let access = AccessSpec::Scopes { all_of: owned(&["a:read", "b*"]), any_of: Vec::new() };
    draft.try_spec(RouteSpec { access, ..written("GET /a") }).unwrap_err();
    assert_eq!(draft.finish().policy.scopes().count(), 0, "a route that is refused makes none known");
}
