//! The path of a request, judged once: taken apart, or refused where two servers could read it differently.
//!
//! Nothing is repaired. The bytes stay the caller's; segments are places in them, compared after percent-decoding.

mod fault;
mod traits;

use std::cmp::Ordering;

use smallvec::SmallVec;

use super::octets::{decoded, escape, folded, folded_hash, folded_hash_of, has_escape, hashes_before_dots, is_blank};
use super::suffix;
use traits::{Traits, count_plain};

pub use self::fault::PathFault;

/// One segment of a judged path; never empty.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u32,
    end: u32,
    hash: u32,
    traits: Traits,
}

/// A path without two readings.
#[derive(Debug)]
pub(super) struct JudgedPath<'t> {
    bytes: &'t [u8],
    places: SmallVec<[Place; 12]>,
    /// Those of all segments.
    traits: Traits,
    final_slash: bool,
}

impl<'t> JudgedPath<'t> {
    /// Judges the path of a target, which has no query any more.
    pub(super) fn judge(bytes: &'t [u8]) -> Result<Self, PathFault> {
        let Some((b'/', mut rest)) = bytes.split_first() else {
            return Err(PathFault::BadForm);
        };
        let mut path = Self { bytes, places: SmallVec::new(), traits: Traits::default(), final_slash: rest.is_empty() };
        while !rest.is_empty() {
            let start = bytes.len() - rest.len();
            let (place, after) = judge_segment(rest, start)?;
            path.traits.add(place.traits);
            path.places.push(place);
            path.final_slash = after == b"/";
            rest = after.get(1..).unwrap_or_default();
        }
        Ok(path)
    }

    /// The segment at `at`.
    pub(super) fn segment(&self, at: usize) -> Option<Segment<'t>> {
        let place = *self.places.get(at)?;
        let raw = self.bytes.get(place.start as usize..place.end as usize)?;
        Some(Segment { raw, place })
    }

    /// All segments, from the left.
    pub(super) fn segments(&self) -> impl Iterator<Item = Segment<'t>> + '_ {
        (0..self.places.len()).filter_map(|at| self.segment(at))
    }

    /// Whether the path ends in `/`.
    pub(super) const fn final_slash(&self) -> bool {
        self.final_slash
    }

    /// What servers that decode before they part a target, or rewrite a segment into a query, may take for queries: what
    /// follows `?` or `&` in a segment, decoded.
    pub(super) fn hidden_queries(&self) -> impl Iterator<Item = Vec<u8>> + '_ {
        let is_mark = |byte: &u8| matches!(byte, b'?' | b'&');
        let count = if self.traits.has(Traits::AMPERSAND.or(Traits::ENCODED)) { self.places.len() } else { 0 };
        let marked = self.segments().take(count).filter(move |segment| {
            let traits = segment.place.traits;
            let may_hide = || decoded(segment.raw).any(|byte| is_mark(&byte));
            traits.has(Traits::AMPERSAND) || traits.has(Traits::ENCODED) && may_hide()
        });
        marked.filter_map(move |segment| {
            let decoded = segment.decoded();
            let mark = decoded.iter().position(is_mark)?;
            decoded.get(mark + 1..).map(<[u8]>::to_vec)
        })
    }

    /// Whether a segment is needlessly encoded.
    pub(super) fn is_needlessly_encoded(&self) -> bool {
        self.traits.has(Traits::NEEDLESS)
    }

    /// The path with each encoded slash as one that parts segments, and several in a row as one.
    pub(super) fn with_slashes_decoded(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut rest = self.bytes;
        while let Some((byte, after)) = rest.split_first() {
            let slash = escape(after).filter(|(value, _)| *byte == b'%' && *value == b'/');
            let byte = if slash.is_some() { b'/' } else { *byte };
            if byte != b'/' || bytes.last() != Some(&b'/') {
                bytes.push(byte);
            }
            rest = slash.map_or(after, |(_, after)| after);
        }
        bytes
    }

    /// Whether a segment from `at` on has an encoded slash.
    pub(super) fn has_encoded_slash_from(&self, at: usize) -> bool {
        self.traits.has(Traits::ENCODED_SLASH)
            && self.places.iter().skip(at).any(|place| place.traits.has(Traits::ENCODED_SLASH))
    }
}

/// A segment of a judged path, in the caller's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'t> {
    raw: &'t [u8],
    place: Place,
}

