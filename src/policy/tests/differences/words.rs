use super::*;

/// All that is said of what changed, a line for each part.
fn said(old: Write<'_>, new: Write<'_>) -> Vec<String> {
    let (old, new) = pair(old, new);
    old.differences(&new).into_iter().flat_map(|difference| difference.what).collect()
}

#[test]
fn a_requirement_is_said_as_it_would_be_read_aloud() {
    let needs = |access: AccessSpec| move |draft: Draft| draft.open("GET /a", access.clone());
    let said = |access: AccessSpec| said(&needs(AccessSpec::Key), &needs(access));
    assert_eq!(said(all_of(&["x"])), ["auth: key → scopes x"]);
    assert_eq!(said(all_of(&["y", "x"])), ["auth: key → scopes x and y"]);
    assert_eq!(said(any_of(&[], &[&["x"]])), ["auth: key → scopes x"]);
    assert_eq!(said(any_of(&[], &[&["x"], &["y", "z"]])), ["auth: key → scopes x or y and z"]);
    assert_eq!(said(any_of(&["r"], &[&["x"]])), ["auth: key → scopes r and x"]);
    assert_eq!(said(any_of(&["r"], &[&["x"], &["y"]])), ["auth: key → scopes r and (x or y)"]);
}

#[test]
fn a_requirement_that_changed_is_said_before_and_after() {
    let needs = |names: &'static [&'static str]| move |draft: Draft| draft.route("GET /a", names);
    assert_eq!(said(&needs(&["x"]), &needs(&["x", "y"])), ["scopes: x → x and y"]);
}

#[test]
fn where_the_words_stay_the_same_what_changed_their_meaning_is_said() {
    let with = |implies: &'static [&'static str]| {
        move |draft: Draft| draft.scope("r", &[]).scope("w", implies).scope("v", &[]).route("GET /a", &["r"])
    };
    assert_eq!(said(&with(&[]), &with(&["r"])), ["scopes: r (w now implies r)"]);
    assert_eq!(said(&with(&["r"]), &with(&[])), ["scopes: r (w no longer implies r)"]);
    let by = |name: &'static str| {
        move |draft: Draft| {
            let implies = |one: &str| if one == name { vec!["r"] } else { Vec::new() };
            let draft = draft.scope("r", &[]).scope("v", &implies("v")).scope("w", &implies("w"));
            draft.open("GET /a", any_of(&[], &[&["r"], &["x"]])).open("GET /b", AccessSpec::Deny)
        }
    };
    let declared = |name| move |draft: Draft| by(name)(draft.scope("x", &[]));
    assert_eq!(
        said(&declared("v"), &declared("w")),
        ["scopes: r or x (w now implies r, v no longer implies r)"],
        "both causes, of any alternative"
    );
}

#[test]
fn a_level_that_came_to_hold_a_scope_is_said_unless_the_scope_itself_is_new() {
    let reads = |draft: Draft| draft.reading_scope("x").scope("y", &[]).route("GET /a", &["x"]);
    let does_not = |draft: Draft| draft.scope("x", &[]).reading_scope("y").route("GET /a", &["x"]);
    assert_eq!(said(&does_not, &reads), ["scopes: x (read-only keys hold x now)"]);
    assert_eq!(said(&reads, &does_not), ["scopes: x (read-only keys no longer hold x)"]);
    let other = |draft: Draft| draft.scope("y", &[]).route("GET /a", &["y"]);
    assert_eq!(said(&other, &reads), ["scopes: y → x"]);
    assert_eq!(said(&reads, &other), ["scopes: x → y"]);
}

/// A route whose `include` has one rule for `m`, or none.
fn ruled(rule: Option<MemberSpec>) -> impl Fn(Draft) -> Draft {
    move |draft: Draft| {
        let draft = draft.scope("r", &[]).scope("s", &[]).parameter("include", (List::Comma, false));
        let rules = rule.iter().map(|rule| ("include".to_owned(), RuleSpec::Own(vec![("m".to_owned(), rule.clone())])));
        draft.spec(RouteSpec { query: rules.collect(), ..written("GET /a") })
    }
}

#[test]
fn the_rule_of_a_member_is_said_before_and_after() {
    let asks = |names: &[&str]| Some(MemberSpec::Scopes(owned(names)));
    let said = |old: Option<MemberSpec>, new: Option<MemberSpec>| said(&ruled(old), &ruled(new));
    assert_eq!(said(asks(&["r"]), asks(&["s", "r"])), ["include=m: r → r and s"]);
    assert_eq!(said(Some(MemberSpec::Allow), asks(&["r"])), ["include=m: allow → r"]);
    assert_eq!(said(asks(&["r"]), Some(MemberSpec::Deny)), ["include=m: r → denied"]);
    assert_eq!(said(Some(MemberSpec::Deny), None), Vec::<String>::new(), "what no rule names is denied");
}

#[test]
fn a_member_whose_scope_is_held_by_others_than_before_is_said_with_the_cause() {
    let with = |implies: &'static [&'static str]| {
        move |draft: Draft| {
            let draft = draft.scope("r", &[]).scope("w", implies).parameter("include", (List::Comma, false));
            let rules = vec![("m".to_owned(), MemberSpec::Scopes(owned(&["r"])))];
            draft.spec(RouteSpec { query: vec![("include".to_owned(), RuleSpec::Own(rules))], ..written("GET /a") })
        }
    };
    assert_eq!(said(&with(&[]), &with(&["r"])), ["include=m: r (w now implies r)"]);
}

