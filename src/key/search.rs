//! Our keys in a stream of bytes of any length, known by their prefix and their checksum alone ([`secret::check`]).
//!
//! The stream is given block by block, and a key that lies across two blocks is found like any other. What is held is one
//! block, however long the stream is.

use std::fmt;

use memchr::memmem::Finder;
use memchr::{memchr_iter, memrchr};
use zeroize::Zeroizing;

use super::secret::{self, Checked, Secret, TAIL};

/// Bytes of a block.
const BLOCK: usize = 256 << 10;

/// Looks for keys that were minted under some prefixes.
pub struct Search {
    needles: Vec<Needle>,
    /// What is left of the block before, and room for the next one.
    buffer: Zeroizing<Vec<u8>>,
    /// How many bytes are left of the block before: a key may have begun in them.
    kept: usize,
    /// Where the first byte of the buffer stands in the stream.
    place: Place,
}

/// A key that was found.
#[derive(Debug)]
pub struct Hit {
    /// What it was minted under.
    pub prefix: Box<str>,
    /// The key.
    pub secret: Secret,
    /// Where it begins.
    pub place: Place,
}

/// A place in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// From 1; a line ends with a line feed.
    pub line: u64,
    /// From 1, in bytes: what is no text has nothing else to count.
    pub column: u64,
}

/// What a key begins with.
struct Needle {
    prefix: Box<str>,
    /// Finds the prefix and its `_`.
    finder: Finder<'static>,
    /// The first place in the buffer that was not looked at.
    next: usize,
}

impl Search {
    /// Looks for keys under each of `prefixes`; under one that is none ([`secret::is_prefix`]) there are no keys.
    pub fn new<'p>(prefixes: impl IntoIterator<Item = &'p str>) -> Self {
        let mut prefixes: Vec<&str> = prefixes.into_iter().filter(|prefix| secret::is_prefix(prefix)).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let needle = |prefix: &str| Needle {
            prefix: prefix.into(),
            finder: Finder::new(&format!("{prefix}_")).into_owned(),
            next: 0,
        };
        let needles: Vec<Needle> = prefixes.into_iter().map(needle).collect();
        Self { needles, buffer: Zeroizing::new(vec![0; BLOCK]), kept: 0, place: Place::START }
    }

    /// Begins another stream.
    pub fn begin(&mut self) {
        (self.kept, self.place) = (0, Place::START);
        self.needles.iter_mut().for_each(|needle| needle.next = 0);
    }

    /// Where the next bytes of the stream are to be put. It is never empty.
    pub fn room(&mut self) -> &mut [u8] {
        self.buffer.get_mut(self.kept..).unwrap_or_default()
    }

    /// Looks at the `count` bytes that were put at the beginning of [`room`](Self::room): the keys whose last byte is among
    /// them, in the order in which they begin.
    pub fn take(&mut self, count: usize) -> Vec<Hit> {
        let text = self.buffer.get(..self.kept.saturating_add(count)).unwrap_or(&self.buffer);
        let end = text.len();
        let mut found = Vec::new();
        self.needles.iter_mut().for_each(|needle| needle.find(text, &mut found));
        found.sort_by_key(|(start, ..)| *start);
        let (mut at, mut place) = (0, self.place);
        let mut hits = Vec::with_capacity(found.len());
        for (start, prefix, secret) in found {
            place.pass(text.get(at..start).unwrap_or_default());
            at = start;
            hits.push(Hit { prefix, secret, place });
        }
        // A key that is not whole yet begins in what is kept.
        let longest = self.needles.iter().map(Needle::size).max().unwrap_or(1);
        let gone = end.saturating_sub(longest - 1);
        self.place.pass(text.get(..gone).unwrap_or_default());
        self.needles.iter_mut().for_each(|needle| needle.next = needle.next.saturating_sub(gone));
        self.buffer.copy_within(gone..end, 0);
        self.kept = end - gone;
        hits
    }
}

impl fmt::Debug for Search {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Search").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Place {
    const START: Self = Self { line: 1, column: 1 };

    /// Goes on behind `text`.
    fn pass(&mut self, text: &[u8]) {
        match memrchr(b'\n', text) {
            Some(last) => {
                self.line += memchr_iter(b'\n', text).count() as u64;
                self.column = (text.len() - last) as u64;
            }
            None => self.column += text.len() as u64,
        }
    }
}

impl Needle {
    /// Bytes of a key.
    fn size(&self) -> usize {
        self.prefix.len() + 1 + TAIL
    }

    /// Adds the keys that begin where nothing was looked at yet, and end within `text`.
    fn find(&mut self, text: &[u8], found: &mut Vec<(usize, Box<str>, Secret)>) {
        while let Some(at) = text.get(self.next..).and_then(|rest| self.finder.find(rest)) {
            let start = self.next + at;
            let Some(key) = text.get(start..start + self.size()) else {
                self.next = start;
                return;
            };
            self.next = start + 1;
            if secret::check(&self.prefix, key) == Checked::Ours {
                found.push((start, self.prefix.clone(), Secret::new(key)));
            }
        }
        // The prefix itself may lie across the end.
        self.next = self.next.max(text.len().saturating_sub(self.prefix.len()));
    }
}

#[cfg(test)]
mod tests;
