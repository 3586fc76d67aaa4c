use std::sync::Arc;

use super::*;

#[test]
fn an_id_is_key_and_sixteen_characters() {
    let id = KeyId::mint(KeyKind::Secret).unwrap();
    let random = id.as_str().strip_prefix("key_").unwrap();
    assert_eq!(random.len(), 16);
    assert!(random.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_ne!(id, KeyId::mint(KeyKind::Secret).unwrap());
    assert_eq!(KeyId::parse(id.as_str()), Some(id));
}

#[test]
fn the_visible_id_of_a_pair_is_32_hexadecimal_digits() {
    let id = KeyId::mint(KeyKind::Pair).unwrap();
    assert!(
        id.as_str().len() == 32 && id.as_str().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')),
        "{id}"
    );
    assert_ne!(id, KeyId::mint(KeyKind::Pair).unwrap());
    assert_eq!(KeyId::parse(id.as_str()), Some(id));
}

#[test]
fn a_derived_id_follows_from_the_digest_alone() {
    let digest = |key: &str| Hasher::new(None).digest(key.as_bytes());
    assert_eq!(KeyId::derive(&digest("a")), KeyId::derive(&digest("a")));
    assert_ne!(KeyId::derive(&digest("a")), KeyId::derive(&digest("b")));
    assert_eq!(KeyId::derive(&digest("a")).as_str().len(), 20);
}

#[test]
fn an_id_that_could_split_a_header_or_a_line_is_none() {
    for text in ["", "a b", "a\r\nb", "a,b", "é", &"x".repeat(65)] {
        assert_eq!(KeyId::parse(text), None, "{text:?}");
    }
}

#[test]
fn words_of_kinds_and_states_are_read_back() {
    assert!(KeyKind::ALL.into_iter().all(|kind| KeyKind::parse(kind.as_str()) == Some(kind)));
    assert!(KeyState::ALL.into_iter().all(|state| KeyState::parse(state.as_str()) == Some(state)));
    assert_eq!(KeyKind::parse("Secret"), None);
    assert_eq!(KeyState::parse(""), None);
}

#[test]
fn a_grant_is_sorted_and_without_repetition() {
    let grant = GrantSpec::custom(["b:read", "a:read", "b:read"]);
    assert_eq!(grant, GrantSpec::Custom(Arc::new(["a:read".into(), "b:read".into()])));
    assert_eq!(grant.to_header(), "a:read b:read");
    assert_eq!(GrantSpec::Full.to_header(), "*");
    assert_eq!(GrantSpec::ReadOnly.to_header(), "*:read");
}

#[test]
fn a_network_is_shown_as_it_is_in_force() {
    let cases = [
        ("10.1.2.3/8", "10.0.0.0/8"),
        ("203.0.113.7", "203.0.113.7/32"),
        ("2001:db8::1", "2001:db8::1/128"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::/0", "::/0"),
    ];
    for (text, shown) in cases {
        assert_eq!(parse_network(text).unwrap().to_string(), shown);
    }
}

#[test]
fn what_is_no_network_says_so() {
    for text in ["", "10.0.0.0/33", "example.com", "10.0.0", "10.0.0.0/-1"] {
        let error = parse_network(text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("`{text}` is no network: ")), "{error}");
    }
}
