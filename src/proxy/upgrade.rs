//! The WebSocket handshake, told apart from everything else that asks for another protocol (RFC 6455, 4).
//!
//! Over HTTP/2 it is an extended CONNECT (RFC 8441). Inside the gateway that is the handshake of HTTP/1.1, too, whose nonce
//! is the gateway's own where the caller has none, so that what is judged and what is agreed to has one form.
//!
//! What is not exactly one is an ordinary request: its `Upgrade` ends at this hop, as RFC 9110 (7.8) has it, and the
//! upstream never learns of it. So there is no way to HTTP/2 in cleartext, or to any other protocol, through here.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::http1::head::{Field, Framing, Kind, RequestHead, ResponseHead, Version};
use crate::http1::write;

const PROTOCOL: &[u8] = b"websocket";

/// What a server puts behind the nonce of its caller (RFC 6455, 4.2.2).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// What the caller of a CONNECT is told that is no handshake.
pub(crate) const MALFORMED: &str =
    "A WebSocket is asked for with `Sec-WebSocket-Version: 13`, said once, and without `Content-Length`.";

/// What the caller of a CONNECT is told on a route without WebSockets.
pub(crate) const NOT_OFFERED: &str =
    "The route takes no WebSockets: where it should, write `upgrade: websocket` on it in the policy.";

/// The value of `Sec-WebSocket-Key`: 16 bytes in base64.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Nonce([u8; 24]);

impl Nonce {
    /// A new one. `None` where the system has no randomness.
    pub(crate) fn draw() -> Option<Self> {
        let (mut bytes, mut text) = ([0; 16], [0; 24]);
        getrandom::fill(&mut bytes).ok()?;
        STANDARD.encode_slice(bytes, &mut text).ok()?;
        Some(Self(text))
    }

    /// The nonce of a handshake: of a head for which [`is_offered`] is true.
    pub(crate) fn of(head: &RequestHead<'_>) -> Option<Self> {
        the_one(&head.fields, b"sec-websocket-key").and_then(Self::read)
    }

    /// `None` where it is none.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        is_nonce(value).then(|| value.try_into().ok().map(Self)).flatten()
    }

    /// Appends it as a field.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        write::field(out, b"sec-websocket-key", &self.0);
    }

    /// Appends the field of a server that has read it.
    pub(crate) fn write_proof(&self, out: &mut Vec<u8>) {
        write::field(out, b"sec-websocket-accept", self.proof().as_bytes());
    }

    /// Whether an answer is one to this nonce.
    pub(crate) fn is_proved(&self, head: &ResponseHead<'_>) -> bool {
        the_one(&head.fields, b"sec-websocket-accept").is_some_and(|proof| proof == self.proof().as_bytes())
    }

    fn proof(&self) -> String {
        STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[&self.0, GUID].concat()))
    }
}

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

/// Why a request for a WebSocket went on as an ordinary one, or was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum InVain {
    /// It is no handshake to the letter.
    Malformed,
    /// Its route has no `upgrade`.
    NotOffered,
    /// The same over HTTP/2, where it is no ordinary request that could go on.
    Refused,
}

impl InVain {
    /// Its name among the lines that are told now and then.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Malformed => "no handshake",
            Self::NotOffered => "no upgrade",
            Self::Refused => "no upgrade over HTTP/2",
        }
    }

    /// What the log says of it.
    pub(crate) fn note(self) -> &'static str {
        match self {
            Self::Malformed => {
                "a request for a WebSocket went on as an ordinary one: it is no handshake of RFC 6455 (4.2.1), a GET over HTTP/1.1 of version 13"
            }
            Self::NotOffered => {
                "a WebSocket handshake went on as an ordinary request: where the route has WebSockets, write `upgrade: websocket` on it"
            }
            Self::Refused => {
                "a WebSocket handshake over HTTP/2 was refused: where the route has WebSockets, write `upgrade: websocket` on it"
            }
        }
    }
}

/// Whether a request asks for a WebSocket and nothing beside it, by a handshake or by what was meant for one.
pub(crate) fn is_asked(head: &RequestHead<'_>) -> bool {
    head.connection.upgrade && is_only_websocket(&head.fields)
}

/// Whether an answer agrees to the handshake, and to no other protocol. Whether the upstream has read the nonce is to be
/// seen by whoever drew it.
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
    fn the_proof_is_the_one_of_the_rfc_and_no_other_will_do() {
        let head = |bytes: &str| Nonce::of(&request(bytes.as_bytes(), &Limits::default()).unwrap().unwrap());
        let nonce = head(OFFER).unwrap();
        let mut out = Vec::new();
        nonce.write_proof(&mut out);
        assert_eq!(out, b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n");
        let line = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
        for (with, proved) in [
            (line.to_owned(), true),
            (String::new(), false),
            (line.repeat(2), false),
            (line.replace("s3p", "s3q"), false),
        ] {
            let answer = AGREEMENT.replace(line, &with);
            let answer = response(answer.as_bytes(), &Limits::default(), AnswerTo::Other).unwrap().unwrap();
            assert_eq!(nonce.is_proved(&answer), proved, "{with}");
        }
        let (one, other) = (Nonce::draw().unwrap(), Nonce::draw().unwrap());
        assert_ne!(one, other);
        assert_eq!(Nonce::read(&one.0), Some(one));
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
