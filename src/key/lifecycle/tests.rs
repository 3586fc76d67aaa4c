use super::*;

const DAY: i64 = 86_400_000;

fn day(count: i64) -> Timestamp {
    Timestamp::from_millis(count * DAY)
}

fn imprint() -> Imprint {
    Imprint::of(&Secret::new("sg_0123456789ABCDEFGHIJKLMNOPQRST4YaTr7"), "sg", &Hasher::new(None))
}

fn make(new: NewKey) -> Result<KeyRecord, NewKeyError> {
    create(new, KeyId::parse("key_0000000000000000").unwrap(), imprint(), day(100))
}

fn key() -> KeyRecord {
    make(NewKey::new("billing", GrantSpec::custom(["a:read"]))).unwrap()
}

#[test]
fn a_new_key_is_active_and_shows_prefix_and_last_four() {
    let key = key();
    assert_eq!((key.state, key.created, key.changed), (KeyState::Active, day(100), day(100)));
    assert_eq!((&*key.value.prefix, &*key.value.last_four), ("sg", "aTr7"));
}

#[test]
fn the_end_of_a_short_key_from_elsewhere_is_not_kept() {
    let of = |text: &str| Imprint::of(&Secret::new(text), "sg", &Hasher::new(None));
    assert_eq!(&*of("0123456789").last_four, "");
    let long = of("0123456789012345678901234");
    assert_eq!((&*long.prefix, &*long.last_four), ("", "1234"));
}

#[test]
fn what_cannot_be_is_refused_with_its_name() {
    let base = || NewKey::new("billing", GrantSpec::Full);
    let attribute = |name: &str, value: &str| vec![(name.into(), value.into())];
    let cases = [
        (NewKey { name: " ".into(), ..base() }, "the name \" \" cannot be"),
        (NewKey { name: "a\u{1b}[2J".into(), ..base() }, "the name \"a\\u{1b}[2J\" cannot be"),
        (NewKey { account: Some("a b".into()), ..base() }, "the account `a b` is no account id"),
        (NewKey { grant: GrantSpec::custom(["a:read", "*"]), ..base() }, "`*` is no scope"),
        (NewKey { attributes: attribute("own er", "x"), ..base() }, "the attribute `own er` cannot be"),
        (NewKey { attributes: attribute("owner", ""), ..base() }, "the attribute `owner` cannot be"),
        (
            NewKey { account: Some("acme".into()), attributes: attribute("account", "acme-eu"), ..base() },
            "the attribute `account` cannot be given: it is the account that the key belongs to",
        ),
        (NewKey { note: Some("two\nlines".into()), ..base() }, "the note is too long"),
        (NewKey { expires: Some(day(100)), ..base() }, "the key would have expired at 1970-04-11T00:00:00Z"),
        (NewKey { expires: Some(day(120)), not_before: Some(day(120)), ..base() }, "the key would expire at"),
        (NewKey { allow_from: vec!["10.0.0.0/8".parse().unwrap(); 1025], ..base() }, "too many networks for one key"),
        (NewKey { is_tripwire: true, ..base() }, "a tripwire opens nothing"),
        (NewKey { is_tripwire: true, grant: GrantSpec::custom(["a:read"]), ..base() }, "a tripwire opens nothing"),
    ];
    for (new, expected) in cases {
        let error = make(new).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn text_with_characters_that_nobody_sees_is_refused() {
    let base = || NewKey::new("billing", GrantSpec::Full);
    for hidden in ["\u{202e}", "\u{200b}", "\u{2066}", "\u{2028}", "\u{ad}", "\u{feff}", "\u{e0061}", "\u{3164}"] {
        let text: Box<str> = format!("bill{hidden}ing").into();
        for new in [
            NewKey { name: text.clone(), ..base() },
            NewKey { account: Some(text.clone()), ..base() },
            NewKey { note: Some(text.clone()), ..base() },
            NewKey { attributes: vec![("owner".into(), text.clone())], ..base() },
            NewKey { attributes: vec![(text.clone(), "x".into())], ..base() },
        ] {
            assert!(make(new.clone()).is_err(), "{new:?}");
        }
        let error = make(NewKey { name: text, ..base() }).unwrap_err().to_string();
        assert!(error.contains(&hidden.escape_unicode().to_string()) && !error.contains(hidden), "{error}");
    }
    for visible in ["Zahlungen \u{e4}\u{f6}", "\u{5e9}\u{5dc}\u{5d5}\u{5dd}", "\u{8acb}\u{6c42}", "\u{1f4b6}"] {
        assert!(make(NewKey { name: visible.into(), ..base() }).is_ok(), "{visible}");
    }
}

#[test]
fn a_public_key_has_an_account_and_opens_nothing_by_itself() {
    let base =
        || NewKey { kind: KeyKind::Public, account: Some("acme".into()), ..NewKey::new("site", GrantSpec::nothing()) };
    let record = create(base(), KeyId::parse("key_site").unwrap(), SiteId::parse(b"Ab12Cd").unwrap().imprint(), day(1));
    assert_eq!(record.unwrap().value.site.unwrap().as_str(), "Ab12Cd");
    assert!(make(NewKey { attributes: vec![("shop".into(), "blue".into())], ..base() }).is_ok());
    for (new, expected) in [
        (NewKey { account: None, ..base() }, "a public key says which account it is"),
        (NewKey { grant: GrantSpec::Full, ..base() }, "a public key has no scopes"),
        (NewKey { grant: GrantSpec::custom(["a:read"]), ..base() }, "a public key has no scopes"),
        (NewKey { expires: Some(day(200)), ..base() }, "a public key has no first and no last day"),
        (NewKey { not_before: Some(day(200)), ..base() }, "a public key has no first and no last day"),
        (NewKey { allow_from: vec!["10.0.0.0/8".parse().unwrap()], ..base() }, "a public key has no networks"),
        (NewKey { is_tripwire: true, ..base() }, "a public key has no alarm"),
    ] {
        let error = make(new).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_key_without_any_scope_can_be_made() {
    assert_eq!(make(NewKey::new("tripwire", GrantSpec::nothing())).unwrap().grant, GrantSpec::nothing());
}

#[test]
fn a_key_stands_nowhere_in_what_is_said_of_another() {
    let key = Secret::mint("acme").unwrap();
    let bare: Box<str> = std::str::from_utf8(key.expose()).unwrap().into();
    let key = format!("of {bare}");
    let base = || NewKey::new("name", GrantSpec::Full);
    for (new, what) in [
        (NewKey { name: key.as_str().into(), ..base() }, "name"),
        (NewKey { note: Some(key.as_str().into()), ..base() }, "note"),
        (NewKey { account: Some(bare.clone()), ..base() }, "account"),
        (NewKey { attributes: vec![("t".into(), bare.clone())], ..base() }, "attributes"),
        (NewKey { attributes: vec![(bare.clone(), "t".into())], ..base() }, "attributes"),
        (NewKey { grant: GrantSpec::custom([&*bare]), ..base() }, "scopes"),
    ] {
        let error = check(&new).unwrap_err();
        assert_eq!(error, NewKeyError::Key(what));
        assert!(!error.to_string().contains(bare.rsplit('_').next().unwrap()), "{error}");
    }
}
