use super::*;

/// The tree in one line, scalars in quotes where they were quoted.
fn shown(node: &Node) -> String {
    match &node.value {
        Value::Scalar(scalar) if scalar.plain => scalar.text.to_string(),
        Value::Scalar(scalar) => format!("'{}'", scalar.text),
        Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Map(entries) => {
            let shown = entries.iter().map(|entry| format!("{}: {}", entry.key, shown(&entry.value)));
            format!("{{{}}}", shown.collect::<Vec<_>>().join(", "))
        }
    }
}

fn tree(text: &str) -> String {
    let parsed = parse(text, CONFIG_LIMIT);
    assert_eq!(parsed.errors, []);
    shown(&parsed.root.unwrap())
}

fn messages(text: &str) -> Vec<String> {
    parse(text, CONFIG_LIMIT).errors.into_iter().map(|error| error.message).collect()
}

/// What stands at each span of scalars and keys, in order.
fn sources<'t>(text: &'t str, node: &Node, found: &mut Vec<&'t str>) {
    let cut = |span: Span| &text.as_bytes()[span.start as usize..span.end as usize];
    let cut = |span: Span| std::str::from_utf8(cut(span)).unwrap();
    match &node.value {
        Value::Scalar(_) => found.push(cut(node.span)),
        Value::List(items) => items.iter().for_each(|item| sources(text, item, found)),
        Value::Map(entries) => {
            for entry in entries {
                found.push(cut(entry.key_span));
                sources(text, &entry.value, found);
            }
        }
    }
}

#[test]
fn scalars_keep_the_text_as_written() {
    assert_eq!(tree("a: no\nb: 012345\nc: 1e3\nd: \"a\\n\"\ne: ''\n"), "{a: no, b: 012345, c: 1e3, d: 'a\n', e: ''}");
    assert_eq!(tree("- [a, {b: c}]\n- |\n  x\n  y\n"), "[[a, {b: c}], 'x\ny\n']");
}

#[test]
fn only_the_core_schema_is_null_or_boolean() {
    let scalar = |text: &str| parse(text, CONFIG_LIMIT).root.unwrap().scalar().unwrap().clone();
    for null in ["---", "~", "null", "Null", "NULL", "--- # nothing"] {
        assert!(scalar(null).is_null(), "{null}");
    }
    for text in ["'null'", "\"\"", "nil", "nULL"] {
        assert!(!scalar(text).is_null(), "{text}");
    }
    assert_eq!(scalar("true").as_bool(), Some(true));
    assert_eq!(scalar("FALSE").as_bool(), Some(false));
    assert_eq!((scalar("yes").as_bool(), scalar("'true'").as_bool()), (None, None));
}

#[test]
fn a_text_without_a_document_has_no_tree() {
    for text in ["", "\n", "# nothing\n"] {
        assert_eq!(parse(text, CONFIG_LIMIT), Parsed { root: None, errors: Vec::new() });
    }
}

#[test]
fn every_scalar_and_key_knows_where_it_stands() {
    let text = "# é\na: b\n'c d': [e, \"f\"]\ng:\n  h: é i # j\n";
    let mut found = Vec::new();
    sources(text, &parse(text, CONFIG_LIMIT).root.unwrap(), &mut found);
    assert_eq!(found, ["a", "b", "'c d'", "e", "\"f\"", "g", "h", "é i"]);
}

#[test]
fn a_duplicate_key_names_the_first_and_the_first_stays() {
    let parsed = parse("a: 1\nb: 2\na: 3\n", CONFIG_LIMIT);
    let [error] = parsed.errors.as_slice() else { panic!("{:?}", parsed.errors) };
    assert_eq!((error.message.as_str(), error.span.start), ("`a` is given twice", 10));
    assert_eq!(error.first, Some(Span { start: 0, end: 1 }));
    assert_eq!(shown(&parsed.root.unwrap()), "{a: 1, b: 2}");
}

#[test]
fn keys_that_are_equal_but_for_quotes_are_duplicates() {
    assert_eq!(messages("a: 1\n\"a\": 2\n"), ["`a` is given twice"]);
}

#[test]
fn what_gives_a_file_another_meaning_is_refused() {
    assert_eq!(
        messages("a: &x 1\nb: *x\n"),
        ["anchors (`&name`) are not used here", "aliases (`*name`) are not used here"]
    );
    assert_eq!(messages("a: *nowhere\n"), ["aliases (`*name`) are not used here"]);
    assert_eq!(messages("a: !!int 1\nb: !x y\n"), ["tags (`!name`) are not used here"; 2]);
    assert_eq!(messages("<<: { a: 1 }\n"), ["merge keys (`<<`) are not used here"]);
    assert_eq!(messages("[a]: b\n"), ["the key of a map must be text"]);
    assert_eq!(messages(": b\n"), ["a key is missing before `:`"]);
    assert_eq!(messages("a: b\n---\nc: d\n"), ["a second document begins here"]);
    assert!(messages("%YAML 1.2\n---\na: b\n").first().unwrap().starts_with("this is not YAML"));
}

#[test]
fn a_document_may_begin_with_its_marker_and_a_byte_order_mark() {
    assert_eq!(tree("---\na: b\n...\n"), "{a: b}");
    assert_eq!(tree("\u{feff}a: b\n"), "{a: b}");
}

#[test]
fn a_text_beyond_the_limit_is_not_read() {
    let parsed = parse("a: b\n", 4);
    assert_eq!(parsed.root, None);
    assert_eq!(parsed.errors.first().unwrap().message, "the file has 5 bytes, more than the 4 that it may have");
}

#[test]
fn a_deep_nest_is_refused_and_not_followed() {
    for text in ["[".repeat(10_000), "- ".repeat(10_000), "{a: ".repeat(10_000)] {
        let parsed = parse(&text, CONFIG_LIMIT);
        assert!(parsed.root.is_none() && !parsed.errors.is_empty());
    }
}
