//! `keys`: making, listing, ending, and every refusal.

use super::*;

/// The id that `keys create` said.
fn id(json: &serde_json::Value) -> String {
    json["id"].as_str().expect("an id").to_owned()
}

#[test]
fn a_key_is_made() {
    let folder = Folder::new();
    insta::assert_snapshot!(folder.screens([
        "keys create --name reader --scopes profiles:read,lists:read",
        "accounts create acme --name Acme",
        "keys create --name everything --full --expires 2099-01-31 --account acme --note 'For the shop' --attr team=blue --attr team=red --from 10.0.0.0/8",
        "keys create --name watcher --read-only --json",
        "keys create --name nothing --no-scopes",
    ]));
}

#[test]
fn a_key_that_cannot_be_made_is_told_why() {
    let folder = Folder::new();
    let long = "x".repeat(129);
    let lines = [
        "--name a --scopes ''",
        "--name a --scopes profiles:read,,lists:read",
        "--name a --scopes 'profiles:read lists:read'",
        "--name a --scopes profile:read,elsewhere",
        "--name a --scopes *",
        "--name '' --full",
        "--name ' ' --full",
        &format!("--name {long} --full"),
        "--name a --full --kind public",
        "--name a --full --kind other",
        "--name a --full --account ''",
        "--name a --full --account 'a b'",
        "--name a --full --attr team",
        "--name a --full --attr 'a b=c'",
        "--name a --full --attr team=",
        "--name a --full --from lan",
        "--name a --full --from 10.0.0.1/8",
        "--name a --full --not-before soon",
        "--name a --full --not-before 2099-02-01 --expires 2099-01-31",
        "--name a --full --expires soon",
        "--name a --full --expires 2020-01-01",
        "--name a --full --expires 2099-02-30",
        "--name a --full --expires 0d",
        &format!("--name a --full --note {}", "y".repeat(1025)),
        "--name a --full --policy none.yaml",
        "--name a --full --store keys.db",
        "--name a --full --store sqlite:",
        "--name a --full --store sqlite:none/keys.db",
        "--name a --full --store file:keys.yaml",
    ];
    let screens = lines.map(|line| folder.screen(&format!("keys create {line}")).replace(&long, "[129 characters]"));
    let screens = screens.join("\n").replace(&"y".repeat(1025), "[1025 characters]");
    insta::assert_snapshot!(screens);
    assert!(!folder.path().join("keys.db").exists(), "nothing was made");
}

#[test]
fn the_life_of_a_key() {
    let folder = Folder::new();
    let make = |more: &str| id(&folder.run(&format!("keys create {more} --json")).exits(0).json());
    let missing = folder.screen("keys list");
    folder.run("accounts create acme").exits(0);
    let first = make(
        "--name first --scopes profiles:read --account acme --note 'For the shop' --attr team=blue --from 10.0.0.0/8 --expires 2099-01-31",
    );
    let second = make("--name second --full");
    let lines = [
        "keys list".to_owned(),
        "keys list --json".to_owned(),
        format!("keys show {first}"),
        format!("keys show {first} --json"),
        format!("keys disable {first}"),
        format!("keys disable {first}"),
        format!("keys enable {first}"),
        format!("keys revoke {first} --json"),
        format!("keys revoke {first}"),
        format!("keys enable {first}"),
        format!("keys disable {first}"),
        format!("keys revoke {second}"),
        "keys show first".to_owned(),
        "keys show key_0123456789abcdef".to_owned(),
        "keys show 'no id'".to_owned(),
        "keys revoke key_0123456789abcdef".to_owned(),
        "keys list".to_owned(),
    ];
    let screens: Vec<String> = lines.iter().map(|line| folder.screen(line)).collect();
    insta::assert_snapshot!(format!("{missing}\n{}", screens.join("\n")));
}

