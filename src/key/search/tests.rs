use proptest::prelude::*;

use super::*;

const KEY: &str = "sg_0123456789ABCDEFGHIJKLMNOPQRST4YaTr7";

/// What is found in a stream that comes in pieces: line, column and key.
fn found(search: &mut Search, pieces: &[&[u8]]) -> Vec<(u64, u64, String)> {
    search.begin();
    let mut hits = Vec::new();
    for mut rest in pieces.iter().copied() {
        while !rest.is_empty() {
            let room = search.room();
            let count = room.len().min(rest.len());
            room[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            hits.extend(search.take(count));
        }
    }
    let told = |hit: Hit| {
        assert!(hit.secret.expose().starts_with(hit.prefix.as_bytes()));
        (hit.place.line, hit.place.column, String::from_utf8(hit.secret.expose().to_vec()).unwrap())
    };
    hits.into_iter().map(told).collect()
}

fn minted(prefix: &str) -> String {
    String::from_utf8(Secret::mint(prefix).unwrap().expose().to_vec()).unwrap()
}

#[test]
fn a_key_is_found_where_it_begins() {
    let mut search = Search::new(["sg"]);
    let text = format!("one\ntwo = \"{KEY}\"\n{KEY}{KEY}x{KEY}");
    let expected = [(2, 8, KEY.to_owned()), (3, 1, KEY.to_owned()), (3, 40, KEY.to_owned()), (3, 80, KEY.to_owned())];
    assert_eq!(found(&mut search, &[text.as_bytes()]), expected);
    assert_eq!(found(&mut search, &[KEY.as_bytes()]), [(1, 1, KEY.to_owned())], "another stream begins anew");
}

#[test]
fn a_key_is_found_in_what_is_no_text() {
    let bytes = [b"\0\xff\n\x80sg_".as_slice(), KEY.as_bytes(), b"\0"].concat();
    assert_eq!(found(&mut Search::new(["sg"]), &[&bytes]), [(2, 5, KEY.to_owned())]);
}

#[test]
fn what_is_like_a_key_but_for_its_checksum_is_none() {
    let mistyped = KEY.replace("0123", "0132");
    for text in [mistyped.as_str(), KEY.strip_suffix('7').unwrap(), "sg_", "sg_sg_sg_", "", &KEY.replace("sg_", "sk_")]
    {
        assert_eq!(found(&mut Search::new(["sg"]), &[text.as_bytes()]), [], "{text}");
    }
}

#[test]
fn keys_of_several_prefixes_come_in_the_order_of_the_text() {
    let (one, other) = (minted("acme_live"), minted("a_a"));
    let text = format!("{other} {one} a_a_{other} {KEY}");
    let places: Vec<u64> = found(&mut Search::new(["sg", "acme_live", "a_a", "sg", "no prefix"]), &[text.as_bytes()])
        .iter()
        .map(|(_, column, _)| *column)
        .collect();
    assert_eq!(places, [1, 42, 93, 134]);
}

#[test]
fn a_key_across_the_border_of_two_blocks_is_found_once_wherever_the_border_is() {
    let mut search = Search::new(["sg", "a_longer_prefix"]);
    for before in BLOCK - 60..BLOCK + 5 {
        let mut text = vec![b'.'; before];
        text[7] = b'\n';
        text.extend_from_slice(KEY.as_bytes());
        text.resize(2 * BLOCK + 100, b'.');
        text.extend_from_slice(KEY.as_bytes());
        let last = (2 * BLOCK + 100 - 8 + 1) as u64;
        let expected = [(2, (before - 8 + 1) as u64, KEY.to_owned()), (2, last, KEY.to_owned())];
        assert_eq!(found(&mut search, &[&text]), expected, "{before}");
    }
}

proptest! {
    #[test]
    fn pieces_of_any_length_are_one_stream(
        words in prop::collection::vec(prop_oneof![
            Just(KEY.to_owned()), Just("sg_".to_owned()), Just("sg_0123456789ABCDEFG".to_owned()), "[a-zA-Z0-9_\n]{0,9}",
        ], 0..12),
        cuts in prop::collection::vec(1_usize..50, 0..30),
    ) {
        let text = words.concat();
        let mut search = Search::new(["sg", "b_"]);
        let whole = found(&mut search, &[text.as_bytes()]);
        let (mut pieces, mut rest) = (Vec::new(), text.as_bytes());
        for cut in cuts {
            let (piece, after) = rest.split_at(cut.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        prop_assert_eq!(whole.len(), text.matches(KEY).count());
        prop_assert_eq!(found(&mut search, &pieces), whole);
    }
}
