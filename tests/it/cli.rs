//! Exit codes, and what bad input is told.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;

use crate::support::command::{contents, finish, scopegate_with_input};
use crate::support::{Output, Setup, Upstream, scopegate, strings};

const CONFIG: &str = "listen: 127.0.0.1:8080\nupstream:\n  url: http://127.0.0.1:3000\npolicy: policy.yaml\nkeys: { store: \"sqlite:keys.db\" }\n";

const POLICY: &str = "version: 1
base: /api
scopes:
  profiles:read: Read profiles
  profiles:write: Change profiles
  lists:read: Read lists
parameters:
  include: { list: comma, members: { lists: lists:read } }
routes:
  GET /profiles: profiles:read
  GET /profiles/{id}: { scopes: [profiles:read], query: { include: [lists] } }
  POST /profiles: [profiles:read, profiles:write]
  GET /health: { auth: anyone }
";

/// `serve` on ports that nobody else has.
const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];

/// A folder with a configuration and a policy.
fn folder(config: &str, policy: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("scopegate.yaml"), config).expect("the configuration");
    fs::write(folder.path().join("policy.yaml"), policy).expect("the policy");
    folder
}

/// Runs `check`, asserts that it exits with 4 and changes nothing on disk.
#[track_caller]
fn faulty(config: &str, policy: &str) -> Output {
    let folder = folder(config, policy);
    let before = contents(folder.path());
    let output = scopegate(folder.path(), ["check"]).exits(4);
    assert_eq!(contents(folder.path()), before, "the check changed a file");
    let serve = scopegate(folder.path(), ["serve"]).exits(4);
    assert_eq!(contents(folder.path()), before, "the refused start changed a file");
    assert!(!serve.stderr.is_empty());
    output
}

fn with_policy(change: impl FnOnce(String) -> String) -> Output {
    faulty(CONFIG, &change(POLICY.to_owned()))
}

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

#[test]
fn bad_usage_is_told_apart_from_a_denial() {
    let folder = folder(CONFIG, POLICY);
    for arguments in [
        ["--no-such-flag"].as_slice(),
        &["no-such-command"],
        &[],
        &["explain"],
        &["explain", "GET"],
        &["keys"],
        &["keys", "create"],
    ] {
        scopegate(folder.path(), arguments).exits(2);
    }
    let help = scopegate(folder.path(), ["--help"]).exits(0);
    for command in ["demo", "serve", "check", "explain", "import", "keys", "healthcheck"] {
        assert!(help.stdout.contains(command), "{command} in {}", help.stdout);
    }
    assert!(scopegate(folder.path(), ["--version"]).exits(0).stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_was_typed_is_repeated_without_what_a_terminal_obeys() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).written();
    for odd in ["a\u{1b}[2Jb", "a\u{202e}b", "a\u{200b}b", "a\u{9b}31mb"] {
        for arguments in [
            ["--name", odd, "--full", "--expires", "1d"],
            ["--name", "good", "--full", "--note", odd],
            ["--name", "good", "--full", "--kind", odd],
            ["--name", "good", "--full", "--attr", odd],
            ["--name", "good", "--full", "--account", odd],
            ["--name", "good", "--scopes", odd, "--json"],
        ] {
            let output = finish(setup.command().args(["keys", "create"]).args(arguments)).exits(2);
            let obeyed = |letter: char| letter != '\n' && (letter.is_control() || "\u{202e}\u{200b}".contains(letter));
            assert!(!output.stderr.contains(obeyed), "{arguments:?}: {:?}", output.stderr);
        }
        let output = finish(setup.command().args(["check", "-c", odd])).exits(1);
        assert!(output.stderr.contains("a\\u{") && !output.stderr.contains(odd), "{:?}", output.stderr);
    }
    assert!(!setup.folder().join("keys.db").exists(), "nothing was made");
}

