//! Bytes as callers send them: percent-decoding without allocation, letter case, and the hash that finds a literal.

use std::hash::Hasher;

use smallvec::SmallVec;

/// Bytes that are percent-decoded once. A `%` without two hex digits stands for itself; paths with one are refused
/// before this is asked.
#[derive(Clone)]
pub(super) struct Decoded<'b> {
    raw: &'b [u8],
    plus: u8,
}

/// Decodes `raw` once.
pub(super) fn decoded(raw: &[u8]) -> Decoded<'_> {
    Decoded { raw, plus: b'+' }
}

/// Decodes `raw` once as form parsers do: `+` is a space.
pub(super) fn decoded_form(raw: &[u8]) -> Decoded<'_> {
    Decoded { raw, plus: b' ' }
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.raw.split_first()?;
        let (value, rest) = match byte {
            b'%' => escape(rest).unwrap_or((byte, rest)),
            b'+' => (self.plus, rest),
            _ => (byte, rest),
        };
        self.raw = rest;
        Some(value)
    }
}

/// The byte that the two hex digits at the front of `rest` stand for, and what follows them.
pub(super) fn escape(rest: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = rest.split_first_chunk::<2>()?;
    let [high, low] = digits.map(hex_value);
    Some((high? * 16 + low?, rest))
}

const fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Whether the bytes have a `%` with two hex digits behind it, or `%u` with four.
pub(super) fn has_escape(bytes: impl Iterator<Item = u8>) -> bool {
    let mut digits_missing = None;
    for byte in bytes {
        digits_missing = match (digits_missing, byte) {
            (_, b'%') => Some((2u8, true)),
            (Some((_, true)), b'u' | b'U') => Some((4, false)),
            (Some((1, _)), _) if byte.is_ascii_hexdigit() => return true,
            (Some((missing, _)), _) if byte.is_ascii_hexdigit() => Some((missing - 1, false)),
            _ => None,
        };
    }
    false
}

/// The bytes with each `%u0069` as the character that it stands for to old servers; `None` where there is none.
pub(super) fn unicode_unescaped(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.contains(&b'%') {
        return None;
    }
    let (mut text, mut rest, mut found) = (Vec::new(), bytes, false);
    while let Some((&byte, after)) = rest.split_first() {
        match unicode_escape(rest) {
            Some((letter, after)) => {
                text.extend(letter.encode_utf8(&mut [0; 4]).bytes());
                (rest, found) = (after, true);
            }
            None => {
                text.push(byte);
                rest = after;
            }
        }
    }
    found.then_some(text)
}

/// The character of the `%u` and four hex digits at the front of `bytes`, and what follows them.
fn unicode_escape(bytes: &[u8]) -> Option<(char, &[u8])> {
    let ([b'%', b'u' | b'U', digits @ ..], rest) = bytes.split_first_chunk::<6>()? else {
        return None;
    };
    let mut value = 0;
    for digit in digits {
        value = value * 16 + u32::from(hex_value(*digit)?);
    }
    Some((char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER), rest))
}

/// The bytes without differences of letter case, as the most liberal server would compare them: characters of all
/// scripts, and those that become an ASCII letter on the way (the Kelvin sign, the long s, both Turkish kinds of i).
pub(super) fn folded(bytes: &[u8]) -> Vec<u8> {
    let fold = |letter: char| {
        let letter = if letter == '\u{130}' { 'i' } else { letter };
        letter.to_uppercase().flat_map(char::to_lowercase)
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().flat_map(fold).collect::<String>().into_bytes(),
        Err(_) => bytes.to_ascii_lowercase(),
    }
}

/// The [`folded_hash`] of the beginnings of some bytes: of what is before each dot, but for one in front.
pub(super) fn hashes_before_dots(bytes: impl Iterator<Item = u8>) -> SmallVec<[u32; 4]> {
    let (mut hash, mut word, mut count) = (SEED, 0, 0);
    let mut hashes = SmallVec::new();
    for byte in bytes {
        if byte == b'.' && count > 0 {
            hashes.push(finish(mix(hash, word), count));
        }
        word = word << 8 | u64::from(byte.to_ascii_lowercase());
        count += 1;
        if count % 8 == 0 {
            hash = mix(hash, word);
            word = 0;
        }
    }
    hashes
}

