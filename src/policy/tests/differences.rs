use super::super::*;
use super::support::*;

/// What a difference says of the two sides.
mod words;

type Write<'w> = &'w dyn Fn(Draft) -> Draft;

/// An older and a newer policy of one vocabulary.
fn pair(old: Write<'_>, new: Write<'_>) -> (Policy, Policy) {
    let vocabulary = Vocabulary::new();
    let build = |write: Write<'_>| write(Draft::sharing(Options::default(), &vocabulary)).finish().policy;
    (build(old), build(new))
}

/// Which way something went: `+` is loosened, `-` tightened.
fn way(shift: Shift) -> String {
    format!("{}{}", if shift.loosened { "+" } else { "" }, if shift.tightened { "-" } else { "" })
}

/// What of a route changed, without how; the sides themselves where it is who may call it.
fn about(what: &str) -> &str {
    let is_access = ["auth: ", "denied", "scopes "].iter().any(|start| what.starts_with(start));
    if is_access { what } else { what.split_once(": ").map_or(what, |(about, _)| about) }
}

/// Each difference as `+- GET /a: what`, marked where the route is in one policy alone.
fn told(old: Write<'_>, new: Write<'_>) -> Vec<String> {
    let (old, new) = pair(old, new);
    let one = |difference: RouteDifference| {
        let presence = match difference.presence {
            Presence::Added => "added ",
            Presence::Kept => "",
            Presence::Removed => "removed ",
        };
        format!(
            "{presence}{} {}: {}",
            way(difference.shift),
            difference.route,
            difference.what.iter().map(|what| about(what)).collect::<Vec<_>>().join("; ")
        )
    };
    old.differences(&new).into_iter().map(one).collect()
}

/// The differences of `GET /a` between one access and another, where `w` implies `r` and `r` reads.
fn of_access(old: AccessSpec, new: AccessSpec) -> String {
    let write = |access: AccessSpec| {
        move |draft: Draft| {
            let draft = draft.reading_scope("r").scope("w", &["r"]).scope("x", &[]).scope("y", &[]);
            draft.open("GET /a", access.clone())
        }
    };
    told(&write(old), &write(new)).join(" / ").replace(" GET /a: ", " ")
}

fn all_of(names: &[&str]) -> AccessSpec {
    AccessSpec::Scopes { all_of: owned(names), any_of: Vec::new() }
}

fn any_of(names: &[&str], alternatives: &[&[&str]]) -> AccessSpec {
    let any_of = alternatives.iter().map(|names| owned(names)).collect();
    AccessSpec::Scopes { all_of: owned(names), any_of }
}

#[test]
fn requirements_are_compared_by_what_meets_them() {
    let cases = [
        (all_of(&["r", "x"]), all_of(&["x", "r"]), ""),
        (all_of(&["w"]), all_of(&["w", "r"]), ""),
        (any_of(&[], &[&["w"], &["r"]]), all_of(&["r"]), ""),
        (any_of(&["r"], &[&["x"], &["y"]]), any_of(&[], &[&["r", "x"], &["y", "r"]]), ""),
        (all_of(&["x", "y"]), all_of(&["x"]), "+ scopes"),
        (all_of(&["x"]), all_of(&["x", "y"]), "- scopes"),
        (all_of(&["r"]), all_of(&["w"]), "- scopes"),
        (all_of(&["x"]), all_of(&["y"]), "+- scopes"),
        (all_of(&["x"]), any_of(&[], &[&["x"], &["y"]]), "+ scopes"),
        (any_of(&["x"], &[&["y"]]), all_of(&["x"]), "+ scopes"),
        (any_of(&["x"], &[&["y"]]), any_of(&[], &[&["y"]]), "+ scopes"),
        (any_of(&[], &[&["x"], &["y"]]), any_of(&[], &[&["y"], &["x", "r"]]), "- scopes"),
    ];
    for (old, new, expected) in cases {
        assert_eq!(of_access(old.clone(), new.clone()), expected, "{old:?} -> {new:?}");
    }
}

