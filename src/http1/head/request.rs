//! The head of a request.

use std::fmt;
use std::mem::MaybeUninit;

use super::connection::Connection;
use super::framing::{Framed, Framing};
use super::kind::Kind;
use super::lines::{self, End, Extent, measure, within};
use super::{Field, Fields, HeadFault, Limits, MAX_FIELDS, Version, field, host, plain, version};

/// A request head that keeps every rule of [`crate::http1`].
pub struct RequestHead<'b> {
    /// A token, in the caller's letter case.
    pub method: &'b [u8],
    /// The target as it came: not empty, UTF-8, no space or control byte. Its form is not judged here.
    pub target: &'b [u8],
    /// The version of the caller.
    pub version: Version,
    /// The one `Host`.
    pub host: &'b [u8],
    /// All field lines, framing and hop-by-hop ones included.
    pub fields: Fields<'b>,
    /// How the body is delimited.
    pub framing: Framing,
    /// The options of `Connection`.
    pub connection: Connection,
    /// The caller waits for `100 Continue` before it sends the body.
    pub expect_continue: bool,
    /// The caller means to keep the connection.
    pub keep_alive: bool,
    /// Bytes of the buffer that the head took; the body starts there.
    pub size: usize,
}

/// The target and values may hold credentials, so only their length is shown.
impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead")
            .field("method", &self.method.escape_ascii())
            .field("target_bytes", &self.target.len())
            .field("version", &self.version)
            .field("fields", &self.fields)
            .field("framing", &self.framing)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl RequestHead<'_> {
    /// What a head is read into.
    pub fn unread() -> Self {
        Self {
            method: b"",
            target: b"",
            version: Version::Http11,
            host: b"",
            fields: Fields::new(),
            framing: Framing::None,
            connection: Connection::default(),
            expect_continue: false,
            keep_alive: false,
            size: 0,
        }
    }
}

/// Reads the head of a request at the start of `buf`; `None` where it is not complete yet and may still become acceptable.
///
/// One empty line before the request line is skipped, as RFC 9112 (2.2) asks; it counts into `size`, not into the limits.
///
/// # Errors
/// The first fault in the order of the bytes.
pub fn request<'b>(buf: &'b [u8], limits: &Limits) -> Result<Option<RequestHead<'b>>, HeadFault> {
    let mut head = RequestHead::unread();
    Ok(request_into(buf, limits, &mut head)?.then_some(head))
}

/// The same as [`request`], into a head that is there: it is more than 1 KiB, which is not to be moved about for each request.
/// False where the bytes are not a whole head; what is in `head` then means nothing.
///
/// # Errors
/// The first fault in the order of the bytes.
pub fn request_into<'b>(buf: &'b [u8], limits: &Limits, head: &mut RequestHead<'b>) -> Result<bool, HeadFault> {
    let (lead, rest) = match buf {
        [] | [b'\r'] => return Ok(false),
        [b'\r', b'\n', rest @ ..] => (2, rest),
        rest => (0, rest),
    };
    let whole = read_plain(rest, limits, head).is_some() || read(rest, limits, head)?;
    head.size += lead;
    if !whole {
        judge(rest, limits)?;
    }
    Ok(whole)
}

/// Judges bytes that are not a whole head in the grammar and within its limits.
#[cold]
fn judge(buf: &[u8], limits: &Limits) -> Result<(), HeadFault> {
    let extent = bound_target(buf, measure(buf, limits), limits.target_bytes);
    judge_start(buf.get(..extent.length).unwrap_or(buf))?;
    match extent.end {
        End::Complete => {
            Err(HeadFault::BadRequest("The lines of the head can be read in two ways; send plain field lines."))
        }
        End::Fault(fault) => Err(fault),
        End::Incomplete => Ok(()),
    }
}

/// Ends the extent where the target grows over its limit, if that comes first.
fn bound_target(buf: &[u8], extent: Extent, limit: usize) -> Extent {
    let view = buf.get(..extent.length).unwrap_or(buf);
    if view.len() <= limit {
        return extent;
    }
    let Some(space) = memchr::memchr(b' ', view) else {
        return extent;
    };
    let target = view.get(space + 1..).unwrap_or_default();
    match target.get(..=limit) {
        // The caller's line may end before that: then the end is among these bytes.
        Some(start) if memchr::memchr2(b' ', b'\n', start).is_none() => {
            Extent { length: space + 1 + limit, end: End::Fault(HeadFault::TargetTooLong) }
        }
        _ => extent,
    }
}

/// Reads a whole head in plain form that keeps every rule; `None` says nothing.
pub(super) fn read_plain<'b>(buf: &'b [u8], limits: &Limits, head: &mut RequestHead<'b>) -> Option<()> {
    let view = within(buf, limits);
    let (method, target, rest) = plain::request_line(view)?;
    if target.len() > limits.target_bytes {
        return None;
    }
    let mut judge = Judge::new(target, Version::Http11).ok()?;
    let rest =
        plain::fields(rest, limits.headers.min(MAX_FIELDS), &mut head.fields, |field| judge.take(field).is_ok())?;
    head.method = method;
    head.target = target;
    head.size = view.len() - rest.len();
    judge.conclude(head).ok()
}

