//! The head of an answer.

use std::fmt;
use std::mem::MaybeUninit;

use super::connection::Connection;
use super::framing::{Framed, ResponseFraming};
use super::kind::Kind;
use super::lines::{self, End, measure, within};
use super::{Field, Fields, HeadFault, Limits, MAX_FIELDS, Version, field, plain, version};

/// Which request an answer belongs to, as far as its framing depends on that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerTo {
    /// A HEAD request: no body, whatever the fields say.
    Head,
    /// Any other.
    Other,
}

/// The head of an answer that keeps every rule of [`crate::http1`].
pub struct ResponseHead<'b> {
    /// 100 to 999.
    pub status: u16,
    /// The reason phrase; empty where there is none or it is not ASCII.
    pub reason: &'b [u8],
    /// The version of the upstream.
    pub version: Version,
    /// All field lines, framing and hop-by-hop ones included.
    pub fields: Fields<'b>,
    /// How the body is delimited.
    pub framing: ResponseFraming,
    /// `Content-Length` as given, in bytes. An answer to HEAD and a 304 have it without a body.
    pub content_length: Option<u64>,
    /// The options of `Connection`.
    pub connection: Connection,
    /// The connection may be used again once the body is read.
    pub keep_alive: bool,
    /// Bytes of the buffer that the head took; the body starts there.
    pub size: usize,
}

/// Values may be credentials, so only their length is shown.
impl fmt::Debug for ResponseHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("status", &self.status)
            .field("version", &self.version)
            .field("fields", &self.fields)
            .field("framing", &self.framing)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl ResponseHead<'_> {
    /// What a head is read into.
    pub fn unread() -> Self {
        Self {
            status: 0,
            reason: b"",
            version: Version::Http11,
            fields: Fields::new(),
            framing: ResponseFraming::None,
            content_length: None,
            connection: Connection::default(),
            keep_alive: false,
            size: 0,
        }
    }
}

/// Reads the head of an answer at the start of `buf`; `None` where it is not complete yet and may still become acceptable.
///
/// Interim answers (1xx), 101 among them, are heads like any other and have no body.
///
/// # Errors
/// The first fault in the order of the bytes. `target_bytes` has no meaning here.
pub fn response<'b>(buf: &'b [u8], limits: &Limits, to: AnswerTo) -> Result<Option<ResponseHead<'b>>, HeadFault> {
    let mut head = ResponseHead::unread();
    Ok(response_into((buf, to), limits, &mut head)?.then_some(head))
}

/// The same as [`response`], into a head that is there: it is more than 1 KiB, which is not to be moved about for each answer.
/// False where the bytes are not a whole head; what is in `head` then means nothing.
///
/// # Errors
/// The first fault in the order of the bytes.
pub fn response_into<'b>(
    (buf, to): (&'b [u8], AnswerTo),
    limits: &Limits,
    head: &mut ResponseHead<'b>,
) -> Result<bool, HeadFault> {
    let whole = read_plain((buf, to), limits, head).is_some() || read((buf, to), limits, head)?;
    if !whole {
        judge(buf, limits)?;
    }
    Ok(whole)
}

/// Judges bytes that are not a whole head in the grammar and within its limits.
#[cold]
fn judge(buf: &[u8], limits: &Limits) -> Result<(), HeadFault> {
    let extent = measure(buf, limits);
    judge_start(buf.get(..extent.length).unwrap_or(buf))?;
    match extent.end {
        End::Complete => {
            Err(HeadFault::BadRequest("The lines of the head can be read in two ways; send plain field lines."))
        }
        End::Fault(fault) => Err(fault),
        End::Incomplete => Ok(()),
    }
}

/// Reads a whole head in plain form that keeps every rule; `None` says nothing.
pub(super) fn read_plain<'b>(
    (buf, to): (&'b [u8], AnswerTo),
    limits: &Limits,
    head: &mut ResponseHead<'b>,
) -> Option<()> {
    let view = within(buf, limits);
    let (status, reason, rest) = plain::status_line(view)?;
    let mut judge = Judge::new(status, Version::Http11).ok()?;
    let rest =
        plain::fields(rest, limits.headers.min(MAX_FIELDS), &mut head.fields, |field| judge.take(field).is_ok())?;
    head.reason = reason;
    head.size = view.len() - rest.len();
    judge.conclude(to, head);
    Some(())
}

