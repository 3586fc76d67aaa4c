//! The trailer section of a chunked body (RFC 9112, 7.1.2).

use super::BodyFault;
use crate::http1::head::{Kind, is_token_byte};

/// Bytes of a whole trailer section.
const TRAILER_BYTES: usize = 8 * 1024;

/// Validates trailers as they come, and keeps those that may go on.
#[derive(Debug)]
pub(super) struct Trailers {
    keep: Keep,
    /// Bytes of the section so far.
    seen: usize,
    /// The lines that go on, and the line being read. Empty, unallocated, until a trailer comes.
    buffer: Vec<u8>,
    /// Where the line being read starts in `buffer`.
    line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Filtered,
    Nothing,
}

impl Trailers {
    pub(super) fn dropped() -> Self {
        Self::new(Keep::Nothing)
    }

    pub(super) fn filtered() -> Self {
        Self::new(Keep::Filtered)
    }

    fn new(keep: Keep) -> Self {
        Self { keep, seen: 0, buffer: Vec::new(), line: 0 }
    }

    /// The lines that go on, each with its line end.
    pub(super) fn lines(&self) -> &[u8] {
        self.buffer.get(..self.line).unwrap_or_default()
    }

    /// Takes one byte; true where it ended the section.
    pub(super) fn push(&mut self, byte: u8) -> Result<bool, BodyFault> {
        self.seen += 1;
        if self.seen > TRAILER_BYTES {
            return Err(BodyFault::TrailersTooLong);
        }
        self.buffer.push(byte);
        let line = self.buffer.get(self.line..).unwrap_or_default();
        match line {
            [b'\r', b'\n'] => {
                self.buffer.truncate(self.line);
                return Ok(true);
            }
            [line @ .., b'\r', b'\n'] => {
                if self.keep == Keep::Filtered && goes_on(name(line)?) {
                    self.line = self.buffer.len();
                } else {
                    name(line)?;
                    self.buffer.truncate(self.line);
                }
            }
            [.., b'\n'] => return Err(BodyFault::Trailer),
            [.., b'\r', _] => return Err(BodyFault::Trailer),
            [.., byte] if !matches!(byte, b'\r' | b'\t' | b' '..=b'~' | 0x80..) => {
                return Err(BodyFault::Trailer);
            }
            _ => {}
        }
        Ok(false)
    }
}

/// The name of a field line whose bytes are known to be visible.
fn name(line: &[u8]) -> Result<&[u8], BodyFault> {
    let length = line.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(line.len());
    match line.split_at(length) {
        ([], _) => Err(BodyFault::Trailer),
        (name, [b':', ..]) => Ok(name),
        _ => Err(BodyFault::Trailer),
    }
}

/// Whether a trailer may be passed on: not one that frames, routes, authenticates, tells how the content is to be read, or ends at
/// this hop (RFC 9110, 6.5.1).
fn goes_on(name: &[u8]) -> bool {
    let kind = Kind::of(name);
    let starts = |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
    let harmless = matches!(kind, Kind::Date | Kind::Other | Kind::RequestId | Kind::Underscore);
    harmless
        && !starts(b"content-")
        && !starts(b"set-cookie")
        && !starts(b"www-authenticate")
        && !is(b"authentication-info")
        && !is(b"cache-control")
        && !is(b"max-forwards")
        && !is(b"location")
        && !is(b"retry-after")
        && !is(b"vary")
}