/// Reads a whole head. False where there is none, or where a line end or limit is not kept: [`judge`] tells what is wrong.
pub(super) fn read<'b>(buf: &'b [u8], limits: &Limits, head: &mut RequestHead<'b>) -> Result<bool, HeadFault> {
    let mut slots = [const { MaybeUninit::uninit() }; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut []);
    let Ok(httparse::Status::Complete(length)) = parsed.parse_with_uninit_headers(within(buf, limits), &mut slots)
    else {
        return Ok(false);
    };
    let (Some(method), Some(target), Some(minor)) = (parsed.method, parsed.path, parsed.version) else {
        return Ok(false);
    };
    let view = buf.get(..length).unwrap_or_default();
    let within_limits = parsed.headers.len() <= limits.headers && target.len() <= limits.target_bytes;
    // httparse skips empty lines: the one that may be there was skipped before.
    let strict = view.starts_with(method.as_bytes()) && lines::end_in_crlf(view, parsed.headers);
    if !within_limits || !strict {
        return Ok(false);
    }
    let mut judge = Judge::new(target.as_bytes(), version(minor))?;
    head.fields.clear();
    for header in parsed.headers.iter() {
        let field = field(header);
        judge.take(&field)?;
        head.fields.push(field);
    }
    head.method = method.as_bytes();
    head.target = target.as_bytes();
    head.size = length;
    judge.conclude(head)?;
    Ok(true)
}

/// Judges what is there of a head that is not complete, or that ends in a fault: a fault before the end comes first.
fn judge_start(view: &[u8]) -> Result<(), HeadFault> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut parsed = httparse::Request::new(&mut headers);
    let status = parsed.parse(view);
    if let (Some(target), Some(minor)) = (parsed.path, parsed.version) {
        let mut judge = Judge::new(target.as_bytes(), version(minor))?;
        for header in parsed.headers.iter().take_while(|header| !header.name.is_empty()) {
            judge.take(&field(header))?;
        }
        // The empty line has begun, so that no field can follow.
        if status.is_ok() && view.ends_with(b"\n\r") {
            judge.host()?;
        }
    }
    status.map(|_| ()).map_err(HeadFault::from)
}

/// The rules over the fields of one request, taken one at a time.
struct Judge<'b> {
    /// Of a target in absolute form.
    authority: Option<&'b [u8]>,
    connection: Connection,
    expects: bool,
    framed: Framed,
    host: Option<&'b [u8]>,
    version: Version,
}

impl<'b> Judge<'b> {
    fn new(target: &'b [u8], version: Version) -> Result<Self, HeadFault> {
        let authority = host::authority(target);
        if authority.is_some_and(|authority| !host::is_valid(authority)) {
            return Err(HeadFault::BadRequest(
                "The authority of the target is not a host name or address with an optional port; correct it.",
            ));
        }
        Ok(Self {
            authority,
            connection: Connection::default(),
            expects: false,
            framed: Framed::default(),
            host: None,
            version,
        })
    }

    fn take(&mut self, field: &Field<'b>) -> Result<(), HeadFault> {
        match field.kind {
            Kind::Connection => self.connection.add(field.value, is_reserved),
            Kind::ContentLength => self.framed.content_length(field.value),
            Kind::Expect => self.expect(field.value),
            Kind::Host => self.take_host(field.value),
            Kind::TransferEncoding => self.framed.transfer_encoding(field.value, self.version),
            _ => Ok(()),
        }
    }

    fn expect(&mut self, value: &[u8]) -> Result<(), HeadFault> {
        if self.expects || !value.eq_ignore_ascii_case(b"100-continue") {
            return Err(HeadFault::ExpectationFailed);
        }
        self.expects = true;
        Ok(())
    }

    fn take_host(&mut self, value: &'b [u8]) -> Result<(), HeadFault> {
        if self.host.is_some() {
            return Err(HeadFault::BadRequest("The Host field is given twice; send it once."));
        }
        if !host::is_valid(value) {
            return Err(HeadFault::BadRequest(
                "The Host field is not a host name or address with an optional port; correct it.",
            ));
        }
        if self.authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(value)) {
            return Err(HeadFault::BadRequest(
                "The Host field differs from the authority of the target; send the same in both.",
            ));
        }
        self.host = Some(value);
        Ok(())
    }

    fn host(&self) -> Result<&'b [u8], HeadFault> {
        self.host.ok_or(HeadFault::BadRequest("The request has no Host field; send one."))
    }

    /// Takes down what follows from all fields together.
    fn conclude(self, head: &mut RequestHead<'b>) -> Result<(), HeadFault> {
        head.version = self.version;
        head.host = self.host()?;
        head.framing = self.framing();
        head.connection = self.connection;
        // Without a body there is nothing to continue, and HTTP/1.0 knows no interim answers (RFC 9110, 10.1.1).
        let continues = self.version == Version::Http11 && !matches!(head.framing, Framing::None | Framing::Length(0));
        head.expect_continue = self.expects && continues;
        head.keep_alive = self.connection.persists(self.version);
        Ok(())
    }

    fn framing(&self) -> Framing {
        match (self.framed.chunked, self.framed.length) {
            (true, _) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::None,
        }
    }
}

/// What a caller's `Connection` may not name: a field that the gateway reads for its decision, or that delimits the message.
fn is_reserved(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::Authorization | Kind::ContentLength | Kind::Cookie | Kind::Expect | Kind::Host | Kind::TransferEncoding
    )
}