#[test]
fn explain_says_why_and_exits_accordingly() {
    let folder = folder(CONFIG, POLICY);
    let explain =
        |target: &str, scopes: &str| scopegate(folder.path(), ["explain", "GET", target, "--scopes", scopes, "--json"]);
    let allowed = explain("/api/profiles", "profiles:read").exits(0).json();
    assert_eq!((allowed["decision"].as_str(), &allowed["code"]), (Some("allow"), &serde_json::Value::Null));
    assert_eq!(allowed["route"], "GET /api/profiles");
    let denied = explain("/api/profiles/1?include=lists", "profiles:read").exits(3).json();
    assert_eq!(
        (denied["decision"].as_str(), denied["status"].as_u64(), denied["code"].as_str()),
        (Some("deny"), Some(403), Some("insufficient_scope"))
    );
    assert_eq!(strings(&denied["required"]), ["lists:read", "profiles:read"]);
    assert_eq!(strings(&denied["granted"]), ["profiles:read"]);
    assert_eq!(strings(&denied["missing"]), ["lists:read"]);
    assert_eq!(denied["because"].as_array().map(Vec::len), Some(2), "{denied}");
    assert_eq!(explain("/api/../x", "profiles:read").exits(3).json()["code"], "ambiguous_path");
    assert_eq!(explain("/nowhere", "profiles:read").exits(3).json()["code"], "route_not_allowed");
    let anonymous = scopegate(folder.path(), ["explain", "GET", "/api/profiles", "--json"]).exits(3).json();
    assert_eq!((anonymous["status"].as_u64(), anonymous["code"].as_str()), (Some(401), Some("missing_key")));
    scopegate(folder.path(), ["explain", "GET", "/api/health", "--policy", "policy.yaml"]).exits(0);
    let text =
        scopegate(folder.path(), ["explain", "GET", "/api/profiles/1?include=lists", "--scopes", "profiles:read"])
            .exits(3);
    assert!(text.stdout.contains("lists:read") && text.stdout.contains("include"), "{}", text.stdout);
}

#[test]
fn explain_answers_a_batch_line_by_line() {
    let folder = folder(CONFIG, POLICY);
    let lines = "{\"method\":\"GET\",\"target\":\"/api/profiles\",\"scopes\":[\"profiles:read\"]}\n{\"method\":\"GET\",\"target\":\"/api/profiles\",\"scopes\":[]}\n{\"method\":\"GET\",\"target\":\"/api/profiles\"}\n";
    let output = scopegate_with_input(folder.path(), &["explain", "--batch", "-"], lines).exits(0);
    let answers: Vec<serde_json::Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let codes: Vec<_> = answers.iter().map(|answer| answer["code"].as_str().unwrap_or("none")).collect();
    assert_eq!(codes, ["none", "insufficient_scope", "missing_key"]);
}

#[test]
fn a_policys_own_tests_are_run_by_the_check() {
    let tests = "tests:\n  - request: GET /api/profiles/1?include=lists\n    scopes: [profiles:read]\n    expect: deny\n    missing: [lists:read]\n";
    let good = folder(CONFIG, &format!("{POLICY}{tests}"));
    scopegate(good.path(), ["check"]).exits(0);
    let bad = folder(CONFIG, &format!("{POLICY}{}", tests.replace("[lists:read]\n", "[profiles:read]\n")));
    scopegate(bad.path(), ["check"]).exits(3).says(&["policy.yaml:15", "lists:read"]);
    let wrong = folder(
        CONFIG,
        &format!("{POLICY}{}", tests.replace("expect: deny\n    missing: [lists:read]\n", "expect: allow\n")),
    );
    scopegate(wrong.path(), ["check"]).exits(3).says(&["GET /api/profiles/1?include=lists"]);
}

#[test]
fn a_store_that_is_no_database_is_told_so_and_left_alone() {
    let folder = folder(CONFIG, POLICY);
    let garbage = b"this is not a database, and long enough to look like one ".repeat(50);
    fs::write(folder.path().join("keys.db"), &garbage).expect("the garbage");
    for arguments in [SERVE.as_slice(), &["keys", "list"], &["keys", "create", "--name", "x", "--full"]] {
        scopegate(folder.path(), arguments).exits(1).says(&["keys.db"]);
    }
    assert_eq!(fs::read(folder.path().join("keys.db")).expect("the garbage"), garbage);
}

#[test]
fn a_store_that_is_newer_than_the_program_is_told_so_and_left_alone() {
    let folder = folder(CONFIG, POLICY);
    scopegate(folder.path(), ["keys", "create", "--name", "x", "--full"]).exits(0);
    let path = folder.path().join("keys.db");
    let store = rusqlite::Connection::open(&path).expect("the store");
    store.pragma_update(None, "user_version", 9999).expect("a version of the future");
    store.close().expect("the store is closed");
    let before = fs::read(&path).expect("the store");
    for arguments in [SERVE.as_slice(), &["keys", "list"], &["keys", "create", "--name", "y", "--full"]] {
        scopegate(folder.path(), arguments).exits(1).says(&["keys.db", "newer"]);
    }
    assert_eq!(fs::read(&path).expect("the store"), before);
}

