//! Every answer that the gateway makes itself: one table from denial or error to status, fields and body.
//!
//! The bodies are RFC 9457 problems, JSON:API errors or Mailjet's form; the fields follow RFC 6750 section 3
//! (`WWW-Authenticate`) and RFC 9209 (`Proxy-Status`). Lists of scopes are sorted by the trace they come from.

mod body;
pub(crate) mod form;

use std::borrow::Cow;

use crate::http1::head::Version;
use crate::http1::write;
use crate::key::mask::Mask;
use crate::policy::{Denial, Refusal};
use crate::snapshot::{Accept, ErrorFormat};

use super::cors;
use super::error::ProxyError;

/// One refusal, ready to be written.
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) code: &'static str,
    pub(crate) title: &'static str,
    pub(crate) detail: &'a str,
    pub(crate) proxy_status: &'static str,
    /// What `Proxy-Status` says of it, where it lacks no scopes.
    details: &'a str,
    pub(crate) challenge: Challenge,
    /// What the decision saw, as far as the caller may know it.
    refusal: Option<&'a Refusal<'a>>,
    pub(crate) source: Option<Source<'a>>,
}

/// The reasons of a denial, in words that show no key, wherever the caller put one.
pub(crate) struct Told<'a>(Refusal<'a>);

impl<'a> Told<'a> {
    pub(crate) fn new(refusal: impl Into<Refusal<'a>>, mask: Mask<'_>) -> Self {
        let mut refusal = refusal.into();
        for words in [&mut refusal.reason].into_iter().chain(&mut refusal.parameter).chain(&mut refusal.member) {
            mask.cover(words);
        }
        Self(refusal)
    }
}

/// Which part of the request is at fault, as JSON:API's `source` says it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// Where a key belongs by the configuration in force.
    Key,
    Parameter(&'a str),
}

/// What `WWW-Authenticate` says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Challenge {
    InsufficientScope,
    InvalidToken,
    MissingKey,
    None,
}

/// What an answer takes about, head and body.
const USUAL: usize = 1024;

/// How an answer is framed and to whom it goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) accept: &'a Accept,
    pub(crate) format: ErrorFormat,
    pub(crate) request_id: &'a [u8],
    /// The value of the `Date` field.
    pub(crate) date: [u8; 29],
    /// The origin of the page that called, where it may read the answer; otherwise empty.
    pub(crate) origin: &'a [u8],
    /// The request was HEAD: the same fields, no body.
    pub(crate) head: bool,
    /// What becomes of the connection.
    pub(crate) connection: Connection,
    /// The call was gRPC (`content-type: application/grpc…`).
    pub(crate) grpc: bool,
}

/// What becomes of the connection after an answer (RFC 9112 9.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Connection {
    Close,
    /// It stays, and a caller of HTTP/1.0 has to be told so.
    KeepAlive,
    /// It stays, as HTTP/1.1 has it without a word.
    Persistent,
}

impl Connection {
    pub(crate) fn of(version: Version, close: bool) -> Self {
        match (close, version) {
            (true, _) => Self::Close,
            (false, Version::Http10) => Self::KeepAlive,
            (false, Version::Http11) => Self::Persistent,
        }
    }

    pub(crate) fn write(self, out: &mut Vec<u8>) {
        match self {
            Self::Close => write::field(out, b"connection", b"close"),
            Self::KeepAlive => write::field(out, b"connection", b"keep-alive"),
            Self::Persistent => {}
        }
    }
}

impl<'a> Reply<'a> {
    /// The answer to a request that the policy denies.
    pub(crate) fn denial(denial: Denial, told: Option<&'a Told<'a>>) -> Self {
        let refusal = told.map(|told| &told.0);
        let status = denial.status();
        let challenge = match (status, denial) {
            (_, Denial::MissingKey) => Challenge::MissingKey,
            (401, _) => Challenge::InvalidToken,
            (_, Denial::InsufficientScope) => Challenge::InsufficientScope,
            _ => Challenge::None,
        };
        let source = match refusal.and_then(|refusal| refusal.parameter.as_deref()) {
            Some(parameter) => Some(Source::Parameter(parameter)),
            None if status == 401 => Some(Source::Key),
            None => None,
        };
        Self {
            status,
            code: denial.code(),
            title: denial.title(),
            detail: refusal.map_or_else(|| denial.detail(), |refusal| &refusal.reason),
            proxy_status: match status {
                400 => "http_request_error",
                503 => "proxy_internal_error",
                _ => "http_request_denied",
            },
            details: denial.code(),
            challenge,
            refusal,
            source,
        }
    }

    /// The answer to a request that could not be served; `detail` says why.
    pub(crate) fn error(error: ProxyError, detail: &'a str) -> Self {
        Self {
            status: error.status(),
            code: error.code(),
            title: error.title(),
            detail,
            proxy_status: error.proxy_status(),
            details: if error.is_telling() { detail } else { error.code() },
            challenge: Challenge::None,
            refusal: None,
            source: None,
        }
    }

    /// Appends the whole answer, head and body, as HTTP/1.1. Returns the length of the body.
    pub(crate) fn write(&self, setting: &Setting<'_>, out: &mut Vec<u8>) -> usize {
        if setting.grpc {
            self.write_grpc(setting, out);
            return 0;
        }
        out.reserve(USUAL);
        write::status_line(out, self.status, reason(self.status));
        write::field(out, b"content-type", body::media_type(setting.format).as_bytes());
        out.extend_from_slice(b"content-length: ");
        let place = out.len();
        out.extend_from_slice(b"\r\n");
        self.write_fields(setting, out);
        let start = out.len();
        body::write(self, setting, out);
        // For whoever reads it in a terminal.
        out.push(b'\n');
        let length = out.len() - start;
        if setting.head {
            out.truncate(start);
        }
        // It is known now: what stands behind its place makes room for it.
        write::decimal_at(out, place, length as u64);
        if setting.head { 0 } else { length }
    }