impl Segment<'_> {
    /// The hash of the decoded bytes that neither letter case changes nor what servers take off the ends.
    pub(super) const fn hash(&self) -> u32 {
        self.place.hash
    }

    /// Whether a byte is encoded that could stand for itself, so that servers which compare literals before they decode
    /// find none here.
    pub(super) const fn is_needlessly_encoded(&self) -> bool {
        self.place.traits.has(Traits::NEEDLESS)
    }

    /// Whether the decoded bytes are these.
    pub(super) fn equals(&self, bytes: &[u8]) -> bool {
        match self.place.traits.has(Traits::ENCODED) {
            false => self.raw == bytes,
            true => decoded(self.raw).eq(bytes.iter().copied()),
        }
    }

    /// How bytes stand to the decoded ones in the order of text.
    pub(super) fn order_of(&self, bytes: &[u8]) -> Ordering {
        match self.place.traits.has(Traits::ENCODED) {
            false => bytes.cmp(self.raw),
            true => bytes.iter().copied().cmp(decoded(self.raw)),
        }
    }

    /// Whether the decoded bytes are these but for the case of ASCII letters.
    pub(super) fn equals_in_ascii_case(&self, bytes: &[u8]) -> bool {
        match self.place.traits.has(Traits::ENCODED) {
            false => self.raw.eq_ignore_ascii_case(bytes),
            true => {
                decoded(self.raw).map(|byte| byte.to_ascii_lowercase()).eq(bytes.iter().map(u8::to_ascii_lowercase))
            }
        }
    }

    /// Whether some server that folds letter case, or takes bytes off the ends, would take the decoded bytes for these.
    pub(super) fn reads_like(&self, bytes: &[u8]) -> bool {
        match self.place.traits.has(Traits::FOREIGN.or(Traits::WORN)) || !bytes.is_ascii() || worn(bytes) != bytes {
            false => self.equals_in_ascii_case(bytes),
            true => folded(worn(&self.decoded())) == folded(worn(bytes)),
        }
    }

    /// Whether it may be a format suffix, or have one: told at a glance, and true of some that have none.
    pub(super) fn may_have_suffix(&self) -> bool {
        self.place.traits.has(Traits::DOT.or(Traits::ENCODED).or(Traits::WORN))
    }

    /// The hashes of what may be left without a format suffix.
    pub(super) fn stem_hashes(&self) -> SmallVec<[u32; 4]> {
        let traits = self.place.traits;
        match (traits.has(Traits::ENCODED), traits.has(Traits::WORN)) {
            (false, false) if !traits.has(Traits::DOT) => SmallVec::new(),
            (false, false) => hashes_before_dots(self.raw.iter().copied()),
            (true, _) if !traits.has(Traits::FOREIGN) && !decoded(self.raw).any(|byte| byte == b'.') => SmallVec::new(),
            _ => hashes_before_dots(folded(worn(&self.decoded())).into_iter()),
        }
    }

    /// Whether it is a format suffix alone.
    pub(super) fn is_format(&self) -> bool {
        self.raw.first().is_some_and(|byte| matches!(byte, b'.' | b'%')) && suffix::is_format(worn(&self.decoded()))
    }

    /// Whether some server that takes a format suffix off would take the decoded bytes for these, as in [`Self::reads_like`].
    pub(super) fn reads_like_with_suffix(&self, bytes: &[u8]) -> bool {
        suffix::same_stem(&folded(worn(&self.decoded())), &folded(worn(bytes)))
    }

    /// The decoded bytes.
    pub(super) fn decoded(&self) -> Vec<u8> {
        decoded(self.raw).collect()
    }
}

