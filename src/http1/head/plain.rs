//! Heads in plain form, which nearly all are: read in one pass, and each byte once.
//!
//! Names are letters, digits and `-`; everything else is printable ASCII. What is in any other form, malformed or not whole is
//! not read here, and nothing is said of it: that is left to httparse and to the verdicts of [`super::lines`].
//!
//! INVARIANT: what is read here, httparse reads the same, and names have the kinds that [`Kind::of`] tells. The properties of heads
//! and the fuzz targets hold the two against each other.

use super::{Field, Fields, Kind};

/// The method and the target of a request line of HTTP/1.1, and what follows it.
pub(super) fn request_line(buf: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (method, rest) = word(buf)?;
    let (target, rest) = printable::<b'!'>(rest.strip_prefix(b" ")?)?;
    let rest = rest.strip_prefix(b" HTTP/1.1\r\n")?;
    (!method.is_empty() && !target.is_empty()).then_some((method, target, rest))
}

/// The status and the reason of a status line of HTTP/1.1, and what follows it.
pub(super) fn status_line(buf: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let [hundreds @ b'0'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' ', rest @ ..] =
        buf.strip_prefix(b"HTTP/1.1 ")?
    else {
        return None;
    };
    let digit = |byte: &u8| u16::from(byte - b'0');
    let (reason, rest) = printable::<b' '>(rest)?;
    Some((100 * digit(hundreds) + 10 * digit(tens) + digit(ones), reason, rest.strip_prefix(b"\r\n")?))
}

/// Reads field lines, `most` of them, up to the empty line that ends the head, and returns what follows it. Each one must pass.
pub(super) fn fields<'b>(
    mut rest: &'b [u8],
    most: usize,
    fields: &mut Fields<'b>,
    mut passes: impl FnMut(&Field<'b>) -> bool,
) -> Option<&'b [u8]> {
    fields.clear();
    loop {
        if let [b'\r', b'\n', after @ ..] = rest {
            return Some(after);
        }
        let (name, mut after) = word(rest)?;
        after = after.strip_prefix(b":")?;
        while let [b' ', behind @ ..] = after {
            after = behind;
        }
        let (mut value, after) = printable::<b' '>(after)?;
        while let [before @ .., b' '] = value {
            value = before;
        }
        let field = Field { name, value, kind: Kind::of_plain(name) };
        if name.is_empty() || fields.len() >= most || !passes(&field) {
            return None;
        }
        fields.push(field);
        rest = after.strip_prefix(b"\r\n")?;
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHEST: u64 = 0x80 * ONES;

/// Splits off the bytes from `LEAST` to `~` that `buf` begins with.
fn printable<const LEAST: u8>(buf: &[u8]) -> Option<(&[u8], &[u8])> {
    split(buf, |bytes| bytes | bytes.wrapping_sub(u64::from(LEAST) * ONES) | bytes.wrapping_add(ONES))
}

/// Splits off the letters, digits and `-` that `buf` begins with.
fn word(buf: &[u8]) -> Option<(&[u8], &[u8])> {
    split(buf, |bytes| {
        let seven = bytes & !HIGHEST;
        let from = |bytes: u64, least: u8| bytes + u64::from(0x80 - least) * ONES;
        let within = |bytes: u64, least: u8, most: u8| from(bytes, least) & !from(bytes, most + 1);
        let letters = within(seven | (0x20 * ONES), b'a', b'z');
        bytes | !(letters | within(seven, b'0', b'9') | within(seven, b'-', b'-'))
    })
}

/// Splits `buf` in front of the first byte that is one of the `others`, of which NUL is one. Those are told of eight bytes
/// together: by the highest bit of the first of them, and perhaps of bytes behind it.
fn split(buf: &[u8], others: impl Fn(u64) -> u64) -> Option<(&[u8], &[u8])> {
    let first = |eight: [u8; 8]| (others(u64::from_le_bytes(eight)) & HIGHEST).trailing_zeros() as usize / 8;
    let (eights, rest) = buf.as_chunks();
    for (place, eight) in eights.iter().enumerate() {
        let found = first(*eight);
        if found < 8 {
            return buf.split_at_checked(8 * place + found);
        }
    }
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    buf.split_at_checked(buf.len() - rest.len() + first(last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bytes_are_split_in_front_of_the_first_of_another_kind(
            buf in prop::collection::vec(prop_oneof![8 => b'-'..=b'z', 4 => b' '..=b'~', 1 => any::<u8>()], 0..40)
        ) {
            let alone = |is_one: fn(&u8) -> bool| Some(buf.split_at(buf.iter().take_while(|byte| is_one(byte)).count()));
            prop_assert_eq!(printable::<b' '>(&buf), alone(|byte| (b' '..=b'~').contains(byte)));
            prop_assert_eq!(printable::<b'!'>(&buf), alone(|byte| (b'!'..=b'~').contains(byte)));
            prop_assert_eq!(word(&buf), alone(|byte| byte.is_ascii_alphanumeric() || *byte == b'-'));
        }
    }

    #[test]
    fn every_byte_is_known_for_what_it_is_at_every_place() {
        for (byte, place) in (0..=255u8).flat_map(|byte| (0..9).map(move |place| (byte, place))) {
            let mut buf = [b'a'; 9];
            buf[place] = byte;
            let length = |is_one: bool| if is_one { 9 } else { place };
            assert_eq!(printable::<b' '>(&buf).unwrap().0.len(), length((b' '..=b'~').contains(&byte)));
            assert_eq!(printable::<b'!'>(&buf).unwrap().0.len(), length((b'!'..=b'~').contains(&byte)));
            assert_eq!(word(&buf).unwrap().0.len(), length(byte.is_ascii_alphanumeric() || byte == b'-'));
        }
    }
}
