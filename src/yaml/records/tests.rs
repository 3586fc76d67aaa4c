use proptest::prelude::*;

use super::*;
use crate::yaml::{self, Node};

/// A record as either reader tells it: names, each with its texts, and whether those are a list.
type Told = Vec<(String, bool, Vec<(String, bool)>)>;

fn swift(text: &str) -> Option<Vec<Told>> {
    let mut told = Vec::new();
    records(text, "keys", |fields| {
        let field = |(name, value): &Field<'_>| {
            let (is_list, words) = match value {
                Value::List(list) => (true, list.words()?),
                Value::Text(word) => (false, vec![*word]),
            };
            let words = words.iter().map(|word| (word.text.to_owned(), word.plain)).collect();
            Some(((*name).to_owned(), is_list, words))
        };
        told.push(fields.iter().map(field).collect::<Option<_>>()?);
        Some(())
    })?;
    Some(told)
}

/// The same by the tree; `None` where it has a fault, or is something else.
fn thorough(text: &str) -> Option<Vec<Told>> {
    let parsed = yaml::parse(text, yaml::KEYS_LIMIT);
    let root = parsed.root.filter(|_| parsed.errors.is_empty())?;
    assert_eq!(yaml::hidden(text, Some(&root)).next(), None, "{text:?}");
    let yaml::Value::Map(entries) = &root.value else { return None };
    let [entry] = entries.as_slice() else { return None };
    let yaml::Value::List(items) = &entry.value.value else { return None };
    let word = |node: &Node| node.scalar().map(|scalar| (scalar.text.to_string(), scalar.plain));
    let record = |item: &Node| {
        let yaml::Value::Map(entries) = &item.value else { return None };
        let field = |entry: &yaml::Entry| {
            let (is_list, words) = match &entry.value.value {
                yaml::Value::List(items) => (true, items.iter().map(word).collect::<Option<_>>()?),
                _ => (false, vec![word(&entry.value)?]),
            };
            Some((entry.key.to_string(), is_list, words))
        };
        entries.iter().map(field).collect::<Option<Told>>()
    };
    (*entry.key == *"keys").then(|| items.iter().map(record).collect()).flatten()
}

fn assert_the_same(text: &str) {
    if let Some(told) = swift(text) {
        assert_eq!(thorough(text).as_ref(), Some(&told), "{text:?}");
    }
}

#[test]
fn the_usual_forms_are_read() {
    let texts = [
        "keys:\n  - { name: shop 1, sha256: 00ff, scopes: [\"lists:read\", 'a b', c] }\n  - {name: other}\n",
        "keys:\n- name: shop 1\n  scopes:\n  - lists:read\n  - a\n  sha256: 00ff\n- name: other",
        "# Made by a pipeline.\n\nkeys:\n  # The first.\n  - name: \"shop: one\"\n    scopes:\n      - lists:read\n    grant: full\n\n    # Why.\n    note: at 12:00, or so\n",
        "keys:\n    -   { name: x }\n",
        "keys:\n  - name: x\n    scopes: []\n    expires: 2027-01-31T12:00:00Z",
    ];
    let is_read = texts.map(|text| swift(text).is_some());
    assert_eq!(is_read, [true, true, false, false, true]);
    texts.into_iter().for_each(assert_the_same);
}

/// Values that are no plain text or list of such, or not as they stand.
const VALUES: [&str; 45] = [
    "",
    "~x",
    "- x",
    "x: y",
    "x # y",
    "x #y",
    " ",
    "&a x",
    "*a",
    "!t x",
    "|",
    ">",
    "'x''y'",
    "'x' y",
    "\"x\\n\"",
    "\"x",
    "{a: b}",
    "[a",
    "[a,b]",
    "[a,]",
    "[,]",
    "[[a]]",
    "[a: b]",
    "[a: ]",
    "[a#]",
    "[\"a]\"]",
    "[a]]",
    "[a] b",
    "%x",
    "@x",
    "`x",
    "x\ty",
    "x\u{e9}",
    "x\u{202e}",
    "? x",
    "x:",
    ":x",
    "x\r",
    "<<",
    "=",
    "x\n     y",
    "[a,\n b]",
    "\"x\n y\"",
    "x,y",
    "x]y",
];

/// Documents that have something else than records in the usual form.
const TEXTS: [&str; 26] = [
    "",
    "keys:",
    "keys:\n",
    "keys: []\n",
    "keys:\n  a: b\n",
    "keys:\n  - a\n",
    "keys:\n  - a: b\n    a: c\n",
    "keys:\n  - {a: b, a: c}\n",
    "keys:\n  - a: b\n  c: d\n",
    "keys:\n  - a: b\n   - c: d\n",
    "keys:\n  - a: b\nother: x\n",
    "accounts:\n  - a: b\n",
    "---\nkeys:\n  - a: b\n",
    "keys:\n  - a: b\n---\n",
    "keys:\n  - a: b\n...\n",
    "%YAML 1.2\nkeys:\n  - a: b\n",
    "keys:\n  - a: b\n  -\n",
    "\u{feff}keys:\n  - a: b\n",
    "keys:\n  - a:\n    - b\n     - c\n",
    "keys:\n  - a:\n   - b\n",
    "keys:\n  - a:\n      - b\n\n      - c\n",
    "keys:\n  - a: b\n      c\n",
    "keys:\n  - a:\n      - b\n        c\n",
    "keys:\n  - {a: b} # c\n",
    "keys:\n  - {a: b}\n    c: d\n",
    "keys:\n  # \u{200b}\n  - a: b\n",
];

