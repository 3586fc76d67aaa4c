//! Message bodies, validated while they are relayed: what is left to read, and how it goes on.
//!
//! A [`Body`] reads one body and writes it in its canonical form. It holds no bytes but those of a trailer section. Three ways to
//! use it, from the simplest to the cheapest:
//!
//! - [`Body::pass`] copies into a buffer, chunk lines and all.
//! - [`Body::step`] tells which range of the input is data; the caller writes it, framed with [`write::chunk_start`] and
//!   [`write::chunk_end`] where [`Body::outgoing`] is chunked.
//! - [`Body::take`] says how many bytes may go on as they are.
//!
//! Splits of the input do not matter to what is sent, trailers and verdict included; only the borders of chunks follow the reads.

mod chunked;
#[cfg(test)]
mod tests;
mod trailers;

use std::ops::Range;

use super::head::{Framing, ResponseFraming, Version};
use super::write;
use chunked::Chunked;
use trailers::Trailers;

/// How a body goes on: what [`write::framing`] writes into the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// In chunks.
    Chunked,
    /// As many bytes.
    Length(u64),
    /// No body.
    None,
    /// Until the connection closes: it must be closed after the body.
    UntilClose,
}

/// Why a body cannot be read on. The connection it came from is closed; where nothing was answered yet the answer is 400, and an
/// answer that breaks off is cut off towards the caller, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// The data of a chunk, or a chunk line, does not end in CR LF.
    #[error("a chunk does not end in CR LF")]
    ChunkEnd,
    /// The size of a chunk is not 1 to 15 hexadecimal digits.
    #[error("a chunk size is not 1 to 15 hexadecimal digits")]
    ChunkSize,
    /// A chunk extension has a control byte.
    #[error("a chunk extension has a control byte")]
    Extension,
    /// Chunk extensions longer than 256 bytes on a line or 16 KiB in a body.
    #[error("chunk extensions are too long")]
    ExtensionTooLong,
    /// A trailer is not a field line.
    #[error("a trailer is not a field line")]
    Trailer,
    /// More than 8 KiB of trailers.
    #[error("the trailers are too long")]
    TrailersTooLong,
    /// The sender stopped before the end.
    #[error("the body ends before its length")]
    Truncated,
}

/// What [`Body::step`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes of the input that are done with, the data included. Never 0 unless the input was empty or the body had ended.
    pub consumed: usize,
    /// The data among them, perhaps empty.
    pub data: Range<usize>,
    /// Nothing of the body is left. Bytes after `consumed` belong to the next message.
    pub done: bool,
}

/// What [`Body::pass`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// Bytes of the input that are done with: all of them, unless the body ended.
    pub consumed: usize,
    /// How many of them were data, and not chunk lines or trailers.
    pub data: usize,
    /// Nothing of the body is left. Bytes after `consumed` belong to the next message.
    pub done: bool,
}

/// One body on its way through.
#[derive(Debug)]
pub struct Body {
    incoming: Incoming,
    outgoing: Outgoing,
    /// The end of the body was written by [`Body::pass`] or [`Body::finish`].
    ended: bool,
}

#[derive(Debug)]
enum Incoming {
    Chunked(Chunked),
    /// Bytes left.
    Length(u64),
    UntilClose {
        closed: bool,
    },
}

impl Body {
    /// The body of a request. It goes on as it came, without extensions and trailers.
    pub fn of_request(framing: Framing) -> Self {
        match framing {
            Framing::Chunked => Self::new(Incoming::Chunked(Chunked::new(Trailers::dropped())), Outgoing::Chunked),
            Framing::Length(length) => Self::new(Incoming::Length(length), Outgoing::Length(length)),
            Framing::None => Self::new(Incoming::Length(0), Outgoing::None),
        }
    }

    /// The body of a request whose trailers go on in chunks, filtered: for an upstream that speaks HTTP/2.
    pub fn of_request_with_trailers(framing: Framing) -> Self {
        match framing {
            Framing::Chunked => Self::new(Incoming::Chunked(Chunked::new(Trailers::filtered())), Outgoing::Chunked),
            Framing::Length(_) | Framing::None => Self::of_request(framing),
        }
    }

