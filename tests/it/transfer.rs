//! Keys from elsewhere and to it: `keys import` and `keys export`.

use crate::keys::id_of;
use crate::support::command::{Output, contents};
use crate::support::{Gateway, Setup, Upstream, until};

fn import(gateway: &Gateway, file: &str, text: &str) -> Output {
    std::fs::write(gateway.file(file), text).expect("the file");
    gateway.run(&["keys", "import", file])
}

fn works(gateway: &Gateway, key: &str) {
    until("the key", || (gateway.get("/api/profiles", key).status() == 200).then_some(()));
}

fn count(gateway: &Gateway) -> usize {
    let listed = gateway.run(&["keys", "list", "--json"]).exits(0).json();
    listed["keys"].as_array().expect("keys").len()
}

fn digest(key: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn keys_are_taken_over_by_value_and_by_digest_from_either_form() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let lines = format!(
        "{{\"name\": \"one\", \"key\": \"legacy-one-0123456789\", \"scopes\": [\"profiles:read\"], \"account\": \"acme\"}}\n\n\
        {{\"name\": \"two\", \"sha256\": \"{}\", \"grant\": \"full\", \"attrs\": {{\"team\": [\"a\", \"b\"]}}}}\n",
        digest("legacy-two-0123456789")
    );
    gateway.run(&["accounts", "create", "acme"]).exits(0);
    import(&gateway, "keys.jsonl", &lines).exits(0).says(&["2 keys imported."]);
    let table = "name,key,scopes,expires\r\n\"three, the last\",legacy-three-0123456789,profiles:read lists:read,2099-01-31\r\n";
    import(&gateway, "keys.csv", table).exits(0).says(&["1 key imported."]);
    for key in ["legacy-one-0123456789", "legacy-two-0123456789", "legacy-three-0123456789"] {
        works(&gateway, key);
    }
    let renewed = gateway.run(&["keys", "list", "--json"]).exits(0).json();
    let id = renewed["keys"][0]["id"].as_str().expect("an id").to_owned();
    let key = gateway.run(&["keys", "rotate", &id]).exits(0).stdout;
    assert!(key.starts_with("sg_"), "a key from elsewhere gets a value of ours");
    works(&gateway, key.trim_end());
    for file in contents(gateway.folder()).iter().filter(|file| file.0.contains("keys.db")) {
        assert!(!String::from_utf8_lossy(&file.1).contains("legacy-"), "{} holds a key", file.0);
    }
}

#[test]
fn one_bad_line_keeps_all_of_them_out_and_each_is_named_without_its_key() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let mut mistyped = key.clone().into_bytes();
    mistyped[10] = if mistyped[10] == b'x' { b'y' } else { b'x' };
    let mistyped = String::from_utf8(mistyped).expect("text");
    let lines = [
        "{\"name\": \"good\", \"key\": \"good-0123456789ab\", \"grant\": \"full\"}".to_owned(),
        "{\"name\": \"twin\", \"key\": \"good-0123456789ab\", \"grant\": \"full\"}".to_owned(),
        format!("{{\"name\": \"typo\", \"key\": \"{mistyped}\", \"grant\": \"full\"}}"),
        "{\"name\": \"scope\", \"key\": \"geheim1-0123456789\", \"scopes\": [\"profile:read\"]}".to_owned(),
        "{\"key\": \"geheim 2\", \"colour\": \"red\"}".to_owned(),
        "{\"name\": \"cut".to_owned(),
    ];
    let said = import(&gateway, "keys.jsonl", &lines.join("\n")).exits(1).says(&[
        "keys.jsonl:2: the key on line 1 is the same",
        "keys.jsonl:3: `key` begins as our keys do (sg_) and has a wrong checksum",
        "keys.jsonl:4: the policy does not know the scope `profile:read`; did you mean `profiles:read`?",
        "keys.jsonl:5: unknown field `colour`",
        "keys.jsonl:5: `name` is missing",
        "keys.jsonl:5: `key` cannot be one",
        "keys.jsonl:6: the line ends too early",
        "nothing was imported",
    ]);
    assert!(!said.stderr.contains("geheim") && !said.stderr.contains(&mistyped), "{}", said.stderr);
    assert_eq!(count(&gateway), 1);
    // What the store has had is not taken again, in whatever state it is.
    let id = id_of(&gateway, &key);
    gateway.run(&["keys", "rotate", &id]).exits(0);
    let gone = gateway.key(&["--full"]);
    gateway.run(&["keys", "delete", &id_of(&gateway, &gone)]).exits(0);
    let again = format!("name,key,grant\na,{key},full\nb,{gone},full\nc,new-0123456789abcd,full\n");
    import(&gateway, "again.csv", &again).exits(1).says(&[
        "again.csv:2: a key of the store has, or had, the same value",
        "again.csv:3: a key of the store has, or had, the same value",
    ]);
    assert_eq!(gateway.get("/api/profiles", "new-0123456789abcd").status(), 401);
    assert_eq!(count(&gateway), 1);
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).written();
    std::fs::write(setup.folder().join("keys.csv"), "name,key,grant\na,legacy-0123456789,full\n").expect("the file");
    let mut command = setup.command();
    let looked = crate::support::command::finish(command.args(["keys", "import", "keys.csv", "--dry-run"]));
    looked.exits(0).says(&["1 key could be imported."]);
    assert!(!setup.folder().join("keys.db").exists());
}

