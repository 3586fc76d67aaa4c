//! How far a buffer holds the lines of one head, and what ends them, where [`super::plain`] has not read it. Line ends and limits are
//! judged here, bytes within lines by httparse.

use super::{Excess, HeadFault, Limits, MAX_FIELDS};

/// A leading part of a buffer that may be judged, and what comes after it.
#[derive(Debug)]
pub(super) struct Extent {
    /// Bytes to judge.
    pub(super) length: usize,
    /// What the first byte after them means.
    pub(super) end: End,
}

#[derive(Debug)]
pub(super) enum End {
    /// The extent is a whole head, its empty line included.
    Complete,
    /// The head is refused at this point, unless something before it is refused already.
    Fault(HeadFault),
    /// Nothing wrong as far as the buffer goes.
    Incomplete,
}

/// Whether reading a head again may say more than it did when only `judged` bytes of `buf` were there: a line ended, a limit was
/// passed, or 1 KiB came. Callers that ask before each further reading spend time linear in the bytes, up to the number of lines,
/// on a head that comes byte by byte.
pub fn is_due(buf: &[u8], judged: usize, limits: &Limits) -> bool {
    let new = buf.get(judged..).unwrap_or_default();
    judged == 0 || new.len() >= 1024 || buf.len() > limits.header_bytes || memchr::memchr(b'\n', new).is_some()
}

/// Whether any byte of a request has come. The empty line before one (RFC 9112, 2.2) is none: old callers send it behind a body,
/// whether another request follows or not.
pub fn has_begun(buf: &[u8]) -> bool {
    !matches!(buf, [] | [b'\r'] | [b'\r', b'\n'])
}

/// The bytes that a head may take up.
pub(super) fn within<'b>(buf: &'b [u8], limits: &Limits) -> &'b [u8] {
    buf.get(..limits.header_bytes).unwrap_or(buf)
}

/// Finds the lines of a head at the start of `buf`. Verdicts are those of the shortest prefix that has one: nothing after the
/// byte at which a fault shows is looked at.
pub(super) fn measure(buf: &[u8], limits: &Limits) -> Extent {
    let view = within(buf, limits);
    let max = limits.headers.min(MAX_FIELDS);
    let mut start = 0;
    let mut lines = 0;
    for lf in memchr::memchr_iter(b'\n', view) {
        let line = view.get(start..lf).unwrap_or_default();
        if let Some(end) = refuse_start(line, lines, max) {
            return Extent { length: start, end };
        }
        match line {
            [b'\r'] => {
                return Extent { length: lf + 1, end: End::Complete };
            }
            [.., b'\r'] => {}
            _ => {
                return Extent {
                    length: lf,
                    end: End::Fault(HeadFault::BadRequest(
                        "A line of the head does not end in CR LF; end each one so.",
                    )),
                };
            }
        }
        start = lf + 1;
        lines += 1;
    }
    let rest = view.get(start..).unwrap_or_default();
    if let Some(end) = refuse_start(rest, lines, max) {
        return Extent { length: start, end };
    }
    let end =
        if buf.len() > view.len() { End::Fault(HeadFault::HeadersTooLarge(Excess::Bytes)) } else { End::Incomplete };
    Extent { length: view.len(), end }
}

/// Whether the lines of a head that httparse found complete all end in CR LF. httparse takes a bare LF as a line end, too, and then
/// the byte before a name, or before the end, gives it away.
pub(super) fn end_in_crlf(view: &[u8], headers: &[httparse::Header<'_>]) -> bool {
    let start = view.as_ptr().addr();
    let after_crlf = |header: &httparse::Header<'_>| {
        let at = header.name.as_ptr().addr().wrapping_sub(start);
        view.get(..at).is_some_and(|before| before.ends_with(b"\r\n"))
    };
    view.ends_with(b"\r\n\r\n") && headers.iter().all(after_crlf)
}

/// What the first byte of a line, complete or not, already tells. `lines` is how many came before it, the first line included.
fn refuse_start(line: &[u8], lines: usize, max_fields: usize) -> Option<End> {
    let first = *line.first()?;
    let fault = match first {
        b'\r' if lines == 0 => HeadFault::BadRequest("An empty line stands where the first line should; leave it out."),
        b'\r' => return None,
        _ if lines > max_fields => HeadFault::HeadersTooLarge(Excess::Fields),
        b' ' | b'\t' => {
            HeadFault::BadRequest("A line of the head is folded or starts with a space; write each field in one line.")
        }
        _ => return None,
    };
    Some(End::Fault(fault))
}
