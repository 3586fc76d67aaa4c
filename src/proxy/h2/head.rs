//! Heads between HTTP/2 and HTTP/1.1, the one form that the gateway judges and writes.
//!
//! What comes in by HTTP/2 is written down as HTTP/1.1 and not judged here: the strict reading of [`crate::http1`] judges
//! the bytes, whatever they came by. What goes out by HTTP/2 is taken from bytes that the gateway wrote itself.

pub(in crate::proxy) mod handshake;

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, request, response};
use memchr::memmem;

use crate::http1::head::{AnswerTo, Framing, Kind, ResponseFraming};
use crate::http1::write;
use crate::proxy::grpc;

/// Whether anything follows a head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::proxy) enum Rest {
    Body,
    Nothing,
}

/// Appends a caller's request head. `None` where its path is none that a request may have (RFC 9113 8.3.1), or where it has
/// a field that HTTP/2 has not (8.2.2).
pub(in crate::proxy) fn write_request(parts: &request::Parts, rest: Rest, out: &mut Vec<u8>) -> Option<()> {
    let path = parts.uri.path_and_query().map(|path| path.as_str().as_bytes());
    let target = match path {
        _ if parts.method == Method::CONNECT => parts.uri.authority()?.as_str().as_bytes(),
        Some(path) if path.starts_with(b"/") || path == b"*" => path,
        _ => return None,
    };
    write_lines(parts, (parts.method.as_str().as_bytes(), target), &[], out)?;
    if rest == Rest::Body && !parts.headers.contains_key(CONTENT_LENGTH) {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    write::end_of_head(out);
    Some(())
}

/// Appends a request head but for its framing, its end, and the fields of these names.
fn write_lines(
    parts: &request::Parts,
    (method, target): (&[u8], &[u8]),
    omitted: &[HeaderName],
    out: &mut Vec<u8>,
) -> Option<()> {
    if parts.headers.keys().any(is_of_one_hop) {
        return None;
    }
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let hosts = || parts.headers.get_all(HOST).iter().map(|host| host.as_bytes().trim_ascii());
    let differs = authority.is_some_and(|authority| hosts().any(|host| !host.eq_ignore_ascii_case(authority)));
    out.extend_from_slice(method);
    out.push(b' ');
    if let (true, Some(authority)) = (differs, authority) {
        // Host and `:authority` contradict each other. Both are written, as an absolute target has it, to be refused.
        out.extend_from_slice(b"http://");
        out.extend_from_slice(authority);
    }
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    match authority {
        Some(authority) if !differs && hosts().count() <= 1 => write::field(out, b"host", authority),
        _ => hosts().for_each(|host| write::field(out, b"host", host)),
    }
    let apart = |name: &HeaderName| matches!(*name, HOST | COOKIE) || omitted.contains(name);
    for (name, value) in parts.headers.iter().filter(|(name, _)| !apart(name)) {
        write::field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    write_cookies(&parts.headers, out);
    Some(())
}

/// True for a field about the connection, which a message of HTTP/2 must not have. The `h2` crate refuses them before.
fn is_of_one_hop(name: &HeaderName) -> bool {
    matches!(*name, CONNECTION | TRANSFER_ENCODING | UPGRADE)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// The cookies of a request, which HTTP/2 may send in pieces, as the one field that HTTP/1.1 has (RFC 9113 8.2.3).
fn write_cookies(fields: &HeaderMap, out: &mut Vec<u8>) {
    let mut joint: &[u8] = b"cookie: ";
    for piece in fields.get_all(COOKIE) {
        out.extend_from_slice(joint);
        out.extend_from_slice(piece.as_bytes());
        joint = b"; ";
    }
    if fields.contains_key(COOKIE) {
        out.extend_from_slice(b"\r\n");
    }
}

/// How the content of an answer goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Content {
    Chunked,
    /// As many bytes as the head says.
    Measured,
    None,
}

/// Appends the head of the upstream's answer.
pub(super) fn write_answer(parts: &response::Parts, rest: Rest, to: AnswerTo, out: &mut Vec<u8>) -> Content {
    write::status_line(out, parts.status.as_u16(), b"");
    let status = parts.status;
    let bodyless = to == AnswerTo::Head || status.is_informational() || matches!(status.as_u16(), 204 | 304);
    let measured = parts.headers.contains_key(CONTENT_LENGTH);
    let content = match rest {
        _ if bodyless => Content::None,
        Rest::Nothing => Content::None,
        // Trailers can follow chunks alone. Who does not say that some will come has none, but for gRPC.
        Rest::Body if measured && !may_have_trailers(&parts.headers) => Content::Measured,
        Rest::Body => Content::Chunked,
    };
    for (name, value) in &parts.headers {
        if content != Content::Chunked || *name != CONTENT_LENGTH {
            write::field(out, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    if content == Content::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    } else if content == Content::None && !bodyless && !measured {
        out.extend_from_slice(b"content-length: 0\r\n");
    }
    write::end_of_head(out);
    content
}

fn may_have_trailers(fields: &HeaderMap) -> bool {
    let of_grpc = |value: &HeaderValue| grpc::is_type(value.as_bytes());
    fields.contains_key(TRAILER) || fields.get(CONTENT_TYPE).is_some_and(of_grpc)
}

/// Appends trailers as field lines.
pub(super) fn write_trailers(trailers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in trailers {
        write::field(out, name.as_str().as_bytes(), value.as_bytes());
    }
}

/// A head that the gateway wrote itself, taken apart.
#[derive(Clone, Copy)]
pub(super) struct Written<'b> {
    start: &'b [u8],
    lines: &'b [u8],
    /// Bytes that the head took.
    pub(super) size: usize,
}

impl<'b> Written<'b> {
    /// `None` while the head is not there whole.
    pub(super) fn read(bytes: &'b [u8]) -> Option<Self> {
        let size = memmem::find(bytes, b"\r\n\r\n")? + 4;
        let head = bytes.get(..size - 2)?;
        let (start, lines) = head.split_at_checked(memmem::find(head, b"\r\n")? + 2)?;
        Some(Self { start, lines, size })
    }

    /// The words of the first line.
    fn words(&self) -> impl Iterator<Item = &'b [u8]> {
        self.start.trim_ascii_end().split(|byte| *byte == b' ')
    }

    fn fields(&self) -> impl Iterator<Item = (&'b [u8], &'b [u8])> {
        split_lines(self.lines)
    }

    fn value(&self, kind: Kind) -> Option<&'b [u8]> {
        self.fields().find(|(name, _)| Kind::of(name) == kind).map(|(_, value)| value)
    }

    fn is_chunked(&self) -> bool {
        self.value(Kind::TransferEncoding).is_some()
    }

    fn length(&self) -> Option<u64> {
        std::str::from_utf8(self.value(Kind::ContentLength)?).ok()?.parse().ok()
    }

    /// The fields that go on over HTTP/2, which has no field for one hop alone.
    fn to_map(self) -> Option<HeaderMap> {
        let mut map = HeaderMap::with_capacity(16);
        for (name, value) in self.fields() {
            let kind = Kind::of(name);
            if !kind.is_hop_by_hop() && !matches!(kind, Kind::HopByHop | Kind::Host) {
                map.try_append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?).ok()?;
            }
        }
        Some(map)
    }

    /// The status of an answer.
    pub(super) fn status(&self) -> Option<StatusCode> {
        StatusCode::from_bytes(self.words().nth(1)?).ok()
    }

    /// The answer that the head begins, as HTTP/2 has it.
    pub(super) fn answer(self) -> Option<http::Response<()>> {
        let mut answer = http::Response::new(());
        *answer.status_mut() = self.status()?;
        *answer.headers_mut() = self.to_map()?;
        Some(answer)
    }

    /// How the body of an answer is delimited.
    pub(super) fn answer_framing(&self, to: AnswerTo) -> ResponseFraming {
        if to == AnswerTo::Head || self.status().is_some_and(|status| matches!(status.as_u16(), 204 | 304)) {
            return ResponseFraming::None;
        }
        match (self.is_chunked(), self.length()) {
            (true, _) => ResponseFraming::Chunked,
            (false, Some(length)) => ResponseFraming::Length(length),
            (false, None) => ResponseFraming::None,
        }
    }

    /// The target of a request, where HTTP/2 can carry it byte for byte.
    pub(super) fn path(&self) -> Option<PathAndQuery> {
        let target = self.words().nth(1)?;
        PathAndQuery::try_from(target).ok().filter(|path| path.as_str().as_bytes() == target)
    }

    /// The request that the head begins, as HTTP/2 has it.
    ///
    /// `None` where it cannot be said in HTTP/2. `TE: trailers` is ours to say: an answer's trailers are passed on.
    pub(super) fn request(self, scheme: &Scheme) -> Option<http::Request<()>> {
        let mut request = self.request_by(Method::from_bytes(self.words().next()?).ok()?, scheme)?;
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        Some(request)
    }

    /// The same request by this method, without `TE`.
    fn request_by(self, method: Method, scheme: &Scheme) -> Option<http::Request<()>> {
        let uri = Uri::builder()
            .scheme(scheme.clone())
            .authority(Authority::try_from(self.value(Kind::Host)?).ok()?)
            .path_and_query(self.path()?);
        let mut request = http::Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = uri.build().ok()?;
        *request.headers_mut() = self.to_map()?;
        Some(request)
    }

    /// How the body of a request is delimited.
    pub(super) fn request_framing(&self) -> Framing {
        match (self.is_chunked(), self.length()) {
            (true, _) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::None,
        }
    }

    /// To what an answer to this request answers.
    pub(super) fn answer_to(&self) -> AnswerTo {
        if self.words().next() == Some(b"HEAD") { AnswerTo::Head } else { AnswerTo::Other }
    }
}

/// Trailers, from field lines that were validated.
pub(super) fn trailers(lines: &[u8]) -> HeaderMap {
    let field = |(name, value)| Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?));
    let mut map = HeaderMap::new();
    for (name, value) in split_lines(lines).filter_map(field) {
        map.append(name, value);
    }
    map
}

fn split_lines(lines: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines.split(|byte| *byte == b'\n').filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        Some((name, value.get(1..)?.trim_ascii()))
    })
}

#[cfg(test)]
mod tests;
