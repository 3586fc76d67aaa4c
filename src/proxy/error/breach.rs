//! How an upstream failed a request that it was sent, in words that name no byte of its answer.

use std::borrow::Cow;

use crate::http1::BodyFault;
use crate::http1::head::{Excess, HeadFault};

/// What an upstream did that it may not do, or left out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Breach {
    /// It agreed to a WebSocket, but not to the one that it was asked for.
    AnotherNonce,
    /// It switched to a protocol that it was not asked for, or before it had the request.
    AnotherProtocol,
    /// Its answer, or the tunnel, broke off.
    BrokenOff,
    /// The body of its answer is malformed.
    MalformedBody(BodyFault),
    /// The head of its answer is malformed, or larger than any is taken.
    MalformedHead(HeadFault),
    /// It takes no WebSockets over HTTP/2 (RFC 8441).
    NoWebSockets,
    /// It answered a CONNECT with another success than a tunnel.
    NotSwitched,
    /// It answered no PING, so that the gateway closed the connection (RFC 9113 6.7).
    Silent,
    /// It refused the stream of the request (RFC 9113 8.7).
    StreamRefused,
    /// It gave the stream of the request up before the answer was there.
    StreamReset,
    /// It sent more interim answers than are taken.
    TooManyInterim,
    /// It closed the connection before the answer was there.
    Unanswered,
    /// It switched protocols without being asked to.
    Unasked,
}

impl Breach {
    /// A sentence or two for the caller, the log and `Proxy-Status`: visible ASCII without quotes and backslashes.
    pub(crate) fn detail(self) -> Cow<'static, str> {
        let malformed = |what| Cow::Owned(format!("The head of the API's answer is malformed. {what}."));
        match self {
            Self::AnotherNonce => "The API agreed to another WebSocket than it was asked for.".into(),
            Self::AnotherProtocol => "The API switched to another protocol than it was asked for.".into(),
            Self::BrokenOff => "The API broke its answer off.".into(),
            Self::MalformedBody(fault) => format!("The API's answer is malformed: {fault}.").into(),
            Self::MalformedHead(HeadFault::HeadersTooLarge(Excess::Bytes)) => {
                "The head of the API's answer has more bytes than this gateway takes.".into()
            }
            Self::MalformedHead(HeadFault::HeadersTooLarge(Excess::Fields)) => {
                "The head of the API's answer has more fields than this gateway takes.".into()
            }
            Self::MalformedHead(fault) => {
                // The others are about requests.
                fault.of_grammar().map_or(Cow::Borrowed("The head of the API's answer is malformed."), malformed)
            }
            Self::NoWebSockets => {
                "The API takes no WebSockets over HTTP/2 (RFC 8441), by which it is spoken to.".into()
            }
            Self::NotSwitched => "The API did not switch protocols.".into(),
            Self::Silent => {
                "The API fell silent, and did not answer the PING of this gateway, which closed the connection.".into()
            }
            Self::StreamRefused => "The API refused the stream of the request (REFUSED_STREAM).".into(),
            Self::StreamReset => "The API reset the stream of the request before it had answered.".into(),
            Self::TooManyInterim => "The API sent more interim answers than this gateway takes.".into(),
            Self::Unanswered => "The API closed the connection before it had answered.".into(),
            Self::Unasked => "The API switched protocols without being asked.".into(),
        }
    }

    /// The error type of the `Proxy-Status` field (RFC 9209 2.3).
    pub(crate) fn proxy_status(self) -> &'static str {
        match self {
            Self::AnotherNonce | Self::AnotherProtocol | Self::NoWebSockets | Self::NotSwitched | Self::Unasked => {
                "http_upgrade_failed"
            }
            Self::BrokenOff => "http_response_incomplete",
            Self::MalformedHead(HeadFault::HeadersTooLarge(_)) => "http_response_header_section_size",
            Self::MalformedBody(_) | Self::MalformedHead(_) | Self::TooManyInterim => "http_protocol_error",
            Self::Silent => "connection_read_timeout",
            Self::StreamRefused | Self::StreamReset | Self::Unanswered => "connection_terminated",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Breach; 19] = [
        Breach::AnotherNonce,
        Breach::AnotherProtocol,
        Breach::BrokenOff,
        Breach::MalformedBody(BodyFault::ChunkEnd),
        Breach::MalformedBody(BodyFault::Truncated),
        Breach::MalformedHead(HeadFault::BadRequest("Content-Length is given twice; send it once.")),
        Breach::MalformedHead(HeadFault::BadRequest("The status is below 100.")),
        Breach::MalformedHead(HeadFault::ExpectationFailed),
        Breach::MalformedHead(HeadFault::HeadersTooLarge(Excess::Bytes)),
        Breach::MalformedHead(HeadFault::HeadersTooLarge(Excess::Fields)),
        Breach::MalformedHead(HeadFault::TargetTooLong),
        Breach::NoWebSockets,
        Breach::NotSwitched,
        Breach::Silent,
        Breach::StreamRefused,
        Breach::StreamReset,
        Breach::TooManyInterim,
        Breach::Unanswered,
        Breach::Unasked,
    ];

    #[test]
    fn each_says_what_the_upstream_did_and_not_what_a_caller_should_do() {
        let told = ALL.map(|breach| format!("{}: {}", breach.proxy_status(), breach.detail()));
        insta::assert_snapshot!(told.join("\n"));
        for breach in ALL {
            let words = breach.detail();
            assert!(words.bytes().all(|byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte)), "{words}");
        }
    }
}
