//! What helps to write a policy: coverage and mutation of its tests, explanations, who can do what, differences.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::support::sample::{CONFIG, POLICY};
use crate::support::{Output, scopegate, strings};

/// A folder with the configuration and a policy.
fn folder(policy: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "scopegate.yaml", CONFIG);
    write(folder.path(), "policy.yaml", policy);
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    fs::write(folder.join(name), text).expect("a file");
}

fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    scopegate(folder.path(), arguments)
}

#[test]
fn coverage_lists_the_routes_and_scopes_that_no_test_exercises() {
    let tests = "  - { request: GET /api/profiles, scopes: [profiles:read], expect: allow }
  - { request: GET /api/profiles/1, key: none, expect: deny, code: missing_key }\n";
    let folder = folder(&format!("{POLICY}tests:\n{tests}"));
    insta::assert_snapshot!(run(&folder, &["check", "--coverage"]).exits(0).stdout);
    let json = run(&folder, &["check", "--coverage", "--json"]).exits(0).json();
    let coverage = &json["coverage"];
    assert_eq!((coverage["routes"].as_u64(), coverage["scopes"].as_u64()), (Some(5), Some(4)));
    assert_eq!(coverage["untested_routes"][0], serde_json::json!({ "route": "PATCH /api/profiles/{id}", "line": 13 }));
    assert_eq!(coverage["untested_scopes"][1], serde_json::json!({ "scope": "lists:read", "line": 6 }));
    assert_eq!(json["mutation"], serde_json::Value::Null);
}

#[test]
fn coverage_without_a_vocabulary_places_a_scope_where_it_is_first_asked_for() {
    let folder = folder("version: 1\nroutes:\n  GET /a: a:read\n  POST /a: [a:read, a:write]\n");
    let json = run(&folder, &["check", "--coverage", "--json"]).exits(0).json();
    assert_eq!(json["coverage"]["untested_scopes"][0], serde_json::json!({ "scope": "a:read", "line": 3 }));
    assert_eq!(json["coverage"]["untested_scopes"][1], serde_json::json!({ "scope": "a:write", "line": 4 }));
}

#[test]
fn mutation_lists_what_can_go_without_a_test_noticing() {
    let tests = "  - { request: GET /api/profiles, scopes: [], expect: deny, missing: [profiles:read] }
  - { request: GET /api/profiles?include=lists, scopes: [profiles:read], expect: allow }\n";
    let failing = folder(&format!("{POLICY}tests:\n{tests}"));
    let output = run(&failing, &["check", "--mutate", "--json"]).exits(3).says(&["Nothing was taken out"]);
    assert_eq!(output.json()["mutation"], serde_json::Value::Null);

    let folder = folder(&format!("{POLICY}tests:\n{}", tests.replace("allow", "deny")));
    insta::assert_snapshot!(run(&folder, &["check", "--mutate"]).exits(3).stdout);
    let json = run(&folder, &["check", "--mutate", "--json"]).exits(3).json();
    let survivors = json["mutation"]["survivors"].as_array().expect("a list");
    assert_eq!((json["mutation"]["tried"].as_u64(), survivors.len()), (Some(9), 7));
    assert_eq!(survivors[0]["routes"][0]["line"], 12);
    assert_eq!(strings(&survivors[0]["scopes"]), ["profiles:read"]);
}

#[test]
fn mutation_is_content_where_tests_pin_every_scope_and_alternative() {
    let tests = "  - { request: GET /api/profiles, scopes: [], expect: deny }
  - { request: GET /api/profiles/1, scopes: [], expect: deny }
  - { request: GET /api/profiles/1?include=lists, scopes: [profiles:read], expect: deny }
  - { request: PATCH /api/profiles/1, scopes: [profiles:read], expect: deny }
  - { request: DELETE /api/profiles/1, scopes: [], expect: deny, missing: [admin] }
  - { request: DELETE /api/profiles/1, scopes: [admin], expect: allow }
  - { request: DELETE /api/profiles/1, scopes: [profiles:write], expect: deny }
  - { request: DELETE /api/profiles/1, scopes: [lists:read], expect: deny }
  - { request: DELETE /api/profiles/1, scopes: [profiles:write, lists:read], expect: allow }\n";
    let folder = folder(&format!("{POLICY}tests:\n{tests}"));
    let output = run(&folder, &["check", "--mutate"]).exits(0);
    assert!(output.stdout.contains("Taken out in turn: 9 scopes and alternatives, of which the tests noticed 9\n"));
    assert!(!output.stdout.contains("unnoticed"), "{}", output.stdout);
}

