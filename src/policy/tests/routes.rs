use super::super::*;
use super::support::*;

fn overlapping() -> Gate {
    Draft::new()
        .route("GET /a/b/c", &["literal"])
        .route("GET /a/{x}/c", &["parameter"])
        .route("GET /a/{*rest}", &["wildcard"])
        .route("POST /a/b/{y}", &["post"])
        .finish()
}

#[test]
fn a_plain_route_asks_for_its_scopes() {
    let gate = Draft::with(Options { base: "/api".to_owned(), ..Options::default() })
        .route("GET /profiles", &["profiles:read"])
        .finish();
    assert_eq!(gate.ask("GET /api/profiles", &["profiles:read"]), "allow");
    assert_eq!(gate.ask("GET /api/profiles", &["lists:read"]), "insufficient_scope");
    assert_eq!(gate.ask("GET /profiles", &["profiles:read"]), "route_not_allowed");
    assert_eq!(gate.label("GET /api/profiles").as_deref(), Some("GET /api/profiles"));
}

#[test]
fn a_literal_beats_a_parameter_and_a_parameter_a_wildcard() {
    let gate = overlapping();
    assert_eq!(gate.label("GET /a/b/c").as_deref(), Some("GET /a/b/c"));
    assert_eq!(gate.label("GET /a/z/c").as_deref(), Some("GET /a/{x}/c"));
    assert_eq!(gate.label("GET /a/z/d").as_deref(), Some("GET /a/{*rest}"));
    assert_eq!(gate.label("GET /a/z").as_deref(), Some("GET /a/{*rest}"));
}

#[test]
fn a_dead_end_goes_back_to_the_next_best_template() {
    let gate = overlapping();
    assert_eq!(gate.label("GET /a/b/c/d").as_deref(), Some("GET /a/{*rest}"));
}

#[test]
fn the_path_chooses_before_the_method() {
    let gate = overlapping();
    // `POST /a/b/{y}` is more specific than the wildcard and lacks GET.
    assert_eq!(gate.ask("GET /a/b/z", &["wildcard"]), "route_not_allowed");
}

#[test]
fn a_named_method_beats_any_and_head_follows_get_unless_named() {
    let gate = Draft::new()
        .route("ANY /a", &["all"])
        .route("GET /a", &["get"])
        .route("HEAD /b", &["head"])
        .route("GET /b", &["get"])
        .route("ANY /c", &["all"])
        .finish();
    assert_eq!(gate.label("GET /a").as_deref(), Some("GET /a"));
    assert_eq!(gate.label("HEAD /a").as_deref(), Some("GET /a"));
    assert_eq!(gate.label("DELETE /a").as_deref(), Some("ANY /a"));
    assert_eq!(gate.label("HEAD /b").as_deref(), Some("HEAD /b"));
    assert_eq!(gate.label("HEAD /c").as_deref(), Some("ANY /c"));
}

#[test]
fn any_is_five_methods_and_not_options_trace_connect_or_lower_case() {
    let gate = Draft::new().route("ANY /a", &[]).route("OPTIONS /b", &[]).finish();
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] {
        assert_eq!(gate.ask(&format!("{method} /a"), &[]), "allow", "{method}");
    }
    for method in ["OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND", "ANY"] {
        assert_eq!(gate.ask(&format!("{method} /a"), &[]), "route_not_allowed", "{method}");
    }
    assert_eq!(gate.ask("OPTIONS /b", &[]), "allow");
    assert_eq!(gate.ask("OPTIONS *", &[]), "route_not_allowed");
    assert_eq!(gate.ask("CONNECT example.com:443", &[]), "route_not_allowed");
}

#[test]
fn a_final_slash_is_one_path_and_its_absence_another() {
    let gate = Draft::new().route("GET /a", &["a"]).route("GET /b/", &["b"]).route("GET /c/{id}/", &["c"]).finish();
    assert_eq!(gate.ask("GET /a/", &["a"]), "route_not_allowed");
    assert_eq!(gate.ask("GET /b", &["b"]), "route_not_allowed");
    assert_eq!(gate.ask("GET /b/", &["b"]), "allow");
    assert_eq!(gate.ask("GET /c/1/", &["c"]), "allow");
    assert_eq!(gate.ask("GET /c/1", &["c"]), "route_not_allowed");
    assert_eq!(gate.ask("GET /c/", &["c"]), "route_not_allowed");
}

