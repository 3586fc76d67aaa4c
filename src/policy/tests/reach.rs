use super::super::*;
use super::support::*;

/// What a key may call: `GET /a account=acme|acme-eu include:lists|tags`.
fn told(gate: &Gate, principal: &Principal) -> Vec<String> {
    let pairs = |pairs: &[(String, Vec<String>)], sign: char| -> String {
        pairs.iter().map(|(name, values)| format!(" {name}{sign}{}", values.join("|"))).collect()
    };
    let one =
        |reach: Reach<'_>| format!("{}{}{}", reach.route.label(), pairs(&reach.bound, '='), pairs(&reach.members, ':'));
    gate.policy.reach(principal).into_iter().map(one).collect()
}

fn doors() -> Gate {
    let alternatives = vec![owned(&["admin"]), owned(&["read", "delete"])];
    Draft::new()
        .open("GET /open", AccessSpec::Anyone)
        .open("GET /closed", AccessSpec::Deny)
        .open("GET /any", AccessSpec::Key)
        .open("POST /client", AccessSpec::PublicKey)
        .route("GET /read", &["read"])
        .open("DELETE /x", AccessSpec::Scopes { all_of: owned(&["base"]), any_of: alternatives })
        .finish()
}

#[test]
fn a_key_reaches_the_routes_that_its_scopes_open() {
    let gate = doors();
    let told = |scopes: &[&str]| told(&gate, &gate.key(scopes));
    assert_eq!(told(&[]), ["GET /open", "GET /any"]);
    assert_eq!(told(&["read"]), ["GET /open", "GET /any", "GET /read"]);
    assert_eq!(told(&["base"]), ["GET /open", "GET /any"], "no alternative is held");
    assert_eq!(told(&["admin"]), ["GET /open", "GET /any"], "the scope beside the alternatives is not held");
    assert_eq!(told(&["base", "read"]), ["GET /open", "GET /any", "GET /read"], "half an alternative is none");
    assert_eq!(told(&["base", "admin"]), ["GET /open", "GET /any", "DELETE /x"]);
    assert_eq!(told(&["base", "read", "delete"]), ["GET /open", "GET /any", "GET /read", "DELETE /x"]);
}

#[test]
fn a_public_key_reaches_the_routes_for_public_keys_and_no_other_key_does() {
    let gate = doors();
    let of_kind = |kind| told(&gate, &key_with(Grant::Full).of_kind(kind));
    assert_eq!(of_kind(Kind::Public), ["GET /open", "POST /client"]);
    assert_eq!(of_kind(Kind::Secret), ["GET /open", "GET /any", "GET /read", "DELETE /x"]);
    assert_eq!(of_kind(Kind::Pair), of_kind(Kind::Secret));
}

#[test]
fn a_bound_key_reaches_what_it_is_bound_to() {
    let gate = Draft::new()
        .bind("account", "account")
        .bind("owner", "owner")
        .route("GET /accounts/{account}", &[])
        .route("GET /accounts/{account}/{owner}", &[])
        .route("GET /orders", &[])
        .spec(RouteSpec { unbound: owned(&["account"]), ..written("GET /ping") })
        .open("GET /open", AccessSpec::Anyone)
        .finish();
    let told = |account: Option<&str>, attributes: &[(&str, &str)]| {
        told(&gate, &key_bound_to(Grant::Full, account, attributes))
    };
    assert_eq!(told(None, &[]), ["GET /orders", "GET /ping", "GET /open"], "it lacks what the paths are compared with");
    assert_eq!(
        told(Some("acme"), &[("account", "acme-eu")]),
        ["GET /accounts/{account} account=acme|acme-eu", "GET /ping", "GET /open"]
    );
    assert_eq!(
        told(Some("acme"), &[("owner", "ann")]),
        ["GET /accounts/{account}/{owner} account=acme owner=ann", "GET /open"],
        "a route without a parameter for what the key is bound by is out of reach"
    );
}

#[test]
fn the_members_that_a_key_may_use_are_told_with_the_route() {
    let scopes = |name: &str| MemberSpec::Scopes(owned(&[name]));
    let include = vec![
        ("lists".to_owned(), scopes("lists:read")),
        ("tags".to_owned(), scopes("tags:read")),
        ("free".to_owned(), MemberSpec::Allow),
        ("shut".to_owned(), MemberSpec::Deny),
        ("*".to_owned(), scopes("rest:read")),
    ];
    let fields = vec![("secret".to_owned(), scopes("secret:read"))];
    let gate = Draft::new()
        .parameter("include", (List::Comma, false))
        .parameter("fields", (List::Comma, false))
        .spec(RouteSpec {
            query: vec![("include".to_owned(), RuleSpec::Own(include)), ("fields".to_owned(), RuleSpec::Own(fields))],
            ..written("GET /p")
        })
        .route("GET /bare", &[])
        .finish();
    let (route, bare) = (gate.policy.routes()[0].id(), gate.policy.routes()[1].id());
    assert!(gate.policy.rules("include") && !gate.policy.rules("other"));
    assert_eq!(gate.policy.open_members(route, "include"), ["free", "lists", "tags", "*"]);
    assert_eq!(gate.policy.open_members(bare, "include"), Vec::<String>::new());
    let asked = |member: &str| gate.policy.scopes_of_member(route, "include", member);
    assert_eq!((asked("tags"), asked("free")), (Some(owned(&["tags:read"])), Some(Vec::new())));
    assert_eq!((asked("other"), asked("shut")), (Some(owned(&["rest:read"])), None));
    let told = |scopes: &[&str]| told(&gate, &gate.key(scopes));
    assert_eq!(told(&[]), ["GET /p include:free", "GET /bare"], "a parameter without a usable member is not named");
    assert_eq!(told(&["lists:read", "rest:read"]), ["GET /p include:free|lists|*", "GET /bare"]);
    assert_eq!(told(&["secret:read"]), ["GET /p include:free fields:secret", "GET /bare"]);
}
