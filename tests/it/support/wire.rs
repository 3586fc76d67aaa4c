//! HTTP/1.1 messages read in the plainest way there is: on purpose not the gateway's own reading, so that a mistake of the
//! gateway cannot hide behind the same mistake here.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// What a connection is made of: a TCP or a Unix socket, or TLS over one.
pub trait Socket: Read + Write + Send {
    /// Bounds every read from here on; `None` waits for ever.
    fn read_within(&self, limit: Option<Duration>);
    /// Sends a FIN and keeps reading.
    fn half_close(&mut self);
    /// Closes with a RST where the transport knows one, so that what was sent may be lost.
    fn reset(&mut self);
}

impl Socket for TcpStream {
    fn read_within(&self, limit: Option<Duration>) {
        self.set_read_timeout(limit).expect("a read timeout can be set");
    }

    fn half_close(&mut self) {
        let _ = self.shutdown(Shutdown::Write);
    }

    fn reset(&mut self) {
        let _ = socket2::SockRef::from(&*self).set_linger(Some(Duration::ZERO));
    }
}

impl Socket for UnixStream {
    fn read_within(&self, limit: Option<Duration>) {
        self.set_read_timeout(limit).expect("a read timeout can be set");
    }

    fn half_close(&mut self) {
        let _ = self.shutdown(Shutdown::Write);
    }

    fn reset(&mut self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// One request or response as it stood on the wire.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// The request line or the status line.
    pub start: String,
    /// The fields in their order, names as they were written.
    pub fields: Vec<(String, String)>,
    /// The bytes of the head, with the empty line that ends it.
    pub head: Vec<u8>,
    /// The content, without chunk lines.
    pub body: Vec<u8>,
    /// The trailer section of a chunked message.
    pub trailers: Vec<(String, String)>,
    /// The bytes of the body as they came, chunk lines and trailers included.
    pub body_wire: Vec<u8>,
    /// Whether the body came to the end that its framing announced.
    pub whole: bool,
    /// The 1xx heads that came before it.
    pub interim: Vec<Message>,
}

impl Message {
    /// The status of a response.
    pub fn status(&self) -> u16 {
        self.start
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or_else(|| panic!("no status in {:?}", self.start))
    }

    /// The method of a request.
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// The target of a request, as it was sent.
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// The values of all fields of that name, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.fields
            .iter()
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value of the one field of that name; two are a mistake worth stopping at.
    pub fn field(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} stands {} times in {:?}", values.len(), self.text());
        values.first().copied()
    }

    /// Whether there is a field of that name.
    pub fn has(&self, name: &str) -> bool {
        !self.all(name).is_empty()
    }

    /// The body as text.
    pub fn body_text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}) in {:?}", self.text()))
    }

    /// The `code` of a body the gateway made.
    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_else(|| panic!("no code in {:?}", self.text())).to_owned()
    }

    /// Head and body for a message that a person reads.
    pub fn text(&self) -> String {
        format!(
            "{}{}",
            String::from_utf8_lossy(&self.head),
            String::from_utf8_lossy(self.body.get(..4096).unwrap_or(&self.body))
        )
    }
}

/// How long the content of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// There is none.
    Nothing,
    /// So many bytes.
    Length(u64),
    /// Chunked.
    Chunked,
    /// Whatever comes until the connection closes.
    UntilClose,
}

impl Extent {
    /// The extent of a request's content.
    pub fn of_request(request: &Message) -> Extent {
        Extent::stated(request).unwrap_or(Extent::Nothing)
    }

    /// The extent of the content of a response to a request with `method`.
    pub fn of_response(response: &Message, method: &str) -> Extent {
        let status = response.status();
        if method == "HEAD" || status < 200 || status == 204 || status == 304 {
            return Extent::Nothing;
        }
        Extent::stated(response).unwrap_or(Extent::UntilClose)
    }

    fn stated(message: &Message) -> Option<Extent> {
        if message.has("transfer-encoding") {
            return Some(Extent::Chunked);
        }
        message
            .field("content-length")
            .map(|value| Extent::Length(value.parse().unwrap_or_else(|_| panic!("Content-Length {value:?}"))))
    }
}

/// Is handed every byte that is read.
type Seen = Box<dyn FnMut(&[u8]) + Send>;

/// A connection that is read message by message. What is read is handed to `seen` as well where a record is asked for.
pub struct Wire {
    pub socket: Box<dyn Socket>,
    held: Vec<u8>,
    seen: Option<Seen>,
}

impl Wire {
    pub fn new(socket: impl Socket + 'static) -> Wire {
        Wire { socket: Box::new(socket), held: Vec::new(), seen: None }
    }

    /// Hands every byte that is read to `seen` as well.
    pub fn recorded(mut self, seen: impl FnMut(&[u8]) + Send + 'static) -> Wire {
        self.seen = Some(Box::new(seen));
        self
    }

