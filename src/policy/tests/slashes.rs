use super::super::*;
use super::support::*;

#[test]
fn an_encoded_slash_does_not_lead_past_a_route_that_servers_which_decode_it_would_find() {
    let files = RouteSpec { encoded_slash: true, ..written("GET /files/{name}") };
    let gate = Draft::new()
        .spec(RouteSpec { access: AccessSpec::Scopes { all_of: owned(&["files"]), any_of: vec![] }, ..files })
        .route("GET /files/{name}/acl", &["acl"])
        .route("GET /files/admin/{*rest}", &["acl"])
        .route("GET /files/{name}/secret/{*rest}", &["acl"])
        .route("GET /{*rest}", &["rest"])
        .finish();
    for path in ["/files/a%2Facl", "/files/admin%2Fx", "/files/a%2Fsecret%2Fx"] {
        assert_eq!(gate.ask(&format!("GET {path}"), &["files", "acl"]), "ambiguous_path", "{path}");
    }
    assert_eq!(gate.ask("GET /files/a%2Fb", &["files"]), "allow");
}

#[test]
fn no_other_escape_is_taken_for_a_slash() {
    let gate = Draft::new()
        .spec(RouteSpec { encoded_slash: true, ..written("GET /files/{name}") })
        .route("GET /files/{folder}/{name}/acl", &["acl"])
        .finish();
    for path in ["/files/x%2Fy%20acl", "/files/x%2Fy2Facl", "/files/x%2Fy%2Cacl"] {
        assert_eq!(gate.ask(&format!("GET {path}"), &[]), "allow", "{path}");
    }
    assert_eq!(gate.ask("GET /files/x%2Fy%2Facl", &["acl"]), "ambiguous_path");
}

#[test]
fn an_encoded_slash_does_not_lead_past_a_wildcard_beside_its_parameter() {
    let slash = |route: &str, scope: &str| RouteSpec {
        access: AccessSpec::Scopes { all_of: owned(&[scope]), any_of: vec![] },
        encoded_slash: true,
        ..written(route)
    };
    let gate = Draft::with(Options { base: "/api".to_owned(), ..Options::default() })
        .spec(slash("GET /fc/{id}", "fc"))
        .open("ANY /fc/{*rest}", AccessSpec::Deny)
        .spec(slash("GET|PUT /other/{id}", "other"))
        .route("GET /other/{*rest}", &["rest"])
        .spec(slash("GET /lacking/{id}", "lacking"))
        .route("PUT /lacking/{*rest}", &["lacking"])
        .spec(slash("GET /same/{id}", "same"))
        .spec(slash("GET /same/{id}/acl", "same"))
        .open("ANY /{*rest}", AccessSpec::Deny)
        .finish();
    let keys = &["fc", "other", "rest", "lacking", "same"];
    for path in ["fc/x%2Fy", "other/x%2Fy", "lacking/x%2Fy"] {
        assert_eq!(gate.ask(&format!("GET /api/{path}"), keys), "ambiguous_path", "{path}");
    }
    // What is left for every other path says no more of one than no route does.
    for path in ["same/x%2Fy", "same/x%2Facl", "same/x%2Fy/acl"] {
        assert_eq!(gate.ask(&format!("GET /api/{path}"), keys), "allow", "{path}");
    }
    assert_eq!(gate.ask("PUT /api/other/x%2Fy", keys), "ambiguous_path");
}

#[test]
fn a_url_may_stand_in_a_parameter_whose_route_allows_encoded_slashes() {
    let gate = Draft::new()
        .spec(RouteSpec { encoded_slash: true, ..written("GET /sites/{url}") })
        .spec(RouteSpec { encoded_slash: true, ..written("GET /sites/{url}/pages/{page}") })
        .route("GET /sites/x/secret/", &["secret"])
        .route("GET /plain/{id}", &[])
        .finish();
    for path in [
        "/sites/https%3A%2F%2Fx%2F",
        "/sites/https%3A%2F%2Fx.org%2Fa%2Fb%2F",
        "/sites/a%2F%2Fb",
        "/sites/a%2F",
        "/sites/sc-domain%3Ax.org/pages/https%3A%2F%2Fx%2Fy%3Fz%3D1",
        "/sites/https%3A%2F%2Fx%2F/pages/1",
    ] {
        assert_eq!(gate.ask(&format!("GET {path}"), &[]), "allow", "{path}");
    }
    for path in [
        "/sites/%2Fx",
        "/sites/%2F%2Fx.org",
        "/sites/%2F",
        "/sites/x%2Fsecret",
        "/sites/x%2F%2Fsecret%2F",
        "/sites/https%3A%2F%2F..%2Fx",
        "/sites/a%2F%2F%2E%2F",
        "/plain/https%3A%2F%2Fx%2F",
        "/sites/https:%2F%2Fx/other",
    ] {
        assert_eq!(gate.ask_full(&format!("GET {path}")), "ambiguous_path", "{path}");
    }
}

#[test]
fn an_encoded_slash_hides_no_literal_before_an_encoded_question_mark() {
    let gate = Draft::new()
        .route("GET /admin", &["admin"])
        .spec(RouteSpec { encoded_slash: true, ..written("GET /{name}") })
        .finish();
    assert_eq!(gate.ask("GET /a%2Fb%3Fc", &[]), "allow");
    for segment in ["admin%3Fa%2Fb", "admin%23%2Fb", "Admin%3fa%2fb", "%20admin.%3F%2Fb"] {
        let request = format!("GET /{segment}");
        assert_eq!(gate.ask_full(&request), "ambiguous_path", "{segment}: a server may read /admin");
        assert_eq!(gate.explain(&request, &[]).near_miss, Some(NearMiss::Spelling), "{segment}");
    }
}

#[test]
fn without_a_key_an_encoded_slash_does_not_tell_which_routes_there_are() {
    let gate = Draft::new()
        .spec(RouteSpec { encoded_slash: true, ..written("GET /files/{name}") })
        .route("GET /shut/{name}", &[])
        .open("GET /open/{name}", AccessSpec::Anyone)
        .finish();
    for path in ["/files/a%2Fb", "/shut/a%2Fb", "/none/a%2Fb", "/open/a%2Fb"] {
        assert_eq!(gate.ask_as(&format!("GET {path}"), &Caller::Anonymous), "missing_key", "{path}");
    }
    assert_eq!(gate.ask("GET /files/a%2Fb", &[]), "allow");
    for path in ["/shut/a%2Fb", "/none/a%2Fb", "/open/a%2Fb"] {
        assert_eq!(gate.ask(&format!("GET {path}"), &[]), "ambiguous_path", "{path}");
    }
    let without = Draft::new().open("GET /{name}", AccessSpec::Anyone).finish();
    assert_eq!(without.ask_as("GET /a%2Fb", &Caller::Anonymous), "ambiguous_path");
}
