//! Exit codes, and what bad input is told.

mod documents;
mod faults;
mod resources;

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
        for arguments in [[odd, "x"], ["check", odd], ["keys", odd], ["serve", &format!("--{odd}")]] {
            let output = finish(setup.command().args(arguments));
            assert!(!output.stderr.contains(odd), "{arguments:?}: {:?}", output.stderr);
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
fn nothing_is_coloured_outside_a_terminal() {
    let folder = folder("lisen: 1\n", POLICY);
    let output = scopegate(folder.path(), ["check"]);
    assert!(!output.stderr.contains('\x1b'), "{}", output.stderr);
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