/// Reads a whole head. False where there is none, or where a line end or limit is not kept: [`judge`] tells what is wrong.
pub(super) fn read<'b>(
    (buf, to): (&'b [u8], AnswerTo),
    limits: &Limits,
    head: &mut ResponseHead<'b>,
) -> Result<bool, HeadFault> {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let outcome = config.parse_response_with_uninit_headers(&mut parsed, within(buf, limits), &mut slots);
    let Ok(httparse::Status::Complete(length)) = outcome else {
        return Ok(false);
    };
    let (Some(status), Some(reason), Some(minor)) = (parsed.code, parsed.reason, parsed.version) else {
        return Ok(false);
    };
    let view = buf.get(..length).unwrap_or_default();
    // httparse skips empty lines; nothing may stand before an answer.
    let strict = view.starts_with(b"HTTP") && lines::end_in_crlf(view, parsed.headers);
    if parsed.headers.len() > limits.headers || !strict {
        return Ok(false);
    }
    let mut judge = Judge::new(status, version(minor))?;
    head.fields.clear();
    for header in parsed.headers.iter() {
        let field = field(header);
        judge.take(&field)?;
        head.fields.push(field);
    }
    head.reason = reason.as_bytes();
    head.size = length;
    judge.conclude(to, head);
    Ok(true)
}

/// Judges what is there of a head that is not complete, or that ends in a fault: a fault before the end comes first.
fn judge_start(view: &[u8]) -> Result<(), HeadFault> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Response::new(&mut headers);
    let outcome = parsed.parse(view);
    if let (Some(status), Some(minor)) = (parsed.code, parsed.version) {
        let mut judge = Judge::new(status, version(minor))?;
        for header in parsed.headers.iter().take_while(|header| !header.name.is_empty()) {
            judge.take(&field(header))?;
        }
    }
    outcome.map(|_| ()).map_err(HeadFault::from)
}

/// The rules over the fields of one answer, taken one at a time.
struct Judge {
    connection: Connection,
    framed: Framed,
    status: u16,
    version: Version,
}

impl Judge {
    fn new(status: u16, version: Version) -> Result<Self, HeadFault> {
        if status < 100 {
            return Err(HeadFault::BadRequest("The status is below 100."));
        }
        Ok(Self { connection: Connection::default(), framed: Framed::default(), status, version })
    }

    fn take(&mut self, field: &Field<'_>) -> Result<(), HeadFault> {
        match field.kind {
            // Servers in use name framing fields here (`Connection: Transfer-Encoding`); `named_by_connection` ignores that.
            Kind::Connection => self.connection.add(field.value, |_| false),
            Kind::ContentLength => self.framed.content_length(field.value),
            Kind::TransferEncoding => self.framed.transfer_encoding(field.value, self.version),
            _ => Ok(()),
        }
    }

    /// Takes down what follows from all fields together.
    fn conclude(self, to: AnswerTo, head: &mut ResponseHead<'_>) {
        head.status = self.status;
        head.version = self.version;
        head.framing = self.framing(to);
        head.content_length = self.framed.length;
        head.connection = self.connection;
        head.keep_alive = self.connection.persists(self.version) && head.framing != ResponseFraming::UntilClose;
    }

    /// RFC 9112, 6.3.
    fn framing(&self, to: AnswerTo) -> ResponseFraming {
        if to == AnswerTo::Head || matches!(self.status, 100..=199 | 204 | 304) {
            return ResponseFraming::None;
        }
        match (self.framed.chunked, self.framed.length) {
            (true, _) => ResponseFraming::Chunked,
            (false, Some(length)) => ResponseFraming::Length(length),
            (false, None) => ResponseFraming::UntilClose,
        }
    }
}
