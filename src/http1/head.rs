//! Request and response heads: tokens by httparse, every rule of RFC 9112 on top, nothing repaired. Heads in plain form, which
//! nearly all are, are read without httparse, in one pass (`plain`); whatever that does not read goes the whole way.
//!
//! A head is judged whenever bytes arrive, also before it is complete: the verdict is that of the shortest prefix that has one, and
//! "more bytes" is answered only while some continuation may be accepted.
mod connection;
mod framing;
mod host;
mod kind;
mod lines;
mod opening;
mod plain;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::fmt;

use smallvec::SmallVec;

pub(in crate::http1) use connection::is_token_byte;
pub use connection::{Connection, named_by_connection};
pub use framing::{Framing, ResponseFraming};
pub use kind::Kind;
pub use lines::{has_begun, is_due};
pub use opening::opening;
pub use request::{RequestHead, request, request_into};
pub use response::{AnswerTo, ResponseHead, response, response_into};

/// The most fields a head may have, whatever [`Limits::headers`] says.
pub const MAX_FIELDS: usize = 256;

/// What a head may take at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the whole head, from the first line to the empty one.
    pub header_bytes: usize,
    /// Field lines; values above [`MAX_FIELDS`] mean that.
    pub headers: usize,
    /// Bytes of the request target.
    pub target_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { header_bytes: 32 * 1024, headers: 100, target_bytes: 8 * 1024 }
    }
}

/// The two versions that are read; both are answered as HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    Http11,
}

/// One field line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field<'b> {
    /// The name as it was written: a token.
    pub name: &'b [u8],
    /// The value without the white space around it: no control byte but tab.
    pub value: &'b [u8],
    /// What the name means.
    pub kind: Kind,
}

/// Values may be credentials, so only their length is shown.
impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: <{} bytes>", self.name.escape_ascii(), self.value.len())
    }
}

/// The fields of a head in the order they came. No allocation up to 32.
pub type Fields<'b> = SmallVec<[Field<'b>; 32]>;

/// Why a head is refused. After any of these the connection is closed: where the next message starts is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// Not the grammar of [`crate::http1`]; says in one sentence what is wrong and what to do. In a request 400, in an answer 502.
    #[error("{0}")]
    BadRequest(&'static str),
    /// `Expect` is something other than `100-continue`: 417.
    #[error("Expect is not 100-continue")]
    ExpectationFailed,
    /// More than the limits allow: 431.
    #[error("the head has more {0} than the limits allow")]
    HeadersTooLarge(Excess),
    /// The target is longer than the limits allow: 414.
    #[error("the target is longer than the limits allow")]
    TargetTooLong,
}

/// What a head has too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    /// More than [`Limits::header_bytes`].
    Bytes,
    /// More than [`Limits::headers`].
    Fields,
}

impl fmt::Display for Excess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bytes => "bytes",
            Self::Fields => "fields",
        })
    }
}

impl HeadFault {
    /// What is wrong with the grammar, in a sentence without its full stop: [`Self::BadRequest`] less what its sender may do
    /// about it. `None` for the other faults.
    pub fn of_grammar(self) -> Option<&'static str> {
        let Self::BadRequest(words) = self else { return None };
        let what = words.split_once("; ").map_or(words, |(what, _)| what);
        Some(what.strip_suffix('.').unwrap_or(what))
    }
}

impl From<httparse::Error> for HeadFault {
    fn from(error: httparse::Error) -> Self {
        Self::BadRequest(match error {
            httparse::Error::HeaderName => {
                "A field name is empty, has bytes that no token has, or a space before its colon; correct it."
            }
            httparse::Error::HeaderValue => "A field value has a control byte; leave it out.",
            httparse::Error::NewLine => "A line of the head has a bare CR; end lines in CR LF.",
            httparse::Error::Status => "The status line is not a code and a reason.",
            httparse::Error::Token => {
                "The request line is not a method, a target and a version; write these, with one space between."
            }
            httparse::Error::TooManyHeaders => return Self::HeadersTooLarge(Excess::Fields),
            httparse::Error::Version => "The version is neither HTTP/1.0 nor HTTP/1.1; use HTTP/1.1.",
        })
    }
}

fn version(minor: u8) -> Version {
    if minor == 0 { Version::Http10 } else { Version::Http11 }
}

fn field<'b>(header: &httparse::Header<'b>) -> Field<'b> {
    let name = header.name.as_bytes();
    Field { name, value: header.value, kind: Kind::of(name) }
}
