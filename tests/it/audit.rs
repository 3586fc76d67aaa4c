//! Every change of a key with who, when and what, and whether the log of them is whole.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::command::{Output, finish, scopegate_with_input};
use crate::support::{Setup, Upstream};

fn run(setup: &Setup, arguments: &[&str]) -> Output {
    finish(setup.command().args(arguments))
}

/// The name of who runs these tests, as the system has it.
fn user() -> String {
    let said = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

/// What README shows for those who have no ScopeGate, at work on an export.
fn by_recipe(export: &str) -> (i32, String) {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```python\n").expect("the recipe");
    let (recipe, _) = rest.split_once("```").expect("its end");
    let mut python = Command::new("python3")
        .args(["-c", recipe])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3, as tests/run asks for");
    python.stdin.take().expect("its input").write_all(export.as_bytes()).expect("it reads");
    let output = python.wait_with_output().expect("its end");
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn every_change_by_command_is_written_down_with_who_when_and_what_and_without_the_key() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).written();
    let before = jiff::Timestamp::now();
    let made =
        run(&setup, &["keys", "create", "--name", "shop", "--scopes", "profiles:read", "--json"]).exits(0).json();
    let (id, key) = (made["id"].as_str().expect("an id"), made["key"].as_str().expect("a key"));
    let mut keys = vec![key.to_owned()];
    keys.push(run(&setup, &["keys", "rotate", id, "--overlap", "2h"]).exits(0).stdout.trim().to_owned());
    keys.push(run(&setup, &["keys", "clone", id]).exits(0).stdout.trim().to_owned());
    for action in ["disable", "disable", "enable", "revoke", "delete"] {
        run(&setup, &["keys", action, id]).exits(0);
    }
    run(&setup, &["keys", "enable", id]).exits(1);
    let listed = run(&setup, &["audit", "list", "--json"]).exits(0).json();
    let entries = listed["entries"].as_array().expect("entries");
    let actions: Vec<&str> = entries.iter().map(|entry| entry["action"].as_str().expect("an action")).collect();
    assert_eq!(actions, ["create", "rotate", "clone", "disable", "enable", "revoke", "delete"]);
    let author = format!("cli:{}", user());
    for (place, entry) in entries.iter().enumerate() {
        assert_eq!((&entry["number"], &entry["by"]), (&(place + 1).into(), &author.clone().into()));
        let at: jiff::Timestamp = entry["at"].as_str().expect("a time").parse().expect("RFC 3339");
        assert!(at.as_millisecond() >= before.as_millisecond() && at <= jiff::Timestamp::now(), "{entry}");
        assert_eq!(entry["detail"]["name"], "shop");
    }
    let of = |place: usize| &entries[place]["detail"];
    assert_eq!(of(0)["scopes"], serde_json::json!(["profiles:read"]));
    assert_eq!(of(1)["overlap_seconds"], 7200);
    assert_eq!(of(2)["of"], id);
    assert_eq!((&of(3)["was"], &of(5)["was"]), (&"active".into(), &"active".into()));
    assert!(entries.iter().enumerate().all(|(place, entry)| (entry["key"] == id) == (place != 2)), "{listed}");
    let text = listed.to_string();
    for key in keys {
        let secret = &key[3..];
        assert!(!text.contains(&secret[..8]) && !text.contains(&secret[secret.len() - 6..]), "{text}");
    }
}

#[test]
fn whoever_became_root_is_named_and_nobody_else_is_believed() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).written();
    finish(setup.command().env("SUDO_USER", "alice").args(["keys", "create", "--name", "a", "--full"])).exits(0);
    let listed = run(&setup, &["audit", "list", "--json"]).exits(0).json();
    let user = user();
    let expected = if user == "root" { "cli:alice (sudo)".to_owned() } else { format!("cli:{user}") };
    assert_eq!(listed["entries"][0]["by"], Value::from(expected));
}

#[test]
fn an_export_is_checked_without_a_store_and_without_this_program() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).written();
    for name in ["one", "zw\u{f6}lf \"\\ 12\u{1f600}", "three"] {
        run(&setup, &["keys", "create", "--name", name, "--full", "--attr", "a=b"]).exits(0);
    }
    let export = run(&setup, &["audit", "export"]).exits(0);
    let said = run(&setup, &["audit", "verify", "--json"]).exits(0);
    let head = said.json()["head"].as_str().expect("a head").to_owned();
    assert!(head.starts_with("3:") && export.stderr.contains(&head) && said.stderr.contains(&head), "{head}");
    assert_eq!(by_recipe(&export.stdout), (0, String::new()));
    let elsewhere = tempfile::tempdir().expect("a folder");
    let verify = |arguments: &[&str], text: &str| {
        scopegate_with_input(elsewhere.path(), &[&["audit", "verify", "-"], arguments].concat(), text)
    };
    verify(&["--head", &head], &export.stdout).exits(0).says(&["3 entries hold"]);
    let rest = run(&setup, &["audit", "export", "--after", "1"]).exits(0).stdout;
    verify(&["--head", &head], &rest).exits(0).says(&["2 entries from entry 2 on hold"]);
    let altered = export.stdout.replace("three", "tree");
    verify(&[], &altered).exits(3).says(&["entry 3 was changed"]);
    assert_eq!(by_recipe(&altered), (1, "entry 3 does not hold\n".to_owned()));
    let cut = &export.stdout[..export.stdout.trim_end().rfind('\n').expect("lines") + 1];
    verify(&[], cut).exits(0);
    verify(&["--head", &head], cut).exits(3).says(&["entry 3 is missing"]);
}

