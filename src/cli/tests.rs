use std::cell::RefCell;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use super::*;

const POLICY: &str = "version: 1
routes:
  GET /profiles: profiles:read
  GET /profiles/{id}: [profiles:read]
  DELETE /profiles/{id}: profiles:write
  GET /health: { auth: anyone }
tests:
  - { request: GET /profiles, scopes: [profiles:read], expect: allow }
";

/// A stream that is read back.
#[derive(Clone, Default)]
struct Captured(Rc<RefCell<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A stream whose reader has gone.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A folder with a configuration over [`POLICY`].
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = "upstream: { url: http://127.0.0.1:3000 }\npolicy: policy.yaml\n";
    fs::write(folder.path().join("scopegate.yaml"), config).unwrap();
    fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    folder
}

/// Exit, standard output and standard error of a command in `folder`.
fn run_in(folder: &Path, line: &[&str], input: &'static str) -> (Exit, String, String) {
    let (output, errors) = (Captured::default(), Captured::default());
    let mut console = Console::of_test(input, output.clone(), errors.clone());
    let exit = run_with(folder, line, &mut console);
    (exit, output.text(), errors.text())
}

fn run_with(folder: &Path, line: &[&str], console: &mut Console) -> Exit {
    let config = folder.join("scopegate.yaml");
    let line = ["scopegate"].iter().chain(line).copied();
    let arguments = Arguments::try_parse_from(line.chain(["-c", config.to_str().unwrap()])).unwrap();
    dispatch(arguments.command, console).unwrap_or_else(|failure| {
        console.tell(&failure);
        failure.exit()
    })
}

#[test]
fn the_definition_is_consistent_and_every_argument_has_help() {
    definition().debug_assert();
    let mut waiting = vec![definition()];
    while let Some(command) = waiting.pop() {
        assert!(command.get_about().is_some(), "{}", command.get_name());
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{} {}", command.get_name(), argument.get_id());
        }
        waiting.extend(command.get_subcommands().cloned());
    }
}

#[test]
fn usage_denial_and_bad_configuration_have_exits_of_their_own() {
    let exits = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Denied, Exit::Invalid];
    assert_eq!(exits.map(Exit::code), [0, 1, 2, 3, 4]);
}

#[test]
fn create_prints_the_key_alone_and_no_other_command_shows_it() {
    let folder = folder();
    let create = ["keys", "create", "--name", "exporter", "--scopes", "profiles:read", "--expires", "90d"];
    let (exit, key, said) = run_in(folder.path(), &create, "");
    assert_eq!(exit, Exit::Done, "{said}");
    let key = key.strip_suffix('\n').unwrap();
    assert!(key.starts_with("sg_") && key.len() == 39, "{key}");
    assert!(said.contains("exporter") && !said.contains(key), "{said}");

    for list in [vec!["keys", "list"], vec!["keys", "list", "--json"]] {
        let (exit, listed, _) = run_in(folder.path(), &list, "");
        assert_eq!(exit, Exit::Done);
        assert!(listed.contains("exporter") && !listed.contains(key), "{listed}");
    }
    let (exit, explained, _) = run_in(folder.path(), &["explain", "GET", "/profiles", "--key", key], "");
    assert_eq!(exit, Exit::Done, "{explained}");
    assert!(!explained.contains(key), "{explained}");
}

#[test]
fn unknown_scopes_are_all_named_with_the_nearest_and_nothing_is_made() {
    let folder = folder();
    let create = ["keys", "create", "--name", "x", "--scopes", "profile:read,zebra", "--json"];
    let (exit, printed, said) = run_in(folder.path(), &create, "");
    assert_eq!(exit, Exit::Usage);
    assert!(said.contains("`profile:read`; did you mean `profiles:read`?") && said.contains("`zebra`"), "{said}");
    assert_eq!(printed, "");
    assert!(!folder.path().join("scopegate.db").exists());
}

#[test]
fn a_key_that_was_made_but_could_not_be_printed_is_reported_with_its_id() {
    let folder = folder();
    let errors = Captured::default();
    let mut console = Console::of_test("", Closed, errors.clone());
    let exit = run_with(folder.path(), &["keys", "create", "--name", "x", "--full"], &mut console);
    assert_eq!(exit, Exit::Failed);
    assert!(errors.text().contains("could not be printed"), "{}", errors.text());
    let (_, listed, _) = run_in(folder.path(), &["keys", "list", "--json"], "");
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let id = listed["keys"][0]["id"].as_str().unwrap();
    assert!(errors.text().contains(&format!("scopegate keys revoke {id}")), "{}", errors.text());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = folder();
    let mut console = Console::of_test("", Closed, io::sink());
    assert_eq!(run_with(folder.path(), &["check"], &mut console), Exit::Done);
}

