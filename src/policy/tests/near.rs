use super::super::*;
use super::support::*;

/// `GET` on each template, each for the scope behind it.
fn asking(routes: &[(&str, &str)]) -> Gate {
    routes.iter().fold(Draft::new(), |draft, (route, scope)| draft.route(&format!("GET {route}"), &[*scope])).finish()
}

#[test]
fn where_all_that_may_be_meant_asks_for_the_same_it_does_not_matter_which_it_is() {
    let gate = asking(&[
        ("/versions/v1", "read"),
        ("/versions/{name}", "read"),
        ("/users/john", "read"),
        ("/users/{id}", "other"),
        ("/docs/index.html", "read"),
        ("/docs/{*page}", "read"),
        ("/%6Dore/%7Bx%7D", "read"),
        ("/m.php", "read"),
        ("/{*rest}", "read"),
    ]);
    for path in
        ["/versions/v1.2.3", "/versions/V1", "/versions/v1.", "/docs/index.js", "/m.php/x", "/%76ersions/v1", "/m.php/"]
    {
        assert_eq!(gate.ask(&format!("GET {path}"), &["read"]), "allow", "{path}");
        assert_eq!(gate.ask(&format!("GET {path}"), &[]), "insufficient_scope", "{path}");
    }
    for path in ["/users/john.doe", "/users/John", "/users/joh%6E", "/users/john/", "/users/john.doe/"] {
        assert_eq!(gate.ask(&format!("GET {path}"), &["read", "other"]), "route_not_allowed", "{path}");
    }
}

#[test]
fn everything_that_may_be_meant_counts_and_not_the_best_alone() {
    let gate = asking(&[("/a/export", "read"), ("/a/{id}/", "other"), ("/a/{*rest}", "read")]);
    for path in ["/a/Export", "/a/x"] {
        assert_eq!(
            gate.ask(&format!("GET {path}"), &["read", "other"]),
            "route_not_allowed",
            "{path}: /a/{{id}}/ is near"
        );
    }
    assert_eq!(gate.ask("GET /a/x/y", &["read"]), "allow");
    let gate = asking(&[("/a/b", "read"), ("/a/{x}", "read"), ("/{y}/b", "other")]);
    assert_eq!(gate.ask("GET /a/B", &["read"]), "allow", "what is less specific than the path's own is never meant");
}

#[test]
fn every_literal_that_a_suffix_leads_to_counts_and_not_the_first_alone() {
    let gate = asking(&[
        ("/export.json", "read"),
        ("/export.csv", "other"),
        ("/b/", "read"),
        ("/b.csv", "other"),
        ("/run.php", "read"),
        ("/run.php/", "other"),
        ("/RUN.php", "read"),
        ("/{name}", "read"),
        ("/{name}/{*rest}", "read"),
    ]);
    for path in ["/export", "/export.xml", "/b", "/run.php/x"] {
        assert_eq!(gate.ask(&format!("GET {path}"), &["read"]), "route_not_allowed", "{path}");
    }
    for (path, scope) in [("/export.json", "read"), ("/export.csv", "other"), ("/b/", "read"), ("/run.php/", "other")] {
        assert_eq!(gate.ask(&format!("GET {path}"), &[scope]), "allow", "{path}");
    }
}

/// Whether a key that holds everything may call `/acme/Me`, where `/{tenant}/me` is changed in one thing from what
/// `/{tenant}/{id}` says.
fn with_another(change: impl Fn(&mut RouteSpec)) -> &'static str {
    let rule = vec![("lists".to_owned(), MemberSpec::Scopes(owned(&["lists"]))), ("*".to_owned(), MemberSpec::Allow)];
    let own = RouteSpec {
        access: AccessSpec::Scopes { all_of: owned(&["a"]), any_of: vec![owned(&["b"]), owned(&["c", "d"])] },
        query: vec![("include".to_owned(), RuleSpec::Own(rule))],
        ..written("GET /{tenant}/{id}")
    };
    let mut near = RouteSpec { template: "/{tenant}/me".to_owned(), ..own.clone() };
    change(&mut near);
    let draft = Draft::new().bind("account", "tenant").bind("team", "team").parameter("include", (List::Comma, false));
    let gate = draft.spec(own).spec(near).route("GET /teams/{tenant}/{team}/x", &[]).finish();
    let key = key_with(Grant::Full).of_account("acme");
    gate.ask_as("GET /acme/Me?include=lists", &Caller::Known(&key))
}

