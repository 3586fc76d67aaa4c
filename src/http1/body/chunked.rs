//! The chunked state machine (RFC 9112, 7.1), one byte at a time but for data.

use super::trailers::Trailers;
use super::{BodyFault, Step};

/// Hex digits of a size. 15 keep every sum far from overflow; no sender needs a chunk of 2^60 bytes.
const SIZE_DIGITS: u8 = 15;
/// Bytes of the extensions of one chunk.
const EXTENSION_LINE: u16 = 256;
/// Bytes of all extensions of one body.
const EXTENSION_TOTAL: u16 = 16 * 1024;

#[derive(Debug)]
pub(super) struct Chunked {
    state: State,
    /// Bytes of extensions so far.
    extensions: u16,
    trailers: Trailers,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Within the data of a chunk; bytes left, at least 1.
    Data(u64),
    /// After the data: CR.
    DataCr,
    /// After the data: LF.
    DataLf,
    Done,
    /// Within the extensions of a chunk of `size` bytes.
    Extension {
        size: u64,
        bytes: u16,
    },
    Failed(BodyFault),
    /// Within the digits of a size.
    Size {
        size: u64,
        digits: u8,
    },
    /// After the line of a chunk of this size: LF.
    SizeLf(u64),
    /// After the last chunk.
    Trailers,
}

impl State {
    const START: Self = Self::Size { size: 0, digits: 0 };
}

impl Chunked {
    pub(super) fn new(trailers: Trailers) -> Self {
        Self { state: State::START, extensions: 0, trailers }
    }

    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    pub(super) fn trailers(&self) -> &[u8] {
        self.trailers.lines()
    }

    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, BodyFault> {
        let mut at = 0;
        loop {
            let rest = input.get(at..).unwrap_or_default();
            if let State::Data(left) = self.state
                && !rest.is_empty()
            {
                let taken = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                let left = left - taken as u64;
                self.state = if left == 0 { State::DataCr } else { State::Data(left) };
                return Ok(Step { consumed: at + taken, data: at..at + taken, done: false });
            }
            let (false, Some(byte)) = (self.is_done(), rest.first()) else {
                return Ok(Step { consumed: at, data: at..at, done: self.is_done() });
            };
            self.state = match self.next(*byte) {
                Ok(state) => state,
                Err(fault) => {
                    self.state = State::Failed(fault);
                    return Err(fault);
                }
            };
            at += 1;
        }
    }

    fn next(&mut self, byte: u8) -> Result<State, BodyFault> {
        Ok(match (self.state, byte) {
            (State::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') if digits < SIZE_DIGITS => {
                State::Size { size: size << 4 | u64::from(hex(byte)), digits: digits + 1 }
            }
            (State::Size { size, digits: 1.. }, b'\r') => State::SizeLf(size),
            (State::Size { size, digits: 1.. }, b';') => self.extension(size, 1)?,
            (State::Size { .. }, _) => return Err(BodyFault::ChunkSize),
            (State::Extension { size, .. }, b'\r') => State::SizeLf(size),
            (State::Extension { .. }, 0..=0x08 | 0x0A..=0x1F | 0x7F) => {
                return Err(BodyFault::Extension);
            }
            (State::Extension { size, bytes }, _) => self.extension(size, bytes + 1)?,
            (State::SizeLf(0), b'\n') => State::Trailers,
            (State::SizeLf(size), b'\n') => State::Data(size),
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::START,
            (State::SizeLf(_) | State::DataCr | State::DataLf, _) => {
                return Err(BodyFault::ChunkEnd);
            }
            (State::Trailers, _) if self.trailers.push(byte)? => State::Done,
            (State::Failed(fault), _) => return Err(fault),
            (state @ (State::Trailers | State::Data(_) | State::Done), _) => state,
        })
    }

    fn extension(&mut self, size: u64, bytes: u16) -> Result<State, BodyFault> {
        self.extensions += 1;
        if bytes > EXTENSION_LINE || self.extensions > EXTENSION_TOTAL {
            return Err(BodyFault::ExtensionTooLong);
        }
        Ok(State::Extension { size, bytes })
    }
}

fn hex(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        _ => (byte | 0x20) - b'a' + 10,
    }
}