#[test]
fn a_state_is_changed_with_a_word_on_standard_error_and_json_on_request() {
    let folder = folder();
    let (_, made, _) = run_in(folder.path(), &["keys", "create", "--name", "x", "--no-scopes", "--json"], "");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let id = made["id"].as_str().unwrap();
    let (exit, printed, said) = run_in(folder.path(), &["keys", "disable", id], "");
    assert_eq!((exit, printed.as_str()), (Exit::Done, ""));
    assert!(said.contains("is disabled now"), "{said}");
    let (_, printed, _) = run_in(folder.path(), &["keys", "revoke", id, "--json"], "");
    let record: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(record["state"], "revoked");
    let (exit, _, said) = run_in(folder.path(), &["keys", "enable", id], "");
    assert_eq!(exit, Exit::Failed);
    assert!(said.contains("a revoke is final"), "{said}");
}

#[test]
fn explain_exits_3_on_a_denial_and_says_what_is_missing() {
    let folder = folder();
    let explain = ["explain", "DELETE", "/profiles/1", "--scopes", "profiles:read"];
    let (exit, text, _) = run_in(folder.path(), &explain, "");
    assert_eq!(exit, Exit::Denied);
    assert!(text.contains("  missing   profiles:write\n"), "{text}");
    assert!(text.contains("\nDENY 403 insufficient_scope  "), "{text}");
    let bare = ["explain", "DELETE", "/profiles/1", "--no-scopes"];
    let (exit, text, _) = run_in(folder.path(), &bare, "");
    assert_eq!(exit, Exit::Denied);
    assert!(text.contains("a key without scopes") && text.contains("403 insufficient_scope"), "{text}");
    let (exit, text, _) = run_in(folder.path(), &["explain", "GET", "/profiles/%2e%2e/x", "--full", "--json"], "");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((exit, json["code"].as_str()), (Exit::Denied, Some("ambiguous_path")));
    let (exit, text, _) = run_in(folder.path(), &["explain", "GET", "/health", "--json"], "");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((exit, &json["code"]), (Exit::Done, &serde_json::Value::Null));
}

#[test]
fn a_batch_is_answered_line_by_line_whatever_the_decisions() {
    let folder = folder();
    let lines = "{\"method\":\"GET\",\"target\":\"/profiles\",\"scopes\":[\"profiles:read\"]}\n\
                 {\"method\":\"GET\",\"target\":\"/profiles\"}\n\
                 {\"method\":\"GET\",\"target\":\"/health\"}";
    let (exit, answers, _) = run_in(folder.path(), &["explain", "--batch", "-"], lines);
    assert_eq!(exit, Exit::Done);
    let decisions: Vec<String> = answers
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["decision"].to_string())
        .collect();
    assert_eq!(decisions, ["\"allow\"", "\"deny\"", "\"allow\""]);
}

#[test]
fn check_names_what_is_open_and_fails_with_a_test_of_the_policy() {
    let folder = folder();
    let (exit, text, _) = run_in(folder.path(), &["check"], "");
    assert_eq!(exit, Exit::Done);
    assert!(text.contains("Open to anyone") && text.contains(":6  GET /health\n"), "{text}");
    assert!(text.contains("\nroutes    4\nscopes    2\ntests     1 passed\nwarnings  none\n"), "{text}");
    let both = text.lines().last().unwrap_or_default();
    assert!(both.contains("scopegate.yaml and ") && both.ends_with("policy.yaml are in order."), "{text}");

    fs::write(folder.path().join("policy.yaml"), POLICY.replace("expect: allow", "expect: deny")).unwrap();
    let (exit, text, said) = run_in(folder.path(), &["check", "--json"], "");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((exit, json["failed_tests"][0]["line"].as_u64()), (Exit::Denied, Some(8)), "{text}{said}");

    fs::write(folder.path().join("policy.yaml"), POLICY.replace("auth: anyone", "auth: anybody")).unwrap();
    let (exit, text, _) = run_in(folder.path(), &["check", "--json"], "");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((exit, json["faults"][0]["line"].as_u64()), (Exit::Invalid, Some(6)), "{text}");
}

#[test]
fn check_keys_names_scopes_that_the_policy_no_longer_knows() {
    let folder = folder();
    run_in(folder.path(), &["keys", "create", "--name", "old", "--scopes", "profiles:write"], "");
    let policy = POLICY.replace("  DELETE /profiles/{id}: profiles:write\n", "");
    fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    let (exit, text, _) = run_in(folder.path(), &["check", "--keys", "--json"], "");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let warning = json["warnings"][0]["message"].as_str().unwrap();
    assert_eq!(exit, Exit::Done);
    assert!(warning.contains("(old)") && warning.contains("`profiles:write`"), "{warning}");
}

