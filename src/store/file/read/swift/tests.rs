use proptest::prelude::*;

use super::super::by_tree;
use super::*;

const WRITTEN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Whether a text is read without a tree; what it says is held against what the tree says.
fn is_read(text: &str) -> bool {
    let swift = content(text, Form::Sha256, WRITTEN);
    let is_read = swift.is_some();
    if let Some(content) = swift {
        assert!(content.accounts.is_none());
        let tree = by_tree(text, Form::Sha256, WRITTEN).map(|tree| tree.into_records().collect::<Vec<_>>());
        assert_eq!(tree, Ok(content.into_records().collect()), "{text}");
    }
    is_read
}

fn digest(number: u8) -> String {
    format!("{number:064x}")
}

#[test]
fn keys_in_the_usual_forms_are_read_without_a_tree() {
    let (one, two, three) = (digest(1), digest(2), digest(3));
    let flow = format!(
        "keys:\n  - {{ name: shop 1, sha256: {one}, scopes: [\"b:read\", \"a:read\", \"b:read\"] }}\n  - {{ name: shop 2, sha256: {two}, grant: full }}\n"
    );
    let block = format!(
        "keys:\n- name: shop 1\n  sha256: {one}\n  scopes:\n  - b:read\n  - a:read\n- name: shop 2\n  sha256: {two}\n  scopes: [a:read]\n  expires: 2027-01-31\n  disabled: true\n  allow_from: [10.0.0.0/8]\n- name: none\n  sha256: {three}\n  scopes: []\n"
    );
    assert!(is_read(&flow) && is_read(&block));
}

#[test]
fn a_content_with_a_fault_is_left_to_the_tree() {
    let (one, two) = (digest(1), digest(2));
    let key = format!("name: x, sha256: {one}");
    let items = [
        format!("{{ {key} }}"),
        format!("{{ {key}, scopes: [a, null] }}"),
        format!("{{ {key}, scopes: [a], grant: full }}"),
        format!("{{ {key}, scopes: [a], tripwire: true }}"),
        format!("{{ {key}, scopes: ['a b'] }}"),
        format!("{{ {key}, scopes: a }}"),
        format!("{{ {key}, grant: all }}"),
        format!("{{ {key}, grant: full, colour: red }}"),
        format!("{{ {key}, grant: full, expires: soon }}"),
        format!("{{ {key}, grant: full, allow_from: [] }}"),
        format!("{{ name: null, sha256: {one}, grant: full }}"),
        "{ name: x, sha256: abc, grant: full }".to_owned(),
        format!("{{ name: x, hmac_sha256: {one}, grant: full }}"),
        format!("{{ {key}, grant: full }}\n  - {{ {key}, grant: full }}"),
        format!("{{ {key}, grant: full, id: a }}\n  - {{ name: x, sha256: {two}, grant: full, id: a }}"),
    ];
    for item in items {
        let text = format!("keys:\n  - {item}\n");
        assert!(!is_read(&text) && by_tree(&text, Form::Sha256, WRITTEN).is_err(), "{text}");
    }
}

fn field() -> impl Strategy<Value = String> {
    prop::sample::select(
        &[
            "scopes: [a, b]",
            "scopes: ['c', \"a\"]",
            "scopes: [a, a]",
            "scopes: [~]",
            "scopes: []",
            "scopes: [a b]",
            "grant: full",
            "grant: read-only",
            "grant: 'full'",
            "grant: all",
            "scopes: [sg_x]",
            "hmac_sha256: abc",
            "kind: pair",
            "kind: public",
            "key: AbCdEf",
            "tripwire: true",
            "disabled: true",
            "disabled: maybe",
            "account: acme",
            "note: to be looked at",
            "note: ''",
            "id: a",
            "id: \"b\"",
            "not_before: 2027-01-31",
            "expires: 2027-01-31T12:00:00Z",
            "attrs: {owner: acme}",
            "allow_from: [10.0.0.0/8, '203.0.113.7']",
            "colour: red",
        ][..],
    )
    .prop_map(str::to_owned)
}

fn name() -> impl Strategy<Value = String> {
    prop::sample::select(
        &["name: shop 1", "name: 'shop 2'", "name: null", "name: 'null'", "name: '  '", "note: no name"][..],
    )
    .prop_map(str::to_owned)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_read_without_a_tree_is_what_the_tree_says(
        keys in prop::collection::vec((any::<bool>(), name(), 0..9_u8, prop::collection::vec(field(), 0..4)), 1..4),
    ) {
        let mut text = "keys:\n".to_owned();
        for (is_flow, name, number, fields) in keys {
            let fields = [vec![name, format!("sha256: {}", digest(number))], fields].concat();
            text += &if is_flow { format!("  - {{ {} }}\n", fields.join(", ")) } else { format!("  - {}\n", fields.join("\n    ")) };
        }
        is_read(&text);
    }
}