#[test]
fn a_value_that_may_mean_something_else_is_left_to_the_tree() {
    for value in VALUES {
        for text in [format!("keys:\n  - name: {value}\n"), format!("keys:\n  - {{ name: {value} }}\n")] {
            assert_eq!(swift(&text), None, "{text:?}");
        }
    }
}

#[test]
fn a_document_of_another_form_is_left_to_the_tree() {
    for text in TEXTS {
        assert_eq!(swift(text), None, "{text:?}");
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z][a-z0-9:_./ @+-]{0,8}", "\"[ -~]{0,6}\"", "'[ -~]{0,6}'", "[!-~]{1,4}", Just("x".to_owned())]
}

fn list() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(word(), 0..4)
}

#[derive(Clone, Debug)]
enum Shape {
    Block(usize),
    Flow,
    Text,
}

/// Texts that are nearly of the forms that are read.
fn text() -> impl Strategy<Value = String> {
    let shape = prop_oneof![(0..4_usize).prop_map(Shape::Block), Just(Shape::Flow), Just(Shape::Text)];
    let field = (prop_oneof![3 => "[a-c]", 1 => "[a-z_0-9-]{1,3}"], shape, list());
    let item = (
        any::<bool>(),
        prop::collection::vec(field, 1..4),
        prop_oneof![4 => Just(""), 1 => Just("\n"), 1 => Just("  # x\n")],
    );
    (0..3_usize, prop::collection::vec(item, 1..4)).prop_map(|(indent, items)| {
        let mut text = "keys:\n".to_owned();
        for (is_flow, fields, remark) in items {
            let pad = " ".repeat(indent);
            let flow = |(name, shape, words): &(String, Shape, Vec<String>)| match shape {
                Shape::Text => format!("{name}: {}", words.first().map_or("x", String::as_str)),
                _ => format!("{name}: [{}]", words.join(", ")),
            };
            if is_flow {
                let fields: Vec<_> = fields.iter().map(flow).collect();
                text += &format!("{pad}- {{ {} }}\n{remark}", fields.join(", "));
                continue;
            }
            for (place, field) in fields.iter().enumerate() {
                text += &if place == 0 { format!("{pad}- ") } else { format!("{pad}  ") };
                match field {
                    (name, Shape::Block(deeper), words) => {
                        text += &format!("{name}:\n");
                        words.iter().for_each(|word| text += &format!("{pad}{}- {word}\n", " ".repeat(2 + deeper)));
                    }
                    field => text += &format!("{}\n", flow(field)),
                }
                text += remark;
            }
        }
        text
    })
}

const MARKS: [&str; 28] = [
    " ", "\n", "-", ":", "#", ",", "[", "]", "{", "}", "\"", "'", "\\", "&", "*", "!", "|", ">", "%", "@", "~", "?",
    "\t", "\u{e9}", "- ", ": ", "\n  ", "x",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn what_is_read_is_what_the_tree_says(text in text()) {
        assert_the_same(&text);
    }

    #[test]
    fn what_is_read_is_what_the_tree_says_after_any_slip(
        text in text(),
        slips in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(&MARKS[..]), 0..3_usize), 1..4),
    ) {
        let mut letters: Vec<String> = text.chars().map(String::from).collect();
        for (place, mark, taken) in slips {
            let at = place.index(letters.len() + 1);
            let end = (at + taken).min(letters.len());
            letters.splice(at..end, [mark.to_owned()]);
        }
        assert_the_same(&letters.concat());
    }
}

#[test]
fn a_text_in_quotes_goes_on_to_the_first_byte_that_may_not_stand_in_it() {
    let places = |byte| (0..19).flat_map(move |place| [(byte, place, b'"'), (byte, place, b'\'')]);
    for (byte, place, quote) in (0..=u8::MAX).flat_map(places) {
        let mut text = [b'a'; 19];
        text[place] = byte;
        let ends = byte == quote || byte == b'\\' || !(b' '..=b'~').contains(&byte);
        assert_eq!(quoted_length(&text, quote), if ends { place } else { text.len() }, "{byte} at {place}");
        // What stands behind it changes nothing.
        text[place + 1..].fill(b'\\');
        assert_eq!(quoted_length(&text, quote), if ends { place } else { (place + 1).min(text.len()) });
    }
}