#[test]
fn a_path_that_differs_from_a_template_by_its_final_slash_is_never_taken_by_a_less_specific_one() {
    let gate = Draft::new()
        .open("GET /admin", AccessSpec::Deny)
        .route("GET /admin/export", &["export"])
        .route("GET /reports/", &["reports"])
        .route("GET /both", &["both"])
        .route("GET /both/", &["slash"])
        .route("GET /users/{id}", &["user"])
        .route("GET /files/{*rest}", &["files"])
        .route("GET /{*rest}", &["rest"])
        .finish();
    let keys = &["export", "reports", "both", "slash", "user", "files", "rest"];
    for path in ["/admin/", "/admin/export/", "/reports", "/users/1/"] {
        assert_eq!(gate.ask(&format!("GET {path}"), keys), "route_not_allowed", "{path}");
        assert_eq!(gate.explain(&format!("GET {path}"), keys).near_miss, Some(NearMiss::FinalSlash), "{path}");
    }
    for (path, scope) in [("/both", "both"), ("/both/", "slash"), ("/reports/", "reports"), ("/files/x/", "files")] {
        assert_eq!(gate.ask(&format!("GET {path}"), &[scope]), "allow", "{path}");
    }
    assert_eq!(gate.ask("GET /other/", &["rest"]), "allow");
}

#[test]
fn a_literal_that_is_encoded_without_need_is_not_another_routes_parameter() {
    let gate = Draft::new()
        .open("GET /users/me", AccessSpec::Key)
        .route("GET /users/{id}", &["users"])
        .open("GET /public/{*rest}", AccessSpec::Anyone)
        .route("GET /{tenant}/{id}", &["tenant"])
        .route("GET /alone/report", &["report"])
        .route("GET /caf%C3%A9/menu", &["menu"])
        .finish();
    let keys = &["users", "tenant", "report", "menu"];
    for path in ["/users/%6De", "/%70ublic/5", "/users/m%65", "/alone/%72eport", "/%61lone/report"] {
        assert_eq!(gate.ask(&format!("GET {path}"), keys), "route_not_allowed", "{path}");
        assert_eq!(gate.explain(&format!("GET {path}"), keys).near_miss, Some(NearMiss::Encoding), "{path}");
    }
    for path in ["/users/%24me", "/users/a%40b.org", "/users/me", "/caf%c3%a9/menu", "/public/%70"] {
        assert_eq!(gate.ask(&format!("GET {path}"), keys), "allow", "{path}");
    }
}

#[test]
fn what_is_encoded_without_need_is_no_route_where_only_its_literal_is_written() {
    let gate = Draft::new().route("GET /users/me", &["me"]).route("GET /x/{id}", &["x"]).finish();
    assert_eq!(gate.ask("GET /users/%6De", &["me"]), "route_not_allowed", "it may be /users/:id, which nobody wrote");
    assert_eq!(gate.explain("GET /users/%6De", &["me"]).near_miss, Some(NearMiss::Encoding));
    assert_eq!(gate.ask("GET /x/%61%2D%5F%2E", &["x"]), "allow", "a parameter is decoded by all");
    assert_eq!(gate.explain("PUT /x/%61", &["x"]).near_miss, None, "it is the method that is wrong");
}

