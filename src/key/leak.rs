//! Keys of ours in text that no configuration was asked about: under whatever prefix, known by their checksum.
//!
//! Unlike a [`Mask`](super::mask::Mask) it needs no prefix, and finds whole keys alone. It is for what an operator writes: names,
//! notes, arguments. A key that was imported in another form cannot be told from other text.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr_iter;

use super::secret::{self, Checked, TAIL};

/// The longest prefix that a key may have, in bytes.
const LONGEST_PREFIX: usize = 16;

/// Whether a key of ours stands somewhere in `text`.
pub fn holds_key(text: &str) -> bool {
    find(text.as_bytes()).is_some()
}

/// The text with stars in the place of what follows the prefix of each key.
pub fn covered(text: &str) -> Cow<'_, str> {
    let (mut shown, mut rest) = (String::new(), text);
    while let Some(tail) = find(rest.as_bytes()) {
        // A key is ASCII, so that it begins and ends between characters.
        shown.push_str(rest.get(..tail.start).unwrap_or_default());
        shown.push_str("***");
        rest = rest.get(tail.end..).unwrap_or_default();
    }
    if shown.is_empty() {
        return Cow::Borrowed(text);
    }
    shown.push_str(rest);
    Cow::Owned(shown)
}

/// Where the part of the first key stands that follows its prefix and `_`.
fn find(text: &[u8]) -> Option<Range<usize>> {
    memchr_iter(b'_', text).find_map(|joint| {
        let tail = joint + 1..joint + 1 + TAIL;
        let is_tail = text.get(tail.clone())?.iter().all(u8::is_ascii_alphanumeric);
        let before = text.get(joint.saturating_sub(LONGEST_PREFIX)..joint).filter(|_| is_tail)?;
        let begins = (1..=before.len()).map(|length| joint - length);
        let is_key = |start: usize| {
            let prefix = text.get(start..joint).and_then(|prefix| std::str::from_utf8(prefix).ok());
            let key = text.get(start..tail.end).unwrap_or_default();
            prefix.is_some_and(|prefix| secret::is_prefix(prefix) && secret::check(prefix, key) == Checked::Ours)
        };
        begins.into_iter().any(is_key).then_some(tail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::secret::Secret;

    fn key(prefix: &str) -> String {
        String::from_utf8(Secret::mint(prefix).unwrap().expose().to_vec()).unwrap()
    }

    #[test]
    fn a_key_is_found_under_any_prefix_and_anywhere() {
        for prefix in ["sg", "acme", "a_b", "abcdefghijklmnop"] {
            let key = key(prefix);
            let tail = key.rsplit('_').next().unwrap();
            for text in [key.clone(), format!("caf\u{e9} {key}."), format!("x={key}&y"), format!("-{key}{key}")] {
                assert!(holds_key(&text), "{prefix}");
                let shown = covered(&text);
                assert!(!shown.contains(tail) && shown.contains(&format!("{prefix}_***")), "{shown}");
            }
        }
    }

    #[test]
    fn what_is_no_key_stays_as_it_is() {
        let other = key("sg").replace(|letter: char| letter.is_ascii_digit(), "x") + "_";
        let cut: String = key("sg").chars().take(38).collect();
        for text in ["", "_", "sg_", "key_0123456789abcdef", "a_".repeat(500).as_str(), &other, &cut] {
            assert!(!holds_key(text), "{text}");
            assert!(matches!(covered(text), Cow::Borrowed(same) if same == text));
        }
    }
}