#[test]
fn a_command_that_reads_makes_no_store() {
    let folder = folder(CONFIG, POLICY);
    for arguments in [
        ["keys", "list"].as_slice(),
        &["keys", "show", "key_0123456789abcdef"],
        &["keys", "revoke", "key_0123456789abcdef"],
    ] {
        let output = scopegate(folder.path(), arguments);
        assert!([0, 1].contains(&output.code), "{output:?}");
        assert!(!folder.path().join("keys.db").exists(), "{arguments:?} made a store");
    }
}

#[test]
fn a_store_in_a_folder_that_does_not_exist_is_named() {
    let folder = folder(&CONFIG.replace("sqlite:keys.db", "sqlite:no-folder/keys.db"), POLICY);
    scopegate(folder.path(), ["keys", "create", "--name", "x", "--full"]).exits(1).says(&["no-folder"]);
    scopegate(folder.path(), SERVE).exits(1).says(&["no-folder"]);
}

#[test]
fn a_port_in_use_is_told_with_its_address() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let folder = folder(CONFIG, POLICY);
    let serve = |listen: &str, admin: &str| {
        finish(
            crate::support::command::command(folder.path())
                .args(["serve"])
                .env("SCOPEGATE_LISTEN", listen)
                .env("SCOPEGATE_ADMIN", admin),
        )
    };
    serve(&address, "127.0.0.1:0").exits(1).says(&[&address, "in use"]);
    serve("127.0.0.1:0", &address).exits(1).says(&[&address, "in use"]);
}

#[test]
fn two_gateways_never_share_a_port_in_silence() {
    let upstream = Upstream::ok();
    let first = Setup::new(&upstream).start();
    let second = folder(CONFIG, POLICY);
    let address = first.address().to_string();
    let mut command = crate::support::command::command(second.path());
    finish(command.arg("serve").env("SCOPEGATE_LISTEN", &address).env("SCOPEGATE_ADMIN", "127.0.0.1:0"))
        .exits(1)
        .says(&[&address, "in use"]);
}

#[test]
fn flags_beat_the_environment_and_the_environment_beats_the_file() {
    let folder = folder(CONFIG, POLICY);
    let check = |flags: &[&str], variable: Option<&str>| {
        let mut command = crate::support::command::command(folder.path());
        command.args(["check"]).args(flags);
        command.envs(variable.map(|value| ("SCOPEGATE_POLICY", value)));
        finish(&mut command)
    };
    check(&[], Some("no-such-policy.yaml")).says(&["no-such-policy.yaml"]);
    check(&["--policy", "policy.yaml"], Some("no-such-policy.yaml")).exits(0);
    check(&["--policy", "nor-this.yaml"], Some("policy.yaml")).says(&["nor-this.yaml"]);
}

#[test]
fn a_container_needs_no_file_but_a_policy() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("policy.yaml"), POLICY).expect("the policy");
    let mut command = crate::support::command::command(folder.path());
    command.arg("check").env("SCOPEGATE_UPSTREAM", "http://127.0.0.1:3000").env("SCOPEGATE_POLICY", "policy.yaml");
    finish(&mut command).exits(0);
}

#[test]
fn the_healthcheck_follows_the_gateway() {
    let upstream = Upstream::ok();
    let gateway = Setup::new(&upstream).start();
    gateway.run(&["healthcheck"]).exits(0);
    gateway.process.signal("KILL");
    gateway.process.exit_code();
    gateway.run(&["healthcheck"]).exits(1);
}

#[test]
fn nothing_is_coloured_outside_a_terminal() {
    let folder = folder("lisen: 1\n", POLICY);
    let output = scopegate(folder.path(), ["check"]);
    assert!(!output.stderr.contains('\x1b'), "{}", output.stderr);
}

