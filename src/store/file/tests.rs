mod changes;

use std::fmt::Write as _;
use std::fs;

use tempfile::TempDir;

use super::*;
use crate::key::digest::Hasher;
use crate::key::{GrantSpec, KeyKind, KeyState, KeyValue};
use crate::policy::scope::Vocabulary;
use crate::store::index::Index;
use crate::store::tests::{Fixture, STAMP, record};

/// A folder with one key file.
pub(in crate::store) struct Place(TempDir);

impl Place {
    pub(in crate::store) fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::write(place.path(), "keys: []\n").unwrap();
        place
    }

    fn with(text: &str) -> Self {
        let place = Self::new();
        fs::write(place.path(), text).unwrap();
        place
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("keys.yaml")
    }

    fn store(&self) -> KeyFile {
        KeyFile::open(&self.path(), Form::Sha256).unwrap()
    }

    /// What is wrong with the file, without its path.
    fn faults(&self) -> Vec<String> {
        match self.store().list().unwrap_err() {
            StoreError::Faults { faults, .. } => faults.iter().map(ToString::to_string).collect(),
            other => panic!("{other}"),
        }
    }
}

impl Fixture for Place {
    fn open(&self) -> Box<dyn KeyStore> {
        Box::new(self.store())
    }

    fn put(&self, records: &[KeyRecord]) {
        let mut text = fs::read_to_string(self.path()).unwrap().replace("[]", "");
        records.iter().for_each(|record| text.push_str(&render(record)));
        fs::write(self.path(), text).unwrap();
    }

    /// A file says nothing of when a key was made or of how it looked.
    fn kept(&self, record: KeyRecord) -> KeyRecord {
        let value = KeyValue { created: STAMP.at, prefix: Box::default(), last_four: Box::default(), ..record.value };
        KeyRecord { created: STAMP.at, changed: STAMP.at, value, ..record }
    }
}

fn render(record: &KeyRecord) -> String {
    let mut text = format!("  - name: {:?}\n    id: {}\n", record.name, record.id);
    let mut line = |name: &str, value: String| writeln!(text, "    {name}: {value}").unwrap();
    line("sha256", record.value.digest.to_hex());
    match &record.grant {
        _ if record.is_tripwire => line("tripwire", "true".into()),
        GrantSpec::Custom(scopes) => line("scopes", format!("[{}]", scopes.join(", "))),
        GrantSpec::Full => line("grant", "full".into()),
        GrantSpec::ReadOnly => line("grant", "read-only".into()),
    }
    let dates = [("not_before", record.not_before), ("expires", record.expires)];
    for (name, date) in dates {
        date.iter().for_each(|date| line(name, date.to_string()));
    }
    let words = [("account", &record.account), ("note", &record.note)];
    for (name, word) in words {
        word.iter().for_each(|word| line(name, format!("{word:?}")));
    }
    if !record.attributes.is_empty() {
        let values: Vec<_> = record.attributes.iter().map(|(_, value)| format!("{value:?}")).collect();
        line("attrs", format!("{{owner: [{}]}}", values.join(", ")));
    }
    if !record.allow_from.is_empty() {
        let networks: Vec<_> = record.allow_from.iter().map(|network| format!("\"{network}\"")).collect();
        line("allow_from", format!("[{}]", networks.join(", ")));
    }
    text
}

fn hex(key: &str) -> String {
    Hasher::new(None).digest(key.as_bytes()).to_hex()
}

#[test]
fn the_example_of_the_contract_is_read() {
    let place = Place::with(&format!(
        "keys:\n  - name: billing-exporter\n    sha256: {}\n    scopes: [profiles:read]\n    disabled: true\n",
        hex("a")
    ));
    let [key] = place.store().list().unwrap().try_into().unwrap();
    assert_eq!((&*key.name, key.state), ("billing-exporter", KeyState::Disabled));
    assert_eq!(key.grant, GrantSpec::custom(["profiles:read"]));
    assert_eq!(key.id, KeyId::derive(&key.value.digest), "an id that stays the same");
}