    /// Reads once; 0 is the other side's FIN.
    pub fn fill(&mut self) -> io::Result<usize> {
        let mut block = [0_u8; 65536];
        let count = loop {
            match self.socket.read(&mut block) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        if let Some(seen) = &mut self.seen {
            seen(&block[..count]);
        }
        self.held.extend_from_slice(&block[..count]);
        Ok(count)
    }

    /// The next head, or `None` where the connection ends before one begins.
    pub fn head(&mut self) -> io::Result<Option<Message>> {
        let end = loop {
            if let Some(at) = find(&self.held, b"\r\n\r\n") {
                break at + 4;
            }
            if self.fill()? == 0 {
                if self.held.is_empty() {
                    return Ok(None);
                }
                let cut = String::from_utf8_lossy(&self.held).into_owned();
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("the connection ended within a head: {cut:?}"),
                ));
            }
        };
        let head: Vec<u8> = self.held.drain(..end).collect();
        let text = String::from_utf8_lossy(&head).into_owned();
        let mut lines = text.trim_end_matches("\r\n").split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(field_line).collect();
        Ok(Some(Message { start, fields, head, ..Message::default() }))
    }

    /// Reads the content of `message`; `whole` says afterwards whether all of it came.
    pub fn body(&mut self, message: &mut Message, extent: Extent) -> io::Result<()> {
        let mut body = Vec::new();
        let ended = self.pass_body(message, extent, &mut |block| body.extend_from_slice(block));
        message.body = body;
        ended
    }

    /// Reads the content of `message` and forgets it, for contents that no test should hold. The number of bytes.
    pub fn discard_body(&mut self, message: &mut Message, extent: Extent) -> io::Result<u64> {
        let mut count = 0;
        self.pass_body(message, extent, &mut |block| count += block.len() as u64)?;
        Ok(count)
    }

    fn pass_body(&mut self, message: &mut Message, extent: Extent, out: &mut dyn FnMut(&[u8])) -> io::Result<()> {
        let ended = match extent {
            Extent::Nothing => Ok(true),
            Extent::Length(length) => self.pass(length, out),
            Extent::Chunked => self.pass_chunks(message, out),
            Extent::UntilClose => self.pass(u64::MAX, out).map(|_| true),
        };
        message.whole = matches!(ended, Ok(true));
        ended.map(|_| ())
    }

    /// Passes `length` bytes on; whether all of them came.
    fn pass(&mut self, length: u64, out: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        let mut left = length;
        while left > 0 {
            if self.held.is_empty() && self.fill()? == 0 {
                return Ok(false);
            }
            let count = self.held.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            out(&self.held[..count]);
            self.held.drain(..count);
            left -= count as u64;
        }
        Ok(true)
    }

    fn pass_chunks(&mut self, message: &mut Message, out: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        loop {
            let Some(line) = self.line()? else {
                return Ok(false);
            };
            message.body_wire.extend_from_slice(&line);
            let text = String::from_utf8_lossy(&line).into_owned();
            let size = u64::from_str_radix(text.trim_end_matches("\r\n"), 16);
            let size = size.unwrap_or_else(|_| panic!("a chunk line that is not canonical: {text:?}"));
            if size == 0 {
                break;
            }
            if !self.pass(size, out)? {
                return Ok(false);
            }
            if self.line()?.as_deref() != Some(b"\r\n".as_slice()) {
                return Ok(false);
            }
        }
        loop {
            let Some(line) = self.line()? else {
                return Ok(false);
            };
            message.body_wire.extend_from_slice(&line);
            if line == b"\r\n" {
                return Ok(true);
            }
            message.trailers.push(field_line(String::from_utf8_lossy(&line).trim_end_matches("\r\n")));
        }
    }

    /// One line with its CRLF, or `None` where the connection ends first.
    fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(at) = find(&self.held, b"\r\n") {
                return Ok(Some(self.held.drain(..at + 2).collect()));
            }
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
    }

    /// The bytes up to and with the first `needle`, whatever they are. What came where the other side ends first.
    pub fn until(&mut self, needle: &[u8]) -> io::Result<Vec<u8>> {
        loop {
            if let Some(at) = find(&self.held, needle) {
                return Ok(self.held.drain(..at + needle.len()).collect());
            }
            if self.fill()? == 0 {
                return Ok(self.take_held());
            }
        }
    }

    /// Takes what was read and not yet looked at.
    pub fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

fn field_line(line: &str) -> (String, String) {
    let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("a field line without a colon: {line:?}"));
    (name.to_owned(), value.trim_matches([' ', '\t']).to_owned())
}

/// Where `needle` begins in `haystack`.
pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Base64 with padding, as HTTP Basic wants it.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let letter = ALPHABET[(word >> (18 - 6 * place) & 63) as usize] as char;
            text.push(if place <= group.len() { letter } else { '=' });
        }
    }
    text
}