#[test]
fn a_format_suffix_does_not_lead_past_a_route() {
    let gate = Draft::new()
        .route("GET /things/export", &["export"])
        .route("GET /things/count.json", &["count"])
        .route("GET /things/v1.0", &["version"])
        .route("GET /things/me/keys", &["keys"])
        .route("GET /things/a-rather-long-name", &["export"])
        .route("GET /things/{id}", &["thing"])
        .route("GET /reports", &["reports"])
        .route("GET /slashed/", &["reports"])
        .route("GET /slashed/{id}", &["thing"])
        .route("GET /{*rest}", &["rest"])
        .finish();
    let keys = &["export", "count", "version", "keys", "thing", "reports", "rest"];
    for path in [
        "/things/export.json",
        "/things/EXPORT.Json",
        "/things/export%2Ejson",
        "/things/export.7",
        "/things/export.json/",
        "/things/export.json.",
        "/things/count",
        "/things/count.xml",
        "/things/v1.0.json",
        "/reports.csv",
        "/things/export.tar.gz",
        "/things/export.a%2Eb",
        "/slashed/.json",
        "/things/a-rather-long-name.json",
        "/things/A-RATHER-LONG-NAME%2Ejson",
    ] {
        assert_eq!(gate.ask(&format!("GET {path}"), keys), "route_not_allowed", "{path}");
        let explained = gate.explain(&format!("GET {path}"), keys);
        assert_eq!(explained.near_miss, Some(NearMiss::FormatSuffix), "{path}");
    }
    for (path, scope) in [
        ("/things/count.json", "count"),
        ("/things/v1.1", "thing"),
        ("/things/v1", "thing"),
        ("/things/17.json", "thing"),
        ("/things/me.json", "thing"),
        ("/things/exported.json", "thing"),
        ("/reports.csv/1", "rest"),
        ("/slashed/.well-known", "thing"),
    ] {
        assert_eq!(gate.ask(&format!("GET {path}"), &[scope]), "allow", "{path}");
    }
}

#[test]
fn what_careless_servers_take_off_a_segment_does_not_make_a_literal_a_parameter() {
    let gate = Draft::new()
        .route("GET /a/admin", &["admin"])
        .route("GET /a/v1.", &["dot"])
        .route("GET /a/{id}", &["id"])
        .finish();
    for segment in [
        "admin%20",
        "admin.",
        "admin%2e",
        "admin..",
        "%20admin",
        "Admin%20.",
        "admin%3Fx",
        "admin%23x",
        "v1",
        "admin%3f.%20",
    ] {
        let asked = format!("GET /a/{segment}");
        assert_eq!(gate.ask(&asked, &["id", "admin", "dot"]), "route_not_allowed", "{segment}");
    }
    assert_eq!(gate.ask("GET /a/v1.", &["dot"]), "allow");
    for segment in ["admin%20x", "b.", "%20b", "b%3Fadmin", "a%40b.org", "%24custom%3A%3A%3Aid"] {
        assert_eq!(gate.ask(&format!("GET /a/{segment}"), &["id"]), "allow", "{segment}");
    }
}

#[test]
fn segments_that_other_routers_read_as_parameters_are_told() {
    let mut draft = Draft::with(Options { base: "/:tenant".to_owned(), ..Options::default() });
    draft.try_spec(written("GET|POST /x/:id")).unwrap();
    let gate = draft.route("GET /text:plain/a:/%3Aid/:1/:", &[]).route("GET /y/:_z/{id}", &[]).finish();
    let told = gate.policy.colon_segments();
    let told: Vec<(usize, &str)> = told.iter().map(|colon| (colon.route.index(), &*colon.segment)).collect();
    assert_eq!(told, [(0, ":tenant"), (0, ":id"), (3, ":_z")]);
}

#[test]
fn the_root_needs_its_own_route() {
    let without = Draft::new().route("ANY /{*rest}", &[]).finish();
    assert_eq!(without.ask("GET /", &[]), "route_not_allowed");
    let with = Draft::new().route("GET /", &[]).finish();
    assert_eq!(with.ask("GET /", &[]), "allow");
    assert_eq!(with.ask("GET http://host", &[]), "allow");
}

#[test]
fn a_wildcard_is_one_or_more_segments_with_or_without_a_final_slash() {
    let gate = Draft::new().route("GET /a/{*rest}", &[]).finish();
    for path in ["/a/b", "/a/b/", "/a/b/c", "/a/b/c/"] {
        assert_eq!(gate.ask(&format!("GET {path}"), &[]), "allow", "{path}");
    }
    for path in ["/a", "/a/"] {
        assert_eq!(gate.ask(&format!("GET {path}"), &[]), "route_not_allowed", "{path}");
    }
}

