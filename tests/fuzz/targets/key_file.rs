//! A key file that is read without a tree of it has the keys that the tree gives; whatever is unusual or wrong is left to the tree.
//!
//! The input is text. A byte outside ASCII stands for one of the pieces below, since nobody comes upon a digest by chance.
#![no_main]

use libfuzzer_sys::fuzz_target;
use scopegate::key::Timestamp;
use scopegate::store::file::Form;
use scopegate::store::file::fuzzing::both_ways;

const WRITTEN: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// What key files are made of, what is nearly so, and what a reader may stumble over.
const PIECES: [&str; 56] = [
    "keys:\n",
    "  - ",
    "- ",
    "\n",
    "\n    ",
    "\n  ",
    "\n\n",
    "\r\n",
    "{ ",
    " }",
    "}",
    "[",
    "]",
    ", ",
    ",",
    ": ",
    ":",
    " #",
    "# x\n",
    "name: ",
    "sha256: ",
    "hmac_sha256: ",
    "scopes: [",
    "scopes:\n    - ",
    "\n    - ",
    "\n      - ",
    "grant: full",
    "grant: read-only",
    "kind: pair",
    "kind: public",
    "tripwire: true",
    "disabled: ",
    "id: ",
    "key: ",
    "note: ",
    "account: ",
    "accounts:\n",
    "attrs: ",
    "expires: ",
    "not_before: ",
    "allow_from: [10.0.0.0/8]",
    "2027-01-31T12:00:00Z",
    "2027-01-31",
    "true",
    "null",
    "~",
    "'",
    "\"",
    "lists:read",
    "read",
    "shop 1",
    "---\n",
    "&a ",
    "*a",
    "\u{e9}",
    "\u{202e}",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let form = if first % 4 == 3 { Form::HmacSha256 } else { Form::Sha256 };
    let mut text = if first % 2 == 0 {
        "keys:\n  - name: x\n    sha256: ".to_owned() + &digest(0) + "\n    "
    } else {
        String::new()
    };
    rest.iter().for_each(|byte| push(&mut text, *byte));
    let Some([swift, tree]) = both_ways(&text, form, WRITTEN) else { return };
    assert!(swift.is_ok(), "read without a tree, but not as keys alone: {text}");
    assert_eq!(swift, tree, "{text}");
});

fn push(text: &mut String, byte: u8) {
    let number = usize::from(byte & 0x7F);
    match PIECES.get(number) {
        _ if byte.is_ascii() => text.push(char::from(byte)),
        Some(piece) => text.push_str(piece),
        None => text.push_str(&digest(number)),
    }
}

fn digest(number: usize) -> String {
    format!("{number:064x}")
}
