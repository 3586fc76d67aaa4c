use serde_json::json;

use super::*;
use crate::key::lifecycle::{Imprint, NewKey, Replacement, Transition, create};
use crate::key::secret::Secret;
use crate::key::{GrantSpec, KeyId, KeyKind, KeyRecord};

/// Lines of a log as it should be.
fn log(length: u64) -> Vec<Value> {
    let mut previous = Link::START;
    let entries = (1..=length).map(|number| {
        let detail = json!({ "name": format!("key \"{number}\"\u{e9}\t"), "scopes": ["b:read", "a:read"] });
        let mut entry = Entry {
            number,
            at: Timestamp::from_millis(1_800_000_000_000 + number.cast_signed()),
            by: "cli:alice".into(),
            action: "create".into(),
            key: Some(format!("key_{number}").into()),
            account: None,
            detail: Some(detail),
            previous,
            hash: Link::START,
        };
        entry.hash = entry.link();
        previous = entry.hash;
        entry.to_json()
    });
    entries.collect()
}

fn judged(mut chain: Chain, lines: &[Value], standing: Option<&Standing>) -> String {
    for line in lines {
        if let Err(broken) = chain.follow(line) {
            return broken.to_string();
        }
    }
    chain.finish(standing).map_or_else(|broken| broken.to_string(), |()| format!("{} hold", chain.length()))
}

fn head(line: &Value) -> Head {
    Head::parse(&format!("{}:{}", line["number"], line["hash"].as_str().unwrap())).unwrap()
}

#[test]
fn the_canonical_form_is_that_of_rfc_8785() {
    let value = json!({ "b": ["x", 1, null, true, { "z": {}, "a": [] }], "\u{e9}": "\u{e9}\u{1f600}", "a": "\"\\\u{8}\u{c}\n\r\t\u{1f}\u{7f}/" });
    let expected = "{\"a\":\"\\\"\\\\\\b\\f\\n\\r\\t\\u001f\u{7f}/\",\"b\":[\"x\",1,null,true,{\"a\":[],\"z\":{}}],\"\u{e9}\":\"\u{e9}\u{1f600}\"}";
    assert_eq!(canonical(&value), expected);
    // By UTF-16, as its section 3.2.3 has it: U+1F600 begins with a surrogate, which is less than U+FB33.
    assert_eq!(canonical(&json!({ "\u{fb33}": 1, "\u{1f600}": 2 })), "{\"\u{1f600}\":2,\"\u{fb33}\":1}");
}

#[test]
fn the_hash_of_an_entry_is_what_others_make_of_it() {
    let [first, second] = log(2).try_into().unwrap();
    // By Python's json and hashlib, as README has it.
    assert_eq!(first["hash"], "e37029ec5065e1970cdaca1e7c3223a89637c76d41ca36fae410b9116d23a360");
    assert_eq!(
        (&second["previous"], &second["hash"]),
        (&first["hash"], &"96510215f85edbce7b619bc8aa81b7db4efe2acb500073a6d46bf752f805512c".into())
    );
}

#[test]
fn a_log_as_it_was_written_holds_from_any_entry_on() {
    let log = log(6);
    assert_eq!(judged(Chain::whole(None), &log, Some(&Standing { given: 6, ..Standing::default() })), "6 hold");
    assert_eq!(judged(Chain::whole(None), &[], Some(&Standing::default())), "0 hold");
    assert_eq!(judged(Chain::part(None), &log[2..], None), "4 hold");
    for kept in &log {
        assert_eq!(judged(Chain::whole(Some(head(kept))), &log, None), "6 hold");
    }
    assert_eq!(judged(Chain::part(Some(head(&log[1]))), &log[2..], None), "4 hold", "the one before the first");
}

#[test]
fn the_first_entry_that_does_not_hold_is_named() {
    let log = log(6);
    let changed = |place: usize, name: &str, value: Value| {
        let mut log = log.clone();
        log[place][name] = value;
        judged(Chain::whole(None), &log, None)
    };
    for (name, value) in [
        ("by", json!("cli:bob")),
        ("at", json!("2027-01-15T08:00:00Z")),
        ("action", json!("revoke")),
        ("key", json!("key_9")),
        ("detail", json!({})),
        ("account", json!("acme")),
        ("more", json!(1)),
        ("hash", json!("00")),
    ] {
        assert_eq!(changed(2, name, value), "entry 3 was changed: its hash does not follow from what it says");
    }
    assert_eq!(changed(2, "previous", json!("00")), "entry 3 does not follow from the entry before it");
    assert_eq!(changed(0, "previous", log[0]["hash"].clone()), "entry 1 does not follow from the entry before it");
    assert_eq!(changed(2, "number", json!("3")), "entry 3 is no entry: it has no number");
    let without = |place: usize| [&log[..place], &log[place + 1..]].concat();
    let whole = |log: &[Value]| judged(Chain::whole(None), log, None);
    assert_eq!(whole(&without(0)), "entry 1 is missing: entry 2 stands in its place");
    assert_eq!(whole(&without(3)), "entry 4 is missing: entry 5 stands in its place");
    let twice = [&log[..2], &log[1..]].concat();
    assert_eq!(whole(&twice), "entry 3 has the number 2, which was there already");
    let rewritten: Vec<Value> = {
        let mut chain = self::log(3);
        chain[2]["by"] = "cli:bob".into();
        let mut content = chain[2].clone();
        content.as_object_mut().unwrap().remove("hash");
        chain[2]["hash"] = Link::of(&canonical(&content)).to_string().into();
        [chain, log[3..].to_vec()].concat()
    };
    assert_eq!(whole(&rewritten), "entry 4 does not follow from the entry before it");
}