#[test]
fn what_was_exported_with_digests_is_the_same_elsewhere() {
    let upstream = Upstream::ok();
    let [from, to] = [(); 2].map(|()| Gateway::in_front_of(&upstream));
    let full = [
        "--scopes",
        "profiles:read",
        "--account",
        "acme",
        "--attr",
        "team=a",
        "--attr",
        "team=b",
        "--from",
        "127.0.0.0/8",
        "--note",
        "a note",
        "--expires",
        "2099-01-31",
    ];
    let (key, other) = (from.key(&full), from.key(&["--full"]));
    from.run(&["keys", "disable", &id_of(&from, &other)]).exits(0);
    let plain = from.run(&["keys", "export"]).exits(0).stdout;
    assert!(!plain.contains("sha256") && !plain.contains(&digest(&key)), "{plain}");
    import(&to, "plain.jsonl", &plain).exits(1).says(&["plain.jsonl:1: `key` is missing"]);
    let exported = from.run(&["keys", "export", "--digests"]).exits(0).stdout;
    import(&to, "keys.jsonl", &exported).exits(1).says(&["there is no account `acme`"]);
    to.run(&["accounts", "create", "acme"]).exits(0);
    let imported = import(&to, "keys.jsonl", &exported).exits(0).says(&["2 keys imported."]);
    assert!(!imported.stderr.contains("Accounts"), "none was made: {}", imported.stderr);
    assert_eq!(to.run(&["keys", "export", "--digests"]).exits(0).stdout, exported);
    works(&to, &key);
    assert_eq!(to.get("/api/profiles", &other).code(), "invalid_key");
}

#[test]
fn accounts_go_from_store_to_store_with_their_parents_credentials_and_states() {
    let upstream = Upstream::ok();
    let credentials = "  credential: { header: X-Real, value: everybody }
  credentials:
    acme: { header: X-Real, value: of-acme }";
    let [from, to] = [(); 2].map(|()| Setup::new(&upstream).upstream(credentials).start());
    from.run(&["accounts", "create", "acme", "--name", "Acme, Inc.", "--credential", "acme"]).exits(0);
    from.run(&["accounts", "create", "a-shop", "--parent", "acme"]).exits(0);
    from.run(&["accounts", "create", "stopped"]).exits(0);
    let [shop, stopped] = ["a-shop", "stopped"].map(|account| from.key(&["--full", "--account", account]));
    from.run(&["accounts", "disable", "stopped"]).exits(0);
    let exported = from.run(&["keys", "export", "--digests"]).exits(0).stdout;
    let plain = from.run(&["keys", "export"]).exits(0).stdout;
    assert!(plain.lines().all(|line| !line.contains("\"record\"")), "{plain}");

    // An account that is there and is another is not overwritten, nor are keys given to it.
    import(&to, "keys.jsonl", &exported).exits(1).says(&["there is no account `acme`", "--create-accounts"]);
    std::fs::write(to.file("keys.jsonl"), &exported).expect("the file");
    let take = |gateway: &Gateway| gateway.run(&["keys", "import", "keys.jsonl", "--create-accounts"]);
    let looked = to.run(&["keys", "import", "keys.jsonl", "--create-accounts", "--dry-run"]).exits(0);
    looked.says(&["Accounts could be made as the file describes them: acme, stopped, a-shop."]);
    take(&to).exits(0).says(&["Accounts made as the file describes them: acme, stopped, a-shop.", "2 keys imported."]);
    works(&to, &shop);
    assert_eq!(upstream.requests().pop().expect("a request").field("x-real"), Some("of-acme"));
    assert_eq!(to.get("/api/profiles", &stopped).status(), 401);
    assert_eq!(to.run(&["keys", "export", "--digests"]).exits(0).stdout, exported);

    let other = Gateway::in_front_of(&upstream);
    std::fs::write(other.file("keys.jsonl"), &exported).expect("the file");
    for account in ["acme", "stopped"] {
        other.run(&["accounts", "create", account]).exits(0);
    }
    take(&other).exits(1).says(&[
        "keys.jsonl:2: the account `acme` of the store has the credential none, and here it has acme",
        "the account `stopped` is disabled here, and active in the store: disable it there first",
        "nothing was imported",
    ]);
    assert_eq!(count(&other), 0);
}

