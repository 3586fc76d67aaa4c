//! `scopegate scan`: where keys stand in files, which of them work, and what ends them.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use scopegate::key::secret::Secret;
use serde_json::Value;

use crate::keys::id_of;
use crate::support::command::{command, finish, scopegate_with_input};
use crate::support::{Gateway, Output, Upstream, scopegate};

fn minted(prefix: &str) -> String {
    String::from_utf8(Secret::mint(prefix).expect("a key").expose().to_vec()).expect("text")
}

fn last_four(key: &str) -> &str {
    &key[key.len() - 4..]
}

/// The lines of a scan as JSON.
fn lines(output: &Output) -> Vec<Value> {
    output.stdout.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

/// Fails where one of the keys is in what a command said.
#[track_caller]
fn assert_hidden(output: &Output, keys: &[&str]) {
    for key in keys {
        let middle = &key[key.len() - 36..key.len() - 4];
        assert!(!output.stdout.contains(middle) && !output.stderr.contains(middle), "a key is shown: {output:?}");
    }
}

#[test]
fn each_key_is_told_with_its_place_and_never_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let keys: Vec<String> = (0..3).map(|_| minted("sg")).collect();
    fs::create_dir_all(at("src/.deep")).expect("folders");
    fs::write(at("src/app.py"), format!("import os\nKEY = \"{}\"\nOTHER='{}'\n", keys[0], keys[1])).expect("a file");
    fs::write(at("src/.deep/image.bin"), [b"\0\x89\n\xff\0".as_slice(), keys[2].as_bytes(), b"\0"].concat())
        .expect("a file");
    fs::write(at("src/clean"), "sg_no_key_of_ours sg_0123456789ABCDEFGHIJKLMNOPQRST4YaTr8\n").expect("a file");
    symlink("app.py", at("src/link")).expect("a link");
    let output = scopegate(folder.path(), ["scan", "src"]).exits(1);
    let told: Vec<&str> = output.stdout.lines().collect();
    let expected = [
        format!("src/app.py:2:8: sg_…{}", last_four(&keys[0])),
        format!("src/app.py:3:8: sg_…{}", last_four(&keys[1])),
        format!("src/.deep/image.bin:2:3: sg_…{}", last_four(&keys[2])),
    ];
    assert_eq!(told, expected);
    assert_hidden(&output, &[&keys[0], &keys[1], &keys[2]]);
    let output = output.says(&["3 files searched", "1 symbolic link not followed", "3 keys found."]);
    assert!(!output.stderr.contains("warning"), "{}", output.stderr);
    let json = scopegate(folder.path(), ["scan", "--json", "src/link", "src/clean"]).exits(1);
    let json = lines(&json);
    assert_eq!(json.len(), 2, "a link that is named is followed");
    assert_eq!((&json[0]["path"], &json[0]["line"], &json[0]["column"]), (&"src/link".into(), &2.into(), &8.into()));
    assert_eq!((&json[0]["status"], &json[0]["command"]), (&Value::Null, &Value::Null), "no store was asked");
    scopegate(folder.path(), ["scan", "src/clean"]).exits(0).says(&["1 file searched", "No key was found."]);
}