#[test]
fn who_may_call_is_compared_by_who_passes() {
    use AccessSpec::{Anyone, Deny, Key, PublicKey};
    let cases = [
        (all_of(&["r"]), Key, "+ scopes r → auth: key"),
        (Key, all_of(&["r"]), "- auth: key → scopes r"),
        (Anyone, Key, "- auth: anyone → auth: key"),
        (Deny, all_of(&["r"]), "+ denied → scopes r"),
        (Deny, PublicKey, "+ denied → auth: public-key"),
        (PublicKey, Deny, "- auth: public-key → denied"),
        (all_of(&["r"]), PublicKey, "+- scopes r → auth: public-key"),
        (PublicKey, Anyone, "+ auth: public-key → auth: anyone"),
        (Anyone, PublicKey, "- auth: anyone → auth: public-key"),
        (PublicKey, PublicKey, ""),
        (Anyone, Anyone, ""),
    ];
    for (old, new, expected) in cases {
        assert_eq!(of_access(old.clone(), new.clone()), expected, "{old:?} -> {new:?}");
    }
}

#[test]
fn what_a_level_stands_for_is_compared_too() {
    let reads = |draft: Draft| draft.reading_scope("x").route("GET /a", &["x"]);
    let does_not = |draft: Draft| draft.scope("x", &[]).route("GET /a", &["x"]);
    assert_eq!(told(&does_not, &reads), ["+ GET /a: scopes"]);
    assert_eq!(told(&reads, &does_not), ["- GET /a: scopes"]);
}

#[test]
fn two_requirements_with_more_ways_than_are_looked_at_count_as_different() {
    // Thirteen scopes, each held by itself or by another: 8192 ways.
    let many = |implied: usize| {
        move |draft: Draft| {
            let names: Vec<String> = (0..13).map(|at| format!("s{at:02}")).collect();
            let draft = names.iter().enumerate().fold(draft, |draft, (at, name)| {
                let stronger = if at < implied { vec![name.as_str()] } else { Vec::new() };
                draft.scope(name, &[]).scope(&format!("{name}:more"), &stronger)
            });
            draft.route("GET /a", &names.iter().map(String::as_str).collect::<Vec<_>>())
        }
    };
    assert_eq!(told(&many(13), &many(13)), ["+- GET /a: scopes"]);
    assert_eq!(told(&many(11), &many(11)), Vec::<String>::new(), "2048 ways are looked at");
}

#[test]
fn routes_are_matched_by_the_paths_they_take() {
    let routes = |routes: &'static [(&'static str, &'static str)]| {
        move |draft: Draft| routes.iter().fold(draft, |draft, (route, scope)| draft.route(route, &[scope]))
    };
    let none = Vec::<String>::new();
    assert_eq!(told(&routes(&[("GET /a/{id}", "r")]), &routes(&[("GET /a/{other}", "r")])), none);
    assert_eq!(told(&routes(&[("ANY /a", "r")]), &routes(&[("GET|POST|PUT|PATCH|DELETE /a", "r")])), none);
    assert_eq!(told(&routes(&[("GET /caf\u{e9}", "r")]), &routes(&[("GET /caf%C3%A9", "r")])), none);
    assert_eq!(
        told(&routes(&[("GET /a", "r")]), &routes(&[("POST /a", "r")])),
        ["removed - GET /a: scopes r → denied", "added + POST /a: denied → scopes r"]
    );
    assert_eq!(
        told(&routes(&[("GET /a", "r")]), &routes(&[("GET /a", "r"), ("HEAD /a", "x")])),
        ["+- HEAD /a: scopes"],
        "HEAD follows GET until it is named"
    );
    assert_eq!(
        told(&routes(&[("ANY /{*rest}", "r")]), &routes(&[("ANY /{*rest}", "r"), ("POST /a", "r")])),
        [
            "- DELETE /a: scopes r → denied",
            "- GET /a: scopes r → denied",
            "- PATCH /a: scopes r → denied",
            "added  POST /a: ",
            "- PUT /a: scopes r → denied",
        ]
    );
    assert_eq!(
        told(&routes(&[("GET /{*rest}", "r"), ("GET /a/{id}/{sub}", "x")]), &routes(&[("GET /{*rest}", "r")])),
        ["removed +- GET /a/{id}/{sub}: scopes"],
        "the wildcard takes what the removed route took"
    );
    assert_eq!(
        told(&routes(&[("GET /{*rest}", "r")]), &routes(&[("GET /{*rest}", "x"), ("GET /{id}", "r")])),
        ["+- GET /{*rest}: scopes", "added  GET /{id}: "],
        "a wildcard is looked at where nothing more specific matches"
    );
}

