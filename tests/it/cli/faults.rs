//! What a faulty configuration or policy is told: all of it, with its place and its mend.

use super::*;
use crate::support::command::command;

#[test]
fn a_good_configuration_is_told_so() {
    let folder = folder(CONFIG, POLICY);
    let output = scopegate(folder.path(), ["check"]).exits(0);
    assert!(output.stdout.contains("GET /api/health"), "routes open to anyone are named: {}", output.stdout);
    let json = scopegate(folder.path(), ["check", "--json"]).exits(0).json();
    assert_eq!(json["faults"].as_array().map(Vec::len), Some(0));
    assert!(json["summary"].is_object() && json["warnings"].is_array(), "{json}");
    assert!(!folder.path().join("keys.db").exists(), "a check makes no store");
}

#[test]
fn an_unknown_field_is_told_with_its_place_and_the_nearest_known_one() {
    faulty(&CONFIG.replace("listen:", "lisen:"), POLICY).says(&["scopegate.yaml:1:1", "lisen", "listen"]);
    with_policy(|policy| policy.replace("base:", "bass:")).says(&["policy.yaml:2:1", "bass", "base"]);
}

#[test]
fn all_faults_are_told_at_once_in_both_files() {
    let policy = POLICY
        .replace("GET /profiles: profiles:read", "GET /profiles: []")
        .replace("POST /profiles: [profiles:read,", "POST /profiles: [profile:read,");
    let output = faulty(&CONFIG.replace("listen: 127.0.0.1:8080", "listen: nonsense\nworkers: -1"), &policy);
    output.says(&["scopegate.yaml:1:", "scopegate.yaml:2:", "policy.yaml:10:", "policy.yaml:12:"]);
}

#[test]
fn a_store_that_a_variable_or_a_flag_names_is_used_though_the_one_of_the_file_cannot_be() {
    let config = CONFIG.replace("sqlite:keys.db", "postgres://gateway:${env:DB_PASSWORD}@db.example/keys");
    let folder = folder(&config, POLICY);
    let unset = "`keys.store`: the environment variable `DB_PASSWORD` is not set";
    for arguments in [&["check"][..], &["keys", "create", "--name", "a", "--full"]] {
        scopegate(folder.path(), arguments).exits(4).says(&[unset]);
    }
    let run = |arguments: &[&str]| {
        finish(command(folder.path()).env("SCOPEGATE_STORE", "sqlite:other.db").args(arguments)).exits(0)
    };
    run(&["keys", "create", "--name", "a", "--full"]);
    let list = run(&["keys", "list", "--json"]).json();
    let id = list["keys"][0]["id"].as_str().expect("an id");
    run(&["keys", "rotate", id, "--overlap", "1h"]);
    run(&["keys", "clone", id]);
    run(&["keys", "export", "--digests"]);
    run(&["whocan", "GET", "/api/profiles"]);
    run(&["cando", id]);
    run(&["explain", "GET", "/api/profiles", "--key-id", id]);
    run(&["check", "--keys"]);
    for store in ["sqlite:third.db", "sqlite:other.db"] {
        scopegate(folder.path(), ["keys", "create", "--name", "b", "--full", "--store", store]).exits(0);
    }
}

#[test]
fn a_fault_of_a_variable_is_said_to_be_of_it() {
    let folder = folder(CONFIG, POLICY);
    for arguments in [&["check"][..], &["keys", "create", "--name", "a", "--full"]] {
        let mut command = command(folder.path());
        let output = finish(command.env("SCOPEGATE_STORE", "postgres://owner:geheim@db").args(arguments)).exits(4);
        let said = &output.stderr;
        assert!(said.starts_with("error: SCOPEGATE_STORE: the address of the database cannot be used: it names no"));
        assert!(said.ends_with("error: SCOPEGATE_STORE has 1 fault\n"), "{said}");
        assert!(!said.contains('|') && !said.contains("heim"), "{said}");
    }
    let mut command = command(folder.path());
    let output = finish(command.env("SCOPEGATE_STORE", "postgres://owner:geheim@db").args(["keys", "list"])).exits(2);
    output.says(&["SCOPEGATE_STORE: the address of the database cannot be used: it names no database"]);
}

#[test]
fn faults_as_json_have_the_same_facts() {
    let folder = folder(CONFIG, &POLICY.replace("GET /profiles: profiles:read", "GET /profiles: []"));
    let json = scopegate(folder.path(), ["check", "--json"]).exits(4).json();
    let fault = &json["faults"][0];
    assert!(fault["file"].as_str().is_some_and(|file| file.ends_with("policy.yaml")), "{json}");
    assert_eq!(fault["line"], 10);
    assert!(fault["column"].as_u64().is_some_and(|column| column > 1), "{json}");
    assert!(fault["message"].is_string());
}

#[test]
fn a_duplicate_key_or_route_is_an_error_that_names_both() {
    faulty(&format!("{CONFIG}listen: 127.0.0.1:1\n"), POLICY).says(&["scopegate.yaml:6:", "listen"]);
    with_policy(|policy| policy + "  GET /profiles: profiles:write\n").says(&["policy.yaml:14:", "GET /profiles"]);
    with_policy(|policy| policy + "  GET /profiles/{pid}: profiles:read\n").says(&["policy.yaml:14:", "11"]);
    with_policy(|policy| policy + "  POST|GET /profiles/{pid}: profiles:read\n").says(&["policy.yaml:14:", "11"]);
}

