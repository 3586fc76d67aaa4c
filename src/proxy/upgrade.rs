//! The WebSocket handshake, told apart from everything else that asks for another protocol (RFC 6455, 4).
//!
//! What is not exactly one is an ordinary request: its `Upgrade` ends at this hop, as RFC 9110 (7.8) has it, and the
//! upstream never learns of it. So there is no way to HTTP/2 in cleartext, or to any other protocol, through here.

use crate::http1::head::{Field, Framing, Kind, RequestHead, ResponseHead, Version};

const PROTOCOL: &[u8] = b"websocket";

/// Whether a request is a well-formed handshake of the client (RFC 6455, 4.2.1), and nothing more than that: it offers no
/// other protocol and has no body.
pub(crate) fn is_offered(head: &RequestHead<'_>) -> bool {
    head.method == b"GET"
        && head.version == Version::Http11
        && head.framing == Framing::None
        && head.connection.upgrade
        && is_only_websocket(&head.fields)
        && the_one(&head.fields, b"sec-websocket-version").is_some_and(|version| version == b"13")
        && the_one(&head.fields, b"sec-websocket-key").is_some_and(is_nonce)
}

/// Whether an answer agrees to the handshake, and to no other protocol. Whether the upstream has read the caller's nonce
/// is the caller's to see.
pub(crate) fn is_agreed(head: &ResponseHead<'_>) -> bool {
    head.status == 101
        && head.version == Version::Http11
        && head.connection.upgrade
        && is_only_websocket(&head.fields)
        // An interim answer can have neither (RFC 9110, 8.6; RFC 9112, 6.1): who sends them means something else.
        && head.content_length.is_none()
        && !head.fields.iter().any(|field| field.kind == Kind::TransferEncoding)
}

/// Appends what makes a forwarded request, or an answer, part of a handshake.
pub(crate) fn write(out: &mut Vec<u8>) {
    out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
}

fn is_only_websocket(fields: &[Field<'_>]) -> bool {
    let mut upgrades = fields.iter().filter(|field| field.kind == Kind::Upgrade);
    upgrades.next().is_some_and(|field| field.value.eq_ignore_ascii_case(PROTOCOL)) && upgrades.next().is_none()
}

/// The value of the field that stands exactly once.
fn the_one<'b>(fields: &[Field<'b>], name: &[u8]) -> Option<&'b [u8]> {
    let mut found = fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
    let value = found.next()?.value;
    found.next().is_none().then_some(value)
}

/// 16 bytes in base64.
fn is_nonce(value: &[u8]) -> bool {
    let of_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    value.strip_suffix(b"==").is_some_and(|digits| digits.len() == 22 && digits.iter().all(of_base64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::head::{AnswerTo, Limits, request, response};

    const OFFER: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    const AGREEMENT: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    fn offered(bytes: &str) -> bool {
        is_offered(&request(bytes.as_bytes(), &Limits::default()).unwrap().unwrap())
    }

    fn agreed(bytes: &str) -> bool {
        is_agreed(&response(bytes.as_bytes(), &Limits::default(), AnswerTo::Other).unwrap().unwrap())
    }

    #[test]
    fn a_handshake_is_one_to_the_letter() {
        assert!(offered(OFFER));
        for (what, with) in [
            ("GET / HTTP/1.1", "POST / HTTP/1.1"),
            ("GET / HTTP/1.1", "HEAD / HTTP/1.1"),
            ("GET / HTTP/1.1", "GET / HTTP/1.0"),
            ("keep-alive, Upgrade", "keep-alive"),
            ("Upgrade: WebSocket\r\n", ""),
            ("Upgrade: WebSocket", "Upgrade: h2c"),
            ("Upgrade: WebSocket", "Upgrade: websocket, h2c"),
            ("Upgrade: WebSocket", "Upgrade: websocket/13"),
            ("Upgrade: WebSocket", "Upgrade: websocket\r\nUpgrade: h2c"),
            ("Upgrade: WebSocket", "Upgrade: websocket\r\nUpgrade: websocket"),
            ("Version: 13", "Version: 8"),
            ("Version: 13", "Version: 13\r\nSec-WebSocket-Version: 13"),
            ("Sec-WebSocket-Version: 13\r\n", ""),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZQ"),
            ("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZ!=="),
            ("dGhlIHNhbXBsZSBub25jZQ==", ""),
            ("Sec-WebSocket-Version", "Content-Length: 0\r\nSec-WebSocket-Version"),
            ("Sec-WebSocket-Version", "Transfer-Encoding: chunked\r\nSec-WebSocket-Version"),
        ] {
            let changed = OFFER.replace(what, with);
            assert_ne!(changed, OFFER, "{what}");
            assert!(!offered(&changed), "{what} -> {with}");
        }
    }

    #[test]
    fn an_agreement_is_to_what_was_offered() {
        assert!(agreed(AGREEMENT));
        for (what, with) in [
            ("101 Switching", "200 Switching"),
            ("HTTP/1.1", "HTTP/1.0"),
            ("Connection: Upgrade", "Connection: keep-alive"),
            ("Upgrade: websocket", "Upgrade: h2c"),
            ("Upgrade: websocket", "Upgrade: websocket, h2c"),
            ("Upgrade: websocket\r\n", ""),
            ("Upgrade: websocket", "Upgrade: websocket\r\nContent-Length: 5"),
            ("Upgrade: websocket", "Upgrade: websocket\r\nTransfer-Encoding: chunked"),
        ] {
            assert!(!agreed(&AGREEMENT.replace(what, with)), "{what} -> {with}");
        }
    }
}