#[test]
fn a_difference_names_the_route_and_the_line_of_either_side() {
    let old = |draft: Draft| draft.route("GET /x", &["r"]).route("GET /a", &["r"]);
    let (old, new) = pair(&old, &|draft| draft.route("GET /a", &["x"]));
    let differences = old.differences(&new);
    let place = |label: &str, line| Some((label.to_owned(), line));
    let sides: Vec<_> = differences.into_iter().map(|difference| (difference.before, difference.after)).collect();
    assert_eq!(sides, [(place("GET /a", 2), place("GET /a", 1)), (place("GET /x", 1), None)]);
}

type Rules<'r> = &'r [(&'r str, MemberSpec)];

/// The differences of `GET /a`, which asks for `x`, between rules for `include`; no rules: the route has none.
fn of_members(old: Rules<'_>, new: Rules<'_>) -> String {
    let write = |rules: Rules<'_>| {
        let rules: Vec<(String, MemberSpec)> =
            rules.iter().map(|(member, rule)| ((*member).to_owned(), rule.clone())).collect();
        let query = if rules.is_empty() { Vec::new() } else { vec![("include".to_owned(), RuleSpec::Own(rules))] };
        move |draft: Draft| {
            let draft = draft.scope("r", &[]).scope("w", &["r"]).scope("x", &[]).scope("y", &[]);
            let draft = draft.parameter("include", (List::Comma, false));
            draft.spec(RouteSpec { query: query.clone(), access: all_of(&["x"]), ..written("GET /a") })
        }
    };
    told(&write(old), &write(new)).join(" / ").replace(" GET /a: ", " ")
}

#[test]
fn members_are_compared_beside_what_their_route_asks_for() {
    use MemberSpec::{Allow, Deny};
    let asks = |name: &str| MemberSpec::Scopes(owned(&[name]));
    let cases: [(Rules<'_>, Rules<'_>, &str); 12] = [
        (&[("l", asks("r"))], &[("l", asks("r"))], ""),
        (&[("l", asks("r"))], &[("l", asks("r")), ("m", asks("y"))], "+ include=m"),
        (&[("l", asks("r")), ("m", asks("y"))], &[("l", asks("r"))], "- include=m"),
        (&[("l", asks("r"))], &[("l", asks("w"))], "- include=l"),
        (&[("l", asks("x"))], &[("l", Allow)], ""),
        (&[("l", Allow)], &[("l", Deny)], "- include=l"),
        (&[("l", Allow)], &[], "- include=l"),
        (&[("l", asks("r"))], &[("l", asks("r")), ("*", Allow)], "+ include, any other member"),
        (&[("*", Allow)], &[("*", asks("r"))], "- include, any other member"),
        (&[("*", Allow)], &[("*", asks("x"))], ""),
        (&[(" *", Allow), ("*", Allow)], &[(" *", Allow), ("*", asks("r"))], "- include, any other member"),
        (&[("l", asks("y"))], &[("l", asks("r"))], "+- include=l"),
    ];
    for (old, new, expected) in cases {
        assert_eq!(of_members(old, new), expected, "{old:?} -> {new:?}");
    }
}

#[test]
fn a_parameter_that_is_no_longer_ruled_passes_with_any_member() {
    let rules = vec![("l".to_owned(), MemberSpec::Allow), ("m".to_owned(), MemberSpec::Deny)];
    let ruled = |shape: (List, bool)| {
        let query = vec![("include".to_owned(), RuleSpec::Own(rules.clone()))];
        move |draft: Draft| {
            draft.parameter("include", shape).spec(RouteSpec { query: query.clone(), ..written("GET /a") })
        }
    };
    let free = |draft: Draft| draft.route("GET /a", &[]);
    let comma = ruled((List::Comma, false));
    assert_eq!(told(&comma, &free), ["+ GET /a: include, any other member; include=m"]);
    assert_eq!(told(&free, &comma), ["- GET /a: include, any other member; include=m"]);
    assert_eq!(told(&comma, &ruled((List::Brackets, false))), ["+- GET /a: include"]);
    assert_eq!(told(&comma, &ruled((List::Comma, true))), ["+- GET /a: include"]);
    let bare = |shape| move |draft: Draft| draft.parameter("include", shape).route("GET /a", &[]);
    assert_eq!(told(&bare((List::Comma, false)), &bare((List::Comma, true))), Vec::<String>::new());
}

#[test]
fn bindings_are_compared_by_which_keys_pass() {
    let bound = |draft: Draft| draft.bind("account", "account").route("GET /x/{account}", &[]);
    let free = |draft: Draft| draft.route("GET /x/{account}", &[]);
    assert_eq!(told(&free, &bound), ["- GET /x/{account}: bind account"]);
    assert_eq!(told(&bound, &free), ["+ GET /x/{account}: bind account"]);
    let placed = |template: &'static str| {
        move |draft: Draft| draft.bind("account", "account").bind("owner", "owner").route(template, &[])
    };
    assert_eq!(
        told(&placed("GET /{account}/{owner}"), &placed("GET /{owner}/{account}")),
        ["+- GET /{owner}/{account}: bind account; bind owner"]
    );
    let elsewhere = |unbound: &'static [&'static str]| {
        move |draft: Draft| {
            let draft = draft.bind("account", "account").route("GET /x/{account}", &[]);
            draft.spec(RouteSpec { unbound: owned(unbound), ..written("GET /a") })
        }
    };
    assert_eq!(told(&elsewhere(&[]), &elsewhere(&["account"])), ["+ GET /a: bind account"]);
    assert_eq!(told(&elsewhere(&["account"]), &elsewhere(&[])), ["- GET /a: bind account"]);
    assert_eq!(told(&elsewhere(&[]), &elsewhere(&[])), Vec::<String>::new());
    let second = |name: &'static str| {
        move |draft: Draft| {
            let draft = draft.bind("account", "account").route("GET /x/{account}", &[]);
            draft.route(&format!("GET /{{a}}/{{{name}}}"), &[])
        }
    };
    assert_eq!(
        told(&second("account"), &second("b")),
        ["+- GET /{a}/{b}: bind account"],
        "no longer compared: refused"
    );
}