#[test]
fn an_import_becomes_a_policy_that_the_check_accepts() {
    let document = r#"{"openapi":"3.0.0","info":{"title":"t","version":"1"},"paths":{
        "/api/profiles":{"get":{"x-klaviyo-scopes":["profiles:read"],"responses":{}},"post":{"x-klaviyo-scopes":["profiles:write"],"responses":{}}},
        "/client/events":{"post":{"security":[],"x-klaviyo-scopes":["events:write"],"responses":{}}},
        "/api/odd":{"get":{"responses":{}}}}}"#;
    let folder = folder(CONFIG, POLICY);
    let write = |name: &str| fs::write(folder.path().join(name), document).expect("the document");
    write("spec.json");
    let output = scopegate(folder.path(), ["import", "openapi", "spec.json", "-o", "imported.yaml"]).exits(0);
    output.says(&["/client/events", "/api/odd"]);
    let policy = fs::read_to_string(folder.path().join("imported.yaml")).expect("the policy");
    assert!(policy.contains("GET /api/profiles") && !routes(&policy).contains("/client/events"), "{policy}");
    scopegate(folder.path(), ["check", "--policy", "imported.yaml"]).exits(0);
    scopegate(folder.path(), ["import", "openapi", "no-such.json"]).exits(1).says(&["no-such.json"]);
    assert_unchanged_by_a_bad_document(folder.path());
}

/// The lines of a policy that are not comments.
fn routes(policy: &str) -> String {
    policy.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n")
}

fn assert_unchanged_by_a_bad_document(folder: &Path) {
    fs::write(folder.join("bad.json"), "{\"openapi\": ").expect("the document");
    let before = contents(folder);
    let output = scopegate(folder, ["import", "openapi", "bad.json", "-o", "bad.yaml"]).says(&["bad.json"]);
    assert_ne!(output.code, 0);
    assert_eq!(contents(folder), before);
}

#[test]
fn a_folder_without_a_configuration_is_told_with_what_the_command_can_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let advice = |arguments: &[&str]| {
        let output = scopegate(folder.path(), arguments).exits(1).says(&["no such file here", "-c FILE"]);
        assert!(!output.stderr.contains("os error"), "{}", output.stderr);
        output.stderr
    };
    assert!(advice(&["serve"]).contains("--upstream and --policy"));
    assert!(advice(&["check"]).contains("`--policy FILE`"));
    assert!(advice(&["explain", "GET", "/x"]).contains("`--policy FILE`"));
    assert!(advice(&["keys", "list"]).contains("`--store sqlite:PATH`"));
    let create = advice(&["keys", "create", "--name", "x", "--full"]);
    assert!(!create.contains("--upstream"), "{create}");
    for arguments in [["check", "--policy", "none.yaml"], ["check", "-c", "none.yaml"], ["serve", "-c", "none.yaml"]] {
        scopegate(folder.path(), arguments).exits(1).says(&["none.yaml", "there is no such file"]);
    }
}

#[test]
fn a_port_in_use_is_told_with_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let folder = folder(CONFIG, POLICY);
    let output = scopegate(folder.path(), ["serve", "--listen", "127.0.0.1:0", "--admin", &address]).exits(1);
    let output = output.says(&["admin.listen", "in use by another process", "--admin 127.0.0.1:"]);
    assert!(!output.stderr.contains("os error"), "{}", output.stderr);
    let output = scopegate(folder.path(), ["serve", "--listen", &address, "--admin", "127.0.0.1:0"]).exits(1);
    output.says(&["--listen 127.0.0.1:"]);
    let port = address.rsplit(':').next().expect("a port");
    scopegate(folder.path(), ["demo", "--port", port]).exits(1).says(&["choose another port with `--port`"]);
}

/// The fenced YAML blocks of a document.
fn yaml_blocks(text: &str) -> Vec<&str> {
    text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn every_policy_in_the_readme_passes_its_check_without_a_warning() {
    let readme = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let text = fs::read_to_string(readme).expect("the README");
    let policies: Vec<_> = yaml_blocks(&text).into_iter().filter(|block| block.contains("version: 1\n")).collect();
    assert!(policies.len() >= 2, "{}", policies.len());
    for policy in policies {
        let folder = folder(CONFIG, policy);
        let json = scopegate(folder.path(), ["check", "--json"]).exits(0).json();
        assert_eq!(json["warnings"].as_array().map(Vec::len), Some(0), "{json}\n{policy}");
    }
}