#[test]
fn an_account_that_no_line_describes_is_made_bare_and_that_is_said() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    std::fs::write(gateway.file("keys.csv"), "name,key,grant,account\na,legacy-0123456789,full,acme\n")
        .expect("the file");
    let made = gateway.run(&["keys", "import", "keys.csv", "--create-accounts", "--json"]).exits(0);
    let made = made.says(&["Accounts made with neither parent nor credential: acme."]);
    assert_eq!(made.json()["accounts"], serde_json::json!(["acme"]));
}

#[test]
fn an_export_says_which_old_values_stay_behind() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let key = gateway.key(&["--full"]);
    let id = id_of(&gateway, &key);
    gateway.run(&["keys", "rotate", &id, "--overlap", "1h"]).exits(0);
    let tail = &key[key.len() - 4..];
    let told = format!("{id} (test) has an old value sg_…{tail} that works until ");
    let said = gateway.run(&["keys", "export", "--digests"]).exits(0).says(&[&told, "is not exported"]);
    assert!(!said.stdout.contains(&digest(&key)));
    let ended = gateway.run(&["keys", "end-overlap", &id]).exits(0);
    assert!(ended.stderr.contains(tail), "{}", ended.stderr);
    assert!(!gateway.run(&["keys", "export", "--digests"]).exits(0).stderr.contains("old value"));
}

#[test]
fn a_file_without_a_header_or_without_keys_is_no_import_and_its_keys_are_not_shown() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let bare = "legacy,tok-nohdr-12345678,full\nother,tok-nohdr-87654321,full\n";
    let one = "legacy,tok-nohdr-12345678,full\n";
    for (file, text, what) in [
        ("keys.csv", bare, "keys.csv:1: the line does not look like a header"),
        ("keys.csv", one, "keys.csv:1: the line does not look like a header"),
        ("keys.csv", "name,tok-nohdr-12345678\n", "keys.csv:1: unknown field in column 2"),
        ("keys.csv", "name,key,scopes\n", "keys.csv has no keys: nothing was imported"),
        ("keys.csv", "", "keys.csv has no keys: nothing was imported"),
        ("keys.jsonl", "\n", "keys.jsonl has no keys: nothing was imported"),
    ] {
        let said = import(&gateway, file, text).exits(1).says(&[what]);
        assert!(!said.stderr.contains("nohdr"), "{}", said.stderr);
    }
    assert_eq!(count(&gateway), 0);
}

#[test]
fn a_short_key_is_taken_where_that_is_asked_for_and_a_very_short_one_never() {
    let upstream = Upstream::ok();
    let gateway = Gateway::in_front_of(&upstream);
    let line = |key: &str| format!("{{\"name\": \"old\", \"key\": {key}, \"grant\": \"full\"}}\n");
    for (key, shown) in [("\"abcdefghijkl\"", "abcdefghijkl"), ("123456789", "123456789")] {
        let said = import(&gateway, "keys.jsonl", &line(key)).exits(1).says(&["fewer than 16", "--allow-short"]);
        assert!(!said.stderr.contains(shown), "{}", said.stderr);
    }
    let allowed = |key: &str| {
        std::fs::write(gateway.file("keys.jsonl"), line(key)).expect("the file");
        gateway.run(&["keys", "import", "keys.jsonl", "--allow-short"])
    };
    allowed("\"abcdefg\"").exits(1).says(&["`key` has 7 bytes", "no such key is taken"]);
    allowed("\"abcdefghijkl\"").exits(0).says(&["shorter than 16 bytes: 1 of them", "keys.pepper is not set"]);
    works(&gateway, "abcdefghijkl");
}
