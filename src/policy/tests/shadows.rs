use super::super::*;
use super::support::*;

/// Each pair as `POST /chosen > GET /beaten: METHODS`.
fn told(base: &str, routes: &[&str]) -> Vec<String> {
    let draft = Draft::with(Options { base: base.to_owned(), ..Options::default() });
    let policy = routes.iter().fold(draft, |draft, route| draft.route(route, &[])).finish().policy;
    let label = |id: RouteId| policy.route(id).unwrap().label();
    let one =
        |shadow: &Shadow| format!("{} > {}: {}", label(shadow.chosen), label(shadow.beaten), shadow.methods.join(" "));
    policy.shadows().iter().map(one).collect()
}

#[test]
fn a_wildcard_behind_a_literal_beats_longer_templates_behind_a_parameter() {
    assert_eq!(
        told("", &["GET /a/{*rest}", "POST /{p}/b/c"]),
        ["GET /a/{*rest} > POST /{p}/b/c: POST"],
        "/a/b/c goes to the wildcard"
    );
}

#[test]
fn the_first_segment_in_which_two_templates_differ_decides_which_is_chosen() {
    assert_eq!(told("", &["GET /x/{p}/b", "POST /x/a/{y}"]), ["POST /x/a/{y} > GET /x/{p}/b: GET HEAD"]);
    assert_eq!(told("", &["GET /x/b", "POST /x/a", "PUT /y/b"]), Vec::<String>::new(), "no path is both");
    assert_eq!(told("", &["GET /x/a", "POST /x/{p}/b", "POST /x/{p}/"]), Vec::<String>::new(), "nor of two lengths");
}

#[test]
fn a_base_changes_nothing_of_it() {
    for base in ["", "/api", "/v1/{tenant}"] {
        let routes = ["GET /a/b", "POST /a/{x}", "PUT /{y}/b"];
        let expected = [
            format!("GET {base}/a/b > POST {base}/a/{{x}}: POST"),
            format!("GET {base}/a/b > PUT {base}/{{y}}/b: PUT"),
            format!("POST {base}/a/{{x}} > PUT {base}/{{y}}/b: PUT"),
        ];
        assert_eq!(told(base, &routes), expected);
    }
}

/// Each wildcard as `GET /a/{*rest}: /a goes to GET /{x}`.
fn bare(routes: &[(&str, AccessSpec)]) -> Vec<String> {
    let open = |draft: Draft, (route, access): &(&str, AccessSpec)| draft.open(route, access.clone());
    let policy = routes.iter().fold(Draft::new(), open).finish().policy;
    let label = |id: RouteId| policy.route(id).unwrap().label();
    let one = |bare: BarePrefix| format!("{}: {} goes to {}", label(bare.wildcard), bare.path, label(bare.taker));
    policy.bare_prefixes().into_iter().map(one).collect()
}

#[test]
fn a_wildcard_whose_own_prefix_goes_to_another_template_is_told() {
    use AccessSpec::{Deny, Key};
    let none = Vec::<String>::new();
    assert_eq!(
        bare(&[("GET /internal/{*rest}", Key), ("GET /{name}", Key)]),
        ["GET /internal/{*rest}: /internal goes to GET /{name}"]
    );
    assert_eq!(
        bare(&[("GET /{name}/", Key), ("GET /internal/{*rest}", Key)]),
        ["GET /internal/{*rest}: /internal/ goes to GET /{name}/"]
    );
    assert_eq!(
        bare(&[("GET /{*all}", Key), ("GET /{a}/x/{*rest}", Key), ("GET /y/{*rest}", Key)]),
        ["GET /{a}/x/{*rest}: /{a}/x goes to GET /{*all}", "GET /y/{*rest}: /y goes to GET /{*all}"]
    );
    for own in ["GET /internal", "POST /internal", "GET /internal/"] {
        let routes = [("GET /internal/{*rest}", Key), (own, Key), ("GET /{name}", Key), ("GET /{name}/", Key)];
        assert_eq!(bare(&routes), none, "{own}: the prefix has a route of its own");
    }
    assert_eq!(bare(&[("GET /{a}/x/{*rest}", Key), ("GET /{b}/x", Key), ("GET /{b}/{c}", Key)]), none);
    assert_eq!(bare(&[("GET /internal/{*rest}", Key), ("GET /{name}", Deny)]), none, "a closed route takes nothing");
    assert_eq!(
        bare(&[("GET /internal/{*rest}", Key), ("DELETE /{name}", Deny), ("GET /{name}", Key)]),
        ["GET /internal/{*rest}: /internal goes to GET /{name}"]
    );
    assert_eq!(bare(&[("GET /{x}/{*rest}", Key), ("GET /{name}", Key)]), none, "no literal stands before the wildcard");
    assert_eq!(bare(&[("GET /internal/{*rest}", Key), ("GET /other", Key)]), none);
}
