//! How long a message is: `Content-Length` and `Transfer-Encoding` (RFC 9112, 6).

use super::{HeadFault, Version};

/// How the body of a request is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// `Content-Length`, in bytes.
    Length(u64),
    /// Neither field: no body.
    None,
}

/// How the body of an answer is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseFraming {
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// `Content-Length`, in bytes.
    Length(u64),
    /// No body, by the status or because the request was a HEAD.
    None,
    /// All bytes until the connection closes.
    UntilClose,
}

/// The longest body that may be announced, in bytes: what servers that count with a sign can count.
const MOST: u64 = i64::MAX as u64;

/// The framing fields met so far in one head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Framed {
    pub(super) chunked: bool,
    pub(super) length: Option<u64>,
}

impl Framed {
    pub(super) fn content_length(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        if self.length.is_some() {
            return Err(HeadFault::BadRequest("Content-Length is given twice; send it once."));
        }
        self.length =
            Some(decimal(value).filter(|length| *length <= MOST).ok_or(HeadFault::BadRequest(
                "Content-Length is not a number below 2^63; send the length in bytes.",
            ))?);
        self.alone()
    }

    pub(super) fn transfer_encoding(&mut self, value: &[u8], version: Version) -> Result<(), HeadFault> {
        if version == Version::Http10 {
            return Err(HeadFault::BadRequest(
                "Transfer-Encoding stands in an HTTP/1.0 message; use HTTP/1.1, or Content-Length.",
            ));
        }
        if self.chunked || !value.eq_ignore_ascii_case(b"chunked") {
            return Err(HeadFault::BadRequest(
                "Transfer-Encoding is not exactly one chunked; send that, or Content-Length.",
            ));
        }
        self.chunked = true;
        self.alone()
    }

    fn alone(self) -> Result<(), HeadFault> {
        if self.chunked && self.length.is_some() {
            return Err(HeadFault::BadRequest("Content-Length stands beside Transfer-Encoding; send one of the two."));
        }
        Ok(())
    }
}

fn decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    value.iter().try_fold(0u64, |number, byte| match byte {
        b'0'..=b'9' => number.checked_mul(10)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}
