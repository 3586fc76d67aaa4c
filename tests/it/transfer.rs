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
        "{{\"name\": \"one\", \"key\": \"legacy-one\", \"scopes\": [\"profiles:read\"], \"account\": \"acme\"}}\n\n\
        {{\"name\": \"two\", \"sha256\": \"{}\", \"grant\": \"full\", \"attrs\": {{\"team\": [\"a\", \"b\"]}}}}\n",
        digest("legacy-two")
    );
    gateway.run(&["accounts", "create", "acme"]).exits(0);
    import(&gateway, "keys.jsonl", &lines).exits(0).says(&["2 keys imported."]);
    let table = "name,key,scopes,expires\r\n\"three, the last\",legacy-three,profiles:read lists:read,2099-01-31\r\n";
    import(&gateway, "keys.csv", table).exits(0).says(&["1 key imported."]);
    for key in ["legacy-one", "legacy-two", "legacy-three"] {
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
        "{\"name\": \"good\", \"key\": \"good\", \"grant\": \"full\"}".to_owned(),
        "{\"name\": \"twin\", \"key\": \"good\", \"grant\": \"full\"}".to_owned(),
        format!("{{\"name\": \"typo\", \"key\": \"{mistyped}\", \"grant\": \"full\"}}"),
        "{\"name\": \"scope\", \"key\": \"geheim1\", \"scopes\": [\"profile:read\"]}".to_owned(),
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
    let again = format!("name,key,grant\na,{key},full\nb,{gone},full\nc,new,full\n");
    import(&gateway, "again.csv", &again).exits(1).says(&[
        "again.csv:2: a key of the store has, or had, the same value",
        "again.csv:3: a key of the store has, or had, the same value",
    ]);
    assert_eq!(gateway.get("/api/profiles", "new").status(), 401);
    assert_eq!(count(&gateway), 1);
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    let upstream = Upstream::ok();
    let setup = Setup::new(&upstream).written();
    std::fs::write(setup.folder().join("keys.csv"), "name,key,grant\na,legacy,full\n").expect("the file");
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
    import(&to, "keys.jsonl", &exported).exits(0).says(&["2 keys imported."]);
    assert_eq!(to.run(&["keys", "export", "--digests"]).exits(0).stdout, exported);
    works(&to, &key);
    assert_eq!(to.get("/api/profiles", &other).code(), "invalid_key");
}