#[test]
fn a_binding_goes_by_the_place_in_the_path_whatever_its_name_there() {
    let named =
        |name: &'static str| move |draft: Draft| draft.bind("account", name).route(&format!("GET /x/{{{name}}}"), &[]);
    assert_eq!(told(&named("account"), &named("acc")), Vec::<String>::new());
}

#[test]
fn a_route_that_is_new_or_gone_is_not_said_to_be_bound_otherwise_too() {
    let bound = |draft: Draft| draft.bind("account", "account").route("GET /x/{account}", &[]);
    let both = |draft: Draft| bound(draft).route("GET /y/{account}", &[]);
    assert_eq!(told(&bound, &both), ["added + GET /y/{account}: denied → auth: key"]);
    assert_eq!(told(&both, &bound), ["removed - GET /y/{account}: auth: key → denied"]);
}

#[test]
fn where_anyone_may_call_nothing_but_that_is_compared() {
    let open = |draft: Draft| draft.bind("account", "account").open("GET /x/{account}", AccessSpec::Anyone);
    let key = |draft: Draft| draft.bind("account", "account").route("GET /x/{account}", &[]);
    let free = |draft: Draft| draft.route("GET /x/{account}", &[]);
    assert_eq!(told(&open, &free), ["- GET /x/{account}: auth: anyone → auth: key"]);
    assert_eq!(
        told(&key, &|draft| draft.open("GET /x/{account}", AccessSpec::Anyone)),
        ["+ GET /x/{account}: auth: key → auth: anyone"]
    );
}

#[test]
fn an_encoded_slash_that_is_allowed_is_a_difference() {
    let slash = |encoded_slash| move |draft: Draft| draft.spec(RouteSpec { encoded_slash, ..written("GET /x/{name}") });
    assert_eq!(told(&slash(false), &slash(true)), ["+ GET /x/{name}: encoded_slash"]);
    assert_eq!(told(&slash(true), &slash(false)), ["- GET /x/{name}: encoded_slash"]);
    assert_eq!(told(&slash(true), &slash(true)), Vec::<String>::new());
}

#[test]
fn what_holds_for_the_whole_policy_is_compared_apart() {
    let build = |case, method_override| {
        Draft::with(Options { case, method_override, ..Options::default() }).route("GET /a", &[]).finish().policy
    };
    let strict = build(PathCase::Sensitive, MethodOverride::Refuse);
    let lenient = build(PathCase::Insensitive, MethodOverride::Drop);
    let told = |old: &Policy, new: &Policy| -> Vec<String> {
        old.option_differences(new).into_iter().map(|one| format!("{} {}", way(one.shift), one.option)).collect()
    };
    assert_eq!(told(&strict, &lenient), ["+ paths.case", "+ method_override"]);
    assert_eq!(told(&lenient, &strict), ["- paths.case", "- method_override"]);
    assert_eq!(told(&strict, &strict), Vec::<String>::new());
    assert_eq!(told(&lenient, &lenient), Vec::<String>::new());
}
