//! Keys where no key belongs: found in what a caller sent, before it is logged or told.
//!
//! A caller can put a key into a path, a request id, a method, a member of the query. Whatever of these is written
//! somewhere goes through a [`Mask`], and the sinks take nothing else. A key is known by its form: the prefix, `_`, and
//! letters and digits, so many that whoever sees them could find the few that a key may have lost. It is known also where
//! its bytes are percent-encoded, however often, or in Base64, alone or behind a name. A key that was imported in another
//! form cannot be told from other text, nor can one in hexadecimal, in Base64 twice, or cut into parts.

use std::borrow::Cow;
use std::fmt;

use super::secret::RANDOM;

/// So many letters and digits behind a prefix are a key, or so much of one that the rest could be guessed: the checksum says
/// which guess is right, and each sign that is missing takes 62 times as many. Ids of some vendors have 24 (`msg_…`).
const TELLING: usize = RANDOM - 5;

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
    /// Keys, and what could be made one again.
    Keys,
    /// The same, and the beginnings of keys that were cut.
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

    /// Whether a key stands somewhere in the text.
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
        // Nearly every text ends here: its words are short, and none is cut.
        let is_cut = || search == Search::KeysAndPieces && memchr::memmem::find(text, CUT).is_some();
        if !has_run(text, TELLING) && !is_cut() {
            return None;
        }
        let found = [self.find_plain(text, search), self.find_base64(text)];
        found.into_iter().flatten().min()
    }

    fn find_plain(self, text: &[u8], search: Search) -> Option<(usize, usize)> {
        let shortest = self.prefix.len() + 1 + if search == Search::Keys { TELLING } else { 0 };
        // Most paths have neither of the two.
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
        let begins = self.begins(&mut bytes);
        let tail = begins.then_some(bytes.0)?;
        let (mut count, mut rest) = (0, bytes.0);
        while bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric()) {
            (count, rest) = (count + 1, bytes.0);
        }
        if count >= TELLING {
            return Some(text.len() - rest.len());
        }
        let piece = tail.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let cut = search == Search::KeysAndPieces && tail.get(piece..).is_some_and(|rest| rest.starts_with(CUT));
        cut.then(|| text.len() - tail.len() + piece)
    }

    fn begins(self, bytes: &mut impl Iterator<Item = u8>) -> bool {
        self.prefix.bytes().chain([b'_']).all(|expected| bytes.next() == Some(expected))
    }

    /// The same for a key in Base64, perhaps with other text before it: the key and all that follows it in the same run.
    ///
    /// Six bits of letters, digits and `_` are never 62 or 63, so that a key is letters and digits alone in Base64, too.
    /// Texts without a run of so many are done with here.
    fn find_base64(self, text: &[u8]) -> Option<(usize, usize)> {
        // The first and the last sign may have bits of what stands beside the key.
        let shortest = (self.prefix.len() + 1 + TELLING) * 8 / 6 - 2;
        let mut start = 0_usize;
        for run in text.split(|byte| !is_run(*byte)) {
            if run.len() >= shortest {
                // With two bytes before it in the same group three signs may be others.
                let first = start.saturating_sub(3);
                let begins = first..=start + run.len() - shortest;
                let found = begins.into_iter().find(|at| self.is_base64_at(text.get(*at..).unwrap_or_default()));
                if let Some(found) = found {
                    return Some((found, start + run.len() - found));
                }
            }
            start += run.len() + 1;
        }
        None
    }

    /// Whether a group of four signs that holds the first byte of a key begins here.
    fn is_base64_at(self, text: &[u8]) -> bool {
        (0..3).any(|skipped| {
            let mut bytes = Base64::of(text).skip(skipped);
            self.begins(&mut bytes) && bytes.take_while(u8::is_ascii_alphanumeric).take(TELLING).count() == TELLING
        })
    }
}

fn is_run(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'%'
}

/// Whether so many bytes of a run, or more, follow each other somewhere. The secret part of a key is in such a run, however it
/// is written.
fn has_run(text: &[u8], shortest: usize) -> bool {
    // A run that is long enough covers the last byte of one of the pieces of that length: only around these is looked.
    let mut probes = (shortest.saturating_sub(1)..text.len()).step_by(shortest.max(1));
    probes.any(|probe| {
        let (before, from) = text.split_at_checked(probe).unwrap_or((text, b""));
        let ahead = from.iter().take_while(|byte| is_run(**byte)).count();
        ahead > 0 && ahead + before.iter().rev().take(shortest).take_while(|byte| is_run(**byte)).count() >= shortest
    })
}

/// Bytes in Base64 of either alphabet, each percent-encoded or not; they end with the first sign that is none.
struct Base64<'t> {
    signs: Decoded<'t>,
    bits: u32,
    held: u32,
}

impl<'t> Base64<'t> {
    fn of(text: &'t [u8]) -> Self {
        Self { signs: Decoded(text), bits: 0, held: 0 }
    }
}

impl Iterator for Base64<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        while self.held < 8 {
            let sign = self.signs.next()?;
            let six = match sign {
                b'A'..=b'Z' => sign - b'A',
                b'a'..=b'z' => sign - b'a' + 26,
                b'0'..=b'9' => sign - b'0' + 52,
                b'+' | b'-' => 62,
                b'/' | b'_' => 63,
                _ => return None,
            };
            self.bits = (self.bits & 0xff) << 6 | u32::from(six);
            self.held += 6;
        }
        self.held -= 8;
        u8::try_from(self.bits >> self.held & 0xff).ok()
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