#[test]
fn what_is_declared_for_nothing_is_warned_of() {
    let policy = POLICY
        .replace("  admin: Everything else\n", "  admin: Everything else\n  old:read: Of an older version\n  all: { description: All, implies: [admin] }\n")
        .replace("lists: lists:read }", "lists: lists:read, tags: tags:read }")
        .replace("  lists:read:", "  tags:read: Read tags\n  lists:read:");
    let folder = folder(&policy);
    let output = run(&folder, &["check"]).exits(0);
    insta::assert_snapshot!(format!("{}{}", output.stderr, output.stdout));
    let json = run(&folder, &["check", "--json"]).exits(0).json();
    let lines: Vec<_> = json["warnings"].as_array().expect("a list").iter().map(|warning| &warning["line"]).collect();
    assert_eq!(lines, [9, 12], "a scope that implies a used one is used, and so is one that a member asks for");
    assert_eq!(json["summary"]["warnings"], 2);
}

#[test]
fn a_member_that_a_route_writes_itself_does_not_use_the_declared_one() {
    let text = "version: 1\nparameters:\n  include: { members: { a: a:read, b: b:read } }\nroutes:\n  GET /x: { auth: key, query: { include: { a: c:read } } }\n  GET /y: { auth: key, query: { include: b } }\n";
    let folder = folder(text);
    let json = run(&folder, &["check", "--json"]).exits(0).json();
    assert_eq!(json["warnings"].as_array().map(Vec::len), Some(1), "{json}");
    assert!(json["warnings"][0]["message"].as_str().is_some_and(|message| message.contains("member `a`")), "{json}");
}

#[test]
fn the_stored_keys_are_looked_at_where_that_is_asked() {
    let folder = folder(POLICY);
    run(&folder, &["keys", "create", "--name", "old", "--scopes", "profiles:read"]).exits(0);
    run(&folder, &["keys", "create", "--name", "admin", "--scopes", "admin"]).exits(0);
    let gone = run(&folder, &["keys", "create", "--name", "gone", "--scopes", "admin", "--json"]).exits(0).json();
    run(&folder, &["keys", "revoke", gone["id"].as_str().expect("an id")]).exits(0);
    write(folder.path(), "policy.yaml", &POLICY.replace("admin", "master"));
    let output = run(&folder, &["check", "--keys"])
        .exits(0)
        .says(&["(admin) has the scope `admin`, which the policy does not know"]);
    assert!(!output.stderr.contains("gone"), "a revoked key concerns nobody: {}", output.stderr);
    assert!(output.stdout.contains("warnings  1\nkeys      2\n"), "{}", output.stdout);
    let json = run(&folder, &["check", "--keys", "--json"]).exits(0).json();
    assert_eq!(json["summary"]["keys"], serde_json::json!({ "stored": 2, "expired": 0 }));
}

#[test]
fn the_stored_keys_are_looked_at_under_another_policy_before_it_is_in_force() {
    let folder = folder(POLICY);
    run(&folder, &["keys", "create", "--name", "admin", "--scopes", "admin"]).exits(0);
    write(folder.path(), "new.yaml", &POLICY.replace("admin", "master"));
    for arguments in [
        &["check", "--keys", "--policy", "new.yaml"][..],
        &["check", "--keys", "--policy", "new.yaml", "-c", "scopegate.yaml"],
    ] {
        let output =
            run(&folder, arguments).exits(0).says(&["(admin) has the scope `admin`, which the policy does not know"]);
        assert!(
            output.stdout.contains("policy    new.yaml\n") && output.stdout.contains("keys      1\n"),
            "{}",
            output.stdout
        );
    }
    assert!(!run(&folder, &["check", "--keys"]).exits(0).stderr.contains("does not know"), "the one in force knows it");
    run(&folder, &["check", "--policy", "new.yaml", "-c", "scopegate.yaml"]).exits(2).says(&["add `--keys`"]);
}

