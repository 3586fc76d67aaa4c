mod field_rules;
mod kinds;
mod limits;
mod properties;
mod requests;
mod responses;
mod sentences;

use super::*;

const LIMITS: Limits = Limits { header_bytes: 32 * 1024, headers: 100, target_bytes: 8 * 1024 };

const BAD: HeadFault = HeadFault::BadRequest("");

/// The kind of refusal, without its words.
fn class(fault: HeadFault) -> HeadFault {
    match fault {
        HeadFault::BadRequest(_) => BAD,
        other => other,
    }
}

/// `GET / HTTP/1.1` with `Host: a` and these lines more.
fn with(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n").into_bytes()
}

fn read(buf: &[u8]) -> RequestHead<'_> {
    match request(buf, &LIMITS) {
        Ok(Some(head)) => head,
        other => panic!("{}: {other:?}", buf.escape_ascii()),
    }
}

fn refused(buf: &[u8]) -> HeadFault {
    match request(buf, &LIMITS) {
        Err(fault) => class(fault),
        other => panic!("{}: {other:?}", buf.escape_ascii()),
    }
}

/// `HTTP/1.1 200 OK` with these lines.
fn answer(lines: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{lines}\r\n").into_bytes()
}