#[test]
fn a_change_made_past_the_program_shows() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).written();
    for name in ["one", "two"] {
        run(&setup, &["keys", "create", "--name", name, "--full"]).exits(0);
    }
    run(&setup, &["audit", "verify"]).exits(0);
    let store = rusqlite::Connection::open(setup.folder().join("keys.db")).expect("the store");
    store
        .execute_batch("DROP TRIGGER changes_are_never_removed; DELETE FROM changes WHERE revision = 2")
        .expect("a cut");
    run(&setup, &["audit", "verify"]).exits(3).says(&["entry 2 is missing", "the end was cut off", "1 entry"]);
    let json = run(&setup, &["audit", "verify", "--json"]).exits(3).json();
    assert_eq!((&json["holds"], &json["broken"]["number"]), (&false.into(), &2.into()));
    // The log is damaged, and a key can be ended all the same.
    let listed = run(&setup, &["keys", "list", "--json"]).exits(0).json();
    run(&setup, &["keys", "revoke", listed["keys"][1]["id"].as_str().expect("an id")]).exits(0);
    run(&setup, &["audit", "verify"]).exits(3).says(&["entry 2 is missing: entry 3 stands in its place"]);
}

#[test]
fn a_key_in_a_wrong_place_is_refused_and_never_repeated() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).written();
    let key = run(&setup, &["keys", "create", "--name", "shop", "--full"]).exits(0).stdout.trim().to_owned();
    let named = format!("my {key}");
    let attribute = format!("t={key}");
    let file = setup.folder().join("keys.jsonl");
    std::fs::write(&file, format!("{{\"name\":\"{key}\",\"{key}\":1,\"grant\":\"full\"}}\n")).expect("a file");
    let file = file.to_str().expect("a path").to_owned();
    let calls: [&[&str]; 15] = [
        &["keys", "create", "--full", "--name", &named],
        &["keys", "create", "--full", "--name", "a", "--note", &named],
        &["keys", "create", "--full", "--name", "a", "--attr", &attribute],
        &["keys", "create", "--full", "--name", "a", "--account", &key],
        &["keys", "create", "--full", "--name", "a", "--expires", &key],
        &["keys", "create", "--full", "--name", "a", "--from", &key],
        &["keys", "create", "--full", "--name", "a", "--kind", &key],
        &["keys", "create", "--name", "a", "--scopes", &key],
        &["keys", "rotate", "key_0123456789abcdef", "--overlap", &key],
        &["keys", "list", "--store", &key],
        &["keys", &key],
        &[&key],
        &["accounts", "create", &key],
        &["accounts", "create", "acme", "--credential", &key],
        &["keys", "import", &file],
    ];
    for call in calls {
        let output = run(&setup, call);
        assert_ne!(output.code, 0, "{call:?}");
        let said = format!("{}{}", output.stdout, output.stderr);
        assert!(!said.contains(&key[3..]), "{call:?}: {said}");
    }
    let exported = run(&setup, &["audit", "export"]).exits(0).stdout;
    assert!(!exported.contains(&key[3..]), "{exported}");
}

#[test]
fn every_key_that_was_changed_past_the_program_is_named() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).written();
    for name in ["one", "two"] {
        let made = run(&setup, &["keys", "create", "--name", name, "--full", "--json"]).exits(0).json();
        run(&setup, &["keys", "disable", made["id"].as_str().expect("an id")]).exits(0);
    }
    let store = rusqlite::Connection::open(setup.folder().join("keys.db")).expect("the store");
    store.execute_batch("UPDATE keys SET state = 'active'").expect("no trigger can tell");
    let told = run(&setup, &["audit", "verify", "--json"]).exits(3).says(&[
        "entry 5 is missing: the key key_",
        "(its state)",
        "were changed past the log",
    ]);
    let strays = told.json()["changed_past_it"].as_array().expect("a list").clone();
    assert_eq!(strays.len(), 2);
    assert!(strays.iter().all(|stray| stray["what"] == "its state" && stray["key"].is_string()), "{strays:?}");
}
