//! A real upstream on threads, with faults on demand. It records every byte it is sent.

use std::fmt;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;

use super::PATIENCE;
use super::certificate::{Authority, TlsSocket};
use super::wire::{Extent, Message, Socket, Wire};

/// An answer that is enough for most tests.
pub const OK: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";

#[derive(Default)]
struct Record {
    /// The bytes of each connection, in the order of their acceptance.
    bytes: Vec<Vec<u8>>,
    /// The requests in the order in which they were read.
    requests: Vec<Message>,
    /// What scripts said about themselves.
    notes: Vec<String>,
    /// How many requests `next_request` has handed out.
    handed: usize,
}

#[derive(Default)]
struct Shared {
    record: Mutex<Record>,
    changed: Condvar,
    stopped: AtomicBool,
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record.lock().expect("the record"));
        self.changed.notify_all();
    }

    /// Waits until `found` gives something; panics with `what` after the usual patience.
    fn wait<T>(&self, what: &str, mut found: impl FnMut(&mut Record) -> Option<T>) -> T {
        let mut result = None;
        let record = self.record.lock().expect("the record");
        let (record, _) = self
            .changed
            .wait_timeout_while(record, PATIENCE, |record| {
                result = found(record);
                result.is_none()
            })
            .expect("the record");
        drop(record);
        result.unwrap_or_else(|| panic!("the upstream waited {PATIENCE:?} for {what}"))
    }
}

#[derive(Clone)]
enum Place {
    Tcp(SocketAddr),
    Tls(SocketAddr),
    Unix(PathBuf),
}

/// The API behind the gateway, under the test's control. It stops when it is dropped.
pub struct Upstream {
    place: Place,
    shared: Arc<Shared>,
}

impl Upstream {
    /// Runs `script` for every connection that is accepted, each on a thread of its own.
    pub fn start(script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Upstream {
        Upstream::on(TcpListener::bind("127.0.0.1:0").expect("a port for the upstream"), script)
    }

    /// As `start`, on a port of the test's choice.
    pub fn on(listener: TcpListener, script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Upstream {
        let address = listener.local_addr().expect("its address");
        let accept = move || listener.accept().map(|(stream, _)| without_delay(stream));
        Upstream::serve(Place::Tcp(address), accept, script)
    }

    /// As `start`, with TLS and a certificate for `localhost` that `authority` has signed.
    pub fn start_tls(authority: &Authority, script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Upstream {
        Upstream::start_tls_with(authority.server("localhost"), script)
    }

    /// As `start`, with TLS as `config` has it.
    pub fn start_tls_with(
        config: Arc<ServerConfig>,
        script: impl Fn(&mut Connection) + Send + Sync + 'static,
    ) -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port for the upstream");
        let address = listener.local_addr().expect("its address");
        let accept = move || listener.accept().map(|(stream, _)| TlsSocket::accept(&config, without_delay(stream)));
        Upstream::serve(Place::Tls(address), accept, script)
    }

    /// As `start`, on a Unix socket.
    pub fn start_unix(path: &Path, script: impl Fn(&mut Connection) + Send + Sync + 'static) -> Upstream {
        let listener = UnixListener::bind(path).expect("a socket for the upstream");
        let accept = move || listener.accept().map(|(stream, _)| stream);
        Upstream::serve(Place::Unix(path.to_owned()), accept, script)
    }

    fn serve<S: Socket + 'static>(
        place: Place,
        accept: impl Fn() -> std::io::Result<S> + Send + 'static,
        script: impl Fn(&mut Connection) + Send + Sync + 'static,
    ) -> Upstream {
        let shared = Arc::new(Shared::default());
        let script = Arc::new(script);
        let upstream = Upstream { place, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            while let Ok(socket) = accept() {
                if shared.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let (shared, script) = (Arc::clone(&shared), Arc::clone(&script));
                let mut connection = Connection::new(socket, shared);
                thread::spawn(move || script(&mut connection));
            }
        });
        upstream
    }

    /// Reads every request whole and gives the same answer to each, as long as the connection lasts.
    pub fn answering(answer: impl AsRef<[u8]>) -> Upstream {
        let answer = answer.as_ref().to_vec();
        Upstream::start(move |connection| connection.answer_all(&answer))
    }

    /// An upstream that is well: 200 and two bytes for everything.
    pub fn ok() -> Upstream {
        Upstream::answering(OK)
    }