#[test]
fn scopes_are_parted_by_commas_and_the_blanks_around_them_do_not_count() {
    let folder = folder();
    let create = |scopes| run_in(folder.path(), &["keys", "create", "--name", "x", "--scopes", scopes], "");
    assert_eq!(create("profiles:read, profiles:write").0, Exit::Done);
    let (exit, _, said) = create("profiles:read profiles:write");
    assert_eq!(exit, Exit::Usage);
    assert!(said.contains("--scopes profiles:read,profiles:write"), "{said}");
}

#[test]
fn a_network_with_bits_behind_its_prefix_is_refused_with_both_readings() {
    let folder = folder();
    let create = ["keys", "create", "--name", "x", "--full", "--from", "10.0.0.1/8"];
    let (exit, _, said) = run_in(folder.path(), &create, "");
    assert_eq!(exit, Exit::Usage);
    assert!(said.contains("10.0.0.0/8") && said.contains("10.0.0.1 for the one address"), "{said}");
}

#[test]
fn a_name_given_for_an_id_is_answered_with_the_id() {
    let folder = folder();
    let (_, made, _) = run_in(folder.path(), &["keys", "create", "--name", "exporter", "--full", "--json"], "");
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    for command in ["revoke", "show"] {
        let (exit, _, said) = run_in(folder.path(), &["keys", command, "exporter"], "");
        assert_eq!(exit, Exit::Failed);
        assert!(said.contains(made["id"].as_str().unwrap()), "{said}");
    }
}

#[test]
fn a_kind_of_key_that_is_none_is_told_those_that_there_are() {
    let folder = folder();
    let (exit, _, said) = run_in(folder.path(), &["keys", "create", "--name", "x", "--full", "--kind", "secrt"], "");
    assert_eq!(exit, Exit::Usage);
    assert!(said.contains("secret, pair or public"), "{said}");
}

#[test]
fn what_a_user_or_a_store_says_never_acts_on_the_terminal() {
    let folder = folder();
    let (strange, log) = ("a\u{1b}[31mb\u{202e}c\u{85}", folder.path().join("access.jsonl"));
    let line = |path: &str| {
        let request = serde_json::json!({ "method": strange, "path": path, "decision": "deny", "code": strange });
        format!("{request}\n")
    };
    fs::write(&log, [line(&format!("/health{strange}")), line("/health\n  fake")].concat()).unwrap();
    let open = folder.path().join("open.yaml");
    fs::write(&open, format!("{POLICY}# open\n").replace("GET /health", "ANY /{*rest}")).unwrap();
    let (policy, open) = (folder.path().join("policy.yaml"), open.to_str().unwrap().to_owned());
    let (policy, log) = (policy.to_str().unwrap(), log.to_str().unwrap());
    let scopes = ["explain", "GET", "/profiles", "--scopes", strange];
    let target = ["explain", strange, strange, "--full", "--account", strange, "--attr", "owner=a\u{202e}\u{1b}[2J"];
    let json = ["explain", "GET", "/profiles", "--scopes", strange, "--json"];
    let id = ["explain", "GET", "/profiles", "--key-id", strange];
    let file = ["check", "--policy", strange];
    let diff = ["diff", policy, &open, "--log", log];
    let lines: [&[&str]; 6] = [&scopes, &target, &json, &id, &file, &diff];
    for line in lines {
        let (output, errors) = (Captured::default(), Captured::default());
        let mut console = Console::of_test("", output.clone(), errors.clone());
        let config = folder.path().join("scopegate.yaml");
        let config = ["-c", config.to_str().unwrap()];
        let config = if line.first() == Some(&"explain") { &config[..] } else { &[] };
        let arguments = Arguments::try_parse_from(["scopegate"].iter().chain(line).chain(config)).unwrap();
        if let Err(failure) = dispatch(arguments.command, &mut console) {
            console.tell(&failure);
        }
        let text = output.text() + &errors.text();
        let raw = text.chars().find(|c| *c != '\n' && crate::key::visible::is_invisible(*c));
        assert!(raw.is_none() && !text.is_empty(), "{line:?}: {text:?}");
        assert!(!text.contains("\n  fake"), "{text}");
    }
}

#[test]
fn json_means_the_same_whatever_shows_of_it() {
    let output = Captured::default();
    let value = serde_json::json!({ "\u{202e}a": ["\u{1b}", "\u{e0041}", "\u{85}\u{2028}", "é😀\n\\"] });
    Console::of_test("", output.clone(), io::sink()).print_json(&value).unwrap();
    let text = output.text();
    assert!(!text.trim_end().chars().any(crate::key::visible::is_invisible), "{text}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
}