#[test]
fn a_log_that_was_written_anew_shows_by_its_head_alone() {
    let log = log(6);
    let other: Vec<Value> = {
        let mut previous = Link::START.to_string();
        let rewrite = |line: &Value| {
            let mut line = line.clone();
            line["by"] = "cli:bob".into();
            line["previous"] = previous.clone().into();
            line.as_object_mut().unwrap().remove("hash");
            previous = Link::of(&canonical(&line)).to_string();
            line["hash"] = previous.clone().into();
            line
        };
        log.iter().map(rewrite).collect()
    };
    assert_eq!(judged(Chain::whole(None), &other, None), "6 hold");
    let told = judged(Chain::whole(Some(head(&log[3]))), &other, None);
    assert!(told.starts_with("entry 4 is another one than the head that you gave"), "{told}");
    let told = judged(Chain::part(Some(head(&log[1]))), &other[2..], None);
    assert!(told.starts_with("entry 2 is another one than the head that you gave"), "{told}");
}

#[test]
fn an_end_that_was_cut_off_shows_where_it_is_known() {
    let log = log(6);
    assert_eq!(judged(Chain::whole(None), &log[..4], None), "4 hold", "nobody can tell");
    let kept = Some(head(&log[5]));
    let told = judged(Chain::whole(kept), &log[..4], None);
    assert_eq!(told, "entry 5 is missing: the head that you gave is entry 6, so the end was cut off");
    let told = judged(Chain::whole(None), &log[..4], Some(&Standing { given: 6, ..Standing::default() }));
    assert_eq!(told, "entry 5 is missing: the store has written 6 entries, so the end was cut off");
    let stray = |name: &str| Unlogged::key(name, "its state");
    let unlogged = Standing { given: 6, unlogged: vec![stray("key_x")], lacking: 0 };
    let told = judged(Chain::whole(None), &log, Some(&unlogged));
    assert_eq!(told, "entry 7 is missing: the key key_x (its state) was changed past the log");
    let account = Unlogged::Account("acme".into());
    let unlogged = Standing { unlogged: vec![account, stray("key_x"), stray("key_y")], ..unlogged };
    let told = judged(Chain::whole(None), &log, Some(&unlogged));
    let expected = "entry 7 is missing: the account acme, the key key_x (its state) and the key key_y (its state) were changed past the log";
    assert_eq!(told, expected);
    let told = judged(Chain::part(Some(head(&log[0]))), &log[2..], None);
    assert_eq!(told, "entry 1 is not there to compare: the first one is entry 3");
}

#[test]
fn a_head_is_a_number_and_a_hash() {
    let hash = "0123456789abcdefABCDEF0123456789abcdefABCDEF0123456789abcdef0123";
    let head = Head::parse(&format!(" 12:{hash}\n")).unwrap();
    assert_eq!(head.to_string(), format!("12:{}", hash.to_lowercase()));
    for bad in ["", "12", "12:", ":00", "0:", &format!("0:{hash}"), &format!("+1:{hash}"), &format!("1:{hash}0"), hash]
    {
        assert_eq!(Head::parse(bad), None, "{bad}");
    }
}

fn key() -> (Secret, KeyRecord) {
    let secret = Secret::mint("sg").unwrap();
    let imprint = Imprint::of(&secret, "sg", &crate::key::digest::Hasher::new(None));
    let new = NewKey {
        account: Some("acme".into()),
        attributes: vec![("owner".into(), "a".into()), ("owner".into(), "b".into())],
        allow_from: vec!["10.0.0.0/8".parse().unwrap()],
        note: Some("for Ms Doe, call her".into()),
        expires: Some(Timestamp::from_millis(1_900_000_000_000)),
        ..NewKey::new("export", GrantSpec::custom(["b:read", "a:read"]))
    };
    let at = Timestamp::from_millis(1_800_000_000_000);
    (secret, create(new, KeyId::mint(KeyKind::Secret).unwrap(), imprint, at).unwrap())
}

