//! The path of a request, judged once: taken apart, or refused where two servers could read it differently.
//!
//! Nothing is repaired. The bytes stay the caller's; segments are places in them, compared after percent-decoding.

use smallvec::SmallVec;

use super::octets::{decoded, escape, folded, folded_hash, folded_hash_of, has_escape};

/// Why a path is refused: each has more than one plausible reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathFault {
    /// The target is neither a path nor an absolute `http` URL with a plain host.
    BadForm,
    /// `#`: a fragment is never sent.
    Fragment,
    /// A control byte, a space, a byte above 126, or a backslash.
    ForbiddenByte,
    /// `.` or `..` as a segment, raw or encoded.
    DotSegment,
    /// `//` before the end.
    EmptySegment,
    /// `%5C` or `%00`.
    EncodedByte,
    /// `%2F` where the route does not allow it.
    EncodedSlash,
    /// `%25` followed by two hex digits.
    EncodedTwice,
    /// A `%` that two hex digits do not follow.
    MalformedEncoding,
    /// `;` in a segment, raw or encoded.
    Semicolon,
}

impl PathFault {
    /// What is wrong and what to do, in one sentence.
    #[must_use]
    pub const fn detail(self) -> &'static str {
        match self {
            Self::BadForm => {
                "The request target is neither a path nor an absolute http URL; send a path that begins with /."
            }
            Self::Fragment => "The request target has a #; leave the fragment out, or encode the character as %23.",
            Self::ForbiddenByte => {
                "The request target has a control byte, a space, a backslash or a byte that is not ASCII; percent-encode what is part of a name."
            }
            Self::DotSegment => "The path has a . or .. segment; send the path that is meant, without them.",
            Self::EmptySegment => "The path has an empty segment (//); send it with single slashes.",
            Self::EncodedByte => {
                "The path has an encoded backslash or NUL, which servers read differently; leave it out."
            }
            Self::EncodedSlash => "The path has an encoded slash (%2F), which this route does not allow; leave it out.",
            Self::EncodedTwice => "The path is percent-encoded twice; encode it once.",
            Self::MalformedEncoding => {
                "The path has a % that two hex digits do not follow; encode the character itself as %25."
            }
            Self::Semicolon => "The path has a ; in a segment, which servers read differently; leave it out.",
        }
    }
}

/// One segment of a judged path; never empty.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: u32,
    end: u32,
    hash: u32,
    encoded: bool,
    encoded_slash: bool,
    /// Whether decoded bytes lie outside ASCII.
    foreign: bool,
}

/// A path without two readings.
#[derive(Debug)]
pub(super) struct JudgedPath<'t> {
    bytes: &'t [u8],
    places: SmallVec<[Place; 12]>,
    final_slash: bool,
}

impl<'t> JudgedPath<'t> {
    /// Judges the path of a target, which has no query any more.
    pub(super) fn judge(bytes: &'t [u8]) -> Result<Self, PathFault> {
        let Some((b'/', mut rest)) = bytes.split_first() else {
            return Err(PathFault::BadForm);
        };
        let mut path = Self { bytes, places: SmallVec::new(), final_slash: rest.is_empty() };
        while !rest.is_empty() {
            let start = bytes.len() - rest.len();
            let (place, after) = judge_segment(rest, start)?;
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

    /// Whether a segment from `at` on has an encoded slash.
    pub(super) fn has_encoded_slash_from(&self, at: usize) -> bool {
        self.places.iter().skip(at).any(|place| place.encoded_slash)
    }
}

/// A segment of a judged path, in the caller's bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'t> {
    raw: &'t [u8],
    place: Place,
}

impl Segment<'_> {
    /// The hash of the decoded bytes that letter case does not change.
    pub(super) const fn hash(&self) -> u32 {
        self.place.hash
    }

    /// Whether `%2F` is in it.
    pub(super) const fn has_encoded_slash(&self) -> bool {
        self.place.encoded_slash
    }

    /// Whether the decoded bytes are these.
    pub(super) fn equals(&self, bytes: &[u8]) -> bool {
        match self.place.encoded {
            false => self.raw == bytes,
            true => decoded(self.raw).eq(bytes.iter().copied()),
        }
    }