#[test]
fn each_fault_of_a_file_is_told_with_its_place() {
    let text = format!(
        "keys:
  - name: one
    sha256: {a}
  - name: two
    sha256: {a}
    grant: full
    scopes: [x]
  - sha256: sg_pasted_by_mistake
    grant: everything
    expires: soon
    allow_from: []
    colour: red
  - name: null
    hmac_sha256: {a}
    scopes: ['*']
    disabled: no
    kind: privat
    id: a b
  - billing
",
        a = hex("a")
    );
    let expected = [
        "2:5: `grant` is missing (give `scopes: […]`, or `grant: full` or `grant: read-only`)",
        "5:13: the key on line 3 has the same digest (each key is listed once)",
        "6:5: a key has `scopes` or a `grant`, not both (leave one of them out)",
        "8:5: `name` is missing (say what this key is called)",
        "8:13: `sha256` is not 64 hexadecimal digits (give the digest of the key, as `printf %s KEY | sha256sum` prints it; never the key itself)",
        "9:12: `grant` is \"everything\" (write full or read-only, or give `scopes` instead)",
        "10:14: `expires` is neither a day nor a time (write 2027-01-31 or 2027-01-31T12:00:00Z; a span such as 90d would begin anew with every load)",
        "11:17: `allow_from` is an empty list (name a network, or leave the field out to allow any)",
        "12:5: unknown field `colour` (the fields of a key are account, allow_from, attrs, disabled, expires, grant, hmac_sha256, id, key, kind, name, not_before, note, scopes, sha256, tripwire)",
        "13:11: `name` is null, not a text (give a text, or leave the field out)",
        "14:5: `hmac_sha256` cannot be used here (`keys.pepper` is not set: give the SHA-256 of the key as `sha256`)",
        "15:13: `*` is no scope: use visible ASCII characters without `\"`, `\\`, `,` and `*` (for every scope, use the level full)",
        "16:15: `disabled` is neither true nor false (write true or false)",
        "17:11: `kind` is none of secret, pair, public (leave it out for a secret key)",
        "18:9: `id` cannot be an id (use 1 to 64 ASCII letters, digits, `_`, `-` or `.`)",
        "19:5: a key is a value, not a map (begin each key with `- name: …`)",
    ];
    assert_eq!(Place::with(&text).faults(), expected);
}

#[test]
fn a_file_of_the_wrong_shape_is_told() {
    let cases = [
        ("", "1:1: the file is empty (write `keys: []` where there are no keys)"),
        ("[]", "1:1: the file holds a list, not a map (begin with `keys:`)"),
        ("keys: 5", "1:7: `keys` is a value, not a list (begin each key with `- name: …`)"),
        ("version: 1\nkeys: []", "1:1: unknown field `version` (the fields of the file are accounts, keys)"),
    ];
    for (text, expected) in cases {
        assert_eq!(Place::with(text).faults(), [expected], "{text}");
    }
    let place = Place::new();
    fs::write(place.path(), b"keys:\n - name: \xff").unwrap();
    assert_eq!(place.faults(), ["2:10: the file is not UTF-8 text from here on (save it as UTF-8)"]);
}

#[test]
fn duplicate_fields_and_ids_are_refused() {
    let twice = Place::with("keys: []\nkeys: []\n").faults();
    assert!(twice.len() == 1 && twice[0].starts_with("2:1: "), "{twice:?}");
    let key = |name: &str| format!("  - {{name: {name}, id: same, grant: full, sha256: {}}}\n", hex(name));
    let twins = Place::with(&format!("keys:\n{}{}", key("a"), key("b"))).faults();
    assert_eq!(twins, ["3:19: the key on line 2 has the same id (give each key an id of its own, or none)"]);
}

