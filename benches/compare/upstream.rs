//! The API behind each contestant: 1 KiB of JSON, or 1 MiB below `/v1/archives/`, to whatever it is asked.

use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::{Outcome, READ};

const LISTENER: Token = Token(usize::MAX);
/// Fields of a caller's key, which must not come here.
const CREDENTIALS: [&str; 3] = ["authorization", "x-api-key", "cookie"];

/// All answers, made once.
struct Answers {
    small: Vec<u8>,
    large: Vec<u8>,
    leaked: Vec<u8>,
    is_strict: bool,
    requests: AtomicU64,
    leaks: AtomicU64,
}

fn ok(kind: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nserver: parcels\r\ncontent-type: {kind}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         x-request-id: 7c1e52f09ab3\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

impl Answers {
    fn new(is_strict: bool) -> Self {
        let text = format!("{{\"id\":\"P-1\",\"note\":\"{}\"}}", "n".repeat(1024 - 22));
        Self {
            small: ok("application/json", text.as_bytes()),
            large: ok("application/octet-stream", &vec![b'a'; 1 << 20]),
            leaked: b"HTTP/1.1 500 A Credential Came\r\ncontent-length: 0\r\n\r\n".to_vec(),
            is_strict,
            requests: AtomicU64::new(0),
            leaks: AtomicU64::new(0),
        }
    }

    /// The answer to this head; with the bytes of the head and of the body that follows. `None` where more has to come.
    fn answer(&self, input: &[u8]) -> Outcome<Option<(Reply, usize, usize)>> {
        let mut fields = [httparse::EMPTY_HEADER; 64];
        let mut request = httparse::Request::new(&mut fields);
        let httparse::Status::Complete(head) = request.parse(input)? else { return Ok(None) };
        let (mut body, mut is_leak) = (0, false);
        for field in request.headers.iter() {
            if field.name.eq_ignore_ascii_case("content-length") {
                body = std::str::from_utf8(field.value)?.trim().parse()?;
            } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
                return Err("a body of unknown length, which no caller sent".into());
            }
            is_leak |= CREDENTIALS.iter().any(|name| field.name.eq_ignore_ascii_case(name)) && !field.value.is_empty();
        }
        let target = request.path.unwrap_or_default();
        if target == "/figures" {
            return Ok(Some((Reply::Made(self.figures()), head, body)));
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let reply = if self.is_strict && is_leak {
            self.leaks.fetch_add(1, Ordering::Relaxed);
            Reply::Leaked
        } else if target.starts_with("/v1/archives/") {
            Reply::Large
        } else {
            Reply::Small
        };
        Ok(Some((reply, head, body)))
    }

    fn figures(&self) -> Vec<u8> {
        let (requests, leaks) = (self.requests.load(Ordering::Relaxed), self.leaks.load(Ordering::Relaxed));
        ok("application/json", format!("{{\"requests\":{requests},\"leaks\":{leaks}}}").as_bytes())
    }

    fn bytes<'a>(&'a self, reply: &'a Reply) -> &'a [u8] {
        match reply {
            Reply::Small => &self.small,
            Reply::Large => &self.large,
            Reply::Leaked => &self.leaked,
            Reply::Made(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
enum Reply {
    Small,
    Large,
    Leaked,
    Made(Vec<u8>),
}

struct Connection {
    stream: TcpStream,
    kept: Vec<u8>,
    /// Bytes of a request body that are still to come, and the answer that waits for them.
    body: usize,
    reply: Option<Reply>,
    written: usize,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        Self { stream, kept: Vec::new(), body: 0, reply: None, written: 0 }
    }

    /// Does what can be done; whether the connection goes on.
    fn advance(&mut self, answers: &Answers, input: &mut [u8]) -> Outcome<bool> {
        loop {
            if self.body == 0 && !self.write(answers)? {
                return Ok(true);
            }
            let count = match self.stream.read(input) {
                Ok(0) => return Ok(false),
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            let read = input.get(..count).unwrap_or_default();
            self.take(answers, read)?;
            let is_short = count < input.len();
            if self.body == 0 && !self.write(answers)? || is_short {
                return Ok(true);
            }
        }
    }

    /// Takes what was read. A caller here waits for one answer before it asks again.
    fn take(&mut self, answers: &Answers, read: &[u8]) -> Outcome<()> {
        if self.reply.is_some() {
            self.body = self.body.checked_sub(read.len()).ok_or("a request before the last one's answer")?;
            return Ok(());
        }
        let whole;
        let mut input = read;
        if !self.kept.is_empty() {
            self.kept.extend_from_slice(read);
            whole = std::mem::take(&mut self.kept);
            input = &whole;
        }
        match answers.answer(input)? {
            None => self.kept = input.to_vec(),
            Some((reply, head, body)) => {
                let early = input.len() - head;
                self.body = body.checked_sub(early).ok_or("a request before the last one's answer")?;
                self.reply = Some(reply);
            }
        }
        Ok(())
    }

    /// Writes an answer that waits; whether none waits any more.
    fn write(&mut self, answers: &Answers) -> Outcome<bool> {
        let Some(reply) = &self.reply else { return Ok(true) };
        let bytes = answers.bytes(reply);
        while let Some(rest) = bytes.get(self.written..).filter(|rest| !rest.is_empty()) {
            match self.stream.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        (self.reply, self.written) = (None, 0);
        Ok(true)
    }
}

/// Answers until it is killed.
pub(crate) fn serve(mut listener: TcpListener, is_strict: bool) -> Outcome<()> {
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(1024));
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let answers = Answers::new(is_strict);
    let mut connections: Vec<Option<Connection>> = Vec::new();
    let mut input = vec![0; READ];
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    stream.set_nodelay(true)?;
                    let free = connections.iter().position(Option::is_none).unwrap_or(connections.len());
                    poll.registry().register(&mut stream, Token(free), Interest::READABLE | Interest::WRITABLE)?;
                    if free == connections.len() {
                        connections.push(None);
                    }
                    if let Some(place) = connections.get_mut(free) {
                        *place = Some(Connection::new(stream));
                    }
                }
                continue;
            }
            let Some(place) = connections.get_mut(event.token().0) else { continue };
            let Some(connection) = place else { continue };
            // A proxy that goes away in the middle is no matter of this side.
            if !(event.is_readable() || connection.reply.is_some())
                || connection.advance(&answers, &mut input).unwrap_or(false)
            {
                continue;
            }
            *place = None;
        }
    }
}