/// A hash of the bytes that the case of ASCII letters does not change. Only policies fill the tables it is used with,
/// so it need not withstand chosen collisions: each hit is compared in full.
pub(super) fn folded_hash(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<8>();
    let hash = words.iter().fold(SEED, |hash, word| mix(hash, lower_case(u64::from_be_bytes(*word))));
    finish(mix(hash, lower_case(last_word(bytes, rest))), bytes.len())
}

/// The bytes behind the last whole word as a number: by one or two wide loads, which overlap, wherever there are bytes enough.
fn last_word(bytes: &[u8], rest: &[u8]) -> u64 {
    let bits = rest.len() * 8;
    if let Some(last) = bytes.last_chunk::<8>() {
        return u64::from_be_bytes(*last) & !(u64::MAX << bits);
    }
    match (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            u64::from(u32::from_be_bytes(*first)) << (bits - 32) | u64::from(u32::from_be_bytes(*last))
        }
        _ => rest.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// The same hash of bytes that come one by one.
pub(super) fn folded_hash_of(bytes: impl Iterator<Item = u8>) -> u32 {
    let (mut hash, mut word, mut count) = (SEED, 0, 0);
    for byte in bytes {
        word = word * 256 + u64::from(byte.to_ascii_lowercase());
        count += 1;
        if count % 8 == 0 {
            hash = mix(hash, word);
            word = 0;
        }
    }
    finish(mix(hash, word), count)
}

const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

fn finish(hash: u64, count: usize) -> u32 {
    (mix(hash, count as u64) >> 32) as u32
}

/// Eight bytes at once to lower case: 32 is added to each that is an ASCII capital.
const fn lower_case(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let seven_bits = word & (0x7F * ONES);
    let from_a = seven_bits + (0x80 - b'A' as u64) * ONES;
    let past_z = seven_bits + (0x7F - b'Z' as u64) * ONES;
    let capitals = (from_a ^ past_z) & !word & (0x80 * ONES);
    word + (capitals >> 2)
}

/// Mixes two words into one: both halves of their 128-bit product matter.
pub(super) fn mix(left: u64, right: u64) -> u64 {
    let product = u128::from(left ^ 0x2545_F491_4F6C_DD1D) * u128::from(right ^ 0xD6E8_FEB8_6659_FD93);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves are what is wanted")]
    let halves = (product as u64, (product >> 64) as u64);
    halves.0 ^ halves.1
}

/// What a caller sent, fit for an answer, a log line and a terminal: printable ASCII alone, at most 64 bytes of it.
pub(super) fn shown(bytes: &[u8]) -> String {
    const MOST: usize = 64;
    let mut text = String::with_capacity(bytes.len().min(MOST) + 3);
    bytes.iter().take(MOST).for_each(|byte| push_shown(*byte, &mut text));
    if bytes.len() > MOST {
        text.push_str("...");
    }
    text
}

fn push_shown(byte: u8, text: &mut String) {
    match byte {
        b' '..=b'~' if byte != b'\\' => text.push(char::from(byte)),
        _ => text.extend([format!("\\x{byte:02x}")]),
    }
}

/// What some parser leaves out of a name or a value, or takes off its ends: white space of any script, all control
/// characters (Java trims them), the byte order mark that JavaScript trims, and characters that show nothing, which text
/// normalisers drop.
pub(super) fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || letter.is_control() || shows_nothing(letter)
}

/// Zero-width and directional characters, fillers, the soft hyphen and variation selectors.
const fn shows_nothing(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// The bytes as the most liberal server would compare them: [`folded`], and with each blank as a space.
pub(super) fn folded_with_spaces(bytes: &[u8]) -> Vec<u8> {
    let folded = folded(bytes);
    match std::str::from_utf8(&folded) {
        Ok(text) if text.contains(is_blank) => text.replace(is_blank, " ").into_bytes(),
        _ => folded,
    }
}

/// A hasher for tables that only the policy fills, keyed by bytes.
#[derive(Debug, Default)]
pub(super) struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = mix(u64::from(folded_hash(bytes)), SEED);
    }

    /// The length of a slice, which the hash of its bytes holds already.
    fn write_usize(&mut self, _length: usize) {}
}
