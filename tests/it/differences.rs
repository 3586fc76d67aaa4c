//! `scopegate diff`: what a new policy loosens and tightens, by what it means and not by how it is written.

use std::fs;

use tempfile::TempDir;

use crate::support::{Output, scopegate};

/// What stands before the routes of both policies.
const HEAD: &str = "version: 1
bind: { account: account }
scopes:
  r: { description: Read, access: read }
  w: { description: Write, implies: [r] }
  x: More
  y: Yet more
parameters:
  include: { list: comma }
routes:
  GET /accounts/{account}: r
";

/// A folder with `old.yaml` and `new.yaml`.
fn folder(old: &str, new: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("old.yaml"), old).expect("the old policy");
    fs::write(folder.path().join("new.yaml"), new).expect("the new policy");
    folder
}

fn diff(folder: &TempDir, more: &[&str]) -> Output {
    scopegate(folder.path(), [&["diff", "old.yaml", "new.yaml"], more].concat())
}

/// Each difference as `change route: what`.
fn told(old: &str, new: &str) -> Vec<String> {
    let json = diff(&folder(old, new), &["--json"]).exits(0).json();
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let one = |route: &serde_json::Value| {
        let what: Vec<String> = route["what"].as_array().expect("a list").iter().map(text).collect();
        format!("{} {}: {}", text(&route["change"]), text(&route["route"]), what.join("; "))
    };
    json["routes"].as_array().expect("a list").iter().map(one).collect()
}

/// The differences of `GET /a` with one value and with another.
fn of_route(old: &str, new: &str) -> String {
    let policy = |value: &str| format!("{HEAD}  GET /a: {value}\n");
    told(&policy(old), &policy(new)).join(" / ").replace(" GET /a: ", " ")
}

#[test]
fn requirements_are_compared_by_what_meets_them() {
    let cases = [
        ("[r, x]", "{ scopes: [x, r] }", ""),
        ("w", "[w, r]", ""),
        ("{ any_of: [w, r] }", "r", ""),
        ("{ any_of: [[x, r], x] }", "x", ""),
        ("{ scopes: r, any_of: [x, y] }", "{ any_of: [[r, x], [y, r]] }", ""),
        ("[r, x]", "r", "loosened scopes: r and x → r"),
        ("r", "[r, x]", "tightened scopes: r → r and x"),
        ("r", "w", "tightened scopes: r → w"),
        ("w", "r", "loosened scopes: w → r"),
        ("x", "y", "changed scopes: x → y"),
        ("x", "{ any_of: [x, y] }", "loosened scopes: x → x or y"),
        ("{ any_of: [x, y] }", "{ scopes: y, any_of: [y, [x, r]] }", "tightened scopes: x or y → y and (y or r and x)"),
    ];
    for (old, new, expected) in cases {
        assert_eq!(of_route(old, new), expected, "{old} -> {new}");
    }
}