#[test]
fn a_segment_that_is_a_sibling_literal_but_for_case_matches_neither_parameter_nor_wildcard() {
    let gate = Draft::new()
        .route("GET /a/admin", &["admin"])
        .route("GET /a/{id}", &["id"])
        .route("GET /b/admin/x", &["admin"])
        .route("GET /b/{*rest}", &["rest"])
        .finish();
    for request in ["GET /a/Admin", "GET /a/%41dmin", "GET /b/ADMIN/x"] {
        assert_eq!(gate.ask(request, &["id", "rest", "admin"]), "route_not_allowed", "{request}");
    }
    for request in ["GET /b/Admin", "GET /b/adMin/y"] {
        assert_eq!(gate.ask(request, &["rest"]), "allow", "{request} is the wildcard's in small letters, too");
    }
    assert_eq!(gate.ask("GET /a/administrator", &["id"]), "allow");
}

#[test]
fn letter_case_never_leads_from_a_more_specific_template_to_a_less_specific_one() {
    let gate = Draft::new()
        .route("GET /a/b/secret", &["secret"])
        .route("GET /a/{x}/{y}", &["pair"])
        .route("GET /c/d/secret", &["secret"])
        .route("GET /c/{*rest}", &["rest"])
        .finish();
    let keys = &["pair", "rest", "secret"];
    assert_eq!(gate.ask("GET /a/b/SECRET", keys), "route_not_allowed");
    assert_eq!(gate.ask("GET /c/d/Secret", keys), "route_not_allowed");
    assert_eq!(gate.ask("GET /a/b/other", keys), "allow");
    assert_eq!(gate.explain("GET /a/b/SECRET", keys).near_miss, Some(NearMiss::Spelling));
}

#[test]
fn letter_case_never_leads_from_a_blocked_template_to_a_less_specific_one() {
    let gate = Draft::new()
        .open("GET /{p}/{*rest}", AccessSpec::Deny)
        .route("GET /{p}/a", &[])
        .route("GET /{*all}", &[])
        .finish();
    assert_eq!(gate.ask("GET /x/a/y", &[]), "route_not_allowed");
    assert_eq!(gate.ask("GET /x/A/y", &[]), "route_not_allowed");
}

#[test]
fn letters_that_some_servers_fold_into_ascii_count_as_letter_case() {
    let gate = Draft::new()
        .route("GET /a/sink", &["sink"])
        .route("GET /a/caf%C3%A9", &["cafe"])
        .route("GET /a/{id}", &["id"])
        .finish();
    // U+017F is a long s, U+212A the Kelvin sign; `É` is the capital of `é`.
    for segment in ["%C5%BFink", "sin%E2%84%AA", "CAF%C3%89"] {
        assert_eq!(gate.ask(&format!("GET /a/{segment}"), &["id", "sink"]), "route_not_allowed", "{segment}");
    }
    assert_eq!(gate.ask("GET /a/caf%c3%a9", &["cafe"]), "allow");
    for segment in ["%C4%B1d", "%C4%B0d"] {
        let gate = Draft::new().route("GET /id", &["id"]).route("GET /{x}", &["x"]).finish();
        assert_eq!(gate.ask(&format!("GET /{segment}"), &["id", "x"]), "route_not_allowed", "{segment}");
    }
}

#[test]
fn an_insensitive_policy_matches_ascii_letters_of_literals_in_either_case() {
    let options = Options { case: PathCase::Insensitive, ..Options::default() };
    let gate = Draft::with(options).route("GET /Users/me", &["me"]).route("GET /users/{id}", &["id"]).finish();
    assert_eq!(gate.ask("GET /USERS/Me", &["me"]), "allow");
    assert_eq!(gate.ask("GET /uSERS/17", &["id"]), "allow");
}

#[test]
fn literals_are_compared_after_decoding() {
    let gate = Draft::new().route("GET /%24metrics/a%20b", &[]).finish();
    assert_eq!(gate.ask("GET /$metrics/a%20b", &[]), "allow");
    assert_eq!(gate.ask("GET /%24metrics/a%20b", &[]), "allow");
}