    /// The body of an answer to a caller of version `caller`. Chunked and close-delimited bodies go on in chunks, or until the
    /// connection closes where the caller speaks HTTP/1.0. Trailers go on in chunks alone, filtered.
    pub fn of_response(framing: ResponseFraming, caller: Version) -> Self {
        let open_ended = match caller {
            Version::Http10 => Outgoing::UntilClose,
            Version::Http11 => Outgoing::Chunked,
        };
        match framing {
            ResponseFraming::Chunked => Self::new(Incoming::Chunked(Chunked::new(Trailers::filtered())), open_ended),
            ResponseFraming::Length(length) => Self::new(Incoming::Length(length), Outgoing::Length(length)),
            ResponseFraming::None => Self::new(Incoming::Length(0), Outgoing::None),
            ResponseFraming::UntilClose => Self::new(Incoming::UntilClose { closed: false }, open_ended),
        }
    }

    fn new(incoming: Incoming, outgoing: Outgoing) -> Self {
        Self { incoming, outgoing, ended: false }
    }

    /// How the body goes on.
    pub fn outgoing(&self) -> Outgoing {
        self.outgoing
    }

    /// Whether nothing of the body is left to read.
    pub fn is_done(&self) -> bool {
        match &self.incoming {
            Incoming::Chunked(chunked) => chunked.is_done(),
            Incoming::Length(left) => *left == 0,
            Incoming::UntilClose { closed } => *closed,
        }
    }

    /// The trailers, as whole field lines, once the body is done. Fields that frame, route, authenticate or end at this hop are left
    /// out. Always empty for a request, unless its trailers were asked for.
    pub fn trailers(&self) -> &[u8] {
        match &self.incoming {
            Incoming::Chunked(chunked) if chunked.is_done() => chunked.trailers(),
            _ => b"",
        }
    }

    /// Reads on to the next data, the end of the body or the end of the input, whichever comes first.
    ///
    /// # Errors
    /// A fault of a chunked body. The body is not to be used after that: it reports the same fault again.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, BodyFault> {
        match &mut self.incoming {
            Incoming::Chunked(chunked) => chunked.step(input),
            Incoming::Length(_) | Incoming::UntilClose { .. } => {
                let taken = self.read(input.len());
                Ok(Step { consumed: taken, data: 0..taken, done: self.is_done() })
            }
        }
    }

    /// Appends to `out` what becomes of `input`, the end of a chunked body included.
    ///
    /// # Errors
    /// As [`Body::step`]. What is in `out` by then is good, but is not a whole body.
    pub fn pass(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Passed, BodyFault> {
        let (mut consumed, mut count) = (0, 0);
        loop {
            let rest = input.get(consumed..).unwrap_or_default();
            let step = self.step(rest)?;
            let data = rest.get(step.data).unwrap_or_default();
            count += data.len();
            match self.outgoing {
                Outgoing::Chunked => write::chunk(out, data),
                Outgoing::Length(_) | Outgoing::None | Outgoing::UntilClose => out.extend_from_slice(data),
            }
            consumed += step.consumed;
            if step.done {
                self.write_end(out);
            }
            if step.done || consumed >= input.len() {
                return Ok(Passed { consumed, data: count, done: step.done });
            }
        }
    }

    /// How many of the next `available` bytes may go on as they are; they count as read. Always 0 where chunks are read or written:
    /// use [`Body::step`] there.
    pub fn take(&mut self, available: usize) -> usize {
        match self.outgoing {
            Outgoing::Chunked => 0,
            Outgoing::Length(_) | Outgoing::None | Outgoing::UntilClose => self.read(available),
        }
    }

    /// The sender closed its side. Ends a body that is delimited by that, and appends the last chunk where it goes on in chunks.
    ///
    /// # Errors
    /// [`BodyFault::Truncated`] where more was to come. The receiver must not see a clean end then.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), BodyFault> {
        if let Incoming::UntilClose { closed } = &mut self.incoming {
            *closed = true;
        }
        if !self.is_done() {
            return Err(BodyFault::Truncated);
        }
        self.write_end(out);
        Ok(())
    }

    /// Appends the end of a body that is done and goes on in chunks, once; for callers of [`Body::step`].
    pub fn write_end(&mut self, out: &mut Vec<u8>) {
        if self.outgoing == Outgoing::Chunked && self.is_done() && !self.ended {
            write::last_chunk(out, self.trailers());
            self.ended = true;
        }
    }

    /// Counts up to `available` bytes of a body without chunks.
    fn read(&mut self, available: usize) -> usize {
        match &mut self.incoming {
            Incoming::Chunked(_) => 0,
            Incoming::Length(left) => {
                let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(available);
                *left -= taken as u64;
                taken
            }
            Incoming::UntilClose { closed: true } => 0,
            Incoming::UntilClose { closed: false } => available,
        }
    }
}