    /// Whether the decoded bytes are these but for the case of ASCII letters.
    pub(super) fn equals_in_ascii_case(&self, bytes: &[u8]) -> bool {
        match self.place.encoded {
            false => self.raw.eq_ignore_ascii_case(bytes),
            true => {
                decoded(self.raw).map(|byte| byte.to_ascii_lowercase()).eq(bytes.iter().map(u8::to_ascii_lowercase))
            }
        }
    }

    /// Whether some server that folds letter case would take the decoded bytes for these.
    pub(super) fn reads_like(&self, bytes: &[u8]) -> bool {
        match self.place.foreign || !bytes.is_ascii() {
            false => self.equals_in_ascii_case(bytes),
            true => folded(&self.decoded()) == folded(bytes),
        }
    }

    /// The decoded bytes.
    pub(super) fn decoded(&self) -> Vec<u8> {
        decoded(self.raw).collect()
    }
}

/// The segment at the front of `rest`, which begins at `start`, and what follows it: nothing, or a slash and more.
fn judge_segment(rest: &[u8], start: usize) -> Result<(Place, &[u8]), PathFault> {
    let (mut encoded, mut encoded_slash, mut percent, mut foreign) = (false, false, false, false);
    let mut after = rest;
    while let Some((&byte, next)) = after.split_first() {
        if is_plain(byte) {
            after = next;
            continue;
        }
        match byte {
            b'/' => break,
            b'%' => {
                let (value, next) = escape(next).ok_or(PathFault::MalformedEncoding)?;
                after = next;
                encoded = true;
                match value {
                    b'/' => encoded_slash = true,
                    b'%' => percent = true,
                    b';' => return Err(PathFault::Semicolon),
                    b'\\' | 0 => return Err(PathFault::EncodedByte),
                    0x80.. => foreign = true,
                    _ => {}
                }
            }
            b';' => return Err(PathFault::Semicolon),
            b'#' => return Err(PathFault::Fragment),
            _ => return Err(PathFault::ForbiddenByte),
        }
    }
    let length = rest.len() - after.len();
    let piece = rest.get(..length).unwrap_or_default();
    let hash = match (encoded, foreign) {
        (false, _) => check_plain(piece).map(|()| folded_hash(piece))?,
        (true, false) => check_encoded(piece, percent).map(|()| folded_hash_of(decoded(piece)))?,
        (true, true) => {
            check_encoded(piece, percent).map(|()| folded_hash(&folded(&decoded(piece).collect::<Vec<u8>>())))?
        }
    };
    let place = |at| u32::try_from(at).map_err(|_| PathFault::BadForm);
    let place = Place { start: place(start)?, end: place(start + length)?, hash, encoded, encoded_slash, foreign };
    Ok((place, after))
}

/// Whether a byte of a path stands for itself whatever is beside it.
const fn is_plain(byte: u8) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = b'!';
        while byte <= b'~' {
            #[expect(clippy::indexing_slicing, reason = "a byte is within 256, and this runs in the compiler")]
            {
                plain[byte as usize] = !matches!(byte, b'/' | b'%' | b';' | b'#' | b'\\');
            }
            byte += 1;
        }
        plain
    };
    #[expect(clippy::indexing_slicing, reason = "a byte is within 256")]
    PLAIN[byte as usize]
}

fn check_plain(piece: &[u8]) -> Result<(), PathFault> {
    match piece {
        b"" => Err(PathFault::EmptySegment),
        b"." | b".." => Err(PathFault::DotSegment),
        _ => Ok(()),
    }
}

fn check_encoded(piece: &[u8], percent: bool) -> Result<(), PathFault> {
    if percent && has_escape(decoded(piece)) {
        return Err(PathFault::EncodedTwice);
    }
    if has_dot_part(decoded(piece)) {
        return Err(PathFault::DotSegment);
    }
    Ok(())
}

/// Whether `.` or `..` is the whole, or stands whole between slashes, which a route may let a segment hold encoded.
fn has_dot_part(bytes: impl Iterator<Item = u8>) -> bool {
    let mut dots = Some(0u8);
    for byte in bytes {
        dots = match (dots, byte) {
            (Some(1 | 2), b'/') => return true,
            (_, b'/') => Some(0),
            (Some(count @ 0..=1), b'.') => Some(count + 1),
            _ => None,
        };
    }
    matches!(dots, Some(1 | 2))
}
