//! `explain`, `whocan` and `cando`.

use super::*;

/// Keys in every state, with ids that tests can name.
const KEYS: &str = "keys:
  - { id: key_reader, name: reader, scopes: [profiles:read], sha256: 0000000000000000000000000000000000000000000000000000000000000001 }
  - { id: key_lan, name: lan, scopes: [profiles:read], allow_from: [10.0.0.0/8], sha256: 0000000000000000000000000000000000000000000000000000000000000002 }
  - { id: key_off, name: off, grant: full, disabled: true, sha256: 0000000000000000000000000000000000000000000000000000000000000003 }
  - { id: key_old, name: old, grant: read-only, expires: 2020-01-01, sha256: 0000000000000000000000000000000000000000000000000000000000000004 }
  - { id: key_soon, name: soon, grant: read-only, not_before: 2099-01-01, sha256: 0000000000000000000000000000000000000000000000000000000000000005 }
  - { id: key_acme, name: acme, scopes: [profiles:read, admin], account: acme, sha256: 0000000000000000000000000000000000000000000000000000000000000006 }
  - { id: key_void, name: void, scopes: [], account: acme, sha256: 0000000000000000000000000000000000000000000000000000000000000007 }
";

/// A folder with these keys.
fn folder() -> Folder {
    Folder::new().with("scopegate.yaml", CONFIG.replace("sqlite:keys.db", "file:keys.yaml")).with("keys.yaml", KEYS)
}

#[test]
fn an_explanation_for_each_kind_of_caller() {
    let target = "/api/profiles/1?include=lists";
    let callers = [
        "",
        "--scopes ''",
        "--scopes profiles:read",
        "--scopes profiles:read,lists:read",
        "--scopes profile:read,elsewhere",
        "--read-only",
        "--full",
        "--key-id key_reader",
        "--key-id key_lan",
        "--key-id key_lan --from 192.0.2.1",
        "--key-id key_lan --from 10.1.2.3",
        "--key-id key_off",
        "--key-id key_old",
        "--key-id key_soon",
        "--key-id key_nobody",
        "--key-id 'no id'",
        "--key nonsense",
        "--key sg_nonsense",
    ];
    let folder = folder();
    let screens = callers.map(|caller| folder.screen(format!("explain GET {target} {caller}").trim_end()));
    insta::assert_snapshot!(screens.join("\n"));
}

#[test]
fn an_explanation_for_a_key_that_is_given() {
    let folder = Folder::new();
    let made = folder.run("keys create --name made --scopes profiles:read").exits(0).stdout;
    let stranger = Folder::new().run("keys create --name stranger --full").exits(0).stdout;
    let ended = folder.run("keys create --name ended --full --json").exits(0).json();
    folder.run(&format!("keys revoke {}", ended["id"].as_str().expect("an id"))).exits(0);
    let ended = ended["key"].as_str().expect("the key").to_owned();
    let screens = [made, stranger, ended].map(|key| {
        let line = format!("explain GET /api/profiles --key {}", key.trim());
        folder.screen(&line)
    });
    insta::assert_snapshot!(screens.join("\n"));
}

#[test]
fn an_explanation_of_each_kind_of_route() {
    let folder = folder();
    insta::assert_snapshot!(folder.screens([
        "explain GET /api/health",
        "explain GET /api/me --scopes lists:read",
        "explain DELETE /api/profiles/1 --scopes lists:read",
        "explain PATCH /api/profiles/1 --scopes profiles:write",
        "explain GET /api/profiles?include=tags --full",
        "explain GET /api/profiles?Include=lists --full",
        "explain GET /api/accounts/other --key-id key_acme",
        "explain PUT /api/profiles --full",
        "explain GET /api/profiles/ --full",
        "explain GET /api/Profiles --full",
        "explain GET /nowhere --full",
        "explain GET /api/../profiles --full",
        "explain GET profiles --full",
    ]));
}

#[test]
fn explanations_as_json() {
    let folder = folder();
    insta::assert_snapshot!(folder.screens([
        "explain GET /api/profiles/1?include=lists --scopes profiles:read --json",
        "explain DELETE /api/profiles/1 --json",
        "explain GET /api/Profiles --full --json",
        "explain GET /api/../profiles --json",
    ]));
}

#[test]
fn explanations_without_a_configuration() {
    let folder = Folder::empty().with("policy.yaml", policy());
    insta::assert_snapshot!(folder.screens([
        "explain GET /api/health --policy policy.yaml",
        "explain GET /api/health --policy policy.yaml --key-id key_reader",
        "explain GET /api/health --policy none.yaml",
    ]));
}

#[test]
fn a_batch_with_lines_that_are_no_requests() {
    let lines = r#"{"method":"GET","target":"/api/profiles","scopes":["profiles:read"]}
{"method":"GET"}
no json
{"method":"GET","target":"/api/profiles","scopes":[],"key":"sg_x"}
{"method":"GET","target":"/api/profiles","roles":[]}

{"method":"GET","target":"/api/health"}
"#;
    let folder = folder().with("requests", lines);
    insta::assert_snapshot!(folder.screens(["explain --batch requests", "explain --batch none"]));
}

#[test]
fn who_can_send_a_request() {
    let routes = policy() + "  GET /closed: { auth: deny }\n  GET /rare: { scopes: lists:read }\n";
    let folder = folder().with("policy.yaml", routes);
    insta::assert_snapshot!(folder.screens([
        "whocan GET /api/profiles",
        "whocan GET /api/profiles --json",
        "whocan GET /api/rare",
        "whocan GET /api/closed",
        "whocan GET /api/health",
        "whocan GET /api/health --json",
        "whocan GET /nowhere",
        "whocan GET /nowhere --json",
        "whocan GET /api/../x",
        "whocan GET /api/../x --json",
        "whocan GET /api/profiles --store file:none.yaml",
    ]));
}

#[test]
fn what_a_key_can_do() {
    let folder = folder();
    insta::assert_snapshot!(folder.screens([
        "cando key_reader",
        "cando key_acme",
        "cando key_acme --json",
        "cando key_off",
        "cando key_old",
        "cando key_soon",
        "cando key_nobody",
        "cando 'no id'",
    ]));
    let closed = "version: 1\nbind: { account: account }\nroutes:\n  GET /accounts/{account}: profiles:read\n";
    let folder = folder.with("policy.yaml", closed);
    insta::assert_snapshot!(folder.screens(["cando key_void", "cando key_void --json"]));
}