#[test]
fn a_key_gets_new_values_and_a_clone() {
    let folder = Folder::new();
    let make = |more: &str| id(&folder.run(&format!("keys create {more} --json")).exits(0).json());
    folder.run("accounts create acme").exits(0);
    let first = make("--name first --scopes profiles:read --account acme --note 'For the shop'");
    let ending = make("--name ending --full --expires 2099-01-31");
    let off = make("--name off --full");
    folder.run(&format!("keys disable {off}")).exits(0);
    let lines = [
        format!("keys rotate {first}"),
        format!("keys rotate {first} --overlap 24h"),
        "keys list".to_owned(),
        format!("keys show {first}"),
        format!("keys show {first} --json"),
        format!("keys rotate {ending} --overlap 7d --json"),
        format!("keys rotate {first} --overlap 91d"),
        format!("keys rotate {first} --overlap soon"),
        format!("keys reset-secret {first}"),
        "keys rotate first".to_owned(),
        format!("keys clone {ending}"),
        format!("keys clone {off}"),
        format!("keys delete {ending}"),
        format!("keys delete {ending}"),
        format!("keys revoke {ending}"),
        format!("keys rotate {ending}"),
        format!("keys show {ending}"),
        "keys list".to_owned(),
        "keys list --deleted".to_owned(),
    ];
    let screens: Vec<String> = lines.iter().map(|line| folder.screen(line)).collect();
    insta::assert_snapshot!(screens.join("\n"));
}

#[test]
fn a_pair_is_made_and_given_a_new_secret() {
    let config = CONFIG.replace("keys: { ", "keys: { accept: [basic], rotate_after: { secret: 1ms, pair: 1ms }, ");
    let folder = Folder::new();
    let warned = folder.screen("keys create --name shop --kind pair --full");
    let folder = folder.with("scopegate.yaml", config);
    let made = folder.run("keys create --name site --kind pair --read-only --json").exits(0).json();
    let lines = [
        "keys create --name site --kind pair --read-only --not-before 2099-01-31 --json".to_owned(),
        format!("keys reset-secret {} --overlap 24h", id(&made)),
        format!("keys show {}", id(&made)),
        "keys list".to_owned(),
        "keys list --json".to_owned(),
    ];
    let screens: Vec<String> = lines.iter().map(|line| folder.screen(line)).collect();
    insta::assert_snapshot!(format!("{warned}\n{}", screens.join("\n")));
}

#[test]
fn keys_are_imported_and_exported() {
    let bad = "name,key,scopes,grant\ngood,one-0123456789abcd,profiles:read,\nbad,two-0123456789abcd,profile:read,\nworse,one-0123456789abcd,,all\n,three\n";
    let good = "{\"name\": \"first\", \"key\": \"an-old-key-of-some-length\", \"scopes\": [\"profiles:read\"], \"id\": \"key_first\", \"created\": \"2020-01-31\"}\n\
        {\"name\": \"second\", \"key\": \"short-0123456789\", \"grant\": \"full\", \"id\": \"key_second\", \"created\": \"2020-01-31\", \"disabled\": true}\n";
    let folder = Folder::new().with("bad.csv", bad).with("good.jsonl", good);
    insta::assert_snapshot!(folder.screens([
        "keys import bad.csv",
        "keys import none.csv",
        "keys import good.jsonl --dry-run",
        "keys import good.jsonl --json",
        "keys import good.jsonl",
        "keys export",
        "keys list",
    ]));
}

#[test]
fn a_key_given_for_an_id_and_a_store_without_keys() {
    let folder = Folder::new();
    let made = folder.run("keys create --name a --full --json").exits(0).json();
    let key = made["key"].as_str().expect("the key").to_owned();
    let said = folder.screen(&format!("keys show {key}"));
    let empty = Folder::new()
        .with("scopegate.yaml", CONFIG.replace("sqlite:keys.db", "file:keys.yaml"))
        .with("keys.yaml", "keys: []\n");
    let screens = empty.screens(["keys list", "keys list --json", "keys revoke key_0123456789abcdef"]);
    insta::assert_snapshot!(format!("{said}\n{screens}"));
}

#[test]
fn scopes_that_the_policy_has_no_more() {
    let folder = Folder::new();
    let made = id(&folder.run("keys create --name a --scopes admin --json").exits(0).json());
    let folder = folder.with("policy.yaml", policy().replace("admin", "master"));
    insta::assert_snapshot!(folder.screen(&format!("keys show {made}")));
}