/// The segment at the front of `rest`, which begins at `start`, and what follows it: nothing, or a slash and more.
fn judge_segment(rest: &[u8], start: usize) -> Result<(Place, &[u8]), PathFault> {
    let mut traits = Traits::default();
    let mut percent = false;
    // A server that decodes before it parts the target sees the path end at `?` or `#`.
    let mut ends = false;
    let mut after = rest;
    loop {
        let plain = count_plain(after, &mut traits);
        let Some((&byte, next)) = after.get(plain..).and_then(<[u8]>::split_first) else {
            after = b"";
            break;
        };
        match byte {
            b'/' => {
                after = after.get(plain..).unwrap_or_default();
                break;
            }
            b'%' => {
                let (value, next) = escape(next).ok_or(PathFault::MalformedEncoding)?;
                after = next;
                traits.add(Traits::ENCODED);
                match value {
                    b'/' => traits.add(Traits::ENCODED_SLASH),
                    b'%' => percent = true,
                    b';' => return Err(PathFault::Semicolon),
                    b'\\' | 0..b' ' | 0x7F => return Err(PathFault::EncodedByte),
                    0x80.. => traits.add(Traits::FOREIGN),
                    // Such a server would see the path end in a slash.
                    b'?' | b'#' if after.len() + 3 == rest.len() => return Err(PathFault::EncodedByte),
                    b'?' | b'#' => ends = true,
                    _ if stands_for_itself(value) => traits.add(Traits::NEEDLESS),
                    _ => {}
                }
            }
            b';' => return Err(PathFault::Semicolon),
            b'#' => return Err(PathFault::Fragment),
            _ => return Err(PathFault::ForbiddenByte),
        }
    }
    if ends && !after.is_empty() {
        return Err(PathFault::EncodedByte);
    }
    let length = rest.len() - after.len();
    let piece = rest.get(..length).unwrap_or_default();
    let (hash, worn) = match traits.has(Traits::ENCODED) {
        false => hash_plain(piece)?,
        true => hash_encoded(piece, (percent, traits.has(Traits::FOREIGN)))?,
    };
    if worn {
        traits.add(Traits::WORN);
    }
    let place = |at| u32::try_from(at).map_err(|_| PathFault::BadForm);
    Ok((Place { start: place(start)?, end: place(start + length)?, hash, traits }, after))
}

/// Whether a decoded byte is one that no client encodes: unreserved (RFC 3986, section 2.3), but for `~`, which old ones do.
fn stands_for_itself(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._".contains(&byte)
}

/// The hash of a segment without escapes, and whether servers would take bytes off its end.
fn hash_plain(piece: &[u8]) -> Result<(u32, bool), PathFault> {
    match piece.last() {
        None => Err(PathFault::EmptySegment),
        Some(b'.') => check_part(piece).map(|()| (folded_hash(worn(piece)), true)),
        Some(_) => Ok((folded_hash(piece), false)),
    }
}

/// The same of one with escapes.
fn hash_encoded(piece: &[u8], (percent, foreign): (bool, bool)) -> Result<(u32, bool), PathFault> {
    if percent && has_escape(decoded(piece)) {
        return Err(PathFault::EncodedTwice);
    }
    if !foreign && !decoded(piece).any(|byte| matches!(byte, b'/' | b'.' | b' ' | b'?' | b'#')) {
        return Ok((folded_hash_of(decoded(piece)), false));
    }
    let bytes: SmallVec<[u8; 64]> = decoded(piece).collect();
    if foreign && std::str::from_utf8(&bytes).is_err() {
        return Err(PathFault::NotUtf8);
    }
    check_parts(&bytes)?;
    let rest = worn(&bytes);
    let hash = if foreign { folded_hash(&folded(rest)) } else { folded_hash(rest) };
    Ok((hash, rest.len() < bytes.len()))
}

/// Checks what is between the slashes of a segment. Behind the first there may be nothing, as in the URL `https://host/`: a
/// server that parts the path there takes several slashes for one, or for an end.
fn check_parts(bytes: &[u8]) -> Result<(), PathFault> {
    let mut parts = bytes.split(|byte| *byte == b'/');
    check_part(parts.next().unwrap_or_default())?;
    parts.filter(|part| !part.is_empty()).try_for_each(check_part)
}

/// Refuses a part between slashes of which some server would leave nothing, or a dot segment.
fn check_part(part: &[u8]) -> Result<(), PathFault> {
    match worn(part) {
        [] if part.is_empty() => Err(PathFault::EmptySegment),
        [] => Err(PathFault::DotSegment),
        _ => Ok(()),
    }
}

/// What is before `?` and `#`: a server that decodes before it parts the target sees the end of the path there.
fn head(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default()
}

/// What the most careless server leaves of a segment: nothing from `?` or `#` on, no blanks in front, and neither dots
/// nor blanks behind. Blanks are those of every script, and characters that show nothing.
pub(super) fn worn(bytes: &[u8]) -> &[u8] {
    let mut rest = head(bytes);
    while let [b' ', after @ ..] = rest {
        rest = after;
    }
    while let [before @ .., b'.' | b' '] = rest {
        rest = before;
    }
    match rest {
        [0x80..=0xFF, ..] | [.., 0x80..=0xFF] => std::str::from_utf8(rest).map_or(rest, |text| {
            text.trim_start_matches(is_blank).trim_end_matches(|letter| letter == '.' || is_blank(letter)).as_bytes()
        }),
        _ => rest,
    }
}
