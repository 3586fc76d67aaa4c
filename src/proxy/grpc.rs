//! Which requests are calls of gRPC: they are refused with a status of gRPC.

use memchr::memmem;

use crate::http1::head::{Field, Kind};

/// What every media type of gRPC begins with.
const TYPE: &[u8] = b"application/grpc";

/// Whether a value of `Content-Type` is of gRPC.
pub(crate) fn is_type(value: &[u8]) -> bool {
    value.get(..TYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(TYPE))
}

/// Whether a head is that of a call.
pub(crate) fn is_call(fields: &[Field<'_>]) -> bool {
    fields.iter().any(|field| field.kind == Kind::ContentType && is_type(field.value))
}

/// Whether the bytes of a head that is refused, or that never came whole, say that it is that of a call.
pub(crate) fn begins_call(bytes: &[u8]) -> bool {
    let head = memmem::find(bytes, b"\r\n\r\n").and_then(|end| bytes.get(..end)).unwrap_or(bytes);
    let mut lines = head.split(|byte| *byte == b'\n').skip(1);
    lines.any(|line| {
        let mut parts = line.splitn(2, |byte| *byte == b':');
        let (name, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        Kind::of(name) == Kind::ContentType && is_type(value.trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_head_tells_a_call_and_what_follows_the_head_does_not() {
        for (bytes, told) in [
            (&b"POST /a.B/C HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc+proto\r\nX: "[..], true),
            (b"POST / HTTP/1.1\r\ncontent-type:Application/gRPC", true),
            (b"POST / HTTP/1.1\r\nContent-Type: application/gr", false),
            (b"POST / HTTP/1.1\r\nContent-Type: application/json\r\nX: application/grpc\r\n\r\n", false),
            (b"POST / HTTP/1.1\r\nHost: a\r\n\r\nContent-Type: application/grpc\r\n", false),
            (b"Content-Type: application/grpc", false),
            (b"", false),
        ] {
            assert_eq!(begins_call(bytes), told, "{}", bytes.escape_ascii());
        }
    }
}
