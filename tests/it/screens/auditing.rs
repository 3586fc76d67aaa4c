//! `audit`: what was changed, and whether the log of it holds.

use super::*;

/// A log without what differs from run to run: its hashes, and who the tester is.
fn calm(text: &str) -> String {
    let author = regex::Regex::new(r"cli:[^ \x22]+( \((sudo|doas)\))?").unwrap().replace_all(text, "cli:tester");
    let hashes = regex::Regex::new("[0-9a-f]{64}").unwrap();
    let calm = hashes.replace_all(&author, |found: &regex::Captures<'_>| {
        if found[0].bytes().all(|byte| byte == b'0') { found[0].to_owned() } else { "h".repeat(64) }
    });
    regex::Regex::new("(?m)(tester|BY)  +").unwrap().replace_all(&calm, "$1  ").into_owned()
}

fn screens(folder: &Folder, lines: &[String]) -> String {
    lines.iter().map(|line| calm(&folder.screen(line))).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_changes_of_a_store() {
    let folder = Folder::new();
    let missing = folder.screen("audit list");
    folder.run("accounts create acme").exits(0);
    let make = |more: &str| {
        let made = folder.run(&format!("keys create {more} --json")).exits(0).json();
        made["id"].as_str().expect("an id").to_owned()
    };
    let first = make(
        "--name 'the shop' --scopes profiles:read,lists:read --account acme --note secret --attr team=blue --from 10.0.0.0/8 --expires 2099-01-31",
    );
    let second = make("--name second --full");
    folder.run(&format!("keys rotate {first}")).exits(0);
    folder.run(&format!("keys clone {second}")).exits(0);
    folder.run(&format!("keys disable {second}")).exits(0);
    folder.run(&format!("keys disable {second}")).exits(0);
    folder.run(&format!("keys delete {second}")).exits(0);
    let lines = [
        "audit list".to_owned(),
        format!("audit list --key {first} --json"),
        "audit list --last 1 --since 1h".to_owned(),
        "audit list --until 2020-01-31".to_owned(),
        "audit list --until 2020-01-31 --json".to_owned(),
        "audit list --since soon".to_owned(),
        "audit list --key first".to_owned(),
        "audit verify".to_owned(),
        "audit verify --json".to_owned(),
        "audit export --after 6".to_owned(),
        "audit export --after 7".to_owned(),
    ];
    insta::assert_snapshot!(format!("{missing}\n{}", screens(&folder, &lines)));
}

#[test]
fn an_audit_that_does_not_hold_or_is_not_there() {
    let folder = Folder::new();
    for name in ["one", "two", "three"] {
        folder.run(&format!("keys create --name {name} --full")).exits(0);
    }
    let log = folder.run("audit export").exits(0).stdout;
    let lines: Vec<&str> = log.lines().collect();
    let head = format!("3:{}", "0".repeat(64));
    let folder = folder
        .with("altered.jsonl", log.replace("\"name\":\"two\"", "\"name\":\"2\""))
        .with("missing.jsonl", [lines[0], lines[2]].join("\n"))
        .with("cut.jsonl", lines[..2].join("\n"))
        .with("rubbish.jsonl", "rubbish\n")
        .with("keys.yaml", "keys: []\n");
    let lines = [
        "audit verify altered.jsonl".to_owned(),
        "audit verify altered.jsonl --json".to_owned(),
        "audit verify missing.jsonl".to_owned(),
        "audit verify cut.jsonl".to_owned(),
        format!("audit verify cut.jsonl --head {head}"),
        format!("audit verify --head {head}"),
        "audit verify --head 3".to_owned(),
        "audit verify rubbish.jsonl".to_owned(),
        "audit verify none.jsonl".to_owned(),
        "audit verify cut.jsonl --store sqlite:keys.db".to_owned(),
        "audit list --store file:keys.yaml".to_owned(),
    ];
    insta::assert_snapshot!(screens(&folder, &lines));
}