#[test]
fn a_store_says_which_keys_work_and_a_command_ends_them() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let [live, disabled, revoked, deleted] = [0; 4].map(|_| gateway.create_key(&["--full"]));
    let pair = gateway.create_key(&["--full", "--kind", "pair"]);
    let (pair_id, pair_secret) = pair.split_once(':').expect("an id and a secret");
    let retiring = gateway.create_key(&["--full"]);
    let rotated = id_of(&gateway, &retiring);
    let ended = gateway.run(&["keys", "rotate", &rotated, "--overlap", "1h"]).exits(0).stdout.trim_end().to_owned();
    gateway.run(&["keys", "rotate", &rotated, "--overlap", "24h"]).exits(0);
    for (change, key) in [("disable", &disabled), ("revoke", &revoked), ("delete", &deleted)] {
        gateway.run(&["keys", change, &id_of(&gateway, key)]).exits(0);
    }
    let unknown = minted("sg");
    let all = [&live, &disabled, &revoked, &deleted, pair_secret, &retiring, &ended, &unknown];
    let text: Vec<String> = all.iter().map(|key| (*key).to_owned()).collect();
    fs::write(gateway.file("leak.txt"), text.join("\n")).expect("the leak");
    let output = gateway.run(&["scan", "leak.txt", "--json"]).exits(1);
    assert_hidden(&output, &all);
    let found = lines(&output);
    let statuses: Vec<&str> = found.iter().map(|line| line["status"].as_str().expect("a status")).collect();
    let expected = ["live", "disabled", "revoked", "deleted", "live", "retiring", "retiring", "unknown"];
    assert_eq!(statuses, expected);
    let live_id = id_of(&gateway, &live);
    let commands: Vec<Value> = found.iter().map(|line| line["command"].clone()).collect();
    assert_eq!(commands[0], format!("scopegate keys rotate {live_id}"));
    assert_eq!(commands[1], format!("scopegate keys revoke {}", id_of(&gateway, &disabled)));
    assert_eq!(commands[4], format!("scopegate keys reset-secret {pair_id}"));
    assert_eq!(commands[5], format!("scopegate keys end-overlap {rotated}"), "the new value is not to end");
    assert!([2, 3, 7].iter().all(|place| commands[*place].is_null()), "{commands:?}");
    assert!(found[5]["until"].is_string() && found[0]["name"] == "test", "{found:?}");

    // What a command says ends the old value, of the pair and of the one in its overlap, too.
    for command in [&commands[0], &commands[4], &commands[5]] {
        let words: Vec<&str> = command.as_str().expect("a command").split(' ').skip(1).collect();
        gateway.run(&words).exits(0);
    }
    let output = gateway.run(&["scan", "leak.txt"]).exits(1).says(&["8 keys found."]);
    let told = format!("leak.txt:1:1: sg_…{} is an old value that has ended: {live_id} (test)\n", last_four(&live));
    assert!(output.stdout.starts_with(&told), "{}", output.stdout);
    assert!(
        output.stdout.contains(&format!("sg_…{} is unknown to the store\n", last_four(&unknown))),
        "{}",
        output.stdout
    );
}

#[test]
fn a_tripwire_that_is_found_is_no_leak_and_nothing_is_to_be_done_about_it() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let laid = gateway.create_key(&["--tripwire"]);
    fs::write(gateway.file("wiki.txt"), &laid).expect("the bait");
    let said = gateway.run(&["scan", "wiki.txt"]).exits(0).says(&["1 tripwire found", "No other key was found."]);
    assert!(said.stdout.contains("is a tripwire, which opens nothing") && !said.stdout.contains("scopegate keys"));
    let line = lines(&gateway.run(&["scan", "wiki.txt", "--json"]).exits(0)).remove(0);
    assert_eq!((&line["status"], &line["command"]), (&"tripwire".into(), &Value::Null));
    gateway.run(&["keys", "rotate", &id_of(&gateway, &laid)]).exits(0).says(&["it is a tripwire"]);
}

#[test]
fn what_keys_look_like_comes_from_the_configuration_the_store_and_the_flag() {
    let upstream = Upstream::ok();
    let setup =
        crate::support::Setup::new(&upstream).keys("  prefix: acme\n  pepper: a pepper of some length").written();
    let run = |arguments: &[&str]| finish(setup.command().args(arguments));
    let key = run(&["keys", "create", "--name", "mine", "--full"]).exits(0).stdout.trim_end().to_owned();
    let stranger = minted("sg");
    let text = format!("{stranger} {key}\n");
    let file = setup.folder().join("a.txt");
    fs::write(&file, &text).expect("a file");
    let found = lines(&run(&["scan", "a.txt", "--json"]).exits(1));
    assert_eq!((found.len(), &found[0]["status"], &found[0]["column"]), (1, &"live".into(), &41.into()));
    // Elsewhere, with the configuration named: the command names it, too.
    let config = setup.folder().join("scopegate.yaml");
    let elsewhere = tempfile::tempdir().expect("a folder");
    let arguments = ["scan", "-c", config.to_str().expect("text"), file.to_str().expect("text"), "--json"];
    let found = lines(&scopegate(elsewhere.path(), arguments).exits(1));
    let command = found[0]["command"].as_str().expect("a command");
    assert!(command.ends_with(&format!(" -c {}", config.display())), "{command}");
    // Without a configuration: the usual prefix, or those that are named.
    let scan = |flags: &[&str]| {
        let found =
            lines(&scopegate_with_input(elsewhere.path(), &[&["scan", "-", "--json"], flags].concat(), &text).exits(1));
        found.iter().map(|line| line["column"].as_u64().expect("a column")).collect::<Vec<_>>()
    };
    assert_eq!(scan(&[]), [1]);
    assert_eq!(scan(&["--prefix", "acme"]), [41]);
    assert_eq!(scan(&["--prefix", "acme", "--prefix", "sg"]), [1, 41]);
    // A store knows under which prefixes its keys were made.
    let store = format!("sqlite:{}", setup.folder().join("keys.db").display());
    assert_eq!(scan(&["--store", &store]), [41]);
    scopegate(elsewhere.path(), ["scan", "-", "--prefix", "a-b"])
        .exits(2)
        .says(&["`a-b` cannot be the prefix of keys"]);
}

