//! What lenient parsers make of the name of a query parameter.
//!
//! A name is reduced to keys, one for each kind of parser: its parts (`fields[profile]` has two) without what such a
//! parser takes away or takes for something else. A name that begins with the parts of a ruled one is read as that one,
//! or as something inside it, by some server.
//!
//! Some frameworks also read a name behind what is no part of it: Spring's binder takes `_include` for a mark that the
//! field `include` was on the form, FHIR takes `include:iterate` for `include` with a modifier, and ASP.NET looks for
//! `include` as `options.include` (Web API 2 as `options[include]`, or even `options[inclu]de`, too) where its method names the argument so.

use smallvec::SmallVec;

use super::octets::{decoded_form, folded_with_spaces, is_blank, unicode_unescaped};

pub(super) type Bytes = SmallVec<[u8; 64]>;

/// Stands between the parts of a key.
const BETWEEN: u8 = b'[';

/// Shows `look` each key that a name, decoded once, has after one, two and three decodings, until it finds something.
pub(super) fn read<T>(mut name: Bytes, mut look: impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
    for _ in 1..=3 {
        if let Some(unescaped) = unicode_unescaped(&name) {
            name = unescaped.into();
        }
        let found = keys(&name, &mut look);
        if found.is_some() || !name.iter().any(|byte| matches!(byte, b'%' | b'+')) {
            return found;
        }
        name = decoded_form(&name).collect();
    }
    None
}

/// A key and the keys that it ends with, each a part shorter than the one before.
pub(super) fn ends(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = key.iter().enumerate().filter(|(_, byte)| **byte == BETWEEN).map(|(at, _)| at + 1);
    [0].into_iter().chain(starts).filter_map(|start| key.get(start..))
}

/// Shows `look` each key of a decoded name, until it finds something.
pub(super) fn keys<T>(name: &[u8], mut look: impl FnMut(&[u8]) -> Option<T>) -> Option<T> {
    // PHP ends a name at NUL, Rack does not. Folding may make a space of it.
    let cut = name.split(|byte| *byte == 0).next().unwrap_or_default();
    let (name, cut) = (folded(name), folded(cut));
    let mut key = Bytes::new();
    bracket_key(&name, &mut key);
    let found = look(&key);
    if found.is_some() || !name.iter().any(|byte| matches!(byte, b'.' | b'-' | b'[') || is_dropped(*byte)) {
        return found;
    }
    bracket_key(&cut, &mut key);
    let found = look(&key);
    if found.is_some() {
        return found;
    }
    for name in [&*cut, cut.trim_ascii_start()] {
        underscore_key(name, &mut key);
        let found = look(&key);
        if found.is_some() {
            return found;
        }
    }
    // A name that goes on behind a bracket goes on within the same part to Web API 2.
    let goes_on = |pair: &[u8]| matches!(pair, [b']', next] if !matches!(next, b'[' | b']' | b'.'));
    if name.windows(2).any(goes_on) {
        bracket_key(&with_dots(&name), &mut key);
        return look(&key);
    }
    None
}

fn folded(name: &[u8]) -> Bytes {
    match name.is_ascii() {
        true => name.iter().map(u8::to_ascii_lowercase).collect(),
        false => folded_with_spaces(name).into(),
    }
}

/// As Web API 2 reads a name: a dot for each pair of brackets, or nothing for an empty one, and what was in it.
fn with_dots(mut name: &[u8]) -> Bytes {
    let mut dotted = Bytes::new();
    let find = |bytes: &[u8], sign: u8| bytes.iter().position(|byte| *byte == sign);
    while let Some((before, behind)) = find(name, b'[').and_then(|open| name.split_at_checked(open))
        && let Some((field, rest)) = find(behind, b']').and_then(|close| behind.split_at_checked(close))
    {
        dotted.extend_from_slice(before);
        if field.len() > 1 {
            dotted.push(b'.');
        }
        dotted.extend(field.iter().skip(1).copied());
        name = rest.get(1..).unwrap_or_default();
    }
    dotted.extend_from_slice(name);
    dotted
}

/// As Rack, qs and their kin read a name: parted at brackets and dots however they stand, white space and NUL left out.
/// OData takes a name with and without a `$`.
fn bracket_key(name: &[u8], key: &mut Bytes) {
    let start = name.iter().position(|byte| !matches!(byte, b'?' | b'!' | b'$')).unwrap_or(name.len());
    let name = name.get(start..).unwrap_or_default();
    let is_between = |byte: u8| matches!(byte, b'[' | b']' | b'.');
    join_parts(name.iter().filter(|byte| !is_dropped(**byte)).copied(), is_between, key);
}

/// As PHP reads it, where a dot, a space and a bracket that nothing closes are underscores. A hyphen counts as one too.
fn underscore_key(name: &[u8], key: &mut Bytes) {
    let last_close = name.iter().rposition(|byte| *byte == b']').unwrap_or(0);
    let fold = |(at, byte): (usize, &u8)| match byte {
        b'.' | b'-' => b'_',
        b'[' if at >= last_close => b'_',
        byte if is_dropped(*byte) => b'_',
        byte => *byte,
    };
    join_parts(name.iter().enumerate().map(fold), |byte| matches!(byte, b'[' | b']'), key);
}

fn join_parts(bytes: impl Iterator<Item = u8>, is_between: impl Fn(u8) -> bool, key: &mut Bytes) {
    key.clear();
    let mut parts = false;
    for byte in bytes {
        if is_between(byte) {
            parts = !key.is_empty();
        } else {
            if std::mem::take(&mut parts) {
                key.push(BETWEEN);
            }
            key.push(byte);
        }
    }
}

/// A key and the keys that it begins with, the shortest first, each a part or a modifier longer than the one before.
pub(super) fn beginnings(key: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends_part = |(_, byte): &(usize, &u8)| matches!(**byte, BETWEEN | b':');
    let ends = key.iter().enumerate().filter(ends_part).map(|(at, _)| at);
    ends.chain([key.len()]).filter_map(|end| key.get(..end))
}

/// The last part of a key, and what is before it; `None` where there is nothing before it.
pub(super) fn last_part(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = key.iter().rposition(|byte| *byte == BETWEEN)?;
    Some((key.get(at + 1..)?, key.get(..at)?))
}

/// A key without the numbers at its end.
pub(super) fn without_indices(mut key: &[u8]) -> &[u8] {
    while let Some(at) = key.iter().rposition(|byte| *byte == BETWEEN) {
        match key.split_at_checked(at) {
            Some((before, number)) if number.iter().skip(1).all(u8::is_ascii_digit) => key = before,
            _ => break,
        }
    }
    key
}

/// Blanks of ASCII, which some parsers leave out.
pub(super) fn is_dropped(byte: u8) -> bool {
    byte.is_ascii() && is_blank(char::from(byte))
}
