//! What lenient servers make of the names and members in a query. Nothing here is accepted: whatever one of them would
//! take for a ruled parameter is told apart from it only to be refused.
//!
//! | who | reads as `user_fields` |
//! |---|---|
//! | servers that fold case, trim, or take white space and NUL away | `User_Fields`, `+user_fields`, `user_fields%00` |
//! | PHP | `user.fields`, `user+fields`, `user[fields`, `user_fields%00more`, `user_fields[x]y` |
//! | Rack, qs | `[user_fields]`, `user_fields[x]`, `user_fields]` |
//! | Spring | `!user_fields` |
//! | whoever decodes more than once | `user%255ffields` |

use smallvec::SmallVec;

use super::octets::decoded_form;

type Bytes = SmallVec<[u8; 64]>;

/// Shows `look` each form that a lenient parser could make of a name, after one, two and three decodings, until it finds
/// something. With those of the first decoding comes the name as decoded once, which is how strict parsers read it.
pub(super) fn read<T>(raw: &[u8], mut look: impl FnMut(&[u8], Option<&[u8]>) -> Option<T>) -> Option<T> {
    let mut name: Bytes = decoded_form(raw).collect();
    for decodings in 1..=3 {
        let once = (decodings == 1).then_some(&*name);
        let mut found = None;
        forms(&name, |form| {
            for form in prefixes(form) {
                found = found.take().or_else(|| look(form, once));
            }
        });
        if found.is_some() || !name.iter().any(|byte| matches!(byte, b'%' | b'+')) {
            return found;
        }
        name = decoded_form(&name).collect();
    }
    None
}

/// Whether a lenient parser takes this byte off the front of a name, or makes another of it.
pub(super) const fn may_be_dropped(byte: u8) -> bool {
    matches!(byte, b'%' | b'+' | b'.' | b'!' | b'[' | b']')
}

/// Shows `each` the forms of a decoded name: plain, as PHP has it, and both again of what stands before a NUL.
pub(super) fn forms(name: &[u8], mut each: impl FnMut(&[u8])) {
    let mut form = Bytes::new();
    let whole = [Some(name), before_nul(name)];
    for name in whole.into_iter().flatten() {
        make_plain(name.iter().copied(), &mut form);
        each(&form);
        if name.iter().any(|byte| matches!(byte, b' ' | b'.' | b'[')) {
            make_plain(as_php(name), &mut form);
            each(&form);
        }
    }
}

/// A form, and what is left of it without its last bracket, and so on: `a[b[c`, `a[b`, `a`.
fn prefixes(form: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(form), |form| {
        let open = form.iter().rposition(|byte| *byte == b'[')?;
        form.get(..open)
    })
}

/// Lower-cased, without white space, NUL and `!` in front; brackets are one `[` between words, and those with digits
/// alone at the end are gone, as the empty ones are.
fn make_plain(name: impl Iterator<Item = u8>, plain: &mut Bytes) {
    plain.clear();
    let mut between = false;
    for byte in name.filter(|byte| !is_white(*byte)) {
        match byte {
            b'[' | b']' => between = true,
            b'!' if plain.is_empty() => {}
            _ => {
                if between && !plain.is_empty() {
                    plain.push(b'[');
                }
                between = false;
                plain.push(byte.to_ascii_lowercase());
            }
        }
    }
    while let Some(open) =
        plain.iter().rposition(|byte| !byte.is_ascii_digit()).filter(|at| plain.get(*at) == Some(&b'['))
    {
        plain.truncate(open);
    }
}

/// As PHP names a variable: without spaces in front, then a space, a dot and a bracket that is never closed are `_`.
/// PHP drops a name that begins with a bracket; such a one is left as it is.
fn as_php(name: &[u8]) -> impl Iterator<Item = u8> {
    let start = name.iter().position(|byte| *byte != b' ').unwrap_or(name.len());
    let name = name.get(start..).unwrap_or_default();
    let dropped = name.first() == Some(&b'[');
    let closing = name.iter().rposition(|byte| *byte == b']');
    let index = name.iter().position(|byte| *byte == b'[').filter(|open| *open > 0 && closing > Some(*open));
    name.iter().enumerate().map(move |(at, byte)| match byte {
        b' ' | b'.' | b'[' if !dropped && index.is_none_or(|open| at < open) => b'_',
        _ => *byte,
    })
}

/// What a server would make of a member that ignores case and white space: all of it, and what stands before a NUL.
pub(super) fn members(member: &[u8]) -> impl Iterator<Item = Box<[u8]>> {
    let plain = |member: &[u8]| -> Box<[u8]> {
        member.iter().filter(|byte| !is_white(**byte)).map(u8::to_ascii_lowercase).collect()
    };
    [Some(member), before_nul(member)].into_iter().flatten().map(plain)
}

/// What a server sees that takes NUL for the end, where there is one.
fn before_nul(bytes: &[u8]) -> Option<&[u8]> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    bytes.get(..end)
}

const fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | 0 | b'\t'..=b'\r')
}
