//! `check` and `diff`.

use super::*;

/// The policy with more routes, and with these tests.
fn with_tests(routes: &str, tests: &str) -> Folder {
    Folder::empty().with("scopegate.yaml", CONFIG).with("policy.yaml", format!("{}{routes}tests:\n{tests}", policy()))
}

const TESTS: &str = "  - { request: GET /api/profiles, scopes: [profiles:read], expect: allow }
  - { request: GET /api/profiles, key: none, expect: deny, code: missing_key }
";

#[test]
fn a_policy_that_is_good() {
    let folder = with_tests("", TESTS);
    insta::assert_snapshot!(folder.screens([
        "check",
        "check --json",
        "check --policy policy.yaml",
        "check --coverage",
        "check --coverage --json",
        "check --mutate",
        "check --mutate --json",
    ]));
}

#[test]
fn a_policy_that_is_worth_a_look() {
    let routes = "  GET /events: { auth: public-key }\n  DELETE /profiles/me: admin\n  ANY /files/{*rest}: admin\n  GET /{page}: { auth: anyone }\n";
    let folder = with_tests(routes, TESTS);
    insta::assert_snapshot!(folder.screens(["check", "check --json"]));
}

#[test]
fn faults_in_both_files() {
    let folder = Folder::empty()
        .with("scopegate.yaml", CONFIG.replace("upstream:", "listen: 8080\nupstream:").replace("keys:", "kyes:"))
        .with("policy.yaml", policy().replace("lists:read }", "list:read }"));
    insta::assert_snapshot!(folder.screens(["check", "check --json", "serve", "keys list", "explain GET /api/me"]));
}

#[test]
fn tests_of_a_policy_that_fail() {
    let tests = "  - { request: GET /api/profiles, scopes: [profiles:read], expect: deny }
  - { request: GET /api/profiles/1?include=lists, scopes: [profiles:read], expect: deny, missing: [profiles:read] }
";
    let folder = with_tests("", tests);
    insta::assert_snapshot!(folder.screens(["check", "check --json", "check --mutate"]));
}

#[test]
fn files_that_are_not_there() {
    let folder = Folder::empty().with("scopegate.yaml", CONFIG);
    insta::assert_snapshot!(folder.screens([
        "check",
        "check -c none.yaml",
        "check --policy none.yaml",
        "check -c .",
        "diff none.yaml policy.yaml",
    ]));
    let folder = Folder::empty();
    insta::assert_snapshot!(folder.screens([
        "check",
        "serve",
        "serve --upstream http://127.0.0.1:3000",
        "explain GET /a",
        "keys list",
        "keys list --store file:keys.yaml",
        "keys create --name a --full",
        "whocan GET /a",
        "cando key_0123456789abcdef",
    ]));
}

#[test]
fn keys_of_the_store_that_are_worth_a_look() {
    let keys = "keys:
  - { id: key_good, name: good, scopes: [profiles:read], sha256: 0000000000000000000000000000000000000000000000000000000000000001 }
  - { id: key_near, name: near, scopes: [profile:read], sha256: 0000000000000000000000000000000000000000000000000000000000000002 }
  - { id: key_far, name: far, scopes: [elsewhere], sha256: 0000000000000000000000000000000000000000000000000000000000000003 }
  - { id: key_old, name: old, grant: full, expires: 2020-01-01, sha256: 0000000000000000000000000000000000000000000000000000000000000004 }
";
    let folder = Folder::new()
        .with("scopegate.yaml", CONFIG.replace("sqlite:keys.db", "file:keys.yaml"))
        .with("keys.yaml", keys);
    insta::assert_snapshot!(folder.screens(["check --keys", "check --keys --json"]));
}

#[test]
fn differences_of_two_policies() {
    let new = policy()
        .replace("GET /profiles: { scopes: profiles:read", "GET /profiles: { scopes: [profiles:read, lists:read]")
        .replace("PATCH /profiles/{id}: [profiles:read, profiles:write]", "PATCH /profiles/{id}: profiles:read")
        .replace("  GET /me: { auth: key, unbound: [account] }\n", "")
        .replace("base: /api\n", "base: /api\npaths: { case: insensitive }\nmethod_override: drop\n")
        + "  GET /open: { auth: anyone }\n";
    let folder = Folder::new().with("new.yaml", new).with("empty.log", "");
    insta::assert_snapshot!(folder.screens([
        "diff policy.yaml policy.yaml",
        "diff policy.yaml policy.yaml --json",
        "diff policy.yaml new.yaml",
        "diff policy.yaml new.yaml --json",
        "diff policy.yaml new.yaml --fail-on-loosened",
        "diff policy.yaml policy.yaml --log empty.log",
        "diff policy.yaml policy.yaml --log none.log",
    ]));
}

#[test]
fn a_log_without_a_store() {
    let log = "{\"method\":\"GET\",\"path\":\"/api/profiles\",\"status\":200,\"key_id\":\"key_a\"}\nno line of a log\n{\"method\":\"GET\",\"path\":\"/api/health\",\"status\":200}\n";
    let new = policy().replace("GET /health: { auth: anyone }", "GET /health: { auth: key, unbound: [account] }");
    let folder = Folder::new().with("new.yaml", new).with("access.log", log);
    insta::assert_snapshot!(
        folder.screens([
            "diff policy.yaml new.yaml --log access.log",
            "diff policy.yaml new.yaml --log access.log --json",
        ])
    );
}