#[test]
fn what_cannot_be_read_is_named_and_no_key_found_is_then_no_success() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = minted("sg");
    fs::create_dir_all(folder.path().join("in")).expect("a folder");
    let named = folder.path().join(format!("in/{key}.txt"));
    scopegate(folder.path(), ["scan", "none", "in"]).exits(2).says(&[
        "warning: none cannot be read: ",
        "0 files searched",
        "No key was found in what could be read.",
    ]);
    // A configuration that cannot be read is no finding either.
    scopegate(folder.path(), ["scan", "-c", "none.yaml", "in"]).exits(2).says(&["none.yaml"]);
    scopegate(folder.path(), ["scan", "--store", "sqlite:none.db", "in"]).exits(2).says(&["no key store at none.db"]);
    scopegate(folder.path(), ["scan"]).exits(2);
    // A file of that name is a leak by itself, and the message about it must not be another one.
    fs::write(&named, "nothing").expect("a file");
    fs::set_permissions(&named, fs::Permissions::from_mode(0o000)).expect("a mode");
    let output = scopegate(folder.path(), ["scan", "in"]).exits(1);
    assert_eq!(output.stdout, format!("in/sg_***.txt (its name): sg_…{}\n", last_four(&key)));
    assert_hidden(&output, &[&key]);
    let json = scopegate(folder.path(), ["scan", "none", "--json"]).exits(2);
    assert_eq!(lines(&json)[0]["path"], "none");
    assert!(lines(&json)[0]["error"].is_string());
}

#[test]
fn a_large_stream_takes_no_memory_and_its_last_key_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = minted("sg");
    let script = format!("yes '{}' | head -c 300000000; printf '%s' {key}", "x".repeat(99));
    let binary = command(folder.path()).get_program().to_owned();
    let mut shell = std::process::Command::new("sh");
    // 128 MiB of address space: the stream does not fit.
    shell.arg("-c").arg(format!("({script}) | (ulimit -v 131072; exec \"$0\" scan - --prefix sg)")).arg(binary);
    let output = finish(
        shell.current_dir(folder.path()).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()),
    );
    assert_eq!(output.exits(1).stdout, format!("standard input:3000001:1: sg_…{}\n", last_four(&key)));
}

#[test]
fn the_expression_for_other_scanners_finds_what_is_minted_and_little_else() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("the README");
    let written = r"\bsg_[0-9A-Za-z]{36}\b";
    let rule = format!("regex = '''{written}'''");
    assert!(readme.contains(&rule) && readme.contains("`sg_[0-9A-Za-z]{36}`"), "README.md gives another expression");
    // Without the tables of Unicode a word is of ASCII, as in the engines of those scanners.
    let expression = regex::bytes::RegexBuilder::new(written).unicode(false).build().expect("an expression");
    for _ in 0..1000 {
        let key = minted("sg");
        let line = format!("token=\"{key}\",");
        let found = expression.find(line.as_bytes()).expect("a key is found");
        assert_eq!(found.as_bytes(), key.as_bytes(), "all of it and nothing else");
    }
    for text in
        ["sg_0123456789", "asg_0123456789ABCDEFGHIJKLMNOPQRST4YaTr7", "sg_0123456789ABCDEFGHIJKLMNOPQRST4YaTr7x"]
    {
        assert!(!expression.is_match(text.as_bytes()), "{text}");
    }
}