#[test]
fn a_scope_outside_the_vocabulary_is_an_error_with_the_nearest() {
    with_policy(|policy| policy + "  GET /x: profile:read\n").says(&[
        "policy.yaml:14:11",
        "profile:read",
        "profiles:read",
    ]);
}

#[test]
fn a_route_that_does_not_say_who_may_call_it_is_an_error() {
    for value in [
        "[]",
        "",
        "null",
        "{}",
        "{ scopes: [] }",
        "{ any_of: [] }",
        "{ any_of: [[]] }",
        "{ auth: key, scopes: [profiles:read] }",
        "{ auth: everyone }",
        "true",
    ] {
        with_policy(|policy| format!("{policy}  GET /x: {value}\n")).says(&["policy.yaml:14:"]);
    }
}

#[test]
fn templates_that_are_none_are_errors() {
    let faults = [
        "GET x",
        "GET /{id}.json",
        "GET /{id}:cancel",
        "GET /{*rest}/more",
        "GET /{}",
        "GET /a//b",
        "GET /a/../b",
        "GET /a b",
        "GET /{id",
        "TRACE /x",
        "CONNECT /x",
        "/x",
        "GET",
    ];
    for template in faults {
        with_policy(|policy| format!("{policy}  \"{template}\": profiles:read\n")).says(&["policy.yaml:14:"]);
    }
}

#[test]
fn yaml_that_means_more_than_it_shows_is_an_error() {
    for line in [
        "  GET /x: &a profiles:read\n",
        "  GET /x: !!str profiles:read\n",
        "  <<: { GET /x: profiles:read }\n",
        "  GET /x: \"unclosed\n",
        "---\nversion: 1\n",
    ] {
        with_policy(|policy| policy + line).says(&["policy.yaml:1"]);
    }
    with_policy(|policy| policy.replace("version: 1\n", "")).says(&["version"]);
    with_policy(|policy| policy.replace("version: 1\n", "version: 2\n")).says(&["policy.yaml:1:", "version"]);
}

#[test]
fn an_upstream_url_that_is_none_is_told_why() {
    for url in [
        "nonsense",
        "http//127.0.0.1",
        "ftp://a",
        "http://",
        "http://a/path",
        "http://a?q",
        "http://a:0",
        "http://a:99999",
        "http://user:pass@a",
        "http://a b",
        "\"\"",
        "null",
        "[]",
    ] {
        faulty(&CONFIG.replace("http://127.0.0.1:3000", url), POLICY).says(&["scopegate.yaml:3:"]);
    }
}

#[test]
fn values_that_cannot_be_are_told_with_their_place() {
    for line in [
        "mode: enforced",
        "errors: html",
        "workers: 0",
        "drain: { timeout: 30 seconds }",
        "limits: { header_bytes: many }",
        "limits: { idle: -1s }",
        "trusted_proxies: [300.0.0.0/8]",
        "admin: { listen: nowhere }",
        "log: { level: loud }",
        "hosts: [\"a b\"]",
    ] {
        faulty(&format!("{CONFIG}{line}\n"), POLICY).says(&["scopegate.yaml:6:"]);
    }
    faulty(&CONFIG.replace("sqlite:keys.db", "mysql:keys"), POLICY).says(&["scopegate.yaml:5:"]);
    faulty(&CONFIG.replace("}\n", ", accept: [] }\n"), POLICY).says(&["scopegate.yaml:5:"]);
}

#[test]
fn a_missing_variable_or_secret_file_is_an_error_with_its_name() {
    let credential = "  credential: { header: Authorization, value: \"Bearer ${env:NO_SUCH_VARIABLE}\" }\npolicy:";
    faulty(&CONFIG.replace("policy:", credential), POLICY).says(&["scopegate.yaml:4:", "NO_SUCH_VARIABLE"]);
    let credential = "  credential: { header: Authorization, value: \"${file:no-such-file}\" }\npolicy:";
    faulty(&CONFIG.replace("policy:", credential), POLICY).says(&["scopegate.yaml:4:", "no-such-file"]);
}

#[test]
fn a_file_that_is_not_there_or_cannot_be_read_is_named() {
    let folder = folder(CONFIG, POLICY);
    scopegate(folder.path(), ["check", "-c", "no-such.yaml"]).exits(1).says(&["no-such.yaml"]);
    scopegate(folder.path(), ["serve", "-c", "no-such.yaml"]).exits(1).says(&["no-such.yaml"]);
    scopegate(folder.path(), ["check", "-c", "."]).exits(1);
    fs::remove_file(folder.path().join("policy.yaml")).expect("the policy goes");
    let output = scopegate(folder.path(), ["check"]).says(&["policy.yaml"]);
    assert!([1, 4].contains(&output.code), "{output:?}");
    fs::write(folder.path().join("policy.yaml"), b"version: 1\n\xff\xfe").expect("no UTF-8");
    let output = scopegate(folder.path(), ["check"]).says(&["policy.yaml"]);
    assert!([1, 4].contains(&output.code), "{output:?}");
}