#[test]
fn a_route_with_several_methods_is_one_route_each() {
    let mut draft = Draft::new();
    let ids = draft.try_spec(written("POST|PATCH /a/{id}")).unwrap();
    let policy = draft.finish().policy;
    let labels: Vec<&str> = ids.iter().map(|id| policy.route(*id).unwrap().label()).collect();
    assert_eq!(labels, ["POST /a/{id}", "PATCH /a/{id}"]);
    assert!(policy.routes().iter().enumerate().all(|(at, route)| route.id().index() == at));
}

#[test]
fn what_a_route_says_of_credential_and_upgrade_is_kept() {
    let gate = Draft::new()
        .spec(RouteSpec {
            credential: Some("sms".to_owned()),
            upgrade: Some(Upgrade::WebSocket),
            ..written("GET /live")
        })
        .finish();
    let route = &gate.policy.routes()[0];
    assert_eq!((route.credential(), route.upgrade()), (Some("sms"), Some(Upgrade::WebSocket)));
    assert_eq!(Upgrade::WebSocket.as_str(), "websocket");
    assert_eq!((route.line(), route.method(), route.template()), (1, Method::Get, "/live"));
    let access = [AccessSpec::Anyone, AccessSpec::Deny, AccessSpec::Key, AccessSpec::PublicKey].map(|access| {
        let gate = Draft::new().open("GET /a", access).finish();
        gate.policy.routes()[0].access().as_str()
    });
    assert_eq!(access, [Some("anyone"), Some("deny"), Some("key"), Some("public-key")]);
    let gate = Draft::new().route("GET /a", &["a", "b"]).finish();
    let route = &gate.policy.routes()[0];
    assert_eq!((route.access(), route.access().as_str()), (Access::Scopes, None));
    assert_eq!(gate.policy.names(&route.requirement().all_of), ["a", "b"]);
}

#[test]
fn a_segment_is_found_whether_its_bytes_are_hashed_at_once_or_one_by_one() {
    let literals = ["a", "abcdefg", "abcdefgh", "ABCDEFGHI", "@[`^", "Az-Zz_0123456789.~!$&'()+,=:@"];
    for literal in literals {
        let gate = Draft::new().route(&format!("GET /{literal}"), &[]).finish();
        let encoded: String = literal.bytes().map(|byte| format!("%{byte:02x}")).collect();
        assert_eq!(gate.ask(&format!("GET /{literal}"), &[]), "allow", "{literal}");
        let explained = gate.explain(&format!("GET /{encoded}"), &[]);
        assert!(explained.candidates.len() == 1 && explained.segments == [literal], "{literal}");
    }
}

#[test]
fn every_one_of_many_routes_is_found() {
    let mut draft = Draft::new();
    for at in 0..3000 {
        draft = draft.route(&format!("GET /r{at}/{{id}}/x{}", at % 7), &[]);
    }
    let gate = draft.finish();
    for at in 0..3000 {
        let label = gate.label(&format!("GET /r{at}/1/x{}", at % 7));
        assert_eq!(label, Some(format!("GET /r{at}/{{id}}/x{}", at % 7)));
    }
    assert_eq!(gate.label("GET /r3000/1/x4"), None);
}

#[test]
fn pairs_where_the_more_specific_template_lacks_a_method_are_told() {
    let gate = Draft::new()
        .route("GET /a/b", &[])
        .route("GET|DELETE /a/{id}", &[])
        .route("POST /a/{*rest}", &[])
        .route("GET /c/{x}", &[])
        .route("POST /{y}/d", &[])
        .open("ANY /{*all}", AccessSpec::Deny)
        .route("GET /a/b/", &[])
        .finish();
    let label = |id: RouteId| gate.policy.route(id).unwrap().label();
    let told: Vec<String> = gate
        .policy
        .shadows()
        .iter()
        .map(|shadow| format!("{} > {}: {}", label(shadow.chosen), label(shadow.beaten), shadow.methods.join(" ")))
        .collect();
    let expected = [
        "GET /a/b > DELETE /a/{id}: DELETE",
        "GET /a/b > POST /a/{*rest}: POST",
        "GET /a/{id} > POST /a/{*rest}: POST",
        "GET /a/{id} > POST /{y}/d: POST",
        "GET /c/{x} > POST /{y}/d: POST",
        "GET /a/b/ > POST /a/{*rest}: POST",
    ];
    assert_eq!(told, expected);
}