#[test]
fn a_detail_says_what_a_key_may_do_and_nothing_of_its_value() {
    let (secret, record) = key();
    let told = canonical(&of_new(&record, Some(&KeyId::parse("key_of").unwrap())));
    assert_eq!(
        told,
        "{\"account\":\"acme\",\"allow_from\":[\"10.0.0.0/8\"],\"attributes\":[[\"owner\",\"a\"],[\"owner\",\"b\"]],\
        \"expires\":\"2030-03-17T17:46:40Z\",\"name\":\"export\",\"of\":\"key_of\",\"scopes\":[\"a:read\",\"b:read\"]}"
    );
    let text = std::str::from_utf8(secret.expose()).unwrap();
    assert!(!told.contains(text) && !told.contains(&record.value.digest.to_hex()));
    let full = KeyRecord { grant: GrantSpec::Full, ..record.clone() };
    assert_eq!(of_new(&full, None)["grant"], "full");
    let laid = KeyRecord { is_tripwire: true, kind: KeyKind::Pair, grant: GrantSpec::nothing(), ..record };
    let told = of_new(&laid, None);
    assert_eq!((&told["tripwire"], &told["scopes"], &told["kind"]), (&json!(true), &json!([]), &json!("pair")));
}

#[test]
fn a_detail_says_what_became_of_a_key() {
    let (_, record) = key();
    let fresh = || Imprint::of(&Secret::mint("sg").unwrap(), "sg", &crate::key::digest::Hasher::new(None));
    let imprint = fresh();
    let overlap = std::time::Duration::from_secs(3600);
    let rotate = Transition::Rotate(Replacement { imprint, overlap });
    let rotated = rotate.apply(record.clone(), record.created).unwrap();
    let told = of_transition(&rotate, &record, &rotated);
    let expected = json!({ "name": "export", "overlap_seconds": 3600, "old_value_until": "2027-01-15T09:00:00Z" });
    assert_eq!(told, expected);
    let later = record.created.after(overlap / 2);
    let again = Transition::Rotate(Replacement { imprint: fresh(), overlap: std::time::Duration::ZERO });
    let twice = again.apply(rotated.clone(), later).unwrap();
    let (given, half, hour) = ("2027-01-15T08:00:00Z", "2027-01-15T08:30:00Z", "2027-01-15T09:00:00Z");
    let cut = json!([{ "given": given, "before": hour, "after": half }]);
    let told = of_transition(&again, &rotated, &twice);
    assert_eq!((&told["old_value_until"], &told["older_values"]), (&json!(half), &cut), "each that is cut short");
    let ended = Transition::EndOverlap.apply(rotated.clone(), later).unwrap();
    let told = of_transition(&Transition::EndOverlap, &rotated, &ended);
    assert_eq!(told, json!({ "name": "export", "older_values": cut }));
    let disabled = Transition::Disable.apply(record.clone(), record.created).unwrap();
    let told = of_transition(&Transition::Revoke, &disabled, &record);
    assert_eq!(told, json!({ "name": "export", "was": "disabled" }));
}

#[test]
fn a_line_that_says_a_thing_twice_or_has_a_number_beyond_all_is_no_entry() {
    let log = log(2);
    let line = log[0].to_string();
    assert_eq!(read_line(line.as_bytes()), Some(log[0].clone()));
    let twice = line.replacen('{', "{\"by\":\"cli:bob\",", 1);
    assert_eq!(read_line(twice.as_bytes()), None);
    assert_eq!(read_line(br#"{"detail":{"a":1,"a":2}}"#), None);
    assert_eq!(read_line(br#"{"a":1} {"a":1}"#), None);
    for number in [i64::MAX.cast_unsigned(), u64::MAX] {
        let mut line = log[0].clone();
        line["number"] = number.into();
        let told = judged(Chain::part(None), &[line.clone(), line], None);
        assert_eq!(told, "entry 1 is no entry: it has no number");
    }
    let kept = Head::parse(&format!("{}:{}", u64::MAX, "0".repeat(64)));
    let told = judged(Chain::part(kept), &log[1..], None);
    assert!(told.starts_with("entry 3 is missing: the head that you gave"), "{told}");
}

#[test]
fn entries_that_are_older_than_the_one_before_them_are_told() {
    let mut log = log(4);
    let mut previous = log[0]["hash"].clone();
    for (line, at) in log[1..].iter_mut().zip(["2027-01-15T08:00:05Z", "2020-01-01T00:00:00Z", "2027-01-15T08:00:06Z"])
    {
        line["at"] = at.into();
        line["previous"] = previous;
        line.as_object_mut().unwrap().remove("hash");
        let hash = Link::of(&canonical(line)).to_string();
        line["hash"] = hash.as_str().into();
        previous = hash.into();
    }
    let mut chain = Chain::whole(None);
    log.iter().for_each(|line| chain.follow(line).unwrap());
    assert_eq!((chain.length(), chain.steps_back()), (4, [3].as_slice()));
}