#[test]
fn what_no_test_notices_is_told_in_the_order_of_the_file() {
    let tests =
        "tests:\n  - { request: GET /api/profiles?include=lists, scopes: [profiles:read, lists:read], expect: allow }
  - { request: GET /api/profiles/1, scopes: [profiles:read], expect: allow }
  - { request: PATCH /api/profiles/1, scopes: [profiles:write], expect: allow }
  - { request: DELETE /api/profiles/1, scopes: [admin], expect: allow }\n";
    let folder = folder(&[POLICY, tests].concat());
    let output = run(&folder, &["check", "--mutate"]).exits(3);
    let unnoticed = output.stdout.lines().filter(|line| line.contains("unnoticed"));
    let lines: Vec<u32> = unnoticed
        .map(|line| {
            line.trim_start().strip_prefix("policy.yaml:").and_then(|rest| rest.split(' ').next()).expect("a place")
        })
        .map(|line| line.parse().expect("a line"))
        .collect();
    assert!(lines.len() > 3 && lines.is_sorted(), "{}", output.stdout);
}

#[test]
fn a_store_that_is_not_there_yet_does_not_keep_the_policy_from_being_checked() {
    let folder = folder(POLICY);
    let output = run(&folder, &["check", "--keys"]).exits(0);
    assert!(output.stdout.contains("keys      none yet (no store at keys.db)\n"), "{}", output.stdout);
}

#[test]
fn a_store_that_a_gateway_could_not_have_is_told_by_check() {
    let folder = folder(POLICY);
    let base = fs::read_to_string(folder.path().join("scopegate.yaml")).expect("the configuration");
    for (store, said) in [
        ("sqlite:none/keys.db", "cannot make the key store none/keys.db: there is no such folder; make it first"),
        ("sqlite:policy.yaml", "is no key store (it is no SQLite database)"),
        ("file:none.yaml", "there is no such file"),
    ] {
        let at = base.lines().filter(|line| !line.contains("store:")).collect::<Vec<_>>().join("\n");
        write(folder.path(), "scopegate.yaml", &format!("{at}\nkeys: {{ store: '{store}' }}\n"));
        let output = run(&folder, &["check", "--json"]).exits(0).json();
        let warnings = output["warnings"].as_array().expect("warnings");
        let told = warnings.iter().any(|warning| warning["message"].as_str().is_some_and(|text| text.contains(said)));
        assert!(told && !folder.path().join("none").exists(), "{said:?} is not in {warnings:?}");
    }
}

#[test]
fn keys_with_the_same_unknown_scope_are_told_together() {
    let folder = folder(POLICY);
    let key = |at: usize| {
        format!("  - {{ name: k{at}, id: key_{at}, sha256: {at:064}, scopes: [gone], attrs: {{ a: b }} }}\n")
    };
    let keys: String = (1..=5).map(key).collect();
    write(folder.path(), "keys.yaml", &format!("keys:\n{keys}"));
    write(folder.path(), "scopegate.yaml", &CONFIG.replace("sqlite:keys.db", "file:keys.yaml"));
    let output = run(&folder, &["check", "--keys"]).exits(0);
    let output = output.says(&["keys key_1 (k1), key_2 (k2), key_3 (k3) and 2 more have the scope `gone`"]);
    assert!(
        output.stderr.contains("2 more have the attribute `a`, which the policy does not bind"),
        "{}",
        output.stderr
    );
    assert!(output.stdout.contains("warnings  2\n"), "{}", output.stdout);
}

