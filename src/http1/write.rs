//! Heads and chunk lines, appended to a buffer that the caller reuses. Framing is written from a judged value alone.
//!
//! Nothing here allocates once the buffer has grown, and nothing is escaped: names and values come from judged heads or from
//! configuration that was checked when it was loaded. Debug builds assert that.

use super::body::Outgoing;
use super::head::is_token_byte;

/// Appends `HTTP/1.1 status reason` and the line end. The space before an empty reason stays, as RFC 9112 (4) asks.
pub fn status_line(out: &mut Vec<u8>, status: u16, reason: &[u8]) {
    debug_assert!((100..=999).contains(&status) && is_value(reason));
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason);
    out.extend_from_slice(b"\r\n");
}

/// Appends one field line.
pub fn field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    debug_assert!(is_token(name) && is_value(value));
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Appends one field line whose value is a number.
pub fn number_field(out: &mut Vec<u8>, name: &[u8], value: u64) {
    debug_assert!(is_token(name));
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    decimal(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Appends the one framing field that the body needs, or nothing.
pub fn framing(out: &mut Vec<u8>, outgoing: Outgoing) {
    match outgoing {
        Outgoing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Outgoing::Length(length) => number_field(out, b"Content-Length", length),
        Outgoing::None | Outgoing::UntilClose => {}
    }
}

/// Appends the empty line that ends a head.
pub fn end_of_head(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the line that starts a chunk of `length` bytes. The data and [`chunk_end`] follow. A `length` of 0 would end the body
/// and is left out: use [`last_chunk`].
pub fn chunk_start(out: &mut Vec<u8>, length: u64) {
    if length > 0 {
        hexadecimal(out, length);
        out.extend_from_slice(b"\r\n");
    }
}

/// Appends the line end that follows the data of a chunk.
pub fn chunk_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends `data` as one chunk; nothing where it is empty.
pub fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    if !data.is_empty() {
        chunk_start(out, data.len() as u64);
        out.extend_from_slice(data);
        chunk_end(out);
    }
}

/// Appends the last chunk, `trailers` (whole field lines) and the end of the body.
pub fn last_chunk(out: &mut Vec<u8>, trailers: &[u8]) {
    debug_assert!(trailers.is_empty() || trailers.ends_with(b"\r\n"));
    out.extend_from_slice(b"0\r\n");
    out.extend_from_slice(trailers);
    out.extend_from_slice(b"\r\n");
}

/// Appends `value` in decimal digits.
pub fn decimal(out: &mut Vec<u8>, value: u64) {
    digits::<10, 20>(out, value);
}

/// Appends four numbers with dots between them, as an IPv4 address is written.
pub fn dotted(out: &mut Vec<u8>, parts: [u8; 4]) {
    // Gathered first, so that the buffer is asked for room once.
    let (mut text, mut used) = ([0; 16], 0);
    let mut push = |byte: u8| {
        if let Some(slot) = text.get_mut(used) {
            *slot = byte;
            used += 1;
        }
    };
    for (place, part) in parts.into_iter().enumerate() {
        if place > 0 {
            push(b'.');
        }
        if part >= 100 {
            push(b'0' + part / 100);
        }
        if part >= 10 {
            push(b'0' + part / 10 % 10);
        }
        push(b'0' + part % 10);
    }
    out.extend_from_slice(text.get(..used).unwrap_or_default());
}

/// Puts `value` in decimal digits at `place`, in front of what stands there.
pub fn decimal_at(out: &mut Vec<u8>, place: usize, value: u64) {
    let end = out.len();
    decimal(out, value);
    let count = out.len() - end;
    if let Some(behind) = out.get_mut(place..) {
        behind.rotate_right(count);
    }
}

/// Appends `value` in lower-case hexadecimal digits.
pub fn hexadecimal(out: &mut Vec<u8>, value: u64) {
    digits::<16, 16>(out, value);
}

fn digits<const RADIX: u64, const MOST: usize>(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0; MOST];
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        // Below 16, so it fits.
        let digit = (value % RADIX) as u8;
        *slot = if digit < 10 { b'0' + digit } else { b'a' + (digit - 10) };
        value /= RADIX;
        used += 1;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(MOST - used..).unwrap_or_default());
}

fn is_token(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| is_token_byte(*byte))
}

fn is_value(value: &[u8]) -> bool {
    value.iter().all(|byte| *byte == b'\t' || (*byte >= b' ' && *byte != 0x7F))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_written_as_rfc_9112_has_them() {
        assert_eq!(written(|out| status_line(out, 404, b"Not Found")), "HTTP/1.1 404 Not Found\r\n");
        assert_eq!(written(|out| status_line(out, 200, b"")), "HTTP/1.1 200 \r\n");
        assert_eq!(written(|out| field(out, b"Host", b"a:1")), "Host: a:1\r\n");
        assert_eq!(written(|out| number_field(out, b"Age", 0)), "Age: 0\r\n");
    }

    #[test]
    fn at_most_one_framing_field_is_written() {
        assert_eq!(written(|out| framing(out, Outgoing::Chunked)), "Transfer-Encoding: chunked\r\n");
        assert_eq!(written(|out| framing(out, Outgoing::Length(0))), "Content-Length: 0\r\n");
        assert_eq!(written(|out| framing(out, Outgoing::None)), "");
        assert_eq!(written(|out| framing(out, Outgoing::UntilClose)), "");
    }

    #[test]
    fn a_number_is_put_where_its_place_was_left() {
        let mut out = b"length: \r\n\r\nbody".to_vec();
        decimal_at(&mut out, 8, 1204);
        assert_eq!(out, b"length: 1204\r\n\r\nbody");
    }

    #[test]
    fn an_empty_chunk_is_not_written_because_it_would_end_the_body() {
        assert_eq!(written(|out| chunk(out, b"")), "");
        assert_eq!(written(|out| chunk_start(out, 0)), "");
        assert_eq!(written(|out| chunk(out, b"0123456789abcdef")), "10\r\n0123456789abcdef\r\n");
        assert_eq!(written(|out| last_chunk(out, b"")), "0\r\n\r\n");
        assert_eq!(written(|out| last_chunk(out, b"a: b\r\n")), "0\r\na: b\r\n\r\n");
    }

    proptest! {
        #[test]
        fn addresses_are_written_as_the_standard_library_writes_them(parts: [u8; 4]) {
            prop_assert_eq!(written(|out| dotted(out, parts)), std::net::Ipv4Addr::from(parts).to_string());
        }

        #[test]
        fn numbers_are_written_as_the_standard_library_writes_them(value: u64) {
            for value in [value, value >> 32, value >> 56, 0, u64::MAX] {
                prop_assert_eq!(written(|out| decimal(out, value)), value.to_string());
                prop_assert_eq!(written(|out| hexadecimal(out, value)), format!("{value:x}"));
            }
        }
    }
}