    /// A gRPC refusal is an HTTP 200 whose head carries the status: the trailers-only form.
    fn write_grpc(&self, setting: &Setting<'_>, out: &mut Vec<u8>) {
        let status: &[u8] = match self.status {
            401 => b"16",
            403 => b"7",
            // Too late, and too much, have statuses of their own.
            408 | 504 => b"4",
            413 | 414 | 431 => b"8",
            502 | 503 => b"14",
            400..500 => b"3",
            _ => b"13",
        };
        write::status_line(out, 200, reason(200));
        write::field(out, b"content-type", b"application/grpc");
        write::field(out, b"content-length", b"0");
        write::field(out, b"grpc-status", status);
        out.extend_from_slice(b"grpc-message: ");
        for &byte in self.detail.as_bytes() {
            // The escape of the gRPC specification ("Responses"): printable ASCII but `%` stands for itself.
            match byte {
                b' '..=b'$' | b'&'..=b'~' => out.push(byte),
                _ => {
                    out.push(b'%');
                    write::hexadecimal(out, u64::from(byte >> 4));
                    write::hexadecimal(out, u64::from(byte & 0xf));
                }
            }
        }
        out.extend_from_slice(b"\r\n");
        self.write_fields(setting, out);
    }

    /// The fields that every own answer has, and the end of the head.
    fn write_fields(&self, setting: &Setting<'_>, out: &mut Vec<u8>) {
        write::field(out, b"date", &setting.date);
        write::field(out, b"cache-control", b"no-store");
        write::field(out, b"x-request-id", setting.request_id);
        self.write_challenges(setting.accept, out);
        if self.status == 503 {
            write::field(out, b"retry-after", b"1");
        }
        out.extend_from_slice(b"proxy-status: scopegate; error=");
        out.extend_from_slice(self.proxy_status.as_bytes());
        out.extend_from_slice(b"; details=\"");
        match self.refusal.filter(|refusal| !refusal.missing.is_empty()) {
            Some(refusal) => {
                out.extend_from_slice(b"missing ");
                write_scopes(&refusal.missing, out);
            }
            None => write_quoted(self.details, out),
        }
        out.extend_from_slice(b"\"\r\n");
        cors::write_allowed(setting.origin, out);
        setting.connection.write(out);
        out.extend_from_slice(b"\r\n");
    }

    /// One challenge for each accepted scheme, `Bearer` where none is accepted (RFC 9110 11.6.1).
    fn write_challenges(&self, accept: &Accept, out: &mut Vec<u8>) {
        if self.challenge == Challenge::None {
            return;
        }
        if self.challenge == Challenge::InsufficientScope {
            out.extend_from_slice(b"www-authenticate: Bearer error=\"insufficient_scope\", scope=\"");
            if let Some(refusal) = self.refusal {
                write_scopes(&refusal.required, out);
            }
            out.extend_from_slice(b"\"\r\n");
            return;
        }
        let error: &[u8] = if self.challenge == Challenge::InvalidToken { b", error=\"invalid_token\"" } else { b"" };
        let mut challenge = |scheme: &[u8], more: &[u8]| {
            out.extend_from_slice(b"www-authenticate: ");
            out.extend_from_slice(scheme);
            out.extend_from_slice(b" realm=\"scopegate\"");
            out.extend_from_slice(more);
            out.extend_from_slice(b"\r\n");
        };
        if accept.bearer || (accept.schemes.is_empty() && !accept.basic) {
            challenge(b"Bearer", error);
        }
        for scheme in &accept.schemes {
            challenge(scheme.as_bytes(), error);
        }
        if accept.basic {
            challenge(b"Basic", b", charset=\"UTF-8\"");
        }
    }
}

/// The reason phrase of a status that the gateway answers with (RFC 9110 15, RFC 6585 5).
fn reason(status: u16) -> &'static [u8] {
    match status {
        200 => b"OK",
        400 => b"Bad Request",
        401 => b"Unauthorized",
        403 => b"Forbidden",
        408 => b"Request Timeout",
        413 => b"Content Too Large",
        414 => b"URI Too Long",
        417 => b"Expectation Failed",
        421 => b"Misdirected Request",
        431 => b"Request Header Fields Too Large",
        502 => b"Bad Gateway",
        503 => b"Service Unavailable",
        504 => b"Gateway Timeout",
        _ => b"Internal Server Error",
    }
}

/// The inside of a string of a structured field (RFC 9651 3.3.3), which has visible ASCII alone.
fn write_quoted(text: &str, out: &mut Vec<u8>) {
    for byte in text.bytes().filter(|byte| matches!(byte, b' '..=b'~')) {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(byte);
    }
}

/// Scopes separated by spaces. Scope tokens hold no quote, backslash or control byte (RFC 6749 3.3).
fn write_scopes(scopes: &[Cow<'_, str>], out: &mut Vec<u8>) {
    for (place, scope) in scopes.iter().enumerate() {
        if place > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(scope.as_bytes());
    }
}

#[cfg(test)]
mod tests;
