//! A caller that says exactly the bytes it is told to, and reads what comes back under a deadline.

use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::Path;

use super::PATIENCE;
use super::wire::{Extent, Message, Socket, Wire};

/// How the other side ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It sent a FIN.
    Closed,
    /// It sent a RST.
    Reset,
}

/// One connection of a caller.
pub struct Client {
    wire: Wire,
    method: String,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect_timeout(&address, PATIENCE)
            .unwrap_or_else(|error| panic!("no connection to {address}: {error}"));
        stream.set_nodelay(true).expect("TCP_NODELAY can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a write timeout can be set");
        Client::over(Wire::new(stream))
    }

    pub fn connect_unix(path: &Path) -> Client {
        let stream =
            UnixStream::connect(path).unwrap_or_else(|error| panic!("no connection to {}: {error}", path.display()));
        Client::over(Wire::new(stream))
    }

    /// A connection that is there already, such as one with TLS.
    pub fn on(socket: impl Socket + 'static) -> Client {
        Client::over(Wire::new(socket))
    }

    fn over(wire: Wire) -> Client {
        wire.socket.read_within(Some(PATIENCE));
        Client { wire, method: String::new() }
    }

    /// Sends bytes as they are. The first word is taken for the method of the response that is read next.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        let bytes = bytes.as_ref();
        self.method =
            String::from_utf8_lossy(bytes.split(|byte| *byte == b' ').next().unwrap_or_default()).into_owned();
        self.send_more(bytes)
    }

    /// Sends more of the same request: a body, or a head that comes in pieces.
    pub fn send_more(&mut self, bytes: impl AsRef<[u8]>) -> &mut Client {
        self.try_send(bytes).expect("the bytes can be sent");
        self
    }

    /// As `send_more`, where the other side may have gone away.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.wire.socket.write_all(bytes.as_ref())?;
        self.wire.socket.flush()
    }

    /// The next head, an interim one included.
    pub fn read_head(&mut self) -> Message {
        let head = self.wire.head().unwrap_or_else(|error| panic!("no answer within {PATIENCE:?}: {error}"));
        head.expect("an answer, not the end of the connection")
    }

    /// One whole response; 1xx heads before it are in `interim`. A body that breaks off leaves `whole` false.
    pub fn read(&mut self) -> Message {
        let mut interim = Vec::new();
        let mut head = self.read_head();
        while head.status() < 200 && head.status() != 101 {
            interim.push(std::mem::replace(&mut head, self.read_head()));
        }
        head.interim = interim;
        self.read_body(&mut head);
        head
    }

    /// The body that belongs to a head which `read_head` gave.
    pub fn read_body(&mut self, head: &mut Message) {
        let extent = Extent::of_response(head, &self.method);
        match self.wire.body(head, extent) {
            Ok(()) => {}
            Err(error) if is_timeout(&error) => {
                panic!("the body did not end within {PATIENCE:?}: {}", head.text())
            }
            Err(_) => head.whole = false,
        }
    }

    /// Reads a body and forgets it; the number of bytes.
    pub fn discard_body(&mut self, head: &mut Message) -> u64 {
        let extent = Extent::of_response(head, &self.method);
        self.wire.discard_body(head, extent).expect("the body comes whole")
    }

    /// The bytes up to and with `needle`, which belong to no message.
    pub fn read_until(&mut self, needle: impl AsRef<[u8]>) -> Vec<u8> {
        let needle = needle.as_ref();
        let bytes = self.wire.until(needle).unwrap_or_else(|error| panic!("no {:?}: {error}", needle.escape_ascii()));
        assert!(bytes.ends_with(needle), "{:?} and not {:?}", bytes.escape_ascii(), needle.escape_ascii());
        bytes
    }

    /// Whatever still comes, and how the connection ends. Panics where it stays open.
    pub fn read_to_end(&mut self) -> (Vec<u8>, Ending) {
        loop {
            match self.wire.fill() {
                Ok(0) => return (self.wire.take_held(), Ending::Closed),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {
                    panic!("the connection stayed open for {PATIENCE:?}")
                }
                Err(_) => return (self.wire.take_held(), Ending::Reset),
            }
        }
    }

    /// Asserts that nothing more comes and that the connection is closed.
    pub fn assert_closed(&mut self) {
        let (rest, _) = self.read_to_end();
        assert!(rest.is_empty(), "more came before the end: {:?}", String::from_utf8_lossy(&rest));
    }

    /// Says that nothing more will be sent.
    pub fn half_close(&mut self) {
        self.wire.socket.half_close();
    }

    /// Goes away with a RST.
    pub fn reset(mut self) {
        self.wire.socket.reset();
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// A request, written field by field. What a raw-byte test needs to say differently it writes out by hand.
#[derive(Clone, Debug)]
pub struct Call {
    head: String,
    body: Vec<u8>,
}

impl Call {
    pub fn new(method: &str, target: &str) -> Call {
        Call { head: format!("{method} {target} HTTP/1.1\r\nHost: api.test\r\n"), body: Vec::new() }
    }

    pub fn get(target: &str) -> Call {
        Call::new("GET", target)
    }

    pub fn post(target: &str) -> Call {
        Call::new("POST", target)
    }

    /// Presents a key as `Authorization: Bearer`.
    pub fn key(self, key: &str) -> Call {
        self.field("Authorization", &format!("Bearer {key}"))
    }

    pub fn field(mut self, name: &str, value: &str) -> Call {
        self.head.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// A body with its Content-Length.
    pub fn body(self, body: impl AsRef<[u8]>) -> Call {
        let length = body.as_ref().len().to_string();
        let mut call = self.field("Content-Length", &length);
        call.body = body.as_ref().to_vec();
        call
    }

    /// A chunked body, one chunk an item.
    pub fn chunks(self, chunks: &[&str]) -> Call {
        let mut call = self.field("Transfer-Encoding", "chunked");
        for chunk in chunks {
            call.body.extend_from_slice(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes());
        }
        call.body.extend_from_slice(b"0\r\n\r\n");
        call
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{}\r\n", self.head).into_bytes();
        bytes.extend_from_slice(&self.body);
        bytes
    }
}