#[test]
fn a_key_that_has_expired_is_told() {
    let folder = folder(POLICY);
    let keys = "keys:\n  - { name: old, id: key_old, sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08, scopes: [admin], expires: 2020-01-01 }\n";
    write(folder.path(), "keys.yaml", keys);
    write(folder.path(), "scopegate.yaml", &CONFIG.replace("sqlite:keys.db", "file:keys.yaml"));
    let output = run(&folder, &["check", "--keys"]).exits(0).says(&["key key_old (old) has expired: 2020-01-01"]);
    assert!(output.stdout.contains("keys      1, 1 expired\n"), "{}", output.stdout);
}

#[test]
fn an_explanation_shows_each_step() {
    let policy = [POLICY, "  ANY /{*rest}: admin\n"].concat();
    let folder = folder(&policy);
    let target = "/api/profiles/%24custom?include=lists";
    let allowed = run(&folder, &["explain", "GET", "/api/profiles", "--read-only"]).exits(0).stdout;
    let denied = run(&folder, &["explain", "GET", target, "--scopes", "profiles:read"]).exits(3).stdout;
    let alternatives = run(&folder, &["explain", "DELETE", "/api/profiles/1"]).exits(3).stdout;
    let refused = run(&folder, &["explain", "GET", "/api/Profiles/1", "--full"]).exits(3).stdout;
    let all = [allowed, denied, alternatives, refused].join("\n----\n");
    assert!(all.lines().all(|line| line.chars().count() <= 80), "{all}");
    assert!(!all.contains('\x1b'), "no colours where no terminal is: {all}");
    insta::assert_snapshot!(all);
}

#[test]
fn an_explanation_as_json_has_the_same_facts() {
    let folder = folder(&[POLICY, "  ANY /{*rest}: admin\n"].concat());
    let target = "/api/profiles/%24custom?include=lists";
    let json = run(&folder, &["explain", "GET", target, "--scopes", "profiles:read", "--json"]).exits(3).json();
    assert_eq!(strings(&json["segments"]), ["api", "profiles", "$custom"]);
    assert_eq!((json["file"].as_str(), json["line"].as_u64()), (Some("policy.yaml"), Some(12)));
    assert_eq!(
        json["because"][0],
        serde_json::json!({ "scope": "lists:read", "from": "include=lists", "held": false })
    );
    let template = serde_json::json!({ "template": "/api/profiles/{id}", "methods": ["DELETE", "GET", "PATCH"], "line": 12, "chosen": true, "near_miss": null });
    assert_eq!(json["templates"][0], template);
    assert_eq!(json["templates"][1]["chosen"], false);
    let sufficient = serde_json::json!({ "scopes": [["lists:read", "profiles:read"]], "levels": ["read-only", "full"], "attributes": {} });
    assert_eq!(json["sufficient"], sufficient);
    let none = run(&folder, &["explain", "GET", "/api/profiles?include=tags", "--full", "--json"]).exits(3).json();
    assert_eq!(none["sufficient"], serde_json::Value::Null, "no grant opens a member that the route does not list");
    let open = run(&folder, &["explain", "GET", "/api/health", "--json"]).exits(0).json();
    assert_eq!(open["sufficient"], serde_json::Value::Null, "nobody needs a key");
}

/// A store as a file, with ids that tests can name.
const KEYS: &str = "keys:
  - { id: key_reader, name: reader, scopes: [profiles:read], sha256: 0000000000000000000000000000000000000000000000000000000000000001 }
  - { id: key_lists, name: lists, scopes: [profiles:read, lists:read], allow_from: [10.0.0.0/8], sha256: 0000000000000000000000000000000000000000000000000000000000000002 }
  - { id: key_full, name: full, grant: full, disabled: true, sha256: 0000000000000000000000000000000000000000000000000000000000000003 }
  - { id: key_old, name: old, grant: read-only, expires: 2020-01-01, sha256: 0000000000000000000000000000000000000000000000000000000000000004 }
  - { id: key_acme, name: acme, scopes: [admin, profiles:read], account: acme, sha256: 0000000000000000000000000000000000000000000000000000000000000005 }
