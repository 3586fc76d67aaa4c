//! Keys where no key belongs: found in what a caller sent, before it is logged or told.
//!
//! A caller can put a key into a path, a request id, a method, a member of the query. Whatever of these is written
//! somewhere goes through a [`Mask`], and the sinks take nothing else. A key is known by its form and its checksum
//! ([`secret::check`]), also where its bytes are percent-encoded, however often. A key that was imported in another form
//! cannot be told from other text.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

use super::secret::{self, Checked, TAIL};

/// Stands for what follows the prefix of a key.
const STARS: &[u8] = b"_***";
/// How the sentence about a decision shows that it cut a long word.
const CUT: &[u8] = b"...";

/// Finds the keys that were minted under a prefix.
#[derive(Clone, Copy, Debug)]
pub struct Mask<'p> {
    prefix: &'p str,
}

/// What a mask takes out.
#[derive(Clone, Copy, PartialEq)]
enum Search {
    /// Whole keys.
    Keys,
    /// Whole keys, and the beginnings of keys that were cut.
    KeysAndPieces,
}

impl<'p> Mask<'p> {
    /// A mask for keys that begin with `prefix` and `_`.
    pub const fn new(prefix: &'p str) -> Self {
        Self { prefix }
    }

    /// The text as it may be shown. It is searched when it is shown, and not before.
    pub const fn over(self, text: &'p [u8]) -> Shown<'p> {
        Shown { mask: self, text }
    }

    /// Whether a whole key stands somewhere in the text.
    pub fn finds_in(self, text: &[u8]) -> bool {
        self.find(text, Search::Keys).is_some()
    }

    /// Takes the keys out of words about a request, and what is left of keys where the words were cut.
    pub fn cover(self, words: &mut String) {
        if let Cow::Owned(covered) = self.covered(words.as_bytes(), Search::KeysAndPieces) {
            // ASCII was taken out of it and put in: it is still UTF-8.
            *words = String::from_utf8_lossy(&covered).into_owned();
        }
    }

    fn covered(self, text: &[u8], search: Search) -> Cow<'_, [u8]> {
        let (mut covered, mut rest) = (Vec::new(), text);
        while let Some((start, size)) = self.find(rest, search) {
            covered.extend_from_slice(rest.get(..start).unwrap_or_default());
            covered.extend_from_slice(self.prefix.as_bytes());
            covered.extend_from_slice(STARS);
            rest = rest.get(start + size..).unwrap_or_default();
        }
        if covered.is_empty() {
            return Cow::Borrowed(text);
        }
        covered.extend_from_slice(rest);
        Cow::Owned(covered)
    }

    /// Where the first key begins, and how many bytes it takes there.
    fn find(self, text: &[u8], search: Search) -> Option<(usize, usize)> {
        let shortest = self.prefix.len() + 1 + if search == Search::Keys { TAIL } else { 0 };
        // Nearly every text ends here: a UUID is too short, and most paths have neither of the two.
        if text.len() < shortest || !(text.contains(&b'_') || text.contains(&b'%')) {
            return None;
        }
        let first = self.prefix.bytes().next()?;
        let begins = text.iter().enumerate().filter(|(_, byte)| **byte == first || **byte == b'%');
        begins.map(|(start, _)| start).find_map(|start| {
            let size = self.size_at(text.get(start..)?, search)?;
            Some((start, size))
        })
    }

    /// How many bytes the key takes that the text begins with.
    fn size_at(self, text: &[u8], search: Search) -> Option<usize> {
        let mut bytes = Decoded(text);
        let begins = self.prefix.bytes().chain([b'_']).all(|expected| bytes.next() == Some(expected));
        let tail = begins.then_some(bytes.0)?;
        let mut key = Zeroizing::new(Vec::with_capacity(self.prefix.len() + 1 + TAIL));
        key.extend_from_slice(self.prefix.as_bytes());
        key.push(b'_');
        key.extend(bytes.by_ref().take(TAIL));
        if secret::check(self.prefix, &key) == Checked::Ours {
            return Some(text.len() - bytes.0.len());
        }
        let piece = tail.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let cut = search == Search::KeysAndPieces && tail.get(piece..).is_some_and(|rest| rest.starts_with(CUT));
        cut.then(|| text.len() - tail.len() + piece)
    }
}

/// What a caller sent, on its way to where it is shown: its bytes come out without the keys in it.
#[derive(Clone, Copy)]
pub struct Shown<'t> {
    mask: Mask<'t>,
    text: &'t [u8],
}

impl<'t> Shown<'t> {
    /// The bytes, with stars in the place of keys.
    pub fn bytes(self) -> Cow<'t, [u8]> {
        self.mask.covered(self.text, Search::Keys)
    }

    /// A part of it.
    #[must_use]
    pub fn part(self, part: impl FnOnce(&'t [u8]) -> &'t [u8]) -> Self {
        Self { text: part(self.text), ..self }
    }
}

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "\"{}\"", self.bytes().escape_ascii())
    }
}

/// Bytes, percent-decoded until nothing is left to decode: `%73`, `%2573` and `%252573` are all `s`.
struct Decoded<'t>(&'t [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = first(self.0, NESTED)?;
        self.0 = rest;
        Some(byte)
    }
}

/// How often the digits of an escape may be escapes themselves (`%2%3573` is `%2573`, which is `s`). Each doubles what a text of
/// percent signs costs at most.
const NESTED: u8 = 3;

/// The byte that a text begins with once it is decoded to the end, and what follows it.
fn first(text: &[u8], nested: u8) -> Option<(u8, &[u8])> {
    let (&byte, mut rest) = text.split_first()?;
    if byte == b'%' && nested > 0 {
        while let Some((decoded, after)) = escaped(rest, nested - 1) {
            if decoded != b'%' {
                return Some((decoded, after));
            }
            rest = after;
        }
    }
    Some((byte, rest))
}

/// The byte that stands behind a percent sign, and what follows it.
fn escaped(text: &[u8], nested: u8) -> Option<(u8, &[u8])> {
    let (high, rest) = first(text, nested)?;
    let (low, rest) = first(rest, nested)?;
    let [high, low] = [high, low].map(|digit| char::from(digit).to_digit(16));
    Some((u8::try_from(high? * 16 + low?).ok()?, rest))
}

#[cfg(test)]
mod tests;
