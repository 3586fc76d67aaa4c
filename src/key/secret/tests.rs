use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[test]
fn a_minted_key_has_the_format_of_the_contract() {
    let key = Secret::mint("sg").unwrap();
    let text = str::from_utf8(key.expose()).unwrap();
    assert_eq!(text.len(), 2 + 1 + 30 + 6);
    let tail = text.strip_prefix("sg_").unwrap();
    assert!(tail.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    assert_eq!(check("sg", key.expose()), Checked::Ours);
}

#[test]
fn the_checksum_is_the_one_that_the_module_documents() {
    assert_eq!(check("sg", b"sg_0123456789ABCDEFGHIJKLMNOPQRST4YaTr7"), Checked::Ours);
    assert_eq!(check("sg", b"sg_0123456789ABCDEFGHIJKLMNOPQRST4YaTr8"), Checked::BadChecksum);
}

#[test]
fn a_small_checksum_is_padded_with_zeros() {
    // The CRC-32 of nothing is 0, of these four bytes 0xFFFFFFFF: both ends of what has to fit.
    assert_eq!(&checksum(b""), b"000000");
    assert_eq!(&checksum(&[0xff, 0xff, 0xff, 0xff]), b"4gfFC3");
}

#[test]
fn two_keys_are_never_the_same() {
    let [one, other] = [Secret::mint("sg").unwrap(), Secret::mint("sg").unwrap()];
    assert_ne!(one.expose(), other.expose());
}

#[test]
fn every_character_is_drawn_equally_often() {
    let mut drawn = Vec::new();
    append_random(&mut drawn, 62 * 2000).unwrap();
    let mut counts = BTreeMap::<u8, u32>::new();
    for byte in &drawn {
        *counts.entry(*byte).or_default() += 1;
    }
    assert_eq!(counts.len(), 62);
    // 2000 expected each, standard deviation under 45; a modulo of 256 would give 8 of them a quarter more, 2470.
    assert!(counts.values().all(|count| (1700..2300).contains(count)), "{counts:?}");
}

#[test]
fn a_key_of_another_house_is_foreign_and_a_damaged_one_of_ours_is_told() {
    let cases: [(&[u8], Checked); 9] = [
        (b"ghp_0123456789ABCDEFGHIJKLMNOPQRST4YaTr7", Checked::Foreign),
        (b"pk_live", Checked::Foreign),
        (b"sg0123456789", Checked::Foreign),
        (b"sg_", Checked::BadChecksum),
        (b"sg_0123456789ABCDEFGHIJKLMNOPQRST4YaTr", Checked::BadChecksum),
        (b"sg_0123456789ABCDEFGHIJKLMNOPQRS-4YaTr7", Checked::BadChecksum),
        (b"", Checked::Malformed),
        (b"with space", Checked::Malformed),
        (&[b'a'; LONGEST + 1], Checked::Malformed),
    ];
    for (credential, expected) in cases {
        assert_eq!(check("sg", credential), expected, "{}", String::from_utf8_lossy(credential));
    }
    assert_eq!(check("sg", &[b'a'; LONGEST]), Checked::Foreign);
}

#[test]
fn the_checksum_covers_the_prefix() {
    assert_eq!(check("sh", b"sh_0123456789ABCDEFGHIJKLMNOPQRST4YaTr7"), Checked::BadChecksum);
}

#[test]
fn a_prefix_that_would_not_be_recognised_is_refused() {
    for prefix in ["", "_", "sg_", "a__b", "s g", "prefix-with-dash", "seventeenletters1", "é"] {
        let error = Secret::mint(prefix).unwrap_err();
        assert!(error.to_string().starts_with(&format!("`{prefix}` cannot be the prefix of keys")), "{error}");
    }
    assert_eq!(check("acme_live", Secret::mint("acme_live").unwrap().expose()), Checked::Ours);
}

#[test]
fn a_secret_is_not_shown() {
    let shown = format!("{:?}", Secret::new("hunter2"));
    assert_eq!(shown, "Secret(redacted)");
}

#[test]
fn a_secret_matches_itself_alone() {
    let secret = Secret::new("hunter2");
    assert!(secret.matches(b"hunter2"));
    assert!(!secret.matches(b"hunter3"));
    assert!(!secret.matches(b"hunter"));
}

proptest! {
    #[test]
    fn one_wrong_character_is_always_noticed(at in 3_usize..39, other in 0_u32..62) {
        let mut key = Secret::mint("sg").unwrap().expose().to_vec();
        prop_assume!(key[at] != base62(other));
        key[at] = base62(other);
        prop_assert_eq!(check("sg", &key), Checked::BadChecksum);
    }

    #[test]
    fn two_neighbours_that_changed_places_are_always_noticed(at in 3_usize..32) {
        let mut key = Secret::mint("sg").unwrap().expose().to_vec();
        prop_assume!(key[at] != key[at + 1]);
        key.swap(at, at + 1);
        prop_assert_eq!(check("sg", &key), Checked::BadChecksum);
    }

    #[test]
    fn any_bytes_at_all_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let visible = (1..=LONGEST).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        prop_assert_eq!(check("sg", &bytes) == Checked::Malformed, !visible);
    }
}