#[test]
fn a_public_key_stands_in_the_file_itself_and_no_other_key_does() {
    let site = |rest: &str| format!("keys:\n  - {{name: a, kind: public, account: acme{rest}}}\n");
    let [key] = Place::with(&site(", key: Ab12Cd")).store().list().unwrap().try_into().unwrap();
    assert_eq!((key.kind, key.value.site.map(|site| site.to_string())), (KeyKind::Public, Some("Ab12Cd".to_owned())));
    let twice = format!("{}  - {{name: b, kind: public, account: acme, key: Ef34Gh}}\n", site(", key: Ab12Cd"));
    let digest = hex("a");
    for (text, expected) in [
        (site(""), "2:5: `key` is missing (a public key is no secret, and stands there itself)".to_owned()),
        (site(", key: no id"), "2:49: `key` is no public key (a public key is 6 to 12 letters and digits; any other is given by its digest)".to_owned()),
        (site(", key: Ab12Cd, grant: full"), "2:21: a public key has no scopes".to_owned()),
        (site(&format!(", key: Ab12Cd, sha256: {digest}")), "2:57: `sha256` has no use for a public key".to_owned()),
        (twice, "3:38: the key on line 2 is the public key of this account".to_owned()),
        (format!("keys:\n  - {{name: a, grant: full, key: Ab12Cd, sha256: {digest}}}\n"), "2:28: `key` is the key itself, which must not stand here".to_owned()),
    ] {
        let faults = Place::with(&text).faults();
        assert!(faults.len() == 1 && faults[0].starts_with(&expected), "{text}: {faults:?}");
    }
}

#[test]
fn accounts_that_are_listed_are_the_ones_that_keys_may_name() {
    let key =
        |account: &str| format!("keys:\n  - {{name: a, grant: full, account: {account}, sha256: {}}}\n", hex("a"));
    let listed = "accounts: [{id: shop, parent: acme, credential: sms}, {id: acme, name: Acme}]\n";
    let place = Place::with(&format!("{listed}{}", key("shop")));
    let mut store = place.store();
    let accounts = store.accounts().unwrap();
    assert_eq!(accounts.iter().map(|account| &*account.id).collect::<Vec<_>>(), ["acme", "shop"]);
    let mut told = None;
    store.load(Revision::START, &mut |change| told = change.account).unwrap();
    assert_eq!(told.unwrap().credential.as_deref(), Some("sms"));
    let free = Place::with(&key("anything"));
    assert_eq!(free.store().accounts().unwrap(), []);
    for (text, expected) in [
        (
            format!("{listed}{}", key("shopp")),
            "3:37: `shopp` is none of the accounts of the file (did you mean `shop`?",
        ),
        ("accounts: [{id: a}, {id: a}]\nkeys: []\n".to_owned(), "1:26: the account on line 1 has the same id"),
        ("accounts: [{name: a}]\nkeys: []\n".to_owned(), "1:12: `id` is missing"),
        ("accounts: [{id: a b}]\nkeys: []\n".to_owned(), "1:17: `a b` cannot be the id of an account"),
        ("accounts: [{id: a, colour: red}]\nkeys: []\n".to_owned(), "1:20: unknown field `colour`"),
        ("accounts: [{id: a, parent: b}]\nkeys: []\n".to_owned(), "1:28: `b` is none of the accounts of the file"),
        (
            "accounts: [{id: a, parent: b}, {id: b, parent: c}, {id: c}]\nkeys: []\n".to_owned(),
            "1:28: a cannot be a sub-account of b",
        ),
        ("accounts: acme\nkeys: []\n".to_owned(), "1:11: `accounts` is a value, not a list"),
    ] {
        let faults = Place::with(&text).faults();
        assert!(faults.len() == 1 && faults[0].starts_with(expected), "{text}: {faults:?}");
    }
}

#[test]
fn a_pair_has_its_visible_id_in_the_file() {
    let pair = |id: &str| format!("keys:\n  - {{name: a, kind: pair, grant: full, sha256: {}{id}}}\n", hex("a"));
    let [key] = Place::with(&pair(", id: 0f1e2d")).store().list().unwrap().try_into().unwrap();
    assert_eq!((key.kind, key.id.as_str()), (KeyKind::Pair, "0f1e2d"));
    assert_eq!(Place::with(&pair("")).faults(), ["2:5: `id` is missing (a pair has its visible id there)"]);
}

