use std::collections::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use super::super::octets::{Hashed, folded_hash, folded_hash_of};
use super::super::*;
use super::support::*;

/// Names as policies have them: short and long, and many that differ in one letter.
fn names() -> Vec<String> {
    let stems = ["v", "id", "item-", "profile", "segments-", "list-relationships-"];
    stems.iter().flat_map(|stem| (0..1000).map(move |at| format!("{stem}{at}"))).collect()
}

#[test]
fn names_that_differ_have_hashes_that_differ() {
    let names = names();
    let hashes: HashSet<u32> = names.iter().map(|name| folded_hash(name.as_bytes())).collect();
    assert_eq!(hashes.len(), names.len(), "no step of the trie looks at a literal for nothing");
    let hasher = BuildHasherDefault::<Hashed>::default();
    let places: HashSet<u64> = names.iter().map(|name| hasher.hash_one(name.as_bytes())).collect();
    assert_eq!(places.len(), names.len(), "nor does a table of names");
}

#[test]
fn a_hash_is_one_whatever_the_case_of_letters_and_however_the_bytes_come() {
    // All bytes, each in every place of a word: signs beside the letters, and bytes of other scripts, have no case.
    for (length, first) in (0..40_usize).flat_map(|length| (0..=255_u8).map(move |first| (length, first))) {
        let name: Vec<u8> = (0..=255).cycle().skip(first.into()).take(length).collect();
        let hash = folded_hash(&name);
        assert_eq!(folded_hash(&name.to_ascii_uppercase()), hash, "{name:?}");
        assert_eq!(folded_hash(&name.to_ascii_lowercase()), hash, "{name:?}");
        assert_eq!(folded_hash_of(name.iter().copied()), hash, "{name:?}");
        assert_eq!(folded_hash_of(name.iter().map(u8::to_ascii_uppercase)), hash, "{name:?}");
    }
    let mut hasher = Hashed::default();
    hasher.write(b"Include");
    assert_eq!(hasher.finish(), BuildHasherDefault::<Hashed>::default().hash_one(&b"include"[..]));
}

#[test]
fn bytes_that_are_no_two_cases_of_a_letter_have_hashes_of_their_own() {
    // In each place of a name of seven bytes to seventeen: those of one word, of two and of more.
    for (length, at) in (7..=17).flat_map(|length| (0..length).map(move |at| (length, at))) {
        let with = |byte: u8| {
            let mut name = vec![b'x'; length];
            name[at] = byte;
            folded_hash(&name)
        };
        let hashes: HashSet<u32> = (0..=255).map(with).collect();
        assert_eq!(hashes.len(), 256 - 26, "byte {at} of {length}");
    }
}

/// The fuzz target that has the first of these pairs among its literals.
const FUZZED: &str = "tests/fuzz/targets/trie.rs";

#[test]
fn two_names_with_one_hash_are_two_names() {
    let pairs =
        [("report-25491", "report-108928"), ("report-37446", "report-130331"), ("report-28905", "report-147087")];
    for (literal, other) in pairs {
        assert_eq!(
            folded_hash(literal.as_bytes()),
            folded_hash(other.as_bytes()),
            "look for another pair, also in {FUZZED}"
        );
        for case in [PathCase::Sensitive, PathCase::Insensitive] {
            let draft = Draft::with(Options { case, ..Options::default() });
            let gate = draft.route(&format!("GET /{literal}"), &["l"]).route("GET /{x}", &["x"]).finish();
            for spelt in [other.to_owned(), other.replace('-', "%2d"), other.to_uppercase(), format!("{other}.")] {
                let request = format!("GET /{spelt}");
                assert_eq!(gate.ask(&request, &["l"]), "insufficient_scope", "{spelt} is not {literal}");
                assert_eq!(gate.ask(&request, &["x"]), "allow", "{spelt} is nothing like {literal}");
                assert_eq!(gate.explain(&request, &[]).candidates.len(), 1, "{spelt} has the shape of {{x}} alone");
            }
            let both = Draft::with(Options { case, ..Options::default() });
            let both = both.route(&format!("GET /{literal}"), &["l"]).route(&format!("GET /{other}"), &["o"]).finish();
            assert_eq!(both.ask(&format!("GET /{literal}"), &["l"]), "allow");
            assert_eq!(both.ask(&format!("GET /{other}"), &["o"]), "allow");
        }
    }
}