    /// Says in each answer what the request had in these fields, with a space between them.
    pub fn telling<const COUNT: usize>(fields: [&'static str; COUNT]) -> Upstream {
        Upstream::start(move |connection| {
            while let Some(request) = connection.request() {
                let told = fields.map(|field| request.field(field).unwrap_or_default()).join(" ");
                connection.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{told}", told.len()));
            }
        })
    }

    /// Says what the upstream is called in `upstream.url`.
    pub fn url(&self) -> String {
        match &self.place {
            Place::Tcp(address) => format!("http://{address}"),
            Place::Tls(address) => format!("https://localhost:{}", address.port()),
            Place::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// `host:port` of a TCP upstream.
    pub fn address(&self) -> SocketAddr {
        match self.place {
            Place::Tcp(address) | Place::Tls(address) => address,
            Place::Unix(_) => panic!("a Unix socket has no address"),
        }
    }

    /// Waits for the next request that no test has looked at.
    pub fn next_request(&self) -> Message {
        self.shared.wait("a request", |record| {
            let request = record.requests.get(record.handed).cloned();
            record.handed += usize::from(request.is_some());
            request
        })
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Message> {
        self.shared.record.lock().expect("the record").requests.clone()
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.record.lock().expect("the record").bytes.len()
    }

    /// Every byte that ever came, connection after connection, as text.
    pub fn everything(&self) -> String {
        String::from_utf8_lossy(&self.shared.record.lock().expect("the record").bytes.concat()).into_owned()
    }

    /// Waits until a script has noted `note`.
    pub fn wait_for(&self, note: &str) {
        self.shared.wait(note, |record| record.notes.iter().any(|said| said == note).then_some(()));
    }

    /// How often scripts have noted `note`.
    pub fn noted(&self, note: &str) -> usize {
        self.shared.record.lock().expect("the record").notes.iter().filter(|said| *said == note).count()
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("url", &self.url()).finish()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.changed.notify_all();
        // One last connection wakes the thread that accepts.
        match &self.place {
            Place::Tcp(address) | Place::Tls(address) => drop(TcpStream::connect(address)),
            Place::Unix(path) => drop(UnixStream::connect(path)),
        }
    }
}

fn without_delay(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("TCP_NODELAY can be set");
    stream
}

/// One accepted connection in the hands of a script. Where the gateway goes away, reads give `None` and writes give false.
pub struct Connection {
    wire: Wire,
    shared: Arc<Shared>,
    /// How many connections were accepted before this one.
    pub number: usize,
}

impl Connection {
    fn new(socket: impl Socket + 'static, shared: Arc<Shared>) -> Connection {
        let mut number = 0;
        shared.change(|record| {
            number = record.bytes.len();
            record.bytes.push(Vec::new());
        });
        let recorder = Arc::clone(&shared);
        // What a body of a gigabyte says is not worth a gigabyte of record.
        let wire = Wire::new(socket).recorded(move |bytes| {
            recorder.change(|record| {
                if record.bytes[number].len() < 1 << 20 {
                    record.bytes[number].extend_from_slice(bytes);
                }
            })
        });
        Connection { wire, shared, number }
    }

    /// The next request with its body.
    pub fn request(&mut self) -> Option<Message> {
        let mut request = self.wire.head().ok()??;
        let extent = Extent::of_request(&request);
        let ended = self.wire.body(&mut request, extent);
        self.record(&request);
        ended.ok().filter(|()| request.whole).map(|()| request)
    }

    /// The head of the next request alone, so that an answer can come before the body.
    pub fn request_head(&mut self) -> Option<Message> {
        let request = self.wire.head().ok()??;
        self.record(&request);
        Some(request)
    }

    fn record(&self, request: &Message) {
        self.shared.change(|record| record.requests.push(request.clone()));
    }

    /// Reads the body of a request whose head was read alone.
    pub fn rest(&mut self, request: &mut Message) -> bool {
        let extent = Extent::of_request(request);
        self.wire.body(request, extent).is_ok() && request.whole
    }

    /// Counts the body of a request whose head was read alone, and forgets it.
    pub fn discard_rest(&mut self, request: &mut Message) -> u64 {
        let extent = Extent::of_request(request);
        self.wire.discard_body(request, extent).unwrap_or_default()
    }

    /// Sends bytes as they are.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.wire.socket.write_all(bytes.as_ref()).and_then(|()| self.wire.socket.flush()).is_ok()
    }

    /// The bytes up to and with `needle`, which belong to no message; what came where the connection ends first.
    pub fn until(&mut self, needle: &str) -> Vec<u8> {
        self.wire.until(needle.as_bytes()).unwrap_or_default()
    }

    /// Whether nothing comes for so long.
    pub fn is_silent_for(&mut self, time: Duration) -> bool {
        self.wire.socket.read_within(Some(time));
        let silent = self.wire.fill().is_err();
        self.wire.socket.read_within(None);
        silent
    }

    /// Sends bytes one by one, each in a segment of its own.
    pub fn trickle(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        bytes.as_ref().iter().all(|byte| self.send([*byte]))
    }

    /// Gives the same answer to every request, as long as the connection lasts.
    pub fn answer_all(&mut self, answer: &[u8]) {
        while self.request().is_some() && self.send(answer) {}
    }

    /// Closes with a RST.
    pub fn reset(&mut self) {
        self.wire.socket.reset();
    }

    /// Sends a FIN and keeps reading.
    pub fn half_close(&mut self) {
        self.wire.socket.half_close();
    }

    /// Reads until the gateway closes its side, and says so as `gone`.
    pub fn wait_for_close(&mut self) {
        while matches!(self.wire.fill(), Ok(count) if count > 0) {}
        self.note("gone");
    }

    /// Tells the test where the script stands.
    pub fn note(&self, note: &str) {
        self.shared.change(|record| record.notes.push(note.to_owned()));
    }

    /// Does nothing until the test allows it with a note of its own, or is over.
    pub fn wait_for(&self, note: &str) {
        let record = self.shared.record.lock().expect("the record");
        drop(self.shared.changed.wait_timeout_while(record, PATIENCE, |record| {
            !self.shared.stopped.load(Ordering::SeqCst) && !record.notes.iter().any(|said| said == note)
        }));
    }

    /// Keeps the connection open and silent until the test is over.
    pub fn stall(&self) {
        self.wait_for("never noted by anyone");
    }
}

impl Upstream {
    /// Lets scripts that `wait_for` this note go on.
    pub fn allow(&self, note: &str) {
        self.shared.change(|record| record.notes.push(note.to_owned()));
    }
}