#[test]
fn who_may_call_is_compared_by_who_passes() {
    let cases = [
        ("r", "{ auth: key }", "loosened scopes r → auth: key"),
        ("{ auth: anyone }", "{ auth: key, unbound: [account] }", "tightened auth: anyone → auth: key"),
        ("{ auth: deny }", "r", "loosened denied → scopes r"),
        ("r", "{ auth: public-key }", "changed scopes r → auth: public-key"),
        ("{ auth: public-key }", "{ auth: anyone }", "loosened auth: public-key → auth: anyone"),
        (
            "r",
            "{ scopes: r, unbound: [account] }",
            "loosened bind account: keys that have it are refused → not compared",
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(of_route(old, new), expected, "{old} -> {new}");
    }
}

#[test]
fn members_of_ruled_parameters_are_compared_beside_their_route() {
    let route = |include: &str| format!("{{ scopes: x, query: {{ include: {include} }} }}");
    let cases = [
        ("{ l: r }", "{ l: r, m: y }", "loosened include=m: denied → y"),
        ("{ l: r, m: y }", "{ l: r }", "tightened include=m: y → denied"),
        ("{ l: r }", "{ l: w }", "tightened include=l: r → w"),
        ("{ l: x }", "{ l: allow }", ""),
        ("{ l: allow }", "{ l: deny }", "tightened include=l: allow → denied"),
        ("{ l: r }", "{ l: r, \"*\": allow }", "loosened include, any other member: denied → allow"),
        ("{ l: y }", "{ l: r }", "changed include=l: y → r"),
    ];
    for (old, new, expected) in cases {
        assert_eq!(of_route(&route(old), &route(new)), expected, "{old} -> {new}");
    }
}

#[test]
fn the_credential_that_is_sent_on_is_compared() {
    let cases = [
        ("r", "{ scopes: r, credential: sms }", "changed credential: the upstream's → sms"),
        ("{ scopes: r, credential: a }", "{ scopes: r, credential: b }", "changed credential: a → b"),
        ("{ auth: anyone }", "{ auth: anyone, credential: master }", "loosened credential: none → master"),
        ("{ auth: anyone, credential: master }", "{ auth: anyone }", "tightened credential: master → none"),
        ("{ auth: public-key }", "{ auth: public-key, credential: master }", "loosened credential: none → master"),
        (
            "{ scopes: r }",
            "{ auth: anyone, credential: master }",
            "loosened scopes r → auth: anyone; credential: the upstream's → master",
        ),
        (
            "{ auth: deny }",
            "{ auth: anyone, credential: master }",
            "loosened denied → auth: anyone, with the credential master",
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(of_route(old, new), expected, "{old} -> {new}");
    }
}

#[test]
fn what_a_route_lets_pass_besides_is_compared_whoever_may_call_it() {
    for auth in ["auth: anyone", "auth: key", "auth: public-key", "scopes: r"] {
        let with = |more: &str| format!("{{ {auth}, {more} }}");
        let below = |slash: &str| format!("{HEAD}  GET /a/{{id}}: {}\n", with(&format!("encoded_slash: {slash}")));
        let slash = told(&below("refuse"), &below("allow"));
        assert_eq!(slash, ["loosened GET /a/{id}: encoded_slash: refused → allow"], "{auth}");
        if auth != "auth: anyone" {
            let members =
                of_route(&with("query: { include: { l: r } }"), &with("query: { include: { l: r, \"*\": allow } }"));
            assert_eq!(members, "loosened include, any other member: denied → allow", "{auth}");
            let unbound = of_route(&format!("{{ {auth} }}"), &with("unbound: [account]"));
            assert_eq!(unbound, "loosened bind account: keys that have it are refused → not compared", "{auth}");
        }
    }
}

#[test]
fn routes_that_changed_in_the_same_way_are_told_together_and_counted_each() {
    let routes = "  GET /a: r\n  GET /b: r\n  GET /c: r\n";
    let bound = format!("version: 1\nbind: {{ account: account }}\nroutes:\n  GET /x/{{account}}: r\n{routes}");
    let free = bound.replace("bind: { account: account }\n", "paths: { case: insensitive }\n");
    insta::assert_snapshot!(diff(&folder(&bound, &free), &[]).exits(0).stdout);
}

#[test]
fn what_a_policy_declares_counts_on_every_route_it_concerns() {
    let policy = format!("{HEAD}  GET /a: {{ scopes: x, unbound: [account] }}\n  GET /b: r\n");
    let implied = policy.replace("  x: More", "  x: { description: More, implies: [r] }");
    assert_eq!(
        told(&policy, &implied),
        [
            "loosened GET /accounts/{account}: scopes: r (x now implies r)",
            "loosened GET /b: scopes: r (x now implies r)"
        ]
    );
    let level = policy.replace("x: More", "x: { description: More, access: read }");
    assert_eq!(told(&policy, &level), ["loosened GET /a: scopes: x (read-only keys hold x now)"]);
    let open = policy.replace("parameters:\n  include: { list: comma }\n", "");
    assert_eq!(told(&policy, &open).len(), 3, "include passes untouched on every route");
    let unbound = policy.replace("bind: { account: account }\n", "").replace(", unbound: [account]", "");
    let expected = [
        "loosened GET /accounts/{account}: bind account: {account} is the key's → not compared",
        "loosened GET /b: bind account: keys that have it are refused → not compared",
    ];
    assert_eq!(told(&policy, &unbound), expected);
    assert_eq!(
        told(&unbound, &policy),
        [
            "tightened GET /accounts/{account}: bind account: not compared → {account} is the key's",
            "tightened GET /b: bind account: not compared → keys that have it are refused"
        ]
    );
}

#[test]
fn routes_are_matched_by_the_paths_they_take() {
    let policy = |routes: &str| format!("version: 1\nroutes:\n{routes}");
    let cases = [
        ("  GET /a/{id}: r\n", "  GET /a/{other}: r\n", vec![]),
        ("  ANY /a: r\n", "  GET|POST|PUT|PATCH|DELETE /a: r\n", vec![]),
        ("  GET /a: r\n", "  GET /a: r\n  HEAD /a: { auth: key }\n", vec!["loosened HEAD /a: scopes r → auth: key"]),
        (
            "  GET /a: r\n",
            "  POST /a: r\n",
            vec!["removed GET /a: scopes r → denied", "added POST /a: denied → scopes r"],
        ),
        (
            "  ANY /{*rest}: r\n",
            "  ANY /{*rest}: r\n  GET /a: { auth: anyone }\n",
            vec![
                "tightened DELETE /a: scopes r → denied",
                "added GET /a: scopes r → auth: anyone",
                "tightened PATCH /a: scopes r → denied",
                "tightened POST /a: scopes r → denied",
                "tightened PUT /a: scopes r → denied",
            ],
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(told(&policy(old), &policy(new)), expected, "{old}{new}");
    }
}

#[test]
fn what_holds_for_the_whole_policy_is_told_too() {
    let old = "version: 1\nroutes:\n  GET /a: r\n";
    let new = "version: 1\npaths: { case: insensitive }\nmethod_override: drop\nroutes:\n  GET /a: r\n";
    let json = diff(&folder(old, new), &["--json", "--fail-on-loosened"]).exits(3).json();
    assert_eq!((json["options"].as_array().map(Vec::len), json["loosened"].as_bool()), (Some(2), Some(true)));
    assert!(
        diff(&folder(new, old), &["--fail-on-loosened"])
            .exits(0)
            .stdout
            .starts_with("tightened paths.case, for every route: insensitive → sensitive\n")
    );
}

const OLD: &str = "version: 1
scopes: { r: Read, w: Write, admin: Everything }
parameters: { include: { list: comma } }
routes:
  GET /p: r
  GET /p/{id}: { scopes: r, query: { include: { lists: w } } }
  PATCH /p/{id}: [r, w]
  DELETE /p/{id}: w
  GET /health: { auth: key }
";

const NEW: &str = "version: 1
scopes: { r: Read, w: Write, admin: Everything }
parameters: { include: { list: comma } }
routes:
  GET /p: r
  GET /p/{id}: { scopes: r, query: { include: { lists: allow } } }
  PATCH /p/{id}: w
  POST /p: w
  GET /health: { auth: anyone }
  DELETE /p/{id}: admin
";

#[test]
fn a_difference_is_told_with_the_places_in_both_files() {
    let folder = folder(OLD, NEW);
    insta::assert_snapshot!(diff(&folder, &[]).exits(0).stdout);
    diff(&folder, &["--fail-on-loosened"]).exits(3);
    let same = scopegate(folder.path(), ["diff", "old.yaml", "old.yaml", "--fail-on-loosened"]).exits(0);
    assert_eq!(same.stdout, "No difference in who may do what.\n");
    fs::write(folder.path().join("new.yaml"), "version: 1\n").expect("a faulty policy");
    diff(&folder, &[]).exits(4).says(&["new.yaml", "routes"]);
    scopegate(folder.path(), ["diff", "old.yaml", "no-such.yaml"]).exits(1).says(&["no-such.yaml"]);
}

/// Ten lines: three requests whose outcome changes, and everything else that a log may hold.
const LOG: &str = r#"{"message":"request","method":"GET","path":"/p","decision":"allow","key_id":"key_w"}
{"message":"request","method":"DELETE","path":"/p/1","decision":"allow","key_id":"key_w"}
{"message":"request","method":"DELETE","path":"/p/1","decision":"allow","key_id":"key_w"}
{"message":"request","method":"PATCH","path":"/p/1","decision":"deny","code":"insufficient_scope","key_id":"key_writer"}
{"message":"request","method":"GET","path":"/health","decision":"deny","code":"missing_key"}
{"message":"request","method":"GET","path":"/p/1","decision":"deny","code":"insufficient_scope","key_id":"key_w"}
{"message":"request","method":"GET","path":"/p/1","decision":"deny","code":"query_not_allowed","key_id":"key_w"}
{"message":"request","method":"GET","path":"/p","decision":"allow","key_id":"key_gone"}
{"level":"info","message":"ready"}
no JSON at all
"#;

#[test]
fn a_log_is_decided_under_both_policies() {
    let folder = folder(OLD, NEW);
    let keys = "keys:\n  - { id: key_w, scopes: [r, w], name: w, sha256: 0000000000000000000000000000000000000000000000000000000000000001 }\n  - { id: key_writer, scopes: [w], name: writer, sha256: 0000000000000000000000000000000000000000000000000000000000000002 }\n";
    let config = "upstream: { url: http://127.0.0.1:3000 }\npolicy: old.yaml\nkeys: { store: \"file:keys.yaml\" }\n";
    for (name, text) in [("keys.yaml", keys), ("scopegate.yaml", config), ("access.jsonl", LOG)] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let output = diff(&folder, &["--log", "access.jsonl"]).exits(0);
    insta::assert_snapshot!(format!("{}----\n{}", output.stdout, output.stderr));
    let json = diff(&folder, &["--log", "access.jsonl", "--json"]).exits(0).json();
    let log = &json["log"];
    let denied = serde_json::json!([{ "method": "DELETE", "path": "/p/1", "key_id": "key_w", "count": 2, "code": "insufficient_scope" }]);
    assert_eq!(log["allow_to_deny"], denied);
    assert_eq!(log["deny_to_allow"].as_array().map(Vec::len), Some(2), "{log}");
    let counts =
        ["decided", "unknown_keys", "left_out", "decided_otherwise", "other_lines"].map(|name| log[name].as_u64());
    assert_eq!(counts, [5, 1, 1, 1, 2].map(Some));
}

#[test]
fn a_log_without_a_store_says_what_cannot_be_decided() {
    let folder = folder(OLD, NEW);
    fs::write(folder.path().join("access.jsonl"), LOG).expect("the log");
    let output = diff(&folder, &["--log", "access.jsonl", "--json"]).exits(0).says(&["no key store could be read"]);
    assert_eq!(
        (output.json()["log"]["decided"].as_u64(), output.json()["log"]["unknown_keys"].as_u64()),
        (Some(1), Some(6))
    );
}