#[test]
fn a_tripwire_in_a_file_holds_nothing() {
    let key = |more: &str| format!("keys:\n  - {{name: a, sha256: {}, {more}}}\n", hex("a"));
    for more in ["tripwire: true", "tripwire: true, scopes: []"] {
        let [laid] = Place::with(&key(more)).store().list().unwrap().try_into().unwrap();
        assert!(laid.is_tripwire && laid.grant == GrantSpec::nothing(), "{more}");
    }
    let [plain] = Place::with(&key("tripwire: false, grant: full")).store().list().unwrap().try_into().unwrap();
    assert!(!plain.is_tripwire);
    let fault = |more: &str| Place::with(&key(more)).faults().join("\n").split_once(": ").unwrap().1.to_owned();
    let help = "(a tripwire opens nothing: leave one of the two out)";
    assert_eq!(fault("tripwire: true, scopes: [x]"), format!("`scopes` cannot stand beside `tripwire: true` {help}"));
    assert_eq!(fault("tripwire: true, grant: full"), format!("`grant` cannot stand beside `tripwire: true` {help}"));
    assert_eq!(fault("tripwire: maybe, grant: full"), "`tripwire` is neither true nor false (write true or false)");
    assert!(fault("tripwire: false").starts_with("`grant` is missing"));
}

#[test]
fn a_fault_names_the_file_and_every_line() {
    let place = Place::with("keys:\n  - name: a\n    grant: full\n");
    let path = place.path().display().to_string();
    let said = place.store().list().unwrap_err().to_string();
    assert_eq!(
        said,
        format!("{path}:2:5: `sha256` is missing (`keys.pepper` is not set: give the SHA-256 of the key)")
    );
}

#[test]
fn with_a_pepper_only_peppered_digests_are_read() {
    let place = Place::with(&format!("keys:\n  - {{name: a, grant: full, hmac_sha256: {}}}\n", hex("a")));
    let peppered = KeyFile::open(&place.path(), Form::HmacSha256).unwrap().list();
    assert_eq!(peppered.unwrap().len(), 1);
    let said = KeyFile::open(&place.path(), Form::Sha256).unwrap().list().unwrap_err().to_string();
    assert!(said.contains("`hmac_sha256` cannot be used here"), "{said}");
}

#[test]
fn a_key_past_its_end_is_read_all_the_same() {
    let text = format!("keys:\n  - {{name: a, grant: full, expires: 2020-01-01, sha256: {}}}\n", hex("a"));
    assert!(Place::with(&text).store().list().unwrap()[0].is_expired(STAMP.at));
}

#[test]
fn a_missing_file_is_named() {
    let said = KeyFile::open(Path::new("no/keys.yaml"), Form::Sha256).unwrap_err().to_string();
    assert!(said.starts_with("cannot read the key store no/keys.yaml: "), "{said}");
}

#[test]
fn what_does_not_show_as_what_it_is_is_refused_in_a_word_and_told_in_a_comment() {
    let key = |name: &str, comment: &str| {
        format!("keys:\n  - name: {name}\n    sha256: {}\n    grant: full # {comment}\n", hex("a"))
    };
    for (text, place) in [
        (key("one\u{200b}", "plain"), "2:14: U+200B"),
        (key("one", "plain \u{202e}"), "4:25: U+202E"),
        (key("one", "plain\r  - name: two"), "4:24: U+000D"),
        (key("one", "plain\u{2028}"), "4:24: U+2028"),
    ] {
        let faults = Place::with(&text).faults();
        assert!(faults[0].starts_with(place), "{faults:?}");
        // What stands behind the carriage return is in force, and wrong in its own right.
        assert!(faults.len() == 1 || place == "4:24: U+000D", "{faults:?}");
    }
    let place = Place::with(&key("one", "a\u{200b}b"));
    assert_eq!(place.store().list().unwrap().len(), 1);
    let warnings: Vec<String> = place.store().warnings().iter().map(ToString::to_string).collect();
    assert!(warnings.len() == 1 && warnings[0].contains("keys.yaml:4:20: U+200B (zero width space)"), "{warnings:?}");
    assert_eq!(Place::with(&format!("\u{feff}{}", key("one", "\u{26a0}\u{fe0f}"))).store().warnings(), []);
}
