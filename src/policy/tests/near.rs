use super::super::*;
use super::support::Draft;

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