#[test]
fn routes_ask_for_the_same_where_they_differ_in_nothing_that_a_request_can_feel() {
    let scopes = |all_of: &[&str], any_of: &[&[&str]]| AccessSpec::Scopes {
        all_of: owned(all_of),
        any_of: any_of.iter().map(|names| owned(names)).collect(),
    };
    let ruled = |member: &str, rule: MemberSpec| {
        let rules = vec![(member.to_owned(), rule), ("*".to_owned(), MemberSpec::Allow)];
        vec![("include".to_owned(), RuleSpec::Own(rules))]
    };
    assert_eq!(with_another(|_| ()), "allow");
    assert_eq!(with_another(|near| near.access = scopes(&["a", "a"], &[&["b"], &["d", "c"]])), "allow");
    let changes: [(&str, Change<'_>); 15] = [
        ("access", &|near| (near.access, near.query) = (AccessSpec::Deny, Vec::new())),
        ("access", &|near| (near.access, near.query) = (AccessSpec::Anyone, Vec::new())),
        ("access", &|near| near.access = AccessSpec::Key),
        ("all_of", &|near| near.access = scopes(&["a", "b"], &[&["b"], &["c", "d"]])),
        ("any_of", &|near| near.access = scopes(&["a"], &[&["b"]])),
        ("any_of", &|near| near.access = scopes(&["a"], &[])),
        ("rules", &|near| near.query = Vec::new()),
        ("scope of a member", &|near| near.query = ruled("lists", MemberSpec::Allow)),
        ("members", &|near| near.query = ruled("tags", MemberSpec::Scopes(owned(&["lists"])))),
        ("rest", &|near| near.query.iter_mut().for_each(without_rest)),
        ("credential", &|near| near.credential = Some("other".to_owned())),
        ("encoded_slash", &|near| near.encoded_slash = true),
        ("upgrade", &|near| near.upgrade = Some(Upgrade::WebSocket)),
        ("unbound", &|near| near.unbound = owned(&["team"])),
        ("binding", &|near| near.template = "/{other}/me".to_owned()),
    ];
    for (what, change) in changes {
        assert_ne!(with_another(change), "allow", "{what}");
    }
}

type Change<'c> = &'c dyn Fn(&mut RouteSpec);

fn without_rest((_, rule): &mut (String, RuleSpec)) {
    if let RuleSpec::Own(members) = rule {
        members.retain(|(member, _)| member != "*");
    }
}

#[test]
fn a_route_that_lacks_the_method_asks_for_more_than_any_other() {
    let gate = Draft::new().route("PUT /a/me", &["read"]).route("GET|PUT /a/{id}", &["read"]).finish();
    assert_eq!(gate.ask("PUT /a/Me", &["read"]), "allow");
    assert_eq!(gate.ask("GET /a/Me", &["read"]), "route_not_allowed");
}

#[test]
fn what_a_wildcard_behind_a_near_literal_takes_is_not_its_own() {
    let gate = asking(&[("/admin/{*rest}", "admin"), ("/{*rest}", "rest")]);
    for path in ["/Admin/x", "/admin%20/x/y"] {
        assert_eq!(gate.ask(&format!("GET {path}"), &["admin", "rest"]), "route_not_allowed", "{path}");
    }
}

#[test]
fn an_explanation_tells_the_route_that_was_taken_among_those_that_may_be_meant() {
    let gate = asking(&[("/a/export", "read"), ("/a/{id}", "read")]);
    let explained = gate.explain("GET /a/Export", &["read"]);
    let told: Vec<(&str, bool, Option<NearMiss>)> =
        explained.candidates.iter().map(|one| (&*one.template, one.chosen, one.near_miss)).collect();
    assert_eq!(told, [("/a/export", false, None), ("/a/{id}", true, None)]);
    assert_eq!((explained.near_miss, explained.trace.route.as_deref()), (None, Some("GET /a/{id}")));
    let lacking = gate.explain("PUT /a/x", &[]);
    assert!(lacking.candidates.iter().any(|one| one.template == "/a/{id}" && one.chosen));
}

#[test]
fn a_literal_that_leads_nowhere_is_not_meant() {
    let gate = asking(&[("/users/me/keys", "keys"), ("/users/{id}/orders", "orders")]);
    assert_eq!(gate.ask("GET /users/me/orders", &["orders"]), "allow");
    assert_eq!(gate.ask("GET /users/Me/orders", &["orders"]), "allow");
    assert_eq!(gate.ask("GET /users/Me/keys", &["orders", "keys"]), "route_not_allowed");
}

#[test]
fn what_stands_behind_a_script_is_the_scripts() {
    let gate = asking(&[
        ("/admin.php", "admin"),
        ("/list.PHP8/", "admin"),
        ("/shop/cart.aspx", "cart"),
        ("/shop/cart.aspx/{item}", "item"),
        ("/shop/{name}/{*rest}", "shop"),
        ("/readme.txt", "read"),
        ("/.php", "read"),
        ("/{*rest}", "rest"),
    ]);
    let keys = &["admin", "cart", "item", "shop", "read", "rest"];
    for path in [
        "/admin.php/x",
        "/admin.php/x/y/",
        "/Admin.php/x",
        "/admin%2Ephp/x",
        "/admin.php%20/x",
        "/list.php8/x",
        "/list.PHP8/x",
        "/shop/cart.aspx/1/2",
        "/shop/Cart.aspx/1/2",
    ] {
        assert_eq!(gate.ask(&format!("GET {path}"), keys), "route_not_allowed", "{path}");
    }
    let explained = gate.explain("GET /admin.php/x", keys);
    assert_eq!(explained.near_miss, Some(NearMiss::PathInfo));
    let templates: Vec<&str> = explained.candidates.iter().map(|candidate| &*candidate.template).collect();
    assert_eq!(templates, ["/admin.php", "/{*rest}"]);
    for (path, scope) in [
        ("/admin.php", "admin"),
        ("/shop/cart.aspx/1", "item"),
        ("/readme.txt/x", "rest"),
        ("/.php/x", "rest"),
        ("/other.php/x", "rest"),
        ("/admin.phpx/x", "rest"),
    ] {
        assert_eq!(gate.ask(&format!("GET {path}"), &[scope]), "allow", "{path}");
    }
}

#[test]
fn blanks_of_any_script_at_the_ends_of_a_segment_make_no_literal_a_parameter() {
    let gate = asking(&[("/a/admin", "admin"), ("/a/caf%C3%A9", "admin"), ("/a/{id}", "id")]);
    for blank in [
        "%C2%A0",
        "%E3%80%80",
        "%EF%BB%BF",
        "%E2%80%8B",
        "%E2%80%8D",
        "%E2%81%A0",
        "%C2%AD",
        "%E1%A0%8E",
        "%E2%80%AE",
        "%F3%A0%80%A1",
        "%EF%B8%8F",
        "%C2%85",
    ] {
        for path in [
            format!("/a/admin{blank}"),
            format!("/a/{blank}admin"),
            format!("/a/{blank}%20Admin{blank}.{blank}"),
            format!("/a/caf%C3%A9{blank}"),
        ] {
            assert_eq!(gate.ask(&format!("GET {path}"), &["admin", "id"]), "route_not_allowed", "{path}");
        }
        for path in [format!("/a/ad{blank}min"), format!("/a/{blank}x{blank}")] {
            assert_eq!(gate.ask(&format!("GET {path}"), &["id"]), "allow", "{path}");
        }
        for path in [format!("/a/{blank}"), format!("/a/..{blank}"), format!("/a/{blank}./x"), format!("/{blank}%20.")]
        {
            assert_eq!(gate.ask(&format!("GET {path}"), &["id"]), "ambiguous_path", "{path}");
        }
    }
    assert_eq!(gate.ask("GET /a/%E4%B8%AD", &["id"]), "allow");
}

#[test]
fn where_anyone_may_call_both_it_does_not_matter_which_is_meant() {
    let gate = Draft::new()
        .open("GET /index.html", AccessSpec::Anyone)
        .open("GET /about", AccessSpec::Anyone)
        .open("GET /public/{*rest}", AccessSpec::Anyone)
        .open("GET /{*asset}", AccessSpec::Anyone)
        .route("GET /admin", &["admin"])
        .route("GET /{tenant}/{id}", &["tenant"])
        .finish();
    for path in ["/index.js", "/about/", "/About", "/about.json"] {
        assert_eq!(gate.ask(&format!("GET {path}"), &[]), "allow", "{path}");
    }
    for path in ["/admin/", "/Admin", "/admin.json", "/%70ublic/5"] {
        assert_eq!(gate.ask(&format!("GET {path}"), &["admin", "tenant"]), "route_not_allowed", "{path}");
    }
}

#[test]
fn a_sign_that_clients_encode_leaves_a_literal_what_it_is() {
    let gate = Draft::new().route("GET /odata/$metadata", &["metadata"]).route("GET /odata/{set}", &["set"]).finish();
    assert_eq!(gate.ask("GET /odata/%24metadata", &["metadata"]), "allow");
    assert_eq!(gate.ask("GET /odata/%24metadat%61", &["metadata", "set"]), "route_not_allowed");
}

/// A segment that can resemble nothing is not looked for among literals that resemble others. That it can be none is told by its
/// bytes, and asserted by the look itself in this build.
#[test]
fn no_segment_is_passed_over_that_a_server_may_take_for_a_literal() {
    const PIECES: [&str; 12] =
        ["a", "A", "b", ".", "%2e", "%20", "%61", "json", "%c3%89", "%c3%a9", "php", "%e2%80%a8"];
    let gate = asking(&[
        ("/a", "a"),
        ("/a.json", "b"),
        ("/a/", "c"),
        ("/b.a.php", "d"),
        ("/%C3%A9", "e"),
        ("/%C3%A9.json", "f"),
        ("/{x}", "x"),
        ("/{x}/{*rest}", "y"),
    ]);
    let mut near = 0;
    for number in 0..PIECES.len().pow(3) {
        let piece = |place: u32| PIECES[number / PIECES.len().pow(place) % PIECES.len()];
        let segment = [piece(0), piece(1), piece(2)].concat();
        near += usize::from(gate.ask(&format!("GET /{segment}"), &["x"]) == "route_not_allowed");
    }
    assert!(near > 100, "{near} of them are taken for a literal");
}
