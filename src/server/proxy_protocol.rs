//! The header by which a load balancer says whose connection it passes on (PROXY protocol, versions 1 and 2).
//!
//! Pure: bytes in, a verdict out, and strict. What deviates from the specification at any byte is malformed, and nothing
//! is read past the header, which ends where it says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest header of version 1, with its line end.
const LONGEST_LINE: usize = 107;
/// What begins a header of version 2.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of a header of version 2 before the addresses.
const FIXED: usize = 16;

/// A whole header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Its length, in bytes.
    pub size: usize,
    /// Who connected to the load balancer; `None` where it does not say, or speaks for itself (`UNKNOWN`, `LOCAL`).
    pub source: Option<IpAddr>,
}

/// Why bytes are no header.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

/// Reads a header; `None` while `bytes` are only the beginning of one.
///
/// # Errors
/// No continuation would make these bytes begin with a header.
pub fn parse(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => parse_line(bytes),
        Some(_) => parse_binary(bytes),
    }
}

/// Whether `bytes` begin with `start`; `None` where that cannot be told yet.
fn begins_with(bytes: &[u8], start: &[u8]) -> Option<bool> {
    let common = bytes.len().min(start.len());
    if bytes.get(..common) != start.get(..common) {
        return Some(false);
    }
    (common == start.len()).then_some(true)
}

/// Version 1: `PROXY TCP4 192.0.2.1 198.51.100.2 56324 443` and a line end.
fn parse_line(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    const NO_HEADER: Malformed = Malformed("the connection does not begin with a PROXY header");
    if begins_with(bytes, b"PROXY ") == Some(false) {
        return Err(NO_HEADER);
    }
    let within = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = within.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else {
        return if bytes.len() < LONGEST_LINE { Ok(None) } else { Err(Malformed("the PROXY line has no end")) };
    };
    match within.get(end..) {
        Some([b'\r']) if end + 1 < LONGEST_LINE => return Ok(None),
        Some([b'\r', b'\n', ..]) => {}
        _ => return Err(Malformed("the PROXY line does not end in CR LF")),
    }
    let line = within.get(..end).and_then(|line| std::str::from_utf8(line).ok());
    let line = line.ok_or(Malformed("the PROXY line is not ASCII"))?;
    let mut words = line.split(' ');
    let (_, family) = (words.next(), words.next());
    let source = match family {
        // What follows UNKNOWN is to be ignored.
        Some("UNKNOWN") => None,
        Some("TCP4") => Some(pair::<Ipv4Addr>(words)?.into()),
        Some("TCP6") => Some(pair::<Ipv6Addr>(words)?.into()),
        _ => return Err(Malformed("the PROXY line is not of TCP4, TCP6 or UNKNOWN")),
    };
    Ok(Some(Header { size: end + 2, source }))
}

/// Both addresses and both ports; gives the source.
fn pair<A: std::str::FromStr>(words: std::str::Split<'_, char>) -> Result<A, Malformed> {
    const WRONG: Malformed = Malformed("the PROXY line has no two addresses and two ports");
    let words: [&str; 4] = words.collect::<Vec<_>>().try_into().map_err(|_| WRONG)?;
    let [source, destination, from, to] = words;
    let (source, destination) = (source.parse::<A>(), destination.parse::<A>());
    match (source, destination) {
        (Ok(source), Ok(_)) if is_port(from) && is_port(to) => Ok(source),
        _ => Err(WRONG),
    }
}

/// Decimal digits, no more of them than needed.
fn is_port(text: &str) -> bool {
    let canonical = text == "0" || !text.starts_with('0');
    canonical && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// Version 2: a signature, version and command, family, length, addresses, and further values, which are skipped.
fn parse_binary(bytes: &[u8]) -> Result<Option<Header>, Malformed> {
    if begins_with(bytes, &SIGNATURE) == Some(false) {
        return Err(Malformed("the connection does not begin with a PROXY header"));
    }
    let command = match bytes.get(SIGNATURE.len()) {
        None => return Ok(None),
        Some(0x20) => Command::Local,
        Some(0x21) => Command::Proxy,
        Some(_) => return Err(Malformed("the PROXY header has another version or command")),
    };
    let Some([family, high, low]) = bytes.get(SIGNATURE.len() + 1..FIXED) else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    let least = match (command, *family) {
        // A health check of the load balancer itself: whatever addresses it gives mean nothing.
        (Command::Local, _) | (Command::Proxy, 0x00) => 0,
        (Command::Proxy, 0x11) => 12,
        (Command::Proxy, 0x21) => 36,
        (Command::Proxy, 0x31) => 216,
        (Command::Proxy, _) => return Err(Malformed("the PROXY header is not of a stream")),
    };
    if length < least {
        return Err(Malformed("the PROXY header is shorter than its addresses"));
    }
    let Some(values) = bytes.get(FIXED..FIXED + length) else {
        return Ok(None);
    };
    let source = match (command, *family) {
        (Command::Proxy, 0x11) => values.first_chunk::<4>().map(|octets| IpAddr::from(*octets)),
        (Command::Proxy, 0x21) => values.first_chunk::<16>().map(|octets| IpAddr::from(*octets)),
        _ => None,
    };
    Ok(Some(Header { size: FIXED + length, source }))
}

#[derive(Clone, Copy)]
enum Command {
    Local,
    Proxy,
}

#[cfg(test)]
mod tests;
