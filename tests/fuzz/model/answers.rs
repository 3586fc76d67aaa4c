//! An answer read in the plainest and strictest way there is, by none of the crates that the gateway reads with. Whatever is not
//! written as RFC 9112 has it, with nothing to spare, stops it.

/// Names in small letters and values, in their order.
pub type Fields = Vec<(String, Vec<u8>)>;

/// The head of an answer, and what stands behind it.
#[derive(Debug)]
pub struct Answer<'b> {
    pub status: u16,
    pub reason: &'b [u8],
    pub fields: Fields,
    pub rest: &'b [u8],
}

/// Where the body of an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Chunked,
    Closed,
    Length(usize),
}

/// Reads a head; panics where it is not one.
pub fn read(wire: &[u8]) -> Answer<'_> {
    let (first, mut rest) = line(wire);
    let first = first.strip_prefix(b"HTTP/1.1 ").expect("the version of the gateway");
    let (digits, reason) = first.split_at(3);
    assert!(digits.iter().all(u8::is_ascii_digit) && digits[0] != b'0', "no status: {}", first.escape_ascii());
    let reason = reason.strip_prefix(b" ").expect("a space before the reason");
    assert!(is_text(reason), "no reason: {}", reason.escape_ascii());
    let mut fields = Fields::new();
    loop {
        let (next, behind) = line(rest);
        rest = behind;
        if next.is_empty() {
            let status = number(digits) as u16;
            return Answer { status, reason, fields, rest };
        }
        fields.push(field(next));
    }
}

impl Answer<'_> {
    /// The values of one name.
    pub fn all(&self, name: &str) -> Vec<&[u8]> {
        self.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// Where its body ends, if it is the answer to a HEAD request or not. At most one field may say.
    pub fn end(&self, to_head: bool) -> End {
        let (lengths, codings) = (self.all("content-length"), self.all("transfer-encoding"));
        assert!(lengths.len() + codings.len() <= 1, "framed twice: {:?}", self.fields);
        let no_length = matches!(self.status, 100..=199 | 204);
        assert!(!no_length || lengths.len() + codings.len() == 0, "{} with a length", self.status);
        match (lengths.as_slice(), codings.as_slice()) {
            _ if to_head || no_length || self.status == 304 => End::Length(0),
            ([length], _) => End::Length(number(length)),
            (_, [coding]) => {
                assert_eq!(*coding, b"chunked");
                End::Chunked
            }
            _ => End::Closed,
        }
    }

    /// The body and its trailers, where all of it is there and nothing else.
    pub fn body(&self, end: End) -> (Vec<u8>, Fields) {
        match end {
            End::Closed => (self.rest.to_vec(), Fields::new()),
            End::Length(length) => {
                assert_eq!(self.rest.len(), length, "another length than was said");
                (self.rest.to_vec(), Fields::new())
            }
            End::Chunked => {
                let (data, rest) = chunks(self.rest);
                let mut rest = rest.expect("a last chunk");
                let mut trailers = Fields::new();
                loop {
                    let (next, behind) = line(rest);
                    rest = behind;
                    if next.is_empty() {
                        assert!(rest.is_empty(), "more behind the end: {}", rest.escape_ascii());
                        return (data, trailers);
                    }
                    trailers.push(field(next));
                }
            }
        }
    }
}

/// The data of canonical chunks, and what follows the last one, if it is there.
pub fn chunks(mut wire: &[u8]) -> (Vec<u8>, Option<&[u8]>) {
    let mut data = Vec::new();
    while !wire.is_empty() {
        let (digits, rest) = line(wire);
        let canonical = digits == b"0" || digits.first().is_some_and(|first| *first != b'0');
        assert!(canonical && digits.iter().all(u8::is_ascii_hexdigit), "no size: {}", digits.escape_ascii());
        let size = usize::from_str_radix(std::str::from_utf8(digits).expect("digits"), 16).expect("a size");
        if size == 0 {
            return (data, Some(rest));
        }
        data.extend_from_slice(&rest[..size]);
        wire = rest[size..].strip_prefix(b"\r\n").expect("the end of a chunk");
    }
    (data, None)
}

/// The bytes before the first line end, and those behind it.
fn line(wire: &[u8]) -> (&[u8], &[u8]) {
    let end = wire.iter().position(|byte| matches!(byte, b'\r' | b'\n')).expect("a line end");
    let behind = wire[end..].strip_prefix(b"\r\n").expect("CR with LF");
    (&wire[..end], behind)
}

fn field(line: &[u8]) -> (String, Vec<u8>) {
    let colon = line.iter().position(|byte| *byte == b':').expect("a colon");
    let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    assert!(!name.is_empty() && name.iter().all(|byte| is_name(*byte)), "no name: {}", line.escape_ascii());
    assert!(is_text(value), "no value: {}", line.escape_ascii());
    (String::from_utf8_lossy(name).to_ascii_lowercase(), value.to_vec())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == b'\t' || *byte >= b' ' && *byte != 0x7f)
}

fn number(digits: &[u8]) -> usize {
    assert!(!digits.is_empty() && digits.iter().all(u8::is_ascii_digit), "no number: {}", digits.escape_ascii());
    std::str::from_utf8(digits).expect("digits").parse().expect("a number that is not too large")
}
