//! `explain`, `whocan` and `cando` of keys that are bound, switched off or elsewhere: nothing they say is false.

use std::fs;

use tempfile::TempDir;

use crate::support::command::scopegate_with_input;
use crate::support::{Output, scopegate};

const POLICY: &str = "version: 1
bind: { tenant: tenantId }
routes:
  GET /tenants/{tenantId}/bills: billing:read
  GET /bills: billing:read
  GET /me: { auth: key, unbound: [tenant] }
  ANY /closed: { auth: deny }
";

/// A store as a file, with ids that tests can name.
const KEYS: &str = "keys:
  - { id: key_acme, name: acme, scopes: [billing:read], attrs: { tenant: acme }, sha256: 0000000000000000000000000000000000000000000000000000000000000001 }
  - { id: key_free, name: free, scopes: [billing:read], sha256: 0000000000000000000000000000000000000000000000000000000000000002 }
  - { id: key_off, name: off, scopes: [billing:read], disabled: true, sha256: 0000000000000000000000000000000000000000000000000000000000000003 }
  - { id: key_here, name: here, scopes: [billing:read], allow_from: [10.0.0.0/8], sha256: 0000000000000000000000000000000000000000000000000000000000000004 }
  - { id: key_late, name: late, scopes: [], not_before: 2999-01-01, sha256: 0000000000000000000000000000000000000000000000000000000000000005 }
";

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "upstream: { url: http://127.0.0.1:3000 }\npolicy: policy.yaml\nkeys: { store: \"file:keys.yaml\" }\n";
    for (name, text) in [("scopegate.yaml", config), ("policy.yaml", POLICY), ("keys.yaml", KEYS)] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    folder
}

fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    scopegate(folder.path(), arguments)
}

#[test]
fn what_a_binding_came_to_is_a_step_and_what_would_do_names_the_attribute() {
    let folder = folder();
    let bills = "/tenants/acme/bills";
    let told: Vec<String> = [
        vec![bills, "--key-id", "key_acme"],
        vec!["/tenants/other/bills", "--key-id", "key_acme"],
        vec![bills, "--key-id", "key_free"],
        vec!["/bills", "--key-id", "key_acme"],
        vec!["/me", "--key-id", "key_acme"],
        vec![bills],
        vec![bills, "--full", "--attr", "tenant=acme"],
        vec![bills, "--scopes", "billing:read", "--attr", "tenant=other", "--account", "a1"],
    ]
    .iter()
    .map(|arguments| run(&folder, &[&["explain", "GET"], &arguments[..]].concat()).stdout)
    .collect();
    insta::assert_snapshot!(told.join("----\n"));
    let json = run(&folder, &["explain", "GET", bills, "--key-id", "key_free", "--json"]).exits(3).json();
    assert_eq!(json["sufficient"]["attributes"], serde_json::json!({ "tenant": "acme" }));
    let bound = serde_json::json!([{ "attribute": "tenant", "parameter": "tenantId", "value": "acme", "key": [], "kept": false }]);
    assert_eq!(json["bindings"], bound);
}

#[test]
fn a_key_that_is_not_in_force_is_named_with_what_it_holds() {
    let folder = folder();
    let told = ["key_off", "key_late", "key_here"]
        .map(|id| run(&folder, &["explain", "GET", "/bills", "--key-id", id]).exits(3).stdout);
    insta::assert_snapshot!(told.join("----\n"));
    let json = run(&folder, &["explain", "GET", "/bills", "--key-id", "key_off", "--json"]).exits(3).json();
    assert_eq!((json["status"].as_u64(), json["code"].as_str()), (Some(401), Some("invalid_key")));
    assert_eq!(json["missing"], serde_json::json!([]));
    assert_eq!(json["granted"], serde_json::json!(["billing:read"]));
}

#[test]
fn an_attribute_that_the_policy_does_not_bind_is_told() {
    let folder = folder();
    let arguments = ["explain", "GET", "/bills", "--full", "--attr", "tennant=acme"];
    run(&folder, &arguments).exits(0).says(&["binds no attribute `tennant`", "did you mean `tenant`?"]);
    run(&folder, &["explain", "GET", "/bills", "--attr", "tenant=acme"]).exits(2).says(&["--scopes"]);
    let store = "--store=sqlite:new.db";
    let create = ["keys", "create", "--name", "x", "--full", "--attr", "tennant=acme", store];
    run(&folder, &create).exits(0).says(&["binds no attribute `tennant`", "did you mean `tenant`?"]);
}

#[test]
fn a_name_in_the_place_of_an_id_leads_to_the_id() {
    let folder = folder();
    for arguments in [vec!["explain", "GET", "/bills", "--key-id", "acme"], vec!["cando", "acme"]] {
        run(&folder, &arguments).exits(1).says(&["of that name is key_acme"]);
    }
}

#[test]
fn method_and_target_in_one_argument_are_told_apart() {
    run(&folder(), &["explain", "GET /bills"]).exits(2).says(&["scopegate explain GET /bills"]);
}

#[test]
fn a_batch_is_answered_line_by_line_with_what_was_asked_and_blank_lines_are_none() {
    let folder = folder();
    let lines =
        "{\"method\":\"GET\",\"target\":\"/bills?a=1\",\"scopes\":[\"billing:read\"]}\n\n{\"method\":\"GET\"}\n";
    let output = scopegate_with_input(folder.path(), &["explain", "--batch", "-"], lines);
    let output = output.exits(0).says(&["1 line is no request"]);
    let answers: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).expect("an answer")).collect();
    assert_eq!(answers.len(), 2, "{}", output.stdout);
    assert_eq!((&answers[0]["method"], &answers[0]["target"]), (&"GET".into(), &"/bills?a=1".into()));
    assert_eq!(answers[0]["decision"], "allow");
    assert!(answers[1]["error"].as_str().is_some_and(|error| error.starts_with("line 3: ")), "{}", output.stdout);
}

#[test]
fn whocan_says_what_a_request_takes_where_no_key_may_send_it() {
    let folder = folder();
    let none = run(&folder, &["whocan", "GET", "/tenants/third/bills"]).exits(3);
    none.says(&[
        "No key of the store may send GET /tenants/third/bills: it takes a key with billing:read and tenant=third.",
    ]);
    run(&folder, &["whocan", "GET", "/closed"]).exits(3).says(&["policy.yaml:7 closes ANY /closed to everybody."]);
    fs::write(folder.path().join("other.yaml"), POLICY.replace("deny", "key")).expect("a policy");
    let open = run(&folder, &["whocan", "GET", "/closed", "--policy", "other.yaml"]).exits(0);
    assert!(open.stdout.contains("key_free"), "{}", open.stdout);
}

#[test]
fn cando_says_that_a_revoked_key_is_gone_for_good() {
    let folder = folder();
    let store = "--store=sqlite:keys.db";
    let made = run(&folder, &["keys", "create", "--name", "x", "--full", "--json", store]).exits(0).json();
    let id = made["id"].as_str().expect("an id");
    run(&folder, &["keys", "revoke", id, store]).exits(0);
    run(&folder, &["cando", id, store]).exits(0).says(&["the key is revoked, which is final"]);
}

#[test]
fn a_file_without_its_flag_is_told_how_to_be_given() {
    run(&folder(), &["check", "policy.yaml"]).exits(2).says(&["did you mean `--policy policy.yaml`?"]);
}