#[test]
fn a_parameter_that_is_ruled_on_one_side_alone_is_said_to_be_not_ruled_on_the_other() {
    let free = |draft: Draft| draft.scope("r", &[]).scope("s", &[]).route("GET /a", &[]);
    assert_eq!(said(&ruled(Some(MemberSpec::Allow)), &free), ["include, any other member: denied → not ruled"]);
    assert_eq!(said(&free, &ruled(Some(MemberSpec::Allow))), ["include, any other member: not ruled → denied"]);
}

#[test]
fn a_parameter_that_is_read_in_another_way_is_said_with_both_ways() {
    let read = |shape: (List, bool)| {
        let rules = vec![("m".to_owned(), MemberSpec::Allow)];
        move |draft: Draft| {
            let query = vec![("include".to_owned(), RuleSpec::Own(rules.clone()))];
            draft.parameter("include", shape).spec(RouteSpec { query, ..written("GET /a") })
        }
    };
    let (none, comma) = (read((List::None, false)), read((List::Comma, true)));
    assert_eq!(said(&none, &comma), ["include: no list → list: comma, nested: dot"]);
    assert_eq!(said(&comma, &read((List::Brackets, false))), ["include: list: comma, nested: dot → list: brackets"]);
}

#[test]
fn a_binding_is_said_by_how_keys_meet_the_route() {
    let bind = |draft: Draft| draft.bind("account", "account").route("GET /x/{account}", &[]);
    let bound = |draft: Draft| bind(draft).route("GET /{account}", &[]);
    let refused = |draft: Draft| bind(draft).route("GET /{a}", &[]);
    let free = |draft: Draft| bind(draft).spec(RouteSpec { unbound: owned(&["account"]), ..written("GET /{a}") });
    assert_eq!(said(&bound, &refused), ["bind account: {account} is the key's → keys that have it are refused"]);
    assert_eq!(said(&free, &refused), ["bind account: not compared → keys that have it are refused"]);
}

#[test]
fn an_encoded_slash_and_a_credential_are_said_by_what_becomes_of_them() {
    let slash = |encoded_slash| move |draft: Draft| draft.spec(RouteSpec { encoded_slash, ..written("GET /x/{name}") });
    assert_eq!(said(&slash(false), &slash(true)), ["encoded_slash: refused → allow"]);
    assert_eq!(said(&slash(true), &slash(false)), ["encoded_slash: allow → refused"]);
    assert_eq!(
        said(&with(AccessSpec::Key, None), &with(AccessSpec::Key, Some("b"))),
        ["credential: the upstream's → b"]
    );
    assert_eq!(
        said(&with(AccessSpec::PublicKey, Some("b")), &with(AccessSpec::PublicKey, None)),
        ["credential: b → none"]
    );
}

/// A route with a credential of its own, or without one.
fn with(access: AccessSpec, credential: Option<&'static str>) -> impl Fn(Draft) -> Draft {
    move |draft: Draft| {
        let credential = credential.map(str::to_owned);
        draft.spec(RouteSpec { access: access.clone(), credential, ..written("GET /a") })
    }
}

#[test]
fn a_credential_where_there_was_none_opens_what_is_behind_it_and_another_one_nobody_can_say() {
    use AccessSpec::{Anyone, Key, PublicKey};
    let told = |old, new| told(&old, &new);
    for open in [Anyone, PublicKey] {
        assert_eq!(told(with(open.clone(), None), with(open.clone(), Some("a"))), ["+ GET /a: credential"]);
        assert_eq!(told(with(open.clone(), Some("a")), with(open.clone(), None)), ["- GET /a: credential"]);
        assert_eq!(told(with(open.clone(), Some("a")), with(open, Some("b"))), ["+- GET /a: credential"]);
    }
    assert_eq!(
        told(with(Key, None), with(Key, Some("a"))),
        ["+- GET /a: credential"],
        "another, not one instead of none"
    );
    assert_eq!(told(with(Key, Some("a")), with(Key, None)), ["+- GET /a: credential"]);
    assert_eq!(told(with(Key, Some("a")), with(Key, Some("a"))), Vec::<String>::new());
    // Who may call is said apart, and went the way that it went.
    assert_eq!(told(with(Key, None), with(Anyone, Some("a"))), ["+ GET /a: auth: key → auth: anyone; credential"]);
    assert_eq!(told(with(Key, Some("a")), with(Anyone, None)), ["+- GET /a: auth: key → auth: anyone; credential"]);
    assert_eq!(told(with(Anyone, None), with(Key, Some("a"))), ["+- GET /a: auth: anyone → auth: key; credential"]);
    assert_eq!(told(with(Anyone, Some("a")), with(Key, None)), ["+- GET /a: auth: anyone → auth: key; credential"]);
}

#[test]
fn an_option_is_said_before_and_after() {
    let build = |case, method_override| {
        Draft::with(Options { case, method_override, ..Options::default() }).route("GET /a", &[]).finish().policy
    };
    let strict = build(PathCase::Sensitive, MethodOverride::Refuse);
    let lenient = build(PathCase::Insensitive, MethodOverride::Drop);
    let said = |old: &Policy, new: &Policy| -> Vec<String> {
        old.option_differences(new).into_iter().map(|one| format!("{}: {}", one.option, one.what)).collect()
    };
    assert_eq!(said(&strict, &lenient), ["paths.case: sensitive → insensitive", "method_override: refuse → drop"]);
    assert_eq!(said(&lenient, &strict), ["paths.case: insensitive → sensitive", "method_override: drop → refuse"]);
}