";

/// A folder with a policy and the keys above.
fn with_keys(policy: &str) -> TempDir {
    let folder = folder(policy);
    write(folder.path(), "keys.yaml", KEYS);
    write(folder.path(), "scopegate.yaml", &CONFIG.replace("sqlite:keys.db", "file:keys.yaml"));
    folder
}

/// Id and state of each key, and whether it may.
fn ids(json: &serde_json::Value) -> Vec<(&str, &str, bool)> {
    fn of(key: &serde_json::Value) -> Option<(&str, &str, bool)> {
        Some((key["id"].as_str()?, key["state"].as_str()?, key["may"].as_bool()?))
    }
    json["keys"].as_array().expect("a list").iter().map(|key| of(key).expect("three facts")).collect()
}

#[test]
fn whocan_lists_the_keys_that_may_send_a_request() {
    let folder = with_keys(POLICY);
    let target = "/api/profiles/1?include=lists";
    insta::assert_snapshot!(run(&folder, &["whocan", "GET", target]).exits(0).stdout);
    let json = run(&folder, &["whocan", "GET", target, "--json"]).exits(0).json();
    let expected = [("key_full", "disabled", false), ("key_lists", "active", true), ("key_old", "expired", false)];
    assert_eq!(ids(&json), expected);
    assert_eq!(json["route"], "GET /api/profiles/{id}");
    assert!(!json.to_string().contains("00000001"), "no digest is shown");
}

#[test]
fn whocan_exits_3_where_no_key_in_force_may() {
    let folder = with_keys(&[POLICY, "  ANY /closed: { auth: deny }\n"].concat());
    let patch = run(&folder, &["whocan", "PATCH", "/api/profiles/1"]).exits(3);
    assert!(patch.stdout.contains("key_full") && patch.stdout.contains("disabled"), "{}", patch.stdout);
    run(&folder, &["whocan", "GET", "/api/closed"]).exits(3).says(&[":16 closes ANY /api/closed to everybody."]);
    run(&folder, &["whocan", "GET", "/nowhere"]).exits(3).says(&["no route of the policy takes the request"]);
    let json = run(&folder, &["whocan", "GET", "/api/../x", "--json"]).exits(3).json();
    assert_eq!(json["code"], "ambiguous_path");
    run(&folder, &["whocan", "GET", "/api/health"]).exits(0).says(&["open to anyone"]);
}

#[test]
fn cando_lists_the_routes_of_a_key_with_the_members_it_may_use() {
    let of_accounts =
        "  GET /accounts/{account}: { scopes: profiles:read }\n  GET /me: { auth: key, unbound: [account] }\n";
    let policy = [POLICY, of_accounts].concat();
    let policy = policy.replace("base: /api\n", "base: /api\nbind: { account: account }\n");
    let folder = with_keys(&policy);
    let told = ["key_lists", "key_reader", "key_acme", "key_full"].map(|id| {
        let output = run(&folder, &["cando", id]).exits(0);
        format!("{}{}", output.stderr, output.stdout)
    });
    insta::assert_snapshot!(told.join("----\n"));
    let json = run(&folder, &["cando", "key_lists", "--json"]).exits(0).json();
    assert_eq!((json["key"]["id"].as_str(), json["in_force"].as_bool()), (Some("key_lists"), Some(true)));
    assert_eq!(json["routes"][0]["members"], serde_json::json!([{ "parameter": "include", "members": ["lists"] }]));
    let json = run(&folder, &["cando", "key_acme", "--json"]).exits(0).json();
    let routes: Vec<_> = json["routes"].as_array().expect("a list").iter().map(|route| &route["route"]).collect();
    assert_eq!(routes, ["GET /api/health", "GET /api/accounts/{account}", "GET /api/me"], "bound keys stay inside");
    assert_eq!(json["routes"][1]["bound"], serde_json::json!([{ "parameter": "account", "values": ["acme"] }]));
    run(&folder, &["cando", "key_nobody"]).exits(1).says(&["key_nobody"]);
}
