//! One connection of the stub: requests read one after another, each answered before the next.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::answer::{self, Answer, Call};
use super::resources::Resources;
use crate::http1::body::Outgoing;
use crate::http1::head::Kind;
use crate::http1::{Body, Limits, request, write};

/// Bytes of a request body that are kept to be read as JSON; the rest is read and dropped.
const KEPT_BODY_BYTES: usize = 1024 * 1024;
const READ_BYTES: usize = 16 * 1024;

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Connection {
    Close,
    KeepAlive,
}

/// A request that was read whole.
struct Whole {
    method: String,
    target: String,
    is_authorized: bool,
    connection: Connection,
    body: Vec<u8>,
}

/// Answers requests until the peer closes, asks for closing, or sends what is no HTTP.
pub(super) fn serve(mut stream: &TcpStream, resources: &Resources, credential: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::new();
    loop {
        let whole = match read(stream, &mut buffer, credential) {
            Ok(Some(whole)) => whole,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let refusal = answer::refusal(400, "invalid", "Invalid input.", &error.to_string());
                return stream.write_all(&render(&refusal, "GET", Connection::Close));
            }
            Err(error) => return Err(error),
        };
        let answer = if whole.is_authorized {
            let body = serde_json::from_slice(&whole.body).unwrap_or(Value::Null);
            answer::answer(resources, &Call { method: &whole.method, target: &whole.target, body: &body })
        } else {
            answer::refusal(
                401,
                "not_authenticated",
                "Authentication credentials were not provided.",
                "Missing or invalid private key.",
            )
        };
        stream.write_all(&render(&answer, &whole.method, whole.connection))?;
        if whole.connection == Connection::Close {
            return Ok(());
        }
    }
}

/// Reads one request from the connection; `None` where it ends between two.
fn read(mut stream: &TcpStream, buffer: &mut Vec<u8>, credential: &[u8]) -> io::Result<Option<Whole>> {
    let limits = Limits::default();
    let (mut whole, mut body, expects_continue) = loop {
        let parsed = request(buffer, &limits).map_err(invalid)?.map(|head| {
            let authorization = head.fields.iter().find(|field| field.kind == Kind::Authorization);
            let whole = Whole {
                method: String::from_utf8_lossy(head.method).into_owned(),
                target: String::from_utf8_lossy(head.target).into_owned(),
                is_authorized: authorization.is_some_and(|field| field.value == credential),
                connection: if head.keep_alive { Connection::KeepAlive } else { Connection::Close },
                body: Vec::new(),
            };
            (head.size, (whole, Body::of_request(head.framing), head.expect_continue))
        });
        if let Some((size, parsed)) = parsed {
            buffer.drain(..size);
            break parsed;
        }
        if !fill(stream, buffer)? {
            return Ok(None);
        }
    };
    if expects_continue && buffer.is_empty() && !body.is_done() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    while !body.is_done() {
        if buffer.is_empty() && !fill(stream, buffer)? {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let step = body.step(buffer).map_err(invalid)?;
        let room = KEPT_BODY_BYTES.saturating_sub(whole.body.len());
        whole.body.extend(buffer.get(step.data).unwrap_or_default().iter().take(room));
        buffer.drain(..step.consumed);
    }
    Ok(Some(whole))
}

/// Appends what has arrived; false where the peer has closed its side.
fn fill(mut stream: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<bool> {
    let start = buffer.len();
    buffer.resize(start + READ_BYTES, 0);
    let read = stream.read(buffer.get_mut(start..).unwrap_or_default());
    buffer.truncate(start + *read.as_ref().unwrap_or(&0));
    Ok(read? > 0)
}

fn invalid(fault: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

fn render(answer: &Answer, method: &str, connection: Connection) -> Vec<u8> {
    let body = answer.body.as_ref().map(Value::to_string).unwrap_or_default();
    let mut out = Vec::with_capacity(512 + body.len());
    write::status_line(&mut out, answer.status, answer.reason().as_bytes());
    if answer.body.is_some() {
        write::field(&mut out, b"Content-Type", b"application/vnd.api+json");
    }
    write::field(&mut out, b"RateLimit-Limit", b"75, 75;w=1, 750;w=60");
    write::field(&mut out, b"RateLimit-Remaining", b"749");
    write::field(&mut out, b"RateLimit-Reset", b"1");
    if connection == Connection::Close {
        write::field(&mut out, b"Connection", b"close");
    }
    // 204 has no body and no length (RFC 9110, 8.6).
    if answer.status != 204 {
        write::framing(&mut out, Outgoing::Length(body.len() as u64));
    }
    write::end_of_head(&mut out);
    if method != "HEAD" {
        out.extend_from_slice(body.as_bytes());
    }
    out
}
